//! Which chunks a requisite means (Salt: `DependencyGraph.add_dependency`).

use std::collections::HashMap;

use super::RequisiteKind;
use super::glob::{Pattern, is_pattern};
use super::nearest::nearest;
use crate::{Chunk, Data, Node, Problem, Value};

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
    ) -> Result<Option<Vec<usize>>, Problem> {
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
                        let kind = kind.name();
                        let found = name.value().kind();
                        return Err(wrong(format!(
                            "`{kind}` names a state by text, and `{module}` has {found}"
                        ))
                        .hint("quote the name"));
                    }
                }
            }
            _ => return Err(wrong(format!("`{}` lists states, each as `module: name`", kind.name()))),
        };
        let found = if module == "sls" { self.by_file(name) } else { self.by_name(module, name) };
        found.map(Some).ok_or_else(|| {
            let what = if module == "id" { name.to_owned() } else { format!("{module}: {name}") };
            let problem = wrong(format!("`{}` names `{what}`, which is no state of this run", kind.name()));
            if hinted { self.hints(chunks, module, name, problem) } else { problem }
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

    fn hints(&self, chunks: &[Chunk], module: &str, name: &str, mut problem: Problem) -> Problem {
        if module == "sls" {
            for file in nearest(name, self.files.keys().map(String::as_str), 3) {
                problem = problem.hint(format!("did you mean `sls: {file}`?"));
            }
            return problem.hint(format!(
                "a SLS that declares no state cannot be required; `{name}` may also be missing from `include`"
            ));
        }
        // The right name under another module, then similar names.
        if let Some(others) = self.states.get("id").and_then(|names| names.get(name)) {
            for other in others.iter().take(3).filter_map(|&other| chunks.get(other)) {
                problem = problem
                    .hint(format!("there is `{}: {name}`", other.state))
                    .related(format!("`{}`", other.function()), &other.at);
            }
            return problem;
        }
        let Some(names) = self.states.get(module) else {
            return problem.hint(format!("no state of this run is of the module `{module}`"));
        };
        for near in nearest(name, names.keys().map(String::as_str), 3) {
            problem = problem.hint(format!("did you mean `{near}`?"));
            if let Some(other) = names[near].first().and_then(|&other| chunks.get(other)) {
                problem = problem.related(format!("`{near}`"), &other.at);
            }
        }
        problem
    }
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
