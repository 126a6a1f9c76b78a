//! A host with more than one login: what is of a user with a login goes by that, all else by the main one.

use kstate_core::{ConnectError, ExchangeError, Job, Lack, Output, Reply, Traffic, Transport};

use crate::login::Login;

/// The connections of one host.
pub(crate) struct Several {
    /// The main one is the first, unless it is lacking.
    lines: Vec<Line>,
    /// Tells the jobs of the first line which held shells there are beside it.
    beside: String,
    lack: Option<Lack>,
}

struct Line {
    user: String,
    transport: Box<dyn Transport>,
}

/// The way of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By the login of its own user.
    Own(usize),
    /// By the first login, which becomes its user.
    First,
    /// There is none.
    Nowhere,
}

/// The exit status of a job for whose user there is no login.
const NO_LOGIN: i32 = 126;

impl Several {
    /// Made of what came of the main login and of the others. Without the main one the others do what they can; without
    /// one of the others the main one becomes that user.
    pub(crate) fn of(
        main: &Login,
        others: &[Login],
        opened: Vec<Result<Box<dyn Transport>, ConnectError>>,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let (mut lines, mut lost) = (Vec::new(), None);
        for (place, (login, opened)) in [main].into_iter().chain(others).zip(opened).enumerate() {
            match opened {
                Ok(transport) => lines.push(Line { user: name(login), transport }),
                Err(error) if place == 0 => lost = Some(error),
                Err(_) => {}
            }
        }
        let lack = match lost {
            Some(error) if lines.is_empty() => return Err(error),
            Some(error) => Some(Lack {
                login: name(main),
                reason: error.message,
                has: lines.iter().map(|line| line.user.clone()).collect(),
            }),
            None => None,
        };
        let others = lines.iter().skip(1).filter_map(|line| line.transport.process());
        let beside =
            format!("kstate_beside='{}'\n", others.map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        Ok(Box::new(Several { lines, beside, lack }))
    }

    fn way(&self, job: &Job) -> Way {
        match &job.user {
            None => Way::First,
            Some(user) => match self.lines.iter().position(|line| line.user == *user) {
                Some(line) => Way::Own(line),
                None if self.lack.is_some() => Way::Nowhere,
                None => Way::First,
            },
        }
    }

    /// Sends jobs that all go the same way.
    fn send(
        &mut self,
        way: Way,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        match way {
            Way::First => {
                let tell =
                    |job: &Job| Job { script: format!("{}{}", self.beside, job.script), ..job.clone() };
                let jobs: Vec<Job> = jobs.iter().map(tell).collect();
                self.lines[0].transport.exchange(&jobs, watch)
            }
            Way::Own(line) => self.lines[line].transport.exchange(jobs, watch),
            Way::Nowhere => Ok(jobs.iter().map(|job| self.refuse(job)).collect()),
        }
    }

    fn refuse(&self, job: &Job) -> Reply {
        let user = job.user.as_deref().unwrap_or_default();
        let stderr = format!("there is no login that is, or can become, the user `{user}`\n").into_bytes();
        Reply::new(NO_LOGIN, "", stderr)
    }
}

fn name(login: &Login) -> String {
    login.user.clone().unwrap_or_else(|| "root".to_owned())
}

impl Transport for Several {
    /// Jobs that go the same way and stand beside each other share a round trip.
    fn exchange(
        &mut self,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        let ways: Vec<Way> = jobs.iter().map(|job| self.way(job)).collect();
        let mut replies: Vec<Reply> = Vec::new();
        for group in ways.chunk_by(|a, b| a == b) {
            let first = replies.len();
            let mut watch = |output: Output<'_>| watch(Output { job: first + output.job, ..output });
            match self.send(group[0], &jobs[first..first + group.len()], &mut watch) {
                Ok(more) => replies.extend(more),
                Err(error) => {
                    replies.extend(error.done);
                    let running = error.running.map(|running| first + running);
                    return Err(ExchangeError { done: replies, running, cause: error.cause });
                }
            }
        }
        Ok(replies)
    }

    fn heed_interrupt(&mut self, heed: bool) {
        self.lines.iter_mut().for_each(|line| line.transport.heed_interrupt(heed));
    }

    fn traffic(&self) -> Traffic {
        self.lines.iter().map(|line| line.transport.traffic()).fold(Traffic::default(), std::ops::Add::add)
    }

    fn lack(&self) -> Option<&Lack> {
        self.lack.as_ref()
    }
}
