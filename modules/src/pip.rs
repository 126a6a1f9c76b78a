//! Python packages, by pip.

mod installed;

pub(crate) use installed::Installed;

use kstate_core::question::Ended;
use kstate_core::words::{join, quote};
use kstate_core::{Change, Command, Content, Facts, Problem, Stop, Touch, Value};

use crate::Context;
use crate::git::TRUST;
use crate::kinds::Texts;

/// Run by the Python that is looked at; tells what of some requirements is not met.
const LOOK: &str = include_str!("pip/look.py");

/// Which Python the packages are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Python {
    System,
    /// A virtual environment, or its `pip`.
    Environment(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirements {
    /// A file on the host.
    Path(String),
    /// A file of the tree, with the files that it includes.
    Text(Vec<u8>),
}

/// Packages that shall be there, and how pip is to be called for them.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) python: Python,
    /// Lines that tell why the environment cannot be made, if it cannot.
    pub(crate) maker: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) dir: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) requirements: Option<Requirements>,
    pub(crate) packages: Vec<String>,
    pub(crate) editable: Vec<String>,
    /// `pip install --target`.
    pub(crate) target: Option<String>,
    pub(crate) no_deps: bool,
    pub(crate) upgrade: bool,
    /// Further options of `pip install`.
    pub(crate) options: Vec<String>,
}

/// What the host says about them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Foretold: as declared.
    pub(crate) settled: bool,
    /// There is no such Python, or no such user yet.
    pub(crate) absent: bool,
    /// There is no such user yet.
    pub(crate) no_user: bool,
    /// Why the environment cannot be made.
    pub(crate) no_maker: Option<String>,
    /// Nothing is known of the packages.
    pub(crate) blind: bool,
    /// There is no pip in it.
    pub(crate) no_pip: bool,
    /// The distribution keeps pip out of it (PEP 668).
    pub(crate) managed: bool,
    pub(crate) missing: Vec<Missing>,
    /// What pip would refuse.
    refused: Option<String>,
    /// Files that the requirements include.
    reads: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) name: String,
    pub(crate) demand: String,
    /// Empty: it is not installed.
    pub(crate) there: String,
}

impl Missing {
    pub(crate) fn change(&self) -> Change {
        let before = if self.there.is_empty() { Value::Null } else { self.there.as_str().into() };
        let after = if self.demand.is_empty() { "installed" } else { &self.demand };
        Change::new(format!("Python package {}", self.name), before, after)
    }
}

impl Seen {
    fn read(ended: &Ended) -> Result<Self, Stop> {
        let mut seen = Seen::default();
        if !ended.ok() {
            let nobody = ["does not exist", "No passwd entry", "unknown user"];
            if ended.stdout.trim().is_empty() && nobody.iter().any(|words| ended.stderr.contains(words)) {
                return Ok(Seen { absent: true, no_user: true, ..seen });
            }
            return Err(Stop::Failed(format!("cannot look at the Python packages: {}", ended.tail(3))));
        }
        for line in ended.stdout.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words[..] {
                ["settled"] => seen.settled = true,
                ["absent"] => seen.absent = true,
                ["nopip"] => seen.no_pip = true,
                ["managed", _] => seen.managed = true,
                ["blind"] => seen.blind = true,
                ["nomaker", why] => seen.no_maker = Some(why.to_owned()),
                ["distrust", who, path] => seen.refuse(distrusted(who, path)),
                ["nofile", path] => seen.refuse(format!("the requirements `{path}` are not there")),
                ["nopath", path] => seen.refuse(format!("`{path}`, which is to be installed, is not there")),
                ["invalid", text] => seen.refuse(format!("`{text}` is not a requirement that pip understands")),
                ["noname", path] => seen.refuse(format!(
                    "the name of the project in `{path}` cannot be told, so nobody can say whether it is installed; write it as `name @ file://{path}`"
                )),
                ["reads", path] => seen.reads.push(path.to_owned()),
                ["missing", name, demand, there] => seen.missing.push(Missing {
                    name: name.into(),
                    demand: demand.into(),
                    there: there.into(),
                }),
                _ => {}
            }
        }
        Ok(seen)
    }

    fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    /// Whether something is due for which pip is needed.
    pub(crate) fn needs_pip(&self) -> bool {
        self.no_pip && (self.blind || !self.missing.is_empty())
    }
}

