//! `extend`, and what the `_in` requisites add to other states (Salt: `reconcile_extend`, `find_name`).

use kstate_core::{Data, Node, Problem, Unmet, nearest};

use super::effort::{Effort, size};
use super::shared::{grow, spread};
use super::verify::is_requisite;
use super::{Body, Exclusion, Extension, HighState, Item, State};
use crate::limits;

/// Whether an id must have the module to be found by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The `_in` requisites.
    Strict,
    /// `extend`.
    Lax,
}

/// Adds the extensions to the declarations they name.
pub(crate) fn reconcile(
    high: &mut HighState,
    mut extensions: Vec<Extension>,
    finding: Finding,
    unmet: &mut Vec<Unmet>,
    effort: &mut Effort,
) {
    let (places, size) = (high.places(), size(high));
    for place in 0..extensions.len() {
        let extension = &extensions[place];
        let Some(first) = extension.modules.first() else { continue };
        let own = places.get(&extension.id).copied();
        let known = own.filter(|&own| high.states[own].module(&first.name).is_some());
        let state = if let Some(known) = known {
            known
        } else {
            if !effort.allows(size, &extension.at) {
                return;
            }
            match find_name(high, own, &extension.id, &first.name, finding).as_slice() {
                [only] => *only,
                found => {
                    unmet.push(Unmet {
                        module: first.name.clone(),
                        name: extension.id.clone(),
                        problem: missing(high, extension, &first.name, found, unmet.len() < limits::HINTED),
                    });
                    continue;
                }
            }
        };
        let is_excluded = |exclusion: &Exclusion| match exclusion {
            Exclusion::Sls(sls, _) => Some(sls.as_str()) == extension.sls.as_deref(),
            Exclusion::Id(..) => false,
        };
        if high.exclusions.iter().any(is_excluded) {
            continue;
        }
        for module in 0..extension.modules.len() {
            extend(&mut high.states, state, &mut extensions, (place, module), effort);
        }
        // What it gave is no longer shared with it.
        extensions[place].modules.clear();
    }
}

/// The states that Salt finds for a name: by id, which has the place `own`, else by any argument that has it as its value.
pub(crate) fn find_name(
    high: &HighState,
    own: Option<usize>,
    name: &str,
    module: &str,
    finding: Finding,
) -> Vec<usize> {
    if let Some(own) = own
        && (finding == Finding::Lax || high.states[own].module(module).is_some())
    {
        return vec![own];
    }
    let states = high.states.iter().enumerate();
    if module == "sls" {
        return states.filter(|(_, state)| *state.sls == *name).map(|(place, _)| place).collect();
    }
    let mut found = Vec::new();
    for (place, state) in states {
        let Some(module) = state.module(module) else { continue };
        let named = |item: &&Item| item.single().is_some_and(|(_, value)| value.text() == Some(name));
        found.extend(module.items().iter().filter(named).map(|_| place));
    }
    found
}

/// Extends a module of a state, or gives the state the module.
fn extend(
    states: &mut [State],
    state: usize,
    extensions: &mut [Extension],
    (place, new): (usize, usize),
    effort: &mut Effort,
) {
    let module = &extensions[place].modules[new];
    let modules = &mut states[state].modules;
    let Some(known) = modules.iter().position(|known| known.name == module.name) else {
        modules.push(module.clone());
        return;
    };
    // A body that is no list is an error of its own.
    if matches!(modules[known].body, Body::Other(_)) {
        return;
    }
    for item in 0..module.items().len() {
        merge(states, (state, known), extensions, (place, new, item), effort);
        if effort.is_passed() {
            return;
        }
    }
    if states[state].modules[known].identity.is_shared() {
        spread(states, state, known, effort);
    }
}

