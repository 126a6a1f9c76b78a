//! Lines of sources.list(5).

use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) disabled: bool,
    /// `deb` or `deb-src`.
    pub(super) kind: String,
    /// Options in brackets, in their order.
    options: Vec<(String, String)>,
    pub(super) uri: String,
    pub(super) suite: String,
    pub(super) components: Vec<String>,
}

impl Entry {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut rest = line.trim();
        let mut entry = Entry::default();
        if let Some(commented) = rest.strip_prefix('#') {
            entry.disabled = true;
            rest = commented.trim_start();
        }
        // What follows is a comment, unless it stands within the brackets.
        let brackets = rest.find(']').unwrap_or_default();
        if let Some(at) = rest.get(brackets..).and_then(|tail| tail.find('#')) {
            rest = rest[..brackets + at].trim_end();
        }
        let (kind, tail) = rest.split_once(char::is_whitespace)?;
        if !["deb", "deb-src"].contains(&kind) {
            return None;
        }
        entry.kind = kind.to_owned();
        let mut tail = tail.trim_start();
        if let Some((options, after)) = tail.strip_prefix('[').and_then(|tail| tail.split_once(']')) {
            let pair = |word: &str| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
            entry.options = options.split_whitespace().filter_map(pair).collect();
            tail = after.trim_start();
        }
        let mut words = tail.split_whitespace().map(str::to_owned);
        entry.uri = words.next().filter(|uri| uri.contains(':') || uri.contains('/'))?;
        entry.suite = words.next().unwrap_or_default();
        entry.components = words.collect();
        Some(entry)
    }

    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        match self.options.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.options.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Whether both are about the same release of the same source.
    fn is_of(&self, other: &Entry) -> bool {
        self.kind == other.kind
            && self.uri.trim_end_matches('/') == other.uri.trim_end_matches('/')
            && self.suite.trim_end_matches('/') == other.suite.trim_end_matches('/')
    }

    /// Whether apt would do the same with both.
    fn is_same(&self, other: &Entry) -> bool {
        let sorted = |entry: &Entry| {
            let (mut options, mut components) = (entry.options.clone(), entry.components.clone());
            options.sort();
            components.sort();
            (options, components)
        };
        self.is_of(other) && self.disabled == other.disabled && sorted(self) == sorted(other)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.disabled {
            f.write_str("# ")?;
        }
        f.write_str(&self.kind)?;
        if !self.options.is_empty() {
            let options: Vec<String> = self.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
            write!(f, " [{}]", options.join(" "))?;
        }
        write!(f, " {} {}", self.uri, self.suite)?;
        self.components.iter().try_for_each(|component| write!(f, " {component}"))
    }
}

/// The text of a file with the entry in it: in place of the first that is of the same source, else at the end.
pub(super) fn with(text: &str, entry: &Entry) -> String {
    let of_it: Vec<Option<Entry>> =
        text.lines().map(|line| Entry::parse(line).filter(|there| there.is_of(entry))).collect();
    let live: Vec<&Entry> =
        of_it.iter().flatten().filter(|there| !there.disabled || entry.disabled).collect();
    if let [only] = live[..]
        && only.is_same(entry)
    {
        return text.to_owned();
    }
    let mut lines = Vec::new();
    let mut written = false;
    for (line, there) in text.lines().zip(&of_it) {
        match there {
            None => lines.push(line.to_owned()),
            Some(_) if !written => {
                lines.push(entry.to_string());
                written = true;
            }
            Some(_) => {}
        }
    }
    if !written {
        lines.push(entry.to_string());
    }
    lines.join("\n") + "\n"
}

/// Returns true if two addresses or suites differ only by a slash at the end.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// The text of a file without the entry.
pub(super) fn without(text: &str, entry: &Entry) -> String {
    let is_it = |line: &&str| {
        Entry::parse(line).is_some_and(|there| {
            let is_any = entry.suite.is_empty() && there.kind == entry.kind && same(&there.uri, &entry.uri);
            !there.disabled && (there.is_of(entry) || is_any)
        })
    };
    text.split_inclusive('\n').filter(|line| !is_it(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for line in [
            "deb http://deb.example.org/debian bookworm main contrib",
            "deb-src [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://example.org/apt stable main",
            "deb https://example.org/apt ./",
            "# deb http://example.org/ x y",
        ] {
            assert_eq!(Entry::parse(line).unwrap().to_string(), line);
        }
        assert_eq!(Entry::parse("# a comment about deb files"), None);
        assert_eq!(Entry::parse("deb http://a b c # why").unwrap().to_string(), "deb http://a b c");
    }

    #[test]
    fn a_disabled_line_is_enabled_in_its_place() {
        let entry = Entry::parse("deb http://a b c").unwrap();
        assert_eq!(with("# deb http://a b c\nx\n", &entry), "deb http://a b c\nx\n");
    }
}
