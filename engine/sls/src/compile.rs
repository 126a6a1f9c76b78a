//! From a tree to what one target shall be: pillar, top file, high state, chunks in order.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use kstate_core::{Call, Chunk, Graph, Map, Node, Position, Problem};

use crate::high::declare::{Include, declare};
use crate::high::extend::{Finding, reconcile};
use crate::high::{Body, HighState, Item, requisite_in, verify};
use crate::jinja::{Answers, Engine};
use crate::low;
use crate::matching::Minion;
use crate::pillar::{self, Pillar};
use crate::render;
use crate::root::Root;
use crate::roster::{self, Target};
use crate::storage::{Disk, Storage};
use crate::templates::Templates;
use crate::top::{self, TopEntry};
use crate::tree::{Folders, SourceFile};

/// The files of a root, read once for all targets.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    storage: Arc<dyn Storage>,
    pub(crate) states: Arc<Folders>,
    pillar: Arc<Folders>,
    state_engine: Arc<Engine>,
    pillar_engine: Arc<Engine>,
}

/// What to compile.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The target's name in the roster.
    pub target: &'a str,
    pub grains: &'a Map,
    /// Pillar over that of the tree.
    pub pillar: &'a Map,
    /// The wanted SLS, maybe patterns; none means the top file's.
    pub sls: &'a [String],
    pub answers: &'a Answers,
}

/// What came of it, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub pillar: Map,
    /// Texts of the pillar that must not be shown.
    pub secrets: BTreeSet<String>,
    /// What the top file gives to the target; empty if SLS were named.
    pub top: Vec<String>,
    /// Every SLS that was read for it, by name or by `include`.
    pub sls: BTreeSet<String>,
    pub high: HighState,
    /// The chunks in order; none if there are errors.
    pub graph: Option<Graph>,
    /// The chunks as declared, where a requisite names nothing or a cycle keeps them from an order.
    unordered: Vec<Chunk>,
    /// Every problem once, by file and line.
    pub problems: Vec<Problem>,
    /// What is not wrong, and hardly meant.
    pub suspicions: Vec<Problem>,
    /// What templates asked the host without an answer, also what was refused. Unless it is empty, all else is
    /// provisional: ask the host, and compile again with the answers.
    pub calls: Vec<Call>,
}

/// What the top file gives to a target.
#[derive(Clone, Debug)]
pub struct Top {
    pub entries: Vec<TopEntry>,
    pub problems: Vec<Problem>,
    /// What it asked the host without an answer; unless it is empty, the entries are provisional.
    pub calls: Vec<Call>,
}

impl Compiled {
    /// The chunks in order; as declared where they have none.
    pub fn chunks(&self) -> &[Chunk] {
        self.graph.as_ref().map_or(&self.unordered, Graph::chunks)
    }

    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

impl Tree {
    /// A tree on the disk.
    pub fn new(root: Root) -> Self {
        Tree::stored(root, Arc::new(Disk))
    }

    /// A tree that is stored in another way.
    pub fn stored(root: Root, storage: Arc<dyn Storage>) -> Self {
        let folders = |folders: &Vec<_>| Folders::new(folders.clone(), root.dir.clone(), storage.clone());
        let states = Arc::new(folders(&root.file_roots));
        let pillar = Arc::new(folders(&root.pillar_roots));
        let state_engine = Arc::new(Engine::new(states.clone()));
        let pillar_engine = Arc::new(Engine::new(pillar.clone()));
        Tree { root, storage, states, pillar, state_engine, pillar_engine }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Where its files are read from.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The file roots.
    pub fn files(&self) -> &Folders {
        &self.states
    }

    /// The hosts of the roster, which is a template itself, with the warnings; or the errors.
    pub fn roster(&self) -> Result<(Vec<Target>, Vec<Problem>), Vec<Problem>> {
        let folder = self.root.roster.parent().unwrap_or(&self.root.dir).to_path_buf();
        let name = self.root.roster.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folders = Arc::new(Folders::new(vec![folder], self.root.dir.clone(), self.storage.clone()));
        let file = match folders.file(name) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let shown = self.root.shown(&self.root.roster);
                return Err(vec![Problem::error(format!("there is no roster `{shown}`"))]);
            }
            Err(error) => {
                let shown = self.root.shown(&self.root.roster);
                return Err(vec![Problem::error(format!("`{shown}` cannot be read: {error}"))]);
            }
        };
        let (map, answers) = (Map::new(), Answers::new());
        let engine = Arc::new(Engine::new(folders.clone()));
        let templates = Templates::new(&engine, "", &map, &map, &answers);
        let template = |file: &SourceFile| templates.sls(file, "", &Map::new());
        let node = render::render(&file, &template).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let targets = roster::targets(&node, &self.root.dir, &mut problems);
        tidy(&mut problems);
        if problems.iter().any(Problem::is_error) { Err(problems) } else { Ok((targets, problems)) }
    }

