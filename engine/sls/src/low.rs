//! From the high state to chunks, in the order of declaration (Salt: `compile_high_data`).

use kstate_core::suspicion::deaf_watch;
use kstate_core::{Chunk, Data, Map, Node, Problem, Value};

use crate::high::effort::parts_of;
use crate::high::{HighState, Item, Module, State};
use crate::limits;

/// The modules that answer to `watch`. For any other, `watch` means `require`.
const WATCHING: [&str; 14] = [
    "at",
    "cmd",
    "docker_container",
    "docker_image",
    "etcd",
    "event",
    "kernelpkg",
    "module",
    "mount",
    "pkg",
    "service",
    "supervisord",
    "test",
    "tomcat",
];

/// What Salt adds to the greatest order number for `order: last`, and to a negative number.
const LAST: f64 = 1_000_000.0;

/// Takes the declarations apart: a chunk for each id, module and name.
pub(crate) fn chunks(high: &HighState, problems: &mut Vec<Problem>) -> Vec<Chunk> {
    let mut all: Vec<Draft> = Vec::new();
    let mut repeated = 0;
    for state in &high.states {
        if state.is_passed_over() {
            let message = format!("`{}` begins with `__`: Salt passes over it", state.id);
            problems.push(Problem::warning(message).at(&state.at).of(&state.id));
            continue;
        }
        for module in &state.modules {
            all.extend(drafts(state, module, &mut repeated, problems));
        }
    }
    number(&mut all, problems);
    all.into_iter().map(|draft| draft.chunk).collect()
}

struct Draft {
    chunk: Chunk,
    /// The place of its name in `names`, from 1; 0 without `names`.
    name_order: u32,
}

/// `repeated` counts the parts of the arguments that `names` have repeated so far.
fn drafts(state: &State, module: &Module, repeated: &mut usize, problems: &mut Vec<Problem>) -> Vec<Draft> {
    // A module without a function can only have come by `extend` or a requisite.
    let Some(fun) = module.function() else {
        let message = format!("`{}` has nothing of the module `{}` to run", state.id, module.name);
        problems.push(Problem::warning(message).at(&module.at).of(&state.id));
        return Vec::new();
    };
    let mut chunk = Chunk {
        state: module.name.clone(),
        fun: fun.to_owned(),
        id: state.id.clone(),
        name: state.id.clone(),
        sls: state.sls.to_string(),
        included_from: state.included_from.iter().map(ToString::to_string).collect(),
        order: 0.0,
        arguments: Vec::new(),
        places: ["name", "__id__"].map(|key| (key.to_owned(), state.at.clone())).into(),
        at: module.function_at().clone(),
    };
    let (mut names, mut known): (Vec<&Node>, Map) = Default::default();
    for item in module.items() {
        let Item::Arguments { entries, .. } = item else { continue };
        for (key, value) in entries {
            match key.text() {
                Some("names") => {
                    for name in value.list().unwrap_or_default() {
                        let value = name.value();
                        if known.get_key(&value).is_none() {
                            known.insert(value, true);
                            names.push(name);
                        }
                    }
                }
                _ => set(&mut chunk, key, value, &state.id),
            }
        }
    }
    if names.len() > 1 {
        let parts = chunk.arguments.iter().map(|(_, value)| 1 + parts_of(value)).sum::<usize>();
        let before = *repeated;
        *repeated = before.saturating_add(parts.saturating_mul(names.len()));
        if *repeated > limits::REPEATED {
            if before <= limits::REPEATED {
                problems.push(too_many(state, &names));
            }
            names.truncate(1);
        }
    }
    let mut drafts =
        if names.is_empty() { vec![Draft { chunk, name_order: 0 }] } else { named(&chunk, &names, problems) };
    for draft in &mut drafts {
        settle_watch(&mut draft.chunk);
    }
    drafts
}

fn too_many(state: &State, names: &[&Node]) -> Problem {
    let message = format!(
        "the `names` of this run repeat arguments with more than {} parts, up to here",
        limits::REPEATED
    );
    let problem = Problem::error(message).of(&state.id).hint("give the names fewer or smaller arguments");
    problem.at(names.first().map_or(&state.at, |name| &name.at))
}

/// A chunk for each entry of `names`; `- name: [{argument: value}]` has arguments of its own.
fn named(chunk: &Chunk, names: &[&Node], problems: &mut Vec<Problem>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (name, name_order) in names.iter().zip(1..) {
        let mut chunk = chunk.clone();
        match &name.data {
            Data::Map(entries) if !entries.is_empty() => {
                let (name, overrides) = &entries[0];
                chunk.name = name.value().to_string();
                chunk.places.insert("name".to_owned(), name.at.clone());
                let Some(overrides) = overrides.list() else {
                    let message = format!("the arguments of the name `{}` are a list", chunk.name);
                    problems.push(Problem::error(message).at(&overrides.at).of(&chunk.id));
                    continue;
                };
                for argument in overrides.iter().filter_map(Node::map).flatten() {
                    let id = chunk.id.clone();
                    set(&mut chunk, &argument.0, &argument.1, &id);
                }
            }
            _ => {
                chunk.name = name.value().to_string();
                chunk.places.insert("name".to_owned(), name.at.clone());
            }
        }
        drafts.push(Draft { chunk, name_order });
    }
    drafts
}

