//! Packages of Debian and Ubuntu: `dpkg-query(1)` for what is installed, `apt-cache(8)` for what is offered.

use std::collections::HashMap;

use super::{Answer, Answered, complaint};
use crate::words::join;
use crate::{Job, Reply};

/// A package that is installed, or whose configuration is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub version: String,
    /// `false`: removed, but its configuration files are still there.
    pub installed: bool,
    pub held: bool,
    /// Set where the name asked for is only provided by this package.
    pub provided_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub installed: Option<String>,
    pub candidate: Option<String>,
}

const LINE: &str = r"${Package}\t${Architecture}\t${db:Status-Abbrev}\t${Version}\n";

/// Names of which no package is installed are looked for among what installed packages provide. dpkg knows some of
/// them nevertheless, because other packages name them.
pub(super) fn job(names: &[&str]) -> Job {
    Job::new(format!(
        "command -v dpkg-query >/dev/null || {{ echo 'there is no dpkg-query on the host' >&2; exit 46; }}\n\
         set -- {names}\n\
         own=$(dpkg-query -W -f '{LINE}' -- \"$@\" 2>/dev/null) || own=\"$own\n\"\n\
         printf '%s\\n' \"$own\"\n\
         ! printf '%s\\n' \"$own\" | grep -qv '^[^\t]*\t[^\t]*\t.i' || {{\n\
         echo =\n\
         dpkg-query -W -f '${{db:Status-Abbrev}}\\t${{Package}}\\t${{Version}}\\t${{Provides}}\\n' | grep '^.i.*\t[^\t]\\{{1,\\}}$'\n\
         }}\ntrue",
        names = join(names)
    ))
}

pub(super) fn read(names: &[&str], reply: &Reply) -> Vec<Answered> {
    if !reply.ok() {
        return names.iter().map(|_| Err(complaint(reply))).collect();
    }
    let text = String::from_utf8_lossy(&reply.stdout);
    let (own, provided) = text.split_once("=\n").unwrap_or((&text, ""));
    let mut found: HashMap<String, Package> = HashMap::new();
    for line in own.lines() {
        let [name, architecture, status, version] = line.split('\t').collect::<Vec<_>>()[..] else {
            continue;
        };
        let installed = status.as_bytes().get(1) == Some(&b'i');
        if !installed && version.is_empty() {
            continue;
        }
        let held = status.starts_with('h');
        let package = Package { version: version.to_owned(), installed, held, provided_by: None };
        found.insert(format!("{name}:{architecture}"), package.clone());
        let plain = found.entry(name.to_owned()).or_insert_with(|| package.clone());
        if installed {
            *plain = package;
        }
    }
    let mut providers: HashMap<&str, Package> = HashMap::new();
    for line in provided.lines() {
        let [_, package, version, provides] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        for name in provides.split(", ") {
            let name = name.split(' ').next().unwrap_or(name);
            let provided_by = Some(package.to_owned());
            providers.entry(name).or_insert(Package {
                version: version.to_owned(),
                installed: true,
                held: false,
                provided_by,
            });
        }
    }
    names
        .iter()
        .map(|name| {
            let own = found.get(*name).filter(|package| package.installed);
            let answer = own.or_else(|| providers.get(name)).or_else(|| found.get(*name));
            Ok(Answer::Package(answer.cloned()))
        })
        .collect()
}

pub(super) fn candidates_job(names: &[&str]) -> Job {
    Job::new(format!(
        "command -v apt-cache >/dev/null || {{ echo 'there is no apt-cache on the host' >&2; exit 46; }}\n\
         apt-cache policy -- {}",
        join(names)
    ))
}

pub(super) fn read_candidates(names: &[&str], reply: &Reply) -> Vec<Answered> {
    if !reply.ok() {
        return names.iter().map(|_| Err(complaint(reply))).collect();
    }
    let text = String::from_utf8_lossy(&reply.stdout);
    let mut found: HashMap<&str, Candidate> = HashMap::new();
    let mut current = "";
    for line in text.lines() {
        let version = |v: &str| Some(v.trim().to_owned()).filter(|v| v != "(none)");
        if !line.starts_with(' ') {
            current = line.trim_end_matches(':');
        } else if let Some(v) = line.trim_start().strip_prefix("Installed:") {
            found.insert(current, Candidate { installed: version(v), candidate: None });
        } else if let Some(v) = line.trim_start().strip_prefix("Candidate:")
            && let Some(entry) = found.get_mut(current)
        {
            entry.candidate = version(v);
        }
    }
    names.iter().map(|name| Ok(Answer::Candidate(found.remove(name)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        Reply::new(0, text, "")
    }

    #[test]
    fn tells_installed_from_left_configuration_and_provided() {
        let text = "cron\tamd64\tii \t3.0pl1-162\nexim4\tall\trc \t4.96\nnew\tamd64\tun \t\n=\nii \tpostfix\t3.7\tmail-transport-agent, default-mta (= 3)\n";
        let answers = read(&["cron", "exim4", "new", "default-mta", "cron:amd64"], &reply(text));
        let package = |i: usize| match &answers[i] {
            Ok(Answer::Package(package)) => package.clone(),
            other => panic!("{other:?}"),
        };
        assert!(package(0).is_some_and(|p| p.installed && p.version == "3.0pl1-162"));
        assert!(package(1).is_some_and(|p| !p.installed));
        assert_eq!(package(2), None);
        assert_eq!(package(3).and_then(|p| p.provided_by), Some("postfix".into()));
        assert!(package(4).is_some());
    }

    #[test]
    fn reads_candidates() {
        let text = "cron:\n  Installed: 3.0\n  Candidate: 3.1\n  Version table:\n     3.1 500\nredis:\n  Installed: (none)\n  Candidate: 7\n";
        let answers = read_candidates(&["redis", "nope"], &reply(text));
        assert_eq!(
            answers,
            [
                Ok(Answer::Candidate(Some(Candidate { installed: None, candidate: Some("7".into()) }))),
                Ok(Answer::Candidate(None))
            ]
        );
    }
}
