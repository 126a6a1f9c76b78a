//! Execution functions that a template asks of a host: `salt['cmd.run']('hostname')`.
//!
//! Each is a small script and the reading of what it prints; nothing of them changes a host, but `cmd.run` and its
//! siblings run what the template says.

use kstate_core::words::{join, quote};
use kstate_core::{Call, Command, Job, Keep, Limit, Map, Reply, Value};
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CallError {
    #[error("a host cannot be asked for `{fun}`")]
    Unknown { fun: String },
    #[error("`{call}`: {message}")]
    Wrong { call: String, message: String },
}

type Write = fn(&Call) -> Result<Job, String>;
type Read = fn(&Call, &Reply) -> Result<Value, String>;

/// Sorted by name.
const FUNCTIONS: &[(&str, Write, Read)] = &[
    ("alternatives.show_current", alternative, line_or_false),
    ("cmd.has_exec", which, exists),
    ("cmd.retcode", run, status),
    ("cmd.run", run, output),
    ("cmd.run_all", run, all),
    ("cmd.run_stderr", run, errors),
    ("cmd.run_stdout", run, output),
    ("cmd.shell", run, output),
    ("cmd.which", which, line_or_none),
    ("environ.get", variable, output),
    ("environ.has_value", variable, has_text),
    ("file.access", access, exists),
    ("file.contains", contains, exists),
    ("file.directory_exists", |call| test(call, "-d"), exists),
    ("file.file_exists", |call| test(call, "-f"), exists),
    ("file.get_group", |call| stat(call, "%G"), must_print),
    ("file.get_hash", hash, must_print),
    ("file.get_mode", |call| stat(call, "%04a"), must_print),
    ("file.get_user", |call| stat(call, "%U"), must_print),
    ("file.is_link", |call| test(call, "-L"), exists),
    ("file.path_exists_glob", glob, exists),
    ("file.read", content, content_text),
    ("file.readdir", entries, entry_list),
    ("file.readlink", link, must_print),
    ("group.info", |call| getent(call, "group"), group_info),
    ("network.get_fqdn", |_| Ok(Job::new("hostname -f 2>/dev/null || uname -n")), output),
    ("network.get_hostname", |_| Ok(Job::new("uname -n")), output),
    ("network.hw_addr", address, output),
    ("network.hwaddr", address, output),
    ("network.interfaces", |_| Ok(Job::new(INTERFACES)), interfaces),
    ("network.ip_addrs", |call| addresses(call, "-4"), address_list),
    ("network.ip_addrs6", |call| addresses(call, "-6"), address_list),
    ("network.ipaddrs", |call| addresses(call, "-4"), address_list),
    ("network.ipaddrs6", |call| addresses(call, "-6"), address_list),
    ("pkg.latest_version", newest, versions),
    ("pkg.list_pkgs", |_| Ok(Job::new(format!("dpkg-query -W -f {}", quote(INSTALLED)))), package_map),
    ("pkg.version", installed, versions),
    ("pkg.version_cmp", compared, number),
    ("service.available", |call| unit(call, "LoadState"), |_, reply| Ok((text(reply) == "loaded").into())),
    ("service.enabled", |call| systemctl(call, "is-enabled"), exists),
    ("service.status", |call| systemctl(call, "is-active"), exists),
    ("status.time", time, output),
    ("status.uptime", |_| Ok(Job::new("cat /proc/uptime")), uptime),
    ("timezone.get_offset", |_| Ok(Job::new("date +%z")), output),
    ("timezone.get_zone", |_| Ok(Job::new(ZONE)), output),
    ("user.info", user, user_info),
    ("user.list_groups", groups, words_list),
    ("user.list_users", |_| Ok(Job::new("getent passwd | cut -d: -f1 | sort")), line_list),
];

/// The functions that a host can be asked for, sorted.
pub fn function_names<'a>() -> impl Iterator<Item = &'a str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// What has to run on the host to answer a call.
pub fn job(call: &Call) -> Result<Job, CallError> {
    let (_, write, _) = find(call)?;
    let job = write(call).map_err(|message| wrong(call, message))?;
    Ok(Job { limit: Some(Limit::of_command(call.to_string())), keep: Keep::Whole, ..job })
}

