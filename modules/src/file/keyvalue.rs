//! `file.keyvalue`: settings of a file have these values
//!
//! ```yaml
//! /etc/ssh/sshd_config:
//!   file.keyvalue:
//!     - key_values:
//!         PermitRootLogin: without-password
//!         LoginGraceTime: 1m
//!     - separator: ' '
//!     - uncomment: '# '
//!     - key_ignore_case: True
//!     - append_if_not_found: True
//! ```

use kstate_core::{Facts, Map, Parents, Place, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;

use super::pattern::{bytes_of, text_of};
use super::{Edit, absolute};
use crate::kinds::yes;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
    /// A key, with `value`.
    key: Option<String>,
    /// Its value.
    value: Option<String>,
    /// Several keys and their values, instead of `key` and `value`.
    key_values: Option<Value>,
    /// What stands between key and value. Default: `=`.
    separator: Option<String>,
    /// Adds a key that is not there at the end. Default: `False`.
    #[serde(default)]
    append_if_not_found: bool,
    /// Adds a key that is not there at the beginning. Default: `False`.
    #[serde(default)]
    prepend_if_not_found: bool,
    /// `False`: the difference is told, but not shown. Default: `True`.
    #[serde(default = "yes")]
    show_changes: bool,
    /// A missing file is no error. Default: `False`.
    #[serde(default)]
    ignore_if_missing: bool,
    /// How many lines of a key stay; further ones are removed. -1: all stay. Default: 1.
    count: Option<i64>,
    /// Characters in front of a line that make it a comment: such a line is used, too. Default: comments stay.
    uncomment: Option<String>,
    /// Upper and lower case of a key are the same. Default: `False`.
    #[serde(default)]
    key_ignore_case: bool,
    /// Upper and lower case of a value are the same. Default: `False`.
    #[serde(default)]
    value_ignore_case: bool,
    /// Makes a missing file. Default: `False`.
    #[serde(default)]
    create_if_missing: bool,
    /// Removes every line that does not begin with one of the keys. Default: `False`.
    #[serde(default)]
    prune: bool,
}

#[derive(Debug)]
pub(crate) struct KeyValue {
    edit: Edit,
    pairs: Vec<Pair>,
    separator: String,
    append: bool,
    prepend: bool,
    ignore_if_missing: bool,
    create_if_missing: bool,
    count: i64,
    uncomment: Option<String>,
    key_ignore_case: bool,
    value_ignore_case: bool,
    prune: bool,
}

#[derive(Debug)]
struct Pair {
    key: String,
    value: String,
}

impl State for KeyValue {
    const NAME: &'static str = "file.keyvalue";
    const SOURCE: &'static str = include_str!("keyvalue.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] =
        &[("search_only", "`kstate diff` shows what would change")];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let pairs = match (arguments.key, arguments.value, arguments.key_values) {
            (Some(key), Some(value), None) => [(Value::from(key), Value::from(value))].into_iter().collect(),
            (None, None, Some(Value::Map(map))) if !map.is_empty() => map,
            (None, None, Some(_)) => {
                return Err(vec![cx.error("key_values", "expected a mapping with entries")]);
            }
            _ => return Err(vec![cx.error("key", "give either `key` and `value`, or `key_values`")]),
        };
        let pair = |(key, value): (&Value, &Value)| {
            let bytes = |value: &Value| text_of(value.to_string().as_bytes());
            Pair { key: bytes(key), value: bytes(value) }
        };
        let parents = Parents::MustExist;
        let pairs: &Map = &pairs;
        Ok(KeyValue {
            edit: Edit { path, parents, backup: None, show_changes: arguments.show_changes },
            pairs: pairs.iter().map(pair).collect(),
            separator: text_of(arguments.separator.as_deref().unwrap_or("=").as_bytes()),
            append: arguments.append_if_not_found,
            prepend: arguments.prepend_if_not_found,
            ignore_if_missing: arguments.ignore_if_missing,
            create_if_missing: arguments.create_if_missing,
            count: arguments.count.unwrap_or(1),
            uncomment: arguments.uncomment,
            key_ignore_case: arguments.key_ignore_case,
            value_ignore_case: arguments.value_ignore_case,
            prune: arguments.prune,
        })
    }
}

impl Resource for KeyValue {
    fn questions(&self) -> Vec<Question> {
        self.edit.questions()
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.edit.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let old = match self.edit.read(facts)? {
            None if self.ignore_if_missing && !self.create_if_missing => return Ok(Vec::new()),
            None if self.create_if_missing => None,
            _ => Some(self.edit.read_existing(facts)?),
        };
        self.edit
            .make(old, |old| Ok(bytes_of(&self.edited(&text_of(old.unwrap_or_default()), old.is_none()))))
    }
}

