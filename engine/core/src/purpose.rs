//! The purpose of a job, beside its shell text. A host in memory acts by it; a real host never sees it.

use crate::kept::Errand;
use crate::{Command, Operation, Question};

/// What a job does, as data. What the job reads is left out, because the job has it as its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Answers questions.
    Ask(Vec<Question>),
    /// Makes a change.
    Act(Operation),
    /// Runs a guard or a check.
    Run(Command),
    /// Reads or writes the records that the engine keeps on the host.
    Keep(Errand),
}

impl From<Errand> for Purpose {
    fn from(errand: Errand) -> Self {
        Purpose::Keep(errand)
    }
}

impl From<&Command> for Purpose {
    fn from(command: &Command) -> Self {
        Purpose::Run(Command { input: Vec::new(), ..command.clone() })
    }
}

impl From<&Operation> for Purpose {
    fn from(operation: &Operation) -> Self {
        let mut operation = operation.clone();
        match &mut operation {
            Operation::Write(write) => write.bytes = Vec::new(),
            Operation::Run(run) => run.command.input = Vec::new(),
            _ => {}
        }
        Purpose::Act(operation)
    }
}
