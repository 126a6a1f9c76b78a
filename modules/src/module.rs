//! `module.run`, `module.wait`: a function of an execution module, each time or when a watched state changes
//!
//! ```yaml
//! reload-apache:
//!   module.wait:
//!     - name: service.reload
//!     - m_name: apache2
//!     - watch:
//!       - cmd: acquire-certificates
//! ```
//!
//! There is no minion whose modules could be called, so the functions are those that trees use: `service.start`,
//! `service.stop`, `service.restart`, `service.reload`, `service.force_reload`, `service.enable`, `service.disable`,
//! `service.systemctl_reload` and `cmd.run`. The newer form is understood as well: `- service.reload: [{name: apache2}]`.
//! A service that is to be reloaded and is found dead is started.

use kstate_core::{
    Change, Command, Due, Facts, Map, Operation, Problem, Question, Resource, Run, Step, Stop, Touch, Value,
};

use crate::service::{Manner, Verb, known, step, with_processes};
use crate::{Context, State};

#[derive(Debug)]
pub(crate) struct Runs(Vec<Call>);

#[derive(Debug)]
pub(crate) struct Wait(Vec<Call>);

/// `module.watch`, Salt's other name of `module.wait`.
#[derive(Debug)]
pub(crate) struct Watch(Vec<Call>);

#[derive(Clone, Debug)]
enum Call {
    Service { verb: Verb, name: String },
    DaemonReload,
    Command(Box<Command>),
}

const KNOWN: &str = "service.disable, service.enable, service.force_reload, service.reload, service.restart, service.start, service.stop, service.systemctl_reload, cmd.run";

impl State for Runs {
    const NAME: &'static str = "module.run";
    const SOURCE: &'static str = include_str!("module.rs");

    type Arguments = Value;

    fn declare(arguments: Value, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        calls(&arguments, cx).map(Runs)
    }
}

impl State for Wait {
    const NAME: &'static str = "module.wait";
    const SOURCE: &'static str = include_str!("module.rs");

    type Arguments = Value;

    fn declare(arguments: Value, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        calls(&arguments, cx).map(Wait)
    }
}

impl State for Watch {
    const NAME: &'static str = "module.watch";
    const SOURCE: &'static str = include_str!("module.rs");

    type Arguments = Value;

    fn declare(arguments: Value, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        calls(&arguments, cx).map(Watch)
    }
}

impl Resource for Runs {
    fn questions(&self) -> Vec<Question> {
        questions(&self.0)
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        steps(&self.0, facts)
    }

    fn due(&self) -> Due {
        let is_always = |call: &Call| match call {
            Call::Service { verb, .. } => is_always(*verb),
            Call::DaemonReload | Call::Command(_) => true,
        };
        if self.0.iter().any(is_always) { Due::Always } else { Due::Different }
    }

    fn refresh(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        steps(&self.0, facts)
    }
}

impl Resource for Wait {
    /// It is looked up when it is due: most often it is not.
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    fn due(&self) -> Due {
        Due::Watched
    }

    fn refresh(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        steps(&self.0, facts)
    }
}

impl Resource for Watch {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    fn due(&self) -> Due {
        Due::Watched
    }

    fn refresh(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        steps(&self.0, facts)
    }
}

/// Salt: where every argument but `name` has a dot, each is a function; else `name` is the function.
fn calls(arguments: &Value, cx: &Context<'_>) -> Result<Vec<Call>, Vec<Problem>> {
    let empty = Map::new();
    let all = arguments.as_map().unwrap_or(&empty);
    let given: Vec<(String, &Value)> =
        all.iter().map(|(key, value)| (key.to_string(), value)).filter(|(key, _)| key != "name").collect();
    if !given.is_empty() && given.iter().all(|(key, _)| key.contains('.')) {
        return given.iter().map(|(function, value)| call(function, &named(value), cx)).collect();
    }
    let function = all.get("name").map(ToString::to_string).unwrap_or_default();
    let mut map = Map::new();
    for (key, value) in given {
        match (key.as_str(), value) {
            ("args", Value::List(items)) => {
                items.first().into_iter().for_each(|first| map.insert("", first.clone()));
            }
            ("kwargs", Value::Map(more)) => {
                more.iter().for_each(|(key, value)| map.insert(key.to_string(), value.clone()));
            }
            _ => map.insert(key.strip_prefix("m_").unwrap_or(&key), value.clone()),
        }
    }
    Ok(vec![call(&function, &map, cx)?])
}

