//! `pip.installed`: Python packages that are there
//!
//! ```yaml
//! tools:
//!   pip.installed:
//!     - pkgs:
//!       - flatten-tool
//!       - 'requests>=2.28'
//!     - bin_env: /home/ocdskfp/.local
//!     - user: ocdskfp
//! ```
//!
//! What is there is compared with the requirements by the Python that they are for, without pip and without the
//! network. With `upgrade: True` pip is asked what it would upgrade. Debian and Ubuntu keep pip out of their own Python
//! (PEP 668): name a virtual environment in `bin_env`.

use kstate_core::question::{Answer, Ended};
use kstate_core::{
    Change, Content, Facts, Operation, Problem, Question, Resource, Run, Step, Stop, Touch, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Missing, Options, Python, Seen, Wanted, environment, requirements};
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The requirement, if neither `pkgs` nor `requirements` nor `editable` is given: `flask`, `flask>=3`.
    name: String,
    /// Requirements.
    pkgs: Option<Texts>,
    /// A file of requirements: a path on the host, or `salt://path`.
    requirements: Option<String>,
    /// Directories or addresses to install as they are worked on.
    editable: Option<Texts>,
    /// The virtual environment, or its `pip`. Default: the Python of the system.
    bin_env: Option<String>,
    /// An older name of `bin_env`.
    pip_bin: Option<String>,
    /// The user to run pip as. Default: root.
    user: Option<String>,
    /// The directory to run pip in. Default: the user's home.
    cwd: Option<String>,
    /// Upgrades to what is newest. Default: `False`.
    #[serde(default)]
    upgrade: bool,
    /// Installs into this directory.
    target: Option<String>,
    /// Does not install what the packages depend on. Default: `False`.
    #[serde(default)]
    no_deps: bool,
    /// Takes versions before their release as well. Default: `False`.
    #[serde(default)]
    pre_releases: bool,
    /// The package index.
    index_url: Option<String>,
    /// Further package indexes.
    extra_index_url: Option<Texts>,
    /// Places with links to packages.
    find_links: Option<Texts>,
    /// Uses no package index. Default: `False`.
    #[serde(default)]
    no_index: bool,
    /// Hosts that are trusted without a certificate.
    trusted_host: Option<Texts>,
    /// A file of certificates.
    cert: Option<String>,
    /// The proxy to fetch through.
    proxy: Option<String>,
    /// Seconds to wait for an answer.
    timeout: Option<u32>,
    /// Packages to build from their sources.
    no_binary: Option<Texts>,
    /// Environment variables: a mapping.
    #[expect(dead_code, reason = "read from the chunk, which keeps the order")]
    env_vars: Option<IgnoredAny>,
    /// Does not keep what was fetched. Default: `False`.
    #[serde(default)]
    no_cache_dir: bool,
    /// Where to keep what was fetched.
    cache_dir: Option<String>,
    /// What to do where a path is there already: `s`, `i`, `w`, `b` or `a`.
    exists_action: Option<String>,
    /// Where to check sources out.
    source: Option<String>,
    /// Options for the builds of packages.
    global_options: Option<Texts>,
    /// Further options of `pip install`.
    extra_args: Option<Texts>,
    /// Where pip writes what it does.
    log: Option<String>,
    /// Has no meaning here: pip uses wheels.
    #[expect(dead_code, reason = "accepted because trees have it")]
    use_wheel: Option<bool>,
    /// Has no meaning here: there is no terminal.
    #[expect(dead_code, reason = "accepted because trees have it")]
    use_vt: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Installed(Wanted);

/// Options that pip has given up.
const GONE: &str = "pip has no such option any more";

