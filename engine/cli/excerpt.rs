//! Which part of a line a problem is about: positions tell where it begins, and the words of the message what it is.

use std::ops::Range;

/// The bytes of `text` at a line and column (both from 1) that are to be underlined; none if the text has no such line.
/// `message` may quote them in backticks.
pub(crate) fn span(text: &str, line: u32, column: u32, message: &str) -> Option<Range<usize>> {
    let line_start = match line.checked_sub(1)? {
        0 => 0,
        before => text.match_indices('\n').nth(before as usize - 1)?.0 + 1,
    };
    let rest = &text[line_start..];
    if rest.is_empty() && line > 1 {
        return None;
    }
    let line = rest.lines().next().unwrap_or_default();
    let before = (column as usize).saturating_sub(1);
    let start = line.char_indices().nth(before).map_or(line.len(), |(at, _)| at);
    let start = line_start + start;
    let rest = &text[start..line_start + line.len()];
    Some(start..start + length(rest, message))
}

/// How much of the rest of a line belongs together.
fn length(rest: &str, message: &str) -> usize {
    let quoted = message.split('`').skip(1).step_by(2).filter(|words| rest.starts_with(words));
    let quoted = quoted.map(str::len).max().unwrap_or(0);
    for (open, close) in [("{{", "}}"), ("{%", "%}"), ("\"", "\""), ("'", "'")] {
        if let Some(inner) = rest.strip_prefix(open)
            && let Some(end) = inner.find(close)
        {
            return quoted.max(open.len() + end + close.len());
        }
    }
    let ends_word = |(at, c): (usize, char)| match c {
        ' ' | ',' | '}' | ']' | ')' => true,
        // Not the colon of an address.
        ':' => rest[at + 1..].chars().next().is_none_or(char::is_whitespace),
        _ => false,
    };
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let mut from = 0;
    let word = loop {
        let end = rest.char_indices().find(|(at, c)| *at >= from && ends_word((*at, *c)));
        let word = end.map_or(rest.trim_end().len(), |(end, _)| end);
        // A printed value is part of the word around it.
        match rest[from..word].find("{{").and_then(|open| Some(from + open + rest[from + open..].find("}}")?))
        {
            Some(close) => from = close + 2,
            None => break word,
        }
    };
    word.max(first).max(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn underlined(line: &str, column: u32, message: &str) -> String {
        span(line, 1, column, message).map(|span| line[span].to_owned()).unwrap_or_default()
    }

    #[test]
    fn what_the_message_quotes_is_underlined_whole() {
        assert_eq!(underlined("- test: b x", 3, "`require` names `test: b`"), "test: b");
        assert_eq!(underlined("- user root", 3, "`user root` has no colon"), "user root");
    }

    #[test]
    fn else_a_word_a_quoted_text_or_a_tag() {
        for (line, expected) in [
            ("file.managed: x", "file.managed"),
            ("salt://a/b.conf", "salt://a/b.conf"),
            ("'a b': c", "'a b'"),
            ("{% if x %} y", "{% if x %}"),
            ("file.{{ name }}-{{ x }}: y", "file.{{ name }}-{{ x }}"),
            ("file.{{ name", "file.{{"),
            ("[, b", "["),
            ("'open", "'open"),
            ("äö, b", "äö"),
            ("", ""),
        ] {
            assert_eq!(underlined(line, 1, "wrong"), expected, "{line}");
        }
    }

    #[test]
    fn lines_and_columns_count_from_1_and_may_lie_behind_the_end() {
        assert_eq!(span("a\nbc\n", 2, 2, ""), Some(3..4));
        assert_eq!(span("a\nbc\n", 2, 9, ""), Some(4..4));
        assert_eq!(span("a\nbc\n", 3, 1, ""), None);
        assert_eq!(span("", 1, 1, ""), Some(0..0));
    }
}
