//! Hosts over SSH: one login and one held shell for each.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kstate_core::{
    Connect, ConnectError, ExchangeCause, ExchangeError, Interrupt, Job, Limit, Output, Reply, Traffic,
    Transport,
};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::runtime::Runtime;

use crate::config::{ConfigError, route};
use crate::dial::{End, Session, dial, total};
use crate::frames::{Broken, Replies, Secrets};
use crate::keys::Keyring;
use crate::login::{Login, Logins, SshSettings};
use crate::patience::{Due, Patience};
use crate::several::Several;
use crate::shell::{Doing, Rights, command, continue_command, end_command, probe_command, ready, request};

/// How often a wait looks at the interrupt.
const TICK: Duration = Duration::from_millis(50);

/// How long an interrupted job may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// How long a command beside the held shell may take.
const COMMAND: Duration = Duration::from_secs(30);

/// What is kept of text that is short, unless somebody means harm.
const SHORT: usize = 64 * 1024;

/// The targets that are reached over SSH.
pub struct Ssh {
    logins: BTreeMap<String, Logins>,
    settings: SshSettings,
    interrupt: Interrupt,
    keyring: Keyring,
    threads: Arc<Threads>,
}

/// The runtime of all connections. Its end does not wait for a name server that never answers.
struct Threads(Option<Runtime>);

impl Threads {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.0.as_ref().map(|runtime| runtime.block_on(future))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ssh").field("logins", &self.logins).finish_non_exhaustive()
    }
}

impl Ssh {
    /// Starts the threads that keep the connections alive; fails only where the system has no threads left.
    pub fn new(
        logins: BTreeMap<String, impl Into<Logins>>,
        settings: SshSettings,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("kstate-ssh")
            .enable_all()
            .build()?;
        let keyring = Keyring::new(settings.passphrase.clone());
        let logins = logins.into_iter().map(|(target, logins)| (target, logins.into())).collect();
        Ok(Ssh { logins, settings, interrupt, keyring, threads: Arc::new(Threads(Some(runtime))) })
    }
}

impl Connect for Ssh {
    fn connect(&self, target: &str) -> Result<Box<dyn Transport>, ConnectError> {
        let Some(Logins { main, others }) = self.logins.get(target) else {
            return Err(ConnectError {
                message: format!("`{target}` is not in the roster"),
                hints: Vec::new(),
            });
        };
        if others.is_empty() {
            return self.open(target, main);
        }
        let all = std::thread::scope(|scope| {
            let open = |login| scope.spawn(move || self.open(target, login));
            let opening: Vec<_> = [main].into_iter().chain(others).map(open).collect();
            let gone = || ConnectError { message: "a thread has ended early".into(), hints: Vec::new() };
            opening.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(gone()))).collect()
        });
        Several::of(main, others, all)
    }
}

impl Ssh {
    fn open(&self, target: &str, login: &Login) -> Result<Box<dyn Transport>, ConnectError> {
        let way = route(login, &self.settings)?;
        let open = async {
            let rights = if login.sudo { Rights::Sudo } else { Rights::Login };
            let session = dial(&way, &self.settings, &self.keyring, &command(rights)).await?;
            hold_shell(session, rights).await
        };
        let interrupted = || ConnectError {
            message: format!("interrupted while connecting to `{target}`"),
            hints: Vec::new(),
        };
        let held = self.threads.block_on(unless_interrupted(&self.interrupt, open));
        let held = held.flatten().ok_or_else(interrupted)??;
        Ok(Box::new(SshTransport {
            held,
            threads: self.threads.clone(),
            interrupt: self.interrupt.clone(),
            heeds_interrupt: true,
            is_stopped: false,
        }))
    }
}

impl From<ConfigError> for ConnectError {
    fn from(error: ConfigError) -> Self {
        let hints = match &error {
            ConfigError::NoSsh { .. } => vec!["install OpenSSH's client (Debian: openssh-client)".to_owned()],
            _ => Vec::new(),
        };
        ConnectError { message: error.to_string(), hints }
    }
}

