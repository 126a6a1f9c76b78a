//! The way to a logged-in session: TCP, hop by hop, host key, login.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kstate_core::ConnectError;
use russh::client::{Config, DisconnectReason, Handle, Handler};
use russh::keys::ssh_encoding::Decode as _;
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{ChannelId, Disconnect, Preferred};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::algorithms::Unsupported;
use crate::auth::{AuthError, log_in};
use crate::config::{HostConfig, Proxy};
use crate::host_key::{HostKeyError, HostKeys};
use crate::keys::Keyring;
use crate::login::SshSettings;
use crate::wire::{Bytes, Counted};

/// Why there is no session.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    #[error("cannot find the address of `{host}`: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {label}: {source}")]
    Tcp { label: String, source: io::Error },
    #[error("{label} did not answer within {} s", limit.as_secs_f32())]
    Timeout { label: String, limit: Duration },
    #[error("cannot start the `ProxyCommand` of `{host}`: {source}")]
    ProxyCommand { host: String, source: io::Error },
    #[error("`{hop}` does not connect us to {label}: {reason}")]
    Hop { hop: String, label: String, reason: String },
    #[error("{label} does not speak SSH as we do: {reason}")]
    Handshake { label: String, reason: String },
    #[error("cannot connect to {label}: {source}")]
    Algorithms { label: String, source: Unsupported },
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    #[error("{label} {source}")]
    Auth { label: String, source: AuthError },
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        let hints = match &error {
            DialError::HostKey(problem) => problem.hints(),
            DialError::Auth { source, .. } => source.hints(),
            DialError::Algorithms { source, .. } => {
                vec![format!("allow more by `{}` in ~/.ssh/config", source.option)]
            }
            DialError::Resolve { .. } => {
                vec!["look at `host` in the roster and `HostName` in ~/.ssh/config".to_owned()]
            }
            DialError::Tcp { .. } | DialError::Timeout { .. } => {
                vec!["is the host up, and does its firewall let this machine in?".to_owned()]
            }
            _ => Vec::new(),
        };
        ConnectError { message: error.to_string(), hints }
    }
}

/// What the session tells us besides its answers.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    host_key: Mutex<Option<HostKeyError>>,
    end: Mutex<Option<End>>,
    started: AtomicBool,
}

/// How a session came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Silent,
    Lost(String),
}

impl Notes {
    /// Whether the command of the held shell is yet to be asked for; true once.
    pub(crate) fn start(&self) -> bool {
        !self.started.swap(true, Ordering::SeqCst)
    }

    /// Lets the command be asked for once more, for another channel.
    pub(crate) fn start_again(&self) {
        self.started.store(false, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_end(&self, end: End) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }
}

/// Our side of one session, as russh calls it.
#[derive(Debug)]
pub(crate) struct Client {
    keys: HostKeys,
    notes: Arc<Notes>,
    /// What the held shell runs; `None` on hops.
    command: Option<String>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        match self.keys.check(shown) {
            Ok(()) => Ok(true),
            Err(problem) => {
                *self.notes.host_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                Ok(false)
            }
        }
    }

    /// OpenSSH tells its keys right after the login, while the request for our channel is under way. The first channel
    /// of a connection is number 0 at its end, so the command can follow without waiting for the confirmation.
    async fn openssh_ext_host_keys_announced(
        &mut self,
        _: Vec<PublicKey>,
        session: &mut russh::client::Session,
    ) -> Result<(), russh::Error> {
        if !session.remote_sshid().starts_with(b"SSH-2.0-OpenSSH_") {
            return Ok(());
        }
        let asked_for = |id: &ChannelId| session.sender_window_size(*id) > 0;
        let channel = (0_u32..8).filter_map(channel_id).find(asked_for);
        if let (Some(command), Some(channel)) = (&self.command, channel)
            && self.notes.start()
        {
            session.exec(channel, true, command.as_bytes())?;
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.notes.set_end(End::Lost(format!("the host said: {}", info.message)));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.notes.set_end(match error {
                    russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => End::Silent,
                    russh::Error::Disconnect | russh::Error::HUP => {
                        End::Lost("the host closed it".to_owned())
                    }
                    russh::Error::IO(ref error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        End::Lost("the host closed it".to_owned())
                    }
                    ref error => End::Lost(error.to_string()),
                });
                Err(error)
            }
        }
    }
}

fn channel_id(number: u32) -> Option<ChannelId> {
    ChannelId::decode(&mut number.to_be_bytes().as_slice()).ok()
}

/// A logged-in session, and what it stands on.
pub(crate) struct Session {
    pub(crate) handle: Handle<Client>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) bytes: Arc<Bytes>,
    pub(crate) label: String,
    pub(crate) user: String,
    pub(crate) limit: Duration,
    pub(crate) silence: Duration,
    hops: Vec<Handle<Client>>,
    proxy: Option<ProxyChild>,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Session {
    /// Says good-bye, and waits no longer than that takes on a working link.
    pub(crate) async fn close(&mut self) {
        for handle in std::iter::once(&mut self.handle).chain(self.hops.iter_mut().rev()) {
            let goodbye = async {
                if handle.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
                    let _ = handle.await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(300), goodbye).await;
        }
        self.proxy = None;
    }
}

/// Ends with the session.
#[derive(Debug)]
struct ProxyChild(Child);

