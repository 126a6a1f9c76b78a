//! Text changes as people read them.

use kstate_core::{Change, Value};

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

fn size(bytes: &[u8]) -> Value {
    let hash = kstate_core::digest(bytes);
    format!("{} bytes, sha256 {}…", bytes.len(), &hash[..12]).into()
}

/// A unified diff with three lines of context.
pub(crate) fn unified(path: &str, old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(path, path).to_string()
}
