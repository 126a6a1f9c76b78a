//! Asking: everything that is not known yet, in one round trip.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::line::Line;
use super::{HostRun, Planned};
use crate::kept::token;
use crate::question::{Ended, Inquiry, Question, inquire, links, read};
use crate::{ExchangeCause, ExchangeError, Facts, Job, Output, Reply, Step, Stop, Traffic, Transport};

/// A host and what is known of it.
pub(super) struct Host<'a> {
    pub(super) line: Line<'a>,
    pub(super) facts: Facts,
    /// What is to be written down on the host; it goes along with the next exchange, before everything else.
    errands: Vec<Job>,
    /// What says that the run lives which has the token of the host.
    pub(super) token: Option<Job>,
    /// What says that the run lives which has brackets open on the host.
    pub(super) brackets: Option<Job>,
    /// When that was last said.
    last_beat: Instant,
    run: &'a HostRun<'a>,
    /// What went wrong with errands.
    pub(super) complaints: Vec<String>,
    /// What this run has written down that states owe: the state, and the name of the record.
    pub(super) noted: Vec<(usize, String)>,
}

/// How often the host is told that the run lives: before an exchange, and where there is none.
const BEAT: Duration = Duration::from_secs(5);
const LONG_SILENCE: Duration = Duration::from_secs(30);

/// How often a state may ask further before it is taken for broken.
const ROUNDS: usize = 50;

impl<'a> Host<'a> {
    pub(super) fn new(transport: &'a mut dyn Transport, run: &'a HostRun<'a>) -> Self {
        let facts = Facts::without(transport.lack().cloned());
        Host {
            line: Line::new(transport),
            facts,
            errands: Vec::new(),
            token: None,
            brackets: None,
            last_beat: run.clock.now(),
            run,
            complaints: Vec::new(),
            noted: Vec::new(),
        }
    }

    /// Has a job go along with the next exchange.
    pub(super) fn errand(&mut self, job: Job) {
        self.errands.push(job);
    }

    /// Sends what errands are left.
    pub(super) fn run_errands(&mut self) -> Result<(), ExchangeError> {
        if self.errands.is_empty() { Ok(()) } else { self.send(&[], Vec::new(), &mut |_| {}).map(|_| ()) }
    }

    /// Tells the host that the run lives, if it has not heard of it for long.
    pub(super) fn keep_alive(&mut self) -> Result<(), ExchangeError> {
        if self.silence() >= LONG_SILENCE { self.beat() } else { Ok(()) }
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.line.traffic()
    }

    /// Asks all questions that any state has in any case, then those that follow from the answers, a round trip for
    /// each step and however many states.
    pub(super) fn observe(&mut self, states: &[Planned]) -> Result<(), ExchangeError> {
        let first = states.iter().flat_map(Planned::questions).chain([Question::Kept]);
        self.ask(first.collect())?;
        self.leave_out_others(&self.run.plan.graph);
        for _ in 0..ROUNDS {
            let further: Vec<Question> = states.iter().flat_map(|state| state.wants(&self.facts)).collect();
            if further.is_empty() {
                break;
            }
            self.ask(further)?;
        }
        Ok(())
    }

    /// Asks what is not known of `questions`.
    pub(super) fn ask(&mut self, questions: Vec<Question>) -> Result<(), ExchangeError> {
        self.exchange(&[], questions, &mut |_| {}).map(|_| ())
    }

    /// Runs jobs, then asks, in one round trip. The replies are those of the jobs.
    pub(super) fn exchange(
        &mut self,
        jobs: &[Job],
        questions: Vec<Question>,
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        let unknown = questions.into_iter().filter(|question| !self.facts.knows(question)).collect();
        let inquiries = inquire(unknown);
        if jobs.is_empty() && inquiries.is_empty() {
            return Ok(Vec::new());
        }
        self.send(jobs, inquiries, watch)
    }

    fn silence(&self) -> Duration {
        self.run.clock.now().saturating_duration_since(self.last_beat)
    }

    /// Says that the run lives, if it is time to. Without its token it does nothing more.
    fn beat(&mut self) -> Result<(), ExchangeError> {
        if self.silence() < BEAT {
            return Ok(());
        }
        self.last_beat = self.run.clock.now();
        let beats: Vec<Job> = self.token.iter().chain(&self.brackets).cloned().collect();
        if beats.is_empty() {
            return Ok(());
        }
        let replies = self.line.exchange(&beats, &mut |_| {}).map_err(|error| ExchangeError {
            done: Vec::new(),
            running: None,
            ..error
        })?;
        if self.token.is_some() && replies.first().is_some_and(|reply| reply.status == token::OUSTED) {
            self.token = None;
            return Err(ExchangeError { done: Vec::new(), running: None, cause: ExchangeCause::Ousted });
        }
        Ok(())
    }