async fn unless_interrupted<T>(interrupt: &Interrupt, future: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(future);
    loop {
        tokio::select! {
            biased;
            result = &mut future => return Some(result),
            () = tokio::time::sleep(TICK) => if interrupt.is_raised() { return None },
        }
    }
}

/// A session with its held shell.
struct Held {
    session: Session,
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    rights: Rights,
    /// Its number on the host.
    process: u32,
    round_trips: u32,
}

/// A channel and what its shell has said until it was ready, or ended.
struct Opened {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    said: Said,
    round_trips: u32,
}

/// Opens a channel and starts the shell in it.
async fn open_shell(session: &Session, rights: Rights) -> Result<Opened, String> {
    let opening = async {
        let channel = session.handle.channel_open_session().await.map_err(|error| error.to_string())?;
        let late = session.notes.start();
        if late {
            channel.exec(true, command(rights)).await.map_err(|error| error.to_string())?;
        }
        let (mut read, write) = channel.split();
        let mut said = Said::default();
        while ready(&said.stdout).is_none() {
            let Some(message) = read.wait().await else { break };
            said.note(message);
        }
        Ok::<_, String>(Opened { read, write, said, round_trips: if late { 2 } else { 1 } })
    };
    let opened = tokio::time::timeout(session.limit.max(Duration::from_secs(10)), opening).await;
    match opened {
        Err(_) => Err("let us in, but its shell does not start".to_owned()),
        Ok(Err(error)) => Err(format!("let us in, but opens no channel: {error}")),
        Ok(Ok(opened)) => Ok(opened),
    }
}

/// Holds the shell of a new session.
async fn hold_shell(session: Session, rights: Rights) -> Result<Held, ConnectError> {
    let label = session.label.clone();
    let fail = |what: String| ConnectError { message: format!("{label} {what}"), hints: Vec::new() };
    let Opened { read, write, said, round_trips } = open_shell(&session, rights).await.map_err(fail)?;
    if let Some(process) = ready(&said.stdout) {
        return Ok(Held { session, read, write, rights, process, round_trips });
    }
    let complaint = said.complaint();
    if rights == Rights::Sudo {
        let user = &session.user;
        return Err(ConnectError {
            message: format!("{label} does not let `{user}` become root by `sudo -n`: {complaint}"),
            hints: vec![format!(
                "put this into /etc/sudoers.d/kstate on the host: {user} ALL=(root) NOPASSWD: ALL"
            )],
        });
    }
    Err(fail(format!("let us in, but runs no shell: {complaint}")))
}

/// What comes over the channel before the shell is ready.
#[derive(Default)]
struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<u32>,
}

/// Keeps the end of what login files print: the shell is ready behind it.
fn extend(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    kept.drain(..kept.len().saturating_sub(SHORT));
}

impl Said {
    fn note(&mut self, message: ChannelMsg) {
        match message {
            ChannelMsg::Data { data } => extend(&mut self.stdout, &data),
            ChannelMsg::ExtendedData { data, .. } => extend(&mut self.stderr, &data),
            ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
            ChannelMsg::Failure => self.stderr.extend_from_slice(b"the server refuses to run commands\n"),
            _ => {}
        }
    }

    fn complaint(&self) -> String {
        let bytes = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(bytes);
        match (text.trim(), self.status) {
            ("", Some(status)) => format!("it ended with status {status}"),
            ("", None) => "it ended at once".to_owned(),
            (text, _) => text.to_owned(),
        }
    }
}

struct SshTransport {
    held: Held,
    threads: Arc<Threads>,
    interrupt: Interrupt,
    heeds_interrupt: bool,
    /// An interrupt has ended the held shell.
    is_stopped: bool,
}

impl Drop for SshTransport {
    fn drop(&mut self) {
        self.threads.block_on(self.held.session.close());
    }
}