/// The reason why root runs no Python of an environment that others can change.
fn distrusted(who: &str, path: &str) -> String {
    match who {
        "others" => format!(
            "others can change `{path}`, and Python would run as root what they write there; take the right to write from them"
        ),
        _ => format!(
            "`{path}` belongs to `{who}`, and Python would run as root what stands there; add `user: {who}`, or give it to root"
        ),
    }
}

/// Runs pip so that the directory it runs in has no say in what Python finds.
const PIP: &str = "import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv[0] = 'pip'; import runpy; runpy.run_module('pip', run_name='__main__')";

impl Wanted {
    /// Sets `$py`.
    fn find(&self) -> String {
        match &self.python {
            Python::System => "py=$(command -v python3 || command -v python)\n".into(),
            Python::Environment(path) => format!(
                "b={}\nif [ -d \"$b\" ]; then py=${{b%/}}/bin/python\nelse py=$(sed -n '1s/^#! *//p' \"$b\" 2>/dev/null); py=${{py%% *}}\nfi\n",
                quote(path)
            ),
        }
    }

    /// Ends a script of root by `refuse` where others can change the environment, its interpreter, or a directory above
    /// them: `$bad` is what they can change, and `whose` prints who they are.
    fn guard(&self, refuse: &str) -> String {
        let is_root = self.user.as_deref().is_none_or(|user| user == "root");
        if !is_root || matches!(self.python, Python::System) {
            return String::new();
        }
        format!(
            "if [ \"$(id -u)\" = 0 ]; then\n{TRUST}guard \"${{b%/}}\"\n\
             [ -n \"$bad\" ] || [ ! -e \"$at\" ] || bad=$(foreign \"$at\")\n\
             [ -n \"$bad\" ] || [ ! -e \"$py\" ] || {{ y=$(readlink -f -- \"$py\"); bad=$(above \"$y\"; foreign \"$y\"); }}\n\
             bad=${{bad%%\"$nl\"*}}\n[ -z \"$bad\" ] || {{ {refuse}; }}\nfi\n"
        )
    }

    fn named(&self) -> Touch {
        let whose = match &self.python {
            Python::Environment(path) => path.trim_end_matches('/'),
            Python::System => self.user.as_deref().unwrap_or_default(),
        };
        Touch::Named(format!("Python packages {whose}"))
    }

    /// What installing may change: an environment, or whatever a system-wide installation brings.
    pub(crate) fn touches(&self) -> Vec<Touch> {
        match &self.python {
            Python::Environment(path) => {
                let root = path.trim_end_matches('/');
                let root = root.rsplit_once("/bin/").map_or(root, |(root, _)| root);
                vec![self.named(), Touch::Path(root.to_owned())]
            }
            Python::System => vec![Touch::Anything],
        }
    }

