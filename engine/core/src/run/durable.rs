//! Commands that run apart from the connection: started once, followed to their end over as many connections as it takes,
//! or taken up where an earlier run has left them.

use super::apply::Making;
use super::said::Lines;
use super::{Broken, End};
use crate::kept::job::{self, Start};
use crate::kept::{KeptJob, Stage};
use crate::question::{Answer, Question};
use crate::{Chunk, Event, Facts, Reply, Run, Step};

/// How long one exchange waits for news, in seconds: as long as an interrupt may have to wait.
const NEWS: u32 = 2;

/// The exit status of a start that found another one running.
const BUSY: i32 = 75;

/// How a durable command ended, and what to say about it.
pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) note: Option<String>,
}

impl Making<'_, '_, '_> {
    /// Brings a durable command of a state to its end.
    pub(super) fn durable(&mut self, index: usize, run: &Run) -> Result<Outcome, Broken> {
        let key = job::key(&self.run.plan.graph.chunks()[index], run);
        self.host.line.heed_interrupt(false);
        let outcome = match left(&self.host.facts, &key).cloned() {
            Some(left) => self.take_up(index, run, &left),
            None => self.begin(index, run),
        };
        self.host.line.heed_interrupt(!self.brackets.are_open());
        outcome
    }

    /// A state has nothing to do any more: what an earlier run has left of it is over, and is told.
    pub(super) fn see_left(&mut self, index: usize) -> Option<String> {
        let state = self.id(index);
        let kept = self.host.facts.kept().ok()?.clone();
        let is_over = |job: &&KeptJob| job.state == state && !job.seen && job.stage != Stage::Running;
        let over: Vec<&KeptJob> = kept.jobs.iter().filter(is_over).collect();
        over.iter().for_each(|job| self.host.errand(job::see(&job.id)));
        let last = over.last()?;
        let since = kept.ago(last.since);
        Some(match last.stage {
            Stage::Ended { status, .. } => {
                format!(
                    "job {}, started {since} ago, ended with status {status} while nobody followed it",
                    last.id
                )
            }
            _ => format!("job {}, started {since} ago, did not come to its end", last.id),
        })
    }

    fn take_up(&mut self, index: usize, run: &Run, left: &KeptJob) -> Result<Outcome, Broken> {
        let (since, ago) = match self.host.facts.kept() {
            Ok(kept) => (kept.now.saturating_sub(left.since), kept.ago(left.since)),
            Err(_) => Default::default(),
        };
        let (id, what) = (left.id.as_str(), self.id(index));
        let started = format!("`{what}` was started {ago} ago as job {id}");
        match left.stage {
            Stage::Ended { status, .. } if !run.success.contains(&status) => {
                self.host.errand(job::see(id));
                self.warn(format!(
                    "{started} and ended with status {status} while nobody followed it; it is run again"
                ));
                self.begin(index, run)
            }
            Stage::Gone => {
                self.host.errand(job::see(id));
                self.warn(format!("{started} and did not come to its end; it is run again"));
                self.begin(index, run)
            }
            Stage::Running | Stage::Ended { .. } => {
                let outcome = self.follow(&what, run.hide_output, id, since)?;
                self.host.errand(job::see(id));
                Ok(Outcome { note: Some(format!("{started}; its result is taken up")), ..outcome })
            }
        }
    }

    fn begin(&mut self, index: usize, run: &Run) -> Result<Outcome, Broken> {
        self.jobs_started += 1;
        let id = format!("{}.{}", self.run.name, self.jobs_started);
        let shown = self.run.plan.secrets.mask(&run.command.to_string());
        let chunk = &self.run.plan.graph.chunks()[index];
        let state = self.id(index);
        let start = Start { id: &id, chunk, state: &state, run, by: self.run.name, shown: &shown };
        let reply = self.surely(start.job())?;
        match reply.status {
            0 => {
                let outcome = self.follow(&state, run.hide_output, &id, 0)?;
                self.host.errand(job::see(&id));
                Ok(outcome)
            }
            BUSY => {
                let text = b"another one of it is running; `kstate jobs` names it".to_vec();
                Ok(Outcome { reply: Reply { stderr: text, ..reply }, note: None })
            }
            _ => Ok(Outcome { reply, note: None }),
        }
    }

    /// Follows a job of a run that is dead to its end, whatever that is.
    pub(super) fn await_job(&mut self, job: &KeptJob) -> Result<(), Broken> {
        let now = self.host.facts.kept().map(|kept| kept.now).unwrap_or_default();
        self.host.line.heed_interrupt(false);
        let state = self.run.plan.secrets.mask_name(&job.state);
        let ended = self.follow(&state, true, &job.id, now.saturating_sub(job.since));
        self.host.line.heed_interrupt(true);
        let stage = Stage::Ended { status: ended?.reply.status, at: now };
        if let Ok(kept) = self.host.facts.kept() {
            let kept = kept.with_stage(&job.id, stage);
            self.host.facts.learn(Question::Kept, Ok(Answer::Kept(Box::new(kept))));
        }
        Ok(())
    }

    fn follow(&mut self, state: &str, hide_output: bool, id: &str, since: u64) -> Result<Outcome, Broken> {
        self.run.event(Event::Following { state: state.to_owned(), job: id.to_owned(), since });
        let (mut lines, mut offset, mut told) = (Lines::default(), 0, false);
        let mut tail = Vec::new();
        loop {
            let reply = self.surely(job::follow(id, offset, NEWS))?;
            let news = job::followed(&reply)
                .map_err(|message| Broken { message: format!("job {id}: {message}"), end: End::Lost })?;
            offset += news.log.len() as u64;
            if !hide_output {
                lines.take(&news.log, |line| {
                    let line = self.run.plan.secrets.mask(line);
                    self.run.event(Event::Output { line });
                });
            }
            tail.extend_from_slice(&news.log);
            tail.drain(..tail.len().saturating_sub(TAIL));
            match news.stage {
                Stage::Running => {}
                Stage::Ended { status, .. } => {
                    let reply = Reply::new(status, tail, "");
                    return Ok(Outcome { reply, note: None });
                }
                Stage::Gone => {
                    tail.extend_from_slice(b"\nit was ended from outside, and nobody saw how");
                    return Ok(Outcome { reply: Reply::new(137, tail, ""), note: None });
                }
            }
            if self.run.interrupt.is_raised() && !std::mem::replace(&mut told, true) {
                self.warn(format!(
                    "`{state}` is brought to its end first; a second Ctrl-C leaves it to the host, and `kstate attach {id}` follows it"
                ));
            }
        }
    }

    pub(super) fn warn(&self, text: String) {
        self.run.event(Event::Warning(text));
    }
}

