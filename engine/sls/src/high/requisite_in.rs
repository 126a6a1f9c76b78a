//! `require_in` and its like, `use` and `use_in`: what a state adds to others (Salt: `requisite_in`).

use std::collections::HashMap;
use std::sync::Arc;

use kstate_core::{Data, Node, Position, Problem, Unmet};

use super::effort::{Effort, PART, parts_of_module, size};
use super::extend::{Finding, entry, find_name, reconcile};
use super::shared::Identity;
use super::{Body, Extension, HighState, Item, Module, State, single};

/// The arguments that are looked at here, and by which name the targets get them.
const HANDLED: [(&str, &str); 7] = [
    ("require_in", "require"),
    ("watch_in", "watch"),
    ("onfail_in", "onfail"),
    ("onchanges_in", "onchanges"),
    ("prereq_in", "prereq"),
    ("use", "use"),
    ("use_in", "use"),
];

/// What `use` never copies, beside what the state has.
const NOT_USED: [&str; 15] = [
    "require_in",
    "watch_in",
    "onfail_in",
    "onchanges_in",
    "prereq_in",
    "use",
    "use_in",
    "require",
    "watch",
    "prereq",
    "onfail",
    "onfail_stop",
    "onchanges",
    "name",
    "names",
];

/// What it costs to add a state to a requisite: an entry has three parts.
const ADDITION: usize = 3 * PART;

/// Resolves them all, in the order of the declarations.
pub(crate) fn resolve(
    high: &mut HighState,
    unmet: &mut Vec<Unmet>,
    problems: &mut Vec<Problem>,
    effort: &mut Effort,
) {
    let mut additions = Additions::default();
    let (places, size) = (high.places(), size(high));
    for state in &high.states {
        for module in &state.modules {
            for item in module.items() {
                let Item::Arguments { entries, .. } = item else { continue };
                let Some((name, value)) = entries.first() else { continue };
                let handled = HANDLED.iter().find(|(handled, _)| name.text() == Some(handled));
                if let Some((key, requisite)) = handled {
                    let from = From { high, places: &places, size, state, module, key, requisite };
                    from.collect(value, &mut additions, unmet, problems, effort);
                }
            }
        }
    }
    reconcile(high, additions.extensions(), Finding::Strict, unmet, effort);
}

/// The extensions in the order in which their ids came up.
#[derive(Default)]
struct Additions {
    ids: Vec<Addition>,
    by_id: HashMap<String, usize>,
}

struct Addition {
    id: String,
    at: Position,
    /// The SLS that adds a requisite; `use` leaves none, so that no `exclude` stops it.
    sls: Option<Arc<str>>,
    modules: Vec<(String, Vec<Item>)>,
}

impl Additions {
    fn to(&mut self, id: &str, at: &Position) -> &mut Addition {
        let index = *self.by_id.entry(id.to_owned()).or_insert(self.ids.len());
        if index == self.ids.len() {
            let (id, at) = (id.to_owned(), at.clone());
            self.ids.push(Addition { id, at, sls: None, modules: Vec::new() });
        }
        &mut self.ids[index]
    }

    fn extensions(self) -> Vec<Extension> {
        let extension = |Addition { id, at, sls, modules }| {
            let module = |(name, items)| {
                let identity = Identity::default();
                Module { name, at: at.clone(), body: Body::List(items), identity }
            };
            Extension { modules: modules.into_iter().map(module).collect(), id, at: at.clone(), sls }
        };
        self.ids.into_iter().map(extension).collect()
    }
}

impl Addition {
    fn items(&mut self, module: &str) -> &mut Vec<Item> {
        let modules = &mut self.modules;
        let place = modules.iter().position(|(known, _)| known == module).unwrap_or(modules.len());
        if place == modules.len() {
            modules.push((module.to_owned(), Vec::new()));
        }
        &mut modules[place].1
    }
}

