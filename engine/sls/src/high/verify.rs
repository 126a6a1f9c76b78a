//! The form of declarations (Salt: `_verify_high`).

use kstate_core::{Data, Node, Position, Problem, RequisiteKind};

use super::{Body, HighState, Item, Module};
use crate::gaps::Gaps;

/// Tells every mistake in the form of what is declared, and takes it out, so that the later stages see what is sound.
pub(crate) fn verify(high: &mut HighState, gaps: &mut Gaps, problems: &mut Vec<Problem>) {
    high.states.retain_mut(|state| {
        if state.is_passed_over() {
            return true;
        }
        let (names, before) = (state.names(), state.modules.len());
        let mut form = Form { id: &state.id, is_lost: gaps.has_lost(&state.id), problems };
        state.modules.retain_mut(|module| form.module(module));
        let is_whole = state.modules.len() == before;
        if !is_whole {
            gaps.lose(names);
        }
        is_whole || !state.modules.is_empty()
    });
}

/// Whether the argument is one of the requisites that must be a list.
pub(crate) fn is_requisite(name: &str) -> bool {
    RequisiteKind::named(name).is_some() || matches!(name, "prerequired" | "onfail_stop")
}

/// The form of one id.
struct Form<'a> {
    id: &'a str,
    /// Whether a mistake has been told already for which something may be missing here.
    is_lost: bool,
    problems: &'a mut Vec<Problem>,
}

impl Form<'_> {
    fn wrong(&mut self, message: impl Into<String>, at: &Position, hint: Option<String>) {
        let mut problem = Problem::error(message).at(at).of(self.id);
        problem.hints.extend(hint);
        self.problems.push(problem);
    }

    /// Whether the module can be made a state.
    fn module(&mut self, module: &mut Module) -> bool {
        let before = self.problems.len();
        let (name, at) = (module.name.clone(), module.at.clone());
        match &mut module.body {
            Body::List(items) => {
                self.functions(&name, &at, items);
                let is_sound = self.problems.len() == before;
                items.retain_mut(|item| self.item(item));
                is_sound && !items.iter().any(|item| item.is_named("names") && !has_list(item))
            }
            Body::Other(node) => {
                self.no_list(&name, &at, node);
                false
            }
        }
    }

    fn no_list(&mut self, name: &str, at: &Position, node: &Node) {
        let id = self.id;
        let function = if name.contains('.') { name.to_owned() } else { format!("{name}.FUNCTION") };
        if node.is_null() {
            let message = format!("`{name}` of `{id}` ends with a colon and has no arguments");
            return self.wrong(message, at, Some(format!("write `{id}: {function}`, or `{function}: []`")));
        }
        let found = node.value().kind();
        let hint = match node.data {
            Data::Map(_) => "begin each argument with `- `".to_owned(),
            _ => format!("write `{function}:`, and below it each argument as `- name: value`"),
        };
        self.wrong(format!("the arguments of `{name}` of `{id}` are a list, not {found}"), at, Some(hint));
    }

    /// A module has exactly one function.
    fn functions(&mut self, module: &str, module_at: &Position, items: &[Item]) {
        let mut functions = Vec::new();
        for item in items {
            let Item::Function { name, at } = item else { continue };
            match name.trim().split_once(' ') {
                Some((argument, value)) => {
                    let message = format!("`{name}` has no colon, so it is read as the name of a function");
                    self.wrong(message, at, Some(format!("write `- {argument}: {}`", value.trim())));
                }
                None => functions.push((name, at)),
            }
        }
        let id = self.id;
        match functions.as_slice() {
            [] if self.is_lost => {}
            [] => {
                let message = format!("`{id}` names no function of the module `{module}`");
                self.wrong(message, module_at, Some(format!("write it as `{module}.FUNCTION:`")));
            }
            [_] => {}
            [first, others @ ..] => {
                // A function that was written as `file.managed:` stands behind the items of its list.
                let is_dotted = others.last().is_some_and(|(_, at)| *at == module_at);
                let ((known, known_at), (name, at)) = match others.last() {
                    Some(last) if is_dotted => (*last, *first),
                    _ => (*first, others[0]),
                };
                let message = format!("`{name}` is a second function of `{id}`, beside `{module}.{known}`");
                let problem = Problem::error(message).at(at).of(id);
                let problem = problem.related(format!("`{module}.{known}`"), known_at);
                self.problems.push(
                    problem.hint("an argument ends with a colon; a second function needs an id of its own"),
                );
            }
        }
    }

    /// Whether an item of the list can stay.
    fn item(&mut self, item: &mut Item) -> bool {
        let Item::Arguments { entries, at, .. } = item else { return true };
        let count = entries.len();
        let Some((name, value)) = entries.first_mut() else {
            self.wrong("this argument is empty", at, None);
            return false;
        };
        match name.text() {
            Some("names") if value.list().is_none() => {
                let message = format!("`names` is a list of names, not {}", value.value().kind());
                self.wrong(message, &value.at, Some("begin each name with `- `".into()));
                true
            }
            Some(name) if is_requisite(name) => {
                let name = name.to_owned();
                self.requisite(&name, value, count)
            }
            _ => true,
        }
    }

    fn requisite(&mut self, name: &str, value: &mut Node, count: usize) -> bool {
        let at = value.at.clone();
        let Data::List(entries) = &mut value.data else {
            let message = format!("`{name}` is a list of states, not {}", value.value().kind());
            let hint = match name {
                "onfail_stop" => {
                    "leave it out: Salt 3008 refuses a boolean too, and it changes nothing in a run"
                }
                _ => "write each as `- module: name`",
            };
            self.wrong(message, &at, Some(hint.into()));
            return false;
        };
        entries.retain(|entry| entry.text().is_some() || self.entry(name, entry));
        if count != 1 {
            let message = format!("`{name}` and another argument stand in one entry");
            self.wrong(message, &at, Some("begin each argument with `- `".into()));
        }
        true
    }

    /// Whether an entry of a requisite can be looked up.
    fn entry(&mut self, name: &str, entry: &Node) -> bool {
        let Some((module, target)) = super::single(entry) else {
            let message = format!("an entry of `{name}` is one `module: name`");
            self.wrong(message, &entry.at, Some("begin each with a `- ` of its own".into()));
            return false;
        };
        let before = self.problems.len();
        if let Some((short, _)) = module.text().and_then(|module| module.split_once('.')) {
            let message = format!("`{name}` names a module, without a function");
            self.wrong(message, &module.at, Some(format!("write `- {short}: {}`", target.value())));
        }
        if matches!(target.data, Data::List(_) | Data::Map(_)) {
            let message = format!("`{name}` names a state by text, not by {}", target.value().kind());
            self.wrong(message, &target.at, None);
        }
        self.problems.len() == before
    }
}

fn has_list(item: &Item) -> bool {
    matches!(item, Item::Arguments { entries, .. } if entries.first().is_some_and(|(_, value)| value.list().is_some()))
}