/// The answer.
pub fn read(call: &Call, reply: &Reply) -> Result<Value, CallError> {
    let (_, _, read) = find(call)?;
    if reply.overdue {
        return Err(wrong(call, "the host did not answer within an hour".into()));
    }
    if reply.omitted.stdout.is_some() {
        return Err(wrong(call, format!("the answer is longer than {} MiB", Keep::WHOLE >> 20)));
    }
    read(call, reply).map_err(|message| wrong(call, message))
}

fn find(call: &Call) -> Result<&'static (&'static str, Write, Read), CallError> {
    let unknown = || CallError::Unknown { fun: call.fun.clone() };
    FUNCTIONS.iter().find(|(name, ..)| *name == call.fun).ok_or_else(unknown)
}

fn wrong(call: &Call, message: String) -> CallError {
    CallError::Wrong { call: call.to_string(), message }
}

/// An argument by its place or its name.
fn argument(call: &Call, place: usize, name: &str) -> Option<String> {
    let value = call.arguments.get(place).or_else(|| call.keywords.get(name))?;
    Some(value).filter(|value| **value != Value::Null).map(ToString::to_string)
}

fn required(call: &Call, place: usize, name: &str) -> Result<String, String> {
    argument(call, place, name).ok_or_else(|| format!("the argument `{name}` is missing"))
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.stdout).trim_end_matches('\n').to_owned()
}

fn lines(reply: &Reply) -> Vec<String> {
    text(reply).lines().map(str::to_owned).collect()
}

fn list(items: impl IntoIterator<Item = String>) -> Value {
    Value::List(items.into_iter().map(Value::from).collect())
}

fn complaint(reply: &Reply) -> String {
    let said = String::from_utf8_lossy(&reply.stderr);
    let last = said.trim().lines().next_back().unwrap_or_default();
    if last.is_empty() { format!("exit status {}", reply.status) } else { last.to_owned() }
}

fn exists(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(reply.ok().into())
}

fn status(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(reply.status.into())
}

fn output(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(text(reply).into())
}

fn has_text(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok((!text(reply).is_empty()).into())
}

fn line_or_none(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(if reply.ok() { text(reply).into() } else { Value::Null })
}

fn line_or_false(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(if reply.ok() { text(reply).into() } else { false.into() })
}

fn number(call: &Call, reply: &Reply) -> Result<Value, String> {
    let text = must_print(call, reply)?.to_string();
    text.parse::<i64>().map(Value::from).map_err(|_| format!("`{text}` is not a number"))
}

fn must_print(_call: &Call, reply: &Reply) -> Result<Value, String> {
    if reply.ok() { Ok(text(reply).into()) } else { Err(complaint(reply)) }
}

fn line_list(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(list(lines(reply)))
}

fn words_list(_call: &Call, reply: &Reply) -> Result<Value, String> {
    let mut words: Vec<String> = text(reply).split_whitespace().map(str::to_owned).collect();
    words.sort();
    Ok(list(words))
}

/// Salt: `cmd.run` gives both outputs together, in their order.
fn run(call: &Call) -> Result<Job, String> {
    let line = match call.arguments.first().or_else(|| call.keywords.get("cmd")) {
        Some(Value::List(words)) => join(words.iter().map(ToString::to_string)),
        Some(line) => line.to_string(),
        None => return Err("the argument `cmd` is missing".into()),
    };
    let together = matches!(call.fun.as_str(), "cmd.run" | "cmd.shell");
    let shell = argument(call, usize::MAX, "shell").unwrap_or_else(|| "/bin/sh".into());
    let mut script = format!("{} -c {}", quote(&shell), quote(&line));
    if together {
        script.push_str(" 2>&1");
    }
    let mut command = Command::shell(script)
        .dir(argument(call, 1, "cwd").as_deref())
        .user(argument(call, 3, "runas").as_deref().filter(|user| *user != "root"));
    if let Some(input) = argument(call, 2, "stdin") {
        command = command.input(input);
    }
    if let Some(seconds) = argument(call, usize::MAX, "timeout") {
        command = command.timeout(seconds.parse().map_err(|_| "`timeout` takes seconds".to_owned())?);
    }
    if let Some(Value::Map(env)) = call.keywords.get("env") {
        for (name, value) in env.iter() {
            command = command.env(name.to_string(), value.to_string());
        }
    }
    Ok(command.job())
}

fn errors(_call: &Call, reply: &Reply) -> Result<Value, String> {
    Ok(String::from_utf8_lossy(&reply.stderr).trim_end_matches('\n').into())
}

