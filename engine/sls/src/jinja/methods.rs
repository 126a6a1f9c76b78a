//! Python's methods of text, lists, tuples, sets and dicts, those that change the value in place among them.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::args::Args;
use super::fault::type_error;
use super::value::{
    self, Dict, Entries, Key, Kind, Seq, SeqKind, equal, iterate, kind, list, order, repr, solid, to_str,
    tuple, what,
};
use super::work;
use super::{format, ops};

const TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const LIST: &[&str] =
    &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
const TUPLE: &[&str] = &["count", "index"];
const SET: &[&str] = &[
    "add",
    "clear",
    "copy",
    "difference",
    "discard",
    "intersection",
    "isdisjoint",
    "issubset",
    "issuperset",
    "pop",
    "remove",
    "symmetric_difference",
    "union",
    "update",
];
const DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const BYTES: &[&str] = &["decode", "hex"];

fn names(of: &Value) -> &'static [&'static str] {
    match kind(of) {
        Kind::Str(_) => TEXT,
        Kind::Bytes(_) => BYTES,
        Kind::Dict(_) => DICT,
        Kind::Seq(seq) => match seq.kind {
            SeqKind::List => LIST,
            SeqKind::Tuple | SeqKind::Group => TUPLE,
            SeqKind::Set => SET,
        },
        Kind::Int(_) => &["bit_length"],
        Kind::Float(_) => &["is_integer"],
        _ => &[],
    }
}

/// The methods of all kinds of values.
#[cfg(test)]
pub(super) fn all_names() -> Vec<&'static str> {
    [TEXT, LIST, TUPLE, SET, DICT, BYTES].concat()
}

pub(super) fn has(of: &Value, name: &str) -> bool {
    names(of).contains(&name)
}

/// The method that may have been meant by a name.
pub(super) fn near(of: &Value, name: &str) -> Option<&'static str> {
    super::nearest(name, names(of).iter().copied())
}

pub(super) fn call(_: &mut State<'_, '_>, of: &Value, name: &str, args: &Args) -> Result<Value, Error> {
    let takes_any = matches!(name, "append" | "insert" | "setdefault" | "get" | "update" | "extend");
    if let Some(unknown) = args.all().find(|v| ops::unknown(v)).filter(|_| !takes_any) {
        return Ok(unknown.clone());
    }
    work::visit(of.as_str().map_or(1, |text| text.len() / 32))?;
    if !has(of, name) {
        return Err(ops::missing(of, name, "").error());
    }
    match kind(of) {
        // Markup escapes what is put into it.
        Kind::Str(text) if of.is_safe() && name == "replace" => {
            let escaped = |v: &Value| {
                if v.is_safe() { v.clone() } else { Value::from(super::filters::html(&to_str(v))) }
            };
            let positional: Vec<Value> = args
                .positional
                .iter()
                .enumerate()
                .map(|(i, v)| if i == 1 { escaped(v) } else { v.clone() })
                .collect();
            text_method(text, name, &Args { positional, keywords: args.keywords.clone() })
        }
        Kind::Str(text) => text_method(text, name, args),
        Kind::Dict(dict) => dict_method(dict, name, args),
        Kind::Seq(seq) => match seq.kind {
            SeqKind::Set => set_method(seq, name, args),
            _ => list_method(seq, name, args),
        },
        Kind::Bytes(bytes) => match name {
            "hex" => Ok(Value::from(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())),
            _ => Ok(Value::from(String::from_utf8_lossy(bytes).into_owned())),
        },
        Kind::Int(n) => Ok(Value::from(n.bits())),
        Kind::Float(n) => Ok(Value::from(n.fract() == 0.0)),
        _ => Ok(Value::from(())),
    }
}

fn none() -> Result<Value, Error> {
    Ok(Value::from(()))
}

// ---- dicts ----

