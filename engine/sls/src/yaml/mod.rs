//! YAML 1.1 as Salt reads it, with the place of every part.
//!
//! The events come from a maintained parser; what they mean is decided here as Salt's loader decides it: plain scalars
//! by YAML 1.1 and Salt's octal rule ([`scalar`]), a repeated key is an error, `<<` merges and own keys win. Nothing else in
//! the crate knows the parser.

mod explain;
mod repair;
mod scalar;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use kstate_core::{Data, Node, Position, Problem, Value};
use num_bigint::BigInt;
use num_traits::FromPrimitive;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::limits;
use explain::{At, Opened, Seen, explain};
use repair::Repaired;
use scalar::Plain;

/// How many times a text is rewritten for the parser's sake.
const REPAIRS_LIMIT: usize = 300;
/// How many bytes may be read again because of that.
const REPAIRED_LIMIT: usize = 64 << 20;

/// Reads one document. An empty one is null.
///
/// `origin` gives the place, in the file that a person edits, of the first character of a line of `text` (lines count
/// from 1); when that is not column 1, the columns of the two do not correspond, and it stands for the whole line.
pub fn load(text: &str, origin: &dyn Fn(u32) -> Position) -> Result<Node, Problem> {
    load_at(text, &|line, column| {
        let mut place = origin(line);
        if place.column == 1 {
            place.column = column;
        }
        place
    })
}

/// Reads one document; `origin` gives the place of a line and column of `text`, both counted from 1.
pub fn load_at(text: &str, origin: &dyn Fn(u32, u32) -> Position) -> Result<Node, Problem> {
    read(text, origin).map_err(|unread| unread.problem)
}

/// The line and the column, both from 1, where a text ends to be YAML; none if it is to its end.
pub(crate) fn end(text: &str) -> Option<(u32, u32)> {
    let (line, column) = read(text, &|line, column| Position::new("", line, column)).err()?.end?;
    Some((line, u32::try_from(column).unwrap_or(u32::MAX - 1) + 1))
}

/// Why a text could not be read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) problem: Problem,
    /// The same, without a word of the text.
    pub(crate) discreet: Problem,
    /// Where the text ends to be YAML.
    end: Option<At>,
}

/// As [`load_at`].
pub(crate) fn read(text: &str, origin: &dyn Fn(u32, u32) -> Position) -> Result<Node, Box<Unread>> {
    let mut repaired = Repaired::new(text);
    let mut left = REPAIRS_LIMIT.min(REPAIRED_LIMIT / text.len().max(1));
    loop {
        let mut reader = Reader::new(text, &repaired, origin);
        let error = match reader.read() {
            Ok(node) => return Ok(node),
            Err(Failure::Problem(problem)) => {
                return Err(Box::new(Unread { discreet: problem.clone(), problem, end: None }));
            }
            Err(Failure::Syntax(error)) => error,
        };
        let mut next = repaired.clone();
        if left == 0 || !next.repair(&error) {
            let [problem, discreet] = [false, true].map(|discreet| reader.syntax(&error, discreet));
            let end = Some(reader.written(error.marker()));
            return Err(Box::new(Unread { problem, discreet, end }));
        }
        repaired = next;
        left -= 1;
    }
}

/// Why reading ended.
enum Failure {
    /// What the parser does not understand.
    Syntax(ScanError),
    Problem(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Problem(problem)
    }
}

/// The parser's events up to its first error.
struct Events<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Iterator for Events<'a> {
    type Item = Result<(Event<'a>, Span), ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_event()
    }
}

struct Reader<'a> {
    /// The text as it was given, and as the parser reads it.
    text: &'a str,
    repaired: &'a Repaired,
    lines: Vec<&'a str>,
    origin: &'a dyn Fn(u32, u32) -> Position,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    parts: usize,
    /// The parts that anchors keep and aliases repeat.
    aliased: usize,
    /// The place in a line that was looked at last, in characters and in bytes. Events come in the order of the text.
    cursor: Cell<(u32, usize, usize)>,
    /// Where the anchors stand, by their names.
    names: HashMap<String, At>,
    last: Option<(At, ScalarStyle)>,
    document: Option<(Node, usize)>,
}

