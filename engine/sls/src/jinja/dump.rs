//! YAML as PyYAML writes it (by libyaml's rules): flow and block style, lines folded behind column 80, quotes where a
//! plain scalar would be read as something else.

use std::collections::HashMap;

use minijinja::Error;
use minijinja::value::Value;

use super::fault::type_error;
use super::methods::sorted_pairs;
use super::value::{Kind, SeqKind, float_repr, kind, pairs};
use crate::limits;

const WIDTH: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Always,
    Never,
    /// Lists and mappings without lists and mappings inside.
    Leaves,
}

#[derive(Debug)]
enum Node {
    Scalar { text: String, plain: bool },
    Seq { items: Vec<Node>, flow: bool, anchor: Option<usize> },
    Map { entries: Vec<(Node, Node)>, flow: bool, anchor: Option<usize> },
    Alias(usize),
}

pub(super) fn dump(value: &Value, flow: Flow) -> Result<String, Error> {
    let mut seen = HashMap::new();
    count(value, &mut seen, 0)?;
    let mut builder = Builder { flow, shared: seen, anchors: HashMap::new() };
    let mut node = builder.node(value)?;
    let order = builder.order();
    number_anchors(&mut node, &order);
    let mut emitter =
        Emitter { width: WIDTH, indent: -1, whitespace: true, indention: true, ..Emitter::default() };
    emitter.node(&node, Context::Root);
    let mut out = emitter.out;
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(out)
}

/// A text in double quotes on one line.
pub(super) fn double_quoted(text: &str) -> String {
    let mut emitter = Emitter { width: usize::MAX, whitespace: true, ..Emitter::default() };
    emitter.double(text, false);
    emitter.out
}

/// The same in ASCII.
pub(super) fn double_quoted_ascii(text: &str) -> String {
    let mut emitter = Emitter { width: usize::MAX, whitespace: true, ascii: true, ..Emitter::default() };
    emitter.double(text, false);
    emitter.out
}

/// A text in single quotes; only its own line breaks break it.
pub(super) fn single_quoted(text: &str) -> String {
    let mut emitter = Emitter { width: usize::MAX, whitespace: true, ..Emitter::default() };
    emitter.single(text, false);
    emitter.out
}

fn address(value: &Value) -> Option<usize> {
    match kind(value) {
        Kind::Seq(seq) if !(seq.kind == SeqKind::Tuple && seq.read().is_empty()) => {
            Some(std::ptr::from_ref(seq) as usize)
        }
        Kind::Dict(dict) => Some(std::ptr::from_ref(dict) as usize),
        _ => None,
    }
}

/// How often each list and mapping occurs: what occurs twice gets an anchor.
fn count(value: &Value, seen: &mut HashMap<usize, usize>, depth: usize) -> Result<(), Error> {
    if depth > limits::DATA_NESTING {
        return Err(type_error("the data is nested too deeply"));
    }
    if let Some(address) = address(value) {
        let times = seen.entry(address).or_insert(0);
        *times += 1;
        if *times > 1 {
            return Ok(());
        }
    }
    match kind(value) {
        Kind::Seq(seq) => seq.snapshot().iter().try_for_each(|item| count(item, seen, depth + 1)),
        Kind::Dict(dict) => dict.snapshot().iter().try_for_each(|(_, item)| count(item, seen, depth + 1)),
        _ => Ok(()),
    }
}

struct Builder {
    flow: Flow,
    shared: HashMap<usize, usize>,
    /// By address, in the order of the first alias.
    anchors: HashMap<usize, usize>,
}

impl Builder {
    fn order(&self) -> HashMap<usize, usize> {
        self.anchors.clone()
    }

