//! From a place of rendered text back to the place that a person wrote, and the way to it.
//!
//! Every piece of a template's own text, and every `{{ … }}`, is preceded in the output by a marker: two Unicode
//! noncharacters (never text: Unicode reserves them) around `template:line:column`. Further markers stand around what
//! macros, `include`, `extends` and loops write. `Marked::read` takes them out of the finished text and keeps what they
//! said: each place has the number of the innermost passage that wrote it, and each passage that of the one around it.

use std::borrow::Cow;
use std::sync::Arc;

use kstate_core::{Position, Via};

use super::Registry;

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

/// A place of a template from which others are written: its number among those of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) template: u32,
    pub(super) number: u32,
}

/// What a marker says of the text behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The engine shall not take it for a tag.
    Nothing,
    Spot(Spot),
    Enter(Passage),
    /// The next pass of a loop begins.
    Again(Passage),
    Leave(Passage),
}

pub(super) fn write_marker(out: &mut String, mark: Mark) {
    use std::fmt::Write as _;
    let mut passage = |sign, Passage { template, number }| {
        // Writing to a string does not fail.
        let _ = write!(out, "{OPEN}{sign}{template}:{number}{CLOSE}");
    };
    match mark {
        Mark::Enter(to) => passage('>', to),
        Mark::Again(to) => passage('+', to),
        Mark::Leave(from) => passage('<', from),
        Mark::Nothing => out.extend([OPEN, CLOSE]),
        Mark::Spot(Spot { template, line, column, value }) => {
            let _ = write!(out, "{OPEN}{template}:{line}:{column}:{}{CLOSE}", u32::from(value));
        }
    }
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

/// Reads what follows an opening character: what the marker says, and the text behind it.
fn marker(text: &str) -> Option<(Mark, &str)> {
    let end = text.char_indices().take(40).find(|(_, c)| *c == CLOSE)?.0;
    let (body, after) = (&text[..end], &text[end + CLOSE.len_utf8()..]);
    if body.is_empty() {
        return Some((Mark::Nothing, after));
    }
    let digits = body.trim_start_matches(['>', '+', '<']);
    let mut numbers = digits.split(':').map(|n| n.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    let mut passage = || Some(Passage { template: next()?, number: next()? });
    let mark = match body.as_bytes().first()? {
        b'>' => Mark::Enter(passage()?),
        b'+' => Mark::Again(passage()?),
        b'<' => Mark::Leave(passage()?),
        _ => Mark::Spot(Spot { template: next()?, line: next()?, column: next()?, value: next()? == 1 }),
    };
    Some((mark, after))
}

/// From this place of the rendered text on, up to the next part, the spot holds.
#[derive(Clone, Copy, Debug)]
struct Part {
    line: u32,
    column: u32,
    spot: Spot,
    way: Option<Way>,
}

/// A line and a column of rendered text, both from 1.
type Place = (u32, u32);

/// A way, by its number among those of a text.
type Way = usize;

/// A passage on the way of others.
#[derive(Clone, Copy, Debug)]
struct Passed {
    passage: Passage,
    /// Of a loop, from 1.
    pass: u32,
    before: Option<Way>,
}

/// Rendered text with the spots of its parts.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) text: String,
    /// In the order of the text.
    parts: Vec<Part>,
    ways: Vec<Passed>,
}

impl Marked {
    pub(super) fn read(marked: &str) -> Marked {
        let mut out =
            Marked { text: String::with_capacity(marked.len()), parts: Vec::new(), ways: Vec::new() };
        let mut open: Vec<Open> = Vec::new();
        let (mut line, mut column) = (1, 1);
        let mut rest = marked;
        while !rest.is_empty() {
            let at = rest.find(OPEN).unwrap_or(rest.len());
            let text = &rest[..at];
            out.text.push_str(text);
            let last = text.rfind('\n').map_or(text, |end| {
                line += count(text.matches('\n'));
                column = 1;
                &text[end + 1..]
            });
            column += count(last.chars());
            rest = rest.get(at + OPEN.len_utf8()..).unwrap_or_default();
            let Some((mark, after)) = marker(rest) else { continue };
            rest = after;
            match mark {
                Mark::Nothing => {}
                Mark::Spot(spot) => {
                    let way = out.way(&mut open);
                    if out.parts.last().is_some_and(|part| (part.line, part.column) == (line, column)) {
                        out.parts.pop();
                    }
                    out.parts.push(Part { line, column, spot, way });
                }
                Mark::Enter(passage) => open.push(Open { passage, pass: 0, way: None }),
                Mark::Again(passage) => {
                    let pass = leave(&mut open, passage).map_or(0, |left| left.pass) + 1;
                    open.push(Open { passage, pass, way: None });
                }
                Mark::Leave(passage) => {
                    leave(&mut open, passage);
                }
            }
        }
        out
    }

    /// The way through all that is open; each gets its number when it is needed first.
    fn way(&mut self, open: &mut [Open]) -> Option<Way> {
        let known = open.iter().rposition(|open| open.way.is_some()).map_or(0, |last| last + 1);
        let mut before = known.checked_sub(1).and_then(|last| open[last].way);
        for open in &mut open[known..] {
            self.ways.push(Passed { passage: open.passage, pass: open.pass, before });
            before = Some(self.ways.len() - 1);
            open.way = before;
        }
        before
    }
}

/// A passage whose end has not been seen.
struct Open {
    passage: Passage,
    pass: u32,
    way: Option<Way>,
}

/// Leaves a passage and all within it.
fn leave(open: &mut Vec<Open>, passage: Passage) -> Option<Open> {
    let at = open.iter().rposition(|open| open.passage == passage)?;
    open.drain(at..).next()
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX / 2)
}

