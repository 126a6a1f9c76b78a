//! Errors inside a template, with what the engine's own errors cannot carry: hints, and "this waits for the host".

use std::fmt;

use kstate_core::Problem;
use minijinja::{Error, ErrorKind};

/// Travels as the source of an engine's error.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hints: Vec<String>,
    pub(super) waiting: bool,
    /// A mistake in another template that was to be loaded.
    pub(super) problem: Option<Box<Problem>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

pub(super) fn fault(kind: ErrorKind, message: impl Into<String>, hints: Vec<String>) -> Error {
    let message = message.into();
    Error::new(kind, message.clone()).with_source(Fault { message, hints, waiting: false, problem: None })
}

/// Python's TypeError, ValueError and the like: the operation does not go with the value.
pub(super) fn type_error(message: impl Into<String>) -> Error {
    fault(ErrorKind::InvalidOperation, message, Vec::new())
}

/// The template cannot go on before the host has answered.
pub(super) fn waiting(call: &str) -> Error {
    let message = format!("`{call}` has not been answered yet");
    Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Fault {
        message,
        hints: Vec::new(),
        waiting: true,
        problem: None,
    })
}

/// A template that cannot be read, met while another is running.
pub(super) fn unreadable(problem: Box<Problem>) -> Error {
    let message = problem.message.clone();
    let fault = Fault { message: message.clone(), hints: Vec::new(), waiting: false, problem: Some(problem) };
    Error::new(ErrorKind::BadInclude, message).with_source(fault)
}
