//! States whose steps go out together: made in one exchange, and proved in the same round trip.

use std::time::Instant;

use super::Broken;
use super::apply::Making;
use super::loss::Lost;
use super::observe::ahead;
use super::records::Record;
use super::said::{Lines, failure, printed, said};
use crate::{
    Command, Event, ExchangeError, Hold, Job, Operation, Outcome, Output, Printed, Question, Reply, Run,
    Step, Touch,
};

/// A state with steps.
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) steps: Vec<Step>,
    /// What is asked to prove it.
    pub(super) questions: Vec<Question>,
    /// Holds that somebody has let pass.
    pub(super) passed: Vec<Hold>,
    /// What went wrong with one of its steps.
    pub(super) failure: Option<String>,
    /// It has had its turn.
    pub(super) again: bool,
    /// One of its steps has been made, or is a command, which may have changed something before it failed.
    pub(super) has_acted: bool,
    /// What else there is to say about it.
    pub(super) note: Option<String>,
    /// How often the connection was lost while it was made.
    pub(super) losses: u32,
    /// The output of its commands.
    pub(super) printed: Vec<Printed>,
}

impl Member {
    /// The command of its step that runs apart from the connection. Such a state is alone in its group.
    pub(super) fn durable(&self, wave: usize) -> Option<Run> {
        self.steps.get(wave).and_then(|step| step.operation.durable()).cloned()
    }

    /// Takes the reply to one of its steps.
    pub(super) fn take(&mut self, wave: usize, reply: &Reply) {
        let step = &self.steps[wave];
        self.printed.extend(printed(step, reply));
        let is_command = matches!(step.operation, Operation::Run(_));
        self.has_acted |= is_command || step.operation.succeeded(reply.status);
        if !step.operation.succeeded(reply.status) {
            self.failure = Some(failure(step, reply));
        } else if matches!(&step.operation, Operation::Run(run) if run.tells) {
            let told = String::from_utf8_lossy(&reply.stdout).trim().to_owned();
            self.note = Some(told).filter(|told| !told.is_empty());
        }
    }

    /// Whether these later steps cannot go out along with this state: they would change what proves it, or come before
    /// its last step.
    pub(super) fn is_disturbed_by(&self, later: &[Step]) -> bool {
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

/// What one exchange carries at most.
const GROUP_BYTES: usize = 8 << 20;

impl Making<'_, '_, '_> {
    pub(super) fn member(&self, index: usize, steps: Vec<Step>) -> Member {
        let questions = self.run.plan.states[index].resource.questions();
        let passed = self.run.holds(index, &self.host.facts);
        Member {
            index,
            steps,
            questions,
            passed,
            failure: None,
            again: false,
            has_acted: false,
            note: None,
            losses: 0,
            printed: Vec::new(),
        }
    }

    /// From now on a state is being made.
    pub(super) fn enlist(&mut self, member: Member) {
        self.records.begin(member.index);
        self.host.facts.begin(member.steps.iter().flat_map(|step| step.operation.touches()));
        self.group.push(member);
    }

    /// Whether the group goes out before another state joins it: it is large, or the outcome of the last state that has joined
    /// has to be known first.
    pub(super) fn is_complete(&self) -> bool {
        let bytes = |step: &Step| match &step.operation {
            Operation::Write(write) => write.bytes.len(),
            _ => 0,
        };
        let steps = self.group.iter().flat_map(|member| &member.steps);
        steps.map(bytes).sum::<usize>() > GROUP_BYTES
            || self.group.last().is_some_and(|last| self.is_awaited(last))
    }

    fn is_awaited(&self, member: &Member) -> bool {
        let conditions = &self.run.plan.states[member.index].conditions;
        let is_durable = member.steps.iter().any(|step| step.operation.durable().is_some());
        is_durable || conditions.failhard || conditions.retry.is_some() || !conditions.check.is_empty()
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
                self.strike_done(index);
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
    pub(super) fn prove(&mut self, member: Member, started: Instant) -> Result<Record, Broken> {
        let plan = self.run.plan;
        let (index, chunk) = (member.index, &plan.graph.chunks()[member.index]);
        let changes: Vec<_> = member.steps.iter().flat_map(|step| step.changes.clone()).collect();
        let done = |outcome, reason: Option<String>| {
            let mut record = Record::new(chunk, outcome, reason).with_changes(changes.clone());
            record.report.printed.clone_from(&member.printed);
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
                None if member.has_acted => Ok(done(Outcome::Failed, Some(reason)).having_changed()),
                None => Ok(done(Outcome::Failed, Some(reason))),
            },
        }
    }

    /// What still differs, after the steps.
    pub(super) fn difference(&mut self, index: usize) -> Result<Option<String>, Broken> {
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
    pub(super) fn checks(&mut self, index: usize) -> Result<Option<String>, Broken> {
        let commands = &self.run.plan.states[index].conditions.check;
        if commands.is_empty() {
            return Ok(None);
        }
        let jobs: Vec<Job> = commands.iter().map(Command::job).collect();
        let replies = self.patiently(|making| making.host.exchange(&jobs, Vec::new(), &mut |_| {}))?;
        Ok(commands
            .iter()
            .zip(&replies)
            .find(|(_, reply)| !reply.ok())
            .map(|(command, reply)| format!("`check_cmd` failed: {command}: {}", said(reply))))
    }
}