/// The arguments of a function in the newer form: a list of values and mappings. The first without a name is under ``.
fn named(value: &Value) -> Map {
    let mut map = Map::new();
    let items = match value {
        Value::List(items) => items.clone(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    };
    for item in items {
        match item {
            Value::Map(more) => {
                more.iter().for_each(|(key, value)| map.insert(key.to_string(), value.clone()));
            }
            value if map.get("").is_none() => map.insert("", value),
            _ => {}
        }
    }
    map
}

fn call(function: &str, arguments: &Map, cx: &Context<'_>) -> Result<Call, Vec<Problem>> {
    let take = |name: &str| arguments.get(name).or_else(|| arguments.get("")).map(ToString::to_string);
    let service = |verb| match take("name") {
        Some(name) => Ok(Call::Service { verb, name }),
        None => {
            let problem = cx.error("name", format!("`{function}` needs the name of a service"));
            Err(vec![problem.hint("write it as `- m_name: apache2`")])
        }
    };
    match function {
        "service.start" => service(Verb::Start),
        "service.stop" => service(Verb::Stop),
        "service.restart" | "service.full_restart" => service(Verb::Restart),
        "service.reload" | "service.force_reload" => service(Verb::Reload),
        "service.enable" => service(Verb::Enable),
        "service.disable" => service(Verb::Disable),
        "service.systemctl_reload" => Ok(Call::DaemonReload),
        "cmd.run" => match take("cmd") {
            Some(line) => {
                let user = arguments.get("runas").map(ToString::to_string);
                let dir = arguments.get("cwd").map(ToString::to_string);
                let command = Command::shell(line)
                    .at_home()
                    .user(user.as_deref().filter(|user| *user != "root"))
                    .dir(dir.as_deref());
                Ok(Call::Command(Box::new(command)))
            }
            None => Err(vec![cx.error("name", "`cmd.run` needs the command").hint("write it as `- cmd: …`")]),
        },
        _ => Err(vec![
            cx.error("name", format!("the function `{function}` is not supported"))
                .hint(format!("there are: {KNOWN}")),
        ]),
    }
}

fn questions(calls: &[Call]) -> Vec<Question> {
    calls
        .iter()
        .filter_map(|call| match call {
            Call::Service { name, .. } => Some(Question::Service(name.clone())),
            Call::DaemonReload | Call::Command(_) => None,
        })
        .collect()
}

fn steps(calls: &[Call], facts: &Facts) -> Result<Vec<Step>, Stop> {
    facts.need(questions(calls))?;
    let mut steps = Vec::new();
    for call in calls {
        match call {
            Call::Service { verb, name } => steps.extend(service(*verb, name, facts)?),
            Call::DaemonReload => {
                let change = Change::new("systemd", Value::Null, "reloaded");
                let command = Command::words(["systemctl", "daemon-reload"]);
                let units = Touch::Path("/etc/systemd/system".into());
                steps.push(Step::always([change], Operation::Run(Run::new(command, [units]))));
            }
            Call::Command(command) => {
                let change = Change::new("run", Value::Null, command.to_string());
                let run = Run::new((**command).clone(), [Touch::Anything]);
                steps.push(Step::always([change], Operation::Run(run)));
            }
        }
    }
    Ok(with_processes(steps, facts))
}

/// What is so already is not done again; a restart and a reload are always done.
fn service(verb: Verb, name: &str, facts: &Facts) -> Result<Option<Step>, Stop> {
    let service = known(facts, name)?;
    let verb = if verb == Verb::Reload && !service.running { Verb::Start } else { verb };
    let is_so = match verb {
        Verb::Start => service.running,
        Verb::Stop => !service.running,
        Verb::Enable => service.enabled != Some(false),
        Verb::Disable => service.enabled != Some(true),
        _ => false,
    };
    if is_so {
        return Ok(None);
    }
    let step = step(name, service, verb, Manner::default())?;
    Ok(Some(Step { always: is_always(verb), ..step }))
}

fn is_always(verb: Verb) -> bool {
    matches!(verb, Verb::Restart | Verb::Reload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::{facts, script, unit};
    use crate::testing::{Tree, declare, declare_error, settles};

    const WAIT: &str = "go:\n  module.wait:\n    - name: service.reload\n    - m_name: apache2\n";

    #[test]
    fn waits_for_a_watched_change() {
        let resource = declare(WAIT, &Tree::default());
        assert_eq!(resource.diff(&Facts::default()), Ok(Vec::new()));
        let facts = facts("apache2", unit(true, true));
        let steps = resource.refresh(&facts).unwrap();
        assert_eq!(steps[0].changes[0].to_string(), "service apache2: reloaded");
    }

    #[test]
    fn a_reload_that_finds_it_dead_starts_it() {
        let resource = declare(WAIT, &Tree::default());
        let steps = resource.refresh(&facts("apache2", unit(false, true))).unwrap();
        assert_eq!(steps[0].changes[0].to_string(), "service apache2: inactive (dead) -> running");
    }

    #[test]
    fn reads_the_newer_form() {
        for text in [
            "go:\n  module.run:\n    - service.restart:\n      - name: apache2\n",
            "go:\n  module.run:\n    - service.restart:\n      - apache2\n",
        ] {
            let steps = declare(text, &Tree::default()).diff(&facts("apache2", unit(true, true))).unwrap();
            assert!(steps[0].always);
            assert!(script(&steps[0]).contains("systemctl restart"));
        }
    }

    #[test]
    fn starting_is_drift_and_settles() {
        let text = "go:\n  module.run:\n    - name: service.start\n    - m_name: apache2\n";
        settles(&*declare(text, &Tree::default()), &mut facts("apache2", unit(false, true)));
    }

    #[test]
    fn another_function_is_refused_with_those_there_are() {
        let text = "go:\n  module.run:\n    - name: saltutil.sync_all\n";
        assert!(
            declare_error(text, &Tree::default())
                .contains("the function `saltutil.sync_all` is not supported")
        );
    }
}
