//! What of a run is not known, because it could not be read: mistakes that may only come of that are not told.

use std::collections::HashSet;

use kstate_core::{Position, fnmatch, nearest};

use crate::tree::{Folders, SourceFile};

/// Stands in a line for what a template fills in.
const HOLE: char = '\u{0}';
/// Likewise, for what a call gives: the lines of a macro are looked at themselves.
const CALL: char = '\u{1}';

/// How many similar names of SLS are told.
pub(crate) const NEAREST: usize = 3;

/// The parts of a run that are missing from it.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Ids and names of states that were declared with a mistake.
    names: HashSet<String>,
    /// SLS that could not be read.
    sls: HashSet<String>,
    /// Rendered texts that could not be read.
    texts: Vec<String>,
    templates: Vec<Heads>,
}

impl Gaps {
    /// States whose declarations are mistaken.
    pub(crate) fn lose(&mut self, names: impl IntoIterator<Item = String>) {
        self.names.extend(names);
    }

    pub(crate) fn has_lost(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// An SLS whose rendered text could not be read.
    pub(crate) fn text(&mut self, sls: &str, text: String) {
        self.sls.insert(sls.to_owned());
        self.texts.push(text);
    }

    /// An SLS whose template could not be rendered, or not with all that it looks at.
    pub(crate) fn template(&mut self, sls: &str, folders: &Folders) {
        self.sls.insert(sls.to_owned());
        match folders.sls(sls) {
            Ok(Some(file)) => self.templates.push(Heads::of(folders, &file)),
            Ok(None) => {}
            Err(_) => self.templates.push(Heads::unknown()),
        }
    }

    /// An SLS of which nothing is known.
    pub(crate) fn unknown(&mut self, sls: &str) {
        self.sls.insert(sls.to_owned());
        self.templates.push(Heads::unknown());
    }

    /// An SLS that does not exist: those that may have been meant are missing.
    pub(crate) fn misspelt(&mut self, sls: &str, folders: &Folders) {
        self.sls.insert(sls.to_owned());
        for near in nearest(sls, folders.sls_names().iter().map(String::as_str), NEAREST) {
            self.template(near, folders);
        }
    }

    /// An SLS that was rendered with a pillar of which parts are missing: it may have to declare more.
    pub(crate) fn pillar(&mut self, sls: &str, folders: &Folders, file: &SourceFile) {
        let heads = Heads::of(folders, file);
        if heads.mentions("pillar") {
            self.sls.insert(sls.to_owned());
            self.templates.push(heads);
        }
    }

    /// Whether a state of this id or name may be declared in what is missing.
    pub(crate) fn may_declare(&self, name: &str) -> bool {
        let is_pattern = name.contains(['*', '?', '[']);
        self.names.contains(name)
            || self.texts.iter().any(|text| is_pattern || text.contains(name))
            || self.templates.iter().any(|heads| is_pattern || heads.may_declare(name))
            || is_pattern && self.names.iter().any(|known| fnmatch(known, name))
    }

    /// Whether an SLS is missing, or may be included by one that is.
    pub(crate) fn may_bring(&self, sls: &str) -> bool {
        let last = sls.rsplit('.').next().unwrap_or(sls);
        self.sls.contains(sls)
            || self.texts.iter().any(|text| text.contains(last))
            || self.templates.iter().any(|heads| heads.includes(last))
    }
}

/// The lines of a template, and of those it takes in, that may declare a state.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    heads: Vec<Head>,
    sources: Vec<String>,
    /// Whether it takes in a template whose name is made when it runs.
    is_open: bool,
}

/// An id or name as it is written; holes stand for what is filled in.
#[derive(Debug)]
struct Head {
    text: String,
    at: Position,
}

impl Heads {
    /// Those of an SLS that may declare anything.
    fn unknown() -> Self {
        Heads { is_open: true, ..Heads::default() }
    }

    pub(crate) fn of(folders: &Folders, file: &SourceFile) -> Self {
        let mut heads = Heads::default();
        heads.add(folders, file, &mut HashSet::new());
        heads
    }

    /// Whether one of them may declare this id or name.
    pub(crate) fn may_declare(&self, name: &str) -> bool {
        self.is_open || self.heads.iter().any(|head| head.may_be(name))
    }

    /// Where the id stands as it is, with nothing to be filled in.
    pub(crate) fn written(&self, id: &str) -> Option<&Position> {
        self.heads.iter().find(|head| head.at.column == 1 && head.text == id).map(|head| &head.at)
    }

    /// Whether one of the sources has a text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.sources.iter().any(|source| source.contains(text))
    }

    fn includes(&self, sls: &str) -> bool {
        self.is_open || self.mentions(sls)
    }

    fn add(&mut self, folders: &Folders, file: &SourceFile, seen: &mut HashSet<String>) {
        if !seen.insert(file.name.clone()) {
            return;
        }
        let (text, taken_in) = masked(&file.text);
        self.heads.extend(heads(&text, file));
        self.sources.push(file.text.clone());
        for name in taken_in {
            let own = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let found = name.and_then(|name| match name.strip_prefix("./") {
                Some(rest) => folders.file(format!("{own}/{rest}").trim_start_matches('/')).ok().flatten(),
                None => folders.file(name.trim_start_matches("salt://")).ok().flatten(),
            });
            match found {
                Some(file) => self.add(folders, &file, seen),
                None => self.is_open = true,
            }
        }
    }
}

