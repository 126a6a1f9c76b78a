//! Connections that are disturbed at chosen exchanges.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kstate_core::{
    Connect, ConnectError, ExchangeCause, ExchangeError, Job, Output, Reply, Traffic, Transport,
};

/// What happens at an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is lost: the host does the first `ran` jobs, and the replies of the first `known` arrive. `heard`: the
    /// beginning of the exchange was confirmed. So many connections are refused then.
    Lose { ran: usize, known: usize, heard: bool, refused: u32 },
    /// The host reboots after the first `ran` jobs.
    Reboot { ran: usize },
    /// The controller dies after the host has begun on the first `ran` jobs.
    Kill { ran: usize },
    /// The disk is full for so many exchanges.
    Fill { exchanges: usize },
    /// Another administrator changes a file before it.
    Edit,
    /// It takes so long to begin.
    Delay { seconds: u64 },
}

/// Faults by the number of the exchange at which they happen.
pub type Schedule = Vec<(usize, Fault)>;

/// What can happen to a host beside the exchanges.
pub trait Victim: fmt::Debug + Send + Sync {
    fn reboot(&self);
    fn fill(&self, full: bool);
    fn edit(&self);
    fn pass(&self, seconds: u64);
}

#[derive(Debug, Default)]
struct State {
    /// How many exchanges there have been.
    exchanges: usize,
    /// The number of jobs of each.
    jobs: Vec<usize>,
    refused: u32,
    is_killed: bool,
    full_until: Option<usize>,
}

/// The disturbed way to a host. All connections of a run share it.
#[derive(Clone)]
pub struct Disturbed {
    connect: Arc<dyn Connect>,
    victim: Arc<dyn Victim>,
    schedule: Arc<Schedule>,
    state: Arc<Mutex<State>>,
}

impl Disturbed {
    pub fn new(connect: Arc<dyn Connect>, victim: Arc<dyn Victim>, schedule: &Schedule) -> Self {
        Disturbed { connect, victim, schedule: Arc::new(schedule.clone()), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of jobs of each exchange so far.
    pub fn jobs(&self) -> Vec<usize> {
        self.state().jobs.clone()
    }

    pub fn is_killed(&self) -> bool {
        self.state().is_killed
    }

    /// The disk has room again; nothing else happens any more.
    pub fn end(&self) {
        self.victim.fill(false);
    }
}

impl fmt::Debug for Disturbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disturbed").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

impl Connect for Disturbed {
    fn connect(&self, target: &str) -> Result<Box<dyn Transport>, ConnectError> {
        let refused = |message: &str| ConnectError { message: message.to_owned(), hints: Vec::new() };
        {
            let mut state = self.state();
            if state.is_killed {
                return Err(refused("the controller is dead"));
            }
            if state.refused > 0 {
                state.refused -= 1;
                return Err(refused("connection refused"));
            }
        }
        let inner = Some(self.connect.connect(target)?);
        Ok(Box::new(DisturbedTransport { way: self.clone(), inner, traffic: Traffic::default() }))
    }
}

struct DisturbedTransport {
    way: Disturbed,
    /// `None`: the connection is lost.
    inner: Option<Box<dyn Transport>>,
    traffic: Traffic,
}

fn lost(done: Vec<Reply>, running: Option<usize>) -> ExchangeError {
    ExchangeError { done, running, cause: ExchangeCause::Lost("cut by the test".into()) }
}

impl DisturbedTransport {
    /// The host does the first jobs, and then the connection is gone.
    fn cut(&mut self, jobs: &[Job], ran: usize) -> Vec<Reply> {
        let ran = ran.min(jobs.len());
        let replies = match &mut self.inner {
            Some(inner) if ran > 0 => inner.exchange(&jobs[..ran], &mut |_| {}).unwrap_or_default(),
            _ => Vec::new(),
        };
        self.inner = None;
        replies
    }
}

impl Transport for DisturbedTransport {
    fn exchange(
        &mut self,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        if self.inner.is_none() || self.way.is_killed() {
            self.inner = None;
            return Err(lost(Vec::new(), None));
        }
        let at = {
            let mut state = self.way.state();
            state.exchanges += 1;
            state.jobs.push(jobs.len());
            if state.full_until.is_some_and(|until| state.exchanges > until) {
                state.full_until = None;
                self.way.victim.fill(false);
            }
            state.exchanges - 1
        };
        for (_, fault) in self.way.schedule.clone().iter().filter(|(place, _)| *place == at) {
            match *fault {
                Fault::Edit => self.way.victim.edit(),
                Fault::Delay { seconds } => self.way.victim.pass(seconds),
                Fault::Fill { exchanges } => {
                    self.way.victim.fill(true);
                    self.way.state().full_until = Some(at + exchanges);
                }
                Fault::Lose { ran, known, heard, refused } => {
                    let mut replies = self.cut(jobs, ran);
                    self.way.state().refused = refused;
                    replies.truncate(if heard { known.min(jobs.len() - 1) } else { 0 });
                    let running = Some(replies.len()).filter(|_| heard);
                    return Err(lost(replies, running));
                }
                Fault::Reboot { ran } => {
                    let replies = self.cut(jobs, ran);
                    self.way.victim.reboot();
                    let known = replies.len().min(jobs.len() - 1);
                    return Err(lost(replies.into_iter().take(known).collect(), Some(known)));
                }
                Fault::Kill { ran } => {
                    self.cut(jobs, ran);
                    self.way.state().is_killed = true;
                    return Err(lost(Vec::new(), None));
                }
            }
        }
        match &mut self.inner {
            Some(inner) => inner.exchange(jobs, watch),
            None => Err(lost(Vec::new(), None)),
        }
    }

    fn traffic(&self) -> Traffic {
        self.inner.as_ref().map_or(self.traffic, |inner| inner.traffic())
    }
}
