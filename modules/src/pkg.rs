//! Packages of Debian and Ubuntu, by apt.

mod installed;
mod latest;
mod rehearsal;
mod removed;
mod version;

pub(crate) use installed::Installed;
pub(crate) use latest::Latest;
pub(crate) use removed::{Purged, Removed};

use std::fmt;

use kstate_core::question::Package;
use kstate_core::words::join;
use kstate_core::{Claim, Command, Run, Touch, Value};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// Packages with what is said about each: `- foo`, `- foo: '>=1.2'`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Packages(pub(crate) Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for Packages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PackagesVisitor)
    }
}

struct PackagesVisitor;

impl<'de> Visitor<'de> for PackagesVisitor {
    type Value = Packages;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of packages, each a name or `name: version`")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Packages, E> {
        Ok(Packages::default())
    }

    /// Salt: names parted by commas.
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Packages, E> {
        let names = v.split(',').map(str::trim).filter(|name| !name.is_empty());
        Ok(Packages(names.map(|name| (name.to_owned(), None)).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Packages, A::Error> {
        let mut packages = Vec::new();
        while let Some(item) = items.next_element::<Value>()? {
            match item {
                Value::Map(map) => packages.extend(map.iter().map(entry)),
                Value::List(_) | Value::Null | Value::Bytes(_) => {
                    return Err(de::Error::custom(format!("{} is not a package", item.kind())));
                }
                name => packages.push((name.to_string(), None)),
            }
        }
        Ok(Packages(packages))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Packages, A::Error> {
        let mut packages = Vec::new();
        while let Some((name, value)) = entries.next_entry::<Value, Value>()? {
            packages.push(entry((&name, &value)));
        }
        Ok(Packages(packages))
    }
}

fn entry((name, value): (&Value, &Value)) -> (String, Option<String>) {
    let value = Some(value).filter(|value| **value != Value::Null).map(ToString::to_string);
    (name.to_string(), value)
}

/// What a state says about a package.
fn claim(name: &str, installed: bool) -> Claim {
    Claim::new(format!("package {name}"), if installed { "installed" } else { "removed" })
}

/// Says that apt leaves a held package as it is.
fn held(name: &str, package: &Package) -> String {
    format!("`{name}` is held at {}; end that by `pkg.installed` with `hold: False`", package.version)
}

/// When the package lists are fetched again, before packages are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    Never,
    /// When they have never been, or are older than the sources.
    IfNeeded,
    /// The same, and when they are older than so many seconds.
    IfOlder(u32),
}

/// Within a run the lists are fetched once, as in Salt: so old are they then at most, in seconds.
const ONE_RUN: u32 = 600;

impl Refresh {
    /// Salt's `refresh` and `cache_valid_time`.
    pub(crate) fn of(refresh: Option<bool>, valid: Option<u32>) -> Self {
        match (refresh, valid) {
            (Some(false), _) => Refresh::Never,
            (Some(true), None) => Refresh::IfOlder(ONE_RUN),
            (_, Some(seconds)) => Refresh::IfOlder(seconds),
            (None, None) => Refresh::IfNeeded,
        }
    }

    /// Returns true if lists of that age are fetched again. `old`: they are missing, or older than the sources.
    fn is_due(self, age: u64, old: bool) -> bool {
        match self {
            Refresh::Never => false,
            Refresh::IfNeeded => old,
            Refresh::IfOlder(seconds) => old || age > seconds.into(),
        }
    }

    /// A package is not offered by the lists as they are.
    pub(crate) fn for_missing(self) -> Self {
        match self {
            Refresh::IfNeeded => Refresh::IfOlder(ONE_RUN),
            other => other,
        }
    }

    /// Failing sources do not keep others from being used: apt says below what it lacks. The time of the folder tells
    /// when the lists were fetched, because apt leaves the lists their servers' times.
    fn script(self) -> String {
        let old = match self {
            Refresh::Never => return String::new(),
            Refresh::IfNeeded => String::new(),
            Refresh::IfOlder(seconds) => {
                format!(" || [ $(($(date +%s) - $(stat -c %Y $lists))) -gt {seconds} ]")
            }
        };
        format!(
            "lists=/var/lib/apt/lists\n\
             if [ -z \"$(ls -A $lists 2>/dev/null | grep -vxE 'lock|partial|auxfiles')\" ] \
             || [ -n \"$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer $lists 2>/dev/null)\" ]{old}; then\n\
             {UPDATE}\nfi\n"
        )
    }
}

/// Fetches the lists.
pub(crate) const UPDATE: &str = "apt-get -q -o DPkg::Lock::Timeout=300 update && touch /var/lib/apt/lists";

/// A run of apt: what it is to do, and what stands before and after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apt {
    pub(crate) before: String,
    /// `install`, options and names.
    pub(crate) words: Vec<String>,
    /// Package files, as shell words.
    pub(crate) files: Vec<String>,
    pub(crate) keep_old_configuration: bool,
    pub(crate) after: String,
    pub(crate) input: Vec<u8>,
}

impl Apt {
    /// Installing runs scripts of packages, which may change anything.
    pub(crate) fn run(&self) -> Run {
        let conf = if self.keep_old_configuration { "confold" } else { "confnew" };
        let options = [
            "-q".to_owned(),
            "-y".to_owned(),
            "-o".to_owned(),
            format!("DPkg::Options::=--force-{conf}"),
            "-o".to_owned(),
            "DPkg::Options::=--force-confdef".to_owned(),
            "-o".to_owned(),
            "DPkg::Lock::Timeout=300".to_owned(),
        ];
        let mut script = self.before.clone();
        let mut told = format!("apt-get {}", join(&self.words));
        if !self.words.is_empty() {
            let words = join(options.iter().chain(&self.words));
            let files: String = self.files.iter().map(|file| format!(" {file}")).collect();
            script.push_str(&format!("apt-get {words}{files} </dev/null || exit\n"));
        }
        script.push_str(&self.after);
        let command = Command::shell(script.trim_end())
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("APT_LISTCHANGES_FRONTEND", "none")
            .env("APT_LISTBUGS_FRONTEND", "none")
            .env("UCF_FORCE_CONFFOLD", "1")
            .env("NEEDRESTART_SUSPEND", "1")
            .input(self.input.clone());
        if self.words.is_empty() {
            told.clone_from(&self.after);
        }
        let command = command.told(told);
        Run::new(command, [Touch::Packages, Touch::Anything])
    }

    pub(crate) fn refresh(mut self, refresh: Refresh) -> Self {
        self.before = format!("{}{}", refresh.script(), self.before);
        self
    }
}
