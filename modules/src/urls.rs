//! Addresses with a password in them: no message shows it.

use kstate_core::{Chunk, Data, Node, Problem, Value};

/// Returns the text with `***` in place of each password: `https://ann:***@example.org`.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end =
            after.find(|c: char| c == '/' || c.is_whitespace() || "`'\"".contains(c)).unwrap_or(after.len());
        let login = after[..end].rfind('@').map(|at| &after[..at]);
        match login.and_then(|login| login.split_once(':')) {
            Some((user, password)) => {
                out.push_str(&format!("{user}:***"));
                rest = &after[user.len() + 1 + password.len()..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

/// Hides passwords of addresses, and the lines of the tree that hold them.
pub(crate) fn hide(mut problem: Problem, chunk: &Chunk) -> Problem {
    problem.message = without_passwords(&problem.message);
    problem.hints = problem.hints.iter().map(|hint| without_passwords(hint)).collect();
    let line = problem.at.as_ref().map(|at| at.line);
    let holds = |(_, node): &(String, Node)| has_password(node);
    let is_held = |text: &str| without_passwords(text) != text;
    problem.hidden |= line.is_some() && (chunk.arguments.iter().any(holds) || is_held(&chunk.name));
    problem
}

fn has_password(node: &Node) -> bool {
    match &node.data {
        Data::Scalar(Value::Text(text)) => without_passwords(text) != *text,
        Data::Scalar(_) => false,
        Data::List(items) => items.iter().any(has_password),
        Data::Map(entries) => entries.iter().any(|(key, value)| has_password(key) || has_password(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::without_passwords;
    use crate::testing::{Tree, chunk};

    #[test]
    fn a_password_is_replaced_and_nothing_else() {
        for (text, expected) in [
            ("`https://ann:s3cret@example.org/x` is no", "`https://ann:***@example.org/x` is no"),
            ("git+ssh://git@example.org/x:y@z", "git+ssh://git@example.org/x:y@z"),
            ("http://a:b@c and ftp://d:e:f@g", "http://a:***@c and ftp://d:***@g"),
            ("https://example.org:8080/", "https://example.org:8080/"),
        ] {
            assert_eq!(without_passwords(text), expected);
        }
    }

    #[test]
    fn a_refused_address_shows_neither_password_nor_line() {
        let text = "/x:\n  file.managed:\n    - source: https://ann:s3cret@example.org/x\n";
        let problems = crate::declare(&chunk(text), &Tree::default()).unwrap_err();
        assert!(problems.iter().all(|problem| problem.hidden && !format!("{problem:?}").contains("s3cret")));
    }
}
