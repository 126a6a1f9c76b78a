//! Reads Salt's `master` configuration: the roots, the roster, how hosts are reached, and the options that change what
//! a tree compiles to. An option that would change it and is not supported is an error; all others concern the
//! daemons and the output of Salt.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kstate_core::{Data, Node, Problem, Value, fnmatch};

use crate::options::{Groups, Merging, Options, Whitespace};
use crate::root::{Root, SALT_CONFIG, SALTFILE, SshSettings, expand, load};
use crate::storage::Storage;

/// An option that changes results and is not supported.
struct Unsupported {
    name: &'static str,
    /// The values, as Salt prints them, with which it changes nothing; `None` never does.
    harmless: &'static [&'static str],
    hint: &'static str,
}

const fn unsupported(
    name: &'static str,
    harmless: &'static [&'static str],
    hint: &'static str,
) -> Unsupported {
    Unsupported { name, harmless, hint }
}

const BASE_ONLY: &str = "there is only the environment `base`: remove the option";

/// Sorted by name.
const UNSUPPORTED: [Unsupported; 22] = [
    unsupported("allow_undefined", &["False"], "an undefined variable is always an error: remove the option"),
    unsupported("decrypt_pillar", &["[]", "{}"], "keep the pillar in plain files below a folder `private`"),
    unsupported("default_top", &["base"], BASE_ONLY),
    unsupported("disabled_requisites", &["[]"], "remove the option, and the requisites that it disables"),
    unsupported("ext_pillar", &["[]"], "write what it brings into files below `pillar_roots`"),
    unsupported("file_ignore_glob", &["[]"], "move these files out of `file_roots`"),
    unsupported("file_ignore_regex", &["[]"], "move these files out of `file_roots`"),
    unsupported(
        "fileserver_backend",
        &["[roots]", "roots", "[file_roots]", "[]"],
        "check the repository out, and name the folder in `file_roots`",
    ),
    unsupported("master_tops", &["{}"], "name the states in the top file"),
    unsupported("pillar_opts", &["False"], "the pillar has no key `master`: remove the option"),
    unsupported("pillarenv", &["base"], BASE_ONLY),
    unsupported(
        "renderer",
        &["jinja|yaml", "yaml_jinja"],
        "begin each file that needs another renderer with `#!`",
    ),
    unsupported("roster", &["flat", ""], "write the hosts into a flat roster"),
    unsupported("rosters", &["[]"], "name one roster with `roster_file`"),
    unsupported("saltenv", &["base"], BASE_ONLY),
    unsupported("ssh_options", &["[]"], "write the options into `~/.ssh/config`"),
    unsupported("ssh_passwd", &[""], "log in with a key"),
    unsupported("ssh_sudo", &["False"], "write `sudo: True` below `roster_defaults`"),
    unsupported("ssh_sudo_user", &["", "root"], "give the host a login of that user: `logins` in the roster"),
    unsupported("state_auto_order", &["True"], "states keep their order: remove the option"),
    unsupported("state_top_saltenv", &["base"], BASE_ONLY),
    unsupported("test", &["False"], "remove the option; `kstate diff` changes nothing"),
];

/// The entries of `master` and of the files that it includes; of equal names the last one counts.
struct Master(Vec<(Node, Node)>);

impl Master {
    fn get(&self, name: &str) -> Option<&Node> {
        let entry = self.0.iter().rev().find(|(key, _)| key.text() == Some(name));
        entry.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.value().to_string())
    }

    fn number<N: std::str::FromStr>(&self, name: &str, problems: &mut Vec<Problem>) -> Option<N> {
        let value = self.get(name)?;
        let number = value.value().to_string().parse().ok();
        if number.is_none() {
            problems.push(wrong(name, "a number", value));
        }
        number
    }

    fn flag(&self, name: &str, problems: &mut Vec<Problem>) -> bool {
        match self.get(name).map(|node| (node.value(), node)) {
            None => false,
            Some((Value::Bool(flag), _)) => flag,
            Some((_, node)) => {
                problems.push(wrong(name, "`True` or `False`", node));
                false
            }
        }
    }
}