impl State for Installed {
    const NAME: &'static str = "pip.installed";
    const SOURCE: &'static str = include_str!("installed.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("force_reinstall", "it would run each time; reinstall by hand, or in a `cmd.run` with `onchanges`"),
        ("ignore_installed", "it would run each time"),
        ("install_options", GONE),
        ("no_use_wheel", "say `no_binary: ':all:'`"),
        ("repo", "write `git+https://…` as the requirement"),
        ("mirrors", GONE),
        ("build", GONE),
        ("download", "nothing would be installed"),
        ("download_cache", "use `cache_dir`"),
        ("no_install", GONE),
        ("no_download", GONE),
        ("allow_all_external", GONE),
        ("allow_external", GONE),
        ("allow_unverified", GONE),
        ("process_dependency_links", GONE),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let a = arguments;
        let requirements =
            a.requirements.as_deref().map(|url| requirements(url, cx)).transpose().map_err(|p| vec![p])?;
        let Texts(editable) = a.editable.unwrap_or_default();
        let packages = match a.pkgs {
            Some(Texts(packages)) => packages,
            None if requirements.is_some() || !editable.is_empty() => Vec::new(),
            None => vec![a.name],
        };
        if let Some(option) = packages.iter().find(|package| package.starts_with('-')) {
            return Err(vec![cx.error("pkgs", format!("`{option}` is an option and not a package"))]);
        }
        let mut options = Options::default();
        options.flag(a.pre_releases, "--pre");
        options.value(a.index_url.as_deref(), "--index-url");
        options.values(a.extra_index_url.as_ref(), "--extra-index-url");
        options.values(a.find_links.as_ref(), "--find-links");
        options.flag(a.no_index, "--no-index");
        options.values(a.trusted_host.as_ref(), "--trusted-host");
        options.value(a.cert.as_deref(), "--cert");
        options.value(a.proxy.as_deref(), "--proxy");
        options.value(a.timeout.map(|seconds| seconds.to_string()).as_deref(), "--timeout");
        options.values(a.no_binary.as_ref(), "--no-binary");
        options.flag(a.no_cache_dir, "--no-cache-dir");
        options.value(a.cache_dir.as_deref(), "--cache-dir");
        options.value(a.exists_action.as_deref(), "--exists-action");
        options.value(a.source.as_deref(), "--src");
        options.values(a.global_options.as_ref(), "--global-option");
        options.value(a.log.as_deref(), "--log");
        let Texts(extra) = a.extra_args.unwrap_or_default();
        options.0.extend(extra);
        Ok(Installed(Wanted {
            maker: None,
            python: a.bin_env.or(a.pip_bin).map_or(Python::System, Python::Environment),
            user: a.user,
            dir: a.cwd,
            env: environment(cx),
            requirements,
            packages,
            editable,
            target: a.target,
            no_deps: a.no_deps,
            upgrade: a.upgrade,
            options: options.0,
        }))
    }
}

impl Resource for Installed {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Run(Box::new(self.0.look(&[])))]
    }

    fn contents(&self) -> Vec<Content> {
        self.0.contents()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let (look, seen) = self.0.see(facts)?;
        if seen.settled {
            return Ok(Vec::new());
        }
        let mut always = false;
        let mut changes: Vec<Change> = seen.missing.iter().map(Missing::change).collect();
        if seen.absent || seen.blind {
            self.check(&seen, facts)?;
            changes = self.all();
        } else if seen.needs_pip() {
            self.check(&seen, facts)?;
        } else if self.0.upgrade && changes.is_empty() && !seen.managed {
            match self.0.upgrades(facts)? {
                Some(newer) => changes = newer.iter().map(Missing::change).collect(),
                None => {
                    changes = vec![Change::new(
                        "Python packages",
                        Value::Null,
                        "upgraded, if there are newer ones",
                    )];
                    always = true;
                }
            }
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.refuse(&seen)?;
        let settled = Ended { stdout: "settled\n".into(), ..Ended::default() };
        let mut command = self.0.command(self.0.install());
        command.input = look.input.clone();
        let run = Run::new(command, self.0.touches())
            .foretells(Question::Run(Box::new(self.0.look(&[]))), Answer::Run(settled));
        Ok(vec![Step { always, ..Step::new(changes, Operation::Run(run)) }])
    }
}

