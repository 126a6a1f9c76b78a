//! `virtualenv.managed`: a virtual environment of Python with its packages
//!
//! ```yaml
//! /home/ocdskfp/ocdskingfisherprocess/.ve:
//!   virtualenv.managed:
//!     - python: /usr/bin/python3
//!     - user: ocdskfp
//!     - cwd: /home/ocdskfp/ocdskingfisherprocess
//!     - requirements: /home/ocdskfp/ocdskingfisherprocess/requirements.txt
//! ```
//!
//! It is made by `virtualenv`, or by Python's own `venv` where that is missing. Requirements are compared with what is
//! there by the environment's Python, without pip and without the network.

use kstate_core::question::{Answer, Ended, PathInfo, PathKind};
use kstate_core::words::{join, quote};
use kstate_core::{
    Change, Content, Facts, Operation, Place, Problem, Question, Resource, Run, Step, Stop, Touch, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::kinds::Texts;
use crate::pip::{Missing, Options, Python, Requirements, Wanted, environment, requirements};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The directory of the environment.
    name: String,
    /// The Python to make it of. Default: `python3`.
    python: Option<String>,
    /// The program that makes it. Default: `virtualenv`, else Python's `venv`.
    venv_bin: Option<String>,
    /// Lets it see the packages of the system. Default: `False`.
    #[serde(default)]
    system_site_packages: bool,
    /// The name that its prompt shows.
    prompt: Option<String>,
    /// Where `virtualenv` looks for pip and its like.
    extra_search_dir: Option<Texts>,
    /// Keeps `virtualenv` from fetching pip and its like. Default: `False`.
    #[serde(default)]
    never_download: bool,
    /// The user to make it as. Default: root.
    user: Option<String>,
    /// The directory to run pip in. Default: the user's home.
    cwd: Option<String>,
    /// A file of requirements: a path on the host, or `salt://path`.
    requirements: Option<String>,
    /// Further requirements.
    pip_pkgs: Option<Texts>,
    /// Upgrades packages to what is newest. Default: `False`.
    #[serde(default)]
    pip_upgrade: bool,
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
    /// The proxy to fetch through.
    proxy: Option<String>,
    /// Packages to build from their sources.
    no_binary: Option<Texts>,
    /// Does not keep what was fetched. Default: `False`.
    #[serde(default)]
    pip_no_cache_dir: bool,
    /// Where to keep what was fetched.
    pip_cache_dir: Option<String>,
    /// What pip does where a path is there already.
    pip_exists_action: Option<String>,
    /// Environment variables: a mapping.
    #[expect(dead_code, reason = "read from the chunk, which keeps the order")]
    env_vars: Option<IgnoredAny>,
    /// Has no meaning here: it is long the only way.
    #[expect(dead_code, reason = "accepted because trees have it")]
    distribute: Option<bool>,
    /// Has no meaning here: pip uses wheels.
    #[expect(dead_code, reason = "accepted because trees have it")]
    use_wheel: Option<bool>,
    /// Has no meaning here: there is no terminal.
    #[expect(dead_code, reason = "accepted because trees have it")]
    use_vt: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Managed {
    path: String,
    make: String,
    python: Option<String>,
    /// Where the requirements are, for people.
    requirements: Option<String>,
    wanted: Wanted,
}

impl State for Managed {
    const NAME: &'static str = "virtualenv.managed";
    const SOURCE: &'static str = include_str!("virtualenv.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("clear", "it would be made anew each time; remove it by `file.absent`"),
        ("no_use_wheel", "say `no_binary: ':all:'`"),
        ("pip_download", "nothing would be installed"),
        ("pip_download_cache", "use `pip_cache_dir`"),
        ("pip_ignore_installed", "it would run each time"),
        ("process_dependency_links", "pip has no such option any more"),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let a = arguments;
        if !a.name.starts_with('/') {
            return Err(vec![cx.error("name", format!("`{}` is not an absolute path", a.name))]);
        }
        let from =
            a.requirements.as_deref().map(|url| requirements(url, cx)).transpose().map_err(|p| vec![p])?;
        let make = make(&a);
        let maker = maker(&a);
        let mut options = Options::default();
        options.flag(a.pre_releases, "--pre");
        options.value(a.index_url.as_deref(), "--index-url");
        options.values(a.extra_index_url.as_ref(), "--extra-index-url");
        options.value(a.proxy.as_deref(), "--proxy");
        options.values(a.no_binary.as_ref(), "--no-binary");
        options.flag(a.pip_no_cache_dir, "--no-cache-dir");
        options.value(a.pip_cache_dir.as_deref(), "--cache-dir");
        options.value(a.pip_exists_action.as_deref(), "--exists-action");
        let Texts(packages) = a.pip_pkgs.unwrap_or_default();
        Ok(Managed {
            path: a.name.clone(),
            make,
            python: a.python,
            requirements: a.requirements,
            wanted: Wanted {
                maker: Some(maker),
                python: Python::Environment(a.name),
                user: a.user,
                dir: a.cwd,
                env: environment(cx),
                requirements: from,
                packages,
                editable: Vec::new(),
                target: None,
                no_deps: a.no_deps,
                upgrade: a.pip_upgrade,
                options: options.0,
            },
        })
    }
}

