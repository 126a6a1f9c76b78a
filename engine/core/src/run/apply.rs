//! Making: steps go out in Salt's order, those that cannot disturb each other together, and each is proved by asking
//! again in the same round trip.

use std::collections::HashSet;

use super::brackets::{Around, Brackets};
use super::decide::{Decision, Reaction, decide, listened};
use super::durable::is_done;
use super::group::Member;
use super::observe::{Host, ahead};
use super::records::{Record, Records, Standing};
use super::{Broken, End, HostRun};
use crate::{Event, Outcome, StateReport, Stop};

pub(super) fn walk(run: &HostRun<'_>, host: &mut Host<'_>) -> (Vec<StateReport>, Option<Broken>) {
    let records = Records::new(run.plan.states.len());
    let (group, deferred, noted, brackets) = Default::default();
    let mut making = Making { run, host, records, group, deferred, noted, brackets, jobs_started: 0 };
    let mut broken = making.walk().and_then(|()| making.put_down()).err();
    if let Some(broken) = &mut broken
        && let Some(note) = making.leave_all(broken)
    {
        broken.message = format!("{}; {note}", broken.message);
    }
    let reports = making.finish(broken.as_ref());
    (reports, broken)
}

pub(super) struct Making<'r, 'h, 't> {
    pub(super) run: &'r HostRun<'r>,
    pub(super) host: &'h mut Host<'t>,
    pub(super) records: Records,
    /// States whose steps go out together.
    pub(super) group: Vec<Member>,
    /// States that failed, but may hold when others are made.
    pub(super) deferred: Vec<usize>,
    /// States of which this run has written down that they owe a refresh.
    pub(super) noted: HashSet<usize>,
    pub(super) brackets: Brackets,
    /// How many durable commands this run has begun.
    pub(super) jobs_started: usize,
}

/// Why a state has failed that had begun when the run ended.
const UNFINISHED: &str = "it was being made when the run ended; its result is unknown";

