//! Text changes as people read them.

use std::collections::HashSet;

use kstate_core::{Change, Content, Value};

/// Content above this is shown by size and hash only.
pub(crate) const SHOWN: usize = 1 << 20;

/// The change of a text from `old` (`None`: it is not there) to `new`; binary content is told by size.
pub(crate) fn change(subject: &str, path: &str, old: Option<&[u8]>, new: &[u8]) -> Change {
    let read = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| !text.contains('\0'));
    let plain = Change::new(subject, old.map_or(Value::Null, size), size(new));
    match (old.map_or(Some(""), read), read(new)) {
        (Some(before), Some(after)) => plain.diff(unified(path, before, after)),
        _ => plain,
    }
}

/// The change from what a state brings to the host in one revision of the tree to what it brings in another. `None`:
/// there is none.
pub fn between(before: Option<&Content>, after: Option<&Content>) -> Option<Change> {
    let Content { subject, path, .. } = after.or(before)?;
    let [old, new] = [before, after].map(|content| content.map(|content| content.bytes.as_slice()));
    if old == new {
        return None;
    }
    let both = || before.into_iter().chain(after);
    if both().all(|content| content.is_shown && word(&content.bytes).is_some()) {
        let [old, new] = [old, new].map(|bytes| bytes.and_then(word).map_or(Value::Null, Value::from));
        return Some(Change::new(subject, old, new));
    }
    let told = change(subject, path, old, new.unwrap_or_default());
    let told = Change { after: new.map_or(Value::Null, size), ..told };
    let is_shown = both().all(|content| content.is_shown && content.bytes.len() <= SHOWN);
    Some(if is_shown { told } else { Change { diff: None, ..told } })
}

/// A short text without a line's end, such as a mode or where a link leads.
fn word(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.len() <= 100 && !text.contains(['\n', '\0']))
}

fn size(bytes: &[u8]) -> Value {
    let hash = kstate_core::digest(bytes);
    format!("{} bytes, sha256 {}…", bytes.len(), &hash[..12]).into()
}

/// Returns a unified diff with three lines of context. White space is shown by signs where nothing else differs.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    let text = diff.unified_diff().context_radius(3).header(path, path).to_string();
    let bare = |line: &str| line.split_whitespace().collect::<String>();
    let side = |sign: char| -> HashSet<String> {
        text.split('\n').skip(2).filter_map(|line| line.strip_prefix(sign)).map(bare).collect()
    };
    let (gone, come) = (side('-'), side('+'));
    let is_blank = |line: &str, others: &HashSet<String>| others.contains(&bare(line));
    let lines = text.split('\n').enumerate().map(|(number, line)| match line.split_at_checked(1) {
        Some(("-", rest)) if number > 1 && is_blank(rest, &come) => format!("-{}", with_signs(rest)),
        Some(("+", rest)) if number > 1 && is_blank(rest, &gone) => format!("+{}", with_signs(rest)),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Shows tabs, carriage returns and the blanks at the end of a line.
fn with_signs(line: &str) -> String {
    let text = line.trim_end_matches([' ', '\t', '\r']);
    let end = line[text.len()..].replace(' ', "·");
    format!("{text}{end}").replace('\t', "⇥").replace('\r', "␍")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_visible_where_nothing_else_differs() {
        let rows = [
            ("a\r\nb\n", "a\nb\n", "-a␍\n+a\n b\n"),
            ("a \t\n", "a\n", "-a·⇥\n+a\n"),
            ("\ta b\n", "    a b\n", "-⇥a b\n+    a b\n"),
            ("a\n", "a", "-a\n+a\n\\ No newline at end of file\n"),
            ("a \n", "b\n", "-a \n+b\n"),
        ];
        for (old, new, expected) in rows {
            let diff = unified("/x", old, new);
            assert!(diff.ends_with(expected), "{old:?} {new:?}: {diff:?}");
        }
    }

    #[test]
    fn tells_words_as_words_and_lines_as_a_diff() {
        let content = |text: &str| Content::new("content", "/a", text);
        let told = |before: &Content, after: &Content| between(Some(before), Some(after));
        assert_eq!(told(&content("a\n"), &content("a\n")), None);
        assert_eq!(told(&content("0644"), &content("0755")).unwrap().to_string(), "content: 0644 -> 0755");
        let lines = told(&content("a\n"), &content("b\n")).unwrap();
        assert!(lines.diff.unwrap().ends_with("-a\n+b\n"));
        assert_eq!(told(&content("a\n"), &content("b\n").shown(false)).unwrap().diff, None);
        assert_eq!(told(&content("a\0"), &content("b\0")).unwrap().diff, None);
        let gone = between(Some(&content("a\n")), None).unwrap();
        assert_eq!((gone.after, gone.diff.unwrap().ends_with("-a\n")), (Value::Null, true));
    }
}
