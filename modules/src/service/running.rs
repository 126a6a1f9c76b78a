//! `service.running`, `service.dead`: a service that runs, or does not
//!
//! ```yaml
//! uwsgi:
//!   service.running:
//!     - enable: True
//!     - reload: True
//!     - watch:
//!       - file: /etc/uwsgi/apps-enabled/app.ini
//! ```
//!
//! When a watched state changes, the service is restarted, or with `reload: True` reloaded and never restarted. One that
//! is found dead is started. A service that is run by a script in `/etc/init.d` runs if a process of it lives, whatever
//! systemd calls it.

use kstate_core::question::Service;
use kstate_core::{Claim, Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Manner, Verb, at_boot, known, step, with_processes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The service, as systemd or `/etc/init.d` call it.
    name: String,
    /// Whether it is started at boot. Default: it stays as it is.
    enable: Option<bool>,
    /// Reloads it on a watched change. Default: `False`, it is restarted.
    #[serde(default)]
    reload: bool,
    /// Seconds for which a reload waits until the workers are gone that it replaces; the report says when they were. For a
    /// service whose reload replaces its workers, as those of uWSGI and Apache do. Default: 0, it does not look.
    #[serde(default)]
    old_workers: u32,
    /// Restarts it on a watched change, as is done without it: systemd knows no other restart.
    #[serde(default)]
    full_restart: bool,
    /// Seconds to wait after it has been started or stopped.
    #[serde(default)]
    init_delay: u32,
    /// Does not wait until systemd is done. Default: `False`.
    #[serde(default)]
    no_block: bool,
    /// Unmasks it if it is masked. Default: `False`.
    #[serde(default)]
    unmask: bool,
    /// Likewise, where it is masked until the next boot. Default: `False`.
    #[serde(default)]
    unmask_runtime: bool,
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("sig", "whether a service runs is told by systemd or its script, not by a search for processes"),
    ("force", "a reload that restarts is no reload; leave `reload` out"),
    ("timeout", "systemd itself limits how long a start may take (`TimeoutStartSec` of the unit)"),
];

#[derive(Debug)]
pub(crate) struct Running(Declared);

#[derive(Debug)]
pub(crate) struct Dead(Declared);

#[derive(Debug)]
struct Declared {
    name: String,
    enable: Option<bool>,
    reload: bool,
    manner: Manner,
    unmask: bool,
    unmask_runtime: bool,
}

impl State for Running {
    const NAME: &'static str = "service.running";
    const SOURCE: &'static str = include_str!("running.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = UNSUPPORTED;
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        if arguments.reload && arguments.full_restart {
            return Err(vec![cx.error("full_restart", "it cannot be reloaded and restarted")]);
        }
        Ok(Running(Declared::new(arguments)))
    }
}

impl State for Dead {
    const NAME: &'static str = "service.dead";
    const SOURCE: &'static str = include_str!("running.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = UNSUPPORTED;
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Dead(Declared::new(arguments)))
    }
}

impl Declared {
    fn new(arguments: Arguments) -> Self {
        Declared {
            name: arguments.name,
            enable: arguments.enable,
            reload: arguments.reload,
            manner: Manner {
                no_block: arguments.no_block,
                runtime: false,
                delay: arguments.init_delay,
                old_workers: arguments.old_workers,
            },
            unmask: arguments.unmask,
            unmask_runtime: arguments.unmask_runtime,
        }
    }

    fn step(&self, service: &Service, verb: Verb) -> Result<Step, Stop> {
        step(&self.name, service, verb, self.manner)
    }

    /// What is to be done about its start at boot. One that has no say in it (a static unit) is as declared.
    fn at_boot(&self, service: &Service) -> Option<Verb> {
        match (self.enable, service.enabled) {
            (Some(true), Some(false)) => Some(Verb::Enable),
            (Some(false), Some(true)) => Some(Verb::Disable),
            _ => None,
        }
    }

    fn claims(&self, shape: &str) -> Vec<Claim> {
        let claim = Claim::new(format!("service {}", self.name), shape);
        std::iter::once(claim).chain(self.enable.map(|enable| at_boot(&self.name, enable))).collect()
    }
}

impl Resource for Running {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.name.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let service = known(facts, &self.0.name)?;
        let mut steps = Vec::new();
        let mut there = service.clone();
        if service.masked {
            if !self.0.unmask && !self.0.unmask_runtime {
                return Err(Stop::Failed(format!(
                    "`{}` is masked; `unmask: True` would unmask it",
                    self.0.name
                )));
            }
            let manner = Manner { runtime: !self.0.unmask, ..Manner::default() };
            steps.push(step(&self.0.name, service, Verb::Unmask, manner)?);
            there.masked = false;
            there.masked_until_boot = false;
        }
        if let Some(verb) = self.0.at_boot(service) {
            steps.push(self.0.step(&there, verb)?);
            there.enabled = self.0.enable;
        }
        if !service.running {
            steps.push(self.0.step(&there, Verb::Start)?);
        }
        Ok(with_processes(steps, facts))
    }

    /// What it serves may be declared after it.
    fn may_hold_later(&self) -> bool {
        true
    }

    fn refresh(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let service = known(facts, &self.0.name)?;
        let verb = match (service.running, self.0.reload) {
            (false, _) => Verb::Start,
            (true, true) => Verb::Reload,
            (true, false) => Verb::Restart,
        };
        Ok(with_processes(vec![self.0.step(service, verb)?], facts))
    }

    /// A service that is started reads the new configuration; one that runs already does not, whatever else changes.
    fn refresh_beside(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if known(facts, &self.0.name)?.running { self.refresh(facts) } else { Ok(Vec::new()) }
    }

    fn claims(&self) -> Vec<Claim> {
        self.0.claims("running")
    }
}