    /// What the top file gives to a target. `pillar` is its compiled pillar.
    pub fn top(&self, request: &Request<'_>, pillar: &Map) -> Top {
        let templates = self.templates(request, pillar);
        let mut problems = Vec::new();
        let entries = self.top_entries(&templates, request, pillar, &mut problems);
        tidy(&mut problems);
        Top { entries, problems, calls: templates.calls() }
    }

    /// Whether the top file may name one of the SLS for the target, by all that is known without its grains and
    /// pillar: false only if it does not for certain.
    pub fn may_name(&self, target: &str, wanted: &[String]) -> bool {
        let (map, answers) = (Map::new(), Answers::new());
        let templates = Templates::new(&self.state_engine, target, &map, &map, &answers);
        let Ok(Some(file)) = self.states.file("top.sls") else { return false };
        let template = |file: &SourceFile| templates.sls(file, "", &Map::new());
        let Ok(node) = render::render(&file, &template) else { return true };
        let minion = Minion { id: target, grains: &map, pillar: &map };
        let mut problems = Vec::new();
        top::sections(&node, &mut problems).iter().any(|section| {
            (section.expression.asks_for_data() || section.matches(&minion, &mut Vec::new()))
                && section.entries.iter().any(|entry| names(&entry.name, wanted))
        })
    }

    /// The pillar of a target.
    pub fn pillar(&self, request: &Request<'_>) -> Compiled {
        let mut compiled = Compiled::default();
        self.compile_pillar(request, &mut compiled);
        tidy(&mut compiled.problems);
        compiled
    }

    /// Compiles everything for a target.
    pub fn compile(&self, request: &Request<'_>) -> Compiled {
        let mut compiled = Compiled::default();
        self.compile_pillar(request, &mut compiled);
        // States must not be seen with half a pillar: they would ask the host the wrong questions.
        if !compiled.has_errors() && compiled.calls.is_empty() {
            self.compile_states(request, &mut compiled);
        }
        tidy(&mut compiled.problems);
        compiled
    }

    fn compile_pillar(&self, request: &Request<'_>, compiled: &mut Compiled) {
        let (engine, over) = (&self.pillar_engine, request.pillar);
        let templates = Templates::new(engine, request.target, request.grains, over, request.answers);
        let template = |file: &SourceFile, sls: &str, extra: &Map| templates.sls(file, sls, extra);
        let compiler = pillar::Compiler::new(&self.pillar, &template, &self.root.secrets);
        let (Pillar { data, secrets, leaks }, problems) =
            compiler.compile(request.target, request.grains, request.pillar);
        compiled.pillar = data;
        compiled.secrets = secrets;
        compiled.suspicions.extend(leaks);
        compiled.problems.extend(problems);
        compiled.calls.extend(templates.calls());
    }

