//! Lists that stand in several places. Salt changes its lists where they are, so that what it adds to one is seen wherever
//! the same list stands: at every alias of an anchor, and where `use` has handed an argument on.

use std::collections::HashMap;
use std::sync::Arc;

use kstate_core::{Data, Node};

use super::effort::{Effort, PART, parts, parts_of_module};
use super::{Body, Extension, Item, State};

/// Which list it is. A clone is the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity(Arc<()>);

impl Identity {
    /// Whether it stands in another place, too.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(crate) fn is(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The lists of a file that stand in several places of it: those of modules, by the places of id and module, and those of
/// requisites, by the places of id, module and argument; bodies by the place of the id.
#[derive(Debug, Default)]
pub(crate) struct Aliases(HashMap<Vec<usize>, Identity>);

impl Aliases {
    /// `node` has the places of the rendered text: only there an alias can be told from a repetition.
    pub(crate) fn of(node: &Node) -> Aliases {
        let mut found: HashMap<(u32, u32, bool), Vec<Vec<usize>>> = HashMap::new();
        let mut add = |node: &Node, path: &[usize]| {
            let is_list = node.list().is_some();
            if is_list || node.map().is_some() {
                found.entry((node.at.line, node.at.column, is_list)).or_default().push(path.to_vec());
            }
        };
        for (id, (_, body)) in node.map().unwrap_or_default().iter().enumerate() {
            add(body, &[id]);
            for (module, (_, arguments)) in body.map().unwrap_or_default().iter().enumerate() {
                add(arguments, &[id, module]);
                for (place, argument) in arguments.list().unwrap_or_default().iter().enumerate() {
                    if let Some((_, value)) = argument.map().and_then(<[_]>::first) {
                        add(value, &[id, module, place]);
                    }
                }
            }
        }
        let mut aliases = Aliases::default();
        for paths in found.into_values().filter(|paths| paths.len() > 1) {
            let identity = Identity::default();
            aliases.0.extend(paths.into_iter().map(|path| (path, identity.clone())));
        }
        aliases
    }

    pub(crate) fn get(&self, path: &[usize]) -> Identity {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

/// Gives the functions that Salt appends to the list of a module to all places of the list: `modules` of different bodies.
pub(crate) fn join_functions(states: &mut [State]) {
    let mut added: Vec<(Identity, Item)> = Vec::new();
    let mut bodies: Vec<Identity> = Vec::new();
    for state in states.iter().filter(|state| state.modules.iter().any(|module| module.identity.is_shared()))
    {
        // The body of an alias is the same mapping, and its keys have been taken apart.
        if bodies.iter().any(|body| body.is(&state.identity)) {
            continue;
        }
        bodies.push(state.identity.clone());
        for module in state.modules.iter().filter(|module| module.identity.is_shared()) {
            added.extend(module.appended().map(|function| (module.identity.clone(), function.clone())));
        }
    }
    for module in states.iter_mut().flat_map(|state| &mut state.modules) {
        if !module.identity.is_shared() {
            continue;
        }
        let own = usize::from(module.appended().is_some());
        if let Body::List(items) = &mut module.body {
            items.truncate(items.len() - own);
            let functions = added.iter().filter(|(identity, _)| identity.is(&module.identity));
            items.extend(functions.map(|(_, function)| function.clone()));
        }
    }
}

/// Lets all places of a module's list have what it has now.
pub(crate) fn spread(states: &mut [State], state: usize, module: usize, effort: &mut Effort) {
    let changed = states[state].modules[module].clone();
    let steps = parts_of_module(&changed) * PART;
    for other in states.iter_mut().flat_map(|state| &mut state.modules) {
        let is_place = other.identity.is(&changed.identity);
        if !effort.allows(if is_place { steps } else { 1 }, &changed.at) {
            return;
        }
        if is_place {
            other.body = changed.body.clone();
        }
    }
}

/// Adds to a requisite's list in all its places, in states and in extensions that are yet to come.
pub(crate) fn grow(
    states: &mut [State],
    pending: &mut [Extension],
    list: &Identity,
    more: &[Node],
    effort: &mut Effort,
) {
    let steps = parts(more) * PART;
    let modules = states.iter_mut().flat_map(|state| &mut state.modules);
    for module in modules.chain(pending.iter_mut().flat_map(|extension| &mut extension.modules)) {
        let Body::List(items) = &mut module.body else { continue };
        for item in items {
            if let Item::Arguments { entries, identity, .. } = item
                && identity.is(list)
                && let Some((_, Node { data: Data::List(known), .. })) = entries.first_mut()
                && effort.allows(steps, &module.at)
            {
                known.extend_from_slice(more);
            }
        }
        if !effort.allows(1, &module.at) {
            return;
        }
    }
}
