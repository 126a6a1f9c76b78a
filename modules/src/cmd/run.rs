//! `cmd.run`: a command that runs each time, unless a condition or a requisite keeps it back
//!
//! ```yaml
//! upgrade-database:
//!   cmd.run:
//!     - name: .ve/bin/alembic upgrade head
//!     - runas: ocdskfp
//!     - cwd: /home/ocdskfp/ocdskingfisherprocess
//!     - unless: .ve/bin/alembic current | grep -q head
//! ```
//!
//! A command that takes long is `durable`: it runs apart from the connection, as a unit of systemd where there is one.
//! `kstate` follows it, over another connection if the first is lost, and when it comes back later, takes up the result
//! instead of running it again. `kstate jobs` lists such commands, `kstate attach` follows one.
//!
//! Without `unless`, `onlyif`, `creates` or `onchanges` nobody can say whether it is due: `kstate diff` shows it as
//! `always`, which is not drift.

use kstate_core::command::Program;
use kstate_core::conditions::environment;
use kstate_core::{
    Change, Command, Due, Durable, Facts, Operation, Problem, Question, Resource, Step, Stop, Touch, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The command line.
    name: String,
    /// The user to run it as, with that user's login environment. Default: root.
    runas: Option<String>,
    /// The directory to run it in. Default: the user's home.
    cwd: Option<String>,
    /// Environment variables: a mapping, or a list of mappings.
    #[expect(dead_code, reason = "read from the chunk, which keeps the order")]
    env: Option<IgnoredAny>,
    /// The shell that reads the command line. Default: `/bin/sh`.
    shell: Option<String>,
    /// The mask of files that it makes, in octal.
    umask: Option<String>,
    /// Seconds after which it is ended.
    timeout: Option<u32>,
    /// Text for its standard input.
    stdin: Option<String>,
    /// Exit statuses that mean success. Default: 0.
    #[serde(default)]
    success_retcodes: Vec<i32>,
    /// It runs apart from the connection: it goes on when that is lost, and whoever comes back follows it to its end.
    /// Default: `False`.
    #[serde(default)]
    durable: bool,
    /// The name of a session of tmux that shows what a durable command prints, where tmux is there.
    tmux: Option<String>,
    /// Its output is not shown. Default: `False`.
    #[serde(default)]
    hide_output: bool,
    /// `quiet` hides the output, as `hide_output` does; other levels change nothing.
    output_loglevel: Option<String>,
    /// Has no meaning here: there is no terminal.
    #[expect(dead_code, reason = "accepted because trees have it")]
    use_vt: Option<bool>,
    /// An older name of `hide_output`.
    #[serde(default)]
    quiet: bool,
    /// Has no meaning here: files are UTF-8.
    #[expect(dead_code, reason = "accepted because trees have it")]
    output_encoding: Option<String>,
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("bg", "a command that goes on alone cannot be proved; start it as a service"),
    ("stateful", "guard it with `unless` instead, which also serves `kstate diff`"),
    ("success_stdout", "test the output in the command itself"),
    ("success_stderr", "test the output in the command itself"),
    ("prepend_path", "set `PATH` in `env`"),
    ("root", "run `chroot` in the command itself"),
];

#[derive(Debug)]
pub(crate) struct Run(Runs);

/// `cmd.wait`: a command that runs only when a watched state changes.
#[derive(Debug)]
pub(crate) struct Wait(Runs);

#[derive(Debug)]
struct Runs {
    command: Command,
    success: Vec<i32>,
    hide_output: bool,
    durable: Option<Durable>,
}

impl State for Run {
    const NAME: &'static str = "cmd.run";
    const SOURCE: &'static str = include_str!("run.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = UNSUPPORTED;
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Run(Runs::new(arguments, cx)))
    }
}

impl State for Wait {
    const NAME: &'static str = "cmd.wait";
    const SOURCE: &'static str = include_str!("run.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = UNSUPPORTED;
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Wait(Runs::new(arguments, cx)))
    }
}

impl Resource for Run {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(vec![self.0.step()])
    }

    fn due(&self) -> Due {
        Due::Always
    }

    /// Salt: a watched change runs the command, which `diff` has already asked for.
    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(vec![self.0.step()])
    }
}

impl Resource for Wait {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    fn due(&self) -> Due {
        Due::Watched
    }

    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(vec![self.0.step()])
    }
}

impl Runs {
    fn new(arguments: Arguments, cx: &Context<'_>) -> Self {
        let mut command = Command::shell(arguments.name)
            .at_home()
            .user(arguments.runas.as_deref().filter(|user| *user != "root"))
            .dir(arguments.cwd.as_deref());
        if let (Some(own), Program::Shell { shell, .. }) = (arguments.shell, &mut command.program) {
            *shell = own;
        }
        command.env = cx.chunk.argument("env").map(environment).unwrap_or_default();
        command.umask = arguments.umask;
        command.timeout = arguments.timeout;
        command.input = arguments.stdin.unwrap_or_default().into_bytes();
        let mut success = arguments.success_retcodes;
        success.push(0);
        let durable = arguments.durable.then_some(Durable { tmux: arguments.tmux });
        let is_quiet = arguments.quiet || arguments.output_loglevel.as_deref() == Some("quiet");
        Runs { command, success, hide_output: arguments.hide_output || is_quiet, durable }
    }

    fn step(&self) -> Step {
        let run = kstate_core::Run {
            success: self.success.clone(),
            hide_output: self.hide_output,
            durable: self.durable.clone(),
            ..kstate_core::Run::new(self.command.clone(), [Touch::Anything])
        };
        let what = self.command.to_string();
        Step::always([Change::new("run", Value::Null, what)], Operation::Run(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare};

    #[test]
    fn runs_as_its_user_in_its_directory() {
        let text = "go:\n  cmd.run:\n    - name: echo $A\n    - runas: ann\n    - cwd: /srv\n    - env:\n      - A: 1\n";
        let steps = declare(text, &Tree::default()).diff(&Facts::default()).unwrap();
        let job = steps[0].operation.job().unwrap();
        assert_eq!(job.user.as_deref(), Some("ann"));
        let run = kstate_core::words::with_script("", "/bin/sh", "echo $A");
        assert_eq!(job.script, format!("cd /srv || exit 1\nexport A=1\n{run}"));
        assert!(steps[0].always);
    }

    #[test]
    fn root_runs_it_at_home_and_quiet_hides_what_it_prints() {
        let text = "go:\n  cmd.run:\n    - name: pwd\n    - output_loglevel: quiet\n";
        let steps = declare(text, &Tree::default()).diff(&Facts::default()).unwrap();
        let script = steps[0].operation.job().unwrap().script;
        let run = kstate_core::words::with_script("", "/bin/sh", "pwd");
        assert_eq!(script, format!("cd ~ 2>/dev/null || cd /\n{run}"));
        assert!(matches!(&steps[0].operation, Operation::Run(run) if run.hide_output));
    }

    #[test]
    fn waits_for_a_watched_change() {
        let wait = declare("go:\n  cmd.wait:\n    - name: 'true'\n", &Tree::default());
        assert_eq!(wait.diff(&Facts::default()), Ok(Vec::new()));
        assert_eq!(wait.refresh(&Facts::default()).unwrap().len(), 1);
    }
}
