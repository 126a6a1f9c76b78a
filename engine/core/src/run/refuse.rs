//! What a run refuses before its first change: a change that nobody has let pass, and a host that is not as it was planned for.

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
    /// Ends the run before its first change if a state would do something else than when it was planned. Revisions are pinned, and
    /// processes come and go.
    pub(super) fn refuse_moved(&mut self) -> Result<(), Broken> {
        let (plan, planned) = (self.run.plan, self.run.planned.unwrap_or_default());
        let mut first = None;
        for (index, (state, shown)) in plan.states.iter().zip(planned).enumerate() {
            let is_free = shown.revision.is_some() || state.is_fleeting();
            if !is_free && state.found(&self.host.facts) != shown.found {
                let reason = Some("it is not as it was when the plan was compared with the host".to_owned());
                self.put(index, Record::new(&plan.graph.chunks()[index], Outcome::Failed, reason));
                first.get_or_insert(index);
            }
        }
        self.end_refused(first, "has moved")
    }

    /// Ends the run before its first change if a state that would act is held. One that only acts when another state asks for it
    /// is judged in its turn.
    pub(super) fn refuse_held(&mut self) -> Result<(), Broken> {
        let plan = self.run.plan;
        let mut first = None;
        for (index, state) in plan.states.iter().enumerate() {
            let is_kept_back = !matches!(state.conditions.hold(&self.host.facts), Ok(None));
            let holds = self.run.holds(index, &self.host.facts);
            if plan.graph.is_asked_for(index) || is_kept_back || holds.iter().all(|hold| hold.accepted) {
                continue;
            }
            if let Ok(steps) = state.resource.diff(&self.host.facts)
                && !steps.is_empty()
            {
                self.hold_back(index, &steps, holds);
                first.get_or_insert(index);
            }
        }
        self.end_refused(first, "is held")
    }

    fn end_refused(&self, state: Option<usize>, why: &str) -> Result<(), Broken> {
        let Some(state) = state else { return Ok(()) };
        let message = format!("nothing is changed, because `{}` {why}", self.id(state));
        Err(Broken { message, end: End::Refused })
    }

    /// A state that is held has failed.
    pub(super) fn hold_back(&mut self, index: usize, steps: &[Step], holds: Vec<Hold>) {
        let changes = steps.iter().flat_map(|step| step.changes.clone()).collect();
        let record = Record::new(&self.run.plan.graph.chunks()[index], Outcome::Failed, None);
        self.put(index, record.with_changes(changes).with_holds(holds));
    }
}
