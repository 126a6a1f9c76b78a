//! A revision of the tree's repository as a place to read files from, without a checkout. What lies in the working tree
//! and is not git's (ignored files, repositories within, submodules: private pillar, as a rule) is laid over it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kstate_core::SourceKind;
use kstate_sls::{Disk, Storage};

use crate::error::CommandError;
use crate::git::{Commit, Entry, EntryKind, Repository};

pub(crate) struct Revision {
    repository: Arc<Repository>,
    /// What each folder holds, by its path below the top, which is `""`.
    folders: HashMap<String, BTreeMap<String, Node>>,
    /// What is not git's and has been read.
    untracked: Arc<Untracked>,
}

/// What lies in the working tree and is not git's.
#[derive(Debug, Default)]
pub(crate) struct Untracked {
    paths: Vec<String>,
    read: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Debug)]
enum Node {
    Folder,
    File {
        id: String,
        mode: u32,
    },
    Link {
        target: String,
    },
    /// It lies in the working tree only.
    Untracked,
}

/// Where a path has led to.
enum Place<'a> {
    Folder(&'a BTreeMap<String, Node>),
    File { id: &'a str, path: String, mode: u32 },
    Link { target: &'a str },
    Disk { path: PathBuf, untracked: Option<String> },
}

impl Untracked {
    pub(crate) fn of(repository: &Repository) -> Result<Self, CommandError> {
        Ok(Untracked { paths: repository.untracked()?, read: Mutex::default() })
    }

    /// What has been read of it.
    pub(crate) fn read(&self) -> Vec<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, path: String) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}

impl Revision {
    pub(crate) fn new(
        repository: Arc<Repository>,
        commit: &Commit,
        untracked: Arc<Untracked>,
    ) -> Result<Self, CommandError> {
        let folders = HashMap::from([(String::new(), BTreeMap::new())]);
        let mut revision = Revision { repository, folders, untracked };
        for Entry { path, kind, id } in revision.repository.entries(commit)? {
            let node = match kind {
                EntryKind::File { executable } => {
                    Node::File { id, mode: if executable { 0o755 } else { 0o644 } }
                }
                EntryKind::Link => Node::Link { target: revision.link(&id, &path)? },
                EntryKind::Submodule => Node::Untracked,
            };
            revision.put(&path, node);
        }
        for path in revision.untracked.clone().paths.iter() {
            revision.lay_over(path);
        }
        Ok(revision)
    }

    fn link(&self, id: &str, path: &str) -> Result<String, CommandError> {
        match self.repository.content(id, path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => Err(CommandError::failed(format!("the link `{path}` cannot be read: {error}"))),
        }
    }

    fn get(&self, path: &str) -> Option<&Node> {
        let (folder, name) = parts(path);
        self.folders.get(folder)?.get(name)
    }

    /// Puts a node where nothing is, and the folders above it.
    fn put(&mut self, path: &str, node: Node) {
        let (folder, name) = parts(path);
        if !folder.is_empty() && !self.folders.contains_key(folder) {
            self.put(folder, Node::Folder);
        }
        if matches!(node, Node::Folder) {
            self.folders.insert(path.to_owned(), BTreeMap::new());
        }
        if let Some(nodes) = self.folders.get_mut(folder) {
            nodes.entry(name.to_owned()).or_insert(node);
        }
    }

    /// Lays what is not git's over the revision, whose own files stay what they are.
    fn lay_over(&mut self, path: &str) {
        match self.get(path) {
            None => self.put(path, Node::Untracked),
            Some(Node::Folder) => {
                for name in Disk.names(&self.repository.top.join(path)) {
                    self.lay_over(&format!("{path}/{name}"));
                }
            }
            Some(_) => {}
        }
    }

    /// Where a path leads to; none if nothing is there. `follow`: also through a link at its end.
    fn place(&self, path: &Path, follow: bool) -> Option<Place<'_>> {
        self.place_within(path, follow, 40)
    }

    /// Likewise, by way of no more links than `hops`.
    fn place_within(&self, path: &Path, follow: bool, mut hops: usize) -> Option<Place<'_>> {
        let Some(path) = self.inside(path) else {
            return Some(Place::Disk { path: path.to_owned(), untracked: None });
        };
        let mut rest = words(&path);
        let mut at: Vec<String> = Vec::new();
        while let Some(word) = rest.pop_front() {
            if word == ".." {
                if at.pop().is_none() {
                    let up = joined(self.repository.top.parent()?, &rest);
                    return self.place_within(&up, follow, hops.checked_sub(1)?);
                }
                continue;
            }
            at.push(word);
            let path = at.join("/");
            match self.get(&path)? {
                Node::Folder => {}
                Node::File { id, mode } => {
                    let file = Place::File { id, path, mode: *mode };
                    return rest.is_empty().then_some(file);
                }
                Node::Link { target } if rest.is_empty() && !follow => return Some(Place::Link { target }),
                Node::Link { target } => {
                    hops = hops.checked_sub(1)?;
                    if target.starts_with('/') {
                        let path = joined(Path::new(target), &rest);
                        return self.place_within(&path, follow, hops);
                    }
                    at.pop();
                    for word in words(Path::new(target)).into_iter().rev() {
                        rest.push_front(word);
                    }
                }
                Node::Untracked => {
                    let below = joined(&self.repository.top.join(&path), &rest);
                    return Some(Place::Disk { path: below, untracked: Some(path) });
                }
            }
        }
        self.folders.get(&at.join("/")).map(Place::Folder)
    }

    /// The path below the top of the repository; none if it does not lie in it.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let top = &self.repository.top;
        if let Ok(path) = path.strip_prefix(top) {
            return Some(path.to_owned());
        }
        // The working tree may be reached by another way, through links.
        let absolute = std::path::absolute(path).ok()?;
        let real = |above: &Path| Some(above.canonicalize().ok()?.join(absolute.strip_prefix(above).ok()?));
        Some(absolute.ancestors().find_map(real)?.strip_prefix(top).ok()?.to_owned())
    }
}

