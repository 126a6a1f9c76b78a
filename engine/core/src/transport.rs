//! The way to a host as the engine sees it: jobs go out together, replies come back in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;

use crate::Purpose;

/// A piece of POSIX `sh` to run on the host, and what it may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Shell text, run in a subshell under `LC_ALL=C`. Its standard input is `input`, and nothing else.
    pub script: String,
    /// Raw bytes on the script's standard input; they travel unquoted behind the script.
    pub input: Vec<u8>,
    /// The user to run as, with that user's login environment. `None`: the user that kstate works as (root, as a rule).
    pub user: Option<String>,
    /// What it does, as data. Only a host in memory looks at it.
    pub purpose: Option<Arc<Purpose>>,
    /// The time after which it is ended. `None`: nothing but its own text ends it.
    pub limit: Option<Limit>,
    pub keep: Keep,
    /// It gets pipes of its own, so that processes that it leaves behind cannot print into the output of other jobs.
    /// Jobs with a `user` get them in any case.
    pub apart: bool,
}

/// A time limit of a job that only looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub time: Duration,
    /// The words for the job in a message: `the state of /etc/motd`.
    pub waiting_for: String,
    /// It is one of a command, and not shared with questions beside it.
    pub of_command: bool,
}

impl Limit {
    /// The limit of a job that answers so many questions out of what the host has at hand.
    pub fn of_answers(questions: usize, waiting_for: impl Into<String>) -> Self {
        const FIRST: u64 = 120;
        Limit {
            time: Duration::from_secs(FIRST + questions as u64),
            waiting_for: waiting_for.into(),
            of_command: false,
        }
    }

    /// The limit of a command that only looks, and may do anything for that.
    pub fn of_command(waiting_for: impl Into<String>) -> Self {
        const AN_HOUR: Duration = Duration::from_secs(3600);
        Limit { time: AN_HOUR, waiting_for: waiting_for.into(), of_command: true }
    }
}

/// How much of each stream of a job is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The beginning and the end, [`Keep::END`] bytes each: what a command says to people.
    #[default]
    Ends,
    /// All of it up to [`Keep::WHOLE`] bytes: an answer that is read by the engine.
    Whole,
}

impl Keep {
    pub const END: usize = 512 * 1024;
    pub const WHOLE: usize = 64 * 1024 * 1024;

    /// The bytes that are kept of the beginning, and of the end.
    pub fn ends(self) -> (usize, usize) {
        match self {
            Keep::Ends => (Keep::END, Keep::END),
            Keep::Whole => (Keep::WHOLE, 0),
        }
    }
}

impl Job {
    pub fn new(script: impl Into<String>) -> Self {
        Job { script: script.into(), ..Job::default() }
    }

    /// Adds what it does, as data.
    #[must_use]
    pub fn meant(self, purpose: impl Into<Purpose>) -> Self {
        Job { purpose: Some(Arc::new(purpose.into())), ..self }
    }
}

/// What a job printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The exit status as a shell reports it: 128 + N for signal N.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub omitted: Omitted,
    /// It was ended because its limit had passed.
    pub overdue: bool,
}

/// What was left out of the streams of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    pub stdout: Option<Gap>,
    pub stderr: Option<Gap>,
}

/// Bytes that were left out of a stream, and the place in what was kept where they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub at: usize,
    pub bytes: u64,
}

impl Reply {
    pub fn new(status: i32, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        Reply { status, stdout: stdout.into(), stderr: stderr.into(), ..Reply::default() }
    }

    pub fn ok(&self) -> bool {
        self.status == 0
    }
}

/// What a connection has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub logins: u32,
    /// Waits for an answer of the host after login: opening the held channel counts as its own waits do.
    pub round_trips: u32,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

impl std::ops::Add for Traffic {
    type Output = Traffic;

    fn add(self, other: Traffic) -> Traffic {
        Traffic {
            logins: self.logins + other.logins,
            round_trips: self.round_trips + other.round_trips,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
        }
    }
}

/// Something a running job printed, as it comes. Without bytes: nothing has come for some seconds, and it still runs.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// The index of the job in its batch.
    pub job: usize,
    pub stderr: bool,
    pub bytes: &'a [u8],
}

/// A connection to one host, held for a whole run.
pub trait Transport: Send {
    /// Sends all jobs at once and waits for all replies: one round trip, however many jobs. Jobs run one after the
    /// other; a failing one does not stop the rest. `watch` sees output while it comes.
    fn exchange(
        &mut self,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError>;

    /// Runs one job.
    fn run(&mut self, job: Job) -> Result<Reply, ExchangeError> {
        self.exchange(&[job], &mut |_| {}).map(|mut replies| replies.pop().unwrap_or_default())
    }

    /// Whether an interrupt ends what is running; it does unless this says otherwise.
    fn heed_interrupt(&mut self, _heed: bool) {}

    fn traffic(&self) -> Traffic;

    /// The number of the held shell on the host.
    fn process(&self) -> Option<u32> {
        None
    }

    /// The login that everything should go by and that cannot be had, if that is so.
    fn lack(&self) -> Option<&Lack> {
        None
    }
}

/// A login that cannot be had, while others can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Whose it is.
    pub login: String,
    /// Why it cannot be had.
    pub reason: String,
    /// The users whose logins there are. What is of no user goes by the first.
    pub has: Vec<String>,
}

/// An exchange that did not come to its end.
#[derive(Debug, Error)]
#[error("{cause}")]
pub struct ExchangeError {
    /// The replies of the jobs that were done.
    pub done: Vec<Reply>,
    /// The index of the job that was running, if one had begun.
    pub running: Option<usize>,
    #[source]
    pub cause: ExchangeCause,
}

#[derive(Debug, Error)]
pub enum ExchangeCause {
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the host fell silent for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the host did not answer within {} s; kstate was waiting for {}", .0.time.as_secs(), .0.waiting_for)]
    Overdue(Limit),
    #[error("cannot become user `{user}`: {reason}")]
    NoSuchLogin { user: String, reason: String },
    #[error("interrupted")]
    Interrupted,
    #[error("the token of the host was taken away from this run; nothing more is changed")]
    Ousted,
}

/// Why a host could not be used at all. The text names the host and what to do.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct ConnectError {
    pub message: String,
    /// What to do, each on a line of its own.
    pub hints: Vec<String>,
}

/// Opens connections. The engine asks once for each host and run.
pub trait Connect: Send + Sync {
    fn connect(&self, target: &str) -> Result<Box<dyn Transport>, ConnectError>;
}

/// The flag that Ctrl-C raises. Connections and runs look at it; nothing else does.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
