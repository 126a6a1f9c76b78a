//! Where the files of a tree are read from.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kstate_core::SourceKind;

/// The files of a tree as they lie on the disk, or as a revision of its repository has them.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What stands at a path; a link is not followed.
    fn kind(&self, path: &Path) -> io::Result<SourceKind>;

    /// What a path leads to, links followed; none if that is neither a file nor a folder.
    fn leads_to(&self, path: &Path) -> Option<SourceKind>;

    /// The names in a folder, sorted; none if there is no such folder. A name that is not UTF-8 cannot be used.
    fn names(&self, folder: &Path) -> Vec<String>;

    fn is_file(&self, path: &Path) -> bool {
        matches!(self.leads_to(path), Some(SourceKind::File { .. }))
    }

    fn is_folder(&self, path: &Path) -> bool {
        matches!(self.leads_to(path), Some(SourceKind::Directory))
    }
}

/// This machine's disk.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Storage for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn kind(&self, path: &Path) -> io::Result<SourceKind> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            return Ok(SourceKind::Symlink { target: fs::read_link(path)?.to_string_lossy().into_owned() });
        }
        Ok(plain(&metadata))
    }

    fn leads_to(&self, path: &Path) -> Option<SourceKind> {
        let metadata = fs::metadata(path).ok()?;
        (metadata.is_file() || metadata.is_dir()).then(|| plain(&metadata))
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

fn plain(metadata: &fs::Metadata) -> SourceKind {
    if metadata.is_dir() {
        SourceKind::Directory
    } else {
        SourceKind::File { mode: metadata.permissions().mode() & 0o7777 }
    }
}