fn wrong(name: &str, needed: &str, value: &Node) -> Problem {
    Problem::error(format!("`{name}` is {needed}, not {}", value.value().kind())).at(&value.at)
}

/// Opens a Salt checkout: `Saltfile` names the folder of `master`; paths begin where salt-ssh is run.
pub(crate) fn root(dir: PathBuf, storage: &dyn Storage) -> Result<Root, Vec<Problem>> {
    let one = |problem| vec![problem];
    let mut roster = None;
    let mut config = dir.join(SALT_CONFIG);
    if storage.is_file(&dir.join(SALTFILE)) {
        let saltfile = load(storage, &dir.join(SALTFILE), SALTFILE).map_err(one)?;
        let section = saltfile.get("salt-ssh");
        let setting = |name| section.and_then(|section| section.get(name)).and_then(Node::text);
        let Some(folder) = setting("config_dir") else {
            let at = section.map_or(&saltfile.at, |section| &section.at);
            let problem = Problem::error("the section `salt-ssh` names no `config_dir`").at(at);
            return Err(vec![
                problem.hint("write `salt-ssh:`, and below it `config_dir:` with the folder of `master`"),
            ]);
        };
        config = expand(&dir, Path::new(folder));
        roster = setting("roster_file").map(|path| expand(&dir, Path::new(path)));
    }
    let master = read(storage, &dir, &config)?;
    let mut problems = Vec::new();
    let options = options(&master, &mut problems);
    let ssh = ssh(&master, &dir, storage, &config, &mut problems);
    problems.extend(refusals(&master));
    if !problems.is_empty() {
        Problem::tidy(&mut problems);
        return Err(problems);
    }
    let folders = |name: &str, default: &str| match master.get(name) {
        None => Ok::<_, Vec<Problem>>(vec![PathBuf::from(default)]),
        Some(node) => {
            let folders = roots(name, node).map_err(one)?;
            Ok(folders.iter().map(|path| expand(&dir, Path::new(path))).collect())
        }
    };
    let roster = roster.or_else(|| master.text("roster_file").map(|path| expand(&dir, Path::new(&path))));
    Ok(Root {
        file_roots: folders("file_roots", "/srv/salt")?,
        pillar_roots: folders("pillar_roots", "/srv/pillar")?,
        roster: roster.unwrap_or_else(|| config.join("roster")),
        ssh,
        token_host: None,
        secrets: Vec::new(),
        options,
        dir,
    })
}

/// Reads `master`, then `master.d/*.conf` (or what `default_include` names), then what `include` names.
fn read(storage: &dyn Storage, dir: &Path, config: &Path) -> Result<Master, Vec<Problem>> {
    let mut entries = Vec::new();
    let add = |path: &Path, entries: &mut Vec<(Node, Node)>| {
        let shown = path.strip_prefix(dir).unwrap_or(path).display().to_string();
        let node = load(storage, path, &shown).map_err(|problem| vec![problem])?;
        match node.data {
            Data::Map(more) => entries.extend(more),
            Data::Scalar(Value::Null) => {}
            _ => {
                let message = format!("`{shown}` is a mapping of options, not {}", node.value().kind());
                return Err(vec![Problem::error(message).at(&node.at)]);
            }
        }
        Ok::<_, Vec<Problem>>(())
    };
    let path = config.join("master");
    if storage.is_file(&path) {
        add(&path, &mut entries)?;
    }
    let master = Master(entries);
    let mut patterns = vec![master.text("default_include").unwrap_or_else(|| "master.d/*.conf".to_owned())];
    match master.get("include") {
        None => {}
        Some(node) => match node.list() {
            Some(items) => patterns.extend(items.iter().map(|item| item.value().to_string())),
            None => patterns.push(node.value().to_string()),
        },
    }
    let Master(mut entries) = master;
    for pattern in patterns {
        for path in matching_files(storage, &config.join(pattern)) {
            add(&path, &mut entries)?;
        }
    }
    Ok(Master(entries))
}

