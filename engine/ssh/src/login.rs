//! What is known about a host before anybody asks OpenSSH's configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One host of the roster. Everything but the host may stay open; what is given wins over `~/.ssh/config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The name or address, as one would type it behind `ssh`.
    pub host: String,
    pub port: Option<u16>,
    /// `None`: what the configuration says, else root.
    pub user: Option<String>,
    /// Private keys, tried before those of the configuration and of the agent.
    pub keys: Vec<PathBuf>,
    /// Whether the shell on the host runs under `sudo`.
    pub sudo: bool,
    /// How long to wait for a connection, and again for the handshake.
    pub timeout: Option<Duration>,
    /// More options in the form of `ssh -o`: `UserKnownHostsFile=/path`.
    pub options: Vec<String>,
}

impl Login {
    pub fn new(host: impl Into<String>) -> Self {
        Login { host: host.into(), ..Login::default() }
    }
}

/// How a host is reached: by one login, or by more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// What everything goes by that is of no user with a login.
    pub main: Login,
    /// Those of other users, each with its `user`.
    pub others: Vec<Login>,
}

impl From<Login> for Logins {
    fn from(main: Login) -> Self {
        Logins { main, others: Vec::new() }
    }
}

/// Asks for the passphrase of a key file; `None` when nobody answers. Given only where there is a terminal to ask on.
pub type AskPassphrase = Arc<dyn Fn(&Path) -> Option<String> + Send + Sync>;

/// What holds for every host.
#[derive(Clone)]
pub struct SshSettings {
    /// Stands for `~/.ssh/config`, as `ssh -F` does.
    pub ssh_config: Option<PathBuf>,
    /// For the connection, and again for the handshake, where neither the roster nor the configuration says more.
    pub connect_timeout: Duration,
    /// After how long without any packet a host counts as gone. It is asked for a sign of life three times before.
    pub silence: Duration,
    pub passphrase: Option<AskPassphrase>,
}

impl Default for SshSettings {
    fn default() -> Self {
        SshSettings {
            ssh_config: None,
            connect_timeout: Duration::from_secs(10),
            silence: Duration::from_secs(24),
            passphrase: None,
        }
    }
}

impl fmt::Debug for SshSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SshSettings")
            .field("ssh_config", &self.ssh_config)
            .field("connect_timeout", &self.connect_timeout)
            .field("silence", &self.silence)
            .field("passphrase", &self.passphrase.is_some())
            .finish()
    }
}