    fn send(
        &mut self,
        jobs: &[Job],
        inquiries: Vec<Inquiry>,
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        self.beat()?;
        let errands = std::mem::take(&mut self.errands);
        let first = errands.len();
        let all: Vec<Job> = errands
            .into_iter()
            .chain(jobs.iter().cloned())
            .chain(inquiries.iter().map(|inquiry| inquiry.job.clone()))
            .collect();
        let run = self.run;
        let mut watch = |output: Output<'_>| {
            if output.bytes.is_empty() {
                run.wait_for(&all[output.job]);
            } else if let Some(job) = output.job.checked_sub(first) {
                watch(Output { job, ..output });
            }
        };
        let outcome = self.line.exchange(&all, &mut watch);
        if outcome.is_err() {
            // They may be done twice, and are not to be forgotten.
            self.errands.extend(all.into_iter().take(first));
        }
        let mut replies = outcome.map_err(|mut error| {
            error.done.drain(..first.min(error.done.len()));
            error.done.truncate(jobs.len());
            let running = error.running.and_then(|running| running.checked_sub(first));
            error.running = running.filter(|running| *running < jobs.len());
            error
        })?;
        let complaints = replies.drain(..first.min(replies.len())).filter(|reply| !reply.ok());
        self.complaints.extend(complaints.map(|reply| Ended::of(&reply).tail(3)));
        let answers = replies.split_off(jobs.len().min(replies.len()));
        for (inquiry, reply) in inquiries.iter().zip(&answers) {
            self.learn(inquiry, reply);
        }
        Ok(replies)
    }

    fn learn(&mut self, inquiry: &Inquiry, reply: &Reply) {
        self.facts.learn_links(links(inquiry, reply));
        for (question, answer) in inquiry.questions.iter().zip(read(inquiry, reply)) {
            self.facts.learn(question.clone(), answer);
        }
    }

    /// Calls `look` until it has what it asks for. `beside` are questions that may as well go along.
    pub(super) fn settle<T>(
        &mut self,
        beside: impl Fn(&Facts) -> Vec<Question>,
        look: impl Fn(&Facts) -> Result<T, Stop>,
    ) -> Result<Result<T, Stop>, ExchangeError> {
        for _ in 0..ROUNDS {
            match look(&self.facts) {
                Err(Stop::Ask(mut questions)) => {
                    questions.extend(beside(&self.facts));
                    self.ask(questions)?;
                }
                settled => return Ok(settled),
            }
        }
        Ok(Err(Stop::Failed("it does not stop asking; this is a mistake in kstate".into())))
    }
}

impl Planned {
    /// What it asks in any case.
    pub(super) fn questions(&self) -> Vec<Question> {
        let mut questions = self.conditions.questions();
        questions.extend(self.resource.questions());
        questions.extend(self.conditions.needs.iter().cloned());
        questions
    }

    /// A digest of what it would do to the host as it is, whatever becomes of other states.
    pub(super) fn found(&self, facts: &Facts) -> Option<String> {
        Step::digest(&self.resource.diff(facts).unwrap_or_default())
    }

    /// Whether all that it asks is about the processes that run: these come and go by themselves.
    pub(super) fn is_fleeting(&self) -> bool {
        let questions = self.resource.questions();
        !questions.is_empty() && questions.iter().all(Question::is_fleeting)
    }

    /// What it asks, given what is known, that has no answer yet.
    fn wants(&self, facts: &Facts) -> Vec<Question> {
        match self.conditions.hold(facts) {
            Ok(None) => {}
            Ok(Some(_)) => return Vec::new(),
            Err(Stop::Ask(questions)) => return questions,
            Err(_) => return Vec::new(),
        }
        match self.resource.diff(facts) {
            Err(Stop::Ask(questions)) => questions,
            _ => Vec::new(),
        }
    }
}

/// The questions of the next states that have no answer (any more): they go along when something has to be asked.
pub(super) fn ahead(states: &[Planned], from: usize, facts: &Facts) -> Vec<Question> {
    /// Far enough that runs of unchanged states cost one round trip, near enough that a change costs little.
    const WINDOW: usize = 25;
    let next = states.iter().skip(from).take(WINDOW).flat_map(Planned::questions);
    let unknown: HashSet<Question> =
        next.filter(|question| matches!(facts.get(question), Err(Stop::Ask(_)))).collect();
    unknown.into_iter().collect()
}
