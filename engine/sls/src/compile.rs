//! From a tree to what one target shall be: pillar, top file, high state, chunks in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use kstate_core::{Call, Chunk, Graph, Map, Position, Problem};

use crate::elsewhere::{Elsewhere, Survey};
use crate::files::Files;
use crate::high::HighState;
use crate::jinja::Answers;
use crate::link::{Linked, link};
use crate::matching::Minion;
use crate::pillar::{self, Pillar};
use crate::render;
use crate::root::Root;
use crate::roster::{self, Target};
use crate::storage::{Disk, Storage};
use crate::templates::{Engines, Templates};
use crate::top::{self, Section, TopEntry};
use crate::tree::{Folders, SourceFile};

/// The files of a root, read once for all targets.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    storage: Arc<dyn Storage>,
    pub(crate) states: Arc<Folders>,
    pillar: Arc<Folders>,
    state_engines: Engines,
    pillar_engines: Engines,
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
    /// Whether parts of it could not be read.
    pub pillar_is_partial: bool,
    /// Texts of the pillar that must not be shown.
    pub secrets: BTreeSet<String>,
    /// What the top file gives to the target; empty if SLS were named.
    pub top: Vec<String>,
    /// Whether there are mistakes in the top file.
    pub top_is_partial: bool,
    /// Every SLS that was read for it, by name or by `include`.
    pub sls: BTreeSet<String>,
    pub high: HighState,
    /// The chunks in order; none if there are errors.
    pub graph: Option<Arc<Graph>>,
    /// The chunks that are sound, as declared, where there are errors.
    unordered: Vec<Chunk>,
    /// Every problem once, by file and line.
    pub problems: Vec<Problem>,
    /// What is not wrong, and hardly meant.
    pub suspicions: Vec<Problem>,
    /// What templates asked the host without an answer, also what was refused. Unless it is empty, all else is
    /// provisional: ask the host, and compile again with the answers.
    pub calls: Vec<Call>,
}

