//! From the data of one SLS to its declarations (Salt: `_handle_state_decls`, `_handle_extend`, `_handle_exclude`).

use std::sync::Arc;

use kstate_core::{Data, Node, Position, Problem, Value};

use crate::render::Document;

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
    let Document { node, twins, .. } = document;
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
    let ids: Vec<Option<String>> = entries.iter().map(|(key, _)| key.text().map(str::to_owned)).collect();
    for (index, (key, value)) in entries.into_iter().enumerate() {
        let twin = twins.get(&index).and_then(|&twin| ids[twin].clone());
        match key.text() {
            Some("include") => declared.includes = includes(&value, problems),
            Some("extend") => {
                declared.high.extensions = extensions(value, sls, &mut declared.lost, problems);
            }
            Some("exclude") => declared.high.exclusions = exclusions(&value, problems),
            Some(id) => match state(&key, value, twin, sls, problems) {
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
    declared
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
    twin: Option<String>,
    sls: &Arc<str>,
    problems: &mut Vec<Problem>,
) -> Option<State> {
    let id = key.text()?.to_owned();
    let new = |modules| State {
        id: id.clone(),
        at: key.at.clone(),
        sls: sls.clone(),
        included_from: Vec::new(),
        twin: twin.clone(),
        modules,
    };
    match value.data {
        Data::Map(entries) => Some(new(modules(&id, entries, problems))),
        // `id: pkg.installed`
        Data::Scalar(Value::Text(text)) if text.contains('.') => {
            let mut words = text.split('.');
            let name = words.next().unwrap_or_default().to_owned();
            let function = words.next().unwrap_or_default().to_owned();
            let items = vec![Item::Function { name: function, at: value.at.clone() }];
            Some(new(vec![Module { name, at: value.at, body: Body::List(items) }]))
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

/// The modules of an id. `pkg.installed: […]` becomes the module `pkg` with the function at the end of its list, behind
/// the modules that were written without a function.
fn modules(id: &str, entries: Vec<(Node, Node)>, problems: &mut Vec<Problem>) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    let mut dotted: Vec<(String, String, Position, Vec<Item>)> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (key, value) in entries {
        let Some(name) = key.text() else {
            let problem = Problem::error(format!("a state function is text, not {}", key.value().kind()));
            problems.push(problem.at(&key.at).of(id));
            continue;
        };
        if name.starts_with("__") {
            continue;
        }
        let Data::List(items) = value.data else {
            modules.push(Module { name: name.to_owned(), at: key.at.clone(), body: Body::Other(value) });
            continue;
        };
        let items: Vec<Item> = items.into_iter().map(item).collect();
        if matches!(name, "require" | "watch")
            && !items.iter().any(|item| matches!(item, Item::Function { .. }))
        {
            problems.push(beside_function(id, name, &key));
            continue;
        }
        match name.split_once('.') {
            Some((module, _)) if seen.iter().any(|known| known == module) => {
                let problem = Problem::error(format!("`{id}` declares the module `{module}` twice"));
                problems.push(problem.at(&key.at).of(id).hint("give the second one an id of its own"));
            }
            Some((module, rest)) => {
                seen.push(module.to_owned());
                let function = rest.split('.').next().unwrap_or_default();
                dotted.push((module.to_owned(), function.to_owned(), key.at.clone(), items));
            }
            None => {
                seen.push(name.to_owned());
                modules.push(Module { name: name.to_owned(), at: key.at.clone(), body: Body::List(items) });
            }
        }
    }
    for (name, function, at, mut items) in dotted {
        items.push(Item::Function { name: function, at: at.clone() });
        let new = Module { name, at, body: Body::List(items) };
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

fn item(node: Node) -> Item {
    match node.data {
        Data::Scalar(Value::Text(name)) => Item::Function { name, at: node.at },
        Data::Map(entries) => Item::Arguments { entries, at: node.at },
        data => Item::Other(Node { data, at: node.at }),
    }
}

fn includes(value: &Node, problems: &mut Vec<Problem>) -> Vec<Include> {
    let Some(items) = value.list() else {
        problems.push(Problem::error("`include` is a list of SLS names").at(&value.at));
        return Vec::new();
    };
    let mut includes = Vec::new();
    for item in items {
        let name = match &item.data {
            // `- base: apache` names an environment; there is only one.
            Data::Map(entries) if entries.len() == 1 => entries.first().and_then(|(_, name)| name.text()),
            _ => item.text(),
        };
        match name {
            Some(name) => includes.push(Include { name: name.to_owned(), at: item.at.clone() }),
            None => problems.push(Problem::error("`include` is a list of SLS names").at(&item.at)),
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
            let modules = modules(id, entries, problems);
            extensions.push(Extension { id: id.to_owned(), at: key.at.clone(), sls: sls.clone(), modules });
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