fn all(call: &Call, reply: &Reply) -> Result<Value, String> {
    let mut map = Map::new();
    map.insert("pid", 0);
    map.insert("retcode", reply.status);
    map.insert("stdout", text(reply));
    map.insert("stderr", errors(call, reply)?);
    Ok(map.into())
}

fn which(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!("command -v -- {}", quote(&required(call, 0, "cmd")?))))
}

fn variable(call: &Call) -> Result<Job, String> {
    let key = required(call, 0, "key")?;
    if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("`{key}` is not the name of a variable"));
    }
    let default = argument(call, 1, "default").unwrap_or_default();
    Ok(Job::new(format!("default={}\nprintf '%s\\n' \"${{{key}-$default}}\"", quote(&default))))
}

fn path(call: &Call) -> Result<String, String> {
    required(call, 0, "path").map(|path| quote(&path))
}

fn test(call: &Call, what: &str) -> Result<Job, String> {
    Ok(Job::new(format!("[ {what} {} ]", path(call)?)))
}

fn access(call: &Call) -> Result<Job, String> {
    match argument(call, 1, "mode").as_deref() {
        Some("f") => test(call, "-e"),
        Some(mode @ ("r" | "w" | "x")) => test(call, &format!("-{mode}")),
        _ => Err("`mode` is one of f, r, w, x".into()),
    }
}

fn contains(call: &Call) -> Result<Job, String> {
    let wanted = required(call, 1, "text")?;
    Ok(Job::new(format!("grep -qF -e {} -- {}", quote(&wanted), path(call)?)))
}

fn stat(call: &Call, format: &str) -> Result<Job, String> {
    Ok(Job::new(format!("stat -c {format} -- {}", path(call)?)))
}

fn hash(call: &Call) -> Result<Job, String> {
    let form = argument(call, 1, "form").unwrap_or_else(|| "sha256".into());
    match form.as_str() {
        "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" => {
            Ok(Job::new(format!("sum=$({form}sum -- {}) && echo \"${{sum%% *}}\"", path(call)?)))
        }
        _ => Err(format!("`{form}` is not a hash that the host knows")),
    }
}

fn glob(call: &Call) -> Result<Job, String> {
    // Only what a pattern needs is left unquoted.
    let pattern: String = required(call, 0, "path")?
        .chars()
        .map(|c| if "*?[]".contains(c) { c.to_string() } else { quote(&c.to_string()) })
        .collect();
    Ok(Job::new(format!("for p in {pattern}; do [ -e \"$p\" ] && exit 0; done; exit 1")))
}

fn content(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!("cat -- {}", path(call)?)))
}

/// Salt: a missing file is an error.
fn content_text(_call: &Call, reply: &Reply) -> Result<Value, String> {
    if reply.ok() {
        Ok(String::from_utf8_lossy(&reply.stdout).as_ref().into())
    } else {
        Err(complaint(reply))
    }
}

fn entries(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!("ls -1A -- {}/", path(call)?)))
}

fn entry_list(_call: &Call, reply: &Reply) -> Result<Value, String> {
    if !reply.ok() {
        return Err(complaint(reply));
    }
    Ok(list([".".to_owned(), "..".into()].into_iter().chain(lines(reply))))
}

fn link(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!("readlink -- {}", path(call)?)))
}

fn alternative(call: &Call) -> Result<Job, String> {
    let link = format!("/etc/alternatives/{}", required(call, 0, "name")?);
    Ok(Job::new(format!("readlink -- {}", quote(&link))))
}

fn getent(call: &Call, database: &str) -> Result<Job, String> {
    Ok(Job::new(format!("getent {database} -- {} || true", quote(&required(call, 0, "name")?))))
}

fn group_info(_call: &Call, reply: &Reply) -> Result<Value, String> {
    let line = text(reply);
    let mut map = Map::new();
    if let [name, password, gid, members] = line.split(':').collect::<Vec<_>>()[..] {
        map.insert("name", name);
        map.insert("passwd", password);
        map.insert("gid", gid.parse::<i64>().unwrap_or_default());
        map.insert("members", list(members.split(',').filter(|m| !m.is_empty()).map(str::to_owned)));
    }
    Ok(map.into())
}

fn groups(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!("id -Gn -- {} 2>/dev/null || true", quote(&required(call, 0, "name")?))))
}

