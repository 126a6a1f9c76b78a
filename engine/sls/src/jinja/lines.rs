//! From a line of rendered text back to the line that a person wrote.
//!
//! Every piece of a template's own text, and every `{{ … }}`, is preceded in the output by a marker: two Unicode
//! noncharacters (never text: Unicode reserves them) around `template:line:column`. `Marked::read` takes them out of
//! the finished text and keeps what they said.

use std::borrow::Cow;
use std::sync::Arc;

use kstate_core::Position;

pub(super) const OPEN: char = '\u{fdd0}';
pub(super) const CLOSE: char = '\u{fdd1}';

/// A place in a template: its number among the loaded ones, line and column. At the start of a printed value all of
/// the value belongs to it; in the template's own text, later characters stand further to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) template: u32,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) value: bool,
}

pub(super) fn write_marker(out: &mut String, spot: Spot) {
    use std::fmt::Write as _;
    let Spot { template, line, column, value } = spot;
    // Writing to a string does not fail.
    let _ = write!(out, "{OPEN}{template}:{line}:{column}:{}{CLOSE}", u32::from(value));
}

/// The text without its markers.
pub(super) fn without_markers(text: &str) -> Cow<'_, str> {
    if !text.contains(OPEN) && !text.contains(CLOSE) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        out.push_str(&rest[..at]);
        rest = &rest[at + OPEN.len_utf8()..];
        if let Some((_, after)) = marker(rest) {
            rest = after;
        }
    }
    out.push_str(rest);
    if out.contains(CLOSE) {
        out = out.replace(CLOSE, "");
    }
    Cow::Owned(out)
}

/// Reads what follows an opening character: the spot (none for an empty marker) and the text behind it.
fn marker(text: &str) -> Option<(Option<Spot>, &str)> {
    let end = text.char_indices().take(40).find(|(_, c)| *c == CLOSE)?.0;
    let (body, after) = (&text[..end], &text[end + CLOSE.len_utf8()..]);
    if body.is_empty() {
        return Some((None, after));
    }
    let mut numbers = body.split(':').map(|n| n.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    let spot = Spot { template: next()?, line: next()?, column: next()?, value: next()? == 1 };
    Some((Some(spot), after))
}

/// Rendered text with the spots of its parts.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) text: String,
    /// For every line of the text, its parts: from which column (counted from 1) on which spot holds.
    pub(super) lines: Vec<Vec<(u32, Spot)>>,
}

impl Marked {
    pub(super) fn read(marked: &str) -> Marked {
        let mut out = Marked { text: String::with_capacity(marked.len()), lines: vec![Vec::new()] };
        let mut column = 1;
        let mut current: Option<Spot> = None;
        let mut rest = marked;
        while !rest.is_empty() {
            let at = rest.find(OPEN).unwrap_or(rest.len());
            for line in rest[..at].split_inclusive('\n') {
                out.text.push_str(line);
                if line.ends_with('\n') {
                    out.lines
                        .push(current.map(|spot| (1, Spot { value: true, ..spot })).into_iter().collect());
                    column = 1;
                } else {
                    column += u32::try_from(line.chars().count()).unwrap_or(u32::MAX / 2);
                }
            }
            rest = rest.get(at + OPEN.len_utf8()..).unwrap_or_default();
            if let Some((spot, after)) = marker(rest) {
                rest = after;
                if let (Some(spot), Some(parts)) = (spot, out.lines.last_mut()) {
                    current = Some(spot);
                    if parts.last().is_some_and(|(at, _)| *at == column) {
                        parts.pop();
                    }
                    parts.push((column, spot));
                }
            }
        }
        out
    }
}

#[derive(Clone, Debug)]
struct Part {
    /// The column of the rendered line where it starts.
    column: u32,
    at: Position,
    value: bool,
}

impl Part {
    fn position(&self, column: u32) -> Position {
        let by = if self.value { 0 } else { column.saturating_sub(self.column) };
        Position { column: self.at.column + by, ..self.at.clone() }
    }
}

/// Says where a line of rendered text comes from.
#[derive(Clone, Debug, Default)]
pub struct LineMap {
    lines: Vec<Vec<Part>>,
    first: Vec<Option<Position>>,
    fallback: Option<Arc<str>>,
}

impl LineMap {
    /// `names` gives the file of a template by its number.
    pub(super) fn new(marked: &Marked, names: &dyn Fn(u32) -> Arc<str>, file: Arc<str>) -> LineMap {
        let lines: Vec<Vec<Part>> = marked
            .lines
            .iter()
            .map(|parts| {
                parts
                    .iter()
                    .map(|(column, spot)| Part {
                        column: *column,
                        at: Position { file: names(spot.template), line: spot.line, column: spot.column },
                        value: spot.value,
                    })
                    .collect()
            })
            .collect();
        let first = marked
            .text
            .split('\n')
            .zip(&lines)
            .map(|(text, parts)| {
                let indent = text.chars().take_while(|c| c.is_whitespace()).count();
                let column = u32::try_from(indent).unwrap_or_default() + 1;
                let part = parts.iter().rev().find(|part| part.column <= column).or_else(|| parts.first())?;
                Some(part.position(column))
            })
            .collect();
        LineMap { lines, first, fallback: Some(file) }
    }

    /// A text that is its own source: line 3 of it is line 3 of the file.
    pub fn identity(file: impl Into<Arc<str>>) -> LineMap {
        LineMap { lines: Vec::new(), first: Vec::new(), fallback: Some(file.into()) }
    }

    /// Where the first character (white space apart) of a rendered line was written. Lines count from 1.
    pub fn origin(&self, rendered_line: u32) -> Position {
        let index = rendered_line.saturating_sub(1) as usize;
        if let Some(Some(position)) = self.first.get(index) {
            return position.clone();
        }
        if let Some(position) = self.first.iter().take(index).rev().flatten().next() {
            return position.clone();
        }
        Position {
            file: self.fallback.clone().unwrap_or_else(|| "".into()),
            line: rendered_line.max(1),
            column: 1,
        }
    }

    /// Where the character at a column of a rendered line was written. The parts of a line stand in its order.
    pub fn origin_at(&self, rendered_line: u32, column: u32) -> Position {
        let parts = self.lines.get(rendered_line.saturating_sub(1) as usize);
        let before = |parts: &'_ Vec<Part>| parts.partition_point(|part| part.column <= column);
        match parts.and_then(|parts| parts[..before(parts)].last()) {
            Some(part) => part.position(column),
            None => self.origin(rendered_line),
        }
    }
}
