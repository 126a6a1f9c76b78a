//! Where something stands in a file that a person edits.

use std::fmt;
use std::sync::Arc;

/// A place in a source file. Lines and columns count from 1; a column counts characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file as it is named to people: relative to the root where it lies below it.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Position {
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Position { file: file.into(), line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