fn user(call: &Call) -> Result<Job, String> {
    let name = quote(&required(call, 0, "name")?);
    Ok(Job::new(format!("getent passwd -- {name} && id -Gn -- {name} || true")))
}

fn user_info(_call: &Call, reply: &Reply) -> Result<Value, String> {
    let lines = lines(reply);
    let mut map = Map::new();
    let fields: Vec<&str> = lines.first().map(|line| line.split(':').collect()).unwrap_or_default();
    if let [name, password, uid, gid, gecos, home, shell] = fields[..] {
        let mut groups: Vec<String> =
            lines.get(1).into_iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
        groups.sort();
        let mut gecos = gecos.split(',');
        map.insert("name", name);
        map.insert("passwd", password);
        map.insert("uid", uid.parse::<i64>().unwrap_or_default());
        map.insert("gid", gid.parse::<i64>().unwrap_or_default());
        map.insert("groups", list(groups));
        map.insert("home", home);
        map.insert("shell", shell);
        for key in ["fullname", "roomnumber", "workphone", "homephone", "other"] {
            map.insert(key, gecos.next().unwrap_or_default());
        }
    }
    Ok(map.into())
}

fn address(call: &Call) -> Result<Job, String> {
    let iface = required(call, 0, "iface")?;
    Ok(Job::new(format!("cat -- {}", quote(&format!("/sys/class/net/{iface}/address")))))
}

fn addresses(call: &Call, family: &str) -> Result<Job, String> {
    let of = argument(call, 0, "interface").map(|name| format!(" dev {}", quote(&name))).unwrap_or_default();
    Ok(Job::new(format!("ip {family} -o addr show{of} | sed 's/.* inet6* \\([^ /]*\\).*/\\1/'")))
}

fn address_list(call: &Call, reply: &Reply) -> Result<Value, String> {
    let loopback = call.arguments.get(1).or_else(|| call.keywords.get("include_loopback"));
    let with_loopback = matches!(loopback, Some(Value::Bool(true)));
    let mut all: Vec<std::net::IpAddr> =
        lines(reply).iter().filter_map(|line| line.trim().parse().ok()).collect();
    all.retain(|address: &std::net::IpAddr| with_loopback || !address.is_loopback());
    all.sort_unstable();
    all.dedup();
    Ok(list(all.iter().map(ToString::to_string)))
}

const INTERFACES: &str = "for d in /sys/class/net/*/address; do n=${d%/address}; n=${n##*/}; read -r a <\"$d\"; read -r u <\"/sys/class/net/$n/operstate\"; echo \"= $n $a $u\"; ip -o addr show dev \"$n\" 2>/dev/null; done";

fn interfaces(_call: &Call, reply: &Reply) -> Result<Value, String> {
    let mut all: Vec<(String, Map)> = Vec::new();
    for line in lines(reply) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), all.last_mut()) {
            (["=", name, address, state], _) => {
                let mut map = Map::new();
                map.insert("hwaddr", *address);
                map.insert("up", *state == "up" || *state == "unknown");
                all.push(((*name).to_owned(), map));
            }
            ([_, _, family, address, rest @ ..], Some((name, map))) => {
                let mut one = Map::new();
                let (address, prefix) = address.split_once('/').unwrap_or((address, "32"));
                let after = |word: &str| {
                    let at = rest.iter().position(|w| *w == word)?;
                    rest.get(at + 1).map(|value| Value::from(*value))
                };
                one.insert("address", address);
                if *family == "inet" {
                    one.insert("netmask", netmask(prefix));
                    one.insert("broadcast", after("brd").unwrap_or_default());
                    one.insert("label", name.as_str());
                } else {
                    one.insert("prefixlen", prefix);
                    one.insert("scope", after("scope").unwrap_or_default());
                }
                let mut known = map.get(family).and_then(Value::as_list).unwrap_or_default().to_vec();
                known.push(one.into());
                map.insert(*family, Value::List(known));
            }
            _ => {}
        }
    }
    Ok(Value::Map(all.into_iter().collect()))
}

/// `24` as `255.255.255.0`.
fn netmask(prefix: &str) -> String {
    let bits = prefix.parse::<u32>().unwrap_or(32).min(32);
    std::net::Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or_default()).to_string()
}

const INSTALLED: &str = "${db:Status-Abbrev}\\t${Package}\\t${Version}\\n";

