//! The ways to hosts: which logins, how many at a time, and what there is to say of one that cannot be used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kstate_core::kept::Claim;
use kstate_core::{
    Connect, ConnectError, Event, HostReport, Position, Problem, Sink, Transport, side_by_side,
};
use kstate_sls::{NamedLogin, Target};
use kstate_ssh::{AskPassphrase, Local, Login, Logins, Ssh, SshSettings};

use super::Session;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::{Ui, passphrase};

/// A host that is connected, and nothing more.
pub(crate) struct Reached {
    pub(crate) target: String,
    pub(crate) transport: Box<dyn Transport>,
    /// What its token is asked for.
    pub(crate) claim: Claim,
}

impl Session<'_> {
    /// Connects to all targets, side by side, and does `work` with each. A host that cannot be used has a report.
    pub(crate) fn with_hosts<R: Send>(
        &self,
        work: impl Fn(&mut Reached) -> Result<R, String> + Sync,
    ) -> Result<Vec<Result<R, Box<HostReport>>>, CommandError> {
        let targets = self.targets(&[])?;
        let connect: Arc<dyn Connect> = self.connector(&targets)?.into();
        Ok(side_by_side(self.jobs(), targets, |target| {
            let claim = self.claim(&target, &[]);
            let name = target.name;
            self.ui.event(&name, Event::Connecting);
            let result = match connect.connect(&name) {
                Ok(transport) => {
                    let mut host = Reached { target: name.clone(), transport, claim };
                    work(&mut host).map_err(|reason| lost(&name, reason, Some(host.transport.as_ref())))
                }
                Err(error) => Err(unreachable(&name, error)),
            };
            self.ui.ended(&name);
            result
                .map_err(|report| Box::new(HostReport { interrupted: self.interrupt.is_raised(), ..report }))
        }))
    }

    /// Tells of a host that could not be used, and what that makes of the exit code.
    pub(crate) fn tell_lost(&self, report: &HostReport) -> Exit {
        let error = report.error.as_deref().unwrap_or_default();
        self.ui.error(&format!("{}: {error}", report.target), &report.hints);
        if report.interrupted { Exit::Interrupted } else { Exit::Unreachable }
    }

    /// For how long a host is tried again to which the connection was lost.
    pub(crate) fn patience(&self) -> Duration {
        const FIVE_MINUTES: Duration = Duration::from_secs(300);
        self.tree.root().ssh.reconnect.unwrap_or(FIVE_MINUTES)
    }

    /// How many hosts are worked on at a time.
    pub(crate) fn jobs(&self) -> usize {
        self.options.jobs.map(usize::from).or(self.tree.root().ssh.jobs).unwrap_or(32)
    }

    /// How many are worked on at a time where no host is waited for. More than there are processors would only take memory.
    pub(crate) fn jobs_without_hosts(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs().min(processors)
    }

    /// A key that the roster names for a host has to be there: no other is tried in its stead.
    fn refuse_missing_keys(&self, targets: &[Target]) -> Result<(), CommandError> {
        let missing = |target: &Target| {
            let key = target.key.as_ref().filter(|key| !key.exists())?;
            let message =
                format!("`priv` of `{}` names `{}`, which does not exist", target.name, key.display());
            Some(Problem::error(message).at(&target.at).hint("correct the path, or leave `priv` out"))
        };
        let problems: Vec<Problem> = targets.iter().filter_map(missing).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(CommandError::problems(&self.tree.root().dir, problems))
        }
    }

    pub(super) fn connector(&self, targets: &[Target]) -> Result<Box<dyn Connect>, CommandError> {
        if self.options.local {
            return Ok(Box::new(Local::new(self.interrupt.clone())));
        }
        self.refuse_missing_keys(targets)?;
        let ssh = &self.tree.root().ssh;
        let logins: BTreeMap<String, Logins> =
            targets.iter().map(|target| (target.name.clone(), logins(target, ssh))).collect();
        let defaults = SshSettings::default();
        let settings = SshSettings {
            ssh_config: self.options.ssh_config.clone().or_else(|| ssh.config.clone()),
            connect_timeout: ssh.timeout.unwrap_or(defaults.connect_timeout),
            silence: ssh.keepalive.map_or(defaults.silence, |keepalive| keepalive * 3),
            passphrase: Ui::is_interactive().then(|| {
                let ask: AskPassphrase = Arc::new(passphrase);
                ask
            }),
        };
        match Ssh::new(logins, settings, self.interrupt.clone()) {
            Ok(ssh) => Ok(Box::new(ssh)),
            Err(error) => {
                Err(CommandError::failed(format!("cannot start the threads of the connections: {error}")))
            }
        }
    }
}

/// The only target of `--local`, called as this machine is.
pub(super) fn this_machine() -> Target {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "localhost".into());
    Target::new(name.trim().to_owned(), "localhost".into(), Position::new("--local", 1, 1))
}

fn logins(target: &Target, ssh: &kstate_sls::SshSettings) -> Logins {
    let host = login(target, ssh);
    let named = |named: &NamedLogin| Login {
        user: Some(named.user.clone()),
        port: named.port.or(host.port),
        keys: named.key.iter().chain(&host.keys).cloned().collect(),
        sudo: named.sudo,
        timeout: named.timeout.or(host.timeout),
        ..host.clone()
    };
    match target.logins.split_first() {
        None => host.into(),
        Some((main, others)) => Logins { main: named(main), others: others.iter().map(named).collect() },
    }
}

fn login(target: &Target, ssh: &kstate_sls::SshSettings) -> Login {
    Login {
        host: target.host.clone(),
        port: target.port.or(ssh.port),
        user: target.user.clone().or_else(|| ssh.user.clone()),
        keys: target.key.iter().chain(&ssh.key).cloned().collect(),
        sudo: target.sudo,
        timeout: target.timeout,
        options: Vec::new(),
    }
}

pub(super) fn unreachable(target: &str, error: ConnectError) -> HostReport {
    HostReport {
        target: target.to_owned(),
        reachable: false,
        error: Some(error.message),
        hints: error.hints,
        ..HostReport::default()
    }
}

pub(super) fn lost(target: &str, reason: String, transport: Option<&(dyn Transport + '_)>) -> HostReport {
    HostReport {
        target: target.to_owned(),
        reachable: false,
        error: Some(reason),
        traffic: transport.map(Transport::traffic).unwrap_or_default(),
        ..HostReport::default()
    }
}
