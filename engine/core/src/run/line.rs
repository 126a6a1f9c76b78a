//! The connection of a run, and another one in its place when it is lost.

use std::time::{Duration, Instant};

use super::{Again, Broken, HostRun, TICK};
use crate::{Event, ExchangeError, Job, Output, Reply, Traffic, Transport};

/// The connection that a run was given, or the one that came after it.
pub(super) struct Line<'a> {
    given: &'a mut dyn Transport,
    again: Option<Box<dyn Transport>>,
    /// What connections have cost that are gone.
    past: Traffic,
    heeds_interrupt: bool,
    /// When the connection was lost over which the last exchange came to its end.
    lost_since: Option<Instant>,
}

impl<'a> Line<'a> {
    pub(super) fn new(given: &'a mut dyn Transport) -> Self {
        Line { given, again: None, past: Traffic::default(), heeds_interrupt: true, lost_since: None }
    }

    fn transport(&mut self) -> &mut dyn Transport {
        match &mut self.again {
            Some(again) => again.as_mut(),
            None => self.given,
        }
    }

    pub(super) fn exchange(
        &mut self,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        let replies = self.transport().exchange(jobs, watch)?;
        self.lost_since = None;
        Ok(replies)
    }

    /// What is in hand is to be brought to its end, whatever is pressed.
    pub(super) fn heed_interrupt(&mut self, heed: bool) {
        self.heeds_interrupt = heed;
        self.transport().heed_interrupt(heed);
    }

    pub(super) fn traffic(&self) -> Traffic {
        let now = self.again.as_ref().map_or_else(|| self.given.traffic(), |again| again.traffic());
        self.past + now
    }

    /// Connects once more, with longer and longer pauses, until its patience is over. Connections that are lost again
    /// before anything came over them count as tries. The error is what it was lost to in the first place.
    pub(super) fn reconnect(&mut self, run: &HostRun<'_>, lost: &Broken) -> Result<(), String> {
        let Some(Again { connect, patience }) = run.again.filter(|again| !again.patience.is_zero()) else {
            return Err(lost.message.clone());
        };
        let clock = run.clock;
        let until = *self.lost_since.get_or_insert_with(|| clock.now()) + patience;
        let mut pause = Duration::from_secs(1);
        loop {
            let left = until.saturating_duration_since(clock.now());
            if left.is_zero() {
                return Err(format!("{}; it was tried again for {} s", lost.message, patience.as_secs()));
            }
            run.event(Event::Reconnecting { reason: lost.message.clone(), pause, left });
            let next = clock.now() + pause;
            while clock.now() < next {
                if run.interrupt.is_raised() {
                    return Err(format!("{}; interrupted while it was tried again", lost.message));
                }
                clock.sleep(TICK);
            }
            match connect.connect(run.target) {
                Ok(transport) => {
                    self.past = self.traffic();
                    self.again = Some(transport);
                    self.heed_interrupt(self.heeds_interrupt);
                    run.event(Event::Reconnected);
                    return Ok(());
                }
                Err(error) if clock.now() + pause > until => {
                    return Err(format!("{}; and then: {}", lost.message, error.message));
                }
                Err(_) => pause = (pause * 2).min(Duration::from_secs(30)),
            }
        }
    }
}