    fn compile_states(&self, request: &Request<'_>, compiled: &mut Compiled) {
        let pillar = compiled.pillar.clone();
        let templates = self.templates(request, &pillar);
        let mut wanted: Vec<(String, Option<Position>)> =
            request.sls.iter().map(|name| (name.clone(), None)).collect();
        if wanted.is_empty() {
            let entries = self.top_entries(&templates, request, &pillar, &mut compiled.problems);
            if entries.is_empty() && !compiled.has_errors() {
                let message = format!("the top file gives nothing to `{}`", request.target);
                compiled.problems.push(Problem::error(message));
            }
            compiled.top = entries.iter().map(|entry| entry.name.clone()).collect();
            wanted = entries.into_iter().map(|entry| (entry.name, Some(entry.at))).collect();
        }
        let mut files = Files {
            folders: &self.states,
            templates: &templates,
            rendered: HashSet::new(),
            next_order: 10_000,
            problems: &mut compiled.problems,
        };
        let mut high = HighState::default();
        for (pattern, at) in wanted {
            for sls in or_itself(self.states.sls_matching(&pattern), &pattern) {
                if !files.rendered.contains(&sls) {
                    let new = files.sls(&sls, at.as_ref());
                    merge(&mut high, new, files.problems);
                }
            }
        }
        compiled.sls = files.rendered.into_iter().collect();
        compiled.calls.extend(templates.calls());
        // What a file that could not be read declares would be missed everywhere.
        if !compiled.has_errors() && compiled.calls.is_empty() {
            link(&mut high, compiled);
        } else {
            verify_alone(&mut high, compiled);
        }
        compiled.high = high;
    }

    pub(crate) fn templates(&self, request: &Request<'_>, pillar: &Map) -> Templates {
        Templates::new(&self.state_engine, request.target, request.grains, pillar, request.answers)
    }

    fn top_entries(
        &self,
        templates: &Templates,
        request: &Request<'_>,
        pillar: &Map,
        problems: &mut Vec<Problem>,
    ) -> Vec<TopEntry> {
        let file = match self.states.file("top.sls") {
            Ok(Some(file)) => file,
            Ok(None) => {
                let roots = self.states.shown().join("`, `");
                problems.push(Problem::error(format!("there is no `top.sls` in `{roots}`")));
                return Vec::new();
            }
            Err(error) => {
                problems.push(Problem::error(format!("`top.sls` cannot be read: {error}")));
                return Vec::new();
            }
        };
        let template = |file: &SourceFile| templates.sls(file, "", &Map::new());
        match render::render(&file, &template) {
            Ok(node) => {
                let sections = top::sections(&node, problems);
                let minion = Minion { id: request.target, grains: request.grains, pillar };
                top::entries(&sections, &minion, problems)
            }
            Err(problem) => {
                problems.push(problem);
                Vec::new()
            }
        }
    }
}

/// Whether a top file's entry, maybe a pattern, names one of the wanted SLS, maybe patterns.
pub fn names(entry: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| kstate_core::fnmatch(wanted, entry) || kstate_core::fnmatch(entry, wanted))
}

/// From all declarations to the chunks in order.
fn link(high: &mut HighState, compiled: &mut Compiled) {
    let problems = &mut compiled.problems;
    let extensions = std::mem::take(&mut high.extensions);
    reconcile(high, extensions, Finding::Lax, problems);
    verify::verify(high, problems);
    requisite_in::resolve(high, problems);
    high.apply_exclusions();
    if problems.iter().any(Problem::is_error) {
        return;
    }
    compiled.suspicions.extend(low::deaf_watches(high));
    let chunks = low::chunks(high, problems);
    if problems.iter().any(Problem::is_error) {
        return;
    }
    match Graph::link(chunks.clone()) {
        Ok(graph) => {
            problems.extend(graph.warnings().iter().cloned());
            compiled.graph = Some(graph);
        }
        Err(more) => {
            problems.extend(more);
            compiled.unordered = chunks;
        }
    }
}

/// Looks only at the form of what could be read.
fn verify_alone(high: &mut HighState, compiled: &mut Compiled) {
    // What an extension completes may be missing from the state itself.
    let extensions = std::mem::take(&mut high.extensions);
    reconcile(high, extensions, Finding::Lax, &mut Vec::new());
    verify::verify(high, &mut compiled.problems);
}

/// The files of a run, while they are rendered.
struct Files<'a> {
    folders: &'a Folders,
    templates: &'a Templates,
    rendered: HashSet<String>,
    /// The next number for a state without `order`.
    next_order: i64,
    problems: &'a mut Vec<Problem>,
}

