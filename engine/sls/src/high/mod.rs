//! The high state: what the SLS of a run declare, by id, before it is taken apart into chunks.

pub(crate) mod declare;
pub(crate) mod effort;
pub(crate) mod extend;
pub(crate) mod requisite_in;
pub(crate) mod shared;
pub(crate) mod verify;

use std::collections::HashMap;
use std::sync::Arc;

use kstate_core::{Data, Map, Node, Position, Value, fnmatch};

use shared::Identity;

/// All declarations of a run.
#[derive(Clone, Debug, Default)]
pub struct HighState {
    pub(crate) states: Vec<State>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) exclusions: Vec<Exclusion>,
}

/// One id.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) id: String,
    pub(crate) at: Position,
    pub(crate) sls: Arc<str>,
    /// The SLS that included its SLS, that one's includer, …
    pub(crate) included_from: Vec<Arc<str>>,
    pub(crate) modules: Vec<Module>,
    /// Of its body.
    pub(crate) identity: Identity,
}

/// One module of an id: its function and arguments.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) body: Body,
    /// Of the list of its arguments.
    pub(crate) identity: Identity,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    List(Vec<Item>),
    /// Not a list, which is an error.
    Other(Node),
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Function {
        name: String,
        at: Position,
    },
    /// One argument, as it should be; several are told apart only by their first name.
    Arguments {
        entries: Vec<(Node, Node)>,
        at: Position,
        /// Of the list that the first of them has as its value.
        identity: Identity,
    },
    Other(Node),
}

/// One id of an `extend` block.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) id: String,
    pub(crate) at: Position,
    /// The SLS it stands in.
    pub(crate) sls: Option<Arc<str>>,
    pub(crate) modules: Vec<Module>,
}

/// What is left out of the run, with where that was written.
#[derive(Clone, Debug)]
pub(crate) enum Exclusion {
    Sls(String, Position),
    Id(String, Position),
}

impl Exclusion {
    pub(crate) fn at(&self) -> &Position {
        match self {
            Exclusion::Sls(_, at) | Exclusion::Id(_, at) => at,
        }
    }

    fn means(&self, state: &State) -> bool {
        match self {
            Exclusion::Sls(pattern, _) => fnmatch(&state.sls, pattern),
            Exclusion::Id(id, _) => *id == state.id,
        }
    }
}

impl Item {
    pub(crate) fn argument(name: &str, value: Node) -> Self {
        let at = value.at.clone();
        let entries = vec![(Node::scalar(name, at.clone()), value)];
        Item::Arguments { entries, at, identity: Identity::default() }
    }

    /// The first name of an item with arguments.
    pub(crate) fn first(&self) -> Option<&Node> {
        match self {
            Item::Arguments { entries, .. } => entries.first().map(|(name, _)| name),
            _ => None,
        }
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.first().and_then(Node::text) == Some(name)
    }

    /// The name and value of an item with exactly one argument.
    pub(crate) fn single(&self) -> Option<(&Node, &Node)> {
        match self {
            Item::Arguments { entries, .. } if entries.len() == 1 => entries.first().map(|(n, v)| (n, v)),
            _ => None,
        }
    }

    fn value(&self) -> Value {
        match self {
            Item::Function { name, .. } => name.as_str().into(),
            Item::Arguments { entries, .. } => {
                entries.iter().map(|(name, value)| (name.value(), value.value())).collect::<Map>().into()
            }
            Item::Other(node) => node.value(),
        }
    }
}

impl Module {
    pub(crate) fn items(&self) -> &[Item] {
        match &self.body {
            Body::List(items) => items,
            Body::Other(_) => &[],
        }
    }

    /// The name of its function.
    pub(crate) fn function(&self) -> Option<&str> {
        self.items().iter().find_map(|item| match item {
            Item::Function { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// What `name` and `names` say.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut found = Vec::new();
        let arguments = self.items().iter().filter_map(|item| match item {
            Item::Arguments { entries, .. } => Some(entries),
            _ => None,
        });
        for (key, value) in arguments.flatten() {
            match key.text() {
                Some("name") => found.extend(value.text().map(str::to_owned)),
                Some("names") => {
                    let names = value.list().unwrap_or_default().iter();
                    found.extend(
                        names.map(|name| single(name).map_or(name, |(name, _)| name).value().to_string()),
                    );
                }
                _ => {}
            }
        }
        found
    }

    /// Its function, if Salt appends it: that of `file.managed:`.
    pub(crate) fn appended(&self) -> Option<&Item> {
        self.items().last().filter(|item| matches!(item, Item::Function { at, .. } if *at == self.at))
    }

    /// Where its function was written.
    pub(crate) fn function_at(&self) -> &Position {
        let written = self.items().iter().find_map(|item| match item {
            Item::Function { at, .. } => Some(at),
            _ => None,
        });
        written.unwrap_or(&self.at)
    }
}

impl State {
    /// Whether Salt takes the id for a note of its own.
    pub(crate) fn is_passed_over(&self) -> bool {
        self.id.starts_with("__")
    }

    /// The id, and every name that a requisite may use in its place.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.modules.iter().flat_map(Module::names);
        std::iter::once(self.id.clone()).chain(names).collect()
    }

    pub(crate) fn module(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|module| module.name == name)
    }
}

impl HighState {
    pub(crate) fn get(&self, id: &str) -> Option<&State> {
        self.states.iter().find(|state| state.id == id)
    }

    /// Where each id stands.
    pub(crate) fn places(&self) -> HashMap<String, usize> {
        self.states.iter().enumerate().map(|(place, state)| (state.id.clone(), place)).collect()
    }

    /// Removes what `exclude` names, and gives it with what names it.
    pub(crate) fn apply_exclusions(&mut self) -> Vec<(State, Exclusion)> {
        let exclusions = std::mem::take(&mut self.exclusions);
        let mut excluded = Vec::new();
        for state in std::mem::take(&mut self.states) {
            match exclusions.iter().find(|exclusion| exclusion.means(&state)) {
                Some(exclusion) => excluded.push((state, exclusion.clone())),
                None => self.states.push(state),
            }
        }
        excluded
    }

    /// The data as Salt's `state.show_highstate` gives it.
    pub fn value(&self) -> Map {
        let body = |state: &State| {
            let mut body: Map = Map::new();
            for module in &state.modules {
                let value = match &module.body {
                    Body::List(items) => items.iter().map(Item::value).collect::<Vec<_>>().into(),
                    Body::Other(node) => node.value(),
                };
                body.insert(module.name.as_str(), value);
            }
            body.insert("__sls__", &*state.sls);
            body.insert("__env__", "base");
            body
        };
        self.states.iter().map(|state| (state.id.as_str(), body(state))).collect()
    }
}

/// The single pair of a mapping.
pub(crate) fn single(node: &Node) -> Option<(&Node, &Node)> {
    match &node.data {
        Data::Map(entries) if entries.len() == 1 => entries.first().map(|(key, value)| (key, value)),
        _ => None,
    }
}
