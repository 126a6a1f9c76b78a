//! Making: steps go out in Salt's order, those that cannot disturb each other together, and each is proved by asking
//! again in the same round trip.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::brackets::{Around, Brackets};
use super::decide::{Decision, decide, listened};
use super::durable::is_done;
use super::observe::{Host, ahead};
use super::records::{Record, Records, Standing};
use super::{Broken, End, HostRun};
use crate::kept::{self, Kept};
use crate::question::Answer;
use crate::{
    Event, ExchangeCause, ExchangeError, Facts, Hold, Job, Operation, Outcome, Output, Question, Reply,
    RequisiteKind, Run, StateReport, Step, Stop, Touch,
};

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
    group: Vec<Member>,
    /// States that failed, but may hold when others are made.
    deferred: Vec<usize>,
    /// States of which this run has written down that they owe a refresh.
    noted: HashSet<usize>,
    pub(super) brackets: Brackets,
    /// How many durable commands this run has begun.
    pub(super) jobs_started: usize,
}

/// A state with steps.
struct Member {
    index: usize,
    steps: Vec<Step>,
    /// What is asked to prove it.
    questions: Vec<Question>,
    /// Holds that somebody has let pass.
    passed: Vec<Hold>,
    /// What went wrong with one of its steps.
    failure: Option<String>,
    /// It has had its turn.
    again: bool,
    /// What else there is to say about it.
    note: Option<String>,
    /// How often the connection was lost while it was made.
    losses: u32,
}

impl Member {
    /// The command of its step that runs apart from the connection. Such a state is alone in its group.
    fn durable(&self, wave: usize) -> Option<Run> {
        self.steps.get(wave).and_then(|step| step.operation.durable()).cloned()
    }

    /// Takes the reply to one of its steps.
    fn take(&mut self, wave: usize, reply: &Reply) {
        let step = &self.steps[wave];
        if !step.operation.succeeded(reply.status) {
            self.failure = Some(failure(step, reply));
        } else if matches!(&step.operation, Operation::Run(run) if run.tells) {
            let told = String::from_utf8_lossy(&reply.stdout).trim().to_owned();
            self.note = Some(told).filter(|told| !told.is_empty());
        }
    }

    /// Whether these later steps cannot go out along with this state: they would change what proves it, or come before
    /// its last step.
    fn is_disturbed_by(&self, later: &[Step]) -> bool {
        let would_overtake =
            self.steps.len() > 1 && !(touch_only_files(&self.steps) && touch_only_files(later));
        if self.steps.iter().chain(later).any(|step| step.operation.durable().is_some()) {
            return true;
        }
        let touches: Vec<Touch> = later.iter().flat_map(|step| step.operation.touches()).collect();
        let is_touched = |question: &Question| touches.iter().any(|touch| question.is_touched_by(touch));
        would_overtake || self.questions.iter().any(is_touched)
    }
}

fn touch_only_files(steps: &[Step]) -> bool {
    let mut touches = steps.iter().flat_map(|step| step.operation.touches());
    touches.all(|touch| matches!(touch, Touch::Path(_) | Touch::Above(_)))
}

/// An exchange that was not answered to its end.
struct Lost {
    error: ExchangeError,
    /// The place in the group of each job.
    of_member: Vec<usize>,
}

/// How often a state or a question may lose the connection: it may be what cuts it.
const LOSSES: u32 = 3;

/// What one exchange carries at most.
const GROUP_BYTES: usize = 8 << 20;

