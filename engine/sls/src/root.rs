//! Finds the root of a tree and reads its settings from `kstate.yaml`; `master.rs` reads those of a Salt checkout.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kstate_core::{Node, Position, Problem, nearest};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::master;
use crate::options::Options;
use crate::storage::{Disk, Storage};
use crate::yaml;

const CONFIGURATION: &str = "kstate.yaml";
pub(crate) const SALTFILE: &str = "Saltfile";
/// Where Salt checkouts keep their settings, also those that have no `Saltfile`.
pub(crate) const SALT_CONFIG: &str = "salt-config";

/// A tree with its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    /// The folder itself; relative paths of the settings begin here.
    pub dir: PathBuf,
    pub file_roots: Vec<PathBuf>,
    pub pillar_roots: Vec<PathBuf>,
    pub roster: PathBuf,
    pub ssh: SshSettings,
    /// The host that has the deploy token for all. `None`: each has its own.
    pub token_host: Option<String>,
    /// Pillar paths (`django:*key*`) whose texts are not shown, beside all that stands in files below a folder
    /// `private`.
    pub secrets: Vec<String>,
    pub options: Options,
}

/// How hosts are reached, where the roster says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshSettings {
    /// In place of `~/.ssh/config`.
    pub config: Option<PathBuf>,
    /// The private key.
    pub key: Option<PathBuf>,
    pub user: Option<String>,
    pub port: Option<u16>,
    /// How long a host may take to answer.
    pub timeout: Option<Duration>,
    /// How often a silent connection is tried.
    pub keepalive: Option<Duration>,
    /// For how long a host is tried again to which the connection was lost during a run.
    pub reconnect: Option<Duration>,
    /// How many hosts at a time.
    pub jobs: Option<usize>,
}

/// The nearest folder, from `start` upwards, that holds a `kstate.yaml`, a `Saltfile` or a `salt-config/master`.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    let has = |folder: &&Path| {
        let master = Path::new(SALT_CONFIG).join("master");
        [Path::new(CONFIGURATION), Path::new(SALTFILE), &master]
            .iter()
            .any(|name| folder.join(name).is_file())
    };
    start.ancestors().find(has).map(Path::to_path_buf)
}

impl Root {
    /// Reads the settings of a tree on the disk.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Root, Vec<Problem>> {
        Root::stored(dir, &Disk)
    }

    /// Reads the settings of a tree that is stored in another way.
    pub fn stored(dir: impl Into<PathBuf>, storage: &dyn Storage) -> Result<Root, Vec<Problem>> {
        let dir = dir.into();
        let has = |path: &Path| storage.is_file(&dir.join(path));
        if has(Path::new(CONFIGURATION)) {
            return own(dir, storage).map_err(|problem| vec![problem]);
        }
        if has(Path::new(SALTFILE)) || has(&Path::new(SALT_CONFIG).join("master")) {
            return master::root(dir, storage);
        }
        let message = format!("`{}` holds neither `{CONFIGURATION}` nor a `{SALTFILE}`", dir.display());
        Err(vec![Problem::error(message).hint("name the folder with `--root`")])
    }

    /// A path as people know it: relative to the root where it lies below it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.dir).unwrap_or(path).display().to_string()
    }
}

/// `kstate.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Configuration {
    file_roots: Option<Folders>,
    pillar_roots: Option<Folders>,
    roster: Option<PathBuf>,
    ssh: Ssh,
    token: Token,
    secrets: Vec<String>,
    jobs: Option<usize>,
    /// Read by their places, as those of Salt's `master` are.
    nodegroups: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Token {
    host: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ssh {
    config: Option<PathBuf>,
    key: Option<PathBuf>,
    user: Option<String>,
    port: Option<u16>,
    /// Seconds.
    timeout: Option<u64>,
    /// Seconds.
    keepalive: Option<u64>,
    /// Seconds.
    reconnect: Option<u64>,
}

/// `[salt]` or `{base: [salt]}`.
#[derive(Debug)]
struct Folders(Vec<PathBuf>);

impl<'de> Deserialize<'de> for Folders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<PathBuf>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of folders, or `base:` with such a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut folders = Vec::new();
                while let Some(folder) = list.next_element()? {
                    folders.push(folder);
                }
                Ok(folders)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut folders = Vec::new();
                while let Some(environment) = map.next_key::<String>()? {
                    if environment != "base" {
                        let _: IgnoredAny = map.next_value()?;
                        return Err(A::Error::custom(format!(
                            "there is no environment `{environment}`, only `base`"
                        )));
                    }
                    folders = map.next_value()?;
                }
                Ok(folders)
            }
        }
        deserializer.deserialize_any(Reader).map(Folders)
    }
}

