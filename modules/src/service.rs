//! Services: units of systemd and scripts in `/etc/init.d`.

mod current;
mod enabled;
mod masked;
mod running;
mod stopped;

pub(crate) use current::Current;
pub(crate) use enabled::{Disabled, Enabled};
pub(crate) use masked::{Masked, Unmasked};
pub(crate) use running::{Dead, Running};
pub(crate) use stopped::Stopped;

use kstate_core::question::{Answer, Service};
use kstate_core::words::quote;
use kstate_core::{Change, Claim, Command, Facts, Operation, Question, Run, Step, Stop, Touch, Value};

/// What can be done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
    Enable,
    Disable,
    Mask,
    Unmask,
}

/// How a verb is carried out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Does not wait until it is done.
    pub(crate) no_block: bool,
    /// Only until the next boot.
    pub(crate) runtime: bool,
    /// Seconds to wait after it.
    pub(crate) delay: u32,
    /// Seconds for which a reload waits until the processes are gone that it replaces, and tells when they were.
    pub(crate) old_workers: u32,
}

/// For how long a service is watched after its start, in tenths of a second. A script of init.d has gone when the
/// service begins to live, or to die.
const WATCHED: u32 = 50;

/// Whether the service `$s` has processes, and says so for some time.
const LIVES: &str = r#"alive() {
  if [ -d /run/systemd/system ]; then
    cg=$(systemctl show -p ControlGroup --value -- "$s")
    for f in "/sys/fs/cgroup$cg/cgroup.procs" "/sys/fs/cgroup/systemd$cg/cgroup.procs" "/sys/fs/cgroup/unified$cg/cgroup.procs"; do
      [ -n "$cg" ] && [ -r "$f" ] && read -r pid <"$f" && [ -n "$pid" ] && return
    done
  fi
  said=$(SYSTEMCTL_SKIP_REDIRECT=1 _SYSTEMCTL_SKIP_REDIRECT=1 "/etc/init.d/$s" status 2>&1) || return
  case $said in *failed*|*"not running"*|*[Uu]sage*) return 1 ;; esac
}
"#;

/// Functions that name the workers of the service `$s`, all of its processes but the topmost, each by its number and when
/// it was started: `workers` prints them, and `left` those of `$before` that still run.
pub(crate) const WORKERS: &str = r#"started() { read -r line 2>/dev/null <"/proc/$1/stat" || return; set -- ${line##*) }; echo "${2} ${20}"; }
workers() {
  cg=$(systemctl show -p ControlGroup --value -- "$s" 2>/dev/null) || return 0
  [ -n "$cg" ] || return 0
  all=" $(cat "/sys/fs/cgroup$cg/cgroup.procs" "/sys/fs/cgroup/systemd$cg/cgroup.procs" 2>/dev/null | sort -u | tr '
' ' ') "
  for pid in $all; do set -- $(started "$pid"); case $all in *" ${1:-none} "*) echo "$pid $2" ;; esac; done
}
left() { echo "$before" | while read -r pid start; do set -- $(started "$pid"); [ "${2:-none}" != "$start" ] || echo "$pid"; done; }
now() { date +%s%3N; }
"#;

/// Waits for the workers that a reload has replaced.
const AWAIT: &str = r#"if [ -n "$before" ]; then
  n=$(echo "$before" | wc -l) since=$(now)
  while old=$(left); [ -n "$old" ] && [ $(($(now) - since)) -lt $((old_workers * 1000)) ]; do sleep 0.1; done
  took=$(($(now) - began))
  if [ -z "$old" ]; then echo "its $n workers of before were gone after $((took / 1000)).$((took / 100 % 10)) s"
  else echo "$(echo "$old" | wc -l) of its $n workers of before still run after $old_workers s"; fi
fi
"#;

/// What a service said last, for the message about its failure.
const TELL: &str = r#"tell() {
  journalctl --sync 2>/dev/null
  systemctl --no-pager -n 0 status -- "$s" 2>/dev/null | sed -n '/Active:/p' >&2
  journalctl -q --no-pager -o cat -n 5 -u "$s" 2>/dev/null >&2
  exit 1
}
"#;

