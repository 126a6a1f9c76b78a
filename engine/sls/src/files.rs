//! The SLS of a run: rendered with all that they include, and merged into one high state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kstate_core::{Map, Node, Position, Problem};

use crate::gaps::Gaps;
use crate::high::declare::{Include, declare};
use crate::high::shared::Identity;
use crate::high::{Body, HighState, Item};
use crate::limits;
use crate::pillar::missing;
use crate::render::{self, Unread};
use crate::templates::Templates;
use crate::tree::{Folders, SourceFile};

/// The files of a run, while they are rendered.
pub(crate) struct Files<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) templates: &'a Templates,
    pub(crate) pillar_is_partial: bool,
    /// By which `include` of which SLS each SLS came into the run first, if by one.
    seen: HashMap<String, Option<(Arc<str>, Position)>>,
    /// How many SLS include each other at the moment.
    depth: usize,
    /// The next number for a state without `order`.
    next_order: i64,
    pub(crate) gaps: Gaps,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(folders: &'a Folders, templates: &'a Templates, pillar_is_partial: bool) -> Self {
        Files {
            folders,
            templates,
            pillar_is_partial,
            seen: HashMap::new(),
            depth: 0,
            next_order: 10_000,
            gaps: Gaps::default(),
            problems: Vec::new(),
        }
    }

    /// What the wanted SLS, maybe patterns, declare, with where each of them was named.
    pub(crate) fn high_state(&mut self, wanted: Vec<(String, Option<Position>)>) -> HighState {
        let mut high = HighState::default();
        for (pattern, at) in wanted {
            for sls in or_itself(self.folders.sls_matching(&pattern), &pattern) {
                if !self.seen.contains_key(&sls) {
                    self.seen.insert(sls.clone(), None);
                    let new = self.sls(&sls, at.as_ref());
                    self.merge(&mut high, new);
                }
            }
        }
        high
    }

    /// The SLS of the run so far.
    pub(crate) fn sls_names(&self) -> BTreeSet<String> {
        self.seen.keys().cloned().collect()
    }

    /// What an SLS and all that it includes declare.
    fn sls(&mut self, sls: &str, asked: Option<&Position>) -> HighState {
        let file = match self.folders.sls(sls) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let problem = missing(self.folders, sls, asked);
                self.gaps.misspelt(sls, self.folders);
                self.problems.push(problem);
                return HighState::default();
            }
            Err(error) => {
                let mut problem = Problem::error(format!("the SLS `{sls}` cannot be read: {error}"));
                problem.at = asked.cloned();
                self.gaps.unknown(sls);
                self.problems.push(problem);
                return HighState::default();
            }
        };
        let template = |file: &SourceFile| self.templates.sls(file, sls, &Map::new());
        let document = match render::read(&file, &template) {
            Ok(document) => document,
            Err(Unread { problem, rendered }) => {
                match rendered {
                    Some(text) => self.gaps.text(sls, text),
                    None => self.gaps.template(sls, self.folders),
                }
                let problem = self.traced(problem, sls);
                self.problems.push(problem);
                return HighState::default();
            }
        };
        if document.waiting {
            self.gaps.template(sls, self.folders);
        } else if self.pillar_is_partial {
            self.gaps.pillar(sls, self.folders, &file);
        }
        let name: Arc<str> = sls.into();
        let declared = declare(document, &name, &mut self.problems);
        self.gaps.lose(declared.lost);
        if declared.is_lost {
            self.gaps.unknown(sls);
        }
        let mut high = declared.high;
        for include in declared.includes {
            for included in self.included(sls, &file, &include) {
                if self.seen.contains_key(&included) {
                    continue;
                }
                self.seen.insert(included.clone(), Some((name.clone(), include.at.clone())));
                let mut more = self.deeper(&included, &include.at);
                for state in &mut more.states {
                    state.included_from.push(name.clone());
                }
                self.merge(&mut high, more);
            }
        }
        self.number(&mut high);
        high
    }

    /// What an SLS declares that another one includes.
    fn deeper(&mut self, sls: &str, at: &Position) -> HighState {
        if self.depth == limits::INCLUDES {
            let message = format!("more than {} SLS include each other in a row", limits::INCLUDES);
            let problem = Problem::error(message).at(at).hint("include some of them from the first one");
            self.gaps.unknown(sls);
            self.problems.push(problem);
            return HighState::default();
        }
        self.depth += 1;
        let high = self.sls(sls, Some(at));
        self.depth -= 1;
        high
    }

    /// A problem with the includes that brought an SLS into the run.
    fn traced(&self, problem: Problem, sls: &str) -> Problem {
        let mut problem = problem;
        let mut sls = sls;
        while let Some(Some((by, at))) = self.seen.get(sls) {
            problem = problem.related(format!("`{sls}` is included here"), at);
            sls = by;
        }
        problem
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
                self.gaps.misspelt(rest, self.folders);
                return Vec::new();
            }
            parts.truncate(parts.len() - levels);
            parts.push(rest);
            name = parts.join(".");
        }
        or_itself(self.folders.sls_matching(&name), &name)
    }

    /// Gives a number to each state without one, in the order of declaration. Arguments that stand in several places have
    /// one number.
    fn number(&mut self, high: &mut HighState) {
        let mut shared: Vec<(Identity, Item)> = Vec::new();
        for module in high.states.iter_mut().flat_map(|state| &mut state.modules) {
            let Body::List(items) = &mut module.body else { continue };
            if items.iter().any(|item| item.is_named("order")) {
                continue;
            }
            let known = shared.iter().find(|(identity, _)| identity.is(&module.identity));
            let order = known.map(|(_, order)| order.clone()).unwrap_or_else(|| {
                self.next_order += 1;
                Item::argument("order", Node::scalar(self.next_order - 1, module.at.clone()))
            });
            if module.identity.is_shared() {
                shared.push((module.identity.clone(), order.clone()));
            }
            items.push(order);
        }
    }

    /// Adds the declarations of another SLS. An id belongs to one SLS.
    fn merge(&mut self, high: &mut HighState, more: HighState) {
        high.extensions.extend(more.extensions);
        high.exclusions.extend(more.exclusions);
        let known = high.places();
        for state in more.states {
            let Some(first) = known.get(&state.id).map(|&place| &high.states[place]) else {
                high.states.push(state);
                continue;
            };
            let message =
                format!("the id `{}` is declared in `{}` and in `{}`", state.id, first.sls, state.sls);
            let problem = Problem::error(message).at(&state.at).of(&state.id);
            let problem = self.traced(problem, &state.sls).related("first here", &first.at);
            let problem = self.traced(problem, &first.sls);
            self.problems.push(problem.hint("an id stands once in a run; `name:` can repeat"));
            self.gaps.lose(state.names());
        }
    }
}

fn or_itself(found: Vec<String>, name: &str) -> Vec<String> {
    if found.is_empty() { vec![name.to_owned()] } else { found }
}
