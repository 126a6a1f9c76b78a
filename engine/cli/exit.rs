//! Exit codes, as others rely on them. The highest-ranking of 4, 1, 2, 0 wins.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Apply: every state is as declared now. Diff: nothing differs. Others: done.
    Done,
    /// Diff, compare: something differs.
    Differs,
    /// A state failed, the tree does not compile, or the person who was asked said no.
    Failed,
    /// A host could not be reached, refused us, or was lost.
    Unreachable,
    /// The command line is wrong.
    Usage,
    Interrupted,
}

impl Exit {
    fn rank(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Differs => 1,
            Exit::Failed => 2,
            Exit::Unreachable => 3,
            Exit::Usage => 4,
            Exit::Interrupted => 5,
        }
    }

    pub(crate) fn worst(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Differs => 2,
            Exit::Failed => 1,
            Exit::Unreachable => 4,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_host_outranks_a_failure_and_a_failure_outranks_drift() {
        let worst = [Exit::Differs, Exit::Unreachable, Exit::Failed, Exit::Done]
            .into_iter()
            .fold(Exit::Done, Exit::worst);
        assert_eq!(worst.code(), 4);
        assert_eq!(Exit::Differs.worst(Exit::Failed).code(), 1);
    }
}