    /// What is asked about them. `reads` are included files that are known already.
    pub(crate) fn look(&self, reads: &[String]) -> Command {
        let mut words: Vec<&str> = Vec::new();
        match &self.requirements {
            Some(Requirements::Path(path)) => words.extend(["-r", path]),
            Some(Requirements::Text(_)) => words.extend(["-r", "-"]),
            None => {}
        }
        if let Some(target) = &self.target {
            words.extend(["-t", target]);
        }
        if self.no_deps {
            words.push("-n");
        }
        if self.options.iter().any(|option| option == "--break-system-packages") {
            words.push("-b");
        }
        for path in &self.editable {
            words.extend(["-e", path]);
        }
        words.extend(self.packages.iter().map(String::as_str));
        let dir = match &self.dir {
            Some(dir) => format!("cd {} 2>/dev/null || cd /\n", quote(dir)),
            None => String::new(),
        };
        let maker = self.maker.as_deref().unwrap_or_default();
        let script = format!(
            "{dir}{}{}[ -n \"$py\" ] && [ -x \"$py\" ] || {{ echo absent\n{maker}exit 0; }}\n\"$py\" -c {} {}",
            self.find(),
            self.guard("printf 'distrust\\t%s\\t%s\\n' \"$(whose)\" \"$bad\"; exit 0"),
            quote(LOOK),
            join(&words)
        );
        let mut depends = vec![self.named(), Touch::Packages, Touch::Accounts];
        if let Python::Environment(path) = &self.python {
            // The interpreter, and not all that lies in an environment: only pip changes its packages.
            depends.push(Touch::Path(format!("{}/bin/python", path.trim_end_matches('/'))));
        }
        if let Some(Requirements::Path(path)) = &self.requirements {
            depends.push(Touch::Path(self.absolute(path)));
        }
        depends.extend(reads.iter().cloned().map(Touch::Path));
        let input = match &self.requirements {
            Some(Requirements::Text(text)) => text.clone(),
            _ => Vec::new(),
        };
        self.command(script).input(input).depends(depends)
    }

    fn absolute(&self, path: &str) -> String {
        match &self.dir {
            Some(dir) if !path.starts_with('/') => format!("{}/{path}", dir.trim_end_matches('/')),
            _ => path.to_owned(),
        }
    }

    pub(crate) fn command(&self, script: String) -> Command {
        let whose = match &self.python {
            Python::Environment(path) => format!(", in {path}"),
            Python::System => String::new(),
        };
        let mut command = Command::shell(script)
            .user(self.user.as_deref().filter(|user| *user != "root"))
            .told(format!("pip install{whose}"));
        command.env = self.env.clone();
        command
    }

    /// The look and what it said. Files that requirements include are part of what the answer depends on, and are
    /// known only when it is there.
    pub(crate) fn see(&self, facts: &Facts) -> Result<(Command, Seen), Stop> {
        let look = self.look(&[]);
        let seen = Seen::read(facts.run(&look)?)?;
        if seen.reads.is_empty() {
            return seen.checked().map(|seen| (look, seen));
        }
        let look = self.look(&seen.reads);
        let seen = Seen::read(facts.run(&look)?)?;
        seen.checked().map(|seen| (look, seen))
    }

    /// The lines that install them. `$py` is set by `find`.
    pub(crate) fn install(&self) -> String {
        let mut words = vec!["install".to_owned(), "--no-input".into(), "--disable-pip-version-check".into()];
        words.extend(self.options.iter().cloned());
        if self.upgrade {
            words.push("--upgrade".into());
        }
        if self.no_deps {
            words.push("--no-deps".into());
        }
        if let Some(target) = &self.target {
            words.extend(["--target".into(), target.clone()]);
        }
        if let Some(Requirements::Path(path)) = &self.requirements {
            words.extend(["-r".into(), path.clone()]);
        }
        for path in &self.editable {
            words.extend(["-e".into(), path.clone()]);
        }
        words.extend(self.packages.iter().cloned());
        let mut script = self.find();
        script.push_str(&self.guard("echo \"others can change $bad\" >&2; exit 1"));
        if let Some(dir) = &self.dir {
            script.push_str(&format!("cd {} || exit\n", quote(dir)));
        }
        let mut file = "";
        if let Some(Requirements::Text(_)) = &self.requirements {
            script.push_str("f=$(mktemp) || exit\ntrap 'rm -f -- \"$f\"' EXIT\ncat >\"$f\" || exit\n");
            file = " -r \"$f\"";
        }
        script.push_str(&format!("\"$py\" -c {} {}{file} </dev/null || exit\n", quote(PIP), join(&words)));
        script
    }

