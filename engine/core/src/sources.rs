//! What a state's arguments may refer to in the tree: source files, templates, pillar.

use thiserror::Error;

use crate::{Chunk, Map, Problem, Value};

/// The tree as one target's states see it: file roots, templates rendered with its grains and pillar, pillar itself.
pub trait Sources: Sync {
    /// The bytes of a `salt://` file.
    fn read(&self, url: &str) -> Result<Vec<u8>, SourceError>;

    /// Returns the permission bits of a `salt://` file.
    fn mode(&self, url: &str) -> Result<u32, SourceError>;

    /// All files and directories below a `salt://` folder, sorted, as paths relative to it.
    fn list(&self, url: &str) -> Result<Vec<SourceEntry>, SourceError>;

    /// Renders `text` (the content of `name`) as the template of a managed file: `context` over `defaults`, and what
    /// every template has (grains, pillar, salt, the state's id and sls).
    fn render(&self, chunk: &Chunk, name: &str, text: &str, context: &Map) -> Result<String, Problem>;

    /// `pillar.get`: a colon-separated path.
    fn pillar(&self, path: &str) -> Option<Value>;

    /// `grains.get`: a colon-separated path.
    fn grain(&self, path: &str) -> Option<Value>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEntry {
    pub path: String,
    pub kind: SourceKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    File {
        /// Permission bits; of a git revision 0755 or 0644.
        mode: u32,
    },
    Directory,
    Symlink {
        target: String,
    },
}

#[derive(Debug, Error)]
pub enum SourceError {
    #[error("`{url}` does not exist in the file roots ({})", roots.join(", "))]
    Missing { url: String, roots: Vec<String>, nearest: Option<String> },
    #[error("`{url}` cannot be read: {reason}")]
    Unreadable { url: String, reason: String },
    #[error("`{url}` is not a `salt://` address")]
    NotSalt { url: String },
}
