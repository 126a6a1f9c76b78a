//! A tree in memory, and the plan that it compiles to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kstate_core::{Map, Plan, Planned, Problem, Secrets, SourceKind};
use kstate_sls::{Answers, Request, Root, Storage, Tree};

#[derive(Debug, Default)]
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Storage for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn kind(&self, path: &Path) -> io::Result<SourceKind> {
        self.leads_to(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn leads_to(&self, path: &Path) -> Option<SourceKind> {
        if self.0.contains_key(path) {
            return Some(SourceKind::File { mode: 0o644 });
        }
        self.0.keys().any(|own| own.starts_with(path)).then_some(SourceKind::Directory)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let below = self.0.keys().filter_map(|path| path.strip_prefix(folder).ok());
        let mut names: Vec<String> = below
            .filter_map(|path| Some(path.components().next()?.as_os_str().to_str()?.to_owned()))
            .collect();
        names.dedup();
        names
    }
}

/// Compiles one SLS with the files of its tree, `NAME -> CONTENT`.
pub fn plan(sls: &str, files: &[(&str, &str)]) -> Result<Plan, Vec<Problem>> {
    let mut storage = Memory::default();
    storage.0.insert("/tree/kstate.yaml".into(), b"file_roots: [salt]\n".to_vec());
    storage.0.insert("/tree/salt/set.sls".into(), sls.as_bytes().to_vec());
    for (name, content) in files {
        storage.0.insert(Path::new("/tree/salt").join(name), content.as_bytes().to_vec());
    }
    let root = Root::stored("/tree", &storage)?;
    let tree = Tree::stored(root, Arc::new(storage));
    let (grains, pillar, answers) = (Map::new(), Map::new(), Answers::default());
    let wanted = ["set".to_owned()];
    let request =
        Request { target: "host", grains: &grains, pillar: &pillar, sls: &wanted, answers: &answers };
    let compiled = tree.compile(&request);
    let mut problems: Vec<Problem> = compiled.problems.iter().filter(|p| p.is_error()).cloned().collect();
    let sources = tree.sources(&request, &compiled);
    let mut states = Vec::new();
    for chunk in compiled.chunks() {
        match kstate_modules::declare(chunk, &sources) {
            Ok(declared) => {
                states.push(Planned { resource: declared.resource, conditions: declared.conditions })
            }
            Err(more) => problems.extend(more),
        }
    }
    match compiled.graph {
        Some(graph) if problems.is_empty() => Ok(Plan { graph, states, secrets: Secrets::default() }),
        _ => Err(problems),
    }
}