impl KeyValue {
    fn edited(&self, old: &str, is_new: bool) -> String {
        // How many lines of each key may still come.
        let mut left: Vec<i64> = vec![self.count; self.pairs.len()];
        let mut lines: Vec<String> = Vec::new();
        for line in old.split_inclusive('\n') {
            if self.prune && !self.begins_with_a_key(line) {
                continue;
            }
            let kept = self.line(line, &mut left);
            lines.extend(kept);
        }
        let missing = self.pairs.iter().zip(&left).filter(|(_, left)| **left > 0).map(|(pair, _)| pair);
        let added = missing.map(|pair| self.render(&pair.key, pair));
        if self.append || is_new {
            let added: Vec<String> = added.collect();
            if let Some(last) = lines.last_mut().filter(|last| !added.is_empty() && !last.ends_with('\n')) {
                last.push('\n');
            }
            lines.extend(added);
        } else if self.prepend {
            let mut all: Vec<String> = added.collect();
            all.reverse();
            all.extend(lines);
            lines = all;
        }
        lines.concat()
    }

    fn render(&self, key: &str, pair: &Pair) -> String {
        format!("{key}{}{}\n", self.separator, pair.value)
    }

    fn stripped<'l>(&self, line: &'l str) -> &'l str {
        match &self.uncomment {
            Some(characters) => line.trim_start_matches(|c| characters.contains(c)),
            None => line.trim_start(),
        }
    }

    fn begins_with_a_key(&self, line: &str) -> bool {
        let line = self.stripped(line);
        self.pairs
            .iter()
            .any(|pair| line.get(..pair.key.len()).is_some_and(|start| self.is_key(start, &pair.key)))
    }

    fn is_key(&self, found: &str, key: &str) -> bool {
        if self.key_ignore_case { found.eq_ignore_ascii_case(key) } else { found == key }
    }

    /// What becomes of a line. `None`: it goes.
    fn line(&self, line: &str, left: &mut [i64]) -> Option<String> {
        let working = self.stripped(line);
        let was_comment = working.len() < line.len();
        let unchanged = Some(line.to_owned());
        let Some((key, value)) = working.split_once(self.separator.as_str()) else { return unchanged };
        let Some(index) = self.pairs.iter().position(|pair| self.is_key(key, &pair.key)) else {
            return unchanged;
        };
        let (pair, left) = (&self.pairs[index], &mut left[index]);
        let (found, wanted) = (value.trim(), pair.value.trim());
        let is_right =
            if self.value_ignore_case { found.eq_ignore_ascii_case(wanted) } else { found == wanted };
        // A comment is only used while lines may come; a live line beyond them goes.
        let changes = if was_comment { *left > 0 } else { !is_right || *left == 0 };
        let becomes = if !changes {
            unchanged
        } else if *left != 0 {
            Some(self.render(key, pair))
        } else {
            None
        };
        if *left > 0 {
            *left -= 1;
        }
        becomes
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Tree, content_after, declare, declare_error};

    #[test]
    fn sets_values_as_salt_does() {
        let one = "    - key: a\n    - value: 1\n";
        let ssh = "    - key: permitrootlogin\n    - value: 'no'\n    - separator: ' '\n    - uncomment: '# '\n    \
                   - key_ignore_case: True\n    - append_if_not_found: True\n";
        let rows = [
            (one.to_owned(), "a=2\nb=1\n", Some("a=1\nb=1\n")),
            (one.to_owned(), "a=1\n", None),
            (one.to_owned(), "#a=2\n", None),
            (one.to_owned(), "a=1\na=2\n", Some("a=1\n")),
            (format!("{one}    - count: -1\n"), "a=2\na=3\n", Some("a=1\na=1\n")),
            (format!("{one}    - count: 0\n"), "a=1\nb\n", Some("b\n")),
            (format!("{one}    - append_if_not_found: True\n"), "b=1", Some("b=1\na=1\n")),
            (format!("{one}    - prepend_if_not_found: True\n"), "b=1\n", Some("a=1\nb=1\n")),
            (format!("{one}    - prune: True\n"), "b=1\na=1\n", Some("a=1\n")),
            (ssh.to_owned(), "#PermitRootLogin yes\nX y\n", Some("PermitRootLogin no\nX y\n")),
            (ssh.to_owned(), "PermitRootLogin no\n# PermitRootLogin yes\n", None),
            (ssh.to_owned(), "X y\n", Some("X y\npermitrootlogin no\n")),
        ];
        for (arguments, old, expected) in rows {
            let state = declare(&format!("/etc/x:\n  file.keyvalue:\n{arguments}"), &Tree::default());
            let after = content_after(&*state, "/etc/x", Some(old));
            assert_eq!(after.as_deref(), expected, "{arguments} on {old:?}");
        }
    }

    #[test]
    fn makes_a_missing_file_if_told_to() {
        let text =
            "/etc/x:\n  file.keyvalue:\n    - key_values: {a: 1, b: true}\n    - create_if_missing: True\n";
        let after = content_after(&*declare(text, &Tree::default()), "/etc/x", None);
        assert_eq!(after.as_deref(), Some("a=1\nb=True\n"));
    }

    #[test]
    fn takes_a_pair_or_a_mapping() {
        let text = "/etc/x:\n  file.keyvalue:\n    - key: a\n";
        let error = declare_error(text, &Tree::default());
        assert!(error.ends_with("give either `key` and `value`, or `key_values`"), "{error}");
    }
}
