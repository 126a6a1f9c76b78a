//! `extend`, and what the `_in` requisites add to other states (Salt: `reconcile_extend`, `find_name`).

use kstate_core::{Data, Node, Problem, Unmet, nearest};

use super::verify::is_requisite;
use super::{Body, Exclusion, Extension, HighState, Item, State};

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
    extensions: Vec<Extension>,
    finding: Finding,
    unmet: &mut Vec<Unmet>,
) {
    for extension in extensions {
        let Some(first) = extension.modules.first() else { continue };
        let known = high.get(&extension.id).is_some_and(|state| state.module(&first.name).is_some());
        let target = if known {
            extension.id.clone()
        } else {
            match find_name(high, &extension.id, &first.name, finding).as_slice() {
                [only] => only.clone(),
                found => {
                    unmet.push(Unmet {
                        module: first.name.clone(),
                        name: extension.id.clone(),
                        problem: missing(high, &extension, &first.name, found),
                    });
                    continue;
                }
            }
        };
        let excluded = high
            .exclusions
            .iter()
            .any(|exclusion| matches!(exclusion, Exclusion::Sls(sls, _) if **sls == *extension.sls));
        if excluded {
            continue;
        }
        let Some(state) = high.states.iter_mut().find(|state| state.id == target) else { continue };
        for module in extension.modules {
            match state.modules.iter_mut().find(|known| known.name == module.name) {
                None => state.modules.push(module),
                Some(known) => {
                    // A body that is no list is an error of its own.
                    if let (Body::List(items), Body::List(new)) = (&mut known.body, module.body) {
                        new.into_iter().for_each(|item| merge(items, item));
                    }
                }
            }
        }
    }
}

/// The ids that Salt finds for a name: by id, else by any argument that has it as its value.
pub(crate) fn find_name(high: &HighState, name: &str, module: &str, finding: Finding) -> Vec<String> {
    if let Some(state) = high.get(name)
        && (finding == Finding::Lax || state.module(module).is_some())
    {
        return vec![name.to_owned()];
    }
    let mut found = Vec::new();
    if module == "sls" {
        return high
            .states
            .iter()
            .filter(|state| *state.sls == *name)
            .map(|state| state.id.clone())
            .collect();
    }
    for state in &high.states {
        let Some(module) = state.module(module) else { continue };
        let named = |item: &&Item| item.single().is_some_and(|(_, value)| value.text() == Some(name));
        found.extend(module.items().iter().filter(named).map(|_| state.id.clone()));
    }
    found
}

fn merge(items: &mut Vec<Item>, new: Item) {
    let mut done = false;
    for item in items.iter_mut() {
        match (&new, &mut *item) {
            (Item::Function { .. }, Item::Function { .. }) => {
                *item = new.clone();
                done = true;
            }
            (Item::Arguments { entries, .. }, Item::Arguments { entries: old, .. }) => {
                let (Some((name, value)), Some((old_name, old_value))) = (entries.first(), old.first_mut())
                else {
                    continue;
                };
                if name.value() == old_name.value() {
                    if name.text().is_some_and(is_requisite) {
                        if let (Data::List(old), Data::List(more)) = (&mut old_value.data, &value.data) {
                            old.extend(more.iter().cloned());
                        }
                    } else {
                        *item = new.clone();
                    }
                    done = true;
                } else if name.text() == Some("name") && old_name.text() == Some("names") {
                    *item = new.clone();
                }
            }
            _ => {}
        }
    }
    if !done {
        items.push(new);
    }
}

fn missing(high: &HighState, extension: &Extension, module: &str, found: &[String]) -> Problem {
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
    for id in found {
        problem = place(problem, id);
    }
    if !found.is_empty() {
        return problem.hint("name the state by its id");
    }
    if let Some(state) = high.get(id) {
        let modules: Vec<String> = state.modules.iter().map(|module| format!("`{}`", module.name)).collect();
        return place(problem, id).hint(format!("`{id}` has {}", modules.join(", ")));
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