/// Says where a place of rendered text comes from.
#[derive(Clone, Debug)]
pub struct LineMap {
    parts: Vec<Part>,
    ways: Vec<Arc<Via>>,
    registry: Arc<Registry>,
    file: Arc<str>,
}

impl LineMap {
    /// `file` is where everything stands that no part tells of.
    pub(super) fn new(marked: &Marked, registry: &Arc<Registry>, file: Arc<str>) -> LineMap {
        let mut map = LineMap { parts: marked.parts.clone(), ..LineMap::identity(file) };
        map.registry = registry.clone();
        for Passed { passage, pass, before } in &marked.ways {
            let way = before.and_then(|before| map.ways.get(before)).cloned();
            map.ways.push(Arc::new(map.step(*passage, *pass, way)));
        }
        map
    }

    /// A text that is its own source: line 3 of it is line 3 of the file.
    pub fn identity(file: impl Into<Arc<str>>) -> LineMap {
        LineMap { parts: Vec::new(), ways: Vec::new(), registry: Arc::default(), file: file.into() }
    }

    /// Where printed values begin in the rendered text, and what follows them.
    pub(crate) fn printed(&self) -> impl DoubleEndedIterator<Item = (Place, Option<Place>)> {
        let place = |part: &Part| (part.line, part.column);
        let values = self.parts.iter().enumerate().filter(|(_, part)| part.spot.value);
        values.map(move |(number, part)| (place(part), self.parts.get(number + 1).map(place)))
    }

    /// Whether a line of the rendered text holds something that was printed.
    pub(crate) fn is_printed(&self, line: u32) -> bool {
        let first = self.parts.partition_point(|part| (part.line, part.column) <= (line, 1));
        let parts = &self.parts[first.saturating_sub(1)..];
        parts.iter().take_while(|part| part.line <= line).any(|part| part.spot.value)
    }

    /// The expression between `{{` and `}}` that printed what begins at a place of the rendered text.
    pub(crate) fn expression(&self, line: u32, column: u32) -> Option<String> {
        let at =
            self.parts.partition_point(|part| (part.line, part.column) <= (line, column)).checked_sub(1)?;
        let spot = self.parts.get(at)?.spot;
        let template = self.registry.number(spot.template)?;
        let written = template.source.lines().nth((spot.line as usize).checked_sub(1)?)?;
        let tag: String = written.chars().skip((spot.column as usize).checked_sub(1)?).collect();
        let (expression, _) = tag.strip_prefix("{{")?.split_once("}}")?;
        Some(expression.trim_matches(['-', '+']).trim().to_owned())
    }

    fn step(&self, passage: Passage, pass: u32, way: Option<Arc<Via>>) -> Via {
        let template = self.registry.number(passage.template);
        let known = template.as_ref().and_then(|t| t.lowered.passages.get(passage.number as usize));
        let (line, column) = known.map_or((1, 1), |known| (known.at.line, known.at.column));
        let file = template.as_ref().map_or_else(|| self.file.clone(), |template| template.file.clone());
        let what = known.and_then(|known| known.what.clone());
        let pass = what.is_none().then_some(pass);
        Via { at: Position { file, line, column, way }, what: what.unwrap_or_else(|| "".into()), pass }
    }

    /// Where the character at a column of a rendered line was written. Both count from 1.
    pub fn origin(&self, line: u32, column: u32) -> Position {
        let after = self.parts.partition_point(|part| (part.line, part.column) <= (line, column));
        let before = after.checked_sub(1).and_then(|at| self.parts.get(at));
        let next = self.parts.get(after);
        // What a filter puts before a line belongs to the line; only printed values go on in further lines.
        let is_own = |part: &&Part| part.line == line || part.spot.value;
        let next_own = next.filter(|next| next.line == line);
        let Some(part) = before.filter(is_own).or(next_own).or(before).or(next) else {
            return Position::new(self.file.clone(), line, column);
        };
        let Part { spot, way, .. } = *part;
        let by = if spot.value || part.line != line { 0 } else { column.saturating_sub(part.column) };
        let template = self.registry.number(spot.template);
        Position {
            file: template.map_or_else(|| self.file.clone(), |template| template.file.clone()),
            line: spot.line,
            column: spot.column + by,
            way: way.and_then(|way| self.ways.get(way)).cloned(),
        }
    }
}