    fn node(&mut self, value: &Value) -> Result<Node, Error> {
        let anchor = address(value).filter(|address| self.shared.get(address).is_some_and(|n| *n > 1));
        if let Some(address) = anchor {
            // The first visit leaves a zero behind, so that later ones know.
            match self.shared.get(&address) {
                Some(n) if *n >= usize::MAX / 2 => {
                    let next = self.anchors.len() + 1;
                    self.anchors.entry(address).or_insert(next);
                    return Ok(Node::Alias(address));
                }
                _ => {
                    self.shared.insert(address, usize::MAX / 2);
                }
            }
        }
        Ok(match kind(value) {
            Kind::None => plain("null"),
            Kind::Bool(b) => plain(if b { "true" } else { "false" }),
            Kind::Int(n) => plain(&n.to_string()),
            Kind::Float(n) => plain(&float(n)),
            Kind::Str(text) => Node::Scalar { plain: !ambiguous(text), text: text.to_owned() },
            Kind::Seq(seq) => {
                let items =
                    seq.snapshot().iter().map(|item| self.node(item)).collect::<Result<Vec<_>, _>>()?;
                if seq.kind == SeqKind::Set {
                    let flow = self.is_flow(items.is_empty(), true);
                    return Ok(Node::Map {
                        entries: items.into_iter().map(|i| (i, plain("null"))).collect(),
                        flow,
                        anchor,
                    });
                }
                let leaves = items.iter().all(|i| matches!(i, Node::Scalar { plain: true, .. }));
                Node::Seq { flow: self.is_flow(items.is_empty(), leaves), items, anchor }
            }
            Kind::Bytes(bytes) => Node::Scalar { text: super::filters::base64(bytes), plain: true },
            Kind::Undef(undef) => return Err(undef.error()),
            Kind::Unknown(_) => plain("unknown"),
            Kind::Dict(_) | Kind::Other => {
                let Some(mut pairs) =
                    pairs(value).filter(|_| matches!(kind(value), Kind::Dict(_)) || value.is_kwargs())
                else {
                    return Ok(plain("NULL"));
                };
                let sorted = !matches!(kind(value), Kind::Dict(dict) if dict.ordered);
                // Keys that have no order stay as they are.
                if sorted && let Ok(by_key) = sorted_pairs(pairs.clone(), false) {
                    pairs = by_key;
                }
                let entries = pairs
                    .iter()
                    .map(|(key, item)| Ok((self.node(key)?, self.node(item)?)))
                    .collect::<Result<Vec<_>, Error>>()?;
                let leaves = entries.iter().all(|(k, v)| {
                    matches!(k, Node::Scalar { plain: true, .. })
                        && matches!(v, Node::Scalar { plain: true, .. })
                });
                Node::Map { flow: self.is_flow(entries.is_empty(), leaves), entries, anchor }
            }
        })
    }

    fn is_flow(&self, empty: bool, leaves: bool) -> bool {
        empty || self.flow == Flow::Always || (self.flow == Flow::Leaves && leaves)
    }
}

fn number_anchors(node: &mut Node, order: &HashMap<usize, usize>) {
    match node {
        Node::Scalar { .. } => {}
        Node::Alias(address) => *address = order.get(address).copied().unwrap_or_default(),
        Node::Seq { items, anchor, .. } => {
            *anchor = anchor.and_then(|a| order.get(&a).copied());
            items.iter_mut().for_each(|item| number_anchors(item, order));
        }
        Node::Map { entries, anchor, .. } => {
            *anchor = anchor.and_then(|a| order.get(&a).copied());
            for (key, item) in entries {
                number_anchors(key, order);
                number_anchors(item, order);
            }
        }
    }
}

fn plain(text: &str) -> Node {
    Node::Scalar { text: text.to_owned(), plain: true }
}