/// A list or mapping whose end has not been seen.
struct Open {
    anchor: usize,
    at: Position,
    start: At,
    /// The parts read when it was opened.
    before: usize,
    /// Whether it stands in brackets or braces.
    flow: bool,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map { set: bool, own: Vec<(Node, Node)>, merged: Vec<(Node, Node)>, key: Option<Key> },
}

enum Key {
    Merge,
    Node(Node),
}

/// Whether what begins on a line with content ends with the text, in a line that nothing ends.
fn is_cut_off(span: &Span, end: (usize, usize)) -> bool {
    (span.end.line(), span.end.col()) == end && span.end.col() >= span.start.col().max(1)
}

/// A text below `|` or `>` without the line break that the parser adds where the last line has none; PyYAML adds none.
fn without_break(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Scalar(text, style @ (ScalarStyle::Literal | ScalarStyle::Folded), anchor, tag) => {
            let text = match text.strip_suffix('\n') {
                Some(rest) => rest.to_owned().into(),
                None => text,
            };
            Event::Scalar(text, style, anchor, tag)
        }
        other => other,
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, repaired: &'a Repaired, origin: &'a dyn Fn(u32, u32) -> Position) -> Self {
        Reader {
            text,
            repaired,
            lines: text.lines().collect(),
            origin,
            stack: Vec::new(),
            anchors: HashMap::new(),
            parts: 0,
            aliased: 0,
            cursor: Cell::default(),
            names: HashMap::new(),
            last: None,
            document: None,
        }
    }

    fn read(&mut self) -> Result<Node, Failure> {
        self.check_characters()?;
        let text = &self.repaired.text;
        let last = text.split('\n').enumerate().last();
        let end = last.map_or((1, 0), |(line, last)| (line + 1, last.chars().count()));
        for event in Events(Parser::new_from_str(text)) {
            let (event, span) = event.map_err(Failure::Syntax)?;
            let event = if is_cut_off(&span, end) { without_break(event) } else { event };
            self.take(event, span)?;
        }
        let end = Node::scalar(Value::Null, self.place(1, 0));
        Ok(self.document.take().map_or(end, |(node, _)| node))
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let (line, column) = self.written(&span.start);
        let begins = matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..));
        if anchor_of(&event) != 0 {
            self.name((line, column))?;
        }
        if begins && !self.in_flow() && self.is_behind_tab(line, column) {
            return Err(self.wrong("a tab cannot indent a line of YAML", line, column).hint("use spaces"));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.last = Some(((line, column), style));
                let at = self.place(line, column);
                let wants_key = self.wants_key();
                if wants_key && style == ScalarStyle::Plain && tag.is_none() && text == "<<" {
                    self.set_key(Key::Merge);
                    return Ok(());
                }
                let read = self.scalar(&text, style, tag.as_deref(), wants_key);
                let value = read.map_err(|message| {
                    let problem = self.wrong(message, line, column);
                    if tag.is_some() {
                        problem.hint("quote a value that begins with `!` and is text")
                    } else {
                        problem
                    }
                })?;
                self.add(Node { data: Data::Scalar(value), at }, anchor, 1 + text.len() / limits::PART_BYTES)
            }
            Event::SequenceStart(anchor, tag) => {
                if let Some(tag) = tag.as_deref().filter(|tag| !is_core(tag, "seq")) {
                    return Err(self.wrong(refused(tag, "a list"), line, column));
                }
                self.open(anchor, Kind::List(Vec::new()), line, column)
            }
            Event::MappingStart(anchor, tag) => {
                let set = tag.as_deref().is_some_and(|tag| core(tag) == Some("set"));
                // Salt reads `!!omap` on a mapping as a mapping.
                let known = |tag: &&Tag| set || is_core(tag, "map") || is_core(tag, "omap");
                if let Some(tag) = tag.as_deref().filter(|tag| !known(tag)) {
                    return Err(self.wrong(refused(tag, "a mapping"), line, column));
                }
                let kind = Kind::Map { set, own: Vec::new(), merged: Vec::new(), key: None };
                self.open(anchor, kind, line, column)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(&(_, size)) = self.anchors.get(&anchor) else {
                    return Err(self.wrong(
                        "an alias cannot stand inside of what it stands for",
                        line,
                        column,
                    ));
                };
                self.aliased += size;
                if self.aliased > limits::ALIASED {
                    return Err(self.too_many_aliased(&self.place(line, column)));
                }
                let node = self.anchors[&anchor].0.clone();
                self.add(node, 0, size)
            }
            Event::DocumentStart(_) if self.document.is_some() => {
                Err(self.wrong("a second document starts here, and a state file holds one", line, column))
            }
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => Ok(()),
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        is_key: bool,
    ) -> Result<Value, String> {
        let plain = || match scalar::resolve(text)? {
            Plain::Value(value) => Ok(value),
            Plain::Default if !is_key => {
                Err("`=` alone has a meaning of its own in YAML; quote it".to_owned())
            }
            Plain::Default => Ok(Value::from("=")),
            Plain::Merge => Err("`<<` merges mappings and stands only as a key; quote it".to_owned()),
        };
        let Some(tag) = tag else {
            return if style == ScalarStyle::Plain { plain() } else { Ok(Value::from(text)) };
        };
        match core(tag) {
            // `!` alone takes the text as it stands.
            None if tag.handle.is_empty() && tag.suffix == "!" => Ok(Value::from(text)),
            Some("str" | "timestamp" | "python/unicode") => Ok(Value::from(text)),
            Some("int") => scalar::integer(text),
            Some("float") => scalar::float(text).map(Value::Float),
            Some("null") => Ok(Value::Null),
            Some("bool") => match text.to_lowercase().as_str() {
                "yes" | "true" | "on" => Ok(Value::Bool(true)),
                "no" | "false" | "off" => Ok(Value::Bool(false)),
                _ => Err(format!("`{text}` is not a boolean")),
            },
            Some("binary") => base64(text).map(Value::Bytes).ok_or_else(|| "this is not base64".to_owned()),
            _ => Err(refused(tag, "text")),
        }
    }

    fn open(&mut self, anchor: usize, kind: Kind, line: u32, column: usize) -> Result<(), Problem> {
        if self.stack.len() == limits::NESTING {
            let message =
                format!("lists and mappings stand more than {} deep in each other", limits::NESTING);
            return Err(self.wrong(message, line, column).hint("is a bracket or a brace not closed?"));
        }
        let at = self.place(line, column);
        let column = self.behind_properties(line, column);
        let flow = self.in_flow() || matches!(self.char_at(line, column), Some('[' | '{'));
        self.stack.push(Open { anchor, at, start: (line, column), before: self.parts, flow, kind });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { anchor, at, before, kind, .. }) = self.stack.pop() else { return Ok(()) };
        let data = match kind {
            Kind::List(items) => Data::List(items),
            Kind::Map { set, own, merged, .. } => {
                let entries = self.entries(own, merged)?;
                if set { as_set(&entries, &at) } else { Data::Map(entries) }
            }
        };
        let size = self.parts - before + 1;
        // Its parts are counted already.
        self.parts = before;
        self.add(Node { data, at }, anchor, size)
    }

    /// Merged entries first, as Salt keeps them; own keys win over them; any other repetition is an error.
    fn entries(
        &self,
        own: Vec<(Node, Node)>,
        merged: Vec<(Node, Node)>,
    ) -> Result<Vec<(Node, Node)>, Problem> {
        let own_keys: HashSet<Identity> = if merged.is_empty() {
            HashSet::new()
        } else {
            own.iter().filter_map(|(key, _)| identity(key)).collect()
        };
        let wins = |key: &Node| identity(key).is_some_and(|key| own_keys.contains(&key));
        let mut entries: Vec<_> = merged.into_iter().filter(|(key, _)| !wins(key)).collect();
        entries.extend(own);
        let mut seen = HashMap::new();
        for (key, _) in &entries {
            let Some(identity) = identity(key) else {
                let message = format!("{} cannot be a key", key.value().kind());
                return Err(self.at_node(message, key).hint(
                    "two braces `{{ }}` that no template filled in are read as a mapping in a mapping",
                ));
            };
            if let Some(first) = seen.insert(identity, &key.at) {
                let message = format!("`{}` is a key of this mapping twice", key.value());
                return Err(self.at_node(message, key).related("first here", first));
            }
        }
        Ok(entries)
    }

    /// Puts a finished part into what is open around it. `size` is its number of parts.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Problem> {
        self.parts += size;
        if self.parts > limits::PARTS {
            return Err(self.too_many(&node.at));
        }
        if anchor != 0 {
            self.aliased += size;
            if self.aliased > limits::ALIASED {
                return Err(self.too_many_aliased(&node.at));
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.document = Some((node, size));
            return Ok(());
        };
        match &mut open.kind {
            Kind::List(items) => items.push(node),
            Kind::Map { own, merged, key, .. } => match key.take() {
                None => *key = Some(Key::Node(node)),
                Some(Key::Node(name)) => own.push((name, node)),
                Some(Key::Merge) => {
                    merged.extend(merge(node)?);
                }
            },
        }
        Ok(())
    }

    fn too_many(&self, at: &Position) -> Problem {
        let message = format!("the document has more than {} parts", limits::PARTS);
        Problem::error(message).at(at).hint("split the document into several files")
    }

    fn too_many_aliased(&self, at: &Position) -> Problem {
        let message = format!("the aliases of the document repeat more than {} parts", limits::ALIASED);
        Problem::error(message).at(at).hint("use fewer aliases inside of what other aliases repeat")
    }

    fn in_flow(&self) -> bool {
        self.stack.last().is_some_and(|open| open.flow)
    }

    /// Where a node begins whose anchor or tag stands at a column.
    fn behind_properties(&self, line: u32, column: usize) -> usize {
        let mut column = column;
        while let Some('&' | '!') = self.char_at(line, column) {
            let mut rest = self.rest(line, column).chars().peekable();
            let word = std::iter::from_fn(|| rest.next_if(|c| !c.is_whitespace())).count();
            column += word + rest.take_while(|c| c.is_whitespace()).count();
        }
        column
    }

    fn char_at(&self, line: u32, column: usize) -> Option<char> {
        self.rest(line, column).chars().next()
    }

    /// A line from a column on.
    fn rest(&self, line: u32, column: usize) -> &'a str {
        let text = self.line(line).unwrap_or_default();
        let (known, passed, bytes) = self.cursor.get();
        let (passed, bytes) = if known == line && passed <= column { (passed, bytes) } else { (0, 0) };
        let rest = &text[bytes..];
        let more = rest.char_indices().nth(column - passed).map_or(rest.len(), |(at, _)| at);
        if bytes + more < text.len() {
            self.cursor.set((line, column, bytes + more));
        }
        &rest[more..]
    }

    /// Whether only white space stands before a place of a line, and a tab in it.
    fn is_behind_tab(&self, line: u32, column: usize) -> bool {
        let before = self.line(line).unwrap_or_default().chars().take(column);
        let mut tab = false;
        for c in before {
            match c {
                '\t' => tab = true,
                ' ' => {}
                _ => return false,
            }
        }
        tab
    }

    /// A line of the text, counted from 1.
    fn line(&self, line: u32) -> Option<&'a str> {
        self.lines.get((line as usize).checked_sub(1)?).copied()
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Open { kind: Kind::Map { key, .. }, .. }) = self.stack.last_mut() {
            *key = Some(new);
        }
    }

    /// The place of a line and column of the text; what the parser finds behind the text stands at its end.
    fn place(&self, line: u32, column: usize) -> Position {
        let last = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let (line, column) = if line > last.max(1) {
            (last.max(1), self.line(last).unwrap_or_default().chars().count())
        } else {
            (line, column)
        };
        (self.origin)(line, u32::try_from(column).unwrap_or(u32::MAX - 1) + 1)
    }

    fn wrong(&self, message: impl Into<String>, line: u32, column: usize) -> Problem {
        Problem::error(message).at(&self.place(line, column))
    }

    fn at_node(&self, message: impl Into<String>, node: &Node) -> Problem {
        Problem::error(message).at(&node.at)
    }

    fn syntax(&self, error: &ScanError, discreet: bool) -> Problem {
        let opened = |open: &Open| Opened {
            at: open.start,
            flow: open.flow,
            list: matches!(open.kind, Kind::List(_)),
        };
        let mistake = explain(&Seen {
            lines: &self.lines,
            stop: self.written(error.marker()),
            info: error.info(),
            open: self.stack.iter().map(opened).collect(),
            last: self.last,
            discreet,
        });
        let mut problem = self.wrong(mistake.message, mistake.at.0, mistake.at.1);
        problem.hints = mistake.hints;
        let place = |(what, (line, column)): (String, At)| (what, self.place(line, column));
        problem.related = mistake.related.into_iter().map(place).collect();
        problem
    }

    /// Notes the anchor of a node that begins at a place. Salt reads none twice; the parser does.
    fn name(&mut self, (line, column): At) -> Result<(), Problem> {
        // A tag may stand before it.
        let words = self.rest(line, column).split_whitespace().take(2);
        let Some(name) = words.filter_map(|word| word.strip_prefix('&')).next() else { return Ok(()) };
        let Some((first, before)) = self.names.insert(name.to_owned(), (line, column)) else { return Ok(()) };
        let problem = self.wrong(format!("the anchor `&{name}` stands here a second time"), line, column);
        Err(problem.related("first here", &self.place(first, before)).hint("give it another name"))
    }

    /// The line, from 1, and the column, from 0, of the text as it was given.
    fn written(&self, mark: &Marker) -> At {
        let line = u32::try_from(mark.line()).unwrap_or(u32::MAX).max(1);
        (line, self.repaired.column(line, mark.col()))
    }

    /// YAML allows no control characters, and the parser does not look for them.
    fn check_characters(&self) -> Result<(), Problem> {
        if self.text.len() > limits::TEXT {
            let problem = self.wrong(format!("the text has more than {} MiB", limits::TEXT >> 20), 1, 0);
            return Err(problem.hint("split it into several files"));
        }
        let forbidden = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}');
        let Some(found) = self.text.find(forbidden) else { return Ok(()) };
        let before = &self.text[..found];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        let code = self.text[found..].chars().next().map_or(0, u32::from);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Err(self.wrong(format!("the control character U+{code:04X} cannot stand in YAML"), line, column))
    }
}

