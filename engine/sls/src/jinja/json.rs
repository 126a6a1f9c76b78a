//! JSON as Python's `json` module writes and reads it.

use kstate_core::{Position, Value as Plain};
use minijinja::Error;
use minijinja::value::Value;

use super::fault::type_error;
use super::methods::sorted_pairs;
use super::value::{Kind, float_repr, kind, pairs, solid, what};
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
                                "a key of JSON is text, a number, a boolean or None, not {}",
                                what(key)
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
                return Err(type_error(format!("JSON cannot hold {}", what(value))));
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
    let read = crate::json::load_at(text, &|line, column| Position::new("", line, column));
    read.map(|node| node.value()).map_err(|problem| {
        let what = problem.message.strip_prefix("this is not JSON: ").unwrap_or(&problem.message);
        let at = problem.at.unwrap_or_else(|| Position::new("", 1, 1));
        format!("{what} (line {}, column {} of the JSON text)", at.line, at.column)
    })
}
