//! A step: what a person reads, bound to what the engine does.

use std::fmt;

use crate::{Job, Map, Operation, Value};

/// One change of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What changes: `mode`, `content`, `package nginx`.
    pub subject: String,
    pub before: Value,
    pub after: Value,
    /// A unified diff, for text.
    pub diff: Option<String>,
    /// What else programs may read of it, by name: the commits of a revision.
    pub details: Map,
}

impl Change {
    pub fn new(subject: impl Into<String>, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        Change {
            subject: subject.into(),
            before: before.into(),
            after: after.into(),
            diff: None,
            details: Map::new(),
        }
    }

    #[must_use]
    pub fn diff(mut self, diff: impl Into<String>) -> Self {
        self.diff = Some(diff.into());
        self
    }

    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name, value);
        self
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Value::Null, Value::Null) => f.write_str(&self.subject),
            (Value::Null, after) => write!(f, "{}: {after}", self.subject),
            (before, Value::Null) => write!(f, "{}: {before} -> absent", self.subject),
            (before, after) => write!(f, "{}: {before} -> {after}", self.subject),
        }
    }
}

/// Changes and the operation that makes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub changes: Vec<Change>,
    pub operation: Operation,
    /// A step that is due every time, whatever the host looks like: a command without a guard. It is not drift.
    pub always: bool,
    /// A step that answers a watched change. Nothing on the host shows afterwards that it has been made.
    pub refresh: bool,
    /// Why nobody can say before it is made whether it will succeed.
    pub doubt: Option<String>,
}

impl Step {
    pub fn new(changes: impl Into<Vec<Change>>, operation: Operation) -> Self {
        Step { changes: changes.into(), operation, always: false, refresh: false, doubt: None }
    }

    /// A digest of what steps do on the host, and of what they find there. `None`: there are none. Which processes are ended
    /// does not count: they come and go by themselves.
    pub fn digest(steps: &[Step]) -> Option<String> {
        let all: Vec<String> = steps.iter().map(Step::told).collect();
        (!all.is_empty()).then(|| crate::digest(all.join("\0").as_bytes()))
    }

    fn told(&self) -> String {
        if let Operation::End { timeout, .. } = self.operation {
            return format!("end {timeout}");
        }
        let Job { script, input, user, .. } = self.operation.job().unwrap_or_default();
        let durable = self.operation.durable().and_then(|run| run.durable.as_ref());
        // A subject may say for how long something has been owed.
        let changes: Vec<_> = self.changes.iter().map(|c| (&c.before, &c.after, &c.diff)).collect();
        format!("{user:?} {durable:?} {} {changes:?} {script}", crate::digest(&input))
    }

    pub fn always(changes: impl Into<Vec<Change>>, operation: Operation) -> Self {
        Step { always: true, ..Step::new(changes, operation) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Run, Write};

    fn write(bytes: &[u8]) -> Operation {
        let (attributes, parents) = Default::default();
        let path = "/etc/motd".into();
        Operation::Write(Write {
            path,
            bytes: bytes.into(),
            attributes,
            parents,
            check: None,
            backup: None,
            follow: false,
        })
    }

    fn digest(operation: Operation) -> Option<String> {
        Step::digest(&[Step::new([], operation)])
    }

    #[test]
    fn steps_are_told_apart_by_what_they_do_on_the_host() {
        let run = |line: &str| Operation::from(Run::new(Command::shell(line), []));
        let as_ann = Run::new(Command::shell("true").user(Some("ann")), []);
        assert_eq!(Step::digest(&[]), None);
        assert_eq!(digest(run("true")), digest(run("true")));
        assert_ne!(digest(run("true")), digest(run("false")));
        assert_ne!(digest(run("true")), digest(as_ann.into()));
        assert_eq!(digest(write(b"same size 1")), digest(write(b"same size 1")));
        assert_ne!(digest(write(b"same size 1")), digest(write(b"same size 2")));
    }

    #[test]
    fn what_they_find_counts_and_how_they_are_called_does_not() {
        let change = |subject: &str, before: &str| {
            Step::digest(&[Step::new([Change::new(subject, before, "new")], write(b"new"))])
        };
        assert_ne!(change("content", "old"), change("content", "by hand"));
        assert_eq!(change("reload (owed for 3 m)", "old"), change("reload (owed for 4 m)", "old"));
    }

    #[test]
    fn which_processes_are_ended_does_not_count() {
        let end = |pid: u32, timeout| Operation::End { processes: vec![(pid, "now".into())], timeout };
        assert_eq!(digest(end(1, 30)), digest(end(2, 30)));
        assert_ne!(digest(end(1, 30)), digest(end(1, 40)));
    }
}
