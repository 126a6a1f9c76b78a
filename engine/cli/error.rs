//! Errors as the command line tells them: a message, what to do, an exit code.

use kstate_core::Problem;

use crate::exit::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
    /// What is wrong with the tree, shown with excerpts.
    pub(crate) problems: Vec<Problem>,
    pub(crate) exit: Exit,
}

impl CommandError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        CommandError { message: message.into(), hints: Vec::new(), problems: Vec::new(), exit: Exit::Usage }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        CommandError { exit: Exit::Failed, ..CommandError::usage(message) }
    }

    pub(crate) fn problems(problems: Vec<Problem>) -> Self {
        CommandError { problems, ..CommandError::failed(String::new()) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Vec<Problem>> for CommandError {
    fn from(problems: Vec<Problem>) -> Self {
        CommandError::problems(problems)
    }
}