impl Making<'_, '_, '_> {
    fn walk(&mut self) -> Result<(), Broken> {
        let ended = self.walk_states();
        if let Err(Broken { end: End::Lost | End::Interrupted | End::Ousted | End::Refused, .. }) = &ended {
            return ended;
        }
        self.leave_before(self.run.plan.states.len())?;
        // Salt: listeners react after a `failhard` as well.
        self.listen()?;
        ended
    }

    fn walk_states(&mut self) -> Result<(), Broken> {
        let plan = self.run.plan;
        self.run.event(Event::Asking {
            questions: plan.states.iter().map(|state| state.questions().len()).sum(),
        });
        self.patiently(|making| making.host.observe(&plan.states))?;
        self.refuse_moved()?;
        self.refuse_held()?;
        self.close_old()?;
        for index in 0..plan.states.len() {
            self.check_interrupt()?;
            self.leave_before(index)?;
            if plan.graph.chunks()[index].argument("order").and_then(crate::Node::text) == Some("last") {
                self.try_deferred()?;
            }
            if plan.graph.is_bracket(index) {
                self.take_bracket(index)?;
                continue;
            }
            let decision = self.decide_inside(index)?;
            match decision {
                Ok(Decision::Act(steps)) => {
                    if self.group.iter().any(|member| member.is_disturbed_by(&steps)) {
                        self.flush()?;
                    }
                    self.enlist(self.member(index, steps));
                    if self.is_complete() {
                        self.flush()?;
                    }
                }
                other => self.rest(index, other),
            }
            if let Some(message) = self.records.failhard(self.run, index) {
                // What came before it is made all the same.
                self.flush()?;
                return Err(Broken { message, end: End::Failhard });
            }
        }
        self.flush()?;
        self.try_deferred()
    }

    /// Gives states that failed, but may hold by now, their second chance.
    fn try_deferred(&mut self) -> Result<(), Broken> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        self.flush()?;
        for index in std::mem::take(&mut self.deferred) {
            let plan = self.run.plan;
            for question in plan.states[index].questions() {
                self.host.facts.unlearn(&question);
            }
            match self.decide(index)? {
                Ok(Decision::Act(steps)) => {
                    self.enlist(Member { again: true, ..self.member(index, steps) });
                    self.flush()?;
                }
                Ok(Decision::Rest(None)) => {
                    let reason = Some("it did not hold in its turn, but does by what came after".to_owned());
                    let record = Record::new(&plan.graph.chunks()[index], Outcome::Changed, reason);
                    self.put(index, record);
                }
                other => self.rest(index, other),
            }
        }
        Ok(())
    }

    /// Decides on a state, and enters what is around it if it acts.
    fn decide_inside(&mut self, index: usize) -> Result<Result<Decision, Stop>, Broken> {
        let decision = self.decide(index)?;
        let Ok(Decision::Act(steps)) = &decision else { return Ok(decision) };
        if is_done(&self.host.facts, &self.run.plan.graph.chunks()[index], steps) {
            return Ok(decision);
        }
        match self.enter_around(index)? {
            Around::Nothing => Ok(decision),
            Around::Entered => self.decide(index),
            Around::Refused(reason) => Ok(Ok(Decision::Unmet(reason))),
        }
    }

    /// Decides on a state; waits for the group where the decision hangs on it.
    pub(super) fn decide(&mut self, index: usize) -> Result<Result<Decision, Stop>, Broken> {
        loop {
            let run = self.run;
            let decision = self.patiently(|making| {
                making.host.settle(
                    |facts| ahead(&run.plan.states, index + 1, facts),
                    |facts| decide(run, index, facts, &making.records, None),
                )
            })?;
            match decision {
                Err(Stop::UnderWay) if !self.group.is_empty() => self.flush()?,
                settled => return Ok(settled),
            }
        }
    }

    /// Records a state that has nothing to do.
    pub(super) fn rest(&mut self, index: usize, decision: Result<Decision, Stop>) {
        let chunk = &self.run.plan.graph.chunks()[index];
        let record = match decision {
            Ok(Decision::Act(_)) => return,
            Ok(Decision::Held(steps, holds)) => return self.hold_back(index, &steps, holds),
            Ok(Decision::Rest(reason)) => {
                let resource = &self.run.plan.states[index].resource;
                let remark = if reason.is_none() { resource.remark(&self.host.facts) } else { None };
                let reason = self.see_left(index).or(reason);
                Record::new(chunk, Outcome::Unchanged, reason).with_remark(remark)
            }
            Ok(Decision::NotAsked(reason)) => Record::not_asked(chunk, Outcome::Skipped, reason),
            Ok(Decision::Unmet(reason) | Decision::Barred(reason)) => Record::unmet(chunk, reason),
            Err(stop) => Record::new(chunk, Outcome::Failed, Some(stop.to_string())),
        };
        if record.standing == Standing::Met {
            match record.ran() {
                // A listener has its turn to react yet.
                true if !self.is_listener(index) => self.strike_owed(index),
                true => {}
                false => self.strike_unasked(index),
            }
        }
        self.put(index, record);
    }

    pub(super) fn put(&mut self, index: usize, record: Record) {
        let record = record.masked(&self.run.plan.secrets);
        self.run.event(Event::Finished(Box::new(record.report.clone())));
        self.records.put(index, record);
    }

    pub(super) fn is_deferred(&self, index: usize) -> bool {
        self.deferred.contains(&index)
    }

    /// Leaves a failure for later. Until then it counts as one.
    pub(super) fn defer(&mut self, index: usize, record: Record) {
        let record = record.masked(&self.run.plan.secrets);
        let reason = record.report.reason.clone().unwrap_or_default();
        self.run.event(Event::Deferred { state: self.id(index), reason });
        self.records.put(index, record);
        self.deferred.push(index);
    }

    /// Listeners react once each, after everything else.
    fn listen(&mut self) -> Result<(), Broken> {
        let run = self.run;
        let changed = self.records.changed();
        for index in run.plan.graph.listeners() {
            let reaction = self.patiently(|making| {
                making
                    .host
                    .settle(|_| Vec::new(), |facts| listened(run, index, facts, &making.records, &changed))
            })?;
            if let Ok(Reaction::Act(steps)) = reaction {
                self.enlist(Member { again: true, ..self.member(index, steps) });
                self.flush()?;
            }
            if self.records.get(index).is_some_and(|record| record.standing == Standing::Met) {
                self.strike_owed(index);
            }
        }
        Ok(())
    }

    pub(super) fn id(&self, index: usize) -> String {
        self.run.plan.secrets.mask_name(&self.run.plan.graph.chunks()[index].id)
    }

    pub(super) fn check_interrupt(&self) -> Result<(), Broken> {
        if self.run.interrupt.is_raised() { Err(Broken::interrupted()) } else { Ok(()) }
    }

    /// The reports; what has not had its turn is skipped.
    fn finish(mut self, broken: Option<&Broken>) -> Vec<StateReport> {
        if let Some(broken) = broken {
            let reason = match broken.end {
                End::Interrupted => "interrupted before its turn",
                End::Ousted => "the run ended before its turn",
                End::Lost | End::Overdue => "the run ended before its turn",
                End::Failhard | End::Refused => broken.message.as_str(),
            };
            for index in 0..self.run.plan.states.len() {
                if self.records.get(index).is_none() {
                    let chunk = &self.run.plan.graph.chunks()[index];
                    let waits = self.group.iter().any(|member| member.index == index);
                    let record = match self.records.is_under_way(index) && !waits {
                        true => Record::new(chunk, Outcome::Failed, Some(UNFINISHED.into())),
                        false => Record::unmet(chunk, reason.into()),
                    };
                    let mut record = record.masked(&self.run.plan.secrets);
                    // The state for which all is refused is what people have to see.
                    record.report.asked = broken.end != End::Refused;
                    self.records.put(index, record);
                }
            }
        }
        self.records.into_reports()
    }
}