/// The files that a pattern names, sorted; only its last part may hold wildcards.
fn matching_files(storage: &dyn Storage, pattern: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let names = storage.names(folder).into_iter().filter(|known| fnmatch(known, name));
    names.map(|name| folder.join(name)).filter(|path| storage.is_file(path)).collect()
}

/// Complains of every option that would change results and is not supported.
fn refusals(master: &Master) -> impl Iterator<Item = Problem> {
    UNSUPPORTED.iter().filter_map(|option| {
        let value = master.get(option.name)?;
        let is_harmless = option.harmless.contains(&value.value().to_string().as_str());
        let problem = || Problem::error(format!("`{}` is not supported", option.name)).at(&value.at);
        (!is_harmless).then(|| problem().hint(option.hint))
    })
}

fn options(master: &Master, problems: &mut Vec<Problem>) -> Options {
    let mut options = Options {
        merging: merging(master, problems),
        includes_win: master.flag("pillar_includes_override_sls", problems),
        sls_whitespace: whitespace(master, "jinja_sls_env", problems),
        whitespace: whitespace(master, "jinja_env", problems),
        top: master
            .text("state_top")
            .map(|path| path.strip_prefix("salt://").unwrap_or(&path).trim_start_matches('/').to_owned()),
        groups: groups(master.get("nodegroups"), problems),
        failhard: master.flag("failhard", problems),
        roster: roster_defaults(master, problems),
    };
    let trims = master.flag("jinja_trim_blocks", problems);
    let strips = master.flag("jinja_lstrip_blocks", problems);
    for whitespace in [&mut options.sls_whitespace, &mut options.whitespace] {
        whitespace.trim_blocks |= trims;
        whitespace.lstrip_blocks |= strips;
    }
    options
}

fn roster_defaults(master: &Master, problems: &mut Vec<Problem>) -> Vec<(Node, Node)> {
    let mut defaults = Vec::new();
    if let Some(options) = master.get("ssh_minion_opts") {
        let name = Node { data: Data::Scalar(Value::Text("minion_opts".into())), ..options.clone() };
        defaults.push((name, options.clone()));
    }
    match master.get("roster_defaults").map(|node| (node, node.map())) {
        None => {}
        Some((_, Some(entries))) => defaults.extend_from_slice(entries),
        Some((node, None)) => problems.push(wrong("roster_defaults", "a mapping", node)),
    }
    defaults
}

fn merging(master: &Master, problems: &mut Vec<Problem>) -> Merging {
    let mut merging = Merging { overwrites: false, joins_lists: master.flag("pillar_merge_lists", problems) };
    let name = "pillar_source_merging_strategy";
    let Some(strategy) = master.get(name) else { return merging };
    match strategy.text() {
        Some("smart" | "recurse") => {}
        // One environment has nothing that could be kept apart; lists are never joined.
        Some("none") => merging.joins_lists = false,
        Some("overwrite") => merging.overwrites = true,
        _ => {
            let message = format!("`{name}: {}` is not supported", strategy.value());
            let problem = Problem::error(message).at(&strategy.at);
            problems.push(problem.hint("the strategies are: smart, recurse, overwrite, none"));
        }
    }
    merging
}

fn whitespace(master: &Master, name: &str, problems: &mut Vec<Problem>) -> Whitespace {
    let mut whitespace = Whitespace::default();
    let Some(node) = master.get(name) else { return whitespace };
    let Some(entries) = node.map() else {
        problems.push(wrong(name, "a mapping", node));
        return whitespace;
    };
    for (key, value) in entries {
        let is_on = value.value() == Value::Bool(true);
        match key.value().to_string().to_lowercase().as_str() {
            "trim_blocks" => whitespace.trim_blocks = is_on,
            "lstrip_blocks" => whitespace.lstrip_blocks = is_on,
            _ => {
                let problem = Problem::error(format!("`{name}` has no option `{}` here", key.value()));
                problems.push(problem.at(&key.at).hint("its options are: trim_blocks, lstrip_blocks"));
            }
        }
    }
    whitespace
}

