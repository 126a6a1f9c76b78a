//! What happens while it happens: the only seam between a run and whoever shows it.

use std::time::Duration;

use crate::StateReport;

#[derive(Clone, Debug)]
pub enum Event {
    Connecting,
    Connected,
    /// Questions go out.
    Asking {
        questions: usize,
    },
    /// States are being made: the ids of a group that travels together.
    Making {
        states: Vec<String>,
    },
    /// A line that the running command printed. Secrets are masked.
    Output {
        line: String,
    },
    /// Nothing has come for some seconds from a question, which still waits for its answer.
    Waiting {
        what: String,
    },
    Finished(Box<StateReport>),
    /// A state failed and is tried again.
    Retrying {
        state: String,
        attempt: u32,
        of: u32,
        reason: String,
    },
    /// A state failed and is tried again when the states after it are made.
    Deferred {
        state: String,
        reason: String,
    },
    /// A command that runs apart from the connection, and that goes on without it: what it prints comes as `Output`.
    Following {
        state: String,
        job: String,
        /// For how many seconds it has been running.
        since: u64,
    },
    /// The connection was lost; it is tried again after `pause`, and for `left` at most.
    Reconnecting {
        reason: String,
        pause: Duration,
        left: Duration,
    },
    Reconnected,
    Warning(String),
}

/// Takes the events of all hosts, from their threads.
pub trait Sink: Sync {
    fn event(&self, target: &str, event: Event);
}
