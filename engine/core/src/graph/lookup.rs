//! Which chunks a requisite means (Salt: `DependencyGraph.add_dependency`).

use std::collections::HashMap;

use super::glob::{Pattern, is_pattern};
use super::nearest::nearest;
use super::{RequisiteKind, Unmet};
use crate::arguments::is_common;
use crate::{Chunk, Data, Node, Problem, Value};

/// Why an entry has no chunks.
pub(super) enum Unresolved {
    Unreadable(Problem),
    Unmet(Unmet),
}

impl Unresolved {
    pub(super) fn problem_mut(&mut self) -> &mut Problem {
        match self {
            Unresolved::Unreadable(problem) | Unresolved::Unmet(Unmet { problem, .. }) => problem,
        }
    }
}

pub(super) struct Lookup {
    /// By module and by name or id. The module `id` stands for all of them.
    states: HashMap<String, HashMap<String, Vec<usize>>>,
    /// By SLS: the chunks that it declares, or that came into the run through it.
    files: HashMap<String, Vec<usize>>,
}

impl Lookup {
    pub(super) fn new(chunks: &[Chunk]) -> Self {
        let mut lookup = Lookup { states: HashMap::new(), files: HashMap::new() };
        for (index, chunk) in chunks.iter().enumerate() {
            for module in [chunk.state.as_str(), "id"] {
                let names = lookup.states.entry(module.to_owned()).or_default();
                add(names, &chunk.name, index);
                add(names, &chunk.id, index);
            }
            for sls in std::iter::once(&chunk.sls).chain(&chunk.included_from) {
                add(&mut lookup.files, sls, index);
            }
        }
        lookup
    }

    /// The chunks that one entry means; none for an entry without a value, which Salt skips. `hinted` asks for the
    /// neighbours of a missing state.
    pub(super) fn resolve(
        &self,
        chunks: &[Chunk],
        chunk: &Chunk,
        kind: RequisiteKind,
        entry: &Node,
        hinted: bool,
    ) -> Result<Option<Vec<usize>>, Unresolved> {
        let kind = kind.name();
        let wrong = |message: String| Problem::error(message).at(&entry.at).of(&chunk.id);
        let (module, name) = match &entry.data {
            Data::Scalar(Value::Text(name)) => ("id", name.as_str()),
            Data::Map(pairs) if !pairs.is_empty() => {
                let (module, name) = &pairs[0];
                let module = module.text().unwrap_or_default();
                // `file.managed: x` means any state of `file`.
                let module = module.split('.').next().unwrap_or_default();
                match &name.data {
                    Data::Scalar(Value::Null) => return Ok(None),
                    Data::Scalar(Value::Text(name)) => (module, name.as_str()),
                    _ => {
                        let found = name.value().kind();
                        let message = format!("`{kind}` names a state by text, and `{module}` has {found}");
                        return Err(Unresolved::Unreadable(wrong(message).hint("quote the name")));
                    }
                }
            }
            _ => {
                let message = format!("`{kind}` lists states, each as `module: name`");
                return Err(Unresolved::Unreadable(wrong(message)));
            }
        };
        let found = if module == "sls" { self.by_file(name) } else { self.by_name(module, name) };
        found.map(Some).ok_or_else(|| {
            let what = if module == "id" { name.to_owned() } else { format!("{module}: {name}") };
            let problem = wrong(format!("`{kind}` names `{what}`, which is no state of this run"));
            let problem = if hinted { self.hints(chunks, module, name, problem) } else { problem };
            Unresolved::Unmet(Unmet { module: module.to_owned(), name: name.to_owned(), problem })
        })
    }

    fn by_file(&self, name: &str) -> Option<Vec<usize>> {
        if is_pattern(name) { Some(matching(&self.files, name)) } else { self.files.get(name).cloned() }
    }

    fn by_name(&self, module: &str, name: &str) -> Option<Vec<usize>> {
        let names = self.states.get(module)?;
        if is_pattern(name) {
            let found = matching(names, name);
            (!found.is_empty()).then_some(found)
        } else {
            names.get(name).cloned()
        }
    }

    /// What may have been meant, with its place.
    fn hints(&self, chunks: &[Chunk], module: &str, name: &str, problem: Problem) -> Problem {
        if module == "sls" {
            let near = nearest(name, self.files.keys().map(String::as_str), 3);
            return near
                .into_iter()
                .fold(problem, |problem, file| problem.hint(format!("did you mean `sls: {file}`?")));
        }
        let named = |module: &str, name: &str| {
            let found = self.states.get(module).and_then(|names| names.get(name)).and_then(|all| all.first());
            found.and_then(|&index| chunks.get(index))
        };
        if let Some(other) = named("id", name) {
            let there = format!("`{}: {name}`", other.state);
            return problem.related(there.clone(), &other.at).hint(format!("there is {there}"));
        }
        if let Some((argument, chunk)) = holder(chunks, module, name) {
            return problem
                .related(format!("`{name}` is one of its `{argument}`"), &chunk.at)
                .hint(format!("a requisite names an id or a `name`: write `{module}: {}`", chunk.id));
        }
        // Similar names of the module, else of any.
        let near = |module: &str| {
            let names = self.states.get(module).map(|names| names.keys().map(String::as_str));
            let near = nearest(name, names.into_iter().flatten(), 3);
            near.into_iter().filter_map(|near| Some((near, named(module, near)?))).collect::<Vec<_>>()
        };
        let of_module = near(module);
        let near = if of_module.is_empty() { near("id") } else { of_module };
        near.into_iter().fold(problem, |problem, (near, chunk)| {
            let near = format!("`{}: {near}`", chunk.state);
            problem.related(near.clone(), &chunk.at).hint(format!("did you mean {near}?"))
        })
    }
}

/// The state of a module that has the name in a list among its arguments (`pkgs`), and that argument.
fn holder<'a>(chunks: &'a [Chunk], module: &str, name: &str) -> Option<(&'a str, &'a Chunk)> {
    let of_module = chunks.iter().filter(|chunk| module == "id" || chunk.state == module);
    of_module.flat_map(|chunk| chunk.arguments.iter().map(move |argument| (chunk, argument))).find_map(
        |(chunk, (argument, value))| {
            let is_listed = value.list()?.iter().any(|item| item.text() == Some(name));
            (is_listed && !is_common(argument)).then_some((argument.as_str(), chunk))
        },
    )
}

fn add(map: &mut HashMap<String, Vec<usize>>, key: &str, index: usize) {
    match map.get_mut(key) {
        Some(list) if list.last() == Some(&index) => {}
        Some(list) => list.push(index),
        None => {
            map.insert(key.to_owned(), vec![index]);
        }
    }
}

fn matching(map: &HashMap<String, Vec<usize>>, pattern: &str) -> Vec<usize> {
    let pattern = Pattern::new(pattern);
    let mut found: Vec<usize> = map
        .iter()
        .filter(|(name, _)| pattern.fits(name))
        .flat_map(|(_, list)| list.iter().copied())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
