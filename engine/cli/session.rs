//! From what was typed to hosts that are ready to run: tree, roster, targets, connections, compiled plans.

mod connect;
mod prepare;

pub(crate) use connect::Reached;
pub(crate) use prepare::{Contact, Prepared, Ready};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kstate_core::kept::{Claim, Taken};
use kstate_core::{Connect, Interrupt, Map, Position, Problem, Secrets, Value, nearest};
use kstate_sls::{Expression, Minion, Root, Target, Tree, find_root};

use crate::answers::Answering;
use crate::args::Global;
use crate::diagnostics::Diagnostics;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ignored::Ignored;
use crate::token::{self, Keeper, Lease};
use crate::ui::{Ui, count};

/// Everything that all targets share.
pub(crate) struct Session<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) tree: Tree,
    pub(crate) interrupt: Interrupt,
    /// The name of this run: when, and which process.
    pub(crate) run: String,
    /// Paths for which no change is held.
    pub(crate) accepted: Vec<String>,
    targets: Vec<Target>,
    /// What is wrong with the roster.
    pub(crate) problems: Vec<Problem>,
    options: &'a Global,
    expression: Option<Expression>,
    /// Grains that stand for the hosts'.
    grains: Option<Map>,
    pillar: Map,
    answering: Answering,
    ignored: Ignored,
    /// Names that everybody knows.
    public: OnceLock<Arc<BTreeSet<String>>>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("tree", &self.tree).finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    pub(crate) fn open(options: &'a Global, ui: &'a Ui, interrupt: Interrupt) -> Result<Self, CommandError> {
        let folder = root_folder(options)?;
        let root = Root::open(&folder).map_err(|problems| CommandError::problems(&folder, problems))?;
        Session::of(Tree::new(root), options, ui, interrupt)
    }

    pub(crate) fn of(
        tree: Tree,
        options: &'a Global,
        ui: &'a Ui,
        interrupt: Interrupt,
    ) -> Result<Self, CommandError> {
        let ignored = Ignored::new(&tree.root().dir);
        let (targets, problems) =
            if options.local { (vec![connect::this_machine()], Vec::new()) } else { tree.roster() };
        let expression = match &options.target {
            Some(text) if options.list => Some(Expression::list(text)),
            Some(text) => Some(
                Expression::compound(text)
                    .with_groups(&tree.root().options.groups)
                    .map_err(|error| CommandError::usage(error.to_string()))?,
            ),
            None => None,
        };
        let pillar = match &options.pillar {
            Some(text) => pillar(text)?,
            None => Map::new(),
        };
        let grains = options.grains.as_deref().map(grains_file).transpose()?;
        let answering = Answering::new(options.exec_fixture.as_deref())?;
        Ok(Session {
            ui,
            tree,
            interrupt,
            run: run_name(),
            accepted: Vec::new(),
            targets,
            problems,
            options,
            expression,
            grains,
            pillar,
            answering,
            ignored,
            public: OnceLock::new(),
        })
    }

    /// Holds no change for these paths.
    #[must_use]
    pub(crate) fn accepting(self, paths: &[String]) -> Self {
        Session { accepted: paths.to_vec(), ..self }
    }

    /// Whether the roster has a host of this name.
    pub(crate) fn knows(&self, target: &str) -> bool {
        self.targets.iter().any(|known| known.name == target)
    }

    /// The names of the roster, in its order.
    pub(crate) fn roster(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.name.as_str())
    }

    /// Whether only grains or pillar tell which hosts are meant.
    pub(crate) fn is_chosen_by_data(&self) -> bool {
        self.expression.as_ref().is_some_and(Expression::asks_for_data)
    }

    /// Means these hosts from now on.
    pub(crate) fn choose(&mut self, names: &[&str]) {
        self.expression = Some(Expression::list(names.join(",")));
    }

    /// The targets that may be meant, as far as that can be told without asking them.
    pub(crate) fn targets(&self, sls: &[String]) -> Result<Vec<Target>, CommandError> {
        if self.options.local {
            return Ok(self.targets.clone());
        }
        let mut meant = Vec::new();
        for target in &self.targets {
            let is_meant = match &self.expression {
                Some(expression) => {
                    let map = Map::new();
                    let minion = Minion { id: &target.name, grains: &map, pillar: &map };
                    let fits = expression.matches(&minion);
                    // What is not well formed shows without the data, too.
                    fits.map_err(|error| CommandError::usage(error.to_string()))?
                        || expression.asks_for_data()
                }
                None => sls.is_empty() || self.tree.may_name(&target.name, sls),
            };
            if is_meant {
                meant.push(target.clone());
            }
        }
        if meant.is_empty() { Err(self.nothing_meant(sls)) } else { Ok(meant) }
    }

    /// Whether only some of the hosts are meant.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.options.local || self.expression.is_some()
    }

    /// What must not be shown; names that the tree and kstate itself give to things are no secrets.
    pub(crate) fn secrets(&self, texts: impl IntoIterator<Item = String>) -> Secrets {
        let secrets = Secrets::new(texts);
        if secrets.is_empty() {
            secrets
        } else {
            secrets.sparing(self.public.get_or_init(|| public(&self.tree, self.roster())).clone())
        }
    }

    /// Tells what is suspicious in the roster; a mistake in it is an error.
    pub(crate) fn refuse_a_broken_roster(&self) -> Result<(), CommandError> {
        let dir = &self.tree.root().dir;
        if self.problems.iter().any(Problem::is_error) {
            return Err(CommandError::problems(dir, self.problems.clone()));
        }
        let mut diagnostics = Diagnostics::stored(dir, self.tree.storage().clone());
        self.problems.iter().for_each(|problem| self.ui.talk(&diagnostics.show(problem)));
        Ok(())
    }

    fn nothing_meant(&self, sls: &[String]) -> CommandError {
        if self.problems.iter().any(Problem::is_error) {
            return CommandError::problems(&self.tree.root().dir, self.problems.clone());
        }
        let roster: Vec<&str> = self.targets.iter().map(|target| target.name.as_str()).collect();
        let known = format!("the roster has: {}", roster.join(", "));
        match &self.options.target {
            Some(text) => {
                let error = CommandError::failed(format!("no host of the roster is `{text}`"));
                match nearest(text, roster.iter().copied(), 1).first() {
                    Some(near) => error.hint(format!("did you mean `{near}`?")).hint(known),
                    None => error.hint(known),
                }
            }
            None if roster.is_empty() => {
                CommandError::failed("the roster is empty").hint("write a line `name: address` for each host")
            }
            None => CommandError::failed(format!(
                "the top file names `{}` for no host of the roster",
                sls.join(" ")
            ))
            .hint("name hosts by `-t`, or the SLS in the top file")
            .hint(known),
        }
    }

    /// Grains, pillar and the top file leave nobody.
    pub(crate) fn nobody_fits(&self) -> CommandError {
        match &self.options.target {
            Some(text) => CommandError::failed(format!("`{text}` fits no host of the roster")),
            None => CommandError::failed("the top file gives this to no host of the roster"),
        }
    }

    /// What this run asks the token of a target for.
    pub(crate) fn claim(&self, target: &Target, sls: &[String]) -> Claim {
        let words: Vec<&str> = ["apply"].into_iter().chain(sls.iter().map(String::as_str)).collect();
        Claim {
            owner: token::owner(),
            reason: words.join(" "),
            run: self.run.clone(),
            target: target.name.clone(),
            logins: self.logins_at(target),
            is_passed_on: false,
        }
    }

    /// The users whom the roster names as logins of the host, by whichever name it has there.
    pub(crate) fn logins_at(&self, target: &Target) -> Vec<String> {
        let same = self.targets.iter().filter(|other| other.host.eq_ignore_ascii_case(&target.host));
        let users = same.flat_map(|other| {
            let named = other.logins.iter().map(|login| login.user.clone());
            named.chain(other.user.clone()).collect::<Vec<_>>()
        });
        let users: BTreeSet<String> = users.chain(self.tree.root().ssh.user.clone()).collect();
        users.into_iter().collect()
    }

    /// The host that has the token for all, if there is one.
    pub(crate) fn place(&self) -> Option<&str> {
        self.tree.root().token_host.as_deref().filter(|_| !self.options.local)
    }

    /// Takes the token at its place, where it has one, for as long as the lease lives.
    pub(crate) fn lease(&self, sls: &[String]) -> Result<Option<Lease>, CommandError> {
        let Some(place) = self.place() else { return Ok(None) };
        let target =
            self.targets.iter().find(|target| target.name == place).ok_or_else(|| unknown_place(place))?;
        let connect: Arc<dyn Connect> = self.connector(std::slice::from_ref(target))?.into();
        let unreachable = |message: String| CommandError {
            exit: Exit::Unreachable,
            ..CommandError::failed(format!("the token cannot be taken on {place}: {message}"))
        };
        let mut transport = connect.connect(place).map_err(|error| unreachable(error.message))?;
        let claim = self.claim(target, sls);
        let reply = token::surely(transport.as_mut(), claim.take())
            .map_err(|error| unreachable(error.to_string()))?;
        if let Some(problem) = token::refusal(place, &Taken::read(&reply)) {
            let refused = CommandError::failed(format!("nothing is changed: {}", problem.message));
            return Err(problem.hints.into_iter().fold(refused, CommandError::hint));
        }
        let interrupt = self.interrupt.clone();
        Ok(Some(Lease::keep(Keeper { place: place.to_owned(), claim, transport, connect, interrupt })))
    }
}

