//! Where a state that a requisite names stands, when it is no part of the run.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kstate_core::{Map, Position, Problem, Unmet, nearest};

use crate::compile::{Request, Tree};
use crate::gaps::Heads;
use crate::high::declare::declare;
use crate::high::{Exclusion, State};
use crate::render;
use crate::tree::SourceFile;

/// The tree around a run. Its other SLS are read only when something is missed, and only those that may have it.
pub(crate) struct Elsewhere<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) request: &'a Request<'a>,
    pub(crate) pillar: &'a Map,
    /// The SLS of the run.
    pub(crate) run: &'a BTreeSet<String>,
    pub(crate) survey: &'a Survey,
}

/// What the SLS of a tree declare by themselves for one target below one pillar. Each is read when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    heads: Mutex<HashMap<String, Option<Arc<Heads>>>>,
    states: Mutex<HashMap<String, Arc<[State]>>>,
}

/// What is known of an SLS, or is found out now.
fn known<V: Clone>(all: &Mutex<HashMap<String, V>>, sls: &str, find: impl FnOnce() -> V) -> V {
    let lock = || all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(sls) {
        return known.clone();
    }
    let found = find();
    lock().insert(sls.to_owned(), found.clone());
    found
}

impl Elsewhere<'_> {
    /// The problem of a requisite that names nothing, with what is known of what it names.
    pub(crate) fn explain(&self, unmet: Unmet, excluded: &[(State, Exclusion)]) -> Problem {
        let Unmet { module, name, problem } = unmet;
        if module == "sls" {
            return self.explain_sls(&name, problem);
        }
        let has_it = |state: &State| declares(state, &module, &name);
        if let Some((state, exclusion)) = excluded.iter().find(|(state, _)| has_it(state)) {
            return problem
                .related("it is declared here", &state.at)
                .related("and excluded here", exclusion.at());
        }
        let others = self.tree.states.sls_names().iter().filter(|sls| !self.run.contains(*sls));
        if let Some((sls, at)) = others.filter_map(|sls| Some((sls, self.find(sls, &module, &name)?))).next()
        {
            return problem.related(format!("`{sls}` declares it, and is not part of this run"), &at).hint(
                format!("`include` the SLS `{sls}`, or name it too, on the command line or in the top file"),
            );
        }
        match self.run.iter().find_map(|sls| self.heads(sls)?.written(&name).cloned()) {
            Some(at) if !self.is_declared(&problem, &at) => {
                let message =
                    format!("it stands here, in a part that is not rendered for `{}`", self.request.target);
                problem.related(message, &at)
            }
            _ => problem,
        }
    }

    fn explain_sls(&self, sls: &str, problem: Problem) -> Problem {
        let names = self.tree.states.sls_names();
        if self.run.contains(sls) {
            return problem
                .hint(format!("the SLS `{sls}` declares no state, so there is nothing to wait for"));
        }
        if names.iter().any(|name| name == sls) {
            return problem
                .hint(format!("there is an SLS `{sls}`, and it is not part of this run: `include` it"));
        }
        if !problem.hints.is_empty() {
            return problem;
        }
        let near = nearest(sls, names.iter().map(String::as_str), 1);
        near.into_iter().fold(problem, |problem, near| problem.hint(format!("did you mean `sls: {near}`?")))
    }

    /// Whether a place is one of those that the problem shows already: the state is there, under another module.
    fn is_declared(&self, problem: &Problem, at: &Position) -> bool {
        problem.related.iter().any(|(_, known)| known.file == at.file && known.line.abs_diff(at.line) < 2)
    }

    /// Where an SLS declares the state, by itself and for this target.
    fn find(&self, sls: &str, module: &str, name: &str) -> Option<Position> {
        if !self.heads(sls)?.may_declare(name) {
            return None;
        }
        let states = known(&self.survey.states, sls, || self.states(sls).unwrap_or_default().into());
        let found = states.iter().find(|state| declares(state, module, name))?;
        Some(found.at.clone())
    }

    fn states(&self, sls: &str) -> Option<Vec<State>> {
        let file = self.tree.states.sls(sls).ok()??;
        let templates = self.tree.templates(self.request, self.pillar, false);
        let template = |file: &SourceFile| templates.sls(file, sls, &Map::new());
        let document = render::read(&file, &template).ok()?;
        Some(declare(document, &Arc::from(sls), &mut Vec::new()).high.states)
    }

    fn heads(&self, sls: &str) -> Option<Arc<Heads>> {
        known(&self.survey.heads, sls, || {
            let file = self.tree.states.sls(sls).ok()??;
            Some(Arc::new(Heads::of(&self.tree.states, &file)))
        })
    }
}

/// Whether a state is of the module and has this id or name.
fn declares(state: &State, module: &str, name: &str) -> bool {
    let is_module = module == "id" || state.module(module).is_some();
    is_module && state.names().iter().any(|known| known == name)
}
