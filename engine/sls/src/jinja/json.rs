//! JSON as Python's `json` module writes and reads it.

use kstate_core::{Map, Value as Plain};
use minijinja::Error;
use minijinja::value::Value;

use super::fault::type_error;
use super::methods::sorted_pairs;
use super::value::{Kind, float_repr, kind, pairs, solid, type_name};
use super::work;
use crate::limits;

#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    pub(super) sort_keys: bool,
    pub(super) indent: Option<usize>,
    pub(super) ascii: bool,
}

pub(super) fn dump(value: &Value, style: &Style) -> Result<String, Error> {
    let mut out = String::new();
    write(&mut out, value, style, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    if depth > limits::DATA_NESTING {
        return Err(type_error("the data is nested too deeply, or contains itself"));
    }
    solid(value)?;
    match kind(value) {
        Kind::None => out.push_str("null"),
        Kind::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        Kind::Int(n) => out.push_str(&n.to_string()),
        Kind::Float(n) => out.push_str(&number(n)),
        Kind::Str(text) => {
            work::grow(out, text.len())?;
            write_text(out, text, style.ascii);
        }
        Kind::Seq(seq) if seq.kind != super::value::SeqKind::Set => {
            let items = seq.snapshot();
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(out, style, depth + 1, i > 0)?;
                write(out, item, style, depth + 1)?;
            }
            close(out, style, depth, items.is_empty())?;
            out.push(']');
        }
        _ => match pairs(value) {
            Some(pairs) if matches!(kind(value), Kind::Dict(_)) || value.is_kwargs() => {
                let pairs = if style.sort_keys { sorted_pairs(pairs, false)? } else { pairs };
                out.push('{');
                for (i, (key, item)) in pairs.iter().enumerate() {
                    separate(out, style, depth + 1, i > 0)?;
                    let key = match kind(key) {
                        Kind::Str(text) => text.to_owned(),
                        Kind::None => "null".into(),
                        Kind::Bool(b) => b.to_string(),
                        Kind::Int(n) => n.to_string(),
                        Kind::Float(n) => number(n),
                        _ => {
                            return Err(type_error(format!(
                                "keys must be str, int, float, bool or None, not {}",
                                type_name(key)
                            )));
                        }
                    };
                    write_text(out, &key, style.ascii);
                    out.push_str(": ");
                    write(out, item, style, depth + 1)?;
                }
                close(out, style, depth, pairs.is_empty())?;
                out.push('}');
            }
            _ => {
                return Err(type_error(format!(
                    "Object of type {} is not JSON serializable",
                    type_name(value)
                )));
            }
        },
    }
    Ok(())
}

fn number(n: f64) -> String {
    if n.is_nan() {
        "NaN".into()
    } else if n.is_infinite() {
        if n > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        float_repr(n)
    }
}

fn separate(out: &mut String, style: &Style, depth: usize, comma: bool) -> Result<(), Error> {
    match style.indent {
        Some(indent) => {
            work::grow(out, indent.saturating_mul(depth))?;
            out.push_str(if comma { ",\n" } else { "\n" });
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
        None if comma => out.push_str(", "),
        None => {}
    }
    Ok(())
}

fn close(out: &mut String, style: &Style, depth: usize, empty: bool) -> Result<(), Error> {
    if let (Some(indent), false) = (style.indent, empty) {
        work::grow(out, indent.saturating_mul(depth))?;
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
    Ok(())
}

fn write_text(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Reads JSON; the message says what is wrong and where.
pub(super) fn load(text: &str) -> Result<Plain, String> {
    let mut reader = Reader { text, at: 0 };
    reader.white();
    let value = reader.value(0)?;
    reader.white();
    if reader.at < text.len() { reader.fail("extra data") } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, what: &str) -> Result<T, String> {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Err(format!("{what} (line {line}, column {column} of the JSON text)"))
    }

    fn white(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Plain, String> {
        if depth > limits::DATA_NESTING {
            return self.fail("the data is nested too deeply");
        }
        for (word, value) in [
            ("null", Plain::Null),
            ("true", Plain::Bool(true)),
            ("false", Plain::Bool(false)),
            ("NaN", Plain::Float(f64::NAN)),
            ("Infinity", Plain::Float(f64::INFINITY)),
            ("-Infinity", Plain::Float(f64::NEG_INFINITY)),
        ] {
            if self.take(word) {
                return Ok(value);
            }
        }
        if self.rest().starts_with('"') {
            return self.text().map(Plain::Text);
        }
        if self.take("[") {
            let mut items = Vec::new();
            self.white();
            if self.take("]") {
                return Ok(Plain::List(items));
            }
            loop {
                self.white();
                items.push(self.value(depth + 1)?);
                self.white();
                if self.take("]") {
                    return Ok(Plain::List(items));
                }
                if !self.take(",") {
                    return self.fail("`,` or `]` is missing");
                }
            }
        }
        if self.take("{") {
            let mut map = Map::new();
            self.white();
            if self.take("}") {
                return Ok(Plain::Map(map));
            }
            loop {
                self.white();
                if !self.rest().starts_with('"') {
                    return self.fail("a key in double quotes is missing");
                }
                let key = self.text()?;
                self.white();
                if !self.take(":") {
                    return self.fail("`:` is missing");
                }
                self.white();
                let value = self.value(depth + 1)?;
                map.insert(key, value);
                self.white();
                if self.take("}") {
                    return Ok(Plain::Map(map));
                }
                if !self.take(",") {
                    return self.fail("`,` or `}` is missing");
                }
            }
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        let digits = word.strip_prefix('-').unwrap_or(&word);
        if !digits.starts_with(|c: char| c.is_ascii_digit())
            || (digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit())
        {
            return self.fail("a value is missing");
        }
        let parsed = match kstate_core::integer(&word, 10) {
            Some(n) => Some(n.into()),
            None if !word.ends_with('.') && !word.contains(".e") && !word.contains(".E") => {
                word.parse().ok().map(Plain::Float)
            }
            None => None,
        };
        match parsed {
            Some(value) => {
                self.at += end;
                Ok(value)
            }
            None => self.fail("a value is missing"),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        let text = self.text;
        let mut chars = text[self.at..].char_indices();
        let start = self.at;
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + i + 1;
                    return Ok(out);
                }
                '\\' => {
                    let escaped = chars.next().map_or(' ', |(_, c)| c);
                    match escaped {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        '"' | '\\' | '/' => out.push(escaped),
                        'u' => {
                            let unit = |chars: &mut std::str::CharIndices<'_>| {
                                let body: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                                u32::from_str_radix(&body, 16).ok()
                            };
                            let Some(mut code) = unit(&mut chars) else {
                                self.at = start + i;
                                return self.fail("`\\u` needs four hexadecimal digits");
                            };
                            if (0xd800..0xdc00).contains(&code) && chars.as_str().starts_with("\\u") {
                                chars.next();
                                chars.next();
                                if let Some(low) =
                                    unit(&mut chars).filter(|low| (0xdc00..0xe000).contains(low))
                                {
                                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                                }
                            }
                            out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                        }
                        _ => {
                            self.at = start + i;
                            return self.fail("unknown escape in a text");
                        }
                    }
                }
                c if (c as u32) < 0x20 => {
                    self.at = start + i;
                    return self.fail("a text contains a control character");
                }
                c => out.push(c),
            }
        }
        self.fail("a text is not closed")
    }
}