/// Merges one item of an extension into the items of a module.
fn merge(
    states: &mut [State],
    (state, module): (usize, usize),
    extensions: &mut [Extension],
    (place, new, item): (usize, usize, usize),
    effort: &mut Effort,
) {
    let mut done = false;
    let count = states[state].modules[module].items().len();
    if !effort.allows(count, &extensions[place].at) {
        return;
    }
    for index in 0..count {
        // What is new may have grown with what it was added to.
        let new = &extensions[place].modules[new].items()[item];
        let Body::List(items) = &mut states[state].modules[module].body else { return };
        match meeting(&items[index], new) {
            Meeting::None => {}
            Meeting::Replaces => {
                items[index] = new.clone();
                done = true;
            }
            Meeting::NameForNames => items[index] = new.clone(),
            Meeting::Adds(more) => {
                done = true;
                add(states, (state, module, index), extensions, &more, effort);
            }
        }
    }
    let new = &extensions[place].modules[new].items()[item];
    if let Body::List(items) = &mut states[state].modules[module].body
        && !done
    {
        items.push(new.clone());
    }
}

/// What a new item does to one that is there.
enum Meeting {
    None,
    Replaces,
    /// It replaces it, and is added, too.
    NameForNames,
    /// It adds to the list of a requisite.
    Adds(Vec<Node>),
}

fn meeting(known: &Item, new: &Item) -> Meeting {
    match (known, new) {
        (Item::Function { .. }, Item::Function { .. }) => Meeting::Replaces,
        (Item::Arguments { entries: known, .. }, Item::Arguments { entries: new, .. }) => {
            let (Some((known, _)), Some((name, value))) = (known.first(), new.first()) else {
                return Meeting::None;
            };
            if is_same(name, known) {
                match name.text().is_some_and(is_requisite) {
                    true => Meeting::Adds(value.list().unwrap_or_default().to_vec()),
                    false => Meeting::Replaces,
                }
            } else if name.text() == Some("name") && known.text() == Some("names") {
                Meeting::NameForNames
            } else {
                Meeting::None
            }
        }
        _ => Meeting::None,
    }
}

/// Whether they have one value.
fn is_same(a: &Node, b: &Node) -> bool {
    match (a.text(), b.text()) {
        (None, None) => a.value() == b.value(),
        (a, b) => a == b,
    }
}

/// Adds to the list of a requisite, wherever it stands.
fn add(
    states: &mut [State],
    (state, module, item): (usize, usize, usize),
    extensions: &mut [Extension],
    more: &[Node],
    effort: &mut Effort,
) {
    let Body::List(items) = &mut states[state].modules[module].body else { return };
    let Item::Arguments { entries, identity, .. } = &mut items[item] else { return };
    if identity.is_shared() {
        let identity = identity.clone();
        grow(states, extensions, &identity, more, effort);
    } else if let Some((_, Node { data: Data::List(known), .. })) = entries.first_mut() {
        known.extend_from_slice(more);
    }
}

fn missing(high: &HighState, extension: &Extension, module: &str, found: &[usize], hinted: bool) -> Problem {
    let id = &extension.id;
    let problem = if found.is_empty() {
        Problem::error(format!("there is no state `{module}: {id}` in this run to add to"))
    } else {
        Problem::error(format!("several states could be meant by `{module}: {id}`"))
    };
    let mut problem = problem.at(&extension.at).of(id);
    let place = |problem: Problem, id: &str| match high.get(id) {
        Some(state) => problem.related(format!("`{id}`"), &state.at),
        None => problem,
    };
    for state in found.iter().map(|&found| &high.states[found]) {
        problem = problem.related(format!("`{}`", state.id), &state.at);
    }
    if !found.is_empty() {
        return problem.hint("name the state by its id");
    }
    if let Some(state) = high.get(id) {
        let modules: Vec<String> = state.modules.iter().map(|module| format!("`{}`", module.name)).collect();
        return place(problem, id).hint(format!("`{id}` has {}", modules.join(", ")));
    }
    if !hinted {
        return problem;
    }
    let ids = |state: &&State| state.module(module).is_some();
    for near in nearest(id, high.states.iter().filter(ids).map(|state| state.id.as_str()), 3) {
        problem = place(problem.hint(format!("did you mean `{near}`?")), near);
    }
    problem
}

/// `[{module: id}]` as one more entry of a requisite.
pub(crate) fn entry(module: &str, id: &str, at: &kstate_core::Position) -> Node {
    let pair = (Node::scalar(module, at.clone()), Node::scalar(id, at.clone()));
    Node { data: Data::Map(vec![pair]), at: at.clone() }
}