/// A target's pillar, below which SLS are compiled one by one.
#[derive(Debug, Default)]
pub struct Below {
    pillar: Compiled,
    survey: Survey,
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
        self.graph.as_deref().map_or(&self.unordered, Graph::chunks)
    }

    /// Its pillar, for further SLS.
    pub fn below(self) -> Below {
        let Compiled { pillar, pillar_is_partial, secrets, .. } = self;
        let pillar = Compiled { pillar, pillar_is_partial, secrets, ..Compiled::default() };
        Below { pillar, survey: Survey::default() }
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
        let state_engines = Engines::new(&states, &root.options);
        let pillar_engines = Engines::new(&pillar, &root.options);
        Tree { root, storage, states, pillar, state_engines, pillar_engines }
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

    /// The hosts of the roster, which is a template itself, with what is wrong with it.
    pub fn roster(&self) -> (Vec<Target>, Vec<Problem>) {
        let folder = self.root.roster.parent().unwrap_or(&self.root.dir).to_path_buf();
        let name = self.root.roster.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folders = Arc::new(Folders::new(vec![folder], self.root.dir.clone(), self.storage.clone()));
        let shown = self.root.shown(&self.root.roster);
        let file = match folders.file(name) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let problem = Problem::error(format!("there is no roster `{shown}`"));
                return (Vec::new(), vec![problem.hint("write one: a line `name: address` for each host")]);
            }
            Err(error) => {
                return (Vec::new(), vec![Problem::error(format!("`{shown}` cannot be read: {error}"))]);
            }
        };
        let (map, answers) = (Map::new(), Answers::default());
        let engines = Engines::new(&folders, &self.root.options);
        let templates = Templates::new(&engines, "", &map, &map, &answers);
        let template = |file: &SourceFile| templates.sls(file, "", &Map::new());
        let node = match render::render(&file, &template) {
            Ok(node) => node,
            Err(problem) => return (Vec::new(), vec![problem]),
        };
        let mut problems = Vec::new();
        let targets = roster::targets(&node, &self.root.options.roster, &self.root.dir, &mut problems);
        Problem::tidy(&mut problems);
        (targets, problems)
    }

    /// What the top file gives to a target. `pillar` is its compiled pillar.
    pub fn top(&self, request: &Request<'_>, pillar: &Map) -> Top {
        let templates = self.templates(request, pillar, false);
        let mut problems = Vec::new();
        let sections = self.top_sections(&templates, &mut problems).unwrap_or_default();
        let minion = Minion { id: request.target, grains: request.grains, pillar };
        let entries = top::entries(&sections, &minion, &mut problems);
        Problem::tidy(&mut problems);
        Top { entries, problems, calls: templates.calls() }
    }

    /// Whether the top file may name one of the SLS for the target, by all that is known without its grains and
    /// pillar: false only if it does not for certain.
    pub fn may_name(&self, target: &str, wanted: &[String]) -> bool {
        let (map, answers) = (Map::new(), Answers::default());
        let templates = Templates::new(&self.state_engines, target, &map, &map, &answers);
        let Ok(Some(file)) = self.states.file(self.root.options.top()) else { return false };
        let template = |file: &SourceFile| templates.sls(file, "", &Map::new());
        let Ok(node) = render::render(&file, &template) else { return true };
        let minion = Minion { id: target, grains: &map, pillar: &map };
        let mut problems = Vec::new();
        top::sections(&node, &self.root.options.groups, &mut problems).iter().any(|section| {
            (section.expression.asks_for_data() || section.matches(&minion, &mut Vec::new()))
                && section.entries.iter().any(|entry| names(&entry.name, wanted))
        })
    }

    /// The pillar of a target.
    pub fn pillar(&self, request: &Request<'_>) -> Compiled {
        let mut compiled = Compiled::default();
        self.compile_pillar(request, &mut compiled);
        Problem::tidy(&mut compiled.problems);
        compiled
    }

    /// Compiles everything for a target. A mistake hides no other, but what may only come of it.
    pub fn compile(&self, request: &Request<'_>) -> Compiled {
        let mut compiled = Compiled::default();
        self.compile_pillar(request, &mut compiled);
        // With a pillar that waits for the host they would ask the host the wrong questions.
        if compiled.has_errors() || compiled.calls.is_empty() {
            self.compile_states(request, &mut compiled, &Survey::default());
        }
        Problem::tidy(&mut compiled.problems);
        compiled
    }

    /// Compiles states for a target below a pillar that has been compiled.
    pub fn compile_below(&self, request: &Request<'_>, below: &Below) -> Compiled {
        let mut compiled = below.pillar.clone();
        self.compile_states(request, &mut compiled, &below.survey);
        Problem::tidy(&mut compiled.problems);
        compiled
    }

    fn compile_pillar(&self, request: &Request<'_>, compiled: &mut Compiled) {
        let (engines, over) = (&self.pillar_engines, request.pillar);
        let templates = Templates::new(engines, request.target, request.grains, over, request.answers);
        let template = |file: &SourceFile, sls: &str, extra: &Map| templates.sls(file, sls, extra);
        let compiler = pillar::Compiler::new(&self.pillar, &template, &self.root, request.pillar);
        let (Pillar { data, secrets, leaks }, problems) = compiler.compile(request.target, request.grains);
        compiled.pillar = data;
        compiled.secrets = secrets;
        compiled.suspicions.extend(leaks);
        compiled.pillar_is_partial = problems.iter().any(Problem::is_error);
        compiled.problems.extend(problems);
        compiled.calls.extend(templates.calls());
    }

    fn compile_states(&self, request: &Request<'_>, compiled: &mut Compiled, survey: &Survey) {
        let pillar = compiled.pillar.clone();
        let templates = self.templates(request, &pillar, compiled.pillar_is_partial);
        let mut files = Files::new(&self.states, &templates, compiled.pillar_is_partial);
        let mut wanted: Vec<(String, Option<Position>)> =
            request.sls.iter().map(|name| (name.clone(), None)).collect();
        if wanted.is_empty() {
            let entries = self.wanted_by_top(request, &pillar, &mut files);
            compiled.top_is_partial = files.problems.iter().any(Problem::is_error);
            compiled.top = entries.iter().map(|entry| entry.name.clone()).collect();
            wanted = entries.into_iter().map(|entry| (entry.name, Some(entry.at))).collect();
        }
        let high = files.high_state(wanted);
        compiled.sls = files.sls_names();
        compiled.calls.extend(templates.calls());
        let elsewhere = Elsewhere { tree: self, request, pillar: &pillar, run: &compiled.sls, survey };
        let Linked { high, graph, problems, suspicions } = link(high, files, &elsewhere);
        compiled.suspicions.extend(suspicions);
        compiled.high = high;
        compiled.problems.extend(problems);
        if compiled.has_errors() || !compiled.calls.is_empty() {
            compiled.unordered = graph.map_or_else(|chunks| chunks, Graph::into_chunks);
        } else {
            compiled.graph = graph.ok().map(Arc::new);
        }
    }

    /// What the top file gives to the target. A top file that cannot be read is a mistake of the run, and so is one
    /// that gives nothing, unless the pillar that it asks for is not whole.
    fn wanted_by_top(&self, request: &Request<'_>, pillar: &Map, files: &mut Files<'_>) -> Vec<TopEntry> {
        let sections = match self.top_sections(files.templates, &mut files.problems) {
            Some(sections) => sections,
            None => return Vec::new(),
        };
        let minion = Minion { id: request.target, grains: request.grains, pillar };
        let is_open = |section: &&Section| files.pillar_is_partial && section.expression.asks_for_data();
        let open: Vec<&Section> = sections.iter().filter(is_open).collect();
        let entries = top::entries(&sections, &minion, &mut files.problems);
        let given = |name: &str| entries.iter().any(|entry| entry.name == name);
        for entry in open.iter().flat_map(|section| &section.entries).filter(|entry| !given(&entry.name)) {
            files.gaps.template(&entry.name, &self.states);
        }
        if entries.is_empty() && open.is_empty() && !files.problems.iter().any(Problem::is_error) {
            files.problems.push(top::gives_nothing(
                request.target,
                &sections,
                &self.states,
                self.root.options.top(),
            ));
        }
        entries
    }

    pub(crate) fn templates(&self, request: &Request<'_>, pillar: &Map, is_partial: bool) -> Templates {
        let Request { target, grains, answers, .. } = *request;
        let templates = Templates::new(&self.state_engines, target, grains, pillar, answers);
        if is_partial { templates.with_partial_pillar() } else { templates }
    }

    /// The sections of the top file; none if it cannot be read.
    fn top_sections(&self, templates: &Templates, problems: &mut Vec<Problem>) -> Option<Vec<Section>> {
        let top = self.root.options.top();
        let file = match self.states.file(top) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let roots = self.states.shown().join("`, `");
                let problem = Problem::error(format!("there is no `{top}` in `{roots}`"));
                let is_there = self.states.roots().iter().any(|root| self.storage.is_folder(root));
                problems.push(if is_there {
                    problem
                        .hint("write one: `base:`, below it target expressions, and below each a list of SLS")
                } else {
                    problem.hint("there is no such folder: `file_roots` in the settings names it")
                });
                return None;
            }
            Err(error) => {
                problems.push(Problem::error(format!("`{top}` cannot be read: {error}")));
                return None;
            }
        };
        let template = |file: &SourceFile| templates.sls(file, "", &Map::new());
        match render::render(&file, &template) {
            Ok(node) => Some(top::sections(&node, &self.root.options.groups, problems)),
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    }
}

/// Whether a top file's entry, maybe a pattern, names one of the wanted SLS, maybe patterns.
pub fn names(entry: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| kstate_core::fnmatch(wanted, entry) || kstate_core::fnmatch(entry, wanted))
}
