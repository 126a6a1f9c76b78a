//! `pkg.installed`: packages that are there, at any version or at one that is demanded
//!
//! ```yaml
//! tools:
//!   pkg.installed:
//!     - pkgs:
//!       - libpq-dev
//!       - redis: '>=7'
//! ```
//!
//! All packages of a state are installed by one run of apt. A name that another installed package provides counts as
//! installed. The package lists are fetched first if they have never been, are older than the sources, or do not offer
//! what is wanted.

use kstate_core::question::{Answer, Candidate, Package};
use kstate_core::words::{join, quote};
use kstate_core::{
    Change, Claim, Command, Content, Facts, Operation, Problem, Question, Resource, Step, Stop, Touch, Value,
};
use serde::Deserialize;

use super::version::{Demand, compare};
use super::{Apt, Packages, Refresh, claim};
use crate::kinds::yes;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The package, if `pkgs` and `sources` are not given.
    name: String,
    /// Packages: names, or names with the version that is demanded (`1.2`, `1.2*`, `'>=1.2,<2'`).
    pkgs: Option<Packages>,
    /// The version that is demanded of `name`; `latest` for the newest.
    version: Option<String>,
    /// Packages as files: `name: salt://path`, `name: https://…`, or `name: /path` on the host.
    sources: Option<Packages>,
    /// `True` fetches the package lists before something is installed, `False` never does. Default: if needed.
    refresh: Option<bool>,
    /// Seconds for which package lists are new enough.
    cache_valid_time: Option<u32>,
    /// Installs what the packages recommend. Default: `True`.
    #[serde(default = "yes")]
    install_recommends: bool,
    /// The release to install from, such as `bookworm-backports`.
    fromrepo: Option<String>,
    /// Keeps the packages from being upgraded; `False` ends that.
    hold: Option<bool>,
    /// Changes a package although it is held. Default: `False`.
    #[serde(default)]
    update_holds: bool,
    /// A newer version than the one that is demanded will do. Default: `False`.
    #[serde(default)]
    allow_updates: bool,
    /// Leaves packages alone that are not installed. Default: `False`.
    #[serde(default)]
    only_upgrade: bool,
    /// Installs what cannot be authenticated. Default: `False`.
    #[serde(default)]
    skip_verify: bool,
    /// Whether an epoch counts when versions are compared. Default: if the demand has one.
    ignore_epoch: Option<bool>,
    /// Takes the package's configuration files in place of changed ones. Default: `False`.
    #[serde(default)]
    force_conf_new: bool,
    /// Has no meaning here: names with an architecture are dpkg's.
    #[expect(dead_code, reason = "accepted because trees have it")]
    normalize: Option<bool>,
    /// Has no meaning here: names are looked up exactly.
    #[expect(dead_code, reason = "accepted because trees have it")]
    skip_suggestions: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Installed {
    wanted: Vec<Wanted>,
    refresh: Refresh,
    options: Vec<String>,
    hold: Option<bool>,
    update_holds: bool,
    allow_updates: bool,
    only_upgrade: bool,
    ignore_epoch: Option<bool>,
    keep_old_configuration: bool,
}

#[derive(Debug)]
struct Wanted {
    name: String,
    demand: Option<Demand>,
    /// `version: latest`.
    newest: bool,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    /// A path on the host.
    Path(String),
    Url(String),
}

impl State for Installed {
    const NAME: &'static str = "pkg.installed";
    const SOURCE: &'static str = include_str!("installed.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("reinstall", "it would run each time; reinstall by hand, or in a `cmd.run` with `onchanges`"),
        ("pkg_verify", "changed files of packages are not looked for; declare them by `file.managed`"),
        ("verify_options", "changed files of packages are not looked for"),
        ("debconf", "set the answers by a state before this one"),
        ("downloadonly", "nothing would be installed"),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let wanted = wanted(&arguments, cx, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut options = Vec::new();
        let mut option = |given: bool, words: &[&str]| {
            if given {
                options.extend(words.iter().map(|word| (*word).to_owned()));
            }
        };
        option(!arguments.install_recommends, &["--no-install-recommends"]);
        option(arguments.skip_verify, &["--allow-unauthenticated"]);
        option(arguments.update_holds, &["--allow-change-held-packages"]);
        option(arguments.only_upgrade, &["--only-upgrade"]);
        option(true, &["--allow-downgrades"]);
        if let Some(release) = &arguments.fromrepo {
            option(true, &["-t", release]);
        }
        Ok(Installed {
            wanted,
            refresh: Refresh::of(arguments.refresh, arguments.cache_valid_time),
            options,
            hold: arguments.hold,
            update_holds: arguments.update_holds,
            allow_updates: arguments.allow_updates,
            only_upgrade: arguments.only_upgrade,
            ignore_epoch: arguments.ignore_epoch,
            keep_old_configuration: !arguments.force_conf_new,
        })
    }
}

