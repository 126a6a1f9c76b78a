//! The changes that a diff takes to have been made, and what depends on them.

use std::collections::BTreeMap;

use super::HostRun;
use super::records::{Changed, Records};
use crate::{Facts, Graph, Question, RequisiteKind, Step, Stop, Touch};

/// Changes that would have been made by now, by the place of their state: what each touches.
#[derive(Default)]
pub(super) struct Pending(BTreeMap<usize, Vec<Touch>>);

impl Pending {
    pub(super) fn add(&mut self, index: usize, steps: &[Step]) {
        self.0.insert(index, steps.iter().flat_map(|step| step.operation.touches()).collect());
    }

    /// The state whose change may bring what the state at `index` lacks, in words: one that it requires, or else the last
    /// one that touches what it asks.
    pub(super) fn before(&self, run: &HostRun<'_>, index: usize, records: &Records) -> Option<String> {
        let (graph, state) = (&run.plan.graph, &run.plan.states[index]);
        // What fails whatever the host answers can only be kept back by a guard.
        let fails_anywhere = matches!(state.resource.diff(&Facts::default()), Err(Stop::Failed(_)));
        let questions = if fails_anywhere { state.conditions.questions() } else { state.questions() };
        let fits =
            |touches: &[Touch]| if fails_anywhere { meet(touches, &questions) } else { !touches.is_empty() };
        if let Some(by) = self.required(graph, index, records, fits) {
            return Some(format!("depends on `{}`, which is to change first", graph.chunks()[by].id));
        }
        let may_bring = |touches: &[Touch]| {
            meet(touches, &questions) || (!fails_anywhere && touches.contains(&Touch::Anything))
        };
        let (by, _) = self.0.iter().rev().find(|(_, touches)| may_bring(touches))?;
        Some(format!("may depend on `{}`, which is to change first", graph.chunks()[*by].id))
    }

    /// The state whose change may bring another answer of the guards of the state at `index`, which requires it.
    pub(super) fn before_guards(&self, run: &HostRun<'_>, index: usize, records: &Records) -> Option<String> {
        let questions = run.plan.states[index].conditions.questions();
        let graph = &run.plan.graph;
        let by = self.required(graph, index, records, |touches| meet(touches, &questions))?;
        Some(format!("depends on `{}`, which is to change first", graph.chunks()[by].id))
    }

    /// Whether the change of a state may bring another answer of the guards of the state at `index`.
    pub(super) fn meets_guards(&self, run: &HostRun<'_>, index: usize) -> bool {
        let questions = run.plan.states[index].conditions.questions();
        self.0.values().any(|touches| meet(touches, &questions))
    }

    /// A state that the one at `index` requires, directly or through others, whose change fits. Of a state that cannot be
    /// told nobody knows what it touches.
    fn required(
        &self,
        graph: &Graph,
        index: usize,
        records: &Records,
        fits: impl Fn(&[Touch]) -> bool,
    ) -> Option<usize> {
        let mut seen = vec![false; graph.chunks().len()];
        let mut open = vec![index];
        while let Some(state) = open.pop() {
            let requisites = graph.requisites(state).iter().filter(|requisite| requisite.kind.waits());
            // `prereq` names what comes later.
            let before = requisites.filter(|requisite| requisite.kind != RequisiteKind::Prereq);
            for target in before.flat_map(|requisite| &requisite.targets) {
                if std::mem::replace(&mut seen[*target], true) {
                    continue;
                }
                let touches = self.0.get(target).map_or(&[Touch::Anything][..], Vec::as_slice);
                let changes = records.get(*target).is_some_and(|record| record.changed != Changed::No);
                if changes && fits(touches) {
                    return Some(*target);
                }
                open.push(*target);
            }
        }
        None
    }
}

/// Whether a change may bring other answers.
fn meet(touches: &[Touch], questions: &[Question]) -> bool {
    touches.iter().any(|touch| questions.iter().any(|question| question.is_touched_by(touch)))
}
