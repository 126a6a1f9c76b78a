//! `process.absent`: no process whose command line matches
//!
//! ```yaml
//! workers:
//!   process.absent:
//!     - name: ' process-redis-queue '
//!     - user: ocdskfp
//! ```
//!
//! The difference names each process that would be ended, with its start and its command line. It gets SIGTERM and time
//! to end; what is left then gets SIGKILL. `name` is an extended regular expression, as for `pkill -f`. The processes of
//! kstate itself and those that led to them are never meant.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Meant, limit};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// A regular expression, searched for in the command line.
    name: String,
    /// Only processes of this user.
    user: Option<String>,
    /// Seconds that a process has to end by itself. Default: 30.
    #[serde(default = "limit")]
    timeout: u32,
    /// Has no meaning but for `TERM` and `15`, which are sent in any case.
    signal: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Absent(Meant);

impl State for Absent {
    const NAME: &'static str = "process.absent";
    const SOURCE: &'static str = include_str!("absent.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        if let Some(signal) = &arguments.signal
            && !["15", "TERM", "SIGTERM"].contains(&signal.to_uppercase().as_str())
        {
            let problem =
                cx.error("signal", format!("`{signal}` is not sent; a process gets TERM, and then KILL"));
            return Err(vec![problem.hint("leave `signal` out, and say in `timeout` how long it may take")]);
        }
        let meant = Meant::new(cx, "name", &arguments.name, arguments.user, arguments.timeout);
        meant.map(Absent).map_err(|problem| vec![problem])
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Processes]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let meant = self.0.find(facts.processes()?);
        Ok(if meant.is_empty() { Vec::new() } else { vec![self.0.end(&meant)] })
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::{Answer, Process};

    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    const WORKERS: &str =
        "workers:\n  process.absent:\n    - name: ' process-redis-queue '\n    - user: ocdskfp\n";

    fn process(pid: u32, parent: u32, user: &str, command: &str) -> Process {
        let started = "Sun Nov 22 17:00:03 2026".into();
        Process { pid, parent, user: user.into(), started, command: command.into() }
    }

    fn facts(processes: Vec<Process>) -> Facts {
        let mut facts = Facts::default();
        facts.learn(Question::Processes, Ok(Answer::Processes(processes)));
        facts
    }

    const WORKER: &str = "python ocdskingfisher-process-cli process-redis-queue --runforseconds 3540";

    #[test]
    fn names_each_process_that_would_be_ended() {
        let resource = declare(WORKERS, &Tree::default());
        let others = [process(8, 1, "root", WORKER), process(9, 1, "ocdskfp", "python other")];
        let mut facts = facts([&others[..], &[process(7, 1, "ocdskfp", WORKER)]].concat());
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(
            steps[0].changes[0].to_string(),
            format!("process 7: {WORKER} of ocdskfp since Sun Nov 22 17:00:03 2026 -> absent")
        );
        assert_eq!(steps[0].changes.len(), 1);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn never_ends_itself() {
        let resource = declare("x:\n  process.absent:\n    - name: process-redis-queue\n", &Tree::default());
        let all = vec![
            process(1, 0, "root", "/sbin/init process-redis-queue"),
            process(50, 1, "root", "sshd: process-redis-queue"),
            process(60, 50, "root", "sh -c loop process-redis-queue"),
            process(61, 60, "root", "ps -ww -eo pid=,ppid=,user:32=,lstart=,args="),
        ];
        assert_eq!(resource.diff(&facts(all)), Ok(Vec::new()));
    }

    #[test]
    fn another_signal_is_refused() {
        let error = declare_error("x:\n  process.absent:\n    - signal: 9\n", &Tree::default());
        assert!(error.contains("`9` is not sent"), "{error}");
    }
}