impl Transport for SshTransport {
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
        self.held.round_trips += 1;
        let secrets = Secrets::random(jobs);
        let mut replies = Replies::new(jobs, &secrets);
        let bytes = request(jobs, &secrets);
        let interrupt = if self.heeds_interrupt { self.interrupt.clone() } else { Interrupt::default() };
        let run = self.threads.block_on(self.held.run(bytes, jobs, &mut replies, watch, &interrupt));
        match run.unwrap_or(Err(Stop::Closed(None))) {
            Ok(()) => Ok(replies.into_replies()),
            Err(stop) => {
                self.is_stopped |= matches!(stop, Stop::Interrupted | Stop::Overdue(_));
                self.threads.block_on(self.held.end(&stop));
                let cause = self.held.cause(stop, jobs);
                let (done, running) = replies.into_partial();
                Err(ExchangeError { done, running, cause })
            }
        }
    }

    fn heed_interrupt(&mut self, heed: bool) {
        self.heeds_interrupt = heed;
    }

    fn process(&self) -> Option<u32> {
        Some(self.held.process)
    }

    fn traffic(&self) -> Traffic {
        let (bytes_sent, bytes_received) = total(&self.held.session.bytes);
        Traffic { logins: 1, round_trips: self.held.round_trips, bytes_sent, bytes_received }
    }
}

impl SshTransport {
    /// Another held shell in place of the one that an interrupt has ended, for what has to be brought to its end.
    fn start_again(&mut self) -> bool {
        if self.heeds_interrupt {
            return false;
        }
        let Held { session, rights, .. } = &self.held;
        session.notes.start_again();
        let opened = self.threads.block_on(open_shell(session, *rights));
        let Some(Ok(Opened { read, write, said, round_trips })) = opened else { return false };
        let Some(process) = ready(&said.stdout) else { return false };
        self.is_stopped = false;
        self.held.round_trips += round_trips;
        (self.held.read, self.held.write, self.held.process) = (read, write, process);
        true
    }
}

/// What a message says about the end of the shell.
fn end(message: &ChannelMsg) -> Option<String> {
    match message {
        ChannelMsg::ExitStatus { exit_status } => {
            Some(format!("the shell on the host ended with status {exit_status}"))
        }
        ChannelMsg::ExitSignal { signal_name, .. } => {
            Some(format!("the shell on the host was killed by SIG{signal_name:?}"))
        }
        _ => None,
    }
}