impl Head {
    /// Whether the name comes of it, when its holes are filled.
    fn may_be(&self, name: &str) -> bool {
        let mut parts = self.text.split([HOLE, CALL]);
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A template with holes for what it fills in and without its tags, line for line, and the templates that it takes in:
/// none for a name that is made when it runs.
fn masked(source: &str) -> (String, Vec<Option<&str>>) {
    let mut text = String::with_capacity(source.len());
    let mut taken_in = Vec::new();
    let mut rest = source;
    while let Some(open) = rest.find('{') {
        let close = match rest.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                text.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
                continue;
            }
        };
        text.push_str(&rest[..open]);
        let inner = &rest[open + 2..];
        let end = inner.find(close).unwrap_or(inner.len());
        let tag = inner[..end].trim_matches('-').trim();
        match close {
            "}}" => text.push(if is_call(tag) { CALL } else { HOLE }),
            "%}" => taken_in.extend(template_of(tag)),
            _ => {}
        }
        text.extend(inner[..end].chars().filter(|c| *c == '\n'));
        rest = inner.get(end + 2..).unwrap_or_default();
    }
    text.push_str(rest);
    (text, taken_in)
}

/// Whether an expression begins with a call of what may be a macro.
fn is_call(expression: &str) -> bool {
    let end = expression.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')));
    let (name, rest) = expression.split_at(end.unwrap_or(expression.len()));
    let is_data = ["pillar.", "grains.", "salt."].iter().any(|data| name.starts_with(data));
    !name.is_empty() && !is_data && rest.starts_with('(')
}

/// The template that a tag takes in, if it takes in one.
fn template_of(tag: &str) -> Option<Option<&str>> {
    let (word, rest) = tag.split_once(char::is_whitespace)?;
    if !matches!(word, "from" | "import" | "include") {
        return None;
    }
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    Some(quote.and_then(|quote| rest[1..].split(quote).next()))
}

/// The lines that may be an id, a `name` or one of `names`.
fn heads(text: &str, file: &SourceFile) -> Vec<Head> {
    let mut heads = Vec::new();
    let mut in_names = false;
    for (line, number) in text.lines().zip(1..) {
        let trimmed = line.trim();
        let (item, is_item) = match trimmed.strip_prefix("- ") {
            Some(item) => (item.trim_start(), true),
            None => (trimmed, false),
        };
        let column = line.chars().take_while(|c| c.is_whitespace()).count();
        let at = Position { column: u32::try_from(column).unwrap_or(0) + 1, ..file.at(number) };
        let mut push = |text: &str| heads.push(Head { text: unquoted(text).to_owned(), at: at.clone() });
        if let Some(names) = item.strip_prefix("names:") {
            in_names = true;
            names
                .trim()
                .trim_matches(['[', ']'])
                .split(',')
                .filter(|name| !name.is_empty())
                .for_each(&mut push);
            continue;
        }
        if in_names && is_item {
            push(item.trim_end_matches(':'));
            continue;
        }
        in_names = false;
        if let Some(name) = item.strip_prefix("name:") {
            push(name);
        } else if let Some(key) = key(trimmed) {
            // Deeper in the file a key that is filled in whole belongs to a mapping among arguments.
            if column == 0 || !is_hole(key) {
                push(key);
            }
        } else if trimmed.chars().eq([HOLE]) {
            push(trimmed);
        }
    }
    heads
}

/// The key of a line that begins a mapping entry.
fn key(line: &str) -> Option<&str> {
    if line.starts_with("- ") {
        return None;
    }
    match line.strip_suffix(':') {
        Some(key) => Some(key),
        None => line.split_once(": ").map(|(key, _)| key),
    }
}

fn is_hole(text: &str) -> bool {
    unquoted(text).chars().all(|c| matches!(c, HOLE | CALL))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(text: &str) -> Gaps {
        let folders = Folders::new(Vec::new(), "".into(), std::sync::Arc::new(crate::Disk));
        let file = SourceFile {
            name: "a.sls".into(),
            shown: "a.sls".into(),
            path: "a.sls".into(),
            text: text.into(),
            readings: Default::default(),
        };
        let templates = vec![Heads::of(&folders, &file)];
        Gaps { sls: HashSet::from(["a".to_owned()]), templates, ..Gaps::default() }
    }

    #[test]
    fn a_template_may_declare_what_stands_in_it() {
        let text = "{% if x %}\nweb:\n  pkg.installed:\n    - name: nginx\n    - names:\n      - one\n      - 'two'\n";
        let gaps = gaps(text);
        for name in ["web", "nginx", "one", "two", "w*"] {
            assert!(gaps.may_declare(name), "{name}");
        }
        assert!(!gaps.may_declare("apache"));
        assert!(gaps.may_bring("a") && !gaps.may_bring("other"));
    }

    #[test]
    fn what_is_filled_in_may_be_anything() {
        let gaps = gaps(
            "{{ name }}-conf:\n  file.managed:\n    - name: /etc/{{ a }}/{{ b }}.conf\n    - {{ c }}: d\n",
        );
        for name in ["x-conf", "/etc/a/b.conf"] {
            assert!(gaps.may_declare(name), "{name}");
        }
        for name in ["x", "/etc/b.conf", "/etc/a/b"] {
            assert!(!gaps.may_declare(name), "{name}");
        }
    }

    #[test]
    fn a_text_of_unknown_lines_may_declare_anything_and_a_call_of_a_macro_only_what_stands_in_it() {
        assert!(gaps("{{ text }}\n").may_declare("x"));
        assert!(
            !gaps("{% macro m(a) %}\n{{ a }}-x:\n  test.nop: []\n{% endmacro %}\n{{ m('a') }}\n")
                .may_declare("y")
        );
        assert!(gaps("{% from name import m %}\n{{ m('a') }}\n").may_declare("y"));
    }
}
