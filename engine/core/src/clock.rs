//! The clock of a run: everything that a run waits for, it waits for here, so that a simulation need not wait.

use std::time::{Duration, Instant};

/// Tells the time and lets it pass.
pub trait Clock: Sync {
    fn now(&self) -> Instant;

    /// Returns when the time is over.
    fn sleep(&self, time: Duration);
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