/// What `dict(x)` and `d.update(x)` make of their argument: a mapping, or pairs.
pub(super) fn entries_of(from: &Value) -> Result<Entries, Error> {
    solid(from)?;
    if let Kind::Dict(dict) = kind(from) {
        return Ok(dict.entries());
    }
    if let Some(pairs) = value::pairs(from) {
        return Ok(pairs.into_iter().map(|(k, v)| (Key(k), v)).collect());
    }
    let mut entries = Entries::new();
    for (i, pair) in iterate(from)?.iter().enumerate() {
        match iterate(pair)?.as_slice() {
            [key, item] => {
                entries.insert(Key::new(key)?, item.clone());
            }
            other => {
                return Err(type_error(format!(
                    "dictionary update sequence element #{i} has length {}; 2 is required",
                    other.len()
                )));
            }
        }
    }
    Ok(entries)
}

fn dict_method(dict: &Dict, name: &str, args: &Args) -> Result<Value, Error> {
    match name {
        "get" => {
            let key = args.need(0, "key")?;
            let found = match key.as_str() {
                Some(text) => dict.get(text),
                None => dict.read().get(&Key::new(key)?).cloned(),
            };
            Ok(found.or_else(|| args.get(1, "default").cloned()).unwrap_or_else(|| Value::from(())))
        }
        "items" => Ok(list(dict.snapshot().into_iter().map(|(k, v)| tuple(vec![k, v])).collect())),
        "keys" => Ok(list(dict.keys())),
        "values" => Ok(list(dict.snapshot().into_iter().map(|(_, item)| item).collect())),
        "copy" => Ok(value::dict(dict.entries(), dict.ordered)),
        "clear" => {
            dict.write().clear();
            none()
        }
        "pop" => {
            let key = Key::new(args.need(0, "key")?)?;
            work::bytes(dict.read().len());
            let found = dict.write().shift_remove(&key);
            found
                .or_else(|| args.get(1, "default").cloned())
                .ok_or_else(|| type_error(format!("the mapping has no key {}", repr(&key.0))))
        }
        "popitem" => match dict.write().pop() {
            Some((key, item)) => Ok(tuple(vec![key.0, item])),
            None => Err(type_error("popitem(): dictionary is empty")),
        },
        "setdefault" => {
            let key = Key::new(args.need(0, "key")?)?;
            let default = args.get(1, "default").cloned().unwrap_or_else(|| Value::from(()));
            Ok(dict.write().entry(key).or_insert(default).clone())
        }
        "update" => {
            let mut new = match args.positional.first() {
                Some(from) => entries_of(from)?,
                None => Entries::new(),
            };
            for (key, item) in &args.keywords {
                new.insert(Key(Value::from(key.as_str())), item.clone());
            }
            dict.write().extend(new);
            none()
        }
        _ => {
            let item = args.get(1, "value").cloned().unwrap_or_else(|| Value::from(()));
            let mut entries = Entries::new();
            for key in iterate(args.need(0, "iterable")?)? {
                entries.insert(Key::new(&key)?, item.clone());
            }
            Ok(value::dict(entries, false))
        }
    }
}

// ---- lists ----

/// A position in a list, counted from the end when negative.
fn place(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok().filter(|i| *i < length)
}

/// Sorts as Python does. Values that have no order are an error.
pub(super) fn sorted(
    items: Vec<Value>,
    reverse: bool,
    key: impl Fn(&Value) -> Result<Value, Error>,
) -> Result<Vec<Value>, Error> {
    let keyed: Vec<(Value, Value)> =
        items.into_iter().map(|item| Ok((key(&item)?, item))).collect::<Result<_, Error>>()?;
    Ok(sorted_pairs(keyed, reverse)?.into_iter().map(|(_, item)| item).collect())
}