pub(crate) fn unknown_place(place: &str) -> CommandError {
    CommandError::failed(format!("the roster has no host `{place}`, which is to have the token"))
        .hint("`token: host:` in kstate.yaml names it")
}

/// The names of state functions and their parts, of their arguments, of SLS and of hosts.
fn public<'a>(tree: &Tree, roster: impl Iterator<Item = &'a str>) -> Arc<BTreeSet<String>> {
    let functions = kstate_modules::FUNCTIONS.iter();
    let names = functions.flat_map(|function| {
        function.arguments().iter().copied().chain([function.name]).chain(function.name.split('.'))
    });
    let sls = tree.files().sls_names().iter().cloned();
    Arc::new(names.chain(roster).map(str::to_owned).chain(sls).collect())
}

fn run_name() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", since.as_secs(), std::process::id())
}

pub(crate) fn root_folder(options: &Global) -> Result<PathBuf, CommandError> {
    if let Some(root) = &options.root {
        if root.is_dir() {
            return Ok(root.clone());
        }
        return Err(CommandError::usage(format!("`{}` is not a folder", root.display())));
    }
    let here = std::env::current_dir()
        .map_err(|error| CommandError::failed(format!("the current folder: {error}")))?;
    find_root(&here).ok_or_else(|| {
        CommandError::usage(format!(
            "there is no `kstate.yaml` or `Saltfile` in `{}` or above it",
            here.display()
        ))
        .hint("name the folder of the tree by `--root DIR` or in `$KSTATE_ROOT`")
    })
}

fn pillar(text: &str) -> Result<Map, CommandError> {
    match serde_json::from_str(text).map(crate::report::json::to_value) {
        Ok(Value::Map(map)) => Ok(map),
        Ok(other) => {
            Err(CommandError::usage(format!("`--pillar` takes a JSON object, not {}", other.kind())))
        }
        Err(error) => Err(CommandError::usage(format!("`--pillar` is not JSON: {error}"))),
    }
}

fn grains_file(path: &Path) -> Result<Map, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("`--grains {}`: {error}", path.display())))?;
    let file: Arc<str> = path.display().to_string().into();
    let node = kstate_sls::yaml::load(&text, &|line| Position::new(file.clone(), line, 1))
        .map_err(|problem| CommandError::problems(Path::new("."), vec![problem]))?;
    match node.value() {
        Value::Map(map) => Ok(map),
        other => Err(CommandError::usage(format!("`{}` holds {}, not grains", path.display(), other.kind()))),
    }
}

/// `3 hosts`, for messages.
pub(crate) fn hosts(n: usize) -> String {
    count(n, "host")
}
