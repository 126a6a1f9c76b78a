//! `pkg.removed`, `pkg.purged`: packages that are not there
//!
//! ```yaml
//! unwanted:
//!   pkg.removed:
//!     - pkgs:
//!       - exim4-daemon-light
//!       - nginx
//! ```
//!
//! `pkg.removed` leaves configuration files; `pkg.purged` removes them too.

use kstate_core::question::{Answer, Package};
use kstate_core::{Change, Claim, Facts, Operation, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;

use super::version::Demand;
use super::{Apt, Packages, Refresh, claim};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The package, if `pkgs` is not given.
    name: String,
    /// Packages: names, or names with the version that is to go.
    pkgs: Option<Packages>,
    /// Only this version is removed.
    version: Option<String>,
    /// Whether an epoch counts when versions are compared.
    ignore_epoch: Option<bool>,
    /// Has no meaning here: names with an architecture are dpkg's.
    #[expect(dead_code, reason = "accepted because trees have it")]
    normalize: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Removed(Gone);

#[derive(Debug)]
pub(crate) struct Purged(Gone);

#[derive(Debug)]
struct Gone {
    unwanted: Vec<(String, Option<Demand>)>,
    ignore_epoch: Option<bool>,
    purge: bool,
}

impl State for Removed {
    const NAME: &'static str = "pkg.removed";
    const SOURCE: &'static str = include_str!("removed.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Gone::new(arguments, cx).map(|gone| Removed(Gone { purge: false, ..gone }))
    }
}

impl State for Purged {
    const NAME: &'static str = "pkg.purged";
    const SOURCE: &'static str = include_str!("removed.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Gone::new(arguments, cx).map(|gone| Purged(Gone { purge: true, ..gone }))
    }
}

impl Resource for Removed {
    fn questions(&self) -> Vec<Question> {
        self.0.questions()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.diff(facts)
    }

    fn claims(&self) -> Vec<Claim> {
        self.0.claims()
    }
}

impl Resource for Purged {
    fn questions(&self) -> Vec<Question> {
        self.0.questions()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.diff(facts)
    }

    fn claims(&self) -> Vec<Claim> {
        self.0.claims()
    }
}

impl Gone {
    fn new(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let Packages(packages) = arguments.pkgs.unwrap_or(Packages(vec![(arguments.name, None)]));
        let mut unwanted = Vec::new();
        for (name, version) in packages {
            let demand = version.or_else(|| arguments.version.clone()).map(|v| Demand::parse(&v)).transpose();
            unwanted.push((name, demand.map_err(|message| vec![cx.error("version", message)])?));
        }
        Ok(Gone { unwanted, ignore_epoch: arguments.ignore_epoch, purge: false })
    }

    fn questions(&self) -> Vec<Question> {
        self.unwanted.iter().map(|(name, _)| Question::Package(name.clone())).collect()
    }

    fn claims(&self) -> Vec<Claim> {
        // One version may go for another.
        let whole = self.unwanted.iter().filter(|(_, demand)| demand.is_none());
        whole.map(|(name, _)| claim(name, false)).collect()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let mut there = Vec::new();
        for (name, demand) in &self.unwanted {
            let Some(package) = facts.package(name)?.filter(|package| package.provided_by.is_none()) else {
                continue;
            };
            let is_meant = demand.as_ref().is_none_or(|d| d.allows(&package.version, self.ignore_epoch));
            if is_meant && package.installed && package.held {
                return Err(Stop::Failed(super::held(name, package)));
            }
            if is_meant && (package.installed || self.purge) {
                there.push((name, package));
            }
        }
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let change = |(name, package): &(&String, &Package)| {
            let left = if package.installed { "" } else { " (configuration)" };
            Change::new(format!("package {name}"), format!("{}{left}", package.version), Value::Null)
        };
        let changes: Vec<Change> = there.iter().map(change).collect();
        let verb = if self.purge { "purge" } else { "remove" };
        let words = std::iter::once(verb.to_owned()).chain(there.iter().map(|(name, _)| (*name).clone()));
        let apt = Apt { words: words.collect(), keep_old_configuration: true, ..Apt::default() };
        apt.check(Refresh::Never, facts)?;
        let mut run = apt.run();
        for (name, package) in there {
            let left = Some(Package { installed: false, held: false, ..package.clone() });
            let answer = Answer::Package(left.filter(|_| !self.purge));
            run = run.foretells(Question::Package(name.clone()), answer);
        }
        Ok(vec![Step::new(changes, Operation::Run(run))])
    }
}

#[cfg(test)]
mod tests {
    use super::super::installed::tests::{learn, package};
    use super::*;
    use crate::testing::{Tree, all_is_well, declare, settles};

    #[test]
    fn what_is_not_there_needs_nothing() {
        let mut facts = Facts::default();
        learn(&mut facts, "nginx", Some(Package { installed: false, ..package("1.22") }), None);
        assert_eq!(declare("nginx:\n  pkg.removed: []\n", &Tree::default()).diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn purging_takes_left_configuration_too() {
        let mut facts = Facts::default();
        learn(&mut facts, "nginx", Some(Package { installed: false, ..package("1.22") }), None);
        let resource = declare("nginx:\n  pkg.purged: []\n", &Tree::default());
        all_is_well(&*resource, &mut facts);
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(steps[0].changes[0].to_string(), "package nginx: 1.22 (configuration) -> absent");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn removes_all_by_one_run() {
        let mut facts = Facts::default();
        learn(&mut facts, "a", Some(package("1")), None);
        learn(&mut facts, "b", Some(package("1")), None);
        let resource = declare("x:\n  pkg.removed:\n    - pkgs: [a, b]\n", &Tree::default());
        all_is_well(&*resource, &mut facts);
        assert!(resource.diff(&facts).unwrap()[0].operation.job().unwrap().script.contains("remove a b"));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn another_version_stays() {
        let mut facts = Facts::default();
        learn(&mut facts, "a", Some(package("2.0")), None);
        let resource = declare("a:\n  pkg.removed:\n    - version: '1.0'\n", &Tree::default());
        assert_eq!(resource.diff(&facts), Ok(Vec::new()));
    }
}
