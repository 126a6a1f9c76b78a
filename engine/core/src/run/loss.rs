//! What becomes of a run whose connection is lost: another one in its place, and the truth about what was under way.

use std::time::Instant;

use super::apply::Making;
use super::decide::Decision;
use super::group::Member;
use super::records::Record;
use super::said::failure;
use super::{Broken, End};
use crate::kept::{self, Kept};
use crate::question::{Answer, Question};
use crate::{Due, ExchangeCause, ExchangeError, Facts, Job, Outcome, Reply, Stop};

/// An exchange that was not answered to its end.
pub(super) struct Lost {
    pub(super) error: ExchangeError,
    /// The place in the group of each job.
    pub(super) of_member: Vec<usize>,
}

/// What is known of a state that was being made when the connection was lost.
enum Seen {
    Made,
    NotMade,
    /// It is a command, and nothing tells whether it has run.
    Nothing,
}

/// How often a state or a question may lose the connection: it may be what cuts it.
const LOSSES: u32 = 3;

impl Making<'_, '_, '_> {
    /// The connection broke in the middle of a group. Over another one, what was running is awaited, and what is not as
    /// declared by then is made again.
    pub(super) fn resume(
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
            let is_sent = of_member.contains(&place);
            let is_done = (reply.is_some() || !is_sent) && wave + 1 >= member.steps.len();
            match self.seen(&member, is_done)? {
                Seen::Made => self.settle_member(member, started)?,
                Seen::NotMade => again.push(member),
                Seen::Nothing => {
                    let what = if running == Some(place) { "was running" } else { "may have run" };
                    member.failure = Some(format!("it {what} when {}; nobody saw how it ended", error.cause));
                    self.settle_member(member, started)?;
                }
            }
        }
        again.into_iter().try_for_each(|member| self.make_again(member))
    }

    /// What the host shows, over another connection, of a state that was being made.
    fn seen(&mut self, member: &Member, is_done: bool) -> Result<Seen, Broken> {
        let state = &self.run.plan.states[member.index];
        let is_command = state.resource.due() != Due::Different;
        let is_refresh = member.steps.iter().any(|step| step.refresh);
        if member.failure.is_some() || (is_done && (is_command || is_refresh)) {
            return Ok(Seen::Made);
        }
        let is_made = match (is_command, is_refresh) {
            (true, _) if !state.conditions.is_guarded() => return Ok(Seen::Nothing),
            (true, _) => matches!(self.settle(|facts| state.conditions.hold(facts))?, Ok(Some(_))),
            (false, true) => false,
            (false, false) => self.difference(member.index)?.is_none(),
        };
        Ok(if is_made { Seen::Made } else { Seen::NotMade })
    }

    fn settle_member(&mut self, member: Member, started: Instant) -> Result<(), Broken> {
        let index = member.index;
        let record = self.prove(member, started)?;
        if record.report.outcome == Outcome::Changed {
            self.strike_done(index);
        }
        self.put(index, record);
        Ok(())
    }

    /// Makes a state again. A refresh stays what it was; other steps follow from what the host is like by now.
    fn make_again(&mut self, member: Member) -> Result<(), Broken> {
        let Member { index, steps, again, losses, .. } = member;
        let steps = match steps.iter().any(|step| step.refresh) {
            true => steps,
            false => match self.decide(index)? {
                Ok(Decision::Act(steps)) => steps,
                other => {
                    self.rest(index, other);
                    return Ok(());
                }
            },
        };
        self.enlist(Member { again, losses: losses + 1, ..self.member(index, steps) });
        self.flush()
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
                Record::unmet(chunk, "it may not have begun: the connection was lost".into())
            };
            let mut record = record.with_changes(changes);
            record.report.duration = started.elapsed();
            self.put(member.index, record);
        }
        Broken::making(&error, running_id.as_deref())
    }

    /// Another connection in place of the one that was lost; what still runs over the old one is awaited.
    pub(super) fn reconnect(&mut self, broken: &Broken) -> Result<(), Broken> {
        let lost = |message: String| Broken { message, end: broken.end };
        if broken.end != End::Lost {
            return Err(lost(broken.message.clone()));
        }
        self.host.line.reconnect(self.run, broken).map_err(lost)?;
        if let Some(claim) = self.run.claim {
            let taken = self.surely(claim.take_over())?;
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
    pub(super) fn patiently<T>(
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

    /// An exchange of one job that may be done twice, over another connection if need be.
    pub(super) fn surely(&mut self, job: Job) -> Result<Reply, Broken> {
        loop {
            match self.host.exchange(std::slice::from_ref(&job), Vec::new(), &mut |_| {}) {
                Ok(mut replies) => return Ok(replies.pop().unwrap_or_default()),
                Err(error) => self.reconnect(&Broken::asking(&error))?,
            }
        }
    }
}

impl Broken {
    pub(super) fn interrupted() -> Self {
        Broken { message: "interrupted".into(), end: End::Interrupted }
    }

    pub(super) fn ousted() -> Self {
        Broken { message: ExchangeCause::Ousted.to_string(), end: End::Ousted }
    }

    pub(super) fn asking(error: &ExchangeError) -> Self {
        match error.cause {
            ExchangeCause::Interrupted => Broken::interrupted(),
            ExchangeCause::Ousted => Broken::ousted(),
            ExchangeCause::Overdue(_) => Broken { message: error.to_string(), end: End::Overdue },
            _ => Broken {
                message: format!("{error}, while the host was asked; nothing was running"),
                end: End::Lost,
            },
        }
    }

    pub(super) fn making(error: &ExchangeError, running: Option<&str>) -> Self {
        let running = match running {
            Some(id) => format!("while `{id}` was running"),
            None => "between two changes".to_owned(),
        };
        let end = match error.cause {
            ExchangeCause::Interrupted => End::Interrupted,
            ExchangeCause::Ousted => return Broken::ousted(),
            ExchangeCause::Overdue(_) => End::Overdue,
            _ => End::Lost,
        };
        Broken { message: format!("{error} {running}"), end }
    }
}