impl Verb {
    /// The word for `systemctl`, `service` and people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Reload => "reload",
            Verb::Enable => "enable",
            Verb::Disable => "disable",
            Verb::Mask => "mask",
            Verb::Unmask => "unmask",
        }
    }

    fn script(self, sysv: bool, manner: Manner) -> String {
        let block = if manner.no_block { "--no-block " } else { "" };
        let runtime = if manner.runtime { "--runtime " } else { "" };
        let verb = self.word();
        let by_script = |verb: &str| {
            format!(
                "if [ -d /run/systemd/system ]; then systemctl {block}{verb} -- \"$s\" || tell; else \"/etc/init.d/$s\" {verb}; fi || exit\n"
            )
        };
        let watch = if manner.no_block { String::new() } else { watch(sysv) };
        match (self, sysv) {
            // systemd takes a script's service for active after its processes are gone, and `start` for done.
            (Verb::Start | Verb::Restart, true) => format!("{}{watch}", by_script("restart")),
            (Verb::Start | Verb::Restart, false) => {
                format!("systemctl {block}{verb} -- \"$s\" || tell\n{watch}")
            }
            (Verb::Reload, true) => format!(
                "if alive; then service \"$s\" reload || exit; else\n{}fi\n{watch}",
                by_script("restart")
            ),
            (Verb::Reload, false) => format!(
                "if systemctl is-active -q -- \"$s\"; then verb=reload; else verb=start; fi\n\
                 systemctl {block}$verb -- \"$s\" || tell\n{watch}"
            ),
            (Verb::Stop, true) => format!("{}alive || exit 0\n\"/etc/init.d/$s\" stop\n", by_script("stop")),
            (Verb::Enable, true) => {
                "update-rc.d \"$s\" defaults && update-rc.d \"$s\" enable || exit\n[ ! -d /run/systemd/system ] || systemctl daemon-reload\n".into()
            }
            (Verb::Disable, true) => {
                "update-rc.d \"$s\" disable || exit\n[ ! -d /run/systemd/system ] || systemctl daemon-reload\n".into()
            }
            _ => format!("systemctl {block}{runtime}{verb} -- \"$s\" || tell\n"),
        }
    }

    /// The operation on a service about which `service` is known.
    pub(crate) fn operation(self, name: &str, service: &Service, manner: Manner) -> Operation {
        let mut script = format!("s={}\n{TELL}", quote(name.trim_end_matches(".service")));
        if !service.sysv {
            script = format!("s={}\n{TELL}", quote(name));
        } else {
            script.push_str(LIVES);
        }
        // A unit whose file has changed is read again first, as Salt does.
        if matches!(self, Verb::Start | Verb::Restart | Verb::Reload | Verb::Enable) {
            script.push_str(
                "[ ! -d /run/systemd/system ] || [ \"$(systemctl show -p NeedDaemonReload --value -- \"$s\")\" != yes ] || systemctl daemon-reload\n",
            );
        }
        let awaits = self == Verb::Reload && manner.old_workers > 0 && !manner.no_block;
        if awaits {
            let seconds = manner.old_workers;
            script.push_str(&format!("{WORKERS}old_workers={seconds} began=$(now) before=$(workers)\n"));
        }
        script.push_str(&self.script(service.sysv, manner));
        if awaits {
            script.push_str(AWAIT);
        }
        if manner.delay > 0 {
            script.push_str(&format!("sleep {}\n", manner.delay));
        }
        let touches = match self {
            Verb::Start | Verb::Stop | Verb::Restart | Verb::Reload => {
                vec![Touch::Service(name.to_owned()), Touch::Processes]
            }
            Verb::Enable | Verb::Disable | Verb::Mask | Verb::Unmask => {
                vec![Touch::Service(name.to_owned())]
            }
        };
        let after = self.after(service);
        let command = Command::shell(script.trim_end()).told(format!("service {name} {}", self.word()));
        Run { tells: awaits, ..Run::new(command, touches) }
            .foretells(Question::Service(name.to_owned()), Answer::Service(after))
            .into()
    }

    fn after(self, service: &Service) -> Service {
        let running = |running, state: &str| Service { running, state: state.into(), ..service.clone() };
        match self {
            Verb::Start | Verb::Restart | Verb::Reload => running(true, "active (running)"),
            Verb::Stop => running(false, "inactive (dead)"),
            Verb::Enable => Service { enabled: Some(true), ..service.clone() },
            Verb::Disable => Service { enabled: Some(false), ..service.clone() },
            Verb::Mask => Service { masked: true, enabled: Some(false), ..service.clone() },
            Verb::Unmask => Service { masked: false, masked_until_boot: false, ..service.clone() },
        }
    }
}

