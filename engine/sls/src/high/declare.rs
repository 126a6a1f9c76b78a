//! From the data of one SLS to its declarations (Salt: `_handle_state_decls`, `_handle_extend`, `_handle_exclude`).

use std::sync::Arc;

use kstate_core::{Data, Node, Position, Problem, Value};

use crate::pillar::no_list_of_sls;
use crate::render::Document;

use super::shared::{Aliases, Identity, join_functions};
use super::{Body, Exclusion, Extension, HighState, Item, Module, State};

/// An entry of `include`, still as written.
#[derive(Clone, Debug)]
pub(crate) struct Include {
    pub(crate) name: String,
    pub(crate) at: Position,
}

/// What one file declares, without what it includes.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) high: HighState,
    pub(crate) includes: Vec<Include>,
    /// Ids of declarations that are mistaken.
    pub(crate) lost: Vec<String>,
    /// Whether nothing can be made of the file.
    pub(crate) is_lost: bool,
}

/// Takes the data of a SLS apart.
pub(crate) fn declare(document: Document, sls: &Arc<str>, problems: &mut Vec<Problem>) -> Declared {
    let Document { node, aliases, .. } = document;
    let mut declared = Declared::default();
    let at = node.at.clone();
    let entries = match node.data {
        Data::Map(entries) => entries,
        data if is_empty(&data) => return declared,
        data => {
            let kind = Node { data, at: at.clone() }.value().kind();
            problems.push(
                Problem::error(format!("a state file holds a mapping of ids, and `{sls}` holds {kind}"))
                    .at(&at),
            );
            declared.is_lost = true;
            return declared;
        }
    };
    for (place, (key, value)) in entries.into_iter().enumerate() {
        match key.text() {
            Some("include") => declared.includes = includes(&value, problems),
            Some("extend") => {
                declared.high.extensions = extensions(value, sls, &mut declared.lost, problems);
            }
            Some("exclude") => declared.high.exclusions = exclusions(&value, problems),
            Some(id) => match state(&key, value, &Lists { aliases: &aliases, place }, sls, problems) {
                Some(state) => declared.high.states.push(state),
                None => declared.lost.push(id.to_owned()),
            },
            None => {
                let (kind, shown) = (key.value().kind(), key.value());
                let problem =
                    Problem::error(format!("an id is text, and `{shown}` is read as {kind}")).at(&key.at);
                problems.push(problem.hint("quote it"));
            }
        }
    }
    join_functions(&mut declared.high.states);
    declared
}

/// The lists of one body.
struct Lists<'a> {
    aliases: &'a Aliases,
    place: usize,
}

impl Lists<'_> {
    fn body(&self) -> Identity {
        self.aliases.get(&[self.place])
    }

    fn module(&self, module: usize) -> Identity {
        self.aliases.get(&[self.place, module])
    }

    fn argument(&self, module: usize, argument: usize) -> Identity {
        self.aliases.get(&[self.place, module, argument])
    }
}

/// What Python takes for false, and Salt for an empty file.
fn is_empty(data: &Data) -> bool {
    match data {
        Data::Map(entries) => entries.is_empty(),
        Data::List(items) => items.is_empty(),
        Data::Scalar(value) => match value {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        },
    }
}

fn state(
    key: &Node,
    value: Node,
    lists: &Lists<'_>,
    sls: &Arc<str>,
    problems: &mut Vec<Problem>,
) -> Option<State> {
    let id = key.text()?.to_owned();
    let new = |modules| State {
        id: id.clone(),
        at: key.at.clone(),
        sls: sls.clone(),
        included_from: Vec::new(),
        modules,
        identity: lists.body(),
    };
    match value.data {
        Data::Map(entries) => {
            let entries = once(&id, entries, problems);
            Some(new(modules(&id, entries, lists, problems)))
        }
        // `id: pkg.installed`
        Data::Scalar(Value::Text(text)) if text.contains('.') => {
            let mut words = text.split('.');
            let name = words.next().unwrap_or_default().to_owned();
            let function = words.next().unwrap_or_default().to_owned();
            let items = vec![Item::Function { name: function, at: value.at.clone() }];
            let identity = Identity::default();
            Some(new(vec![Module { name, at: value.at, body: Body::List(items), identity }]))
        }
        data => {
            let found = Node { data, at: value.at }.value();
            let problem = Problem::error(format!(
                "`{id}` declares no state: a mapping such as `pkg.installed: []` belongs here, not {}",
                found.kind()
            ));
            problems.push(problem.at(&key.at).of(&id));
            None
        }
    }
}

/// The entries of an id without a second function of the same module. Salt sees one only behind the first.
fn once(id: &str, mut entries: Vec<(Node, Node)>, problems: &mut Vec<Problem>) -> Vec<(Node, Node)> {
    let mut seen: Vec<String> = Vec::new();
    entries.retain(|(key, value)| {
        let name = key.text().unwrap_or_default();
        let (module, has_function) = name.split_once('.').map_or((name, false), |(module, _)| (module, true));
        if value.list().is_none() {
            return true;
        }
        if has_function && seen.iter().any(|known| known == module) {
            let problem = Problem::error(format!("`{id}` declares the module `{module}` twice"));
            problems.push(problem.at(&key.at).of(id).hint("give the second one an id of its own"));
            return false;
        }
        seen.push(module.to_owned());
        true
    });
    entries
}