impl Drop for ProxyChild {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Logs in to each hop and to the host at the end of the way.
pub(crate) async fn dial(
    way: &[HostConfig],
    settings: &SshSettings,
    keyring: &Keyring,
    command: &str,
) -> Result<Session, DialError> {
    let mut hops: Vec<Handle<Client>> = Vec::new();
    let mut proxy = None;
    let mut reached: Option<(Handle<Client>, Arc<Notes>, Arc<Bytes>)> = None;
    for (index, config) in way.iter().enumerate() {
        let limit = config.connect_timeout.unwrap_or(settings.connect_timeout);
        let before = index.checked_sub(1).map(|before| &way[before]);
        let stream: Box<dyn Stream> = match (&config.proxy, reached.take()) {
            (_, Some((hop, _, _))) => {
                let stream = through(&hop, before.map_or("", |hop| &hop.given), config, limit).await?;
                hops.push(hop);
                stream
            }
            (Proxy::Command(command), None) => {
                let (stream, child) = proxy_command(command, config)?;
                proxy = Some(child);
                stream
            }
            _ => Box::new(tcp(config, limit).await?),
        };
        let bytes = Arc::new(Bytes::default());
        let stream = Counted::new(stream, bytes.clone());
        let notes = Arc::new(Notes::default());
        let client = Client {
            keys: HostKeys::of(config, before),
            notes: notes.clone(),
            command: (index + 1 == way.len()).then(|| command.to_owned()),
        };
        let mut handle = shake_hands(stream, client, config, settings, limit).await?;
        log_in(&mut handle, config, keyring, limit)
            .await
            .map_err(|source| DialError::Auth { label: config.label(), source })?;
        reached = Some((handle, notes, bytes));
    }
    let (Some((handle, notes, bytes)), Some(config)) = (reached, way.last()) else {
        return Err(DialError::Resolve { host: String::new(), source: io::ErrorKind::InvalidInput.into() });
    };
    Ok(Session {
        handle,
        notes,
        bytes,
        label: config.label(),
        user: config.user.clone(),
        limit: config.connect_timeout.unwrap_or(settings.connect_timeout),
        silence: silence(config, settings),
        hops,
        proxy,
    })
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn within<T>(
    limit: Duration,
    config: &HostConfig,
    future: impl Future<Output = T>,
) -> Result<T, DialError> {
    tokio::time::timeout(limit, future).await.map_err(|_| DialError::Timeout { label: config.label(), limit })
}

async fn tcp(config: &HostConfig, limit: Duration) -> Result<TcpStream, DialError> {
    let connect = async {
        let addresses = tokio::net::lookup_host((config.host_name.as_str(), config.port))
            .await
            .map_err(|source| DialError::Resolve { host: config.host_name.clone(), source })?;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(DialError::Tcp { label: config.label(), source: last })
    };
    let stream = within(limit, config, connect).await??;
    // Without it every small packet waits for the answer to the one before.
    stream.set_nodelay(true).map_err(|source| DialError::Tcp { label: config.label(), source })?;
    Ok(stream)
}

async fn through(
    hop: &Handle<Client>,
    name: &str,
    config: &HostConfig,
    limit: Duration,
) -> Result<Box<dyn Stream>, DialError> {
    let open = hop.channel_open_direct_tcpip(config.host_name.clone(), config.port.into(), "127.0.0.1", 0);
    let failed = |error: russh::Error| DialError::Hop {
        hop: name.to_owned(),
        label: config.label(),
        reason: error.to_string(),
    };
    Ok(Box::new(within(limit, config, open).await?.map_err(failed)?.into_stream()))
}

fn proxy_command(command: &str, config: &HostConfig) -> Result<(Box<dyn Stream>, ProxyChild), DialError> {
    let failed = |source| DialError::ProxyCommand { host: config.given.clone(), source };
    let start = || -> io::Result<(tokio::net::UnixStream, Child)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        Ok((tokio::net::UnixStream::from_std(ours)?, child))
    };
    let (stream, child) = start().map_err(failed)?;
    Ok((Box::new(stream), ProxyChild(child)))
}

async fn shake_hands(
    stream: Counted<Box<dyn Stream>>,
    client: Client,
    config: &HostConfig,
    settings: &SshSettings,
    limit: Duration,
) -> Result<Handle<Client>, DialError> {
    let notes = client.notes.clone();
    let mut preferred = Preferred::DEFAULT;
    client.keys.prefer(&mut preferred);
    let unsupported = |source| DialError::Algorithms { label: config.label(), source };
    config.algorithms.prefer(&mut preferred).map_err(unsupported)?;
    let silence = silence(config, settings);
    let protocol = Config {
        preferred,
        nodelay: true,
        // The third question that stays without any answer ends the session.
        keepalive_interval: Some(silence / 3),
        keepalive_max: 2,
        // russh asks nothing while it waits for room to write; this bounds that wait.
        inactivity_timeout: Some(silence + Duration::from_secs(2)),
        ..Config::default()
    };
    let handshake = russh::client::connect_stream(Arc::new(protocol), stream, client);
    within(limit, config, handshake).await?.map_err(|error| {
        let refused = notes.host_key.lock().unwrap_or_else(PoisonError::into_inner).take();
        refused.map_or_else(
            || DialError::Handshake { label: config.label(), reason: reason(&error) },
            DialError::HostKey,
        )
    })
}

fn reason(error: &russh::Error) -> String {
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            format!("no {kind:?} algorithm in common; ours: {}; its: {}", ours.join(" "), theirs.join(" "))
        }
        russh::Error::Disconnect | russh::Error::HUP => "it closed the connection".to_owned(),
        russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed the connection".to_owned()
        }
        error => error.to_string(),
    }
}

/// The configuration may ask for less patience, never for more.
fn silence(config: &HostConfig, settings: &SshSettings) -> Duration {
    config.alive.map_or(settings.silence, |(interval, count)| settings.silence.min(interval * count.max(1)))
}

/// The bytes of a session, both ways.
pub(crate) fn total(bytes: &Bytes) -> (u64, u64) {
    (bytes.sent.load(Ordering::Relaxed), bytes.received.load(Ordering::Relaxed))
}
