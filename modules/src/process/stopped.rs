//! `process.stopped`: processes that are away while other states act, and run again afterwards
//!
//! ```yaml
//! upgrade-database:
//!   cmd.run:
//!     - name: .ve/bin/alembic upgrade head
//!
//! workers-stopped:
//!   process.stopped:
//!     - pattern: ' process-redis-queue '
//!     - user: ocdskfp
//!     - around:
//!       - cmd: upgrade-database
//! ```
//!
//! Just before the first of the states that it is `around` acts, the processes get SIGTERM and time to end; what is left
//! gets SIGKILL. When the last of those states has ended, well or badly, one process of each kind runs again at once: with
//! the command line, user, directory and environment that it had. Kinds are told by user and command line, and a process
//! that another one of them started comes back with that one. If none of the states acts, nothing is stopped.
//!
//! A process that comes while the others end, because cron was about to start it, is ended as well.
//!
//! What brings the processes back is written down on the host first. If the connection or the controller is lost, the
//! host does it by itself.

use std::collections::HashSet;

use kstate_core::question::Process;
use kstate_core::words::quote;
use kstate_core::{Bracket, Command, Facts, Problem, Question, Resource, Run, Step, Stop, digest};
use serde::Deserialize;

use super::{Meant, limit};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Stands for `pattern` if that is not given.
    name: String,
    /// An extended regular expression, searched for in the command line.
    pattern: Option<String>,
    /// Only processes of this user.
    user: Option<String>,
    /// Seconds that a process has to end by itself. Default: 30.
    #[serde(default = "limit")]
    timeout: u32,
}

#[derive(Debug)]
pub(crate) struct Stopped(Meant);

impl State for Stopped {
    const NAME: &'static str = "process.stopped";
    const SOURCE: &'static str = include_str!("stopped.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let Arguments { name, pattern, user, timeout } = arguments;
        let meant = Meant::by(cx, &name, pattern.as_deref(), user, timeout);
        meant.map(Stopped).map_err(|problem| vec![problem])
    }
}

/// Keeps what a process is, below the folder of the bracket: `keep PID PLACE USER`.
const KEEP: &str = r#"keep() { [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ] || return 0; d=$kstate_bracket/$2; mkdir -p "$d" || exit 1
cat "/proc/$1/cmdline" >"$d/cmdline" && cat "/proc/$1/environ" >"$d/environ" && readlink "/proc/$1/cwd" >"$d/cwd" && printf %s "$3" >"$d/user" || exit 1; }
"#;

/// Starts what was kept, each once, as units of systemd where there is one: they must not end with who starts them. What
/// cannot be started stays, to be tried again.
const RESUME: &str = r#"for d in "$kstate_bracket"/p*; do
[ -s "$d/cmdline" ] && [ -e "$d/user" ] || continue
k=${kstate_bracket%/brackets/*}/resumed; mkdir -p "$k"; n=$k/${kstate_bracket##*/brackets/}; n=$k/$(echo "${n#"$k"/}" | tr / .).${d##*/}
rm -rf "$n"; mv "$d" "$n" || exit 1
what=$(tr '\0' ' ' <"$n/cmdline" | cut -c1-200 | sed 's/ $//')
as="runuser -u $(cat "$n/user") --"; [ "$(id -un)" != "$(cat "$n/user")" ] || as=
start="cd \"\$(cat '$n/cwd')\" 2>/dev/null || cd /; { cat '$n/environ' '$n/cmdline'; rm -rf '$n'; } | $as xargs -0 env -i"
if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && command -v systemd-run >/dev/null; then
systemd-run -q --collect --unit="kstate-resumed-${n##*/}" sh -c "$start" || { mv "$n" "$d"; exit 1; }
else setsid sh -c "$start" </dev/null >/dev/null 2>&1 & fi
echo "runs again: $what"
done
"#;

impl Resource for Stopped {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Processes]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(self.bracket(facts)?.steps)
    }

    fn is_bracket(&self) -> bool {
        true
    }

    fn bracket(&self, facts: &Facts) -> Result<Bracket, Stop> {
        let meant = self.0.find(facts.processes()?);
        if meant.is_empty() {
            return Ok(Bracket { steps: Vec::new(), restore: RESUME.to_owned() });
        }
        let keep = Run::new(Command::shell(keep(&meant)).told("keep what the processes are"), []);
        let steps = vec![Step::new([], keep.into()), self.0.end(&meant)];
        Ok(Bracket { steps, restore: RESUME.to_owned() })
    }
}

/// Keeps one of each kind, in a place of that kind: another one that comes later takes it over.
fn keep(meant: &[&Process]) -> String {
    let is_started_by_another = |process: &&&Process| meant.iter().any(|other| other.pid == process.parent);
    let mut kinds = HashSet::new();
    let mut script = KEEP.to_owned();
    for process in meant.iter().filter(|process| !is_started_by_another(process)) {
        if kinds.insert((&process.user, &process.command)) {
            let user = quote(&process.user);
            let kind = digest(format!("{}\n{}", process.user, process.command).as_bytes());
            script.push_str(&format!("keep {} p{kind} {user}\n", process.pid));
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use kstate_core::Touch;
    use kstate_core::question::Answer;

    use super::*;
    use crate::testing::{Tree, declare};

    fn process(pid: u32, parent: u32, command: &str) -> Process {
        let started = "Sun Nov 22 17:00:03 2026".into();
        Process { pid, parent, user: "ocdskfp".into(), started, command: command.into() }
    }

    #[test]
    fn keeps_one_of_each_kind_and_ends_all() {
        let stopped = declare(
            "workers:\n  process.stopped:\n    - pattern: ' work '\n    - around:\n      - test: a\n",
            &Tree::default(),
        );
        let all = vec![
            process(5, 1, "sh -c cd x; python cli work --fast"),
            process(6, 5, "python cli work --fast"),
            process(7, 1, "sh -c cd x; python cli work --fast"),
            process(8, 1, "python cli work --slow"),
            process(9, 1, "python cli rest"),
        ];
        let mut facts = Facts::default();
        facts.learn(Question::Processes, Ok(Answer::Processes(all)));
        let bracket = stopped.bracket(&facts).unwrap();
        let script = bracket.steps[0].operation.job().unwrap().script;
        let kept: Vec<&str> = script.lines().filter(|line| line.starts_with("keep ")).collect();
        assert_eq!(kept.len(), 2, "{script}");
        assert!(kept[0].starts_with("keep 5 p") && kept[1].starts_with("keep 8 p"), "{script}");
        assert_ne!(kept[0].split(' ').nth(2), kept[1].split(' ').nth(2));
        assert!(!script.contains("keep 6") && !script.contains("keep 7"), "{script}");
        assert_eq!(bracket.steps[1].changes.len(), 4);
        assert_eq!(bracket.steps[1].operation.touches(), [Touch::Processes]);
    }
}
