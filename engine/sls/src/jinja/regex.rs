//! Salt's filters and tests with regular expressions, in Python's notation.

use fancy_regex::{Captures, Regex, RuntimeError};
use minijinja::Error;
use minijinja::value::Value;

use super::args::Args;
use super::fault::type_error;
use super::value::{tuple, what};
use super::work;
use crate::regex::compiled;

/// How many steps back one match may take, and what it costs in bytes of text. Nearly every match needs few; one that
/// fails of that is tried once more, for much more.
const EFFORTS: [(usize, usize); 2] = [(10_000, 2_000), (1_000_000, 16_000_000)];
/// What reading an expression costs, in bytes of text.
const READING: usize = 640_000;

/// An expression as filters and tests take it.
pub(super) struct Pattern<'a> {
    pattern: &'a str,
    at_start: bool,
    ignore_case: bool,
    multi_line: bool,
}

impl<'a> Pattern<'a> {
    /// `flags_at` is where `ignorecase` and `multiline` stand among the arguments.
    pub(super) fn of(args: &'a Args, at_start: bool, flags_at: usize) -> Result<Self, Error> {
        Ok(Pattern {
            pattern: args.text(0, "rgx")?,
            at_start,
            ignore_case: args.flag(flags_at, "ignorecase", false)?,
            multi_line: args.flag(flags_at + 1, "multiline", false)?,
        })
    }

    /// As the crate writes it.
    fn source(&self) -> String {
        // Python's end of text.
        let pattern = self.pattern.replace("\\Z", "\\z");
        let pattern = if self.at_start { format!("\\A(?:{pattern})") } else { pattern };
        match (self.ignore_case, self.multi_line) {
            (false, false) => pattern,
            (true, false) => format!("(?i){pattern}"),
            (false, true) => format!("(?m){pattern}"),
            (true, true) => format!("(?im){pattern}"),
        }
    }

    /// Does something with the expression that costs `cost` at each match.
    fn with<T>(&self, text: &str, work: impl Fn(&Regex, usize) -> Result<T, Failure>) -> Result<T, Error> {
        let source = self.source();
        let mut last = None;
        for (backtracks, cost) in EFFORTS {
            let (regex, new) = compiled(&source, backtracks).map_err(|error| {
                let shown: String = self.pattern.chars().take(100).collect();
                type_error(format!("the regular expression `{shown}` cannot be read: {error}"))
            })?;
            work::bytes(if new { READING } else { 0 });
            work::visit(text.len() / 8 + cost / 32)?;
            match work(&regex, cost) {
                Ok(result) => return Ok(result),
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::Regex(error)) => {
                    if !matches!(
                        *error,
                        fancy_regex::Error::RuntimeError(RuntimeError::BacktrackLimitExceeded)
                    ) {
                        return Err(cannot_match(&error));
                    }
                    last = Some(error);
                }
            }
        }
        Err(last.map_or_else(work::over, |error| cannot_match(&error)))
    }
}

enum Failure {
    Regex(Box<fancy_regex::Error>),
    Error(Error),
}

impl From<fancy_regex::Error> for Failure {
    fn from(error: fancy_regex::Error) -> Self {
        Failure::Regex(Box::new(error))
    }
}

fn cannot_match(error: &fancy_regex::Error) -> Error {
    type_error(format!("the regular expression cannot be matched: {error}"))
}

pub(super) fn need_text(value: &Value) -> Result<&str, Error> {
    value.as_str().ok_or_else(|| type_error(format!("text is needed, not {}", what(value))))
}

pub(super) fn matches(value: &Value, args: &Args) -> Result<bool, Error> {
    let text = need_text(value)?;
    Pattern::of(args, true, 1)?.with(text, |regex, _| Ok(regex.is_match(text)?))
}

/// The groups of the first match, the whole of it where there are none; nothing where nothing matches.
pub(super) fn groups(value: &Value, args: &Args, at_start: bool) -> Result<Value, Error> {
    let text = need_text(value)?;
    Pattern::of(args, at_start, 1)?.with(text, |regex, _| {
        let Some(found) = regex.captures(text)? else { return Ok(Value::from(())) };
        let group = |i: usize| found.get(i).map_or_else(|| Value::from(()), |m| Value::from(m.as_str()));
        Ok(tuple(if found.len() == 1 { vec![group(0)] } else { (1..found.len()).map(group).collect() }))
    })
}

pub(super) fn replace(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = need_text(value)?;
    let replacement = template(args.text(1, "val")?);
    Pattern::of(args, false, 2)?.with(text, |regex, cost| {
        let mut out = String::new();
        let mut copied = 0;
        for found in regex.captures_iter(text) {
            let found: Captures<'_, str> = found?;
            let Some(whole) = found.get(0) else { continue };
            out.push_str(&text[copied..whole.start()]);
            let before = out.len();
            found.expand(&replacement, &mut out);
            copied = whole.end();
            work::visit(cost / 32 + (out.len() - before) / 32).map_err(Failure::Error)?;
            work::grow(&out, text.len() - copied).map_err(Failure::Error)?;
        }
        out.push_str(&text[copied..]);
        Ok(Value::from(out))
    })
}

/// `\1` and `\g<name>` as the crate writes them.
fn template(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match chars.next() {
                Some(digit @ '0'..='9') => {
                    let mut number = digit.to_string();
                    if let Some(second) = chars.peek().copied().filter(char::is_ascii_digit) {
                        number.push(second);
                        chars.next();
                    }
                    out.push_str(&format!("${{{number}}}"));
                }
                Some('g') if chars.peek() == Some(&'<') => {
                    chars.next();
                    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                    out.push_str(&format!("${{{name}}}"));
                }
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => {
                    if other != '\\' {
                        out.push('\\');
                    }
                    out.push(other);
                }
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}
