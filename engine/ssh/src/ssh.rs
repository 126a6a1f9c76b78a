//! Hosts over SSH: one login and one held shell for each.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kstate_core::{
    Connect, ConnectError, ExchangeCause, ExchangeError, Interrupt, Job, Output, Reply, Traffic, Transport,
};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::runtime::Runtime;

use crate::config::{ConfigError, route};
use crate::dial::{End, Session, dial, total};
use crate::frames::{Broken, Replies, Secrets};
use crate::keys::Keyring;
use crate::login::{Login, Logins, SshSettings};
use crate::several::Several;
use crate::shell::{Rights, command, end_command, ready, request};

/// How often a wait looks at the interrupt.
const TICK: Duration = Duration::from_millis(50);

/// How long an interrupted job may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

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

/// Opens the one channel and starts the shell in it.
async fn hold_shell(session: Session, rights: Rights) -> Result<Held, ConnectError> {
    let label = session.label.clone();
    let fail = |what: String| ConnectError { message: format!("{label} {what}"), hints: Vec::new() };
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
        Ok::<_, String>((read, write, said, if late { 2 } else { 1 }))
    };
    let opened = tokio::time::timeout(session.limit.max(Duration::from_secs(10)), opening).await;
    let (read, write, said, round_trips) = match opened {
        Err(_) => return Err(fail("let us in, but its shell does not start".to_owned())),
        Ok(Err(error)) => return Err(fail(format!("let us in, but opens no channel: {error}"))),
        Ok(Ok(opened)) => opened,
    };
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

impl Said {
    fn note(&mut self, message: ChannelMsg) {
        match message {
            ChannelMsg::Data { data } => self.stdout.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => self.stderr.extend_from_slice(&data),
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
        if self.is_stopped {
            return Err(ExchangeError { done: Vec::new(), running: None, cause: ExchangeCause::Interrupted });
        }
        self.held.round_trips += 1;
        let secrets = Secrets::random(jobs);
        let mut replies = Replies::new(jobs, &secrets);
        let bytes = request(jobs, &secrets);
        let interrupt = if self.heeds_interrupt { self.interrupt.clone() } else { Interrupt::default() };
        let run = self.threads.block_on(self.held.run(bytes, &mut replies, watch, &interrupt));
        match run.unwrap_or(Err(Stop::Closed(None))) {
            Ok(()) => Ok(replies.into_replies()),
            Err(stop) => {
                if matches!(stop, Stop::Interrupted) {
                    self.is_stopped = true;
                    self.threads.block_on(self.held.stop());
                }
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
}

impl Held {
    async fn run(
        &mut self,
        bytes: Vec<u8>,
        replies: &mut Replies,
        watch: &mut dyn FnMut(Output<'_>),
        interrupt: &Interrupt,
    ) -> Result<(), Stop> {
        let Held { read, write, .. } = self;
        let send = write.data_bytes(bytes);
        tokio::pin!(send);
        let (mut sending, mut ended) = (true, None);
        while !replies.complete() {
            tokio::select! {
                message = read.wait() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        replies.feed(false, &data, watch).map_err(Stop::Broken)?;
                    }
                    Some(ChannelMsg::ExtendedData { data, .. }) => {
                        replies.feed(true, &data, watch).map_err(Stop::Broken)?;
                    }
                    Some(ChannelMsg::Close) | None => return Err(Stop::Closed(ended)),
                    Some(message) => ended = ended.or(end(&message)),
                },
                sent = &mut send, if sending => {
                    sending = false;
                    if sent.is_err() {
                        return Err(Stop::Closed(ended));
                    }
                },
                () = tokio::time::sleep(TICK) => if interrupt.is_raised() {
                    return Err(Stop::Interrupted);
                },
            }
        }
        Ok(())
    }

    /// Ends what runs on the host: TERM to all of it, a moment to obey, then the end of the channel.
    async fn stop(&mut self) {
        let Held { session, read, write, rights, process, .. } = self;
        let command = end_command(*rights, *process);
        let stop = async {
            let Ok(mut channel) = session.handle.channel_open_session().await else {
                // A server that allows one channel only may still pass a signal on.
                let _ = write.signal(Sig::TERM).await;
                return;
            };
            if channel.exec(false, command).await.is_ok() {
                while channel.wait().await.is_some() {}
            }
            while read.wait().await.is_some_and(|message| end(&message).is_none()) {}
        };
        let _ = tokio::time::timeout(GRACE, stop).await;
        let _ = tokio::time::timeout(GRACE, write.close()).await;
    }

    fn cause(&self, stop: Stop, jobs: &[Job]) -> ExchangeCause {
        match stop {
            Stop::Interrupted => ExchangeCause::Interrupted,
            Stop::Broken(broken) => refused(broken, jobs),
            Stop::Closed(Some(reason)) => ExchangeCause::Lost(reason),
            Stop::Closed(None) => match self.session.notes.end() {
                Some(End::Silent) => ExchangeCause::Silent(self.session.silence),
                Some(End::Lost(reason)) => ExchangeCause::Lost(reason),
                None => ExchangeCause::Lost("the host closed the channel".to_owned()),
            },
        }
    }
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
