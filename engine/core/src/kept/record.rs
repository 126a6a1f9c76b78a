//! Records as the host keeps them: a line `name: value` for each field.

use crate::words::quote;

/// Fields by name. A value is one line, whatever it holds: backslashes and line ends are escaped, and so is the `@`
/// that begins a record when many are printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record(Vec<(String, String)>);

impl Record {
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn parse(text: &str) -> Self {
        let field = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), unescape(value)))
        };
        Record(text.lines().filter_map(field).collect())
    }

    /// A value as it stands in a record.
    pub(crate) fn field(value: &str) -> String {
        escape(value)
    }

    /// The fields as they stand in a record.
    pub(crate) fn fields(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}: {}\n", escape(value))).collect()
    }

    /// The lines of the record, as words of a shell.
    pub(crate) fn words(&self) -> String {
        let lines: Vec<String> =
            self.0.iter().map(|(name, value)| quote(&format!("{name}: {}", escape(value)))).collect();
        lines.join(" ")
    }

    /// A command that prints the record; `since` is the host's clock.
    pub(crate) fn printing(&self) -> String {
        format!("{{ printf '%s\\n' {}; echo \"since: $(date +%s)\"; }}", self.words())
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('@', "\\a")
}

fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('a')) => out.push('@'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_line_and_comes_back_whole() {
        for value in ["plain", "a\nb: c\n@ owed x", "back\\slash\\n", "ends with \\"] {
            assert_eq!(unescape(&escape(value)), value);
            assert!(!escape(value).contains(['\n', '@']));
        }
    }
}