fn anchor_of(event: &Event<'_>) -> usize {
    match event {
        Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
            *anchor
        }
        _ => 0,
    }
}

/// The entries that `<<` brings: of a mapping, or of a list of mappings, the last of them first.
fn merge(node: Node) -> Result<Vec<(Node, Node)>, Problem> {
    let wrong = |node: &Node| {
        let found = node.value().kind();
        Problem::error(format!("`<<` merges a mapping or a list of mappings, not {found}")).at(&node.at)
    };
    match node.data {
        Data::Map(entries) => Ok(entries),
        Data::List(items) => {
            let mut merged = Vec::new();
            for item in items.into_iter().rev() {
                match item.data {
                    Data::Map(entries) => merged.extend(entries),
                    _ => return Err(wrong(&item)),
                }
            }
            Ok(merged)
        }
        Data::Scalar(_) => Err(wrong(&node)),
    }
}

/// What makes two keys the same for Python: `1`, `1.0` and `True` are one key.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Null,
    Int(BigInt),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
}

fn identity(key: &Node) -> Option<Identity> {
    let Data::Scalar(value) = &key.data else { return None };
    Some(match value {
        Value::Null => Identity::Null,
        Value::Bool(truth) => Identity::Int(BigInt::from(*truth)),
        Value::Int(number) => Identity::Int(BigInt::from(*number)),
        Value::Big(number) => Identity::Int(number.clone()),
        Value::Float(number) => match BigInt::from_f64(*number) {
            Some(whole) if number.fract() == 0.0 => Identity::Int(whole),
            _ => Identity::Float(number.to_bits()),
        },
        Value::Text(text) => Identity::Text(text.clone()),
        Value::Bytes(bytes) => Identity::Bytes(bytes.clone()),
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// A `!!set` has no counterpart: it becomes `{__set__: [sorted members]}`, as reports show it.
fn as_set(entries: &[(Node, Node)], at: &Position) -> Data {
    let mut members: Vec<Node> = entries.iter().map(|(key, _)| key.clone()).collect();
    members.sort_by_key(|member| member.value().to_string());
    let members = Node { data: Data::List(members), at: at.clone() };
    Data::Map(vec![(Node::scalar("__set__", at.clone()), members)])
}

/// The name of a tag of YAML itself: `str` of `!!str`.
fn core(tag: &Tag) -> Option<&str> {
    tag.is_yaml_core_schema().then_some(tag.suffix.as_str())
}

fn is_core(tag: &Tag, name: &str) -> bool {
    core(tag) == Some(name) || tag.handle.is_empty() && tag.suffix == "!"
}

fn refused(tag: &Tag, kind: &str) -> String {
    let shown = match core(tag) {
        Some(name) => format!("!!{name}"),
        None if tag.handle.is_empty() => tag.suffix.clone(),
        None => format!("{}{}", tag.handle, tag.suffix),
    };
    format!("the tag `{shown}` on {kind} is not supported")
}

/// Decodes base64 as Python does: what is no letter of the alphabet is skipped, padding may be missing.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            128.. => return None,
            _ => continue,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    // Six bits left over cannot hold a byte.
    (count != 6).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Problem> {
        load(text, &|line| Position::new("a.sls", line, 1))
    }

    fn shown(text: &str) -> String {
        read(text).unwrap().value().to_string()
    }

    fn refusal(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn every_part_knows_its_place() {
        let node = read("a:\n  pkg.installed:\n    - name: b\n").unwrap();
        let body = node.get("a").unwrap();
        assert_eq!(body.map().unwrap()[0].0.at.to_string(), "a.sls:2:3");
        let name = body.get("pkg.installed").unwrap().list().unwrap()[0].get("name").unwrap();
        assert_eq!(name.at.to_string(), "a.sls:3:13");
    }

    #[test]
    fn what_is_open_at_the_end_is_missed_where_it_opens() {
        assert!(refusal("a: 1\nb: {c").starts_with("a.sls:2:4: "));
        assert!(refusal("a: 1\nb: {c\n").starts_with("a.sls:2:4: "));
    }

    #[test]
    fn a_repeated_key_is_refused_with_both_places() {
        let problem = read("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(problem.to_string(), "a.sls:3:1: `a` is a key of this mapping twice");
        assert_eq!(problem.related[0].1.to_string(), "a.sls:1:1");
        assert!(refusal("{1: a, true: b}").contains("twice"));
    }

    #[test]
    fn own_keys_win_over_merged_ones_which_come_first() {
        assert_eq!(
            shown("m: &m {a: 1, b: 2}\nn:\n  c: 4\n  <<: *m\n  b: 3\n"),
            "{m: {a: 1, b: 2}, n: {a: 1, c: 4, b: 3}}"
        );
        assert!(refusal("a: {<<: [{b: 1}, {b: 2}]}").contains("twice"));
        assert!(refusal("a: {<<: 1}").contains("merges a mapping"));
    }

    #[test]
    fn what_pyyaml_refuses_is_refused() {
        for text in [
            "a: =",
            "a: !!omap [b: 1]",
            "a: !!python/none x",
            "a:\n\tb: 1",
            "{{ a }}",
            "[a]: 1",
            "a: 1\n---\nb: 2",
            "a: *b",
            "a: \u{7}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tags_of_yaml_are_read() {
        assert_eq!(shown("[!!str 12, !!int \"0017\", !!float 3, ! 12, '12']"), "[12, 17, 3.0, 12, 12]");
        assert_eq!(read("!!binary aGVsbG8").unwrap().value(), Value::Bytes(b"hello".to_vec()));
        assert_eq!(shown("!!set {b, a}"), "{__set__: [a, b]}");
    }

    #[test]
    fn an_empty_document_is_null() {
        for text in ["", "\n", "# only a comment\n", "---\n", "---\n...\n"] {
            assert!(read(text).unwrap().is_null(), "{text:?}");
        }
    }

    #[test]
    fn a_rendered_line_that_does_not_correspond_keeps_its_place() {
        let node = load("a: b", &|_| Position::new("a.sls", 7, 4)).unwrap();
        assert_eq!(node.get("a").unwrap().at.to_string(), "a.sls:7:4");
    }

    #[test]
    fn depth_and_aliases_are_limited() {
        assert!(refusal(&"[".repeat(200)).contains("deep"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", before.trim_end_matches(", ")));
        }
        assert!(refusal(&bomb).contains("parts"));
        let text = format!("a: &a {}\nb: [{}]", "x".repeat(10_000), "*a, ".repeat(20_000));
        assert!(refusal(&text).contains("parts"));
        let nested = format!("[{}]", "x, ".repeat(50_000));
        let anchors: String = (0..60).map(|n| format!("&a{n} [")).collect();
        assert!(refusal(&format!("{anchors}{nested}{}", "]".repeat(60))).contains("parts"));
    }
}