/// Sets an argument; a repeated one replaces the earlier in its place.
fn set(chunk: &mut Chunk, key: &Node, value: &Node, id: &str) {
    let name = match key.text() {
        // The function stands in an entry of its own.
        Some("state" | "fun" | "__env__") => return,
        Some("name") => {
            chunk.name = value.text().unwrap_or(id).to_owned();
            chunk.places.insert("name".to_owned(), value.at.clone());
            return;
        }
        Some("__id__") => {
            chunk.id = value.value().to_string();
            return;
        }
        Some("__sls__") => {
            chunk.sls = value.value().to_string();
            return;
        }
        Some(name) => name.to_owned(),
        None => key.value().to_string(),
    };
    let is_known = chunk.places.insert(name.clone(), key.at.clone()).is_some();
    let mut known = chunk.arguments.iter_mut().filter(|(known, _)| *known == name);
    match if is_known { known.next() } else { None } {
        Some((_, old)) => *old = value.clone(),
        None => chunk.arguments.push((name, value.clone())),
    }
}

/// `watch` becomes `require` where nothing answers to it.
fn settle_watch(chunk: &mut Chunk) {
    if WATCHING.contains(&chunk.state.as_str()) {
        return;
    }
    for (watch, require) in [("watch", "require"), ("watch_any", "require_any")] {
        let Some(at) = chunk.arguments.iter().position(|(name, _)| name == watch) else { continue };
        let (_, watched) = chunk.arguments.remove(at);
        match chunk.arguments.iter_mut().find(|(name, _)| name == require) {
            Some((_, Node { data: Data::List(required), .. })) => {
                required.extend(watched.list().unwrap_or_default().iter().cloned());
            }
            _ => chunk.arguments.push((require.to_owned(), watched)),
        }
    }
}

/// The watches that [`settle_watch`] will make requires of.
pub(crate) fn deaf_watches(high: &HighState) -> Vec<Problem> {
    let mut problems = Vec::new();
    for state in &high.states {
        for module in state.modules.iter().filter(|module| !WATCHING.contains(&module.name.as_str())) {
            let is_watch = |item: &&Item| item.is_named("watch") || item.is_named("watch_any");
            let Some((_, watched)) = module.items().iter().find(is_watch).and_then(Item::single) else {
                continue;
            };
            let first = watched.list().and_then(<[Node]>::first).unwrap_or(watched);
            problems.push(
                deaf_watch(&format!("{}.{}", module.name, module.function().unwrap_or_default()))
                    .at(&first.at)
                    .of(&state.id),
            );
        }
    }
    problems
}

/// Gives every chunk its order number.
fn number(drafts: &mut [Draft], problems: &mut Vec<Problem>) {
    let mut cap = 1.0;
    for draft in drafts.iter() {
        if let Some(order) = whole(draft.chunk.argument("order"))
            && order > cap - 1.0
            && order > 0.0
        {
            cap = order + 100.0;
        }
    }
    for draft in drafts {
        let fraction = f64::from(draft.name_order) / 10_000.0;
        let order = match draft.chunk.argument("order").map(|node| &node.data) {
            Some(Data::Scalar(Value::Float(order))) => *order,
            Some(Data::Scalar(Value::Text(word))) if word == "last" => cap + LAST,
            Some(Data::Scalar(Value::Text(word))) if word == "first" => 0.0,
            Some(_) => whole(draft.chunk.argument("order")).unwrap_or_else(|| {
                problems.extend(draft.chunk.argument("order").map(|order| no_order(&draft.chunk, order)));
                cap
            }),
            None => cap,
        };
        let order = order + fraction;
        draft.chunk.order = if order < 0.0 { order + cap + LAST } else { order };
    }
}

/// Salt passes over it, too.
fn no_order(chunk: &Chunk, order: &Node) -> Problem {
    let message = format!(
        "`order` is a number, `first` or `last`, so this has no effect, being {}",
        order.value().kind()
    );
    Problem::warning(message).at(&order.at).of(chunk.id.as_str())
}

/// A whole number; booleans are numbers in Python.
fn whole(node: Option<&Node>) -> Option<f64> {
    match &node?.data {
        Data::Scalar(number @ (Value::Int(_) | Value::Big(_))) => number.as_f64(),
        Data::Scalar(Value::Bool(truth)) => Some(f64::from(u8::from(*truth))),
        _ => None,
    }
}