/// The modules of an id. `pkg.installed: […]` becomes the module `pkg` with the function at the end of its list, behind
/// the modules that were written without a function.
fn modules(
    id: &str,
    entries: Vec<(Node, Node)>,
    lists: &Lists<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    let mut dotted: Vec<(String, Module)> = Vec::new();
    for (place, (key, value)) in entries.into_iter().enumerate() {
        let Some(name) = key.text() else {
            let problem = Problem::error(format!("a state function is text, not {}", key.value().kind()));
            problems.push(problem.at(&key.at).of(id));
            continue;
        };
        if name.starts_with("__") {
            continue;
        }
        let new = |name: &str, body| {
            let (at, identity) = (key.at.clone(), lists.module(place));
            Module { name: name.to_owned(), at, body, identity }
        };
        let Data::List(items) = value.data else {
            modules.push(new(name, Body::Other(value)));
            continue;
        };
        let items = items.into_iter().enumerate();
        let items: Vec<Item> =
            items.map(|(argument, node)| item(node, lists.argument(place, argument))).collect();
        if matches!(name, "require" | "watch")
            && !items.iter().any(|item| matches!(item, Item::Function { .. }))
        {
            problems.push(beside_function(id, name, &key));
            continue;
        }
        match name.split_once('.') {
            Some((module, rest)) => {
                let function = rest.split('.').next().unwrap_or_default();
                dotted.push((function.to_owned(), new(module, Body::List(items))));
            }
            None => modules.push(new(name, Body::List(items))),
        }
    }
    for (function, mut new) in dotted {
        if let Body::List(items) = &mut new.body {
            items.push(Item::Function { name: function, at: new.at.clone() });
        }
        match modules.iter_mut().find(|module| module.name == new.name) {
            // Salt loses what was written without a function.
            Some(old) => {
                let message = format!("`{id}` declares the module `{}` twice; this one is lost", new.name);
                problems.push(Problem::warning(message).at(&old.at).of(id));
                *old = new;
            }
            None => modules.push(new),
        }
    }
    modules
}

/// `require:` beside a function: without effect in Salt before 3008, which refuses it.
fn beside_function(id: &str, name: &str, key: &Node) -> Problem {
    let message = format!("`{name}` stands beside the function of `{id}`, where it has no effect");
    Problem::warning(message)
        .at(&key.at)
        .of(id)
        .hint(format!("make it an argument of the function: `- {name}:`, indented as the other arguments"))
}

fn item(node: Node, identity: Identity) -> Item {
    match node.data {
        Data::Scalar(Value::Text(name)) => Item::Function { name, at: node.at },
        Data::Map(entries) => Item::Arguments { entries, at: node.at, identity },
        data => Item::Other(Node { data, at: node.at }),
    }
}

fn includes(value: &Node, problems: &mut Vec<Problem>) -> Vec<Include> {
    let Some(items) = value.list() else {
        problems.push(no_list_of_sls(&value.at));
        return Vec::new();
    };
    let mut includes = Vec::new();
    for item in items {
        let (environment, name) = match super::single(item) {
            Some((environment, name)) => (environment.text(), name.text()),
            None => (Some("base"), item.text()),
        };
        match (environment, name) {
            (Some("base"), Some(name)) => {
                includes.push(Include { name: name.to_owned(), at: item.at.clone() });
            }
            (Some(environment), Some(_)) => {
                let message = format!("there is no environment `{environment}`, only `base`");
                problems.push(Problem::error(message).at(&item.at));
            }
            _ => problems.push(no_list_of_sls(&item.at)),
        }
    }
    includes
}

fn extensions(
    value: Node,
    sls: &Arc<str>,
    lost: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Vec<Extension> {
    let Data::Map(entries) = value.data else {
        problems.push(Problem::error("`extend` is a mapping of ids").at(&value.at));
        return Vec::new();
    };
    let mut extensions = Vec::new();
    for (key, body) in entries {
        let (Some(id), Data::Map(entries)) = (key.text(), body.data) else {
            lost.push(key.value().to_string());
            let message = format!("`extend` needs a mapping such as `pkg: […]` under `{}`", key.value());
            problems.push(Problem::error(message).at(&key.at));
            continue;
        };
        let not_lists: Vec<Position> = entries
            .iter()
            .filter(|(_, value)| value.list().is_none())
            .map(|(key, _)| key.at.clone())
            .collect();
        if !not_lists.is_empty() {
            lost.push(id.to_owned());
        }
        for at in &not_lists {
            problems
                .push(Problem::error(format!("what extends `{id}` is a list of arguments")).at(at).of(id));
        }
        if entries.is_empty() {
            problems.push(Problem::error(format!("nothing extends `{id}`")).at(&key.at).of(id));
        } else if not_lists.is_empty() {
            let lists = Lists { aliases: &Aliases::default(), place: 0 };
            let modules = modules(id, entries, &lists, problems);
            let (id, at) = (id.to_owned(), key.at.clone());
            extensions.push(Extension { id, at, sls: Some(sls.clone()), modules });
        }
    }
    extensions
}

fn exclusions(value: &Node, problems: &mut Vec<Problem>) -> Vec<Exclusion> {
    let Some(items) = value.list() else {
        problems
            .push(Problem::error("`exclude` is a list: SLS names, `sls: name` or `id: name`").at(&value.at));
        return Vec::new();
    };
    let mut exclusions = Vec::new();
    for item in items {
        let pair = super::single(item).map(|(key, value)| (key.text(), value.text()));
        exclusions.push(match (item.text(), pair) {
            (Some(sls), _) | (None, Some((Some("sls"), Some(sls)))) => {
                Exclusion::Sls(sls.to_owned(), item.at.clone())
            }
            (None, Some((Some("id"), Some(id)))) => Exclusion::Id(id.to_owned(), item.at.clone()),
            _ => {
                let message = "`exclude` does not know this entry, and Salt passes over it";
                let problem = Problem::warning(message).at(&item.at);
                problems.push(problem.hint("write a SLS name, `sls: name` or `id: name`"));
                continue;
            }
        });
    }
    exclusions
}
