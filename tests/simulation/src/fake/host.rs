//! Connections to the host in memory, and its clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kstate_core::{
    Clock, Connect, ConnectError, ExchangeCause, ExchangeError, Job, Output, Purpose, Reply, Traffic,
    Transport,
};

use super::World;

/// A host that any number of connections share.
#[derive(Clone, Debug)]
pub struct FakeHost(Arc<Mutex<World>>);

impl FakeHost {
    pub fn new(world: World) -> Self {
        FakeHost(Arc::new(Mutex::new(world)))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn session(&self) -> Session {
        let mut world = self.world();
        world.logins += 1;
        let number = world.logins;
        world.journal.sessions.insert(number);
        Session { host: self.clone(), number, traffic: Traffic { logins: 1, ..Traffic::default() } }
    }
}

impl Connect for FakeHost {
    fn connect(&self, _: &str) -> Result<Box<dyn Transport>, ConnectError> {
        Ok(Box::new(self.session()))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    host: FakeHost,
    number: u32,
    traffic: Traffic,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.host.world().journal.sessions.remove(&self.number);
    }
}

impl Transport for Session {
    fn exchange(
        &mut self,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        let mut world = self.host.world();
        if !world.journal.sessions.contains(&self.number) {
            let cause = ExchangeCause::Lost("the host has gone away".into());
            return Err(ExchangeError { done: Vec::new(), running: None, cause });
        }
        self.traffic.round_trips += 1;
        let mut replies = Vec::with_capacity(jobs.len());
        for (index, job) in jobs.iter().enumerate() {
            let reply = world.work(job, self.number);
            watch(Output { job: index, stderr: false, bytes: &reply.stdout });
            replies.push(reply);
        }
        Ok(replies)
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

impl World {
    /// Does a job.
    fn work(&mut self, job: &Job, session: u32) -> Reply {
        let Some(purpose) = &job.purpose else { return self.strange(&job.script).into() };
        if let Some(user) = job.user.as_ref().filter(|user| !self.accounts.users.contains_key(*user)) {
            return super::programs::Said::failed(1, &format!("su: user {user} does not exist")).into();
        }
        match &**purpose {
            Purpose::Ask(questions) => self.answer(questions),
            Purpose::Act(operation) => self.act(operation, &job.input).into(),
            Purpose::Run(command) => self.start(command, &job.input).into(),
            Purpose::Keep(errand) => self.keep(errand, &job.input, session),
        }
    }
}

/// The clock of a run that is simulated: waiting costs no time, and passes on the host as well.
#[derive(Debug)]
pub struct FakeTime {
    host: FakeHost,
    began: Instant,
    passed: Mutex<Duration>,
}

impl FakeTime {
    pub fn new(host: &FakeHost) -> Self {
        FakeTime { host: host.clone(), began: Instant::now(), passed: Mutex::default() }
    }

    /// For how long the run has waited.
    pub fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for FakeTime {
    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn sleep(&self, time: Duration) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = passed.as_secs();
        *passed += time;
        let seconds = passed.as_secs() - before;
        if seconds > 0 {
            self.host.world().pass(seconds);
        }
    }
}
