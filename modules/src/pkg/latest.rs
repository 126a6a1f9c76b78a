//! `pkg.latest`: packages at the newest version that is offered
//!
//! ```yaml
//! ca-certificates:
//!   pkg.latest: []
//! ```
//!
//! What is newest is told by the package lists of the host. Lists that are older than a day (or `cache_valid_time`) are
//! fetched again by `kstate apply`; `kstate diff` says that they are, as something to be done every time.

use kstate_core::question::{Answer, Candidate, Package};
use kstate_core::{
    Change, Claim, Command, Facts, Operation, Problem, Question, Resource, Step, Stop, Touch, Value,
};
use serde::Deserialize;

use super::{Apt, Packages, Refresh, claim};
use crate::kinds::yes;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The package, if `pkgs` is not given.
    name: String,
    /// Packages.
    pkgs: Option<Packages>,
    /// `False` never fetches the package lists, `True` does so at each run. Default: when they are old.
    refresh: Option<bool>,
    /// Seconds for which package lists are new enough. Default: 86400.
    cache_valid_time: Option<u32>,
    /// Installs what the packages recommend. Default: `True`.
    #[serde(default = "yes")]
    install_recommends: bool,
    /// The release to install from.
    fromrepo: Option<String>,
    /// Leaves packages alone that are not installed. Default: `False`.
    #[serde(default)]
    only_upgrade: bool,
    /// Installs what cannot be authenticated. Default: `False`.
    #[serde(default)]
    skip_verify: bool,
    /// Takes the package's configuration files in place of changed ones. Default: `False`.
    #[serde(default)]
    force_conf_new: bool,
}

#[derive(Debug)]
pub(crate) struct Latest {
    names: Vec<String>,
    /// Seconds for which lists are new enough. `None`: they are taken as they are.
    valid: Option<u32>,
    options: Vec<String>,
    only_upgrade: bool,
    keep_old_configuration: bool,
}

const DAY: u32 = 86400;

impl State for Latest {
    const NAME: &'static str = "pkg.latest";
    const SOURCE: &'static str = include_str!("latest.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let Packages(packages) = arguments.pkgs.unwrap_or(Packages(vec![(arguments.name, None)]));
        if let Some((name, _)) = packages.iter().find(|(_, version)| version.is_some()) {
            let problem = cx.error("pkgs", format!("`{name}` has a version, but the newest is asked for"));
            return Err(vec![problem.hint("use `pkg.installed` for it")]);
        }
        let mut options = Vec::new();
        let mut option = |given: bool, words: &[&str]| {
            if given {
                options.extend(words.iter().map(|word| (*word).to_owned()));
            }
        };
        option(!arguments.install_recommends, &["--no-install-recommends"]);
        option(arguments.skip_verify, &["--allow-unauthenticated"]);
        option(arguments.only_upgrade, &["--only-upgrade"]);
        if let Some(release) = &arguments.fromrepo {
            option(true, &["-t", release]);
        }
        Ok(Latest {
            names: packages.into_iter().map(|(name, _)| name).collect(),
            valid: match (arguments.refresh, arguments.cache_valid_time) {
                (Some(false), _) => None,
                (_, Some(seconds)) => Some(seconds),
                (Some(true), None) => Some(600),
                (None, None) => Some(DAY),
            },
            options,
            only_upgrade: arguments.only_upgrade,
            keep_old_configuration: !arguments.force_conf_new,
        })
    }
}

/// The seconds since the lists were fetched.
fn age() -> Command {
    Command::shell("echo $(($(date +%s) - $(stat -c %Y /var/lib/apt/lists)))").depends([Touch::Packages])
}

impl Resource for Latest {
    fn questions(&self) -> Vec<Question> {
        let of = |name: &String| [Question::Package(name.clone()), Question::Candidate(name.clone())];
        let mut questions: Vec<Question> = self.names.iter().flat_map(of).collect();
        if self.valid.is_some() {
            questions.push(Question::Run(Box::new(age())));
        }
        questions
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let mut due = Vec::new();
        for name in &self.names {
            let there = facts.package(name)?.filter(|package| package.installed);
            let offered = facts.candidate(name)?.and_then(|c| c.candidate.clone());
            match (there, offered) {
                (None, _) if self.only_upgrade => {}
                (None, offered) => due.push((name, None, offered)),
                (Some(there), Some(offered)) if there.held && there.version != offered => {
                    return Err(Stop::Failed(super::held(name, there)));
                }
                (Some(there), Some(offered)) if there.version != offered => {
                    due.push((name, Some(there.version.clone()), Some(offered)));
                }
                (Some(_), _) => {}
            }
        }
        let old = self.old_lists(facts)?;
        if due.is_empty() && old.is_none() {
            return Ok(Vec::new());
        }
        let mut changes: Vec<Change> = due
            .iter()
            .map(|(name, before, after)| {
                let before = before.as_deref().map_or(Value::Null, Value::from);
                Change::new(format!("package {name}"), before, after.as_deref().unwrap_or("installed"))
            })
            .collect();
        let doubt = if due.is_empty() { None } else { self.apt().check(self.refresh(&due), facts)? };
        let run = self.run(&due);
        if changes.is_empty() {
            let what = format!("package lists of {} ago are fetched, what is newer is installed", told(old));
            changes.push(Change::new(what, Value::Null, Value::Null));
            return Ok(vec![Step::always(changes, run)]);
        }
        Ok(vec![Step { doubt, ..Step::new(changes, run) }])
    }