/// Pairs by the order of their first parts: a merge sort, because the library's may panic where some values have no
/// order, and not-a-number has none.
pub(super) fn sorted_pairs(
    mut pairs: Vec<(Value, Value)>,
    reverse: bool,
) -> Result<Vec<(Value, Value)>, Error> {
    if pairs.len() < 2 {
        return Ok(pairs);
    }
    let right = pairs.split_off(pairs.len() / 2);
    let mut left = sorted_pairs(pairs, reverse)?.into_iter().peekable();
    let mut right = sorted_pairs(right, reverse)?.into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let right_first = if reverse { order(a, b, "<")?.is_lt() } else { order(b, a, "<")?.is_lt() };
        merged.extend(if right_first { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

fn list_method(seq: &Seq, name: &str, args: &Args) -> Result<Value, Error> {
    match name {
        "append" => {
            let item =
                args.get(0, "object").ok_or_else(|| type_error("append() takes exactly one argument"))?;
            let mut items = seq.write();
            work::list_of(items.len() + 1)?;
            items.push(item.clone());
            none()
        }
        "extend" => {
            let more = iterate(args.need(0, "iterable")?)?;
            let mut items = seq.write();
            work::list_of(items.len() + more.len())?;
            items.extend(more);
            none()
        }
        "insert" => {
            let index = args.int(0, "index")?;
            let item =
                args.get(1, "object").cloned().ok_or_else(|| type_error("insert expected 2 arguments"))?;
            let mut items = seq.write();
            work::list_of(items.len() + 1)?;
            // What stands behind it moves.
            work::bytes(items.len());
            let length = items.len() as i128;
            let at = if index < 0 { (index + length).max(0) } else { index.min(length) };
            items.insert(usize::try_from(at).unwrap_or_default(), item);
            none()
        }
        "pop" => {
            let index = args.int_or(0, "index", -1)?;
            let mut items = seq.write();
            work::bytes(items.len());
            match place(index, items.len()) {
                Some(at) => Ok(items.remove(at)),
                None if items.is_empty() => Err(type_error("pop from empty list")),
                None => Err(type_error("pop index out of range")),
            }
        }
        "remove" => {
            let wanted = args.need(0, "value")?;
            let at = seq.snapshot().iter().position(|item| equal(item, wanted));
            match at {
                Some(at) => {
                    seq.write().remove(at);
                    none()
                }
                None => Err(type_error(format!("list.remove({}): it is not in the list", repr(wanted)))),
            }
        }
        "index" => {
            let wanted = args.need(0, "value")?;
            let start = usize::try_from(args.int_or(1, "start", 0)?).unwrap_or_default();
            match seq.snapshot().iter().enumerate().skip(start).find(|(_, item)| equal(item, wanted)) {
                Some((at, _)) => Ok(Value::from(at)),
                None => Err(type_error(format!(
                    "{} is not in the {}",
                    repr(wanted),
                    if seq.kind == SeqKind::List { "list" } else { "tuple" }
                ))),
            }
        }
        "count" => {
            let wanted = args.need(0, "value")?;
            Ok(Value::from(seq.snapshot().iter().filter(|item| equal(item, wanted)).count()))
        }
        "reverse" => {
            seq.write().reverse();
            none()
        }
        "sort" => {
            if let Some(key) = args.keyword("key").filter(|k| !k.is_none()) {
                return Err(type_error(format!(
                    "sort(key={}) is not supported: use the filter `sort`",
                    repr(key)
                )));
            }
            let sorted = sorted(seq.snapshot(), args.flag(9, "reverse", false)?, |item| Ok(item.clone()))?;
            *seq.write() = sorted;
            none()
        }
        "copy" => Ok(list(seq.snapshot())),
        _ => {
            seq.write().clear();
            none()
        }
    }
}

fn set_method(seq: &Seq, name: &str, args: &Args) -> Result<Value, Error> {
    let items = seq.snapshot();
    let has = |items: &[Value], wanted: &Value| items.iter().any(|item| equal(item, wanted));
    let others = || -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for other in &args.positional {
            all.extend(iterate(other)?);
        }
        Ok(all)
    };
    match name {
        "add" | "update" => {
            let new = if name == "add" { vec![args.need(0, "elem")?.clone()] } else { others()? };
            for item in new {
                Key::new(&item)?;
                if !has(&seq.snapshot(), &item) {
                    seq.write().push(item);
                }
            }
            none()
        }
        "discard" | "remove" => {
            let wanted = args.need(0, "elem")?;
            match items.iter().position(|item| equal(item, wanted)) {
                Some(at) => {
                    seq.write().remove(at);
                }
                None if name == "remove" => {
                    return Err(type_error(format!("{} is not in the set", repr(wanted))));
                }
                None => {}
            }
            none()
        }
        "pop" => {
            if items.is_empty() {
                return Err(type_error("pop from an empty set"));
            }
            Ok(seq.write().remove(0))
        }
        "clear" => {
            seq.write().clear();
            none()
        }
        "copy" => value::set(items),
        "union" => value::set(items.into_iter().chain(others()?)),
        "intersection" => {
            let others = others()?;
            value::set(items.into_iter().filter(|item| has(&others, item)))
        }
        "difference" => {
            let others = others()?;
            value::set(items.into_iter().filter(|item| !has(&others, item)))
        }
        "symmetric_difference" => {
            let others = others()?;
            let new: Vec<Value> = others.iter().filter(|item| !has(&items, item)).cloned().collect();
            value::set(items.into_iter().filter(|item| !has(&others, item)).chain(new))
        }
        "isdisjoint" => {
            let others = others()?;
            Ok(Value::from(!items.iter().any(|item| has(&others, item))))
        }
        "issubset" => {
            let others = others()?;
            Ok(Value::from(items.iter().all(|item| has(&others, item))))
        }
        _ => Ok(Value::from(others()?.iter().all(|item| has(&items, item)))),
    }
}

// ---- text ----

fn text_method(text: &str, name: &str, args: &Args) -> Result<Value, Error> {
    let owned = |text: String| ops::text(text);
    match name {
        "upper" => owned(text.to_uppercase()),
        "lower" | "casefold" => owned(text.to_lowercase()),
        "capitalize" => owned(capitalize(text)),
        "title" => owned(title(text)),
        "swapcase" => owned(
            text.chars()
                .flat_map(|c| {
                    if c.is_uppercase() {
                        c.to_lowercase().collect::<Vec<_>>()
                    } else {
                        c.to_uppercase().collect()
                    }
                })
                .collect(),
        ),
        "strip" | "lstrip" | "rstrip" => {
            let chars = match args.get(0, "chars") {
                Some(value) if !value.is_none() => Some(args.text(0, "chars")?),
                _ => None,
            };
            let test = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
            let mut result = text;
            if name != "rstrip" {
                result = result.trim_start_matches(test);
            }
            if name != "lstrip" {
                result = result.trim_end_matches(test);
            }
            Ok(Value::from(result))
        }
        "removeprefix" => Ok(Value::from(text.strip_prefix(args.text(0, "prefix")?).unwrap_or(text))),
        "removesuffix" => Ok(Value::from(text.strip_suffix(args.text(0, "suffix")?).unwrap_or(text))),
        "replace" => {
            let (old, new) = (args.text(0, "old")?, args.text(1, "new")?);
            let count = args.int_or(2, "count", -1)?;
            owned(replace(text, old, new, count)?)
        }
        "split" | "rsplit" => split(text, name == "rsplit", args),
        "splitlines" => {
            Ok(list(lines(text, args.flag(0, "keepends", false)?).into_iter().map(Value::from).collect()))
        }
        "partition" | "rpartition" => {
            let separator = args.text(0, "sep")?;
            if separator.is_empty() {
                return Err(type_error("empty separator"));
            }
            let found =
                if name == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
            let parts = match found {
                Some((before, after)) => [before, separator, after],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Ok(tuple(parts.into_iter().map(Value::from).collect()))
        }
        "join" => {
            let mut out = String::new();
            for (i, part) in iterate(args.need(0, "iterable")?)?.iter().enumerate() {
                if i > 0 {
                    work::grow(&out, text.len())?;
                    out.push_str(text);
                }
                solid(part)?;
                match part.as_str() {
                    Some(part) => {
                        work::grow(&out, part.len())?;
                        out.push_str(part);
                    }
                    None => {
                        return Err(type_error(format!("`join` joins text, and item {i} is {}", what(part))));
                    }
                }
            }
            owned(out)
        }
        "startswith" | "endswith" => {
            let part = args.need(0, "prefix")?;
            let text = part_of(text, args, 1)?;
            let test = |part: &Value| match part.as_str() {
                Some(part) if name == "startswith" => Ok(text.starts_with(part)),
                Some(part) => Ok(text.ends_with(part)),
                None => {
                    Err(type_error(format!("`{name}` takes text or a tuple of texts, not {}", what(part))))
                }
            };
            Ok(Value::from(match kind(part) {
                Kind::Seq(seq) if seq.kind == SeqKind::Tuple => {
                    let mut any = false;
                    for part in seq.snapshot() {
                        any |= test(&part)?;
                    }
                    any
                }
                _ => test(part)?,
            }))
        }
        "count" => {
            let (part, text) = (args.text(0, "sub")?, part_of(text, args, 1)?);
            Ok(Value::from(if part.is_empty() {
                text.chars().count() + 1
            } else {
                text.matches(part).count()
            }))
        }
        "find" | "rfind" | "index" | "rindex" => {
            let part = args.text(0, "sub")?;
            let start = args.int_or(1, "start", 0)?;
            let searched = part_of(text, args, 1)?;
            let found = if name.starts_with('r') { searched.rfind(part) } else { searched.find(part) };
            let length = text.chars().count() as i128;
            let skipped = (if start < 0 { (start + length).max(0) } else { start.min(length) }) as usize;
            match found {
                Some(at) => Ok(Value::from(skipped + searched[..at].chars().count())),
                None if name.ends_with("find") => Ok(Value::from(-1)),
                None => Err(type_error("substring not found")),
            }
        }
        "center" | "ljust" | "rjust" => {
            let width = usize::try_from(args.int(0, "width")?).unwrap_or_default();
            work::grow("", width)?;
            let fill = args.text_or(1, "fillchar", " ")?.chars().next().unwrap_or(' ');
            owned(justify(text, width, fill, name))
        }
        "zfill" => {
            let width = usize::try_from(args.int(0, "width")?).unwrap_or_default();
            work::grow("", width)?;
            let missing = width.saturating_sub(text.chars().count());
            let (sign, digits) = match text.chars().next() {
                Some('+' | '-') => text.split_at(1),
                _ => ("", text),
            };
            owned(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        "expandtabs" => {
            let size = usize::try_from(args.int_or(0, "tabsize", 8)?).unwrap_or_default().min(1000);
            let mut out = String::new();
            let mut column = 0;
            for c in text.chars() {
                match c {
                    '\t' => {
                        let spaces = if size == 0 { 0 } else { size - column % size };
                        work::grow(&out, spaces)?;
                        out.extend(std::iter::repeat_n(' ', spaces));
                        column += spaces;
                    }
                    '\n' | '\r' => {
                        out.push(c);
                        column = 0;
                    }
                    c => {
                        out.push(c);
                        column += 1;
                    }
                }
            }
            owned(out)
        }
        "encode" => Ok(Value::from_bytes(text.as_bytes().to_vec())),
        "format" => owned(format::braces(text, args)?),
        "format_map" => {
            let keywords = value::pairs(args.need(0, "mapping")?)
                .ok_or_else(|| type_error("format_map() needs a mapping"))?
                .into_iter()
                .map(|(k, v)| (to_str(&k), v))
                .collect();
            owned(format::braces(text, &Args { positional: Vec::new(), keywords })?)
        }
        _ => Ok(Value::from(is(text, name))),
    }
}

/// The `is…` tests of text.
fn is(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let cased = || text.chars().any(|c| c.is_uppercase() || c.is_lowercase());
    match name {
        "isdigit" | "isdecimal" | "isnumeric" => {
            all(|c| c.is_numeric() && (c.is_ascii_digit() || !c.is_ascii()))
        }
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(is_space),
        "isascii" => text.is_ascii(),
        "islower" => cased() && !text.chars().any(char::is_uppercase),
        "isupper" => cased() && !text.chars().any(char::is_lowercase),
        "istitle" => cased() && title(text) == text,
        "isidentifier" => {
            text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        }
        _ => !text.chars().any(char::is_control),
    }
}

/// White space as `str.split` knows it.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn part_of<'a>(text: &'a str, args: &Args, from: usize) -> Result<&'a str, Error> {
    if args.len() <= from {
        return Ok(text);
    }
    let length = text.chars().count() as i128;
    let clamp = |n: i128| (if n < 0 { (n + length).max(0) } else { n.min(length) }) as usize;
    let (start, end) = (clamp(args.int_or(from, "start", 0)?), clamp(args.int_or(from + 1, "end", length)?));
    let offset = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    Ok(if start >= end { "" } else { &text[offset(start)..offset(end)] })
}

pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect()
    })
}

fn title(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

pub(super) fn replace(text: &str, old: &str, new: &str, count: i128) -> Result<String, Error> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    work::bytes(text.len());
    let found = text.matches(old).take(count).count();
    work::grow(text, found.saturating_mul(new.len().saturating_sub(old.len())))?;
    Ok(text.replacen(old, new, count))
}

pub(super) fn justify(text: &str, width: usize, fill: char, how: &str) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let (before, after) = match how {
        "ljust" => (0, missing),
        "rjust" => (missing, 0),
        // Python puts the odd blank to the left of text of even length.
        _ => {
            let left = missing / 2 + (missing & width & 1);
            (left, missing - left)
        }
    };
    let fill = |n| std::iter::repeat_n(fill, n);
    fill(before).chain(text.chars()).chain(fill(after)).collect()
}

