//! What a run found and did, host by host and state by state.

use std::time::Duration;

use crate::{Change, Hold, Prediction, Problem, Traffic};

#[derive(Clone, Debug, Default)]
pub struct StateReport {
    pub id: String,
    pub sls: String,
    pub function: String,
    pub name: String,
    pub file: String,
    pub line: u32,
    pub outcome: Outcome,
    /// `false`: `onchanges`, `onfail` or `prereq` did not ask for it.
    pub asked: bool,
    pub changes: Vec<Change>,
    /// Why it failed, was skipped, or cannot be told.
    pub reason: Option<String>,
    /// What is worth saying of what is as declared.
    pub remark: Option<String>,
    /// What keeps it back, or has been let pass.
    pub holds: Vec<Hold>,
    /// Of `diff`: a digest of what was found and would be done. `None`: nothing.
    pub steps: Option<String>,
    /// Of `diff`: the same for the host as it is, before anything is pretended.
    pub found: Option<String>,
    /// Of `diff`: the revision that it would bring or keep, if it has one.
    pub revision: Option<String>,
    /// What it does follows the processes that run at the moment.
    pub is_fleeting: bool,
    /// Of `diff`: it needs a login that cannot be had.
    pub is_barred: bool,
    pub duration: Duration,
    /// The output of its commands.
    pub printed: Vec<Printed>,
}

/// The output of a command, up to a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// The line that a person would type.
    pub command: String,
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    /// The number of bytes that were left out of both.
    pub omitted: u64,
}

impl StateReport {
    /// Whether somebody has to let it pass first.
    pub fn is_held(&self) -> bool {
        self.holds.iter().any(|hold| !hold.accepted)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    // of diff
    #[default]
    InSync,
    Drift,
    /// A command without a guard: it would run every time. Not drift.
    Always,
    /// It hangs on a change that has not been made.
    Unknown,
    // of apply
    Unchanged,
    Changed,
    // of both
    /// A requisite was not met; of `apply` also: did not ask for it.
    Skipped,
    Failed,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::InSync => "in_sync",
            Outcome::Drift => "drift",
            Outcome::Always => "always",
            Outcome::Unknown => "unknown",
            Outcome::Unchanged => "unchanged",
            Outcome::Changed => "changed",
            Outcome::Skipped => "skipped",
            Outcome::Failed => "failed",
        }
    }

    pub const OF_DIFF: [Outcome; 6] = [
        Outcome::InSync,
        Outcome::Drift,
        Outcome::Always,
        Outcome::Unknown,
        Outcome::Failed,
        Outcome::Skipped,
    ];
    pub const OF_APPLY: [Outcome; 4] =
        [Outcome::Unchanged, Outcome::Changed, Outcome::Failed, Outcome::Skipped];
}

#[derive(Clone, Debug, Default)]
pub struct HostReport {
    pub target: String,
    /// Whether the host was reached and let us in.
    pub reachable: bool,
    /// Why the run did not come to its end, with what to do.
    pub error: Option<String>,
    pub hints: Vec<String>,
    /// What else there is to know about the host: what earlier runs have left on it.
    pub notes: Vec<String>,
    /// What is wrong with the tree, for this target.
    pub problems: Vec<Problem>,
    pub states: Vec<StateReport>,
    pub traffic: Traffic,
    pub duration: Duration,
    pub interrupted: bool,
    /// What tells the machine from others, whatever it is called. `None`: it was not asked.
    pub machine: Option<String>,
    /// Of `apply`: how good the difference that was shown before was.
    pub prediction: Option<Prediction>,
}

impl HostReport {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.states.iter().filter(|state| state.outcome == outcome).count()
    }

    /// Whether somebody has to let a change pass first.
    pub fn is_held(&self) -> bool {
        self.states.iter().any(StateReport::is_held)
    }
}