/// The same command, started by an earlier run that has not reported its end.
fn left<'a>(facts: &'a Facts, key: &str) -> Option<&'a KeptJob> {
    facts.kept().ok()?.jobs.iter().rev().find(|job| job.key == key && !job.seen)
}

fn durable(steps: &[Step]) -> Option<&Run> {
    steps.iter().find_map(|step| step.operation.durable())
}

/// Whether an earlier run has done what the steps of a state do, so that only its result is taken up.
pub(super) fn is_done(facts: &Facts, chunk: &Chunk, steps: &[Step]) -> bool {
    let done = |run: &Run| match left(facts, &job::key(chunk, run))?.stage {
        Stage::Ended { status, .. } => Some(run.success.contains(&status)),
        Stage::Running | Stage::Gone => None,
    };
    durable(steps).and_then(done).unwrap_or_default()
}

/// What an apply would take up instead of making a state's steps, for `diff`.
pub(super) fn to_take_up(facts: &Facts, chunk: &Chunk, steps: &[Step]) -> Option<String> {
    let run = durable(steps)?;
    let left = left(facts, &job::key(chunk, run))?;
    let job = format!("job {}, started {} ago,", left.id, facts.kept().ok()?.ago(left.since));
    match left.stage {
        Stage::Running => Some(format!("{job} is running it: an apply follows that one")),
        Stage::Ended { status, .. } if run.success.contains(&status) => {
            Some(format!("{job} has done it: an apply takes up its result"))
        }
        Stage::Ended { status, .. } => {
            Some(format!("{job} ended with status {status}: an apply runs it again"))
        }
        Stage::Gone => Some(format!("{job} did not come to its end: an apply runs it again")),
    }
}

/// How much of a log is kept for a message about a failure.
const TAIL: usize = 4096;
