//! The tree as the states of one target see it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kstate_core::{
    Chunk, Map, Problem, SourceEntry, SourceError, SourceKind, Sources, Unwritten, Value, Via, nearest,
};

use crate::compile::{Compiled, Request, Tree};
use crate::data::traverse;
use crate::pillar::is_private_path;
use crate::storage::Storage;
use crate::templates::Templates;
use crate::tree::{Folders, SourceFile};

/// `salt://` files, templates, pillar and grains for one target.
#[derive(Debug)]
pub struct TargetSources<'a> {
    folders: &'a Folders,
    templates: Templates,
    pillar: Value,
    grains: Value,
    /// For a pillar that is not whole: whether something was asked for that it lacks.
    misses: Option<AtomicBool>,
}

impl Tree {
    /// What the states of a target may refer to.
    pub fn sources<'a>(&'a self, request: &Request<'a>, compiled: &Compiled) -> TargetSources<'a> {
        TargetSources {
            folders: &self.states,
            templates: self.templates(request, &compiled.pillar, compiled.pillar_is_partial),
            pillar: compiled.pillar.clone().into(),
            grains: request.grains.clone().into(),
            misses: compiled.pillar_is_partial.then(AtomicBool::default),
        }
    }
}

/// Whether the content of a `salt://` file is not to be shown, because it lies below a folder `private`.
pub fn is_private(url: &str) -> bool {
    path_of(url).is_ok_and(is_private_path)
}

impl TargetSources<'_> {
    /// What templates of managed files asked the host and had no answer for.
    pub fn calls(&self) -> Vec<kstate_core::Call> {
        self.templates.calls()
    }

    /// Whether something was asked for, since the last time, that is missing because parts of the pillar could not
    /// be read.
    pub fn missed(&self) -> bool {
        self.misses.as_ref().is_some_and(|misses| misses.swap(false, Ordering::Relaxed))
    }

    fn find(&self, url: &str) -> Result<std::path::PathBuf, SourceError> {
        let path = path_of(url)?;
        self.folders.find(path).ok_or_else(|| SourceError::Missing {
            url: url.to_owned(),
            roots: self.folders.shown(),
            nearest: self.folders.near(path).first().map(|name| format!("salt://{name}")),
        })
    }
}

impl Sources for TargetSources<'_> {
    fn read(&self, url: &str) -> Result<Vec<u8>, SourceError> {
        let path = self.find(url)?;
        self.folders.storage().read(&path).map_err(|error| unreadable(url, &error))
    }

    fn mode(&self, url: &str) -> Result<u32, SourceError> {
        match self.folders.storage().leads_to(&self.find(url)?) {
            Some(SourceKind::File { mode }) => Ok(mode),
            _ => Err(SourceError::Unreadable { url: url.to_owned(), reason: "it is no file".into() }),
        }
    }

    fn list(&self, url: &str) -> Result<Vec<SourceEntry>, SourceError> {
        let path = path_of(url)?.trim_end_matches('/');
        let storage = self.folders.storage();
        if !storage.is_folder(&self.find(url)?) {
            return Err(SourceError::Unreadable { url: url.to_owned(), reason: "it is no folder".into() });
        }
        let mut entries = Vec::new();
        for (name, path) in self.folders.below(path) {
            let kind = storage.kind(&path).map_err(|error| unreadable(url, &error))?;
            entries.push(SourceEntry { path: name, kind });
        }
        Ok(entries)
    }

    fn render(&self, chunk: &Chunk, name: &str, text: &str, context: &Map) -> Result<String, Problem> {
        let below = path_of(name).unwrap_or(name);
        let path = self.folders.find(below).unwrap_or_else(|| Path::new(below).to_path_buf());
        let file = SourceFile {
            name: below.to_owned(),
            shown: self.folders.name(&path).into(),
            path,
            text: text.to_owned(),
            readings: Default::default(),
        };
        self.templates.managed(&file, chunk, name, context).map_err(|problem| {
            let id = problem.id.clone().or_else(|| Some(chunk.id.clone()));
            let problem =
                if path_of(name).is_ok() { of_file(problem, chunk) } else { of_text(problem, chunk, &file) };
            Problem { id, ..problem }
        })
    }

    fn pillar(&self, path: &str) -> Option<Value> {
        let found = traverse(&self.pillar, path, ":").cloned();
        if let Some(misses) = self.misses.as_ref().filter(|_| found.is_none()) {
            misses.store(true, Ordering::Relaxed);
        }
        found
    }

    fn grain(&self, path: &str) -> Option<Value> {
        traverse(&self.grains, path, ":").cloned()
    }
}

impl Folders {
    /// The paths that may have been meant by one that there is not: a file of that name in another folder, or a
    /// similar path.
    pub(crate) fn near(&self, path: &str) -> Vec<String> {
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let files = self.below("");
        let mut near: Vec<String> = files.keys().filter(|file| name(file) == name(path)).cloned().collect();
        if near.is_empty() {
            near.extend(nearest(path, files.keys().map(String::as_str), 3).into_iter().map(str::to_owned));
        }
        near.truncate(3);
        near
    }

    /// All that lies below a folder of any root, by its path relative to it, sorted; the first root that has a path
    /// gives it.
    fn below(&self, folder: &str) -> BTreeMap<String, std::path::PathBuf> {
        let mut found = BTreeMap::new();
        for root in self.roots() {
            walk(self.storage(), &root.join(folder), "", 0, &mut found);
        }
        found
    }
}

fn walk(
    storage: &dyn Storage,
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, std::path::PathBuf>,
) {
    const DEPTH_LIMIT: usize = 40;
    for name in storage.names(folder) {
        let path = folder.join(&name);
        let name = format!("{prefix}{name}");
        let is_folder = matches!(storage.kind(&path), Ok(SourceKind::Directory));
        if is_folder && depth < DEPTH_LIMIT {
            walk(storage, &path, &format!("{name}/"), depth + 1, found);
        }
        found.entry(name).or_insert(path);
    }
}

/// A problem of a template, with the state that manages the file.
fn of_file(problem: Problem, chunk: &Chunk) -> Problem {
    let what = format!("rendered by `{}` of `{}`", chunk.function(), chunk.id);
    let by = Arc::new(Via { at: chunk.at.clone(), what: what.into(), pass: None });
    Problem { at: problem.at.map(|at| at.after(&by)), ..problem }
}

/// A problem of a template that is no file, put to the argument that gives it.
fn of_text(problem: Problem, chunk: &Chunk, text: &SourceFile) -> Problem {
    let giving = ["contents", "contents_pillar", "contents_grains"];
    let argument = giving.iter().find_map(|argument| chunk.place(argument)).unwrap_or(&chunk.at);
    let unwritten = problem.at.as_ref().filter(|at| at.file == text.shown).and_then(|at| {
        let line = text.text.lines().nth((at.line as usize).checked_sub(1)?)?.to_owned();
        Some(Unwritten { what: "in the text", text: line, column: at.column })
    });
    Problem { at: problem.at.map(|at| at.within(&text.shown, argument)), unwritten, ..problem }
}

/// The path below the roots that a `salt://` address names. What follows `?` names an environment.
fn path_of(url: &str) -> Result<&str, SourceError> {
    let path = url.strip_prefix("salt://").ok_or_else(|| SourceError::NotSalt { url: url.to_owned() })?;
    Ok(path.split("?saltenv=").next().unwrap_or(path))
}

fn unreadable(url: &str, error: &std::io::Error) -> SourceError {
    SourceError::Unreadable { url: url.to_owned(), reason: error.to_string() }
}