/// The lines that make an environment, of `virtualenv` or of Python's own `venv`.
fn make(a: &Arguments) -> String {
    let mut common: Vec<&str> = Vec::new();
    if a.system_site_packages {
        common.push("--system-site-packages");
    }
    if let Some(prompt) = &a.prompt {
        common.extend(["--prompt", prompt]);
    }
    let mut words: Vec<&str> = common.clone();
    if let Some(python) = &a.python {
        words.extend(["--python", python]);
    }
    for dir in a.extra_search_dir.iter().flat_map(|Texts(dirs)| dirs) {
        words.extend(["--extra-search-dir", dir]);
    }
    if a.never_download {
        words.push("--no-download");
    }
    let path = quote(&a.name);
    let by_virtualenv = |program: &str| format!("{} {} {path}", quote(program), join(&words));
    let python = quote(a.python.as_deref().unwrap_or("python3"));
    let by_venv = format!("{python} -m venv {} {path}", join(&common));
    match a.venv_bin.as_deref() {
        Some(program) if program.ends_with("venv") && !program.ends_with("virtualenv") => by_venv,
        Some(program) => by_virtualenv(program),
        None => format!(
            "if command -v virtualenv >/dev/null; then {}; else {by_venv}; fi",
            by_virtualenv("virtualenv")
        ),
    }
}

/// The lines that tell why the environment cannot be made.
fn maker(a: &Arguments) -> String {
    let (path, python) = (quote(&a.name), quote(a.python.as_deref().unwrap_or("python3")));
    let cannot = |why: &str| format!("printf 'nomaker\\t%s\\n' {}", quote(why));
    let by_venv = format!("{python} -c 'import venv, ensurepip' 2>/dev/null");
    let no_venv = cannot("there is neither `virtualenv` nor Python's own `venv`; install `python3-venv`");
    let no_program = |program: &str| cannot(&format!("there is no program `{program}`"));
    let program = match a.venv_bin.as_deref() {
        Some(program) if program.ends_with("venv") && !program.ends_with("virtualenv") => {
            format!("{by_venv} || {no_venv}")
        }
        Some(program) => format!("command -v {} >/dev/null || {}", quote(program), no_program(program)),
        None => format!("command -v virtualenv >/dev/null || {by_venv} || {no_venv}"),
    };
    let no_python = no_program(a.python.as_deref().unwrap_or("python3"));
    let no_folder = cannot("something that is not a directory is there");
    format!(
        "{program}\ncommand -v {python} >/dev/null || {no_python}\n[ ! -e {path} ] || [ -d {path} ] || {no_folder}\n"
    )
}