impl Files<'_> {
    /// What an SLS and all that it includes declare.
    fn sls(&mut self, sls: &str, asked: Option<&Position>) -> HighState {
        let file = match self.folders.sls(sls) {
            Ok(Some(file)) => file,
            Ok(None) => {
                self.problems.push(pillar::missing(self.folders, sls, asked));
                return HighState::default();
            }
            Err(error) => {
                let mut problem = Problem::error(format!("the SLS `{sls}` cannot be read: {error}"));
                problem.at = asked.cloned();
                self.problems.push(problem);
                return HighState::default();
            }
        };
        let template = |file: &SourceFile| self.templates.sls(file, sls, &Map::new());
        let rendered = render::read(&file, &template);
        self.rendered.insert(sls.to_owned());
        let document = match rendered {
            Ok(document) => document,
            Err(problem) => {
                self.problems.push(problem);
                return HighState::default();
            }
        };
        let name: Arc<str> = sls.into();
        let declared = declare(document, &name, self.problems);
        let mut high = declared.high;
        for include in declared.includes {
            for included in self.included(sls, &file, &include) {
                if self.rendered.contains(&included) {
                    continue;
                }
                let mut more = self.sls(&included, Some(&include.at));
                for state in &mut more.states {
                    state.included_from.push(name.clone());
                }
                merge(&mut high, more, self.problems);
            }
        }
        self.number(&mut high);
        high
    }

    /// The SLS that an entry of `include` means. A leading dot means the package of the including SLS, each further
    /// one the package above.
    fn included(&mut self, sls: &str, file: &SourceFile, include: &Include) -> Vec<String> {
        let rest = include.name.trim_start_matches('.');
        let levels = include.name.len() - rest.len();
        let mut name = include.name.clone();
        if levels > 0 {
            let mut parts: Vec<&str> = sls.split('.').collect();
            if file.name.ends_with("/init.sls") {
                parts.push("init");
            }
            if levels > parts.len() {
                let message = format!("`{}` leads out of the tree", include.name);
                self.problems.push(Problem::error(message).at(&include.at));
                return Vec::new();
            }
            parts.truncate(parts.len() - levels);
            parts.push(rest);
            name = parts.join(".");
        }
        or_itself(self.folders.sls_matching(&name), &name)
    }

    /// Gives a number to each state without one, in the order of declaration. An alias of another state's body has its
    /// numbers, too.
    fn number(&mut self, high: &mut HighState) {
        for index in 0..high.states.len() {
            let twin = high.states[index]
                .twin
                .clone()
                .and_then(|twin| high.get(&twin))
                .map(|twin| twin.modules.clone());
            for module in &mut high.states[index].modules {
                let at = module.at.clone();
                let Body::List(items) = &mut module.body else { continue };
                if items.iter().any(|item| item.is_named("order")) {
                    continue;
                }
                let order = twin
                    .iter()
                    .flatten()
                    .find(|twin| twin.name == module.name)
                    .and_then(|twin| twin.items().iter().find(|item| item.is_named("order")).cloned());
                items.push(order.unwrap_or_else(|| {
                    self.next_order += 1;
                    Item::argument("order", Node::scalar(self.next_order - 1, at))
                }));
            }
        }
    }
}

/// Adds the declarations of another SLS. An id belongs to one SLS.
fn merge(high: &mut HighState, more: HighState, problems: &mut Vec<Problem>) {
    high.extensions.extend(more.extensions);
    high.exclusions.extend(more.exclusions);
    for state in more.states {
        match high.get(&state.id) {
            Some(first) => {
                let message =
                    format!("the id `{}` is declared in `{}` and in `{}`", state.id, first.sls, state.sls);
                let problem =
                    Problem::error(message).at(&state.at).of(&state.id).related("first here", &first.at);
                problems.push(problem.hint("an id stands once in a run; `name:` can repeat"));
            }
            None => high.states.push(state),
        }
    }
}

fn or_itself(found: Vec<String>, name: &str) -> Vec<String> {
    if found.is_empty() { vec![name.to_owned()] } else { found }
}

/// Every problem once, by file and line, however many files lead to its place.
fn tidy(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    problems.dedup_by(|a, b| a.sort_key() == b.sort_key() && a.id == b.id);
}
