//! What a change asks of other states is written down on the host before it is made, and struck off when it is done.

use std::collections::BTreeSet;

use super::Broken;
use super::apply::Making;
use super::group::Member;
use super::observe::Host;
use super::records::Record;
use crate::kept;
use crate::question::{Answer, Question};
use crate::{Event, Graph, RequisiteKind};

impl Host<'_> {
    /// Leaves out what other trees of the host owe.
    pub(super) fn leave_out_others(&mut self, graph: &Graph) {
        if let Ok(kept) = self.facts.kept() {
            let own = kept.of(graph);
            self.facts.learn(Question::Kept, Ok(Answer::Kept(Box::new(own))));
        }
    }
}

impl Making<'_, '_, '_> {
    /// Has written down what the changes of a group ask of other states, before they are made. A listener may have had its
    /// turn; its reaction comes at the end.
    pub(super) fn note_owed(&mut self, group: &[Member]) {
        use RequisiteKind::{Listen, Onchanges, OnchangesAny, Watch, WatchAny};
        let graph = &self.run.plan.graph;
        for member in group {
            let because = &graph.chunks()[member.index];
            let mut followers = graph.naming(member.index, &[Watch, WatchAny, Onchanges, OnchangesAny]);
            // What failed before the change came has not refreshed.
            followers.retain(|follower| self.records.get(*follower).is_none_or(Record::is_broken));
            followers.extend(graph.naming(member.index, &[Listen]));
            for follower in followers {
                if self.noted.insert(follower) {
                    let chunk = &graph.chunks()[follower];
                    self.host.noted.push((follower, kept::owed::file(chunk, because)));
                    self.host.errand(kept::owed::note(chunk, because));
                }
            }
        }
    }

    /// Strikes off what a state owes that has been made as declared in its turn. What this run has asked of a listener has
    /// to wait for the end.
    pub(super) fn strike_done(&mut self, index: usize) {
        if !(self.is_listener(index) && self.noted.contains(&index)) {
            self.strike_owed(index);
        }
    }

    /// Strikes off what this run has asked of a state, when nothing asks for it in the end. What an earlier run has left
    /// undone stays.
    pub(super) fn strike_unasked(&mut self, index: usize) {
        if self.is_listener(index) {
            return;
        }
        let Ok(kept) = self.host.facts.kept() else { return };
        let earlier: BTreeSet<String> = kept.owed.iter().map(|owed| owed.file.clone()).collect();
        let noted: Vec<_> = self.host.noted.extract_if(.., |(of, _)| *of == index).collect();
        let new = noted.iter().filter(|(_, file)| !earlier.contains(file));
        new.for_each(|(_, file)| self.host.errand(kept::owed::strike(file)));
        self.noted.remove(&index);
    }

    pub(super) fn is_listener(&self, index: usize) -> bool {
        !self.run.plan.graph.targets(index, RequisiteKind::Listen).is_empty()
    }

    /// A state that has had its turn and is as declared owes nothing any more.
    pub(super) fn strike_owed(&mut self, index: usize) {
        let chunk = &self.run.plan.graph.chunks()[index];
        let Ok(kept) = self.host.facts.kept() else { return };
        let left = kept.without(chunk);
        if self.noted.remove(&index) || left != *kept {
            let known = kept.owed.iter().filter(|owed| owed.is_of(chunk)).map(|owed| owed.file.clone());
            let noted = self.host.noted.extract_if(.., |(of, _)| *of == index).map(|(_, file)| file);
            let files: BTreeSet<String> = known.chain(noted).collect();
            files.iter().for_each(|file| self.host.errand(kept::owed::strike(file)));
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