fn own(dir: PathBuf, storage: &dyn Storage) -> Result<Root, Problem> {
    let text = read(storage, &dir.join(CONFIGURATION), CONFIGURATION)?;
    // The tree's reader tells more of what is no YAML, and of a key that stands twice.
    let node = parse(&text, CONFIGURATION)?;
    let mut problems = Vec::new();
    let groups = master::groups(node.get("nodegroups"), &mut problems);
    if let Some(problem) = problems.pop() {
        return Err(problem);
    }
    let configuration: Configuration = if text.trim().is_empty() {
        Configuration::default()
    } else {
        serde_yaml::from_str(&text).map_err(|error| wrong_configuration(&error))?
    };
    let folders = |folders: Option<Folders>, default: &str| match folders {
        Some(Folders(folders)) => folders.into_iter().map(|folder| dir.join(folder)).collect(),
        None => vec![dir.join(default)],
    };
    let seconds = |value: Option<u64>| value.map(Duration::from_secs);
    let Configuration { file_roots, pillar_roots, roster, ssh, token, secrets, jobs, nodegroups: _ } =
        configuration;
    Ok(Root {
        file_roots: folders(file_roots, "salt"),
        pillar_roots: folders(pillar_roots, "pillar"),
        roster: dir.join(roster.unwrap_or_else(|| "roster".into())),
        ssh: SshSettings {
            config: ssh.config.map(|path| expand(&dir, &path)),
            key: ssh.key.map(|path| expand(&dir, &path)),
            user: ssh.user,
            port: ssh.port,
            timeout: seconds(ssh.timeout),
            keepalive: seconds(ssh.keepalive),
            reconnect: seconds(ssh.reconnect),
            jobs,
        },
        token_host: token.host,
        secrets,
        options: Options { groups, ..Options::default() },
        dir,
    })
}

fn wrong_configuration(error: &serde_yaml::Error) -> Problem {
    let message = error.to_string();
    // The place is told apart from the text.
    let message = message.split(" at line ").next().unwrap_or(&message);
    let place = |at: serde_yaml::Location| (u32::try_from(at.line()), u32::try_from(at.column()));
    let at = match error.location().map(place) {
        Some((Ok(line), Ok(column))) => Position::new(CONFIGURATION, line, column),
        _ => Position::new(CONFIGURATION, 1, 1),
    };
    let (message, hints) = in_plain_words(message);
    Problem { hints, ..Problem::error(message).at(&at) }
}

/// A message of serde as people of other trades understand it, and what to do.
fn in_plain_words(message: &str) -> (String, Vec<String>) {
    let (path, told) = match message.split_once(": ") {
        Some((path, told)) if !path.contains(' ') => (Some(path), told),
        _ => (None, message),
    };
    let quoted: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
    if let (true, [name, known @ ..]) = (told.starts_with("unknown field"), quoted.as_slice()) {
        let near = nearest(name, known.iter().copied(), 1);
        let mut hints: Vec<String> = near.iter().map(|near| format!("did you mean `{near}`?")).collect();
        let below = path.map(|path| format!(" below `{path}`")).unwrap_or_default();
        hints.push(format!("the settings{below} are: {}", known.join(", ")));
        return (format!("there is no setting `{name}`{below}"), hints);
    }
    let wrong = told.strip_prefix("invalid type: ").or_else(|| told.strip_prefix("invalid value: "));
    match (path, wrong.and_then(|wrong| wrong.split_once(", expected "))) {
        (Some(path), Some((found, expected))) => {
            (format!("`{path}` is {}, not {}", in_words(expected), in_words(found)), Vec::new())
        }
        (Some(path), None) => (format!("`{path}`: {told}"), Vec::new()),
        (None, _) => (told.to_owned(), Vec::new()),
    }
}

/// A type as serde tells it.
fn in_words(kind: &str) -> String {
    let words = match kind.split_whitespace().next().unwrap_or_default() {
        "boolean" => "a boolean",
        "floating" => "a number",
        "integer" => return kind.replacen("integer", "the number", 1),
        "map" | "struct" => "a mapping",
        "path" => "a path",
        "sequence" => "a list",
        "string" => "text",
        "u16" => "a port number",
        "u64" | "usize" => "a whole number",
        "unit" => "nothing",
        _ => kind,
    };
    words.to_owned()
}

pub(crate) fn load(storage: &dyn Storage, path: &Path, shown: &str) -> Result<Node, Problem> {
    parse(&read(storage, path, shown)?, shown)
}

fn parse(text: &str, shown: &str) -> Result<Node, Problem> {
    yaml::load(text, &|line| Position::new(shown, line, 1))
}

fn read(storage: &dyn Storage, path: &Path, shown: &str) -> Result<String, Problem> {
    let text = storage.read(path).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    text.map_err(|error| Problem::error(format!("`{shown}` cannot be read: {error}")))
}

/// A path that may begin with `~`.
pub(crate) fn expand(dir: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => dir.join(path),
    }
}
