//! Errors inside a template, with what the engine's own errors cannot carry: hints, and "this waits for the host".

use std::fmt;

use kstate_core::{Problem, Severity};
use minijinja::{Error, ErrorKind};

use super::answers::Refusal;

/// Travels as the source of an engine's error.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hints: Vec<String>,
    pub(super) severity: Severity,
    pub(super) waiting: bool,
    /// A mistake in a text that was to be loaded, and what is said of where that was asked for.
    pub(super) problem: Option<(Box<Problem>, &'static str)>,
    /// Whether other data could have kept the template from it.
    pub(super) may_come_of_data: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn new(message: impl Into<String>) -> Fault {
        Fault {
            message: message.into(),
            hints: Vec::new(),
            severity: Severity::Error,
            waiting: false,
            problem: None,
            may_come_of_data: true,
        }
    }

    fn into_error(self, kind: ErrorKind) -> Error {
        Error::new(kind, self.message.clone()).with_source(self)
    }
}

pub(super) fn fault(kind: ErrorKind, message: impl Into<String>, hints: Vec<String>) -> Error {
    Fault { hints, ..Fault::new(message) }.into_error(kind)
}

/// Python's TypeError, ValueError and the like: the operation does not go with the value.
pub(super) fn type_error(message: impl Into<String>) -> Error {
    fault(ErrorKind::InvalidOperation, message, Vec::new())
}

/// Says what an error comes from: a function, a filter. What was undefined says so itself.
pub(super) fn within(what: &str, error: Error) -> Error {
    let kind = error.kind();
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Fault>());
    match source {
        Some(inner)
            if !inner.waiting && kind != ErrorKind::UndefinedError && !inner.message.starts_with(what) =>
        {
            fault(kind, format!("{what}: {}", inner.message), inner.hints.clone())
        }
        _ => error,
    }
}

/// The template cannot go on before the host has answered.
pub(super) fn waiting(call: &str) -> Error {
    let message = format!("`{call}` has not been answered yet");
    Fault { waiting: true, ..Fault::new(message) }.into_error(ErrorKind::InvalidOperation)
}

/// The host will not answer.
pub(super) fn refused(call: &str, refusal: &Refusal) -> Error {
    let message = format!("a template asks the host for `{call}`: {}", refusal.reason);
    let hints = refusal.hint.clone().into_iter().collect();
    Fault { hints, severity: refusal.severity, ..Fault::new(message) }.into_error(ErrorKind::InvalidOperation)
}

/// A template that cannot be read, met while another is running.
pub(super) fn unreadable(problem: Box<Problem>) -> Error {
    let message = problem.message.clone();
    let problem = Some((problem, "included from here"));
    Fault { problem, may_come_of_data: false, ..Fault::new(message) }.into_error(ErrorKind::BadInclude)
}

/// Text of which no data can be made; `what` is done where it is used.
pub(super) fn unloadable(problem: Problem, what: &'static str) -> Error {
    let message = problem.message.clone();
    Fault { problem: Some((Box::new(problem), what)), ..Fault::new(message) }
        .into_error(ErrorKind::InvalidOperation)
}