fn wanted(arguments: &Arguments, cx: &Context<'_>, problems: &mut Vec<Problem>) -> Vec<Wanted> {
    if let (Some(_), Some(_)) = (&arguments.pkgs, &arguments.sources) {
        problems.push(cx.error("sources", "`pkgs` and `sources` cannot be given together"));
    }
    if let Some(Packages(sources)) = &arguments.sources {
        let mut wanted = Vec::new();
        for (name, source) in sources {
            let source = match source.as_deref() {
                Some(url) if url.starts_with("salt://") => match cx.read("sources", url) {
                    Ok(bytes) => Source::Bytes(bytes),
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                },
                Some(path) if path.starts_with('/') => Source::Path(path.to_owned()),
                Some(url) if ["http://", "https://", "ftp://"].iter().any(|s| url.starts_with(s)) => {
                    Source::Url(url.to_owned())
                }
                _ => {
                    let message = format!("`{name}` has no source that can be read");
                    problems
                        .push(cx.error("sources", message).hint(format!(
                            "write `- {name}: salt://path`, an address or a path on the host"
                        )));
                    continue;
                }
            };
            wanted.push(Wanted { name: name.clone(), demand: None, newest: false, source: Some(source) });
        }
        return wanted;
    }
    let packages = match &arguments.pkgs {
        Some(Packages(packages)) => packages.clone(),
        None => vec![(arguments.name.clone(), None)],
    };
    let argument = if arguments.pkgs.is_some() { "pkgs" } else { "version" };
    packages
        .into_iter()
        .map(|(name, version)| {
            let version = version.or_else(|| arguments.version.clone());
            let newest = version.as_deref() == Some("latest");
            let demand = version.filter(|_| !newest).and_then(|version| {
                Demand::parse(&version)
                    .map_err(|message| problems.push(cx.error(argument, format!("`{name}`: {message}"))))
                    .ok()
            });
            Wanted { name, demand, newest, source: None }
        })
        .collect()
}

/// What is to be done about one package.
struct Due<'a> {
    wanted: &'a Wanted,
    /// The version that is there.
    before: Option<String>,
    /// The word for apt: `redis`, `redis=7.0`. `None`: a file.
    word: Option<String>,
    /// The version that is expected.
    after: Option<String>,
    is_held: bool,
}

impl Resource for Installed {
    fn questions(&self) -> Vec<Question> {
        self.wanted.iter().map(|wanted| Question::Package(wanted.name.clone())).collect()
    }

    fn contents(&self) -> Vec<Content> {
        let content = |wanted: &Wanted| match &wanted.source {
            Some(Source::Bytes(bytes)) => {
                Some(Content::new(format!("package {}", wanted.name), wanted.name.as_str(), bytes.as_slice()))
            }
            _ => None,
        };
        self.wanted.iter().filter_map(content).collect()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let mut open = Vec::new();
        for wanted in &self.wanted {
            if !self.is_met(wanted, facts.package(&wanted.name)?)? {
                open.push(wanted);
            }
        }
        let asked = open.iter().filter(|wanted| wanted.source.is_none());
        facts.need(asked.map(|wanted| Question::Candidate(wanted.name.clone())))?;
        let mut due = Vec::new();
        for wanted in open {
            due.extend(self.due(wanted, facts)?);
        }
        let holds = self.holds(facts, &due)?;
        if due.is_empty() && holds.is_empty() {
            return Ok(Vec::new());
        }
        let mut kept = Vec::new();
        for name in &holds {
            kept.extend(facts.package(name)?.map(|package| (*name, package)));
        }
        let mut step = self.step(&due, &holds, &kept);
        step.doubt = self.apt(&due, &holds).check(self.refresh_for(&due), facts)?;
        Ok(vec![step])
    }