/// Lines as `str.splitlines` finds them.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_end = |c: char| {
            matches!(
                c,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let Some(end) = rest.find(is_end) else {
            lines.push(rest);
            break;
        };
        let width = if rest[end..].starts_with("\r\n") {
            2
        } else {
            rest[end..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(&rest[..if keep_ends { end + width } else { end }]);
        rest = &rest[end + width..];
    }
    lines
}

fn split(text: &str, from_right: bool, args: &Args) -> Result<Value, Error> {
    let limit = usize::try_from(args.int_or(1, "maxsplit", -1)?).unwrap_or(usize::MAX);
    let separator = match args.get(0, "sep") {
        Some(value) if !value.is_none() => Some(args.text(0, "sep")?),
        _ => None,
    };
    let parts: Vec<&str> = match (separator, from_right) {
        (Some(""), _) => return Err(type_error("empty separator")),
        (Some(separator), false) => text.splitn(limit.saturating_add(1), separator).collect(),
        (Some(separator), true) => {
            let mut parts: Vec<&str> = text.rsplitn(limit.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
        (None, false) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while !rest.is_empty() {
                if parts.len() == limit {
                    parts.push(rest.trim_end_matches(is_space));
                    break;
                }
                let end = rest.find(is_space).unwrap_or(rest.len());
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start_matches(is_space);
            }
            parts
        }
        (None, true) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_end_matches(is_space);
            while !rest.is_empty() {
                if parts.len() == limit {
                    parts.push(rest.trim_start_matches(is_space));
                    break;
                }
                let start = rest
                    .char_indices()
                    .rev()
                    .find(|(_, c)| is_space(*c))
                    .map_or(0, |(i, c)| i + c.len_utf8());
                parts.push(&rest[start..]);
                rest = rest[..start].trim_end_matches(is_space);
            }
            parts.reverse();
            parts
        }
    };
    Ok(list(parts.into_iter().map(Value::from).collect()))
}
