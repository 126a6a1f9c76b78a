//! States that need a login which cannot be had: they are left alone, and that is told before anything is begun.

use super::diff;
use super::observe::Host;
use super::{HostRun, Planned};
use crate::question::inquire;
use crate::{Chunk, Event, Lack, Node, Problem, Sink, Step, Transport};

impl Lack {
    /// Whether a login stands for the user; for no user, the first does.
    fn has(&self, user: &str) -> bool {
        self.has.iter().any(|has| has == user)
    }

    /// Whether the state is of a user who has a login.
    pub(super) fn owns(&self, chunk: &Chunk) -> bool {
        let user = |name| chunk.argument(name).and_then(Node::text);
        user("user").or_else(|| user("runas")).is_some_and(|user| self.has(user))
    }

    /// Whether nobody can ask what the state asks.
    pub(super) fn bars_asking(&self, state: &Planned) -> bool {
        let inquiries = inquire(state.questions());
        inquiries.iter().any(|inquiry| inquiry.job.user.as_deref().is_some_and(|user| !self.has(user)))
    }

    /// Whether nobody can make the steps of a state.
    pub(super) fn bars_making(&self, chunk: &Chunk, steps: &[Step]) -> bool {
        let mut jobs = steps.iter().filter_map(|step| step.operation.job());
        let owns = self.owns(chunk);
        jobs.any(|job| job.user.as_deref().map_or(!owns, |user| !self.has(user)))
    }

    pub(super) fn reason(&self) -> String {
        format!("needs the login `{}`, which cannot be had", self.login)
    }
}

struct Silent;

impl Sink for Silent {
    fn event(&self, _: &str, _: Event) {}
}

/// Which states need the login that cannot be had, by what a run would do. Asks the host, and changes nothing.
pub(super) fn foretell(run: &HostRun<'_>, transport: &mut dyn Transport) -> Option<Problem> {
    let lack = transport.lack()?.clone();
    let silent = HostRun { sink: &Silent, ..*run };
    let (states, _) = diff::walk(&silent, &mut Host::new(transport, &silent));
    let barred: Vec<String> =
        states.iter().filter(|state| state.is_barred).map(|state| format!("`{}`", state.id)).collect();
    if barred.is_empty() {
        return None;
    }
    let message =
        format!("without the login `{}` these states are left alone: {}", lack.login, barred.join(", "));
    Some(Problem::error(message).hint(lack.reason))
}