    fn claims(&self) -> Vec<Claim> {
        self.names.iter().map(|name| claim(name, true)).collect()
    }
}

impl Latest {
    /// The age of lists that are too old.
    fn old_lists(&self, facts: &Facts) -> Result<Option<u64>, Stop> {
        let Some(valid) = self.valid else { return Ok(None) };
        let seconds: u64 = facts.run(&age())?.stdout.trim().parse().unwrap_or_default();
        Ok(Some(seconds).filter(|seconds| *seconds > valid.into()))
    }

    fn refresh(&self, due: &[(&String, Option<String>, Option<String>)]) -> Refresh {
        match self.valid {
            None => Refresh::Never,
            Some(seconds) if due.iter().any(|(.., offered)| offered.is_none()) => {
                Refresh::IfOlder(seconds.min(600))
            }
            Some(seconds) => Refresh::IfOlder(seconds),
        }
    }

    fn apt(&self) -> Apt {
        let words = std::iter::once("install".to_owned())
            .chain(self.options.iter().cloned())
            .chain(self.names.iter().cloned());
        Apt { words: words.collect(), keep_old_configuration: self.keep_old_configuration, ..Apt::default() }
    }

    fn run(&self, due: &[(&String, Option<String>, Option<String>)]) -> Operation {
        let mut run = self.apt().refresh(self.refresh(due)).run();
        for (name, _, offered) in due {
            let version = offered.clone().unwrap_or_default();
            let package =
                Package { version: version.clone(), installed: true, held: false, provided_by: None };
            let candidate = Candidate { installed: Some(version.clone()), candidate: Some(version) };
            run = run
                .foretells(Question::Package((*name).clone()), Answer::Package(Some(package)))
                .foretells(Question::Candidate((*name).clone()), Answer::Candidate(Some(candidate)));
        }
        let now = kstate_core::question::Ended { stdout: "0\n".into(), ..Default::default() };
        Operation::Run(run.foretells(Question::Run(Box::new(age())), Answer::Run(now)))
    }
}

fn told(age: Option<u64>) -> String {
    match age.unwrap_or_default() {
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::Ended;

    use super::super::installed::tests::{learn, package};
    use super::*;
    use crate::testing::{Tree, all_is_well, declare, settles};

    fn facts(there: Option<&str>, offered: &str, seconds: u32) -> Facts {
        let mut facts = Facts::default();
        learn(&mut facts, "redis", there.map(package), Some(offered));
        let ended = Ended { stdout: format!("{seconds}\n"), ..Ended::default() };
        facts.learn(Question::Run(Box::new(age())), Ok(Answer::Run(ended)));
        facts
    }

    const REDIS: &str = "redis:\n  pkg.latest: []\n";

    #[test]
    fn the_newest_version_needs_nothing() {
        let resource = declare(REDIS, &Tree::default());
        assert_eq!(resource.diff(&facts(Some("7.0"), "7.0", 60)), Ok(Vec::new()));
    }

    #[test]
    fn an_older_one_is_upgraded_and_settles() {
        let resource = declare(REDIS, &Tree::default());
        let mut facts = facts(Some("6.0"), "7.0", 60);
        all_is_well(&*resource, &mut facts);
        assert_eq!(resource.diff(&facts).unwrap()[0].changes[0].to_string(), "package redis: 6.0 -> 7.0");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn old_lists_are_not_drift() {
        let resource = declare(REDIS, &Tree::default());
        let mut facts = facts(Some("7.0"), "7.0", 200_000);
        let steps = resource.diff(&facts).unwrap();
        assert!(steps[0].always);
        assert!(steps[0].changes[0].subject.starts_with("package lists of 2 days ago"));
        settles(&*resource, &mut facts);
    }
}
