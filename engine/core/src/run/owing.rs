//! What a change asks of other states is written down on the host before it is made, and struck off when it is done.

use super::Broken;
use super::apply::Making;
use super::group::Member;
use crate::kept;
use crate::question::{Answer, Question};
use crate::{Event, RequisiteKind};

impl Making<'_, '_, '_> {
    /// Has written down what the changes of a group ask of other states, before they are made.
    pub(super) fn note_owed(&mut self, group: &[Member]) {
        use RequisiteKind::{Listen, Watch, WatchAny};
        let graph = &self.run.plan.graph;
        for member in group {
            for watcher in graph.naming(member.index, &[Watch, WatchAny, Listen]) {
                if self.records.get(watcher).is_none() && self.noted.insert(watcher) {
                    let (chunk, because) = (&graph.chunks()[watcher], &graph.chunks()[member.index]);
                    self.host.errand(kept::owed::note(chunk, because));
                }
            }
        }
    }

    /// A state that has had its turn and is as declared owes nothing any more.
    pub(super) fn strike_owed(&mut self, index: usize) {
        let chunk = &self.run.plan.graph.chunks()[index];
        let Ok(kept) = self.host.facts.kept() else { return };
        let left = kept.without(chunk);
        if self.noted.remove(&index) || left != *kept {
            self.host.errand(kept::owed::strike(chunk));
            self.host.facts.learn(Question::Kept, Ok(Answer::Kept(Box::new(left))));
        }
    }

    /// Sends what is left to be written down, and tells what could not be.
    pub(super) fn put_down(&mut self) -> Result<(), Broken> {
        // Pressed while the last state was made: it is done, and the caller is told all the same.
        let interrupted = self.check_interrupt();
        self.patiently(|making| making.host.run_errands())?;
        for complaint in std::mem::take(&mut self.host.complaints) {
            self.run
                .event(Event::Warning(format!("the host could not write down what it owes: {complaint}")));
        }
        interrupted
    }
}
