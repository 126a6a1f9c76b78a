//! The effective configuration of a host, asked from `ssh -G`, so that it is what `ssh` itself would do.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::algorithms::Algorithms;
use crate::login::{Login, SshSettings};

/// How many hosts may stand in front of one another.
const MOST_HOPS: usize = 8;

/// How long `ssh -G` may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration of `{host}`: there is no `ssh` program on this machine")]
    NoSsh { host: String },
    #[error("cannot run `ssh -G {host}`: {source}")]
    Run { host: String, source: io::Error },
    #[error("the configuration of `{host}` is wrong: {message}")]
    Wrong { host: String, message: String },
    #[error("`{host}` is behind more than {MOST_HOPS} hosts")]
    TooManyHops { host: String },
    #[error("the configuration of `{host}` has a `ProxyJump` that is not a host: `{jump}`")]
    Jump { host: String, jump: String },
}

/// Where the agent listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum AgentAt {
    /// Where `$SSH_AUTH_SOCK` says.
    #[default]
    Environment,
    Nowhere,
    Path(PathBuf),
}

/// What stands between this machine and the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proxy {
    #[default]
    None,
    Jump(Vec<String>),
    Command(String),
}

/// The configuration of one host or hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostConfig {
    /// The name that was asked for.
    pub(crate) given: String,
    pub(crate) host_name: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// The keys of the roster first, then those of the configuration.
    pub(crate) identity_files: Vec<PathBuf>,
    /// How many of them stand in the roster.
    pub(crate) own_keys: usize,
    pub(crate) certificate_files: Vec<PathBuf>,
    pub(crate) agent: AgentAt,
    pub(crate) identities_only: bool,
    pub(crate) user_known_hosts: Vec<PathBuf>,
    pub(crate) global_known_hosts: Vec<PathBuf>,
    pub(crate) revoked_host_keys: Option<PathBuf>,
    pub(crate) host_key_alias: Option<String>,
    /// As `ssh` lists them; empty: no restriction.
    pub(crate) host_key_algorithms: Vec<String>,
    pub(crate) algorithms: Algorithms,
    pub(crate) proxy: Proxy,
    pub(crate) connect_timeout: Option<Duration>,
    /// `ServerAliveInterval` and `ServerAliveCountMax`.
    pub(crate) alive: Option<(Duration, u32)>,
}

impl HostConfig {
    /// The name that known_hosts files use.
    pub(crate) fn known_name(&self) -> String {
        match &self.host_key_alias {
            Some(alias) => alias.to_lowercase(),
            None if self.port == 22 => self.host_name.to_lowercase(),
            None => format!("[{}]:{}", self.host_name.to_lowercase(), self.port),
        }
    }

    /// For messages: the name that was asked for, and the real one where it differs.
    pub(crate) fn label(&self) -> String {
        let port = if self.port == 22 { String::new() } else { format!(" port {}", self.port) };
        if self.given == self.host_name {
            format!("{}{port}", self.given)
        } else {
            format!("{} ({}{port})", self.given, self.host_name)
        }
    }

    fn known_hosts_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.user_known_hosts.iter().chain(&self.global_known_hosts)
    }

    /// Every known_hosts file, the user's first.
    pub(crate) fn known_hosts(&self) -> Vec<PathBuf> {
        self.known_hosts_files().cloned().collect()
    }
}

/// The way to a host: the hops in the order in which they are connected, the host last.
pub(crate) fn route(login: &Login, settings: &SshSettings) -> Result<Vec<HostConfig>, ConfigError> {
    let mut way = vec![ask(login, settings)?];
    loop {
        // `ssh` looks at the configuration of the first hop only, as it names the others itself.
        let first = &way[0];
        let Proxy::Jump(hops) = &first.proxy else { return Ok(way) };
        let host = first.given.clone();
        let mut found = Vec::new();
        for (index, hop) in hops.iter().enumerate() {
            let Some(login) = hop_login(hop) else {
                return Err(ConfigError::Jump { host, jump: hop.clone() });
            };
            let mut config = ask(&login, settings)?;
            if index > 0 {
                config.proxy = Proxy::None;
            }
            found.push(config);
        }
        if found.is_empty() {
            return Ok(way);
        }
        if way.len() + found.len() > MOST_HOPS {
            return Err(ConfigError::TooManyHops { host });
        }
        way[0].proxy = Proxy::None;
        found.append(&mut way);
        way = found;
    }
}