    fn claims(&self) -> Vec<Claim> {
        self.wanted.iter().map(|wanted| claim(&wanted.name, true)).collect()
    }
}

impl Installed {
    fn is_met(&self, wanted: &Wanted, there: Option<&Package>) -> Result<bool, Stop> {
        let Some(package) = there.filter(|package| package.installed) else {
            return Ok(self.only_upgrade);
        };
        let Some(demand) = &wanted.demand else { return Ok(!wanted.newest) };
        let is_newer = || {
            demand.exact().is_some_and(|version| compare(&package.version, version).is_gt())
                && self.allow_updates
        };
        if demand.allows(&package.version, self.ignore_epoch) || is_newer() {
            return Ok(true);
        }
        match &package.provided_by {
            Some(provider) => Err(Stop::Failed(format!(
                "`{}` is provided by `{provider}`, which has no version that could be compared",
                wanted.name
            ))),
            None => Ok(false),
        }
    }

    fn due<'a>(&self, wanted: &'a Wanted, facts: &Facts) -> Result<Option<Due<'a>>, Stop> {
        let package = facts.package(&wanted.name)?.filter(|package| package.installed);
        let before = package.map(|package| package.version.clone());
        if wanted.source.is_some() {
            return Ok(Some(Due { wanted, before, word: None, after: None, is_held: false }));
        }
        let candidate =
            facts.candidate(&wanted.name)?.and_then(|Candidate { candidate, .. }| candidate.clone());
        if wanted.newest && before.is_some() && (before == candidate || candidate.is_none()) {
            return Ok(None);
        }
        if let Some(held) = package.filter(|package| package.held && !self.update_holds) {
            return Err(Stop::Failed(format!(
                "`{}` is held at {}; `update_holds: True` would change it",
                wanted.name, held.version
            )));
        }
        let (word, after) = match (&wanted.demand, &candidate) {
            (None, _) => (wanted.name.clone(), candidate),
            (Some(demand), Some(offered)) if demand.allows(offered, self.ignore_epoch) => {
                (format!("{}={offered}", wanted.name), candidate)
            }
            (Some(demand), _) => self.older(wanted, demand, facts)?,
        };
        let is_held = package.is_some_and(|package| package.held);
        Ok(Some(Due { wanted, before, word: Some(word), after, is_held }))
    }

    /// The newest version that is allowed, where the one that apt would take is not. Where there is none, apt is asked
    /// for the demand as it is, and says what it thinks of it.
    fn older(
        &self,
        wanted: &Wanted,
        demand: &Demand,
        facts: &Facts,
    ) -> Result<(String, Option<String>), Stop> {
        let offered = facts.run(&offers(&wanted.name))?;
        let mut versions: Vec<&str> =
            offered.stdout.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
        versions.sort_by(|a, b| compare(a, b));
        versions.dedup();
        if let Some(version) = versions.iter().rev().find(|version| demand.allows(version, self.ignore_epoch))
        {
            return Ok((format!("{}={version}", wanted.name), Some((*version).to_owned())));
        }
        match demand.exact() {
            Some(version) => Ok((format!("{}={version}", wanted.name), None)),
            None if versions.is_empty() => Ok((wanted.name.clone(), None)),
            None => Err(Stop::Failed(format!(
                "no version of `{}` is offered that would do; there is {}",
                wanted.name,
                versions.join(", ")
            ))),
        }
    }

    /// The packages whose hold has to change.
    fn holds(&self, facts: &Facts, due: &[Due<'_>]) -> Result<Vec<&str>, Stop> {
        let Some(hold) = self.hold else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for wanted in &self.wanted {
            let there = facts.package(&wanted.name)?.filter(|package| package.installed);
            let is_held = there.is_some_and(|package| package.held);
            if let Some(provider) = there.and_then(|package| package.provided_by.as_ref()) {
                let name = &wanted.name;
                return Err(Stop::Failed(format!(
                    "`{name}` is provided by `{provider}`; name that one to hold it"
                )));
            }
            let will_be_there = there.is_some() || due.iter().any(|due| due.wanted.name == wanted.name);
            if will_be_there && is_held != hold {
                names.push(wanted.name.as_str());
            }
        }
        Ok(names)
    }

    /// `kept` are packages that are there, and only get a hold or lose it.
    fn step(&self, due: &[Due<'_>], holds: &[&str], kept: &[(&str, &Package)]) -> Step {
        let mut changes: Vec<Change> = due
            .iter()
            .map(|due| {
                let before = due.before.as_deref().map_or(Value::Null, Value::from);
                let after = due.after.as_deref().unwrap_or("installed");
                Change::new(format!("package {}", due.wanted.name), before, after)
            })
            .collect();
        let held = self.hold == Some(true);
        let will_be_held = |due: &Due<'_>| self.hold.unwrap_or(due.is_held);
        changes.extend(holds.iter().map(|name| Change::new(format!("hold of package {name}"), !held, held)));
        let mut run = self.apt(due, holds).run();
        for (name, package) in kept {
            let package = Package { held, ..(*package).clone() };
            run = run.foretells(Question::Package((*name).to_owned()), Answer::Package(Some(package)));
        }
        for due in due {
            let package = Package {
                version: due.after.clone().unwrap_or_default(),
                installed: true,
                held: will_be_held(due),
                provided_by: None,
            };
            // What a file or new lists bring has a version that nobody can tell yet; it will do.
            if due.after.is_some() || due.wanted.demand.is_none() {
                run =
                    run.foretells(Question::Package(due.wanted.name.clone()), Answer::Package(Some(package)));
            }
            if let Some(after) = &due.after {
                let candidate = Candidate { installed: Some(after.clone()), candidate: Some(after.clone()) };
                run = run.foretells(
                    Question::Candidate(due.wanted.name.clone()),
                    Answer::Candidate(Some(candidate)),
                );
            }
        }
        Step::new(changes, Operation::Run(run))
    }

    /// When the package lists are fetched before.
    fn refresh_for(&self, due: &[Due<'_>]) -> Refresh {
        let is_missing = |due: &Due<'_>| due.after.is_none() && due.wanted.source.is_none();
        if due.iter().any(is_missing) { self.refresh.for_missing() } else { self.refresh }
    }

    fn apt(&self, due: &[Due<'_>], holds: &[&str]) -> Apt {
        let mut apt = Apt { keep_old_configuration: self.keep_old_configuration, ..Apt::default() };
        let files: Vec<&Wanted> =
            due.iter().map(|due| due.wanted).filter(|wanted| wanted.source.is_some()).collect();
        if !files.is_empty() {
            apt.before
                .push_str("d=$(mktemp -d) && chmod 755 \"$d\" || exit 1\ntrap 'rm -rf -- \"$d\"' EXIT\n");
            for wanted in files {
                apt.before.push_str(&fetch(wanted));
                if let Some(Source::Bytes(bytes)) = &wanted.source {
                    apt.input.extend_from_slice(bytes);
                }
            }
        }
        if !due.is_empty() {
            apt.words.push("install".into());
            apt.words.extend(self.options.iter().cloned());
        }
        // apt ends the hold of what it changes.
        let again = due.iter().filter(|due| due.is_held && self.hold != Some(false));
        let again: Vec<&str> = again.map(|due| due.wanted.name.as_str()).collect();
        match self.hold {
            Some(false) if !holds.is_empty() => apt.after = format!("apt-mark unhold -- {}", join(holds)),
            Some(false) => {}
            _ if holds.is_empty() && again.is_empty() => {}
            _ => apt.after = format!("apt-mark hold -- {}", join(holds.iter().chain(&again))),
        }
        for due in due {
            match &due.word {
                Some(word) => apt.words.push(word.clone()),
                None => apt.files.push(file(due.wanted)),
            }
        }
        if due.is_empty() { apt } else { apt.refresh(self.refresh_for(due)) }
    }
}

/// The versions of a package that are offered.
fn offers(name: &str) -> Command {
    Command::words(["apt-cache", "madison", "--", name]).depends([Touch::Packages])
}

/// Where a package file lies on the host, as a shell word.
fn file(wanted: &Wanted) -> String {
    format!("\"$d\"/{}", quote(&format!("{}.deb", wanted.name)))
}

/// Puts a package file into the folder `$d`.
fn fetch(wanted: &Wanted) -> String {
    let file = file(wanted);
    match &wanted.source {
        Some(Source::Bytes(bytes)) => format!("head -c {} >{file} || exit 1\n", bytes.len()),
        Some(Source::Path(path)) => format!("cp -- {} {file} || exit 1\n", quote(path)),
        Some(Source::Url(url)) => {
            format!("/usr/lib/apt/apt-helper download-file {} {file} || exit 1\n", quote(url))
        }
        None => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use kstate_core::question::Ended;

    use super::*;
    use crate::testing::{Tree, all_is_well, declare, declare_error, settles};

    pub(in crate::pkg) fn package(version: &str) -> Package {
        Package { version: version.into(), installed: true, held: false, provided_by: None }
    }

    pub(in crate::pkg) fn learn(
        facts: &mut Facts,
        name: &str,
        there: Option<Package>,
        offered: Option<&str>,
    ) {
        let installed = there.as_ref().map(|p| p.version.clone());
        let candidate = offered.map(|offered| Candidate { installed, candidate: Some(offered.into()) });
        facts.learn(Question::Package(name.into()), Ok(Answer::Package(there)));
        facts.learn(Question::Candidate(name.into()), Ok(Answer::Candidate(candidate)));
    }

    fn script(steps: &[Step]) -> String {
        steps[0].operation.job().unwrap().script
    }

    const TWO: &str = "tools:\n  pkg.installed:\n    - pkgs:\n      - cron\n      - redis: '>=7'\n";

    #[test]
    fn installed_packages_need_nothing() {
        let mut facts = Facts::default();
        learn(&mut facts, "cron", Some(package("3.0")), None);
        learn(&mut facts, "redis", Some(package("7.0.15-1")), None);
        assert_eq!(declare(TWO, &Tree::default()).diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn one_run_of_apt_installs_all_that_is_missing_and_settles() {
        let mut facts = Facts::default();
        learn(&mut facts, "cron", None, Some("3.0"));
        learn(&mut facts, "redis", Some(package("6.0")), Some("7.0"));
        let resource = declare(TWO, &Tree::default());
        all_is_well(&*resource, &mut facts);
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(steps.len(), 1);
        let told: Vec<String> = steps[0].changes.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["package cron: 3.0", "package redis: 6.0 -> 7.0"]);
        assert!(script(&steps).contains("install --allow-downgrades cron redis=7.0"), "{}", script(&steps));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_provided_name_counts_as_installed() {
        let mut facts = Facts::default();
        let provided = Package { provided_by: Some("postfix".into()), ..package("3.7") };
        learn(&mut facts, "mail-transport-agent", Some(provided), None);
        let text = "mail-transport-agent:\n  pkg.installed: []\n";
        assert_eq!(declare(text, &Tree::default()).diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn lists_are_fetched_for_what_they_do_not_offer() {
        let mut facts = Facts::default();
        learn(&mut facts, "redis", None, None);
        let resource = declare("redis:\n  pkg.installed: []\n", &Tree::default());
        all_is_well(&*resource, &mut facts);
        assert!(script(&resource.diff(&facts).unwrap()).contains("-gt 600"));
        settles(&*resource, &mut facts);
        learn(&mut facts, "redis", None, Some("7.0"));
        all_is_well(&*resource, &mut facts);
        assert!(!script(&resource.diff(&facts).unwrap()).contains("-gt"));
        let never = "redis:\n  pkg.installed:\n    - refresh: False\n";
        let resource = declare(never, &Tree::default());
        all_is_well(&*resource, &mut facts);
        assert!(!script(&resource.diff(&facts).unwrap()).contains("update"));
    }

    #[test]
    fn a_held_package_stays_unless_told_otherwise() {
        let text = "redis:\n  pkg.installed:\n    - version: '7.0'\n";
        let mut facts = Facts::default();
        learn(&mut facts, "redis", Some(Package { held: true, ..package("6.0") }), Some("7.0"));
        let stop = declare(text, &Tree::default()).diff(&facts);
        assert_eq!(
            stop,
            Err(Stop::Failed("`redis` is held at 6.0; `update_holds: True` would change it".into()))
        );
        let text = format!("{text}    - update_holds: True\n    - hold: False\n");
        let resource = declare(&text, &Tree::default());
        all_is_well(&*resource, &mut facts);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_hold_outlives_the_change_of_its_package() {
        let after = |more: &str| {
            let text =
                format!("redis:\n  pkg.installed:\n    - version: '7.0'\n    - update_holds: True\n{more}");
            let mut facts = Facts::default();
            learn(&mut facts, "redis", Some(Package { held: true, ..package("6.0") }), Some("7.0"));
            let resource = declare(&text, &Tree::default());
            all_is_well(&*resource, &mut facts);
            let script = script(&resource.diff(&facts).unwrap());
            settles(&*resource, &mut facts);
            (script.contains("apt-mark hold -- redis"), facts.package("redis").unwrap().unwrap().held)
        };
        assert_eq!(after(""), (true, true));
        assert_eq!(after("    - hold: True\n"), (true, true));
        assert_eq!(after("    - hold: False\n"), (false, false));
    }

    #[test]
    fn what_apt_would_refuse_is_told_before() {
        let said = |age: u32| {
            let mut facts = Facts::default();
            learn(&mut facts, "redis", None, None);
            let resource = declare("redis:\n  pkg.installed: []\n", &Tree::default());
            let Err(Stop::Ask(questions)) = resource.diff(&facts) else { panic!() };
            let stdout = format!("lists {age} no\nE: Unable to locate package redis\n");
            let ended = Ended { status: 1, stdout, ..Ended::default() };
            facts.learn(questions[0].clone(), Ok(Answer::Run(ended)));
            resource.diff(&facts)
        };
        assert_eq!(said(60), Err(Stop::Failed("apt cannot do it: Unable to locate package redis".into())));
        let doubt = said(601).unwrap()[0].doubt.clone().unwrap();
        assert!(doubt.contains("fetches newer ones first (Unable to locate package redis)"), "{doubt}");
    }

    #[test]
    fn a_version_that_is_not_the_newest_is_the_newest_that_is_allowed() {
        let mut facts = Facts::default();
        learn(&mut facts, "redis", None, Some("7.0"));
        let stdout = "redis | 7.0 | x\nredis | 6.2 | x\nredis | 6.0 | x\n".to_owned();
        let ended = Ended { stdout, ..Ended::default() };
        facts.learn(Question::Run(Box::new(offers("redis"))), Ok(Answer::Run(ended)));
        let resource = declare("redis:\n  pkg.installed:\n    - version: '6.*'\n", &Tree::default());
        all_is_well(&*resource, &mut facts);
        assert!(script(&resource.diff(&facts).unwrap()).contains("redis=6.2"));
    }

    #[test]
    fn a_package_file_travels_with_the_command() {
        let tree = Tree { files: [("salt://a.deb", &b"deb!"[..])].into(), ..Tree::default() };
        let text = "a:\n  pkg.installed:\n    - sources:\n      - a: salt://a.deb\n";
        let mut facts = Facts::default();
        learn(&mut facts, "a", None, None);
        let resource = declare(text, &tree);
        let job = resource.diff(&facts).unwrap()[0].operation.job().unwrap();
        assert_eq!(job.input, b"deb!");
        assert!(job.script.contains("head -c 4"), "{}", job.script);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_version_that_is_none_is_told_with_its_line() {
        let text = "redis:\n  pkg.installed:\n    - version: '>= '\n";
        assert_eq!(
            declare_error(text, &Tree::default()),
            "a.sls:3: pkg.installed: `version`: `redis`: `>= ` is not a version, nor a comparison with one"
        );
    }
}