fn names(call: &Call) -> Result<Vec<String>, String> {
    let names: Vec<String> = call
        .arguments
        .iter()
        .flat_map(|value| match value {
            Value::List(items) => items.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        })
        .collect();
    if names.is_empty() { Err("the name of a package is missing".into()) } else { Ok(names) }
}

fn installed(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!(
        "dpkg-query -W -f {} -- {} 2>/dev/null || true",
        quote(INSTALLED),
        join(names(call)?)
    )))
}

/// Prints -1, 0 or 1, as the first version is lower, the same or higher.
fn compared(call: &Call) -> Result<Job, String> {
    let (one, other) = (quote(&required(call, 0, "pkg1")?), quote(&required(call, 1, "pkg2")?));
    let is = |relation: &str| format!("dpkg --compare-versions {one} {relation} {other} 2>/dev/null");
    Ok(Job::new(format!("if {}; then echo -1; elif {}; then echo 0; else echo 1; fi", is("lt"), is("eq"))))
}

/// What is offered and not installed.
fn newest(call: &Call) -> Result<Job, String> {
    Ok(Job::new(format!(
        "apt-cache policy -- {} | awk '/^[^ ]/ {{ n = substr($0, 1, length($0) - 1) }} $1 == \"Installed:\" {{ i = $2 }} $1 == \"Candidate:\" && $2 != i && $2 != \"(none)\" {{ print \"ii \\t\" n \"\\t\" $2 }}'",
        join(names(call)?)
    )))
}

/// Installed packages and their versions.
fn packages(reply: &Reply) -> Vec<(String, String)> {
    lines(reply)
        .iter()
        .filter_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [state, name, version] if state.as_bytes().get(1) == Some(&b'i') => {
                Some((name.to_owned(), version.to_owned()))
            }
            _ => None,
        })
        .collect()
}

fn package_map(_call: &Call, reply: &Reply) -> Result<Value, String> {
    if reply.ok() { Ok(Value::Map(packages(reply).into_iter().collect())) } else { Err(complaint(reply)) }
}

/// Salt: the version of one package, a mapping of several; empty text for what is not there.
fn versions(call: &Call, reply: &Reply) -> Result<Value, String> {
    let there = packages(reply);
    let of = |name: &String| {
        there.iter().find(|(n, _)| n == name).map(|(_, version)| version.clone()).unwrap_or_default()
    };
    let names = names(call)?;
    Ok(match &names[..] {
        [one] => of(one).into(),
        several => Value::Map(several.iter().map(|name| (name.clone(), of(name))).collect()),
    })
}

fn unit(call: &Call, property: &str) -> Result<Job, String> {
    let name = quote(&required(call, 0, "name")?);
    Ok(Job::new(format!("systemctl show -p {property} --value -- {name}")))
}

fn systemctl(call: &Call, verb: &str) -> Result<Job, String> {
    Ok(Job::new(format!("systemctl {verb} -q -- {}", quote(&required(call, 0, "name")?))))
}

fn time(call: &Call) -> Result<Job, String> {
    let format = argument(call, 0, "format").unwrap_or_else(|| "%A, %d. %B %Y %I:%M%p".into());
    Ok(Job::new(format!("date +{}", quote(&format))))
}

fn uptime(_call: &Call, reply: &Reply) -> Result<Value, String> {
    let line = text(reply);
    let seconds = line.split(['.', ' ']).next().and_then(|n| n.parse::<i64>().ok());
    let mut map = Map::new();
    map.insert("seconds", seconds.ok_or_else(|| complaint(reply))?);
    map.insert("days", seconds.unwrap_or_default() / 86400);
    Ok(map.into())
}

const ZONE: &str = "z=$(readlink -f /etc/localtime); case $z in */zoneinfo/*) echo \"${z#*/zoneinfo/}\" ;; *) cat /etc/timezone ;; esac";

#[cfg(test)]
mod tests {
    use super::*;

    fn call(fun: &str, arguments: &[&str]) -> Call {
        let arguments = arguments.iter().map(|text| Value::from(*text)).collect();
        Call { fun: fun.into(), arguments, keywords: Map::new() }
    }

    fn reply(status: i32, stdout: &str) -> Reply {
        Reply::new(status, stdout, "")
    }

    fn answer(fun: &str, arguments: &[&str], status: i32, stdout: &str) -> String {
        read(&call(fun, arguments), &reply(status, stdout)).unwrap().to_string()
    }

