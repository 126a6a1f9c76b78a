//! A step: what a person reads, bound to what the engine does.

use std::fmt;

use crate::{Map, Operation, Value};

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
}

impl Step {
    pub fn new(changes: impl Into<Vec<Change>>, operation: Operation) -> Self {
        Step { changes: changes.into(), operation, always: false }
    }

    pub fn always(changes: impl Into<Vec<Change>>, operation: Operation) -> Self {
        Step { always: true, ..Step::new(changes, operation) }
    }
}