/// Waits for a service to be there after its start, and a moment longer for one of whose start systemd knows no more
/// than that it has been forked.
fn watch(sysv: bool) -> String {
    if sysv {
        return format!(
            "n=0\nwhile ! alive; do\nn=$((n + 1)); [ $n -lt {WATCHED} ] || break\nsleep 0.1\ndone\n"
        );
    }
    format!(
        "n=0\nwhile :; do\n\
         case $(systemctl show -p Type,ActiveState,SubState --value -- \"$s\" | tr '\\n' ' ') in\n\
         *failed*|*auto-restart*) tell ;;\n\
         *activating*|*reloading*|*deactivating*) ;;\n\
         simple*|exec*) [ $n -lt 5 ] || break ;;\n\
         *) break ;;\n\
         esac\n\
         n=$((n + 1)); [ $n -lt {WATCHED} ] || break\nsleep 0.1\ndone\n"
    )
}

/// Returns why systemd would refuse a verb.
fn refusal(name: &str, service: &Service, verb: Verb, manner: Manner) -> Option<String> {
    let below = |folder: &str| service.unit_file.starts_with(folder);
    match verb {
        Verb::Start | Verb::Restart | Verb::Enable if service.masked => {
            Some(format!("`{name}` is masked; unmask it first by `service.unmasked`"))
        }
        Verb::Start | Verb::Restart if service.refuses_start => {
            Some(format!("`{name}` is started by other units only (`RefuseManualStart` of its unit)"))
        }
        Verb::Stop | Verb::Restart if service.refuses_stop => {
            Some(format!("`{name}` is stopped by other units only (`RefuseManualStop` of its unit)"))
        }
        Verb::Reload if service.running && service.refuses_reload => Some(format!(
            "`{name}` cannot be reloaded: its unit has no `ExecReload`; leave `reload` out, so that it is restarted"
        )),
        Verb::Mask if below("/etc/systemd/system/") || (manner.runtime && below("/run/systemd/system/")) => {
            let file = &service.unit_file;
            Some(format!(
                "`{name}` cannot be masked: its unit `{file}` is where the mask would be; remove that file"
            ))
        }
        Verb::Unmask if manner.runtime && !service.masked_until_boot => {
            Some(format!("`{name}` is masked for good, not only until the next boot"))
        }
        _ => None,
    }
}

/// A step that does one thing to a service. Fails if systemd is known to refuse it.
pub(crate) fn step(name: &str, service: &Service, verb: Verb, manner: Manner) -> Result<Step, Stop> {
    if let Some(reason) = refusal(name, service, verb, manner) {
        return Err(Stop::Failed(reason));
    }
    // A mask is removed from where it is.
    let runtime = manner.runtime || (verb == Verb::Unmask && service.masked_until_boot);
    let manner = Manner { runtime, ..manner };
    let change = match verb {
        Verb::Start => Change::new(format!("service {name}"), service.state.as_str(), "running"),
        Verb::Stop => Change::new(format!("service {name}"), service.state.as_str(), "stopped"),
        Verb::Restart | Verb::Reload => {
            Change::new(format!("service {name}"), Value::Null, format!("{}ed", verb.word()))
        }
        Verb::Enable => Change::new(format!("service {name} at boot"), "disabled", "enabled"),
        Verb::Disable => Change::new(format!("service {name} at boot"), "enabled", "disabled"),
        Verb::Mask => Change::new(format!("service {name}"), Value::Null, "masked"),
        Verb::Unmask => Change::new(format!("service {name}"), "masked", "unmasked"),
    };
    Ok(Step::new([change], verb.operation(name, service, manner)))
}