    /// Asks pip what it would upgrade. A pip that cannot tell says `old`.
    pub(crate) fn dry_run(&self) -> Command {
        let script =
            self.install().replace(" install --no-input", " install --dry-run --quiet --report - --no-input");
        let pip = format!("\"$py\" -c {}", quote(PIP));
        let (before, last) = script.trim_end().rsplit_once(&pip).unwrap_or(("", &script));
        let last = last.trim_end().trim_end_matches("|| exit");
        const TELL: &str = "import json, sys\nfor i in json.load(sys.stdin)['install']: print('missing\\t%s\\t%s\\t' % (i['metadata']['name'], i['metadata']['version']))";
        let script = format!(
            "{before}{pip} install --help </dev/null | grep -q -e '--report' || {{ echo old; exit 0; }}\n\
             all=$({pip}{last}) || exit\nprintf '%s' \"$all\" | \"$py\" -c {}",
            quote(TELL)
        );
        let depends = self.look(&[]).depends.unwrap_or_default();
        let input = match &self.requirements {
            Some(Requirements::Text(text)) => text.clone(),
            _ => Vec::new(),
        };
        self.command(script).input(input).timeout(300).depends(depends)
    }

    /// The requirements that come from the tree.
    pub(crate) fn contents(&self) -> Vec<Content> {
        match &self.requirements {
            Some(Requirements::Text(text)) => {
                vec![Content::new("requirements", "requirements", text.as_slice())]
            }
            _ => Vec::new(),
        }
    }

    /// What there is to upgrade. `None`: this pip cannot tell.
    pub(crate) fn upgrades(&self, facts: &Facts) -> Result<Option<Vec<Missing>>, Stop> {
        let ended = facts.run(&self.dry_run())?;
        if ended.stdout.trim() == "old" {
            return Ok(None);
        }
        Seen::read(ended).map(|seen| Some(seen.missing))
    }
}

impl Seen {
    fn checked(self) -> Result<Self, Stop> {
        match &self.refused {
            Some(why) => Err(Stop::Failed(why.clone())),
            None => Ok(self),
        }
    }
}

/// The requirements that an argument names.
pub(crate) fn requirements(url: &str, cx: &Context<'_>) -> Result<Requirements, Problem> {
    if url.starts_with("salt://") {
        return Ok(Requirements::Text(included(url, cx, 0)?.into_bytes()));
    }
    if url.contains("://") {
        let problem = cx.error("requirements", format!("`{url}` cannot be fetched"));
        return Err(problem.hint("put the file into the tree and name it by `salt://path`"));
    }
    Ok(Requirements::Path(url.to_owned()))
}

/// The text of a requirements file of the tree, with the files that it includes in their places.
fn included(url: &str, cx: &Context<'_>, depth: u32) -> Result<String, Problem> {
    let text = String::from_utf8_lossy(&cx.read("requirements", url)?).into_owned();
    let mut lines = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        let other = ["--requirement", "-r"]
            .iter()
            .find_map(|option| trimmed.strip_prefix(option))
            .map(|rest| rest.trim_start_matches(['=', ' ', '\t']).trim());
        match other {
            Some(other) if depth < 20 && !other.starts_with('/') && !other.contains("://") => {
                let folder = url.rsplit_once('/').map_or("salt:/", |(folder, _)| folder);
                lines.push_str(&included(&format!("{folder}/{other}"), cx, depth + 1)?);
            }
            _ => lines.push_str(line),
        }
        lines.push('\n');
    }
    Ok(lines)
}

/// Options of `pip install` as both functions take them.
#[derive(Debug, Default)]
pub(crate) struct Options(pub(crate) Vec<String>);

impl Options {
    pub(crate) fn flag(&mut self, given: bool, option: &str) {
        if given {
            self.0.push(option.to_owned());
        }
    }

    pub(crate) fn value(&mut self, value: Option<&str>, option: &str) {
        if let Some(value) = value {
            self.0.extend([option.to_owned(), value.to_owned()]);
        }
    }

    pub(crate) fn values(&mut self, values: Option<&Texts>, option: &str) {
        for value in values.iter().flat_map(|Texts(values)| values) {
            self.value(Some(value), option);
        }
    }
}

/// `env_vars`, whose order is the document's.
pub(crate) fn environment(cx: &Context<'_>) -> Vec<(String, String)> {
    cx.chunk.argument("env_vars").map(kstate_core::conditions::environment).unwrap_or_default()
}