/// The folder that a path lies in, and its name there.
fn parts(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn joined(folder: &Path, words: &VecDeque<String>) -> PathBuf {
    words.iter().fold(folder.to_owned(), |path, word| path.join(word))
}

fn words(path: &Path) -> VecDeque<String> {
    let word = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    };
    path.components().filter_map(word).collect()
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Revision").field(&self.repository.top).finish()
    }
}

impl Storage for Revision {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.place(path, true).ok_or(io::ErrorKind::NotFound)? {
            Place::File { id, path, .. } => self.repository.content(id, &path),
            Place::Disk { path, untracked } => {
                let content = Disk.read(&path)?;
                untracked.into_iter().for_each(|path| self.untracked.note(path));
                Ok(content)
            }
            Place::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
            Place::Link { .. } => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn kind(&self, path: &Path) -> io::Result<SourceKind> {
        Ok(match self.place(path, false).ok_or(io::ErrorKind::NotFound)? {
            Place::Folder(_) => SourceKind::Directory,
            Place::File { mode, .. } => SourceKind::File { mode },
            Place::Link { target } => SourceKind::Symlink { target: target.to_owned() },
            Place::Disk { path, .. } => Disk.kind(&path)?,
        })
    }

    fn leads_to(&self, path: &Path) -> Option<SourceKind> {
        match self.place(path, true)? {
            Place::Folder(_) => Some(SourceKind::Directory),
            Place::File { mode, .. } => Some(SourceKind::File { mode }),
            Place::Link { .. } => None,
            Place::Disk { path, .. } => Disk.leads_to(&path),
        }
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        match self.place(folder, true) {
            Some(Place::Folder(nodes)) => nodes.keys().cloned().collect(),
            Some(Place::Disk { path, .. }) => Disk.names(&path),
            _ => Vec::new(),
        }
    }
}
