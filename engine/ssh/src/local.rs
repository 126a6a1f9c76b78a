//! This machine as the target: the same held shell, without SSH.

use std::io::{self, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use kstate_core::{
    Connect, ConnectError, ExchangeCause, ExchangeError, Interrupt, Job, Output, Reply, Traffic, Transport,
};

use crate::frames::{Replies, Secrets};
use crate::patience::{Due, Patience};
use crate::shell::{Doing, bootstrap, end_script, probe_script, ready, request};
use crate::ssh::refused;

const TICK: Duration = Duration::from_millis(50);
const GRACE: Duration = Duration::from_secs(2);

/// How many pieces may wait to be read before the shell has to.
const PIECES: usize = 16;

/// Makes this machine the only target, whatever it is called.
#[derive(Clone, Debug, Default)]
pub struct Local {
    interrupt: Interrupt,
}

impl Local {
    pub fn new(interrupt: Interrupt) -> Self {
        Local { interrupt }
    }
}

impl Connect for Local {
    fn connect(&self, _: &str) -> Result<Box<dyn Transport>, ConnectError> {
        let failed = |error: io::Error| ConnectError {
            message: format!("cannot start `setsid sh` on this machine: {error}"),
            hints: vec!["install `setsid` (Debian: util-linux)".to_owned()],
        };
        Ok(Box::new(LocalTransport::start(self.interrupt.clone()).map_err(failed)?))
    }
}

/// What came from one of the two streams of the shell; empty at its end.
struct Piece {
    stderr: bool,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct LocalTransport {
    child: Child,
    write: Sender<Vec<u8>>,
    read: Receiver<Piece>,
    interrupt: Interrupt,
    heeds_interrupt: bool,
    /// An interrupt has ended the shell.
    is_stopped: bool,
    traffic: Traffic,
}

impl LocalTransport {
    fn start(interrupt: Interrupt) -> io::Result<Self> {
        // A session of its own: the terminal's Ctrl-C reaches kstate, and kstate ends the jobs. A job of another user
        // could type into a terminal that it shared.
        let mut child = Command::new("setsid")
            .args(["sh", "-c", bootstrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (pieces, read) = sync_channel(PIECES);
        if let Some(stdout) = child.stdout.take() {
            pump(stdout, false, pieces.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            pump(stderr, true, pieces);
        }
        let (write, texts) = channel();
        if let Some(stdin) = child.stdin.take() {
            feed(stdin, texts);
        }
        await_ready(&read)?;
        Ok(LocalTransport {
            child,
            write,
            read,
            interrupt,
            heeds_interrupt: true,
            is_stopped: false,
            traffic: Traffic { logins: 1, ..Traffic::default() },
        })
    }

    fn run(
        &mut self,
        bytes: Vec<u8>,
        replies: &mut Replies,
        watch: &mut dyn FnMut(Output<'_>),
        jobs: &[Job],
    ) -> Result<(), ExchangeCause> {
        let lost = || ExchangeCause::Lost("the shell on this machine has ended".to_owned());
        self.traffic.bytes_sent += bytes.len() as u64;
        self.write.send(bytes).map_err(|_| lost())?;
        let mut patience = Patience::new(jobs, Instant::now());
        while !replies.complete() {
            match self.read.recv_timeout(TICK) {
                Ok(piece) if piece.bytes.is_empty() => return Err(lost()),
                Ok(piece) => {
                    patience.hear(Instant::now());
                    self.traffic.bytes_received += piece.bytes.len() as u64;
                    replies
                        .feed(piece.stderr, &piece.bytes, watch)
                        .map_err(|broken| refused(broken, jobs))?;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.heeds_interrupt && self.interrupt.is_raised() {
                self.is_stopped = true;
                self.stop();
                return Err(ExchangeCause::Interrupted);
            }
            self.wait(&mut patience, replies.running(), watch)?;
        }
        Ok(())
    }

    /// Does what is due while nothing comes.
    fn wait(
        &mut self,
        patience: &mut Patience<'_>,
        running: usize,
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), ExchangeCause> {
        match patience.due(running, Instant::now()) {
            Due::Nothing => Ok(()),
            Due::Tell(job) => {
                watch(Output { job, stderr: false, bytes: b"" });
                Ok(())
            }
            Due::Look => {
                let looked = patience.saw(self.look(), Instant::now());
                looked.map_err(|reason| ExchangeCause::Lost(reason.to_owned()))
            }
            Due::End(limit) => {
                self.is_stopped = true;
                self.stop();
                Err(ExchangeCause::Overdue(limit))
            }
        }
    }

    fn look(&self) -> Doing {
        let process = self.child.id().to_string();
        let output = Command::new("sh").args(["-c", probe_script(), &process]).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.ok().and_then(|text| Doing::read(&text)).unwrap_or(Doing::Work)
    }

    /// Another shell in place of the one that an interrupt has ended, for what has to be brought to its end.
    fn start_again(&mut self) -> bool {
        if self.heeds_interrupt {
            return false;
        }
        let Ok(mut started) = LocalTransport::start(self.interrupt.clone()) else { return false };
        (started.heeds_interrupt, started.traffic) = (false, self.traffic);
        *self = started;
        true
    }

    /// TERM to the shell and all below it, a moment to obey, then KILL to its process group.
    fn stop(&mut self) {
        let process = self.child.id().to_string();
        quietly(Command::new("sh").args(["-c", end_script(), &process]));
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        quietly(Command::new("kill").args(["-s", "KILL", "--", &format!("-{process}")]));
    }
}

fn await_ready(read: &Receiver<Piece>) -> io::Result<()> {
    let mut stdout = Vec::new();
    while ready(&stdout).is_none() {
        match read.recv_timeout(Duration::from_secs(10)) {
            Ok(piece) if piece.bytes.is_empty() => return Err(io::ErrorKind::BrokenPipe.into()),
            Ok(piece) if piece.stderr => {}
            Ok(piece) => stdout.extend_from_slice(&piece.bytes),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

fn quietly(command: &mut Command) {
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn pump(mut stream: impl Read + Send + 'static, stderr: bool, pieces: SyncSender<Piece>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        loop {
            let read = stream.read(&mut buffer).unwrap_or(0);
            let bytes = buffer[..read].to_vec();
            if pieces.send(Piece { stderr, bytes }).is_err() || read == 0 {
                return;
            }
        }
    });
}

fn feed(mut stdin: ChildStdin, texts: Receiver<Vec<u8>>) {
    thread::spawn(move || {
        for text in texts {
            if stdin.write_all(&text).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
}

impl Drop for LocalTransport {
    fn drop(&mut self) {
        // The end of its input ends the shell, unless a job still runs after a failed exchange.
        let (closed, _) = channel();
        self.write = closed;
        let deadline = Instant::now() + Duration::from_millis(200);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.stop();
        let _ = self.child.wait();
    }
}

impl Transport for LocalTransport {
    fn exchange(
        &mut self,
        jobs: &[Job],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<Vec<Reply>, ExchangeError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if self.is_stopped && !self.start_again() {
            return Err(ExchangeError { done: Vec::new(), running: None, cause: ExchangeCause::Interrupted });
        }
        self.traffic.round_trips += 1;
        let secrets = Secrets::random(jobs);
        let mut replies = Replies::new(jobs, &secrets);
        match self.run(request(jobs, &secrets), &mut replies, watch, jobs) {
            Ok(()) => Ok(replies.into_replies()),
            Err(cause) => {
                let (done, running) = replies.into_partial();
                Err(ExchangeError { done, running, cause })
            }
        }
    }

    fn heed_interrupt(&mut self, heed: bool) {
        self.heeds_interrupt = heed;
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
