//! Another attempt at a state that failed.

use std::time::{Duration, Instant};

use super::apply::Making;
use super::records::Record;
use super::said::failure;
use super::{Broken, TICK};
use crate::conditions::Retry;
use crate::{Change, Event, Outcome, Step, Touch};

impl Making<'_, '_, '_> {
    /// Tries a failed state again, as its `retry` says.
    pub(super) fn again(
        &mut self,
        index: usize,
        retry: Retry,
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
        Ok(record.with_changes(changes).having_changed())
    }

    fn once_more(
        &mut self,
        index: usize,
        steps: Vec<Step>,
        changes: &mut Vec<Change>,
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
        let clock = self.run.clock;
        let until = clock.now() + interval;
        while clock.now() < until {
            self.check_interrupt()?;
            self.patiently(|making| making.host.keep_alive())?;
            clock.sleep(TICK.min(until.saturating_duration_since(clock.now())));
        }
        Ok(())
    }
}
