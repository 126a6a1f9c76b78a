//! Warnings that a comment in the tree silences: `# kstate: ignore` at the end of the line that a warning is about, or
//! above it on a line of its own.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kstate_core::Problem;

const COMMENT: &str = "# kstate: ignore";

/// Knows the silent lines of the files below a root.
#[derive(Debug)]
pub(crate) struct Ignored {
    root: PathBuf,
    lines: Mutex<HashMap<Arc<str>, BTreeSet<u32>>>,
}

impl Ignored {
    pub(crate) fn new(root: &Path) -> Self {
        Ignored { root: root.to_owned(), lines: Mutex::default() }
    }

    /// Leaves the errors, and the warnings that nobody has silenced.
    pub(crate) fn apply(&self, problems: &mut Vec<Problem>) {
        problems.retain(|problem| problem.is_error() || !self.silences(problem));
    }

    fn silences(&self, problem: &Problem) -> bool {
        let Some(at) = &problem.at else { return false };
        let mut known = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = known.entry(at.file.clone()).or_insert_with(|| {
            silent(&std::fs::read_to_string(self.root.join(&*at.file)).unwrap_or_default())
        });
        lines.contains(&at.line)
    }
}

/// The numbers of the silent lines of a text.
fn silent(text: &str) -> BTreeSet<u32> {
    let mut silent = BTreeSet::new();
    let mut above = false;
    for (line, number) in text.lines().zip(1..) {
        let is_comment = ["#", "{#"].iter().any(|start| line.trim_start().starts_with(start));
        let says_so = line.contains(COMMENT);
        if above || says_so {
            silent.insert(number);
        }
        above = is_comment && (above || says_so);
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_silences_its_line_or_the_one_below() {
        let text = "a:\n  cmd.run: # kstate: ignore\n    - name: x\nb:\n  # kstate: ignore: each time, by intent\n  # more\n  cmd.run:\n    - name: y\n{# kstate: ignore #}\nc: {}\nd: {}\n";
        assert_eq!(silent(text).into_iter().collect::<Vec<_>>(), [2, 5, 6, 7, 9, 10]);
    }
}