/// `[user@]host[:port]`, or the same as `ssh://`.
fn hop_login(text: &str) -> Option<Login> {
    let text = text.trim();
    let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').map(str::parse).transpose().ok()?)
        }
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port.parse().ok()?)),
            _ => (rest, None),
        },
    };
    (!host.is_empty()).then(|| Login { host: host.to_owned(), port, user, ..Login::default() })
}

fn ask(login: &Login, settings: &SshSettings) -> Result<HostConfig, ConfigError> {
    let host = &login.host;
    let mut command = Command::new("ssh");
    command.arg("-G");
    if let Some(file) = &settings.ssh_config {
        command.arg("-F").arg(file);
    }
    // The first value that `ssh` sees wins, as on its command line.
    if let Some(port) = login.port {
        command.arg(format!("-oPort={port}"));
    }
    if let Some(user) = &login.user {
        command.arg(format!("-oUser={user}"));
    }
    for option in &login.options {
        command.arg("-o").arg(option);
    }
    command.arg("--").arg(host);
    // For root the default of `ssh` is ours; everybody else asks twice, at the same time.
    let second = login.user.is_none() && !crate::keys::is_own_user(0);
    let (output, user) = std::thread::scope(|scope| {
        let user = second.then(|| scope.spawn(|| ask_user(host, settings, &login.options)));
        let output = run(command, None);
        (output, user.and_then(|thread| thread.join().ok().flatten()))
    });
    let output = match output {
        Ok(output) => output,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return without_ssh(login, settings),
        Err(source) => return Err(ConfigError::Run { host: host.clone(), source }),
    };
    if !output.status.success() {
        return Err(ConfigError::Wrong { host: host.clone(), message: complaint(&output.stderr) });
    }
    let answers = Answers::parse(&String::from_utf8_lossy(&output.stdout));
    let mut config = read(&answers, host);
    if let Some(user) = user {
        config.user = user;
    }
    Ok(give(config, login))
}

/// The user that the configuration names, else root. `ssh -G` alone cannot tell its own default from the
/// configuration's word, so the configuration is read once more with root at its end.
fn ask_user(host: &str, settings: &SshSettings, options: &[String]) -> Option<String> {
    let mut text = String::new();
    match &settings.ssh_config {
        Some(file) => text.push_str(&include(&std::path::absolute(file).ok()?)),
        None => {
            text.push_str(&include(&home()?.join(".ssh/config")));
            text.push_str("Match all\n");
            text.push_str(&include(Path::new("/etc/ssh/ssh_config")));
        }
    }
    text.push_str("Match all\nUser root\n");
    let mut command = Command::new("ssh");
    command.args(["-G", "-F", "/dev/stdin"]);
    for option in options {
        command.arg("-o").arg(option);
    }
    command.arg("--").arg(host);
    let output = run(command, Some(&text)).ok().filter(|output| output.status.success())?;
    let answers = Answers::parse(&String::from_utf8_lossy(&output.stdout));
    answers.one("user").map(str::to_owned)
}

fn include(file: &Path) -> String {
    format!("Include \"{}\"\n", file.display())
}

fn run(mut command: Command, input: Option<&str>) -> io::Result<Output> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn()?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that does not read it says why on its own.
        let _ = stdin.write_all(text.as_bytes());
    }
    // What it prints fits into a pipe. A `Match exec` of the configuration may run anything.
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            // Without its group, what it runs would stay.
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    child.wait_with_output()
}

fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(str::trim).filter(|line| {
        // What `ssh` says about its own terminal has nothing to do with the configuration.
        !line.is_empty() && !line.starts_with("Pseudo-terminal")
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// Without `ssh`, only a machine without any configuration can be understood.
fn without_ssh(login: &Login, settings: &SshSettings) -> Result<HostConfig, ConfigError> {
    let home = home();
    let user_file = home.as_ref().map(|home| home.join(".ssh/config"));
    let configured = settings.ssh_config.is_some()
        || !login.options.is_empty()
        || user_file.is_some_and(|file| file.exists())
        || Path::new("/etc/ssh/ssh_config").exists();
    if configured {
        return Err(ConfigError::NoSsh { host: login.host.clone() });
    }
    let in_home = |names: &[&str]| -> Vec<PathBuf> {
        home.iter().flat_map(|home| names.iter().map(|name| home.join(".ssh").join(name))).collect()
    };
    let config = HostConfig {
        given: login.host.clone(),
        host_name: login.host.clone(),
        port: login.port.unwrap_or(22),
        user: login.user.clone().unwrap_or_else(|| "root".to_owned()),
        identity_files: in_home(&["id_rsa", "id_ecdsa", "id_ed25519"]),
        user_known_hosts: in_home(&["known_hosts", "known_hosts2"]),
        global_known_hosts: vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
        ..HostConfig::default()
    };
    Ok(give(config, login))
}

/// Puts the roster's keys and time-out before the configuration's.
fn give(mut config: HostConfig, login: &Login) -> HostConfig {
    let expand = Tokens::of(&config);
    let mut files: Vec<PathBuf> = login.keys.iter().map(|key| expand.path(&key.to_string_lossy())).collect();
    config.own_keys = files.len();
    for file in std::mem::take(&mut config.identity_files) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    config.identity_files = files;
    if login.timeout.is_some() {
        config.connect_timeout = login.timeout;
    }
    config
}

/// The lines that `ssh -G` prints: a keyword in lower case and a value.
struct Answers(HashMap<String, Vec<String>>);

impl Answers {
    fn parse(text: &str) -> Self {
        let mut answers: HashMap<String, Vec<String>> = HashMap::new();
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            answers.entry(key.to_lowercase()).or_default().push(value.trim().to_owned());
        }
        Answers(answers)
    }

    fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// The value, unless it is `none`.
    fn one(&self, key: &str) -> Option<&str> {
        let value = self.all(key).first()?.as_str();
        (!value.is_empty() && value != "none").then_some(value)
    }

    fn yes(&self, key: &str) -> bool {
        matches!(self.one(key), Some("yes" | "true"))
    }

    fn seconds(&self, key: &str) -> Option<Duration> {
        let seconds: u64 = self.one(key)?.parse().ok()?;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

fn read(answers: &Answers, given: &str) -> HostConfig {
    let mut config = HostConfig {
        given: given.to_owned(),
        host_name: answers.one("hostname").unwrap_or(given).to_owned(),
        port: answers.one("port").and_then(|port| port.parse().ok()).unwrap_or(22),
        user: answers.one("user").unwrap_or("root").to_owned(),
        identities_only: answers.yes("identitiesonly"),
        host_key_alias: answers.one("hostkeyalias").map(str::to_owned),
        connect_timeout: answers.seconds("connecttimeout"),
        ..HostConfig::default()
    };
    let tokens = Tokens::of(&config);
    let paths = |key: &str| -> Vec<PathBuf> {
        let values = answers.all(key).iter().filter(|value| !value.is_empty() && *value != "none");
        values.map(|value| tokens.path(value)).collect()
    };
    let words = |key: &str| -> Vec<PathBuf> {
        let values = answers.all(key).iter().flat_map(|line| line.split_whitespace());
        values.filter(|value| *value != "none").map(|value| tokens.path(value)).collect()
    };
    let agent = match answers.all("identityagent").first().map(String::as_str) {
        None | Some("" | "SSH_AUTH_SOCK") => AgentAt::Environment,
        Some("none") => AgentAt::Nowhere,
        Some(variable) if variable.starts_with('$') && !variable.starts_with("${") => {
            std::env::var_os(&variable[1..]).map_or(AgentAt::Nowhere, |path| AgentAt::Path(path.into()))
        }
        Some(path) => AgentAt::Path(tokens.path(path)),
    };
    let proxy = match (answers.one("proxyjump"), answers.one("proxycommand")) {
        (Some(hops), _) => Proxy::Jump(hops.split(',').map(|hop| tokens.text(hop)).collect()),
        (None, Some(command)) => Proxy::Command(tokens.text(command)),
        (None, None) => Proxy::None,
    };
    let alive = answers.seconds("serveraliveinterval").map(|interval| {
        let count = answers.one("serveralivecountmax").and_then(|count| count.parse().ok());
        (interval, count.unwrap_or(3))
    });
    let list = |key: &str| -> Vec<String> {
        answers.one(key).map_or(Vec::new(), |list| list.split(',').map(str::to_owned).collect())
    };
    let host_key_algorithms = list("hostkeyalgorithms");
    // The second name is that of OpenSSH before 8.5.
    let keys = [list("pubkeyacceptedalgorithms"), list("pubkeyacceptedkeytypes")];
    config.algorithms = Algorithms {
        ciphers: list("ciphers"),
        kex: list("kexalgorithms"),
        macs: list("macs"),
        keys: keys.into_iter().find(|keys| !keys.is_empty()).unwrap_or_default(),
    };
    let (identity_files, certificate_files) = (paths("identityfile"), paths("certificatefile"));
    let (user_known_hosts, global_known_hosts) = (words("userknownhostsfile"), words("globalknownhostsfile"));
    let revoked_host_keys = paths("revokedhostkeys").into_iter().next();
    config.agent = agent;
    config.proxy = proxy;
    config.alive = alive;
    config.host_key_algorithms = host_key_algorithms;
    config.identity_files = identity_files;
    config.certificate_files = certificate_files;
    config.user_known_hosts = user_known_hosts;
    config.global_known_hosts = global_known_hosts;
    config.revoked_host_keys = revoked_host_keys;
    config
}

/// What stands for `%h` and the like (ssh_config(5), "TOKENS").
struct Tokens {
    given: String,
    host_name: String,
    port: u16,
    user: String,
    alias: String,
}

impl Tokens {
    fn of(config: &HostConfig) -> Self {
        Tokens {
            given: config.given.clone(),
            host_name: config.host_name.clone(),
            port: config.port,
            user: config.user.clone(),
            alias: config.host_key_alias.clone().unwrap_or_else(|| config.given.clone()),
        }
    }

    fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$']) {
            out.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(name) =
                tail.strip_prefix("${").and_then(|tail| tail.split_once('}')).map(|pair| pair.0)
            {
                out.push_str(&std::env::var(name).unwrap_or_default());
                rest = &tail[name.len() + 3..];
                continue;
            }
            let letter = tail.chars().nth(1).filter(|_| tail.starts_with('%'));
            let value = match letter {
                Some('%') => Some("%".to_owned()),
                Some('h') => Some(self.host_name.clone()),
                Some('n') => Some(self.given.clone()),
                Some('p') => Some(self.port.to_string()),
                Some('r') => Some(self.user.clone()),
                Some('k') => Some(self.alias.clone()),
                Some('u') => std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok(),
                Some('d') => home().map(|home| home.display().to_string()),
                _ => None,
            };
            match value {
                Some(value) => {
                    out.push_str(&value);
                    rest = &tail[2..];
                }
                None => {
                    out.push_str(&tail[..1]);
                    rest = &tail[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn path(&self, text: &str) -> PathBuf {
        let text = self.text(text);
        let in_home = text.strip_prefix("~/").and_then(|rest| home().map(|home| home.join(rest)));
        in_home.unwrap_or_else(|| text.into())
    }
}

fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: &str = "\
user alice
hostname 192.0.2.7
port 2222
identitiesonly yes
identityfile /keys/%r@%h
identityfile ~/.ssh/id_ed25519
certificatefile /keys/%n-cert.pub
userknownhostsfile /a/known_hosts /b/known_hosts
globalknownhostsfile /etc/ssh/ssh_known_hosts
serveraliveinterval 5
serveralivecountmax 2
connecttimeout none
hostkeyalgorithms ssh-ed25519,rsa-sha2-512
";

    fn config(more: &str) -> HostConfig {
        read(&Answers::parse(&format!("{ANSWERS}{more}")), "web")
    }

    #[test]
    fn reads_what_ssh_answers() {
        let config = config("identityagent /run/%u/agent\nproxyjump one,two\nhostkeyalias web-key\n");
        assert_eq!(
            (config.user.as_str(), config.host_name.as_str(), config.port),
            ("alice", "192.0.2.7", 2222)
        );
        assert!(config.identities_only);
        assert_eq!(config.identity_files[0], PathBuf::from("/keys/alice@192.0.2.7"));
        assert!(config.identity_files[1].ends_with(".ssh/id_ed25519"));
        assert!(!config.identity_files[1].starts_with("~"));
        assert_eq!(config.certificate_files, [PathBuf::from("/keys/web-cert.pub")]);
        assert_eq!(config.known_hosts().len(), 3);
        assert_eq!(config.alive, Some((Duration::from_secs(5), 2)));
        assert_eq!(config.connect_timeout, None);
        assert_eq!(config.proxy, Proxy::Jump(vec!["one".into(), "two".into()]));
        assert_eq!(config.known_name(), "web-key");
        assert_eq!(config.host_key_algorithms, ["ssh-ed25519", "rsa-sha2-512"]);
    }

    #[test]
    fn names_a_host_as_known_hosts_does() {
        assert_eq!(config("").known_name(), "[192.0.2.7]:2222");
        assert_eq!(HostConfig { port: 22, host_name: "Web".into(), ..config("") }.known_name(), "web");
    }

    #[test]
    fn the_roster_wins_over_the_configuration() {
        let login = Login {
            keys: vec!["/roster/key".into()],
            timeout: Some(Duration::from_secs(3)),
            ..Login::new("web")
        };
        let config = give(config("connecttimeout 9\n"), &login);
        assert_eq!(config.identity_files[0], PathBuf::from("/roster/key"));
        assert_eq!(config.own_keys, 1);
        assert_eq!(config.connect_timeout, Some(Duration::from_secs(3)));
    }

    #[test]
    fn agents_are_found_by_path_or_environment_or_not_at_all() {
        assert_eq!(config("").agent, AgentAt::Environment);
        assert_eq!(config("identityagent none\n").agent, AgentAt::Nowhere);
        assert_eq!(config("identityagent SSH_AUTH_SOCK\n").agent, AgentAt::Environment);
        assert_eq!(config("identityagent /run/agent\n").agent, AgentAt::Path("/run/agent".into()));
    }

    #[test]
    fn hops_are_read_in_every_form() {
        let cases = [
            ("jump", Some(("jump", None, None))),
            ("bob@jump:2200", Some(("jump", Some(2200), Some("bob")))),
            ("ssh://bob@jump:2200/", Some(("jump", Some(2200), Some("bob")))),
            ("[2001:db8::1]:2200", Some(("2001:db8::1", Some(2200), None))),
            ("2001:db8::1", Some(("2001:db8::1", None, None))),
            ("jump:port", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let login = hop_login(text);
            let found = login.as_ref().map(|login| (login.host.as_str(), login.port, login.user.as_deref()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn tokens_and_variables_are_expanded() {
        let tokens = Tokens::of(&config(""));
        assert_eq!(tokens.text("%h:%p %n %r 100%% %Z"), "192.0.2.7:2222 web alice 100% %Z");
        assert_eq!(tokens.text("${KSTATE_NOT_SET}x $HOME"), "x $HOME");
    }

    #[test]
    fn the_user_is_the_one_of_the_configuration_or_root() {
        let file = std::env::temp_dir().join(format!("kstate-ssh-config-{}", std::process::id()));
        std::fs::write(&file, "Host web\n  User bob\nHost *\n  Port 2222\n").unwrap();
        let settings = SshSettings { ssh_config: Some(file.clone()), ..SshSettings::default() };
        let found = ["web", "db"].map(|host| ask_user(host, &settings, &[]));
        let option = ask_user("db", &settings, &["User=eve".to_owned()]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found.map(Option::unwrap), ["bob", "root"]);
        assert_eq!(option.unwrap(), "eve");
    }
}
