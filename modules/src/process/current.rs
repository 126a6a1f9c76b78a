//! `process.current`: no process that is older than the code it runs
//!
//! ```yaml
//! workers-current:
//!   process.current:
//!     - pattern: ' process-redis-queue '
//!     - user: ocdskfp
//!     - code:
//!       - /home/ocdskfp/ocdskingfisherprocess
//!       - /home/ocdskfp/ocdskingfisherprocess/.ve
//!       - /home/ocdskfp/.config/ocdskingfisher-process/config.ini
//! ```
//!
//! A process that began before the code came goes on running what was there before: after a deployment that somebody made
//! by hand, or one that was broken off. It gets SIGTERM and time to end; what is left then gets SIGKILL. What has started
//! it starts another: cron in its time, a supervisor at once. To keep processes away while the code changes there is
//! `process.stopped`, and for the workers of a service `service.current`.
//!
//! A checkout of git came when its HEAD moved last, a file when it was written, and a folder with its latest file (apart from
//! what Python compiles). Salt has no such function.

use kstate_core::question::Process;
use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Meant, limit};
use crate::age::{Ages, Code};
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Stands for `pattern` if that is not given.
    name: String,
    /// A regular expression, searched for in the command line.
    pattern: Option<String>,
    /// Only processes of this user.
    user: Option<String>,
    /// What they run: checkouts, files and folders.
    code: Texts,
    /// Seconds that a process has to end by itself. Default: 30.
    #[serde(default = "limit")]
    timeout: u32,
}

#[derive(Debug)]
pub(crate) struct Current {
    meant: Meant,
    code: Code,
}

impl State for Current {
    const NAME: &'static str = "process.current";
    const SOURCE: &'static str = include_str!("current.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let Arguments { name, pattern, user, code, timeout } = arguments;
        let meant = Meant::by(cx, &name, pattern.as_deref(), user, timeout);
        match (meant, Code::new(cx, "code", code, None)) {
            (Ok(meant), Ok(code)) => Ok(Current { meant, code }),
            (meant, code) => Err(meant.err().into_iter().chain(code.err()).collect()),
        }
    }
}

impl Current {
    fn look<'a>(&self, facts: &'a Facts) -> Result<(Vec<&'a Process>, Ages), Stop> {
        facts.need(self.questions())?;
        Ok((self.meant.find(facts.processes()?), self.code.ages(facts)?))
    }
}

impl Resource for Current {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Processes, self.code.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let (mut meant, ages) = self.look(facts)?;
        meant.retain(|process| ages.is_older(process.pid));
        if meant.is_empty() {
            return Ok(Vec::new());
        }
        let mut step = self.meant.end(&meant);
        for change in &mut step.changes {
            change.subject = format!("{}, older than {}", change.subject, ages.code());
        }
        Ok(vec![step])
    }

    fn remark(&self, facts: &Facts) -> Option<String> {
        self.look(facts).ok().map(|(meant, ages)| ages.remark(meant.len()))
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::Answer;

    use super::*;
    use crate::age::tests::learn;
    use crate::testing::{Tree, declare, declare_error, settles};

    const WORKERS: &str = "w:\n  process.current:\n    - pattern: ' work '\n    - code: /srv/app\n";

    fn process(pid: u32) -> Process {
        let started = "Thu Nov 26 10:00:03 2026".into();
        Process { pid, parent: 1, user: "ann".into(), started, command: "python cli work --fast".into() }
    }

    #[test]
    fn ends_what_is_older_than_its_code() {
        let resource = declare(WORKERS, &Tree::default());
        let mut facts = Facts::default();
        facts.learn(Question::Processes, Ok(Answer::Processes(vec![process(7), process(8)])));
        learn(&mut facts, resource.questions().remove(1), "");
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(
            steps[0].changes[0].to_string(),
            "process 7, older than the code of 2026-11-26 10:00:00 (`/srv/app`): \
             python cli work --fast of ann since Thu Nov 26 10:00:03 2026 -> absent"
        );
        assert_eq!(steps[0].changes.len(), 1);
        settles(&*resource, &mut facts);
        let told = "its process is not older than the code of 2026-11-26 10:00:00 (`/srv/app`)";
        assert_eq!(resource.remark(&facts).as_deref(), Some(told));
    }

    #[test]
    fn code_has_to_be_named_by_absolute_paths() {
        for (code, told) in [("[]", "it names no path"), ("app", "`app` is not an absolute path")] {
            let text = format!("w:\n  process.current:\n    - pattern: work\n    - code: {code}\n");
            let error = declare_error(&text, &Tree::default());
            assert!(error.contains(told), "{error}");
        }
    }
}
