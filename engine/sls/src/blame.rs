//! Printed values that break the YAML around them.
//!
//! Whether one does is found out by trying: with `x` in its place the text is YAML, or is it further than before.

use std::ops::Range;

use kstate_core::{Problem, Unwritten};

use crate::jinja::LineMap;
use crate::render::placed;
use crate::yaml::{self, Unread};

/// How many values are tried, the nearest first.
const TRIED: usize = 20;
/// How many bytes may be read for that.
const READ: usize = 16 << 20;

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
    let offset = |line: u32, column: u32| {
        let start = starts.get((line as usize).checked_sub(1)?).copied()?;
        let within = text[start..].char_indices().nth((column as usize).checked_sub(1)?);
        Some(within.map_or(text.len(), |(at, _)| start + at))
    };
    let value = |(start, next): ((u32, u32), Option<(u32, u32)>)| {
        let from = offset(start.0, start.1)?;
        let to = next.map_or(Some(text.len()), |(line, column)| offset(line, column))?;
        (from < to && from <= end).then_some(Value { line: start.0, column: start.1, bytes: from..to })
    };
    let breaks = |value: &Value| {
        let without = [&text[..value.bytes.start], "x", &text[value.bytes.end..]].concat();
        yaml::end(&without).is_none_or(|new| without.len() - new < text.len() - end.max(value.bytes.end))
    };
    let tried = TRIED.min(READ / text.len().max(1));
    lines.printed().rev().filter_map(value).take(tried).find(breaks)
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
