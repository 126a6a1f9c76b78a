//! Brackets while a run makes things: entered just before the first state that they are around acts, left when the last
//! of those has had its turn, in reverse.

use super::apply::Making;
use super::decide::Decision;
use super::records::Record;
use super::said::{failure, said};
use super::{Broken, End};
use crate::kept::{self, bracket};
use crate::resource::Bracket;
use crate::{Change, Outcome, RequisiteKind, Step, Stop};

/// The brackets of a run.
#[derive(Debug, Default)]
pub(super) struct Brackets {
    /// The states that have had their turn and wait for what they are around.
    waiting: Vec<usize>,
    /// Entered, in this order.
    open: Vec<Open>,
    /// How many this run has entered.
    entered: u32,
}

#[derive(Debug)]
struct Open {
    index: usize,
    number: u32,
    /// What was taken away.
    changes: Vec<Change>,
}

/// How often processes that have come in the meantime are taken away.
const TIMES: usize = 3;

/// What entering the brackets around a state came to.
pub(super) enum Around {
    /// There were none to enter.
    Nothing,
    Entered,
    /// The state may not act, and why.
    Refused(String),
}

impl Brackets {
    pub(super) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }
}

impl Making<'_, '_, '_> {
    /// What a state is around.
    fn inside(&self, bracket: usize) -> Vec<usize> {
        self.run.plan.graph.targets(bracket, RequisiteKind::Around)
    }

    /// A bracket has its turn: from now on it may be entered.
    pub(super) fn take_bracket(&mut self, index: usize) -> Result<(), Broken> {
        match self.decide(index)? {
            Ok(Decision::Act(_) | Decision::Rest(None)) | Err(Stop::Unknown(_)) => {
                let chunk = &self.run.plan.graph.chunks()[index];
                self.records.put(index, Record::new(chunk, Outcome::Unchanged, None));
                self.brackets.waiting.push(index);
            }
            other => self.rest(index, other),
        }
        Ok(())
    }

    /// Enters what is around a state that is about to act.
    pub(super) fn enter_around(&mut self, index: usize) -> Result<Around, Broken> {
        let all = self.run.plan.graph.naming(index, &[RequisiteKind::Around]);
        let is_around = |bracket: &usize| all.contains(bracket);
        let around: Vec<usize> = self.brackets.waiting.iter().copied().filter(is_around).collect();
        if !around.is_empty() {
            self.flush()?;
        }
        for bracket in &around {
            self.brackets.waiting.retain(|waiting| waiting != bracket);
            if let Some(reason) = self.enter(*bracket)? {
                let chunk = &self.run.plan.graph.chunks()[*bracket];
                self.put(*bracket, Record::new(chunk, Outcome::Failed, Some(reason)));
                break;
            }
        }
        Ok(match self.broken(&all) {
            Some(reason) => Around::Refused(reason),
            None if around.is_empty() => Around::Nothing,
            None => Around::Entered,
        })
    }

    /// Which of the brackets around a state could not be entered.
    fn broken(&self, around: &[usize]) -> Option<String> {
        let is_broken = |bracket: &&usize| self.records.get(**bracket).is_some_and(Record::is_broken);
        let broken = around.iter().find(is_broken)?;
        let id = &self.run.plan.graph.chunks()[*broken].id;
        Some(format!("`{id}`, which is around it, could not be entered"))
    }

    /// Enters one bracket. `Some`: why that failed.
    fn enter(&mut self, index: usize) -> Result<Option<String>, Broken> {
        let Bracket { steps, restore } = match self.bracket(index)? {
            Ok(bracket) => bracket,
            Err(stop) => return Ok(Some(stop.to_string())),
        };
        self.brackets.entered += 1;
        let (run, number) = (self.run.name, self.brackets.entered);
        let changes: Vec<Change> = steps.iter().flat_map(|step| step.changes.clone()).collect();
        let secrets = &self.run.plan.secrets;
        let about: Vec<String> = changes.iter().map(|change| secrets.mask(&change.to_string())).collect();
        let chunk = &self.run.plan.graph.chunks()[index];
        let enter = bracket::Enter { run, number, chunk, about: &about.join("; "), restore: &restore };
        let noted = self.surely(enter.job())?;
        if !noted.ok() {
            return Ok(Some(format!("the host cannot write down how to leave it: {}", said(&noted))));
        }
        // What is in hand is brought to its end from now on: what was taken away has to come back.
        self.host.line.heed_interrupt(false);
        self.host.brackets = Some(bracket::beat(run));
        self.brackets.open.push(Open { index, number, changes });
        let mut left = steps;
        for _ in 0..TIMES {
            if let Some(reason) = self.take_away(number, &left)? {
                return Ok(Some(self.leave_again(index, reason)?));
            }
            left = match self.bracket(index)? {
                Ok(bracket) => bracket.steps,
                Err(stop) => return Ok(Some(self.leave_again(index, stop.to_string())?)),
            };
            if left.is_empty() {
                return Ok(None);
            }
            // Cron may have been about to start a process.
            if !self.run.plan.states[index].is_fleeting() {
                break;
            }
        }
        let left: Vec<String> = left.iter().flat_map(|s| &s.changes).map(ToString::to_string).collect();
        Ok(Some(self.leave_again(index, format!("entered, but still differs: {}", left.join("; ")))?))
    }

    /// Takes away what an open bracket keeps away. `Some`: why that failed.
    fn take_away(&mut self, number: u32, steps: &[Step]) -> Result<Option<String>, Broken> {
        for step in steps {
            let Some(job) = bracket::take_away(self.run.name, number, &step.operation) else { continue };
            let reply = self.surely(job)?;
            for touch in step.operation.touches() {
                self.host.facts.forget(&touch);
            }
            if !step.operation.succeeded(reply.status) {
                return Ok(Some(failure(step, &reply)));
            }
        }
        Ok(None)
    }

    fn bracket(&mut self, index: usize) -> Result<Result<Bracket, Stop>, Broken> {
        let resource = &self.run.plan.states[index].resource;
        self.settle(|facts| resource.bracket(facts))
    }

    /// Leaves a bracket that could not be entered whole.
    fn leave_again(&mut self, index: usize, reason: String) -> Result<String, Broken> {
        let Some(place) = self.brackets.open.iter().position(|open| open.index == index) else {
            return Ok(reason);
        };
        let reply = self.surely(bracket::leave(self.run.name, self.brackets.open[place].number))?;
        self.brackets.open.truncate(place);
        self.settle_down(place == 0);
        match reply.ok() {
            true => Ok(reason),
            false => Ok(format!("{reason}; and it could not be undone: {}", said(&reply))),
        }
    }

    /// Leaves the brackets whose states have all had their turn before `next`, the last one first.
    pub(super) fn leave_before(&mut self, next: usize) -> Result<(), Broken> {
        while let Some(open) = self.brackets.open.last() {
            if !self.is_over(open.index, next) {
                break;
            }
            self.flush()?;
            self.leave()?;
        }
        for bracket in self.brackets.waiting.clone() {
            if self.is_over(bracket, next) {
                self.brackets.waiting.retain(|waiting| *waiting != bracket);
                let chunk = &self.run.plan.graph.chunks()[bracket];
                let reason = Some("nothing that it is around had to act".to_owned());
                self.put(bracket, Record::new(chunk, Outcome::Unchanged, reason));
            }
        }
        Ok(())
    }

    /// Whether all that a bracket is around has had its turn before `next`.
    fn is_over(&self, bracket: usize, next: usize) -> bool {
        self.inside(bracket).iter().all(|state| *state < next && !self.is_deferred(*state))
    }

    /// Leaves the bracket that was entered last.
    fn leave(&mut self) -> Result<(), Broken> {
        let Some(open) = self.brackets.open.pop() else { return Ok(()) };
        let reply = self.surely(bracket::leave(self.run.name, open.number))?;
        self.settle_down(self.brackets.open.is_empty());
        // What came back may be anything that was asked about.
        self.host.facts.forget(&crate::Touch::Anything);
        let chunk = &self.run.plan.graph.chunks()[open.index];
        let failed = self.records.get(open.index).is_some_and(Record::is_broken);
        let (outcome, reason) = match (reply.ok(), open.changes.is_empty()) {
            (false, _) => (
                Outcome::Failed,
                Some(format!("it could not be left, and the host goes on trying: {}", said(&reply))),
            ),
            (true, true) => (Outcome::Unchanged, Some("there was nothing to keep away".to_owned())),
            (true, false) => (Outcome::Changed, Some(restored(&reply.stdout))),
        };
        if !failed {
            self.put(open.index, Record::new(chunk, outcome, reason).with_changes(open.changes));
        }
        Ok(())
    }

    fn settle_down(&mut self, is_last: bool) {
        if is_last {
            self.host.brackets = None;
            self.host.line.heed_interrupt(true);
        }
    }

    /// Leaves everything at the end of a run that did not come to its end. Without a connection the host does it.
    pub(super) fn leave_all(&mut self, broken: &Broken) -> Option<String> {
        if !self.brackets.are_open() {
            return None;
        }
        let states: Vec<String> =
            self.brackets.open.iter().map(|open| format!("`{}`", self.id(open.index))).collect();
        let by_host =
            format!("the host itself leaves {} when what it is around has ended", states.join(", "));
        if broken.end == End::Lost {
            return Some(by_host);
        }
        while self.brackets.are_open() {
            if self.leave().is_err() {
                return Some(by_host);
            }
        }
        None
    }

    /// What runs that are dead have left open: their commands are brought to their end, and then everything comes back.
    pub(super) fn close_old(&mut self) -> Result<(), Broken> {
        let Ok(kept) = self.host.facts.kept().cloned() else { return Ok(()) };
        let mut runs: Vec<&str> = kept.brackets.iter().map(|bracket| bracket.run.as_str()).collect();
        runs.dedup();
        for run in runs {
            let open: Vec<&kept::OpenBracket> = kept.brackets.iter().filter(|b| b.run == run).collect();
            let names: Vec<String> = open.iter().map(|bracket| format!("`{}`", bracket.state)).collect();
            self.warn(format!("{} of run {run} was still open, and is left now", names.join(", ")));
            for job in kept.jobs.iter().filter(|job| job.run == run && job.stage == kept::Stage::Running) {
                self.await_job(job)?;
            }
            let reply = self.surely(bracket::leave(run, 0))?;
            if !reply.ok() {
                let message = format!("{} of run {run} cannot be left: {}", names.join(", "), said(&reply));
                return Err(Broken { message, end: End::Lost });
            }
            self.host.facts.forget(&crate::Touch::Anything);
        }
        Ok(())
    }
}

/// What a restoring script says that it brought back.
fn restored(stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stdout);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() { "restored".to_owned() } else { lines.join("\n") }
}