fn float(n: f64) -> String {
    if n.is_nan() {
        return ".nan".into();
    }
    if n.is_infinite() {
        return if n > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let text = float_repr(n);
    if text.contains('.') { text } else { text.replacen('e', ".0e", 1) }
}

/// Whether a text would be read as something else than text if it stood without quotes (YAML 1.1).
fn ambiguous(text: &str) -> bool {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL" | "=" | "<<") {
        return true;
    }
    let words = ["yes", "no", "true", "false", "on", "off"];
    if words.iter().any(|w| *w == text || w.to_uppercase() == text || super::methods::capitalize(w) == text) {
        return true;
    }
    matches!(text.as_bytes()[0], b'-' | b'+' | b'.' | b'0'..=b'9')
        && (is_int(text) || is_float(text) || is_timestamp(text))
}

fn is_int(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let rest_is =
        |rest: &str, test: fn(char) -> bool| !rest.is_empty() && rest.chars().all(|c| c == '_' || test(c));
    if let Some(rest) = body.strip_prefix("0b") {
        return rest_is(rest, |c| c == '0' || c == '1');
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return rest_is(rest, |c| c.is_ascii_hexdigit());
    }
    if body == "0" || body.strip_prefix('0').is_some_and(|rest| rest_is(rest, |c| ('0'..='7').contains(&c))) {
        return true;
    }
    let starts = body.starts_with(|c: char| ('1'..='9').contains(&c));
    let mut parts = body.split(':');
    let first = parts.next().unwrap_or_default();
    starts && rest_is(first, |c| c.is_ascii_digit()) && parts.all(is_sixty)
}

fn is_sixty(part: &str) -> bool {
    match part.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    }
}

fn is_float(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(body, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, rest)) = body.split_once('.') else { return false };
    let digits = |part: &str| part.chars().all(|c| c == '_' || c.is_ascii_digit());
    if whole.is_empty() {
        let (fraction, exponent) = exponent(rest);
        return !fraction.is_empty() && digits(fraction) && exponent;
    }
    if !whole.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    if whole.contains(':') {
        let mut parts = whole.split(':');
        return parts.next().is_some_and(digits) && parts.all(is_sixty) && digits(rest);
    }
    let (fraction, exponent) = exponent(rest);
    digits(whole) && digits(fraction) && exponent
}

/// The part before an exponent, and whether the exponent (if there is one) has its sign.
fn exponent(text: &str) -> (&str, bool) {
    match text.split_once(['e', 'E']) {
        None => (text, true),
        Some((fraction, power)) => {
            let digits = power.strip_prefix(['-', '+']);
            (fraction, digits.is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_ascii_digit())))
        }
    }
}

fn is_timestamp(text: &str) -> bool {
    let number = |part: &str, sizes: std::ops::RangeInclusive<usize>| {
        sizes.contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit())
    };
    let end = text.find(['T', 't', ' ', '\t']).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    if !number(year, 4..=4) {
        return false;
    }
    if time.is_empty() {
        return number(month, 2..=2) && number(day, 2..=2);
    }
    if !number(month, 1..=2) || !number(day, 1..=2) {
        return false;
    }
    let time = time.strip_prefix(['T', 't']).unwrap_or(time).trim_start_matches([' ', '\t']);
    let zone = time.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts[..] else { return false };
    let zone = zone.trim_start_matches([' ', '\t']);
    let zone_is = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['-', '+']).is_some_and(|z| {
            let (hours, minutes) = z.split_once(':').unwrap_or((z, "00"));
            number(hours, 1..=2) && number(minutes, 2..=2)
        });
    number(hour, 1..=2)
        && number(minute, 2..=2)
        && number(second, 2..=2)
        && number(fraction, 0..=99)
        && zone_is
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Root,
    Sequence,
    Mapping,
    SimpleKey,
}

#[derive(Debug, Default)]
struct Emitter {
    out: String,
    width: usize,
    column: usize,
    indent: i32,
    flow_level: usize,
    whitespace: bool,
    indention: bool,
    ascii: bool,
}

