//! Where the parser follows YAML 1.2 more strictly than PyYAML follows 1.1: text that Salt reads is rewritten, line for
//! line, into text that means the same and that the parser reads.

use std::collections::HashMap;

use saphyr_parser::{Marker, ScanError};

/// How far a continuation line is moved to the right; more than any indentation of a file.
const SHIFT: usize = 200;

/// Text with lines that were moved.
#[derive(Clone)]
pub(super) struct Repaired {
    pub(super) text: String,
    /// The moved lines, from 1.
    shifted: HashMap<u32, ()>,
}

impl Repaired {
    pub(super) fn new(text: &str) -> Self {
        Repaired { text: text.to_owned(), shifted: HashMap::new() }
    }

    /// The column of the original text; both count from 0.
    pub(super) fn column(&self, line: u32, column: usize) -> usize {
        if self.shifted.contains_key(&line) { column.saturating_sub(SHIFT) } else { column }
    }

    /// Rewrites the place of an error; says whether there was something to rewrite.
    pub(super) fn repair(&mut self, error: &ScanError) -> bool {
        match error.info() {
            // PyYAML does not look at the indentation within quotes and brackets.
            "invalid indentation in quoted scalar" => self.shift_quoted(error.marker()),
            "invalid indentation" | "invalid indentation in flow construct" => {
                self.shift(error.marker().line())
            }
            // To PyYAML a tab separates a value from its key as well as a space does.
            "':' must be followed by a valid YAML whitespace" => self.untab(error.marker()),
            _ => false,
        }
    }

    /// Moves the continuation lines of the quoted text that begins at the marker.
    fn shift_quoted(&mut self, start: &Marker) -> bool {
        let Some(quote) = self.offset(start.line(), start.col()) else { return false };
        let rest = &self.text[quote..];
        let Some(kind) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return false };
        let mut lines = 0;
        let mut chars = rest.chars().skip(1).peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => lines += 1,
                '\\' if kind == '"' => lines += usize::from(chars.next() == Some('\n')),
                '\'' if kind == '\'' && chars.peek() == Some(&'\'') => {
                    chars.next();
                }
                c if c == kind => break,
                _ => {}
            }
        }
        let mut moved = false;
        for line in start.line() + 1..=start.line() + lines {
            moved |= self.shift(line);
        }
        moved
    }

    fn shift(&mut self, line: usize) -> bool {
        let (Some(offset), Ok(number)) = (self.offset(line, 0), u32::try_from(line)) else { return false };
        if self.shifted.insert(number, ()).is_some() {
            return false;
        }
        self.text.insert_str(offset, &" ".repeat(SHIFT));
        true
    }

    /// Makes the tabs before the marker spaces.
    fn untab(&mut self, after: &Marker) -> bool {
        let (Some(start), Some(end)) = (self.offset(after.line(), 0), self.offset(after.line(), after.col()))
        else {
            return false;
        };
        let white = self.text[start..end].trim_end_matches([' ', '\t']).len() + start;
        let found = self.text[white..end].contains('\t');
        let spaces = " ".repeat(end - white);
        self.text.replace_range(white..end, &spaces);
        found
    }

    /// The byte at which a column, from 0, of a line, from 1, begins.
    fn offset(&self, line: usize, column: usize) -> Option<usize> {
        let mut start = 0;
        for _ in 1..line {
            start += self.text[start..].find('\n')? + 1;
        }
        let text = &self.text[start..];
        let (within, _) = text.char_indices().nth(column).unwrap_or((text.len(), ' '));
        Some(start + within)
    }
}