    #[test]
    fn the_list_is_sorted_and_has_each_name_once() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn an_unknown_function_is_told() {
        let error = job(&call("mine.send", &[])).unwrap_err();
        assert_eq!(error, CallError::Unknown { fun: "mine.send".into() });
        assert!(function_names().all(|name| name != "mine.send"));
    }

    #[test]
    fn a_missing_argument_is_told() {
        let error = job(&call("cmd.which", &[])).unwrap_err();
        assert_eq!(error.to_string(), "`cmd.which()`: the argument `cmd` is missing");
    }

    #[test]
    fn commands_run_as_the_template_says() {
        let mut run = call("cmd.run", &["curl -s https://example.org | sort"]);
        run.keywords.insert("runas", "ann");
        let job = job(&run).unwrap();
        assert_eq!(job.user.as_deref(), Some("ann"));
        assert!(job.script.contains(" 2>&1' | "), "{}", job.script);
    }

    #[test]
    fn reads_what_programs_print() {
        for (fun, arguments, status, stdout, expected) in [
            ("cmd.run", &["x"][..], 0, "a\nb\n", "a\nb"),
            ("cmd.retcode", &["x"], 3, "", "3"),
            ("cmd.has_exec", &["git"], 0, "/usr/bin/git\n", "True"),
            ("cmd.which", &["nope"], 127, "", "None"),
            ("alternatives.show_current", &["editor"], 0, "/bin/nano\n", "/bin/nano"),
            ("alternatives.show_current", &["nope"], 1, "", "False"),
            ("pkg.version_cmp", &["1.2", "1.10"], 0, "-1\n", "-1"),
            ("file.file_exists", &["/x"], 1, "", "False"),
            ("file.readdir", &["/x"], 0, "a\nb\n", "[., .., a, b]"),
            (
                "group.info",
                &["adm"],
                0,
                "adm:x:4:syslog,ann\n",
                "{name: adm, passwd: x, gid: 4, members: [syslog, ann]}",
            ),
            ("user.list_groups", &["ann"], 0, "ann adm\n", "[adm, ann]"),
            ("user.info", &["nobody-there"], 0, "", "{}"),
            ("network.ip_addrs", &[], 0, "127.0.0.1\n192.0.2.10\n", "[192.0.2.10]"),
            ("pkg.version", &["cron"], 0, "ii \tcron\t3.0pl1-162\n", "3.0pl1-162"),
            ("pkg.version", &["cron", "nope"], 0, "ii \tcron\t3.0\n", "{cron: 3.0, nope: }"),
            ("pkg.list_pkgs", &[], 0, "ii \tcron\t3.0\nrc \texim4\t4.96\n", "{cron: 3.0}"),
            ("service.available", &["cron"], 0, "loaded\n", "True"),
            ("timezone.get_zone", &[], 0, "Etc/UTC\n", "Etc/UTC"),
        ] {
            assert_eq!(answer(fun, arguments, status, stdout), expected, "{fun}");
        }
    }

    #[test]
    fn interfaces_are_told_with_their_addresses() {
        let stdout = "= eth0 02:00:00:00:00:01 up\n2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\ valid_lft forever\n2: eth0    inet6 fe80::1/64 scope link \\ valid_lft forever\n";
        assert_eq!(
            answer("network.interfaces", &[], 0, stdout),
            "{eth0: {hwaddr: 02:00:00:00:00:01, up: True, inet: [{address: 192.0.2.10, netmask: 255.255.255.0, broadcast: 192.0.2.255, label: eth0}], inet6: [{address: fe80::1, prefixlen: 64, scope: link}]}}"
        );
    }

    #[test]
    fn a_user_is_told_as_salt_tells_it() {
        let stdout = "ann:x:1000:1000:Ann,7,,:/home/ann:/bin/bash\nann adm\n";
        let Value::Map(info) = read(&call("user.info", &["ann"]), &reply(0, stdout)).unwrap() else {
            panic!()
        };
        assert_eq!(info.get("home"), Some(&"/home/ann".into()));
        assert_eq!(info.get("uid"), Some(&Value::Int(1000)));
        assert_eq!(info.get("fullname"), Some(&"Ann".into()));
        assert_eq!(info.get("groups").map(ToString::to_string).as_deref(), Some("[adm, ann]"));
    }
}
