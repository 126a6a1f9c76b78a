//! What has become of each state so far.

use std::time::Duration;

use super::HostRun;
use crate::{Change, Chunk, Outcome, Secrets, StateReport, Step};

/// What others may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Met,
    /// It failed, or something that it requires did.
    Broken,
    /// Nobody can tell before an earlier change is made.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    No,
    Yes,
    Maybe,
}

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) standing: Standing,
    pub(super) changed: Changed,
    pub(super) report: StateReport,
}

/// The records of a run, by place in the graph.
#[derive(Debug)]
pub(super) struct Records(Vec<Slot>);

#[derive(Clone, Debug)]
enum Slot {
    Waiting,
    /// Its steps have been decided on and are being made together with others.
    UnderWay,
    Done(Box<Record>),
}

impl Records {
    pub(super) fn new(states: usize) -> Self {
        Records(vec![Slot::Waiting; states])
    }

    pub(super) fn get(&self, state: usize) -> Option<&Record> {
        match &self.0[state] {
            Slot::Done(record) => Some(record),
            _ => None,
        }
    }

    pub(super) fn is_under_way(&self, state: usize) -> bool {
        matches!(self.0[state], Slot::UnderWay)
    }

    pub(super) fn begin(&mut self, state: usize) {
        self.0[state] = Slot::UnderWay;
    }

    pub(super) fn get_mut(&mut self, state: usize) -> Option<&mut Record> {
        match &mut self.0[state] {
            Slot::Done(record) => Some(record),
            _ => None,
        }
    }

    pub(super) fn put(&mut self, state: usize, record: Record) {
        self.0[state] = Slot::Done(Box::new(record));
    }

    /// Whether each state has changed something, by place.
    pub(super) fn changed(&self) -> Vec<bool> {
        let changed = |index| self.get(index).is_some_and(|record| record.changed == Changed::Yes);
        (0..self.0.len()).map(changed).collect()
    }

    /// Why a state ends the run: it is `failhard`, and broken (Salt: one that is skipped for a failure counts, too).
    pub(super) fn failhard(&self, run: &HostRun<'_>, state: usize) -> Option<String> {
        let record = self.get(state).filter(|record| record.is_broken())?;
        let what =
            if record.report.outcome == Outcome::Skipped { "was skipped for a failure" } else { "failed" };
        let is_hard = run.plan.states[state].conditions.failhard;
        is_hard.then(|| format!("`{}` {what}, and it is `failhard`", record.report.id))
    }

    pub(super) fn into_reports(self) -> Vec<StateReport> {
        self.0
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Done(record) => Some(record.report),
                _ => None,
            })
            .collect()
    }
}

impl Record {
    pub(super) fn new(chunk: &Chunk, outcome: Outcome, reason: Option<String>) -> Self {
        let (standing, changed) = match outcome {
            Outcome::InSync | Outcome::Unchanged | Outcome::Skipped => (Standing::Met, Changed::No),
            Outcome::Drift | Outcome::Always | Outcome::Changed => (Standing::Met, Changed::Yes),
            Outcome::Unknown => (Standing::Open, Changed::Maybe),
            Outcome::Failed => (Standing::Broken, Changed::No),
        };
        let report = StateReport {
            id: chunk.id.clone(),
            sls: chunk.sls.clone(),
            function: chunk.function(),
            name: chunk.name.clone(),
            file: chunk.at.file.to_string(),
            line: chunk.at.line,
            outcome,
            asked: true,
            changes: Vec::new(),
            reason,
            remark: None,
            holds: Vec::new(),
            steps: None,
            found: None,
            revision: None,
            is_fleeting: false,
            is_barred: false,
            duration: Duration::ZERO,
            printed: Vec::new(),
        };
        Record { standing, changed, report }
    }

    /// `onchanges`, `onfail` or `prereq` do not ask for it.
    pub(super) fn not_asked(chunk: &Chunk, outcome: Outcome, reason: String) -> Self {
        let mut record = Record::new(chunk, outcome, Some(reason));
        record.report.asked = false;
        record
    }

    /// It cannot be told, for want of a login.
    pub(super) fn barred(chunk: &Chunk, reason: String) -> Self {
        let mut record = Record::new(chunk, Outcome::Unknown, Some(reason));
        record.report.is_barred = true;
        record
    }

    /// Not run because something that it requires is broken.
    pub(super) fn unmet(chunk: &Chunk, reason: String) -> Self {
        Record { standing: Standing::Broken, ..Record::new(chunk, Outcome::Skipped, Some(reason)) }
    }

    /// Whether it had its turn: every requisite was met and asked for it.
    pub(super) fn ran(&self) -> bool {
        self.report.outcome != Outcome::Skipped && self.report.asked
    }

    /// With a change that was made, even if the state failed in the end.
    pub(super) fn having_changed(self) -> Self {
        Record { changed: Changed::Yes, ..self }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.standing == Standing::Broken
    }

    /// With steps that would be made.
    pub(super) fn with_steps(mut self, steps: &[Step]) -> Self {
        self.report.steps = Step::digest(steps);
        self.with_changes(steps.iter().flat_map(|step| step.changes.clone()).collect())
    }

    pub(super) fn with_changes(mut self, changes: Vec<Change>) -> Self {
        self.report.changes = changes;
        self
    }

    pub(super) fn with_remark(mut self, remark: Option<String>) -> Self {
        self.report.remark = remark;
        self
    }

    pub(super) fn masked(self, secrets: &Secrets) -> Self {
        if secrets.is_empty() {
            return self;
        }
        Record { report: secrets.mask_report(&self.report), ..self }
    }
}