/// Reads the node groups: each a compound expression, or a list of its words or of names.
pub(crate) fn groups(node: Option<&Node>, problems: &mut Vec<Problem>) -> Groups {
    let Some(node) = node else { return Groups::default() };
    let Some(entries) = node.map() else {
        problems.push(wrong("nodegroups", "a mapping of names to expressions", node));
        return Groups::default();
    };
    let group = |(name, value): &(Node, Node)| (name.value().to_string(), group(value));
    Groups(entries.iter().map(group).collect())
}

/// Returns the expression of a group. Words without operators, kinds and wildcards name its members, or are one regular
/// expression (Salt: `_nodegroup_regex`).
fn group(value: &Node) -> String {
    let words: Vec<String> = match value.list() {
        Some(items) => items.iter().map(|item| item.value().to_string()).collect(),
        None => value.value().to_string().split_whitespace().map(str::to_owned).collect(),
    };
    let is_operator = |word: &str| matches!(word, "and" | "or" | "not" | "(" | ")");
    let has_kind = |word: &str| {
        let mut chars = word.chars();
        chars.next().is_some_and(|first| first.is_ascii_uppercase()) && chars.next() == Some('@')
    };
    if words.iter().any(|word| is_operator(word) || has_kind(word) || word.contains('*')) {
        return words.join(" ");
    }
    let is_regex = words.iter().any(|word| word.contains(['(', '[', '{', '\\', '?', '}', ']', ')']));
    format!("{}@{}", if is_regex { 'E' } else { 'L' }, words.join(","))
}

fn ssh(
    master: &Master,
    dir: &Path,
    storage: &dyn Storage,
    config: &Path,
    problems: &mut Vec<Problem>,
) -> SshSettings {
    let own_key = config.join("pki/ssh/salt-ssh.rsa");
    let path = |name: &str| master.text(name).map(|path| expand(dir, Path::new(&path)));
    let key = path("ssh_priv").filter(|path| !path.ends_with("agent-forwarding"));
    SshSettings {
        config: path("ssh_config_file"),
        key: key.or_else(|| storage.is_file(&own_key).then_some(own_key)),
        user: master.text("ssh_user"),
        port: master.number("ssh_port", problems),
        timeout: master.number("ssh_timeout", problems).map(Duration::from_secs),
        jobs: master.number("ssh_max_procs", problems),
        ..SshSettings::default()
    }
}

fn roots(name: &str, node: &Node) -> Result<Vec<String>, Problem> {
    let list = match &node.data {
        Data::Map(entries) => match node.get("base") {
            Some(base) => {
                if let Some((other, _)) = entries.iter().find(|(key, _)| key.text() != Some("base")) {
                    let message =
                        format!("`{name}` has an environment `{}`, which is not supported", other.value());
                    return Err(Problem::error(message)
                        .at(&other.at)
                        .hint(BASE_ONLY.replace("option", "environment")));
                }
                base
            }
            None => {
                let problem = Problem::error(format!("`{name}` has no environment `base`")).at(&node.at);
                return Err(problem.hint("there is no other one: name the folders below `base:`"));
            }
        },
        _ => node,
    };
    let folders = list.list().map(|items| items.iter().filter_map(Node::text).map(str::to_owned).collect());
    folders.ok_or_else(|| {
        let message = format!("`{name}` is a list of folders, not {}", list.value().kind());
        Problem::error(message)
            .at(&list.at)
            .hint("write `base:` below it, and below that each folder with `- `")
    })
}
