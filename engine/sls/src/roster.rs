//! The hosts, as Salt's flat roster names them.
//!
//! ```yaml
//! docs: docs.example.org
//! process:
//!   host: 192.0.2.7
//!   user: deploy
//!   sudo: True
//! data:
//!   host: 192.0.2.8
//!   logins:
//!     root:
//!     ocdskfp: {priv: keys/ocdskfp}
//! ```

use std::path::PathBuf;
use std::time::Duration;

use kstate_core::{Data, Map, Node, Position, Problem, Value, nearest};

use crate::root::expand;

/// A host to work on. What is none is left to the settings, `~/.ssh/config` and the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name in the roster, by which top files know it.
    pub name: String,
    /// The address or host name.
    pub host: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    /// The private key.
    pub key: Option<PathBuf>,
    /// Whether commands run as root by way of sudo.
    pub sudo: bool,
    pub timeout: Option<Duration>,
    /// More than one login; the first is the one that everything goes by that is of no user with a login.
    pub logins: Vec<NamedLogin>,
    /// Grains that `minion_opts` sets over those of the host.
    pub grains: Map,
    /// Pillar that `minion_opts` sets over that of the tree.
    pub pillar: Map,
    pub at: Position,
}

impl Target {
    /// A host of which nothing more is said.
    pub fn new(name: String, host: String, at: Position) -> Self {
        Target {
            name,
            host,
            user: None,
            port: None,
            key: None,
            sudo: false,
            timeout: None,
            logins: Vec::new(),
            grains: Map::new(),
            pillar: Map::new(),
            at,
        }
    }
}

/// One of more logins. What is none is that of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedLogin {
    pub user: String,
    pub port: Option<u16>,
    pub key: Option<PathBuf>,
    pub sudo: bool,
    pub timeout: Option<Duration>,
}

/// Keys of Salt's that mean nothing without a minion.
const WITHOUT_MEANING: [&str; 12] = [
    "cmd_umask",
    "identities_only",
    "mine_functions",
    "mods",
    "python_env",
    "set_path",
    "ssh_log_file",
    "thin_dir",
    "thin_extra_modules",
    "tty",
    "umask",
    "wipe_ssh",
];

/// The keys that it reads.
const KEYS: [&str; 7] = ["host", "minion_opts", "port", "priv", "sudo", "timeout", "user"];

/// Reads the entries, each over the defaults (Salt: `roster_defaults`); paths in them begin at `dir`.
pub(crate) fn targets(
    node: &Node,
    defaults: &[(Node, Node)],
    dir: &std::path::Path,
    problems: &mut Vec<Problem>,
) -> Vec<Target> {
    let entries = match &node.data {
        Data::Map(entries) => entries.as_slice(),
        Data::Scalar(Value::Null) => &[],
        _ => {
            let problem = Problem::error("a roster is a mapping of names to hosts").at(&node.at);
            problems.push(problem.hint("write a line `name: address` for each host"));
            &[]
        }
    };
    entries.iter().filter_map(|(name, body)| target(name, body, defaults, dir, problems)).collect()
}

fn target(
    name: &Node,
    body: &Node,
    defaults: &[(Node, Node)],
    dir: &std::path::Path,
    problems: &mut Vec<Problem>,
) -> Option<Target> {
    let mut target = Target::new(name.value().to_string(), String::new(), name.at.clone());
    let own = body.map().unwrap_or_default();
    for (key, value) in defaults {
        if key.text() == Some("minion_opts") || !own.iter().any(|(name, _)| name.value() == key.value()) {
            set(&mut target, key, value, dir, problems);
        }
    }
    match &body.data {
        Data::Scalar(Value::Text(host)) => target.host.clone_from(host),
        Data::Map(entries) => {
            for (key, value) in entries {
                set(&mut target, key, value, dir, problems);
            }
        }
        _ => {}
    }
    put_main_first(&mut target, problems);
    if target.host.is_empty() {
        let message = match &body.data {
            Data::Map(_) | Data::Scalar(Value::Null | Value::Text(_)) => {
                format!("`{}` has no address", target.name)
            }
            _ => format!("`{}` is an address or a mapping, not {}", target.name, body.value().kind()),
        };
        problems.push(
            Problem::error(message).at(&name.at).hint("write `name: address`, or a mapping with `host`"),
        );
        return None;
    }
    Some(target)
}

