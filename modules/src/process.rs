//! Processes, by their command lines.

mod absent;
mod current;
mod stopped;

pub(crate) use absent::Absent;
pub(crate) use current::Current;
pub(crate) use stopped::Stopped;

use kstate_core::question::Process;
use kstate_core::{Change, Operation, Problem, Step, Value};

use crate::Context;
use crate::file::pattern::{Flags, Pattern, text_of};

/// Which processes are meant, and how long they may take to end.
#[derive(Debug)]
pub(crate) struct Meant {
    pattern: Pattern,
    user: Option<String>,
    timeout: u32,
}

impl Meant {
    /// `argument` is the name of the one that holds the pattern.
    fn new(
        cx: &Context<'_>,
        argument: &str,
        pattern: &str,
        user: Option<String>,
        timeout: u32,
    ) -> Result<Self, Problem> {
        if pattern.trim().is_empty() {
            return Err(cx.error(argument, "it would match every process"));
        }
        match Pattern::new(pattern, Flags::default()) {
            Ok(pattern) => Ok(Meant { pattern, user, timeout }),
            Err(error) => Err(cx.error(argument, error)),
        }
    }

    /// By the argument `pattern`, or by the name where that is not given.
    fn by(
        cx: &Context<'_>,
        name: &str,
        pattern: Option<&str>,
        user: Option<String>,
        timeout: u32,
    ) -> Result<Self, Problem> {
        match pattern {
            Some(pattern) => Meant::new(cx, "pattern", pattern, user, timeout),
            None => Meant::new(cx, "name", name, user, timeout),
        }
    }

    fn find<'a>(&self, all: &'a [Process]) -> Vec<&'a Process> {
        let ours = ours(all);
        let is_meant = |process: &&Process| {
            process.pid > 1
                && !ours.contains(&process.pid)
                && self.user.as_ref().is_none_or(|user| *user == process.user)
                && self.pattern.is_in(&text_of(process.command.as_bytes())).unwrap_or_default()
        };
        all.iter().filter(is_meant).collect()
    }

    /// Ends them, and says which.
    fn end(&self, meant: &[&Process]) -> Step {
        let change = |process: &&Process| {
            let what = format!("{} of {} since {}", process.command, process.user, process.started);
            Change::new(format!("process {}", process.pid), what, Value::Null)
        };
        let changes: Vec<Change> = meant.iter().map(change).collect();
        let processes = meant.iter().map(|process| (process.pid, process.started.clone())).collect();
        Step::new(changes, Operation::End { processes, timeout: self.timeout })
    }
}

/// Seconds that a process has to end by itself.
fn limit() -> u32 {
    30
}

/// The question itself (`ps`), and the processes that led to it.
fn ours(all: &[Process]) -> Vec<u32> {
    let find = |pid: u32| all.iter().find(|process| process.pid == pid);
    let mut ours = Vec::new();
    for asking in all.iter().filter(|process| process.command.starts_with("ps -ww -eo pid=,ppid=")) {
        let mut pid = asking.pid;
        while pid > 1 && !ours.contains(&pid) {
            ours.push(pid);
            pid = find(pid).map_or(0, |process| process.parent);
        }
    }
    ours
}