impl Resource for Dead {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.name.clone())]
    }

    /// Salt: a service that the host does not know is dead.
    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let service = facts.service(&self.0.name)?;
        let mut steps = Vec::new();
        let mut there = service.clone();
        if !service.known {
            return Ok(steps);
        }
        if service.running {
            steps.push(self.0.step(&there, Verb::Stop)?);
            there.running = false;
            there.state = "inactive (dead)".into();
        }
        if let Some(verb) = self.0.at_boot(service) {
            steps.push(self.0.step(&there, verb)?);
        }
        Ok(with_processes(steps, facts))
    }

    /// Salt: it stays dead.
    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    fn claims(&self) -> Vec<Claim> {
        self.0.claims("dead")
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::Change;

    use super::super::tests::{facts, script, unit};
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    const UWSGI: &str = "uwsgi:\n  service.running:\n    - enable: True\n    - reload: True\n";

    fn changes(steps: &[Step]) -> Vec<String> {
        steps.iter().flat_map(|step| &step.changes).map(Change::to_string).collect()
    }

    #[test]
    fn a_running_service_needs_nothing() {
        let resource = declare(UWSGI, &Tree::default());
        assert_eq!(resource.diff(&facts("uwsgi", unit(true, true))), Ok(Vec::new()));
    }

    #[test]
    fn a_stopped_one_is_enabled_and_started() {
        let resource = declare(UWSGI, &Tree::default());
        let mut facts = facts("uwsgi", unit(false, false));
        assert_eq!(
            changes(&resource.diff(&facts).unwrap()),
            ["service uwsgi at boot: disabled -> enabled", "service uwsgi: inactive (dead) -> running"]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_script_without_processes_is_started() {
        let resource = declare(UWSGI, &Tree::default());
        let exited = Service {
            sysv: true,
            state: "active (exited), but no process of it lives".into(),
            ..unit(false, true)
        };
        let mut facts = facts("uwsgi", exited);
        assert_eq!(
            changes(&resource.diff(&facts).unwrap()),
            ["service uwsgi: active (exited), but no process of it lives -> running"]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_watched_change_reloads_or_restarts() {
        let reloads = declare(UWSGI, &Tree::default());
        let facts = facts("uwsgi", unit(true, true));
        assert!(script(&reloads.refresh(&facts).unwrap()[0]).contains("verb=reload"));
        let restarts = declare("uwsgi:\n  service.running: []\n", &Tree::default());
        assert!(script(&restarts.refresh(&facts).unwrap()[0]).contains("systemctl restart"));
    }

    #[test]
    fn a_watched_change_restarts_a_service_that_is_only_enabled_and_not_one_that_is_started() {
        let resource = declare("cron:\n  service.running:\n    - enable: True\n", &Tree::default());
        let only_enabled = facts("cron", unit(true, false));
        assert_eq!(
            changes(&resource.diff(&only_enabled).unwrap()),
            ["service cron at boot: disabled -> enabled"]
        );
        assert!(script(&resource.refresh_beside(&only_enabled).unwrap()[0]).contains("systemctl restart"));
        assert_eq!(resource.refresh_beside(&facts("cron", unit(false, false))), Ok(Vec::new()));
    }

    #[test]
    fn an_unknown_service_is_told() {
        let resource = declare(UWSGI, &Tree::default());
        assert_eq!(
            resource.diff(&facts("uwsgi", Service::default())),
            Err(Stop::Failed("the service `uwsgi` is not known to the host".into()))
        );
    }

    #[test]
    fn a_masked_service_is_unmasked_only_if_told() {
        let masked = Service { masked: true, ..unit(false, false) };
        let resource = declare(UWSGI, &Tree::default());
        assert!(matches!(resource.diff(&facts("uwsgi", masked.clone())), Err(Stop::Failed(_))));
        let resource = declare(&format!("{UWSGI}    - unmask: True\n"), &Tree::default());
        settles(&*resource, &mut facts("uwsgi", masked));
    }

    #[test]
    fn a_dead_service_is_stopped_and_disabled() {
        let resource = declare("rpcbind:\n  service.dead:\n    - enable: False\n", &Tree::default());
        let mut facts = facts("rpcbind", unit(true, true));
        assert_eq!(
            changes(&resource.diff(&facts).unwrap()),
            ["service rpcbind: active (running) -> stopped", "service rpcbind at boot: enabled -> disabled"]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn what_is_not_known_is_dead() {
        let resource = declare("rpcbind:\n  service.dead: []\n", &Tree::default());
        assert_eq!(resource.diff(&facts("rpcbind", Service::default())), Ok(Vec::new()));
    }

    #[test]
    fn a_signature_is_refused() {
        let error = declare_error("a:\n  service.running:\n    - sig: x\n", &Tree::default());
        assert!(error.contains("`sig` is not supported"), "{error}");
    }
}
