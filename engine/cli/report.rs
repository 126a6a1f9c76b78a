//! What a run found or did, for people and for programs.

pub(crate) mod comparison;
pub(crate) mod json;
mod terminal;

pub(crate) use terminal::{host, summary};

use kstate_core::{HostReport, Outcome};

use crate::exit::Exit;

/// Which command the report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Diff,
    Apply,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Diff => "diff",
            Kind::Apply => "apply",
        }
    }

    pub(crate) fn outcomes(self) -> &'static [Outcome] {
        match self {
            Kind::Diff => &Outcome::OF_DIFF,
            Kind::Apply => &Outcome::OF_APPLY,
        }
    }
}

/// The exit code that a host's report stands for.
pub(crate) fn exit(report: &HostReport) -> Exit {
    if report.interrupted {
        return Exit::Interrupted;
    }
    if !report.reachable || report.error.is_some() {
        return Exit::Unreachable;
    }
    if report.problems.iter().any(kstate_core::Problem::is_error) || report.count(Outcome::Failed) > 0 {
        return Exit::Failed;
    }
    if report.count(Outcome::Drift) > 0 { Exit::Differs } else { Exit::Done }
}