impl Installed {
    /// Fails if there is no Python or no pip, and nothing comes that may bring it.
    fn check(&self, seen: &Seen, facts: &Facts) -> Result<(), Stop> {
        if seen.no_user || facts.may_bring(&Touch::Packages) {
            return Ok(());
        }
        let reason = match &self.0.python {
            Python::System if seen.absent => {
                "there is no Python on the host; install `python3` first".to_owned()
            }
            Python::System => "there is no pip on the host; install `python3-pip` first".to_owned(),
            Python::Environment(path) if seen.absent => {
                let python = format!("{}/bin/python", path.trim_end_matches('/'));
                if facts.path(&python)?.is_some_and(|info| info.followed().is_some()) {
                    return Ok(());
                }
                format!("there is no virtual environment `{path}`; make it first by `virtualenv.managed`")
            }
            Python::Environment(path) => format!("there is no pip in `{path}`"),
        };
        Err(Stop::Failed(reason))
    }

    /// What is wanted, where nobody can say what is there.
    fn all(&self) -> Vec<Change> {
        let mut names: Vec<String> = self.0.packages.iter().chain(&self.0.editable).cloned().collect();
        match &self.0.requirements {
            Some(super::Requirements::Path(path)) => names.push(format!("of {path}")),
            Some(super::Requirements::Text(_)) => names.push("of the requirements".into()),
            None => {}
        }
        names
            .into_iter()
            .map(|name| Change::new(format!("Python packages {name}"), Value::Null, "installed"))
            .collect()
    }

