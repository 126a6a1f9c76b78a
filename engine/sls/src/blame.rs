//! Printed values that break the YAML around them.
//!
//! Whether one does is found out by trying: with `x` in its place the text is YAML, or is it further than before.

use std::ops::Range;

use kstate_core::{Problem, Unwritten};

use crate::jinja::LineMap;
use crate::render::placed;
use crate::yaml::{self, Unread};

/// How many values are tried, the nearest first.
const TRIED: usize = 10;
/// How many bytes may be read for that.
const READ: usize = 4 << 20;

/// A problem of rendered text that is no YAML, by its place in the files: that of the printed value which makes it, if
/// one does. It tells nothing of a text that is private, or was printed: a person does not edit that.
pub(crate) fn blamed(unread: Box<Unread>, text: &str, lines: &LineMap, is_private: bool) -> Problem {
    let Unread { problem, discreet, .. } = *unread;
    let Some(value) = culprit(text, lines) else {
        let is_printed = problem.at.as_ref().is_some_and(|at| lines.is_printed(at.line));
        return placed(if is_private || is_printed { discreet } else { problem }, text, lines);
    };
    let problem = discreet;
    let printed = &text[value.bytes.clone()];
    let count = printed.trim_end().lines().count();
    let what = if count > 1 { format!("it prints {count} lines") } else { problem.message.clone() };
    let expression = lines.expression(value.line, value.column);
    let shown =
        expression.as_ref().map_or_else(|| "what is printed here".to_owned(), |e| format!("`{{{{ {e} }}}}`"));
    let mut blamed = Problem::error(format!("{shown} breaks the YAML around it: {what}"));
    blamed.hints = hints(text, &value, &expression.unwrap_or_else(|| "…".to_owned()), count > 1);
    blamed.at = Some(lines.origin(value.line, value.column));
    blamed.unwritten = if count > 1 {
        let second = text.split('\n').nth(value.line as usize).unwrap_or_default();
        Some(Unwritten { what: "rendered", text: second.to_owned(), column: 1 })
    } else {
        placed(problem, text, lines).unwritten
    };
    blamed
}

/// A printed value, by its place in the rendered text.
struct Value {
    line: u32,
    column: u32,
    bytes: Range<usize>,
}

fn culprit(text: &str, lines: &LineMap) -> Option<Value> {
    let end = yaml::end(text)?;
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let offset = |(line, column): (u32, u32)| {
        let start = starts.get((line as usize).checked_sub(1)?).copied()?;
        let within = text[start..].char_indices().nth((column as usize).checked_sub(1)?);
        Some(within.map_or(text.len(), |(at, _)| start + at))
    };
    let end_offset = offset(end).unwrap_or(text.len());
    let breaks = |value: &Value| {
        let without = [&text[..value.bytes.start], "x", &text[value.bytes.end..]].concat();
        let left = text.len() - end_offset.max(value.bytes.end);
        yaml::end(&without).is_none_or(|end| left_behind(&without, end) < left)
    };
    let before = lines.printed().rev().filter(|(start, next)| *start <= end && next.as_ref() != Some(start));
    let tried = before.take(TRIED.min(READ / text.len().max(1)));
    let value = |(start, next): ((u32, u32), Option<(u32, u32)>)| {
        let bytes = offset(start)?..next.map_or(Some(text.len()), offset)?;
        Some(Value { line: start.0, column: start.1, bytes })
    };
    tried.filter_map(value).find(breaks)
}

/// How many bytes follow a place of a text.
fn left_behind(text: &str, (line, column): (u32, u32)) -> usize {
    let lines = text.split_inclusive('\n').skip((line as usize).saturating_sub(1));
    let rest: usize = lines.clone().map(str::len).sum();
    let before = lines.take(1).flat_map(str::chars).take((column as usize).saturating_sub(1));
    rest - before.map(char::len_utf8).sum::<usize>()
}

/// How the value can be printed.
fn hints(text: &str, value: &Value, expression: &str, has_lines: bool) -> Vec<String> {
    if expression.contains("yaml(") {
        return vec![
            "print it in one line: by the filter `yaml` without arguments, or by `tojson`".to_owned(),
        ];
    }
    let before = text[..value.bytes.start].rsplit('\n').next().unwrap_or_default();
    let after = text[value.bytes.end..].lines().next().unwrap_or_default();
    if !after.trim().is_empty() || !before.trim_end().ends_with([':', '-']) {
        let example = "{{ ('…' ~ name)|yaml_encode }}";
        return vec![format!(
            "make one value of it and what stands beside it, and let that be quoted: `{example}`"
        )];
    }
    let is_simple = !expression.contains([' ', '~']);
    let inner = if is_simple { expression.to_owned() } else { format!("({expression})") };
    let mut hints = vec![format!("let it be quoted: `{{{{ {inner}|yaml_encode }}}}`")];
    if has_lines {
        let indent = before.chars().take_while(|c| matches!(c, ' ' | '-')).count() + 2;
        hints.push(format!(
            "or write `|` behind the key, and on the next line, indented by {indent} spaces, `{{{{ {inner}|indent({indent}) }}}}`"
        ));
    }
    hints
}