/// Why an exchange stopped before its end.
enum Stop {
    Closed(Option<String>),
    Broken(Broken),
    Interrupted,
    Overdue(Limit),
    /// The held shell does not work any more, while its connection does.
    Idle(&'static str),
}

impl Held {
    async fn run(
        &mut self,
        bytes: Vec<u8>,
        jobs: &[Job],
        replies: &mut Replies,
        watch: &mut dyn FnMut(Output<'_>),
        interrupt: &Interrupt,
    ) -> Result<(), Stop> {
        let Held { session, read, write, rights, process, .. } = self;
        let send = write.data_bytes(bytes);
        tokio::pin!(send);
        let mut looking = None;
        let mut tick = tokio::time::interval(TICK);
        let mut patience = Patience::new(jobs, Instant::now());
        let (mut sending, mut ended) = (true, None);
        while !replies.complete() {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    if interrupt.is_raised() {
                        return Err(Stop::Interrupted);
                    }
                    match patience.due(replies.running(), Instant::now()) {
                        Due::Nothing => {}
                        Due::Tell(job) => watch(Output { job, stderr: false, bytes: b"" }),
                        Due::Look if looking.is_some() => {}
                        Due::Look => {
                            let look = command_output(session, probe_command(*rights, *process));
                            looking = Some(Box::pin(look));
                        }
                        Due::End(limit) => return Err(Stop::Overdue(limit)),
                    }
                }
                looked = async { looking.as_mut()?.await }, if looking.is_some() => {
                    looking = None;
                    let doing = looked.and_then(|text| Doing::read(&text)).unwrap_or(Doing::Work);
                    patience.saw(doing, Instant::now()).map_err(Stop::Idle)?;
                }
                sent = &mut send, if sending => {
                    sending = false;
                    if sent.is_err() {
                        return Err(Stop::Closed(ended));
                    }
                }
                message = read.wait() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        patience.hear(Instant::now());
                        replies.feed(false, &data, watch).map_err(Stop::Broken)?;
                    }
                    Some(ChannelMsg::ExtendedData { data, .. }) => {
                        patience.hear(Instant::now());
                        replies.feed(true, &data, watch).map_err(Stop::Broken)?;
                    }
                    Some(ChannelMsg::Close) | None => return Err(Stop::Closed(ended)),
                    Some(message) => ended = ended.or(end(&message)),
                },
            }
        }
        Ok(())
    }

    /// Ends what runs on the host, where the end of the exchange does not do that.
    async fn end(&mut self, stop: &Stop) {
        match stop {
            Stop::Interrupted | Stop::Overdue(_) => self.stop().await,
            Stop::Idle(_) => {
                let command = continue_command(self.rights, self.process);
                let _ = command_output(&self.session, command).await;
                let _ = tokio::time::timeout(GRACE, self.write.close()).await;
            }
            Stop::Closed(_) | Stop::Broken(_) => {}
        }
    }

    /// Ends what runs on the host: TERM to all of it, a moment to obey, then KILL and the end of the channel. What still
    /// comes is read meanwhile: unread, it would hold up the whole connection.
    async fn stop(&mut self) {
        let Held { session, read, write, rights, process, .. } = self;
        let command = end_command(*rights, *process);
        let kill = async {
            if command_output(session, command).await.is_none() {
                // A server that allows one channel only may still pass a signal on.
                let _ = write.signal(Sig::TERM).await;
            }
        };
        let drain = async { while read.wait().await.is_some_and(|message| end(&message).is_none()) {} };
        let _ = tokio::time::timeout(GRACE + GRACE, async { tokio::join!(kill, drain) }).await;
        let _ = tokio::time::timeout(GRACE, write.close()).await;
    }

    fn cause(&self, stop: Stop, jobs: &[Job]) -> ExchangeCause {
        match stop {
            Stop::Interrupted => ExchangeCause::Interrupted,
            Stop::Broken(broken) => refused(broken, jobs),
            Stop::Overdue(limit) => ExchangeCause::Overdue(limit),
            Stop::Idle(reason) => ExchangeCause::Lost(reason.to_owned()),
            Stop::Closed(Some(reason)) => ExchangeCause::Lost(reason),
            Stop::Closed(None) => match self.session.notes.end() {
                Some(End::Silent) => ExchangeCause::Silent(self.session.silence),
                Some(End::Lost(reason)) => ExchangeCause::Lost(reason),
                None => ExchangeCause::Lost("the host closed the channel".to_owned()),
            },
        }
    }
}

/// Runs a command over a channel of its own, and returns the beginning of what it prints. `None`: it cannot be run, or
/// does not end.
async fn command_output(session: &Session, command: String) -> Option<String> {
    let run = async {
        let mut channel = session.handle.channel_open_session().await.ok()?;
        channel.exec(false, command).await.ok()?;
        let mut text = Vec::new();
        while let Some(message) = channel.wait().await {
            if let ChannelMsg::Data { data } = message
                && text.len() < SHORT
            {
                text.extend_from_slice(&data);
            }
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    tokio::time::timeout(COMMAND, run).await.ok().flatten()
}

/// What it means that the shell refused the exchange.
pub(crate) fn refused(broken: Broken, jobs: &[Job]) -> ExchangeCause {
    match broken {
        Broken::Garbled => ExchangeCause::Lost("the shell on the host is out of step".to_owned()),
        Broken::Denied(own) => {
            let wanted = jobs.iter().filter_map(|job| job.user.as_deref()).find(|user| *user != own);
            ExchangeCause::NoSuchLogin {
                user: wanted.unwrap_or_default().to_owned(),
                reason: format!("kstate works on the host as `{own}`, and only root can become another user"),
            }
        }
    }
}
