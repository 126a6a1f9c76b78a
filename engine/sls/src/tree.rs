//! Search paths of folders: the file roots and the pillar roots, with every file read once.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kstate_core::{Position, fnmatch};

use crate::limits;
use crate::readings::Readings;
use crate::storage::Storage;

/// Folders of which the first that holds a file gives it.
pub struct Folders {
    folders: Vec<PathBuf>,
    /// Places are named relative to this folder.
    base: PathBuf,
    storage: Arc<dyn Storage>,
    names: OnceLock<Vec<String>>,
    files: Mutex<HashMap<String, Option<Arc<SourceFile>>>>,
}

/// A text file of the tree.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path below its root: `apache/init.sls`.
    pub name: String,
    /// Its path as people know it: `salt/apache/init.sls`.
    pub shown: Arc<str>,
    pub path: PathBuf,
    /// Lines end with `\n` alone.
    pub text: String,
    pub(crate) readings: Readings,
}

impl SourceFile {
    pub fn at(&self, line: u32) -> Position {
        Position::new(self.shown.clone(), line, 1)
    }
}

impl Folders {
    pub(crate) fn new(folders: Vec<PathBuf>, base: PathBuf, storage: Arc<dyn Storage>) -> Self {
        Folders { folders, base, storage, names: OnceLock::new(), files: Mutex::new(HashMap::new()) }
    }

    /// The folders, as people know them.
    pub fn shown(&self) -> Vec<String> {
        self.folders.iter().map(|folder| self.name(folder)).collect()
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn roots(&self) -> &[PathBuf] {
        &self.folders
    }

    /// A path as people know it.
    pub(crate) fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.base).unwrap_or(path).display().to_string()
    }

    /// Where a file or folder lies.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let name = Path::new(name);
        // Nothing outside of the roots can be named.
        if name.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return None;
        }
        self.folders.iter().map(|folder| folder.join(name)).find(|path| self.storage.leads_to(path).is_some())
    }

    /// Whether a file lies there.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        self.find(name).is_some_and(|path| self.storage.is_file(&path))
    }

    /// Whether a folder lies there.
    pub(crate) fn is_folder(&self, name: &str) -> bool {
        self.find(name).is_some_and(|path| self.storage.is_folder(&path))
    }

    /// A text file by its path below a root; none if there is no such file.
    pub fn file(&self, name: &str) -> io::Result<Option<Arc<SourceFile>>> {
        if let Some(known) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let found = match self.find(name).filter(|path| self.storage.is_file(path)) {
            Some(path) => {
                let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
                let bytes = self.storage.read(&path)?;
                if bytes.len() > limits::TEXT {
                    return Err(invalid(format!("it has more than {} MiB", limits::TEXT >> 20)));
                }
                let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                let shown = self.name(&path).into();
                let readings = Readings::default();
                Some(Arc::new(SourceFile { name: name.to_owned(), shown, path, text, readings }))
            }
            None => None,
        };
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
        Ok(found)
    }

    /// The file of an SLS: `a.b` is `a/b.sls` or `a/b/init.sls`.
    pub fn sls(&self, name: &str) -> io::Result<Option<Arc<SourceFile>>> {
        let path = name.replace('.', "/");
        match self.file(&format!("{path}.sls"))? {
            Some(file) => Ok(Some(file)),
            None => self.file(&format!("{path}/init.sls")),
        }
    }

    /// All SLS there are, sorted.
    pub fn sls_names(&self) -> &[String] {
        self.names.get_or_init(|| {
            let mut names = BTreeSet::new();
            for folder in &self.folders {
                collect(&*self.storage, folder, "", 0, &mut names);
            }
            names.into_iter().collect()
        })
    }

    /// The SLS that fit a pattern, sorted.
    pub fn sls_matching(&self, pattern: &str) -> Vec<String> {
        self.sls_names().iter().filter(|name| fnmatch(name, pattern)).cloned().collect()
    }
}

impl fmt::Debug for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Folders").field(&self.folders).finish()
    }
}

/// Adds the SLS of a folder; links to folders are followed, but not without end.
fn collect(storage: &dyn Storage, folder: &Path, prefix: &str, depth: usize, names: &mut BTreeSet<String>) {
    const DEPTH_LIMIT: usize = 40;
    for file_name in storage.names(folder) {
        let path = folder.join(&file_name);
        if storage.is_folder(&path) {
            if depth < DEPTH_LIMIT {
                collect(storage, &path, &format!("{prefix}{file_name}."), depth + 1, names);
            }
        } else if let Some(stem) = file_name.strip_suffix(".sls") {
            let name = match stem {
                "init" if !prefix.is_empty() => prefix.trim_end_matches('.').to_owned(),
                stem => format!("{prefix}{stem}"),
            };
            names.insert(name);
        }
    }
}
