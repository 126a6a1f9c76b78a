//! The content that Salt makes of a value: the lines of a text, or of the texts of a list.

use kstate_core::Value;

/// Returns the bytes of a file that holds `value`, or why there are none. Each line ends with a newline, whatever ended
/// it in the value; without `newline`, the last one has none.
pub(super) fn bytes(value: &Value, newline: bool) -> Result<Vec<u8>, String> {
    if let Value::Bytes(bytes) = value
        && std::str::from_utf8(bytes).is_err()
    {
        return Ok(bytes.clone());
    }
    let mut text = String::new();
    for line in parts(value)?.iter().flat_map(|part| lines(part)) {
        text.push_str(line);
        text.push('\n');
    }
    if !newline {
        let bare = text.trim_end_matches('\n').len();
        text.truncate(bare);
    }
    Ok(text.into_bytes())
}

fn parts(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::List(items) if items.is_empty() => Err("the list is empty".to_owned()),
        Value::List(items) => items.iter().map(printed).collect(),
        value => Ok(vec![printed(value)?]),
    }
}

/// Returns a value as Python's `str` prints it.
fn printed(value: &Value) -> Result<String, String> {
    match value {
        Value::List(_) => quoted(value),
        Value::Map(_) => {
            Err("a mapping is no text; put it in quotes, or write it with the filter `yaml` or `json`"
                .to_owned())
        }
        value => Ok(value.to_string()),
    }
}

/// Returns a value as Python prints it within a list.
fn quoted(value: &Value) -> Result<String, String> {
    match value {
        Value::List(items) => {
            Ok(format!("[{}]", items.iter().map(quoted).collect::<Result<Vec<_>, _>>()?.join(", ")))
        }
        Value::Text(text) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let mut quoted = String::from(quote);
            for c in text.chars() {
                match c {
                    '\\' => quoted.push_str("\\\\"),
                    '\n' => quoted.push_str("\\n"),
                    '\r' => quoted.push_str("\\r"),
                    '\t' => quoted.push_str("\\t"),
                    c if c == quote => quoted.extend(['\\', c]),
                    c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
                    c => quoted.push(c),
                }
            }
            quoted.push(quote);
            Ok(quoted)
        }
        value => printed(value),
    }
}

/// Splits as Python's `splitlines`.
pub(super) fn lines(text: &str) -> Vec<&str> {
    const ENDS: &[char] =
        &['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(ENDS) {
        lines.push(&rest[..end]);
        let length = rest[end..].chars().next().map_or(0, char::len_utf8);
        rest = if rest[end..].starts_with("\r\n") { &rest[end + 2..] } else { &rest[end + length..] };
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_salt_writes() {
        let list = |items: Vec<Value>| Value::List(items);
        let nested = list(vec!["x".into(), "y'z".into(), Value::Null]);
        let rows = [
            (
                list(vec!["a".into(), 1.into(), true.into(), Value::Null, 1.5.into(), nested]),
                true,
                "a\n1\nTrue\nNone\n1.5\n['x', \"y'z\", None]\n",
            ),
            (12.into(), true, "12\n"),
            (false.into(), true, "False\n"),
            ("".into(), true, ""),
            ("a\r\nb\rc\u{c}d\n\n".into(), true, "a\nb\nc\nd\n\n"),
            ("a\n\n".into(), false, "a"),
            (list(vec!["a\n".into(), "b".into()]), true, "a\nb\n"),
        ];
        for (value, newline, expected) in rows {
            let text = bytes(&value, newline).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(text.as_deref(), Ok(expected), "{value:?}");
        }
        assert_eq!(bytes(&Value::Bytes(vec![0xff, 0]), true), Ok(vec![0xff, 0]));
        let map = [(Value::from("a"), Value::from(1))].into_iter().collect();
        assert!(bytes(&list(vec![Value::Map(map)]), true).is_err());
    }
}
