//! Errors as the command line tells them: a message, what to do, an exit code.

use std::path::{Path, PathBuf};

use kstate_core::Problem;

use crate::exit::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
    /// What is wrong with the tree, shown with excerpts.
    pub(crate) problems: Vec<Problem>,
    /// The folder of the tree.
    pub(crate) root: PathBuf,
    pub(crate) exit: Exit,
}

impl CommandError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        CommandError {
            message: message.into(),
            hints: Vec::new(),
            problems: Vec::new(),
            root: PathBuf::from("."),
            exit: Exit::Usage,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        CommandError { exit: Exit::Failed, ..CommandError::usage(message) }
    }

    /// Problems of the tree in the folder `root`.
    pub(crate) fn problems(root: &Path, problems: Vec<Problem>) -> Self {
        CommandError { problems, root: root.to_owned(), ..CommandError::failed(String::new()) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
