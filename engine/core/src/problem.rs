//! What is wrong with a tree, in a form that a person can act on.

use std::fmt;

use crate::Position;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake in the files of a tree, with its place and what to do about it.
///
/// Problems are collected, never printed, where they are found; only the command line shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// A lower-case fragment without a final stop.
    pub message: String,
    pub at: Option<Position>,
    /// The id of the state that is concerned, where there is one.
    pub id: Option<String>,
    /// Other places that matter, each with a word of explanation: the including file, the other declaration.
    pub related: Vec<(String, Position)>,
    /// What to do, in the imperative.
    pub hints: Vec<String>,
    /// The line that `at` points to, as it is after rendering, or of a text that an argument gives.
    pub unwritten: Option<Unwritten>,
    /// The lines that it is about hold a secret: they are not to be shown.
    pub hidden: bool,
}

/// A line that stands in no file, and where in it something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// What it is a line of: "rendered".
    pub what: &'static str,
    pub text: String,
    /// Counts characters from 1.
    pub column: u32,
}

impl Problem {
    pub fn error(message: impl Into<String>) -> Self {
        Problem {
            severity: Severity::Error,
            message: message.into(),
            at: None,
            id: None,
            related: Vec::new(),
            hints: Vec::new(),
            unwritten: None,
            hidden: false,
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(message) }
    }

    #[must_use]
    pub fn at(mut self, position: &Position) -> Self {
        self.at = Some(position.clone());
        self
    }

    #[must_use]
    pub fn of(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    #[must_use]
    pub fn related(mut self, what: impl Into<String>, position: &Position) -> Self {
        self.related.push((what.into(), position.clone()));
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Puts problems into order, by file, line and column, then by text, and keeps each once: what differs only in
    /// its hints is the same mistake, seen from several targets.
    pub fn tidy(problems: &mut Vec<Problem>) {
        problems.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        problems.dedup_by(|a, b| a.sort_key() == b.sort_key() && a.id == b.id);
    }

    /// The key by which problems are listed: by file, line and column, then by text.
    pub fn sort_key(&self) -> (Option<&Position>, Severity, &str) {
        (self.at.as_ref(), self.severity, &self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}
