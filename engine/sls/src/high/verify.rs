//! The form of declarations (Salt: `_verify_high`).

use kstate_core::{Data, Node, Problem, RequisiteKind};

use super::{Body, HighState, Item, Module, State};

/// Every mistake in the form of what is declared.
pub(crate) fn verify(high: &HighState, problems: &mut Vec<Problem>) {
    for state in &high.states {
        for module in &state.modules {
            verify_module(state, module, problems);
        }
    }
}

/// Whether the argument is one of the requisites that must be a list.
pub(crate) fn is_requisite(name: &str) -> bool {
    RequisiteKind::named(name).is_some() || matches!(name, "prerequired" | "onfail_stop")
}

fn verify_module(state: &State, module: &Module, problems: &mut Vec<Problem>) {
    let id = &state.id;
    let items = match &module.body {
        Body::List(items) => items,
        Body::Other(node) if node.is_null() => {
            let message = format!("`{}` of `{id}` ends with a colon and has no arguments", module.name);
            let problem = Problem::error(message).at(&module.at).of(id);
            problems.push(problem.hint(format!("write `{id}: {}`, or `{}: []`", module.name, module.name)));
            return;
        }
        Body::Other(node) => {
            let found = node.value().kind();
            let message = format!("the arguments of `{}` of `{id}` are a list, not {found}", module.name);
            let problem = Problem::error(message).at(&module.at).of(id);
            problems.push(match node.data {
                Data::Map(_) => problem.hint("begin each argument with `- `"),
                _ => problem,
            });
            return;
        }
    };
    let mut functions = Vec::new();
    for item in items {
        match item {
            Item::Function { name, at } => {
                functions.push((name, at));
                if name.trim().contains(' ') {
                    let message = format!("`{name}` is no function name, for it has a space");
                    problems.push(Problem::error(message).at(at).of(id).hint("an argument ends with `:`"));
                }
            }
            Item::Arguments { entries, at } => match entries.first() {
                Some((name, value)) => verify_argument(state, name, value, entries.len(), problems),
                None => problems.push(Problem::error("this argument is empty").at(at).of(id)),
            },
            Item::Other(_) => {}
        }
    }
    match functions.as_slice() {
        [] => {
            let message = format!("`{id}` names no function of the module `{}`", module.name);
            let problem = Problem::error(message).at(&module.at).of(id);
            problems.push(problem.hint(format!("write it as `{}.FUNCTION:`", module.name)));
        }
        [_] => {}
        [.., (_, at)] => {
            let names: Vec<String> = functions.iter().map(|(name, _)| format!("`{name}`")).collect();
            let message =
                format!("`{id}` names several functions of `{}`: {}", module.name, names.join(", "));
            let problem = Problem::error(message).at(at).of(id);
            problems.push(problem.hint("give each an id of its own; an argument ends with `:`"));
        }
    }
}

fn verify_argument(state: &State, name: &Node, value: &Node, count: usize, problems: &mut Vec<Problem>) {
    let Some(name) = name.text() else { return };
    let mut wrong = |message: String, node: &Node, hint: Option<String>| {
        let mut problem = Problem::error(message).at(&node.at).of(&state.id);
        problem.hints.extend(hint);
        problems.push(problem);
    };
    if name == "names" && value.list().is_none() {
        wrong("`names` is a list".to_owned(), value, None);
    }
    if !is_requisite(name) {
        return;
    }
    let Some(entries) = value.list() else {
        let found = value.value().kind();
        wrong(
            format!("`{name}` is a list of states, not {found}"),
            value,
            Some("write each as `- module: name`".into()),
        );
        return;
    };
    for entry in entries {
        if entry.text().is_some() {
            continue;
        }
        let Some((module, target)) = super::single(entry) else {
            wrong(format!("an entry of `{name}` is `module: name`, one for each `-`"), entry, None);
            continue;
        };
        if let Some((short, _)) = module.text().and_then(|module| module.split_once('.')) {
            let message = format!("`{name}` names a module, without a function");
            wrong(message, module, Some(format!("write `- {short}: {}`", target.value())));
        }
        if matches!(target.data, Data::List(_) | Data::Map(_)) {
            let found = target.value().kind();
            wrong(format!("`{name}` names a state by text, not by {found}"), target, None);
        }
    }
    if count != 1 {
        wrong(
            format!("`{name}` and another argument stand in one entry"),
            value,
            Some("begin each argument with `- `".into()),
        );
    }
}
