//! How long an exchange waits: for questions until their time has passed, for commands for as long as the held shell works.

use std::ops::Range;
use std::time::{Duration, Instant};

use kstate_core::{Job, Limit};

use crate::shell::{Doing, groups, limit};

/// The host ends what is late by itself; after this much more it is not waited for any longer.
const GRACE: Duration = Duration::from_secs(15);

/// After how long without a byte people are told what is waited for, and how often.
const TELL: Duration = Duration::from_secs(3);

/// After how long without a byte of a command somebody looks what the held shell does.
const SILENCE: Duration = Duration::from_secs(60);

/// The wait of one exchange.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    jobs: &'a [Job],
    groups: Vec<Range<usize>>,
    /// The group that is running.
    group: usize,
    since: Instant,
    /// When the last byte came, or the last look found the shell at work.
    heard: Instant,
    told: Instant,
    was_idle: bool,
}

/// What is due while nothing comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// To tell that this job still runs.
    Tell(usize),
    /// To look what the held shell is doing.
    Look,
    /// The end: this question was not answered in time.
    End(Limit),
}

impl<'a> Patience<'a> {
    pub(crate) fn new(jobs: &'a [Job], now: Instant) -> Self {
        let groups = groups(jobs);
        Patience { jobs, groups, group: 0, since: now, heard: now, told: now, was_idle: false }
    }

    /// Something came.
    pub(crate) fn hear(&mut self, now: Instant) {
        (self.heard, self.told, self.was_idle) = (now, now, false);
    }

    /// What is due while `job` runs.
    pub(crate) fn due(&mut self, job: usize, now: Instant) -> Due {
        let Some(group) = self.groups.iter().position(|group| group.contains(&job)) else {
            return Due::Nothing;
        };
        if group != self.group {
            (self.group, self.since) = (group, now);
        }
        match limit(&self.jobs[self.groups[group].clone()]) {
            Some(time) if now > self.since + time + GRACE => {
                return self.jobs[job].limit.clone().map_or(Due::Nothing, Due::End);
            }
            None if now > self.heard + SILENCE => return Due::Look,
            _ => {}
        }
        if now > self.told + TELL {
            self.told = now;
            return Due::Tell(job);
        }
        Due::Nothing
    }

    /// Takes what a look has found. The error says why the exchange is not waited for any longer.
    pub(crate) fn saw(&mut self, doing: Doing, now: Instant) -> Result<(), &'static str> {
        self.heard = now;
        let was_idle = std::mem::replace(&mut self.was_idle, doing == Doing::Nothing);
        match doing {
            Doing::Work => Ok(()),
            Doing::Nothing if was_idle => Err("the shell on the host does nothing, and does not say why"),
            Doing::Nothing => Ok(()),
            Doing::Stopped => Err("the shell on the host was stopped"),
            Doing::Gone => Err("the shell on the host is gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Job {
        Job { limit: Some(Limit::of_answers(1, "the state of `/x`")), ..Job::new("x") }
    }

    #[test]
    fn questions_have_a_limit_that_names_them() {
        let (jobs, start) = ([Job::new("apt-get"), question(), question()], Instant::now());
        let mut patience = Patience::new(&jobs, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(patience.due(0, at(1)), Due::Nothing);
        assert_eq!(patience.due(0, at(4)), Due::Tell(0));
        assert_eq!(patience.due(0, at(5)), Due::Nothing);
        // The time of the questions begins when it is their turn, and is shared.
        assert_eq!(patience.due(1, at(3_600)), Due::Tell(1));
        assert_eq!(patience.due(2, at(3_600 + 136)), Due::Tell(2));
        assert_eq!(patience.due(2, at(3_600 + 138)), Due::End(Limit::of_answers(1, "the state of `/x`")));
    }

    #[test]
    fn a_command_is_waited_for_while_the_shell_works() {
        let (jobs, start) = ([Job::new("apt-get")], Instant::now());
        let mut patience = Patience::new(&jobs, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        for minute in 1..100 {
            assert_eq!(patience.due(0, at(61 * minute)), Due::Look);
            assert_eq!(patience.saw(Doing::Work, at(61 * minute)), Ok(()));
        }
        assert_eq!(patience.saw(Doing::Nothing, at(7_000)), Ok(()));
        assert!(patience.saw(Doing::Nothing, at(7_060)).is_err());
        for doing in [Doing::Stopped, Doing::Gone] {
            assert!(patience.saw(doing, at(7_100)).is_err());
        }
    }

    #[test]
    fn what_a_look_prints_is_understood() {
        let cases = [
            ("S 1\n", Some(Doing::Work)),
            ("R 0\n", Some(Doing::Nothing)),
            ("T 1\n", Some(Doing::Stopped)),
            ("Z 0\n", Some(Doing::Gone)),
            ("gone\n", Some(Doing::Gone)),
            ("", None),
            ("S", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Doing::read(text), expected, "{text}");
        }
    }
}