/// In a prediction the processes of the host stay as they are known: which ones a service will have, nobody can say.
pub(crate) fn with_processes(mut steps: Vec<Step>, facts: &Facts) -> Vec<Step> {
    let Ok(processes) = facts.processes() else { return steps };
    for step in &mut steps {
        if let Operation::Run(run) = &mut step.operation
            && run.touches.contains(&Touch::Processes)
        {
            run.foretells.push((Question::Processes, Answer::Processes(processes.to_vec())));
        }
    }
    steps
}

/// What a state says about the start of a service at boot.
pub(crate) fn at_boot(name: &str, enabled: bool) -> Claim {
    Claim::new(format!("service {name} at boot"), if enabled { "enabled" } else { "disabled" })
}

/// What is known of a service that the host has to know.
pub(crate) fn known<'a>(facts: &'a Facts, name: &str) -> Result<&'a Service, Stop> {
    let service = facts.service(name)?;
    if service.known || service.masked {
        Ok(service)
    } else {
        Err(Stop::Failed(format!("the service `{name}` is not known to the host")))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A service of systemd.
    pub(crate) fn unit(running: bool, enabled: bool) -> Service {
        Service {
            known: true,
            running,
            enabled: Some(enabled),
            state: if running { "active (running)".into() } else { "inactive (dead)".into() },
            ..Service::default()
        }
    }

    pub(crate) fn facts(name: &str, service: Service) -> Facts {
        let mut facts = Facts::default();
        facts.learn(Question::Service(name.into()), Ok(Answer::Service(service)));
        facts
    }

    pub(crate) fn script(step: &Step) -> String {
        step.operation.job().unwrap().script
    }

    #[test]
    fn a_script_whose_processes_are_gone_is_restarted_where_start_would_do_nothing() {
        let service = Service { sysv: true, ..unit(false, true) };
        let script = script(&step("uwsgi", &service, Verb::Start, Manner::default()).unwrap());
        assert!(script.contains("systemctl restart"), "{script}");
    }

    #[test]
    fn what_systemd_would_refuse_is_told_before() {
        let own = Service { unit_file: "/etc/systemd/system/app.service".into(), ..unit(true, true) };
        let other = || unit(true, true);
        for (service, verb, said) in [
            (own.clone(), Verb::Mask, "cannot be masked"),
            (Service { refuses_reload: true, ..other() }, Verb::Reload, "cannot be reloaded"),
            (Service { refuses_start: true, ..other() }, Verb::Start, "is started by other units only"),
            (Service { refuses_stop: true, ..other() }, Verb::Stop, "is stopped by other units only"),
            (Service { masked: true, ..other() }, Verb::Enable, "is masked"),
        ] {
            let refused = step("app", &service, verb, Manner::default());
            assert!(matches!(&refused, Err(Stop::Failed(why)) if why.contains(said)), "{refused:?}");
        }
        assert!(step("app", &own, Verb::Reload, Manner::default()).is_ok());
    }

    #[test]
    fn a_mask_until_the_next_boot_is_removed_from_where_it_is() {
        let masked = Service { masked: true, masked_until_boot: true, ..unit(false, false) };
        let step = step("app", &masked, Verb::Unmask, Manner::default()).unwrap();
        assert!(script(&step).contains("systemctl --runtime unmask"), "{}", script(&step));
    }

    #[test]
    fn a_restart_does_not_hide_the_processes_that_are_known() {
        let mut facts = facts("cron", unit(true, true));
        facts.learn(Question::Processes, Ok(Answer::Processes(Vec::new())));
        let steps = vec![step("cron", &unit(true, true), Verb::Restart, Manner::default()).unwrap()];
        facts.predict(&with_processes(steps, &facts)[0].operation, "cron");
        assert_eq!(facts.processes(), Ok(&[][..]));
    }

    #[test]
    fn a_reload_never_restarts_what_lives() {
        let service = Service { sysv: true, ..unit(true, true) };
        let script = script(&step("uwsgi", &service, Verb::Reload, Manner::default()).unwrap());
        assert!(script.contains("if alive; then service \"$s\" reload"), "{script}");
        let unit = step("cron", &unit(true, true), Verb::Reload, Manner::default()).unwrap();
        assert!(!super::tests::script(&unit).contains("systemctl restart"));
    }
}