/// The login of `user`, else root's, else the first that is written.
fn put_main_first(target: &mut Target, problems: &mut Vec<Problem>) {
    if target.logins.is_empty() {
        return;
    }
    let main = target.user.as_deref().unwrap_or("root");
    match target.logins.iter().position(|login| login.user == main) {
        Some(place) => target.logins[..=place].rotate_right(1),
        None if target.user.is_some() => {
            let message = format!("`user` of `{}` is `{main}`, who is not among its `logins`", target.name);
            problems.push(
                Problem::error(message).at(&target.at).hint("name that login too, or leave `user` out"),
            );
        }
        None => {}
    }
}

/// The logins of a host: `{USER: {priv, port, sudo, timeout}}`.
fn logins(target: &str, value: &Node, dir: &std::path::Path, problems: &mut Vec<Problem>) -> Vec<NamedLogin> {
    let Data::Map(entries) = &value.data else {
        let message =
            format!("`logins` of `{target}` is a mapping of users to keys, not {}", value.value().kind());
        let hint = "write `logins: {root: {priv: keys/root}, deployer: {priv: keys/deployer}}`";
        problems.push(Problem::error(message).at(&value.at).hint(hint));
        return Vec::new();
    };
    let login = |(user, body): &(Node, Node)| {
        let mut login = NamedLogin { user: user.value().to_string(), ..NamedLogin::default() };
        let keys = match &body.data {
            Data::Map(keys) => keys.as_slice(),
            Data::Scalar(Value::Null) => &[],
            _ => {
                let message = format!("the login `{}` of `{target}` is a mapping, or nothing", login.user);
                problems.push(Problem::error(message).at(&body.at));
                &[]
            }
        };
        for (key, value) in keys {
            let (name, text) = (key.value().to_string(), value.value().to_string());
            let is_set = match (name.as_str(), value.value()) {
                ("priv", _) => {
                    login.key = Some(expand(dir, std::path::Path::new(&text)));
                    true
                }
                ("port", _) => {
                    login.port = text.parse().ok();
                    login.port.is_some()
                }
                ("timeout", _) => {
                    login.timeout = text.parse().ok().map(Duration::from_secs);
                    login.timeout.is_some()
                }
                ("sudo", Value::Bool(sudo)) => {
                    login.sudo = sudo;
                    true
                }
                _ => false,
            };
            if !is_set {
                let message = format!("`{name}: {text}` means nothing for the login `{}`", login.user);
                let hint = "a login has `priv`, `port`, `timeout` (seconds) and `sudo` (True or False)";
                problems.push(Problem::error(message).at(&key.at).hint(hint));
            }
        }
        login
    };
    entries.iter().map(login).collect()
}

fn set(target: &mut Target, key: &Node, value: &Node, dir: &std::path::Path, problems: &mut Vec<Problem>) {
    let name = key.value().to_string();
    let text = value.value().to_string();
    let mut wrong = |needed: &str| {
        let message = format!("`{name}` of `{}` is {needed}, not {}", target.name, value.value().kind());
        problems.push(Problem::error(message).at(&value.at));
    };
    match name.as_str() {
        "host" => target.host = text,
        "user" => target.user = Some(text),
        "port" => match text.parse() {
            Ok(port) => target.port = Some(port),
            Err(_) => wrong("a port number"),
        },
        // Salt: the agent's keys, which are always tried.
        "priv" if text == "agent-forwarding" => {}
        "priv" => target.key = Some(expand(dir, std::path::Path::new(&text))),
        "sudo" => match value.value() {
            Value::Bool(sudo) => target.sudo = sudo,
            _ => wrong("`True` or `False`"),
        },
        "timeout" => match text.parse() {
            Ok(seconds) => target.timeout = Some(Duration::from_secs(seconds)),
            Err(_) => wrong("a number of seconds"),
        },
        "logins" => target.logins = logins(&target.name, value, dir, problems),
        "minion_opts" => match value.value() {
            Value::Map(options) => {
                for (name, into) in [("grains", &mut target.grains), ("pillar", &mut target.pillar)] {
                    if let Some(Value::Map(data)) = options.get(name) {
                        into.clone_from(data);
                    }
                }
            }
            Value::Null => {}
            _ => wrong("a mapping"),
        },
        "passwd" => {
            let message = format!("`{}` has a password, and kstate logs in with keys only", target.name);
            problems
                .push(Problem::error(message).at(&key.at).hint("use a key, and keep no password in a file"));
        }
        other if WITHOUT_MEANING.contains(&other) => {}
        _ => {
            let message = format!("`{name}` of `{}` has no effect: kstate does not know it", target.name);
            let mut problem = Problem::warning(message).at(&key.at);
            for near in nearest(&name, KEYS, 1) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            }
            problems.push(problem.hint(format!("it knows: {}", KEYS.join(", "))));
        }
    }
}