    fn refuse(&self, seen: &Seen) -> Result<(), Stop> {
        let names: Vec<&str> = seen.missing.iter().map(|missing| missing.name.as_str()).collect();
        if seen.managed {
            return Err(Stop::Failed(format!(
                "the distribution keeps pip out of its own Python (PEP 668), so {} cannot be installed there; name a virtual environment in `bin_env`, or install by `pkg.installed`",
                names.join(", ")
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles, stands};

    const TOOLS: &str = "tools:\n  pip.installed:\n    - pkgs: [flatten-tool, 'requests>=2']\n    - bin_env: /srv/ve\n    - user: ann\n";

    fn facts(resource: &dyn Resource, stdout: &str) -> Facts {
        let mut facts = Facts::default();
        let ended = Ended { stdout: stdout.into(), ..Ended::default() };
        facts.learn(resource.questions()[0].clone(), Ok(Answer::Run(ended)));
        facts
    }

    #[test]
    fn what_is_met_needs_nothing() {
        let resource = declare(TOOLS, &Tree::default());
        assert_eq!(resource.diff(&facts(&*resource, "python\t3.11.2\n")), Ok(Vec::new()));
    }

    #[test]
    fn names_what_is_missing_or_too_old_and_settles() {
        let resource = declare(TOOLS, &Tree::default());
        let said = "missing\tflatten-tool\t\t\nmissing\trequests\t>=2\t1.2\npython\t3.11.2\n";
        let mut facts = facts(&*resource, said);
        let steps = resource.diff(&facts).unwrap();
        let told: Vec<String> = steps[0].changes.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["Python package flatten-tool: installed", "Python package requests: 1.2 -> >=2"]);
        let job = steps[0].operation.job().unwrap();
        assert_eq!(job.user.as_deref(), Some("ann"));
        assert!(job.script.contains("--no-input"), "{}", job.script);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn an_environment_that_is_yet_to_be_made_is_no_failure() {
        let resource = declare(TOOLS, &Tree::default());
        let mut facts = facts(&*resource, "absent\n");
        let python = Question::Path("/srv/ve/bin/python".into());
        facts.learn(python, Ok(Answer::Path(None)));
        let Err(Stop::Failed(why)) = resource.diff(&facts) else { panic!() };
        assert!(why.starts_with("there is no virtual environment `/srv/ve`"), "{why}");
        stands(&mut facts, "/srv/ve/bin/python", kstate_core::question::PathKind::File, 0o755, "ann");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn without_pip_it_fails_unless_packages_come() {
        let resource = declare("flask:\n  pip.installed: []\n", &Tree::default());
        let mut facts = facts(&*resource, "blind\nnopip\n");
        assert!(matches!(resource.diff(&facts), Err(Stop::Failed(why)) if why.contains("python3-pip")));
        let package = Run::new(kstate_core::Command::words(["apt-get"]), [Touch::Packages]);
        facts.predict(&package.into(), "python3-pip");
        facts.learn(
            resource.questions()[0].clone(),
            Ok(Answer::Run(Ended { stdout: "blind\nnopip\n".into(), ..Ended::default() })),
        );
        assert!(resource.diff(&facts).is_ok() || matches!(resource.diff(&facts), Err(Stop::Unknown(_))));
    }

    #[test]
    fn what_pip_would_refuse_is_told_before() {
        let resource = declare(TOOLS, &Tree::default());
        for (said, why) in [
            ("invalid\tfoo bar\n", "`foo bar` is not a requirement that pip understands"),
            ("nopath\t/srv/x\n", "`/srv/x`, which is to be installed, is not there"),
        ] {
            let facts = facts(&*resource, &format!("{said}python\t3.11.2\n"));
            assert_eq!(resource.diff(&facts), Err(Stop::Failed(why.into())));
        }
    }

    #[test]
    fn says_that_the_distribution_keeps_pip_out() {
        let resource = declare("flask:\n  pip.installed: []\n", &Tree::default());
        let said = "missing\tflask\t\t\nmanaged\t/usr/lib/python3.11\npython\t3.11.2\n";
        let Err(Stop::Failed(reason)) = resource.diff(&facts(&*resource, said)) else { panic!() };
        assert!(reason.contains("PEP 668"), "{reason}");
        let met = facts(&*resource, "managed\t/usr/lib/python3.11\npython\t3.11.2\n");
        assert_eq!(resource.diff(&met), Ok(Vec::new()));
    }

    #[test]
    fn files_of_the_tree_travel_with_what_they_include() {
        let tree = Tree {
            files: [("salt://a/r.txt", &b"-r base.txt\nflask\n"[..]), ("salt://a/base.txt", &b"six\n"[..])]
                .into(),
            ..Tree::default()
        };
        let text = "tools:\n  pip.installed:\n    - requirements: salt://a/r.txt\n";
        let Question::Run(look) = &declare(text, &tree).questions()[0] else { panic!() };
        assert_eq!(look.input, b"six\n\nflask\n");
    }

    #[test]
    fn included_files_are_part_of_what_the_answer_depends_on() {
        let text = "x:\n  pip.installed:\n    - requirements: /srv/r.txt\n    - bin_env: /srv/ve\n";
        let resource = declare(text, &Tree::default());
        let first = facts(&*resource, "reads\t/srv/base.txt\npython\t3.11.2\n");
        let Err(Stop::Ask(questions)) = resource.diff(&first) else { panic!() };
        let touched = kstate_core::Touch::Path("/srv/base.txt".into());
        assert!(questions[0].is_touched_by(&touched));
        assert!(!resource.questions()[0].is_touched_by(&touched));
    }

    #[test]
    fn what_pip_would_upgrade_is_asked_of_pip() {
        let text = "flask:\n  pip.installed:\n    - upgrade: True\n    - bin_env: /srv/ve\n";
        let resource = declare(text, &Tree::default());
        let mut facts = facts(&*resource, "python\t3.11.2\n");
        let Err(Stop::Ask(questions)) = resource.diff(&facts) else { panic!() };
        let ended = Ended { stdout: "missing\tflask\t3.1\t\n".into(), ..Ended::default() };
        facts.learn(questions[0].clone(), Ok(Answer::Run(ended)));
        assert_eq!(resource.diff(&facts).unwrap()[0].changes[0].to_string(), "Python package flask: 3.1");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn an_option_of_old_pip_is_refused() {
        let error = declare_error("flask:\n  pip.installed:\n    - mirrors: x\n", &Tree::default());
        assert!(error.contains("pip has no such option any more"), "{error}");
    }
}