impl Making<'_, '_, '_> {
    fn walk(&mut self) -> Result<(), Broken> {
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
            let failhard = plan.states[index].conditions.failhard;
            match decision {
                Ok(Decision::Act(steps)) => {
                    if self.group.iter().any(|member| member.is_disturbed_by(&steps)) {
                        self.flush()?;
                    }
                    let is_durable = steps.iter().any(|step| step.operation.durable().is_some());
                    self.enlist(self.member(index, steps));
                    if failhard || is_durable || self.is_alone(index) || self.group_bytes() > GROUP_BYTES {
                        self.flush()?;
                    }
                }
                other => self.rest(index, other),
            }
            if failhard && self.records.get(index).is_some_and(|r| r.report.outcome == Outcome::Failed) {
                let id = &plan.graph.chunks()[index].id;
                let message = format!("`{id}` failed, and it is `failhard`");
                return Err(Broken { message, end: End::Failhard });
            }
        }
        self.flush()?;
        self.try_deferred()?;
        self.leave_before(plan.states.len())?;
        self.listen()
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
                    |facts| decide(run, index, facts, &making.records),
                )
            })?;
            match decision {
                Err(Stop::UnderWay) if !self.group.is_empty() => self.flush()?,
                settled => return Ok(settled),
            }
        }
    }

    fn member(&self, index: usize, steps: Vec<Step>) -> Member {
        let questions = self.run.plan.states[index].resource.questions();
        let passed = self.run.holds(index, &self.host.facts);
        Member { index, steps, questions, passed, failure: None, again: false, note: None, losses: 0 }
    }

    /// From now on a state is being made.
    fn enlist(&mut self, member: Member) {
        self.records.begin(member.index);
        self.host.facts.begin(member.steps.iter().flat_map(|step| step.operation.touches()));
        self.group.push(member);
    }

    /// Whether its outcome has to be known before anything else goes out.
    fn is_alone(&self, index: usize) -> bool {
        let conditions = &self.run.plan.states[index].conditions;
        conditions.retry.is_some() || !conditions.check.is_empty()
    }

    fn group_bytes(&self) -> usize {
        let bytes = |step: &Step| match &step.operation {
            Operation::Write(write) => write.bytes.len(),
            _ => 0,
        };
        self.group.iter().flat_map(|member| &member.steps).map(bytes).sum()
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
        // A listener has its turn to react yet.
        let is_listener = !self.run.plan.graph.targets(index, RequisiteKind::Listen).is_empty();
        if record.standing == Standing::Met && !is_listener {
            self.strike_owed(index);
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
    fn defer(&mut self, index: usize, record: Record) {
        let record = record.masked(&self.run.plan.secrets);
        let reason = record.report.reason.clone().unwrap_or_default();
        self.run.event(Event::Deferred { state: self.id(index), reason });
        self.records.put(index, record);
        self.deferred.push(index);
    }

    /// Makes the group: the first steps of all in one exchange, then the second ones of those that have any, and the
    /// proof along with the last.
    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        let mut group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let ids = group.iter().map(|member| self.id(member.index)).collect();
        self.run.event(Event::Making { states: ids });
        self.note_owed(&group);
        self.host.facts.settle();
        let waves = group.iter().map(|member| member.steps.len()).max().unwrap_or_default();
        for wave in 0..waves {
            let questions = if wave + 1 == waves { self.proof_questions(&group) } else { Vec::new() };
            if let Some(durable) = group[0].durable(wave) {
                self.make_durable(&mut group[0], wave, &durable)?;
                self.patiently(|making| making.host.ask(questions.clone()))?;
            } else if let Err(lost) = self.make(&mut group, wave, questions) {
                return self.resume(group, wave, lost, started);
            }
        }
        for member in group {
            let (index, again) = (member.index, member.again);
            let record = self.prove(member, started)?;
            let failed = record.report.outcome == Outcome::Failed;
            if record.report.outcome == Outcome::Changed {
                self.strike_owed(index);
            }
            if failed && !again && self.run.plan.states[index].resource.may_hold_later() {
                self.defer(index, record);
            } else {
                self.put(index, record);
            }
        }
        Ok(())
    }

    /// The steps of one wave in one exchange.
    fn make(&mut self, group: &mut [Member], wave: usize, questions: Vec<Question>) -> Result<(), Lost> {
        let mut jobs = Vec::new();
        let mut of_member = Vec::new();
        for (place, member) in group.iter().enumerate() {
            let step = member.steps.get(wave).filter(|_| member.failure.is_none());
            if let Some(job) = step.and_then(|step| step.operation.job()) {
                jobs.push(job);
                of_member.push(place);
            }
        }
        let replies = match self.send(group, wave, &jobs, &of_member, questions) {
            Ok(replies) => replies,
            Err(error) => return Err(Lost { error, of_member }),
        };
        for (place, reply) in of_member.iter().zip(&replies) {
            group[*place].take(wave, reply);
        }
        Ok(())
    }

    fn make_durable(&mut self, member: &mut Member, wave: usize, run: &Run) -> Result<(), Broken> {
        if member.failure.is_none() {
            let outcome = self.durable(member.index, run)?;
            member.take(wave, &outcome.reply);
            member.note = outcome.note;
        }
        Ok(())
    }

    /// Has written down what the changes of a group ask of other states, before they are made.
    fn note_owed(&mut self, group: &[Member]) {
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

    /// Sends what is left to be written down, and tells what could not be.
    fn put_down(&mut self) -> Result<(), Broken> {
        // Pressed while the last state was made: it is done, and the caller is told all the same.
        let interrupted = self.check_interrupt();
        self.patiently(|making| making.host.run_errands())?;
        for complaint in std::mem::take(&mut self.host.complaints) {
            self.run
                .event(Event::Warning(format!("the host could not write down what it owes: {complaint}")));
        }
        interrupted
    }

    /// A state that has had its turn and is as declared owes nothing any more.
    fn strike_owed(&mut self, index: usize) {
        let chunk = &self.run.plan.graph.chunks()[index];
        let Ok(kept) = self.host.facts.kept() else { return };
        let left = kept.without(chunk);
        if self.noted.remove(&index) || left != *kept {
            self.host.errand(kept::owed::strike(chunk));
            self.host.facts.learn(Question::Kept, Ok(Answer::Kept(Box::new(left))));
        }
    }

    /// What has to be asked again to prove the group, and what the next states ask.
    fn proof_questions(&self, group: &[Member]) -> Vec<Question> {
        let states = &self.run.plan.states;
        let mut questions: Vec<_> = group.iter().flat_map(|member| member.questions.clone()).collect();
        if let Some(last) = group.last() {
            questions.extend(ahead(states, last.index + 1, &self.host.facts));
        }
        questions
    }

    fn send(
        &mut self,
        group: &[Member],
        wave: usize,
        jobs: &[Job],
        of_member: &[usize],
        questions: Vec<Question>,
    ) -> Result<Vec<Reply>, ExchangeError> {
        let run = self.run;
        let mut lines = Lines::default();
        let hidden = |job: usize| match of_member.get(job).map(|place| &group[*place].steps[wave].operation) {
            Some(Operation::Run(run)) => run.hide_output,
            Some(_) => false,
            None => true,
        };
        self.host.exchange(jobs, questions, &mut |output: Output<'_>| {
            if !hidden(output.job) {
                lines.take(output.bytes, |line| {
                    run.event(Event::Output { line: run.plan.secrets.mask(line) })
                });
            }
        })
    }

    /// Asks the states again: there must be nothing left to do.
    fn prove(&mut self, member: Member, started: Instant) -> Result<Record, Broken> {
        let plan = self.run.plan;
        let (index, chunk) = (member.index, &plan.graph.chunks()[member.index]);
        let changes: Vec<_> = member.steps.iter().flat_map(|step| step.changes.clone()).collect();
        let done = |outcome, reason: Option<String>| {
            let mut record = Record::new(chunk, outcome, reason).with_changes(changes.clone());
            record.report.duration = started.elapsed();
            record
        };
        let failure = match member.failure {
            Some(reason) => Some(reason),
            None => self.difference(index)?,
        };
        let failure = match failure {
            Some(reason) => Some(reason),
            None => self.checks(index)?,
        };
        match failure {
            None => Ok(done(Outcome::Changed, member.note).with_holds(member.passed)),
            Some(reason) => match plan.states[index].conditions.retry {
                Some(retry) => self.again(index, retry, reason, started),
                None => Ok(done(Outcome::Failed, Some(reason))),
            },
        }
    }

    /// What still differs, after the steps.
    fn difference(&mut self, index: usize) -> Result<Option<String>, Broken> {
        let state = &self.run.plan.states[index];
        let left = self.settle(|facts| state.resource.diff(facts))?;
        let differs = !matches!(&left, Ok(steps) if steps.iter().all(|step| step.always));
        if differs && state.conditions.is_guarded() {
            // A guard that now keeps the state back is as good a proof.
            let held = self.settle(|facts| state.conditions.hold(facts))?;
            if matches!(held, Ok(Some(_))) {
                return Ok(None);
            }
        }
        Ok(match left {
            Ok(steps) if steps.iter().all(|step| step.always) => None,
            Ok(steps) => {
                let left: Vec<String> =
                    steps.iter().flat_map(|s| &s.changes).map(ToString::to_string).collect();
                Some(format!("applied, but still differs: {}", left.join("; ")))
            }
            Err(stop) => Some(format!("applied, but cannot be proved: {stop}")),
        })
    }

    /// `check_cmd`: each must succeed.
    fn checks(&mut self, index: usize) -> Result<Option<String>, Broken> {
        let commands = &self.run.plan.states[index].conditions.check;
        if commands.is_empty() {
            return Ok(None);
        }
        let jobs: Vec<Job> = commands.iter().map(crate::Command::job).collect();
        let replies = self.patiently(|making| making.host.exchange(&jobs, Vec::new(), &mut |_| {}))?;
        Ok(commands
            .iter()
            .zip(&replies)
            .find(|(_, reply)| !reply.ok())
            .map(|(command, reply)| format!("`check_cmd` failed: {command}: {}", said(reply))))
    }

    /// Tries a failed state again, as its `retry` says.
    fn again(
        &mut self,
        index: usize,
        retry: crate::conditions::Retry,
        mut reason: String,
        started: Instant,
    ) -> Result<Record, Broken> {
        let chunk = &self.run.plan.graph.chunks()[index];
        let mut changes = Vec::new();
        for attempt in 2..=retry.attempts {
            let state = self.id(index);
            self.run.event(Event::Retrying {
                state,
                attempt,
                of: retry.attempts,
                reason: self.run.plan.secrets.mask(&reason),
            });
            self.wait(retry.interval)?;
            self.host.facts.forget(&Touch::Anything);
            let resource = &self.run.plan.states[index].resource;
            let steps = self.settle(|facts| resource.diff(facts))?;
            let outcome = match steps {
                Err(stop) => Some(stop.to_string()),
                Ok(steps) => self.once_more(index, steps, &mut changes)?,
            };
            match outcome {
                Some(again) => reason = again,
                None => {
                    let mut record = Record::new(chunk, Outcome::Changed, None).with_changes(changes);
                    record.report.duration = started.elapsed();
                    return Ok(record);
                }
            }
        }
        let mut record = Record::new(
            chunk,
            Outcome::Failed,
            Some(format!("{reason} (after {} attempts)", retry.attempts)),
        );
        record.report.duration = started.elapsed();
        Ok(record.with_changes(changes))
    }

    fn once_more(
        &mut self,
        index: usize,
        steps: Vec<Step>,
        changes: &mut Vec<crate::Change>,
    ) -> Result<Option<String>, Broken> {
        *changes = steps.iter().flat_map(|step| step.changes.clone()).collect();
        for step in &steps {
            let Some(job) = step.operation.job() else { continue };
            let replies =
                self.host.exchange(&[job], Vec::new(), &mut |_| {}).map_err(|e| Broken::asking(&e))?;
            for touch in step.operation.touches() {
                self.host.facts.forget(&touch);
            }
            if let Some(reply) = replies.first().filter(|reply| !step.operation.succeeded(reply.status)) {
                return Ok(Some(failure(step, reply)));
            }
        }
        match self.difference(index)? {
            None => self.checks(index),
            differs => Ok(differs),
        }
    }

    fn wait(&mut self, interval: Duration) -> Result<(), Broken> {
        let until = Instant::now() + interval;
        while Instant::now() < until {
            self.check_interrupt()?;
            self.patiently(|making| making.host.keep_alive())?;
            std::thread::sleep(
                Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())),
            );
        }
        Ok(())
    }

    /// Listeners react once each, after everything else.
    fn listen(&mut self) -> Result<(), Broken> {
        for index in 0..self.run.plan.states.len() {
            if self.run.plan.graph.targets(index, RequisiteKind::Listen).is_empty() {
                continue;
            }
            let run = self.run;
            let steps = self.patiently(|making| {
                making.host.settle(|_| Vec::new(), |facts| listened(run, index, facts, &making.records))
            })?;
            if let Ok(steps) = steps
                && !steps.is_empty()
            {
                self.enlist(Member { again: true, ..self.member(index, steps) });
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn id(&self, index: usize) -> String {
        self.run.plan.secrets.mask(&self.run.plan.graph.chunks()[index].id)
    }

    fn check_interrupt(&self) -> Result<(), Broken> {
        if self.run.interrupt.is_raised() { Err(Broken::interrupted()) } else { Ok(()) }
    }

    /// The connection broke in the middle of a group. Over another one, what was running is awaited, and what is not as
    /// declared by then is made again.
    fn resume(
        &mut self,
        group: Vec<Member>,
        wave: usize,
        lost: Lost,
        started: Instant,
    ) -> Result<(), Broken> {
        let Lost { error, of_member } = lost;
        let running = error.running.and_then(|job| of_member.get(job)).copied();
        let broken = Broken::making(&error, running.map(|place| self.id(group[place].index)).as_deref());
        let too_often = group.iter().any(|member| member.losses >= LOSSES);
        if broken.end != End::Lost || too_often {
            return Err(self.lost(group, wave, &of_member, error, started));
        }
        if let Err(broken) = self.reconnect(&broken) {
            self.lost(group, wave, &of_member, error, started);
            return Err(broken);
        }
        let mut again = Vec::new();
        for (place, mut member) in group.into_iter().enumerate() {
            let reply = of_member.iter().position(|p| *p == place).and_then(|job| error.done.get(job));
            if let Some(reply) = reply {
                member.take(wave, reply);
            }
            let is_done = reply.is_some() && wave + 1 >= member.steps.len();
            let is_always = member.steps.iter().any(|step| step.always);
            if member.failure.is_none() && running == Some(place) && is_always {
                member.failure =
                    Some(format!("it was running when {}; nobody saw how it ended", error.cause));
            }
            let settled = member.failure.is_some()
                || (is_done && is_always)
                || self.difference(member.index)?.is_none();
            if settled {
                let index = member.index;
                let record = self.prove(member, started)?;
                self.strike_owed(index);
                self.put(index, record);
            } else {
                again.push((member.index, member.again, member.losses + 1));
            }
        }
        for (index, again, losses) in again {
            match self.decide(index)? {
                Ok(Decision::Act(steps)) => {
                    self.enlist(Member { again, losses, ..self.member(index, steps) });
                    self.flush()?;
                }
                other => self.rest(index, other),
            }
        }
        Ok(())
    }

    /// Another connection in place of the one that was lost; what still runs over the old one is awaited.
    pub(super) fn reconnect(&mut self, broken: &Broken) -> Result<(), Broken> {
        let lost = |message: String| Broken { message, end: broken.end };
        if broken.end != End::Lost {
            return Err(lost(broken.message.clone()));
        }
        self.host.line.reconnect(self.run, broken).map_err(lost)?;
        if let Some(claim) = self.run.claim {
            let taken = self.surely(claim.take())?;
            if !taken.ok() {
                self.host.token = None;
                return Err(Broken::ousted());
            }
        }
        let Ok(kept) = self.host.facts.kept().cloned() else { return Ok(()) };
        let awaited = self.surely(kept::run::await_end(&kept.shells))?;
        let shells = String::from_utf8_lossy(&awaited.stdout).trim().to_owned();
        self.host.facts.learn(Question::Kept, Ok(Answer::Kept(Box::new(Kept { shells, ..kept }))));
        Ok(())
    }

    /// Does what may be done again, over another connection if need be.
    fn patiently<T>(
        &mut self,
        mut act: impl FnMut(&mut Self) -> Result<T, ExchangeError>,
    ) -> Result<T, Broken> {
        let mut losses = 0;
        loop {
            let broken = match act(self) {
                Ok(done) => return Ok(done),
                Err(error) => Broken::asking(&error),
            };
            losses += 1;
            if losses > LOSSES {
                return Err(broken);
            }
            self.reconnect(&broken)?;
        }
    }

    /// Calls `look` until it has what it asks for.
    pub(super) fn settle<T>(
        &mut self,
        look: impl Fn(&Facts) -> Result<T, Stop>,
    ) -> Result<Result<T, Stop>, Broken> {
        self.patiently(|making| making.host.settle(|_| Vec::new(), &look))
    }

    /// The connection broke in the middle of a group: says of each state whether it was made, was running, or had not
    /// begun.
    fn lost(
        &mut self,
        group: Vec<Member>,
        wave: usize,
        of_member: &[usize],
        error: ExchangeError,
        started: Instant,
    ) -> Broken {
        let running = error.running.and_then(|job| of_member.get(job)).copied();
        let mut running_id = None;
        for (place, member) in group.into_iter().enumerate() {
            let chunk = &self.run.plan.graph.chunks()[member.index];
            let job = of_member.iter().position(|p| *p == place);
            let reply = job.and_then(|job| error.done.get(job));
            let failed = reply.filter(|reply| !member.steps[wave].operation.succeeded(reply.status));
            let changes = member.steps.iter().flat_map(|step| step.changes.clone()).collect();
            let record = if let Some(reason) =
                member.failure.or_else(|| failed.map(|reply| failure(&member.steps[wave], reply)))
            {
                Record::new(chunk, Outcome::Failed, Some(reason))
            } else if running == Some(place) {
                running_id = Some(chunk.id.clone());
                let reason = format!("it was running when {}; nobody saw how it ended", error.cause);
                Record::new(chunk, Outcome::Failed, Some(reason))
            } else if reply.is_some() && wave + 1 >= member.steps.len() {
                Record::new(
                    chunk,
                    Outcome::Changed,
                    Some("done, but not proved: the connection was lost".into()),
                )
            } else if reply.is_some() {
                Record::new(chunk, Outcome::Failed, Some("done in part when the connection was lost".into()))
            } else {
                Record::unmet(chunk, "not begun: the connection was lost".into())
            };
            let mut record = record.with_changes(changes);
            record.report.duration = started.elapsed();
            self.put(member.index, record);
        }
        Broken::making(&error, running_id.as_deref())
    }

    /// The reports; what has not had its turn is skipped.
    fn finish(mut self, broken: Option<&Broken>) -> Vec<StateReport> {
        if let Some(broken) = broken {
            let reason = match broken.end {
                End::Interrupted => "interrupted before its turn",
                End::Ousted => "the run ended before its turn",
                End::Lost => "the run ended before its turn",
                End::Failhard | End::Refused => broken.message.as_str(),
            };
            for index in 0..self.run.plan.states.len() {
                if self.records.get(index).is_none() {
                    let chunk = &self.run.plan.graph.chunks()[index];
                    let mut record = Record::unmet(chunk, reason.into()).masked(&self.run.plan.secrets);
                    // The state for which all is refused is what people have to see.
                    record.report.asked = broken.end != End::Refused;
                    self.records.put(index, record);
                }
            }
        }
        self.records.into_reports()
    }
}

pub(super) fn failure(step: &Step, reply: &Reply) -> String {
    let what = match &step.operation {
        Operation::Run(run) => format!("`{}` ", run.command),
        _ => String::new(),
    };
    if let Operation::Run(run) = &step.operation
        && run.hide_output
    {
        return format!("{what}ended with status {}", reply.status);
    }
    format!("{what}{}", said(reply))
}

/// How a command ended, with the last it said.
pub(super) fn said(reply: &Reply) -> String {
    let tail = crate::question::Ended::of(reply).tail(5);
    let status = match reply.status {
        124 => "ran into its timeout".to_owned(),
        signal @ 129..=192 => format!("was ended by signal {}", signal - 128),
        status => format!("ended with status {status}"),
    };
    if tail.is_empty() { status } else { format!("{status}: {tail}") }
}

/// Bytes as they come, line by line.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn take(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let rest = self.rest.split_off(end + 1);
            let text = String::from_utf8_lossy(&self.rest[..end]).trim_end().to_owned();
            self.rest = rest;
            if !text.is_empty() {
                line(&text);
            }
        }
    }
}

impl Broken {
    pub(super) fn interrupted() -> Self {
        Broken { message: "interrupted".into(), end: End::Interrupted }
    }

    fn ousted() -> Self {
        Broken { message: ExchangeCause::Ousted.to_string(), end: End::Ousted }
    }

    pub(super) fn asking(error: &ExchangeError) -> Self {
        match error.cause {
            ExchangeCause::Interrupted => Broken::interrupted(),
            ExchangeCause::Ousted => Broken::ousted(),
            _ => Broken {
                message: format!("{error}, while the host was asked; nothing was running"),
                end: End::Lost,
            },
        }
    }

    fn making(error: &ExchangeError, running: Option<&str>) -> Self {
        let running = match running {
            Some(id) => format!("while `{id}` was running"),
            None => "between two changes".to_owned(),
        };
        let end = match error.cause {
            ExchangeCause::Interrupted => End::Interrupted,
            ExchangeCause::Ousted => return Broken::ousted(),
            _ => End::Lost,
        };
        Broken { message: format!("{error} {running}"), end }
    }
}