/// The state whose argument is looked at.
struct From<'a> {
    high: &'a HighState,
    /// Where each id stands in it.
    places: &'a HashMap<String, usize>,
    /// The steps that it takes to look at all of it.
    size: usize,
    state: &'a State,
    module: &'a Module,
    key: &'a str,
    requisite: &'a str,
}

impl From<'_> {
    fn collect(
        &self,
        value: &Node,
        additions: &mut Additions,
        unmet: &mut Vec<Unmet>,
        problems: &mut Vec<Problem>,
        effort: &mut Effort,
    ) {
        match &value.data {
            Data::Map(entries) => {
                for (module, name) in entries {
                    if !effort.allows(ADDITION, &value.at) {
                        return;
                    }
                    if let Some((module, name)) = self.names(module, name, problems) {
                        self.add(&name, &module, &value.at, additions);
                    }
                }
            }
            Data::List(items) => {
                // Salt goes over the targets of the earlier entries again with each entry, which adds nothing new. A long
                // list is spared that.
                let mut hinges: Vec<(String, String)> = Vec::new();
                for item in items {
                    if item.text().is_some() && !effort.allows(self.size, &item.at) {
                        return;
                    }
                    let Some((module, name)) = self.target(item, unmet, problems) else { continue };
                    let mut repeated = hinges.len();
                    if module == "sls" {
                        hinges = self.of_file(&name);
                        repeated = 0;
                    } else {
                        hinges.push((name, module));
                    }
                    let first = if effort.allows_repeats(repeated) { 0 } else { repeated };
                    for (name, module) in &hinges[first..] {
                        if !effort.allows(self.cost(name), &item.at) {
                            return;
                        }
                        match self.key {
                            "use" => self.take_from(name, module, &item.at, additions),
                            "use_in" => self.give_to(name, module, &item.at, additions),
                            _ => self.add(name, module, &item.at, additions),
                        }
                    }
                }
            }
            _ => {
                let message = format!("`{}` is a list of states; Salt passes over anything else", self.key);
                let problem = Problem::warning(message).at(&value.at).of(&self.state.id);
                problems.push(problem.hint("write each as `- module: name`"));
            }
        }
    }

    /// The module and the name that an entry means.
    fn target(
        &self,
        item: &Node,
        unmet: &mut Vec<Unmet>,
        problems: &mut Vec<Problem>,
    ) -> Option<(String, String)> {
        if let Data::Map(entries) = &item.data {
            let (module, name) = entries.first()?;
            if single(item).is_none() {
                let message =
                    format!("an entry of `{}` is `module: name`; Salt reads only the first", self.key);
                problems.push(Problem::warning(message).at(&item.at).of(&self.state.id));
            }
            return self.names(module, name, problems);
        }
        let name = item.text()?;
        if let Some(state) = self.get(name) {
            return state.modules.first().map(|module| (module.name.clone(), name.to_owned()));
        }
        // An id is found by its `name`, too.
        for state in &self.high.states {
            for module in &state.modules {
                let named = |item: &Item| match item {
                    Item::Arguments { entries, .. } => entries
                        .iter()
                        .any(|(key, value)| key.text() == Some("name") && value.text() == Some(name)),
                    _ => false,
                };
                if module.items().iter().any(named) {
                    return Some((module.name.clone(), state.id.clone()));
                }
            }
        }
        let message =
            format!("`{}` names `{name}`, which is no state of this run; it has no effect", self.key);
        let problem = Problem::warning(message).at(&item.at).of(&self.state.id);
        unmet.push(Unmet { module: "id".to_owned(), name: name.to_owned(), problem });
        None
    }

    fn names(&self, module: &Node, name: &Node, problems: &mut Vec<Problem>) -> Option<(String, String)> {
        let mut push = |problem: Problem, hint: &str| {
            problems.push(problem.at(&module.at).of(&self.state.id).hint(hint));
        };
        let (Some(module_name), Some(name)) = (module.text(), name.text()) else {
            let message = format!("`{}` names states by text", self.key);
            // Salt finds nothing to use, and says nothing.
            let problem = if self.requisite == "use" && module.text().is_some() {
                Problem::warning(message)
            } else {
                Problem::error(message)
            };
            push(problem, "quote the name");
            return None;
        };
        if let Some((short, _)) = module_name.split_once('.') {
            let message = format!("`{}` names a module, without a function", self.key);
            push(Problem::error(message), &format!("write `- {short}: {name}`"));
            return None;
        }
        Some((module_name.to_owned(), name.to_owned()))
    }

    fn get(&self, id: &str) -> Option<&State> {
        self.places.get(id).map(|&place| &self.high.states[place])
    }

    /// The states that `use` or `use_in` means, which have the module.
    fn used(&self, name: &str, module: &str) -> impl Iterator<Item = (&State, &Module)> {
        let found = find_name(self.high, self.places.get(name).copied(), name, module, Finding::Strict);
        let states = found.into_iter().map(|place| &self.high.states[place]);
        let module = module.to_owned();
        states.filter_map(move |state| Some((state, state.module(&module)?)))
    }

    /// The steps that it takes to add what a name means.
    fn cost(&self, name: &str) -> usize {
        match (self.requisite, self.get(name)) {
            ("use", Some(other)) => {
                let items = other.modules.iter().map(|module| module.items().len()).sum::<usize>();
                items * self.module.items().len() + parts_of_module(self.module) * PART
            }
            ("use", None) => self.size + parts_of_module(self.module) * PART,
            _ => ADDITION,
        }
    }

    /// All states of a SLS.
    fn of_file(&self, sls: &str) -> Vec<(String, String)> {
        let states = self.high.states.iter().filter(|state| *state.sls == *sls);
        states
            .flat_map(|state| state.modules.iter().map(|module| (state.id.clone(), module.name.clone())))
            .collect()
    }

    /// Adds this state to a requisite of another.
    fn add(&self, name: &str, module: &str, at: &Position, additions: &mut Additions) {
        let addition = additions.to(name, at);
        addition.sls = Some(self.state.sls.clone());
        let items = addition.items(module);
        let new = entry(&self.module.name, &self.state.id, at);
        let mut found = false;
        for item in items.iter_mut().filter(|item| item.is_named(self.requisite)) {
            let Item::Arguments { entries, .. } = item else { continue };
            if let Some((_, Node { data: Data::List(list), .. })) = entries.first_mut() {
                list.push(new.clone());
                found = true;
            }
        }
        if !found {
            let list = Node { data: Data::List(vec![new]), at: at.clone() };
            items.push(Item::argument(self.requisite, list));
        }
    }

    /// `use`: this state gets the arguments of another that it lacks.
    fn take_from(&self, name: &str, module: &str, at: &Position, additions: &mut Additions) {
        for (_, source) in self.used(name, module) {
            let items = additions.to(&self.state.id, at).items(&self.module.name);
            items.extend(lacking(source, self.module));
        }
    }

    /// `use_in`: another state gets the arguments of this one that it lacks.
    fn give_to(&self, name: &str, module: &str, at: &Position, additions: &mut Additions) {
        for (state, target) in self.used(name, module) {
            let items = additions.to(&state.id, at).items(module);
            items.extend(lacking(self.module, target));
        }
    }
}

/// The arguments of one state that another lacks and may take over.
fn lacking(source: &Module, target: &Module) -> Vec<Item> {
    let wanted = |item: &&Item| {
        let Some((name, _)) = item.single() else { return false };
        let has = |item: &Item| item.single().is_some_and(|(known, _)| known.value() == name.value());
        !name.text().is_some_and(|name| NOT_USED.contains(&name)) && !target.items().iter().any(has)
    };
    source.items().iter().filter(wanted).cloned().collect()
}