/// What libyaml finds out about a scalar before it chooses quotes.
struct Analysis {
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single: bool,
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | '\x20'..='\x7e' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

fn analyze(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis { multiline: false, flow_plain: false, block_plain: true, single: true };
    }
    let chars: Vec<char> = text.chars().collect();
    let blank = |i: usize| chars.get(i).is_none_or(|c| *c == ' ' || *c == '\t' || is_break(*c));
    let mut block = text.starts_with("---") || text.starts_with("...");
    let mut flow = block;
    let (mut breaks, mut special, mut edge, mut break_space, mut space_break) =
        (false, false, false, false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    let mut preceded = true;
    for (i, &c) in chars.iter().enumerate() {
        let followed = blank(i + 1);
        if i == 0 {
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`' => {
                    (flow, block) = (true, true);
                }
                '?' | ':' => {
                    flow = true;
                    block |= followed;
                }
                '-' if followed => (flow, block) = (true, true),
                _ => {}
            }
        } else {
            match c {
                ',' | '?' | '[' | ']' | '{' | '}' => flow = true,
                ':' => {
                    flow = true;
                    block |= followed;
                }
                '#' if preceded => (flow, block) = (true, true),
                _ => {}
            }
        }
        special |= !is_printable(c);
        breaks |= is_break(c);
        let at_edge = i == 0 || i + 1 == chars.len();
        if c == ' ' {
            edge |= at_edge;
            break_space |= previous_break;
            (previous_space, previous_break) = (true, false);
        } else if is_break(c) {
            edge |= at_edge;
            space_break |= previous_space;
            (previous_space, previous_break) = (false, true);
        } else {
            (previous_space, previous_break) = (false, false);
        }
        preceded = blank(i);
    }
    let never_plain = edge || break_space || space_break || special || breaks;
    Analysis {
        multiline: breaks,
        flow_plain: !never_plain && !flow,
        block_plain: !never_plain && !block,
        single: !break_space && !space_break && !special,
    }
}

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn indicator(&mut self, text: &str, need_space: bool, whitespace: bool, indention: bool) {
        if need_space && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
    }

    fn write_indent(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or_default();
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.out.push('\n');
            self.column = 0;
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn deeper(&mut self, flow: bool, indentless: bool) -> i32 {
        let old = self.indent;
        if old < 0 {
            self.indent = if flow { 2 } else { 0 };
        } else if !indentless {
            self.indent += 2;
        }
        old
    }

    fn anchor(&mut self, anchor: Option<usize>) {
        if let Some(n) = anchor.filter(|n| *n > 0) {
            self.indicator(&format!("&id{n:03}"), true, false, false);
        }
    }

    fn node(&mut self, node: &Node, context: Context) {
        match node {
            Node::Alias(n) => self.indicator(&format!("*id{n:03}"), true, false, false),
            Node::Scalar { text, plain } => self.scalar(text, *plain, context == Context::SimpleKey),
            Node::Seq { items, flow, anchor } => {
                self.anchor(*anchor);
                if *flow || self.flow_level > 0 {
                    self.flow_seq(items);
                } else {
                    self.block_seq(items, context);
                }
            }
            Node::Map { entries, flow, anchor } => {
                self.anchor(*anchor);
                if *flow || self.flow_level > 0 {
                    self.flow_map(entries);
                } else {
                    self.block_map(entries);
                }
            }
        }
    }

    fn flow_seq(&mut self, items: &[Node]) {
        self.indicator("[", true, true, false);
        let old = self.deeper(true, false);
        self.flow_level += 1;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.width {
                self.write_indent();
            }
            self.node(item, Context::Sequence);
        }
        self.flow_level -= 1;
        self.indent = old;
        self.indicator("]", false, false, false);
    }

    fn flow_map(&mut self, entries: &[(Node, Node)]) {
        self.indicator("{", true, true, false);
        let old = self.deeper(true, false);
        self.flow_level += 1;
        for (i, (key, item)) in entries.iter().enumerate() {
            if i > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.width {
                self.write_indent();
            }
            if simple_key(key) {
                self.node(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, false);
                self.node(key, Context::Mapping);
                if self.column > self.width {
                    self.write_indent();
                }
                self.indicator(":", true, false, false);
            }
            self.node(item, Context::Mapping);
        }
        self.flow_level -= 1;
        self.indent = old;
        self.indicator("}", false, false, false);
    }

    fn block_seq(&mut self, items: &[Node], context: Context) {
        let old = self.deeper(false, context == Context::Mapping && !self.indention);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Context::Sequence);
        }
        self.indent = old;
    }

    fn block_map(&mut self, entries: &[(Node, Node)]) {
        let old = self.deeper(false, false);
        for (key, item) in entries {
            self.write_indent();
            if simple_key(key) {
                self.node(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(key, Context::Mapping);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(item, Context::Mapping);
        }
        self.indent = old;
    }

    fn scalar(&mut self, text: &str, plain: bool, simple_key: bool) {
        let analysis = analyze(text);
        let allowed = if self.flow_level > 0 { analysis.flow_plain } else { analysis.block_plain };
        // Folded lines stand further in than what surrounds the scalar.
        let old = self.deeper(true, false);
        if simple_key && analysis.multiline {
            self.double(text, false);
        } else if plain && allowed && !(text.is_empty() && (self.flow_level > 0 || simple_key)) {
            self.plain(text, !simple_key);
        } else if analysis.single {
            self.single(text, !simple_key);
        } else {
            self.double(text, !simple_key);
        }
        self.indent = old;
    }

    fn plain(&mut self, text: &str, fold: bool) {
        if !self.whitespace && (!text.is_empty() || self.flow_level > 0) {
            self.put(' ');
        }
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (i, &c) in chars.iter().enumerate() {
            if c == ' ' {
                if fold && !spaces && self.column > self.width && chars.get(i + 1) != Some(&' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                self.indention = false;
                spaces = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, fold: bool) {
        self.indicator("'", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let (mut spaces, mut breaks) = (false, false);
        for (i, &c) in chars.iter().enumerate() {
            if c == ' ' {
                let inside = i > 0 && i + 1 < chars.len();
                if fold && !spaces && self.column > self.width && inside && chars.get(i + 1) != Some(&' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.out.push('\n');
                }
                self.out.push(c);
                self.column = 0;
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
        if breaks {
            self.write_indent();
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str, fold: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (i, &c) in chars.iter().enumerate() {
            if !is_printable(c) || is_break(c) || (self.ascii && !c.is_ascii()) || c == '"' || c == '\\' {
                self.put('\\');
                let short = match c {
                    '\0' => Some('0'),
                    '\u{7}' => Some('a'),
                    '\u{8}' => Some('b'),
                    '\t' => Some('t'),
                    '\n' => Some('n'),
                    '\u{b}' => Some('v'),
                    '\u{c}' => Some('f'),
                    '\r' => Some('r'),
                    '\u{1b}' => Some('e'),
                    '"' | '\\' => Some(c),
                    '\u{85}' => Some('N'),
                    '\u{a0}' => Some('_'),
                    '\u{2028}' => Some('L'),
                    '\u{2029}' => Some('P'),
                    _ => None,
                };
                let long = match (short, c as u32) {
                    (Some(c), _) => c.to_string(),
                    (None, n @ ..=0xff) => format!("x{n:02X}"),
                    (None, n @ ..=0xffff) => format!("u{n:04X}"),
                    (None, n) => format!("U{n:08X}"),
                };
                long.chars().for_each(|c| self.put(c));
                spaces = false;
            } else if c == ' ' {
                if fold && !spaces && self.column > self.width && i > 0 && i + 1 < chars.len() {
                    self.write_indent();
                    if chars.get(i + 1) == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }
}

fn simple_key(key: &Node) -> bool {
    match key {
        Node::Alias(_) => true,
        Node::Scalar { text, .. } => text.len() <= 128 && !text.chars().any(is_break),
        Node::Seq { items, .. } => items.is_empty(),
        Node::Map { entries, .. } => entries.is_empty(),
    }
}