impl Resource for Managed {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Run(Box::new(self.wanted.look(&[])))]
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.path)]
    }

    fn contents(&self) -> Vec<Content> {
        self.wanted.contents()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let (_, seen) = self.wanted.see(facts)?;
        if seen.settled {
            return Ok(Vec::new());
        }
        if seen.absent {
            if let Some(why) = seen.no_maker.filter(|_| !facts.may_bring(&Touch::Packages)) {
                return Err(Stop::Failed(format!("`{}` cannot be made: {why}", self.path)));
            }
            return Ok(vec![self.step(self.created(), true, false)]);
        }
        if seen.needs_pip() {
            return Err(Stop::Failed(format!("there is no pip in `{}`", self.path)));
        }
        let mut changes: Vec<Change> = seen.missing.iter().map(Missing::change).collect();
        let mut always = false;
        if self.wanted.upgrade && changes.is_empty() && self.wants_packages() {
            match self.wanted.upgrades(facts)? {
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
        Ok(if changes.is_empty() { Vec::new() } else { vec![self.step(changes, false, always)] })
    }
}

impl Managed {
    fn wants_packages(&self) -> bool {
        self.wanted.requirements.is_some() || !self.wanted.packages.is_empty()
    }

    fn created(&self) -> Vec<Change> {
        let of = self.python.as_deref().unwrap_or("python3");
        let mut changes =
            vec![Change::new(format!("virtual environment {}", self.path), Value::Null, format!("of {of}"))];
        if let Some(requirements) = &self.requirements {
            changes.push(Change::new("Python packages", Value::Null, format!("of {requirements}")));
        }
        let packages = self.wanted.packages.iter();
        changes
            .extend(packages.map(|p| Change::new(format!("Python package {p}"), Value::Null, "installed")));
        changes
    }

    fn step(&self, changes: Vec<Change>, make: bool, always: bool) -> Step {
        let mut script = String::new();
        if make {
            script.push_str(&format!("{} || exit\n", self.make));
        }
        if self.wants_packages() {
            script.push_str(&self.wanted.install());
        }
        let mut command = self.wanted.command(script);
        if let Some(Requirements::Text(text)) = &self.wanted.requirements {
            command.input = text.clone();
        }
        let settled = Ended { stdout: "settled\n".into(), ..Ended::default() };
        let user = self.wanted.user.clone().unwrap_or_else(|| "root".into());
        let folder = PathInfo {
            kind: PathKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            group: user.clone(),
            user,
            size: 4096,
        };
        let python = PathInfo { kind: PathKind::File, ..folder.clone() };
        let path = format!("{}/bin/python", self.path.trim_end_matches('/'));
        let run = Run::new(command, self.wanted.touches())
            .foretells(Question::Run(Box::new(self.wanted.look(&[]))), Answer::Run(settled))
            .foretells(Question::Path(path), Answer::Path(Some(python)))
            .foretells(Question::Path(self.path.clone()), Answer::Path(Some(folder)));
        Step { always, ..Step::new(changes, Operation::Run(run)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    const VE: &str = "/srv/app/.ve/:\n  virtualenv.managed:\n    - python: /usr/bin/python3\n    - user: ann\n    - cwd: /srv/app\n    - requirements: /srv/app/requirements.txt\n";

    fn facts(resource: &dyn Resource, stdout: &str) -> Facts {
        let mut facts = Facts::default();
        let ended = Ended { stdout: stdout.into(), ..Ended::default() };
        facts.learn(resource.questions()[0].clone(), Ok(Answer::Run(ended)));
        facts
    }

    fn changes(steps: &[Step]) -> Vec<String> {
        steps.iter().flat_map(|step| &step.changes).map(ToString::to_string).collect()
    }

    #[test]
    fn an_environment_as_declared_needs_nothing() {
        let resource = declare(VE, &Tree::default());
        assert_eq!(resource.diff(&facts(&*resource, "python\t3.11.2\n")), Ok(Vec::new()));
    }

    #[test]
    fn a_missing_one_is_made_with_its_packages() {
        let resource = declare(VE, &Tree::default());
        let mut facts = facts(&*resource, "absent\n");
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(
            changes(&steps),
            [
                "virtual environment /srv/app/.ve/: of /usr/bin/python3",
                "Python packages: of /srv/app/requirements.txt"
            ]
        );
        let script = steps[0].operation.job().unwrap().script;
        assert!(script.contains("virtualenv --python /usr/bin/python3 /srv/app/.ve/"), "{script}");
        assert!(script.contains("/usr/bin/python3 -m venv"), "{script}");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn new_requirements_are_installed() {
        let resource = declare(VE, &Tree::default());
        let mut facts = facts(&*resource, "missing\tflask\t==3.0\t2.3\npython\t3.11.2\n");
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["Python package flask: 2.3 -> ==3.0"]);
        assert!(!steps[0].operation.job().unwrap().script.contains("-m venv"));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn requirements_are_looked_at_again_when_the_checkout_has_changed() {
        let resource = declare(VE, &Tree::default());
        let question = &resource.questions()[0];
        assert!(question.is_touched_by(&kstate_core::Touch::Path("/srv/app/requirements.txt".into())));
        assert!(!question.is_touched_by(&kstate_core::Touch::Path("/srv/app/app.py".into())));
    }

    #[test]
    fn requirements_that_are_not_there_are_told() {
        let resource = declare(VE, &Tree::default());
        assert_eq!(
            resource.diff(&facts(&*resource, "nofile\t/srv/app/requirements.txt\npython\t3.11.2\n")),
            Err(Stop::Failed("the requirements `/srv/app/requirements.txt` are not there".into()))
        );
    }

    #[test]
    fn clearing_each_time_is_refused() {
        let error = declare_error(&format!("{VE}    - clear: True\n"), &Tree::default());
        assert!(error.contains("`clear` is not supported"), "{error}");
    }
}
