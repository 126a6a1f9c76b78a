//! The run of one host: look, compare, and show or make the difference.
//!
//! `diff` and `apply` walk the same states in the same order and ask the same question of each ([`decide`]): what is
//! to be done, given what is known? They differ only in what they do with the answer: `diff` pretends that the steps
//! have been made, `apply` makes them and asks again.

mod apply;
mod brackets;
mod decide;
mod diff;
mod durable;
mod group;
mod line;
mod login;
mod loss;
mod observe;
mod owing;
mod pending;
mod records;
mod refuse;
mod requisites;
mod retry;
mod said;

use std::sync::Arc;
use std::time::Duration;

use crate::kept::Claim;
use crate::{
    Clock, Conditions, Connect, Event, Graph, HostReport, Interrupt, Job, Problem, Resource, Secrets, Sink,
    StateReport, Transport,
};

use observe::Host;

/// What is declared for one host, ready to run.
#[derive(Debug)]
pub struct Plan {
    pub graph: Arc<Graph>,
    /// One for each chunk of the graph.
    pub states: Vec<Planned>,
    pub secrets: Secrets,
}

impl Plan {
    /// Binds the states to the graph: each learns of those that it requires what it has to know.
    pub fn new(graph: Arc<Graph>, mut states: Vec<Planned>, secrets: Secrets) -> Self {
        crate::place::tell_required(&graph, &mut states);
        Plan { graph, states, secrets }
    }

    /// Brings no other revisions than those that were found by `diff`, whatever is there by now.
    pub fn pin(&mut self, found: &[StateReport]) {
        for (state, report) in self.states.iter_mut().zip(found) {
            if let Some(revision) = &report.revision {
                state.resource.pin(revision);
            }
        }
    }
}

#[derive(Debug)]
pub struct Planned {
    pub resource: Box<dyn Resource>,
    pub conditions: Conditions,
}

/// How long a wait goes on before an interrupt is looked for.
const TICK: Duration = Duration::from_millis(50);

/// A run of one host, before it begins.
#[derive(Clone, Copy)]
pub struct HostRun<'a> {
    pub target: &'a str,
    /// The name of the run, by which what it leaves on the host is known.
    pub name: &'a str,
    pub plan: &'a Plan,
    pub sink: &'a dyn Sink,
    pub interrupt: &'a Interrupt,
    /// The clock by which the run waits.
    pub clock: &'a dyn Clock,
    /// The token of the host, which has been taken for the run. `None`: it has none.
    pub claim: Option<&'a Claim>,
    /// What to do when the connection is lost. `None`: the run ends with it.
    pub again: Option<Again<'a>>,
    /// Paths and patterns: what they mean is no reason to hold a change.
    pub accepted: &'a [String],
    /// What was shown of the states. `Some`: the host has to be as it was then, or nothing is changed.
    pub planned: Option<&'a [StateReport]>,
}

/// How another connection is had in place of one that was lost.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    pub connect: &'a dyn Connect,
    /// For how long the host is tried.
    pub patience: Duration,
}

impl std::fmt::Debug for Again<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl HostRun<'_> {
    /// Shows what differs. Changes nothing.
    pub fn diff(&self, transport: &mut dyn Transport) -> HostReport {
        let started = std::time::Instant::now();
        let mut host = Host::new(transport, self);
        let (states, error) = diff::walk(self, &mut host);
        let mut notes = host.facts.kept().map(|kept| kept.notes()).unwrap_or_default();
        if let Some(lack) = &host.facts.lack {
            notes.push(format!("the login `{}` cannot be had: {}", lack.login, lack.reason));
        }
        let notes = notes.iter().map(|note| self.plan.secrets.mask(note)).collect();
        let machine = host.facts.kept().ok().and_then(|kept| kept.machine.clone());
        HostReport { notes, machine, ..self.report(states, error, host.traffic(), started) }
    }

    /// Makes what differs, and proves it.
    pub fn apply(&self, transport: &mut dyn Transport) -> HostReport {
        let started = std::time::Instant::now();
        let barred = login::foretell(self, transport);
        if let Some(problem) = &barred {
            self.event(Event::Warning(self.plan.secrets.mask(&problem.message)));
        }
        let mut host = Host::new(transport, self);
        host.token = self.claim.map(Claim::beat);
        let (states, error) = apply::walk(self, &mut host);
        if let Some(claim) = self.claim.filter(|claim| !claim.is_passed_on && !is_lost(error.as_ref())) {
            host.line.heed_interrupt(false);
            // Where that fails, the host knows that the run is over.
            let _ = host.line.exchange(&[claim.give_back()], &mut |_| {});
        }
        let mut report = self.report(states, error, host.traffic(), started);
        report.problems.extend(barred.map(|problem| self.plan.secrets.mask_problem(&problem)));
        report
    }

    fn report(
        &self,
        states: Vec<StateReport>,
        broken: Option<Broken>,
        traffic: crate::Traffic,
        started: std::time::Instant,
    ) -> HostReport {
        let interrupted = matches!(&broken, Some(Broken { end: End::Interrupted, .. }));
        let ousted = broken.as_ref().filter(|broken| broken.end == End::Ousted);
        let problems = ousted.map(|broken| Problem::error(broken.message.as_str())).into_iter().collect();
        let refused = broken.as_ref().filter(|broken| broken.end == End::Refused);
        let notes = refused.map(|broken| broken.message.clone()).into_iter().collect();
        // The failed state says all there is to say.
        let error = broken.filter(|broken| matches!(broken.end, End::Lost | End::Overdue | End::Interrupted));
        HostReport {
            notes,
            problems,
            target: self.target.to_owned(),
            reachable: true,
            error: error.map(|broken| self.plan.secrets.mask(&broken.message)),
            states,
            traffic,
            duration: started.elapsed(),
            interrupted,
            ..HostReport::default()
        }
    }

    /// Tells that a question still waits for its answer.
    fn wait_for(&self, job: &Job) {
        if let Some(limit) = &job.limit {
            let what = self.plan.secrets.mask(&limit.waiting_for);
            self.event(Event::Waiting { what });
        }
    }

    fn event(&self, event: Event) {
        self.sink.event(self.target, event);
    }
}

fn is_lost(broken: Option<&Broken>) -> bool {
    broken.is_some_and(|broken| broken.end == End::Lost)
}

impl std::fmt::Debug for HostRun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostRun").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Why a run ended before its last state.
#[derive(Debug)]
struct Broken {
    message: String,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lost,
    /// The host did not answer a question in time; it would not over another connection either.
    Overdue,
    Interrupted,
    /// Somebody else has the token now.
    Ousted,
    /// A state failed that must not.
    Failhard,
    /// A change is held, or the host is not as it was planned for: nothing is changed.
    Refused,
}
