//! Holds in a run: a change that nobody has let pass is not made, and, where that is known before the first change, none is.

use super::apply::Making;
use super::records::Record;
use super::{Broken, End, HostRun};
use crate::hold::{self, Hold};
use crate::{Facts, Outcome, Step};

impl HostRun<'_> {
    /// What keeps the change of a state back, or would, had nobody let it pass.
    pub(super) fn holds(&self, index: usize, facts: &Facts) -> Vec<Hold> {
        let mut holds = self.plan.states[index].resource.holds(facts).unwrap_or_default();
        for hold in &mut holds {
            hold.accepted = self.accepted.iter().any(|pattern| hold.is_meant_by(pattern));
        }
        holds
    }
}

impl Record {
    /// With what keeps it back, or has been let pass.
    pub(super) fn with_holds(mut self, holds: Vec<Hold>) -> Self {
        self.report.reason = hold::told(&holds).or(self.report.reason);
        self.report.holds = holds;
        self
    }
}

impl Making<'_, '_, '_> {
    /// Ends the run before its first change if a state that would act is held. One that only acts when another state asks for it
    /// is judged in its turn.
    pub(super) fn refuse_held(&mut self) -> Result<(), Broken> {
        let plan = self.run.plan;
        let mut first = None;
        for (index, state) in plan.states.iter().enumerate() {
            let is_asked_for = plan.graph.requisites(index).iter().any(|requisite| requisite.kind.asks());
            let is_kept_back = !matches!(state.conditions.hold(&self.host.facts), Ok(None));
            let holds = self.run.holds(index, &self.host.facts);
            if is_asked_for || is_kept_back || holds.iter().all(|hold| hold.accepted) {
                continue;
            }
            if let Ok(steps) = state.resource.diff(&self.host.facts)
                && !steps.is_empty()
            {
                self.hold_back(index, &steps, holds);
                first.get_or_insert(index);
            }
        }
        let Some(first) = first else { return Ok(()) };
        let message = format!("nothing is changed, because `{}` is held", self.id(first));
        Err(Broken { message, end: End::Held })
    }

    /// A state that is held has failed.
    pub(super) fn hold_back(&mut self, index: usize, steps: &[Step], holds: Vec<Hold>) {
        let changes = steps.iter().flat_map(|step| step.changes.clone()).collect();
        let record = Record::new(&self.run.plan.graph.chunks()[index], Outcome::Failed, None);
        self.put(index, record.with_changes(changes).with_holds(holds));
    }
}
