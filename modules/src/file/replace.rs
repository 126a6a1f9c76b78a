//! `file.replace`: what a pattern finds in a file is replaced
//!
//! ```yaml
//! /etc/ssh/sshd_config:
//!   file.replace:
//!     - pattern: '^#?PasswordAuthentication .*$'
//!     - repl: PasswordAuthentication no
//!     - append_if_not_found: True
//! ```
//!
//! Patterns are Python's, with look-around and back-references, and are applied to the whole file: `^` and `$` fit at
//! every line unless `flags` lacks `MULTILINE`. What it leaves must not be replaced by something else again: such a
//! state would change with every run, and fails.

use kstate_core::{Facts, Parents, Place, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::pattern::{Flags, Pattern, Template, bytes_of, escape, text_of};
use super::{Edit, absolute};
use crate::kinds::{Backup, yes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path. A link is followed.
    name: String,
    /// The regular expression.
    pattern: String,
    /// What stands in the place of each match. `\1` and `\g<name>` are groups of the pattern.
    repl: String,
    /// Replaces at most that many matches. Default: 0, all.
    #[serde(default)]
    count: usize,
    /// Python's names of flags, or their sum. Default: `[MULTILINE]`.
    flags: Option<Value>,
    /// Adds a line at the end if the pattern is not found. Default: `False`.
    #[serde(default)]
    append_if_not_found: bool,
    /// Adds a line at the beginning if the pattern is not found. Default: `False`.
    #[serde(default)]
    prepend_if_not_found: bool,
    /// The line to add. Default: `repl`.
    not_found_content: Option<String>,
    /// The ending under which the old file is kept, or `False`. Default: `.bak`.
    #[serde(default)]
    backup: Backup,
    /// `False`: the difference is told, but not shown. Default: `True`.
    #[serde(default = "yes")]
    show_changes: bool,
    /// A missing file is no error. Default: `False`.
    #[serde(default)]
    ignore_if_missing: bool,
    /// Backslashes in `repl` are backslashes. Default: `False`.
    #[serde(default)]
    backslash_literal: bool,
    /// Has no meaning here: the file is always read whole.
    #[expect(dead_code, reason = "accepted because trees have it")]
    bufsize: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Replace {
    edit: Edit,
    pattern: Pattern,
    template: Template,
    count: usize,
    not_found: Option<NotFound>,
    ignore_if_missing: bool,
}

/// The line to add if the pattern is not found.
#[derive(Debug)]
struct NotFound {
    line: Vec<u8>,
    /// Finds it if it is there already.
    there: Pattern,
    first: bool,
}

impl State for Replace {
    const NAME: &'static str = "file.replace";
    const SOURCE: &'static str = include_str!("replace.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] =
        &[("encoding", "patterns are applied to the bytes of the file")];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let one = |argument: &str, error: &dyn std::fmt::Display| vec![cx.error(argument, error)];
        let flags = match &arguments.flags {
            Some(value) => flags(value).map_err(|error| one("flags", &error))?,
            None => Flags::MULTILINE,
        };
        let pattern = Pattern::new(&arguments.pattern, flags).map_err(|error| one("pattern", &error))?;
        let template = if arguments.backslash_literal {
            Template::literal(&arguments.repl)
        } else {
            Template::new(&arguments.repl, &pattern).map_err(|error| one("repl", &error))?
        };
        if arguments.append_if_not_found && arguments.prepend_if_not_found {
            let message = "only one of `append_if_not_found` and `prepend_if_not_found` can be given";
            return Err(one("append_if_not_found", &message));
        }
        let not_found = if arguments.append_if_not_found || arguments.prepend_if_not_found {
            let line = arguments.not_found_content.unwrap_or(arguments.repl);
            let there = Pattern::new(&format!("^{}($|(?=\r\n))", escape(&line)), flags);
            Some(NotFound {
                there: there.map_err(|error| one("not_found_content", &error))?,
                line: format!("{line}\n").into_bytes(),
                first: arguments.prepend_if_not_found,
            })
        } else {
            None
        };
        Ok(Replace {
            edit: Edit {
                path,
                parents: Parents::MustExist,
                backup: arguments.backup.0,
                show_changes: arguments.show_changes,
            },
            pattern,
            template,
            count: arguments.count,
            not_found,
            ignore_if_missing: arguments.ignore_if_missing,
        })
    }
}

/// A name, a list of names, or Python's number for them.
fn flags(value: &Value) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let names: Vec<String> = match value {
        Value::Int(number) => {
            const BITS: [(i64, &str); 7] =
                [(2, "I"), (4, "L"), (8, "M"), (16, "S"), (32, "U"), (64, "X"), (256, "A")];
            let known: i64 = BITS.iter().map(|(bit, _)| bit).sum();
            if number & !known != 0 {
                return Err(format!("`{number}` is not a sum of Python's flags"));
            }
            BITS.iter().filter(|(bit, _)| number & bit != 0).map(|(_, name)| (*name).to_owned()).collect()
        }
        Value::List(items) => items.iter().map(ToString::to_string).collect(),
        name => vec![name.to_string()],
    };
    for name in names {
        match name.to_ascii_uppercase().as_str() {
            "I" | "IGNORECASE" => flags.ignore_case = true,
            "M" | "MULTILINE" => flags.multiline = true,
            "S" | "DOTALL" => flags.dot_all = true,
            "X" | "VERBOSE" => flags.verbose = true,
            "A" | "ASCII" | "L" | "LOCALE" | "U" | "UNICODE" | "NOFLAG" => {}
            _ => return Err(format!("`{name}` is not a flag of Python's regular expressions")),
        }
    }
    Ok(flags)
}

impl Resource for Replace {
    fn questions(&self) -> Vec<Question> {
        self.edit.questions()
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.edit.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if self.ignore_if_missing && self.edit.read(facts)?.is_none() {
            return Ok(Vec::new());
        }
        let old = self.edit.read_existing(facts)?;
        self.edit.make(Some(old), |old| self.edited(old.unwrap_or_default()))
    }
}

impl Replace {
    fn edited(&self, old: &[u8]) -> Result<Vec<u8>, Stop> {
        let text = text_of(old);
        let (replaced, count) = self.pattern.replace(&text, &self.template, self.count)?;
        let mut new = bytes_of(&replaced);
        if let Some(not_found) = self.not_found.as_ref().filter(|_| count == 0)
            && !not_found.there.is_in(&text)?
        {
            if not_found.first {
                new = [not_found.line.as_slice(), &new].concat();
            } else {
                if new.last().is_some_and(|last| *last != b'\n') {
                    new.push(b'\n');
                }
                new.extend(&not_found.line);
            }
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, content_after, declare, declare_error, file};
    use kstate_core::Operation;

    fn replace(arguments: &str) -> Box<dyn Resource> {
        declare(&format!("/etc/x:\n  file.replace:\n{arguments}"), &Tree::default())
    }

    #[test]
    fn replaces_and_adds_as_salt_does() {
        let port = "    - pattern: ^#?(Port) .*$\n    - repl: \\1 2222\n";
        let append = "    - pattern: ^a=.*\n    - repl: a=1\n    - append_if_not_found: True\n";
        let rows = [
            (port.to_owned(), "x\n#Port 22\n", Some("x\nPort 2222\n")),
            (port.to_owned(), "Port 2222\n", None),
            (format!("{port}    - count: 1\n"), "Port 2222\n#Port 1\n", None),
            (append.to_owned(), "b", Some("b\na=1\n")),
            (append.to_owned(), "", Some("a=1\n")),
            (
                "    - pattern: zzz\n    - repl: a\n    - prepend_if_not_found: True\n".to_owned(),
                "b\n",
                Some("a\nb\n"),
            ),
            (
                "    - pattern: zzz\n    - repl: q\n    - append_if_not_found: True\n    - not_found_content: a\n"
                    .to_owned(),
                "b\na\n",
                None,
            ),
            ("    - pattern: A\n    - repl: b\n    - flags: [IGNORECASE]\n".to_owned(), "a\n", Some("b\n")),
            ("    - pattern: ^a\n    - repl: b\n    - flags: 2\n".to_owned(), "a\na", Some("b\na")),
            (
                "    - pattern: a\n    - repl: \\d\n    - backslash_literal: True\n".to_owned(),
                "a\n",
                Some("\\d\n"),
            ),
        ];
        for (arguments, old, expected) in rows {
            let after = content_after(&*replace(&arguments), "/etc/x", Some(old));
            assert_eq!(after.as_deref(), expected, "{arguments} on {old:?}");
        }
    }

    #[test]
    fn an_edit_that_changes_its_own_result_is_refused() {
        let rows = [
            ("    - pattern: a\n    - repl: aa\n", "a\n"),
            ("    - pattern: b\n    - repl: a b\n    - count: 1\n", "b\n"),
            (
                "    - pattern: '^color = (\\w+)$'\n    - repl: 'color=\\1'\n    - append_if_not_found: True\n",
                "color = red\n",
            ),
            (
                "    - pattern: zzz\n    - repl: 'a$'\n    - prepend_if_not_found: True\n    - flags: []\n",
                "b\n",
            ),
        ];
        for (arguments, old) in rows {
            let mut facts = Facts::default();
            file(&mut facts, "/etc/x", Some(old), 0o644);
            let refused = replace(arguments).diff(&facts);
            let Err(Stop::Failed(reason)) = refused else { panic!("{arguments}: {refused:?}") };
            assert!(reason.starts_with("`/etc/x` would change again with every run"), "{reason}");
        }
    }

    #[test]
    fn keeps_the_old_file_unless_told_otherwise() {
        for (more, expected) in
            [("", Some(".bak")), ("    - backup: False\n", None), ("    - backup: .old\n", Some(".old"))]
        {
            let mut facts = Facts::default();
            file(&mut facts, "/etc/x", Some("a"), 0o644);
            let steps = replace(&format!("    - pattern: a\n    - repl: b\n{more}")).diff(&facts).unwrap();
            let Operation::Write(write) = &steps[0].operation else { panic!("{steps:?}") };
            assert_eq!(write.backup.as_deref(), expected);
        }
    }

    #[test]
    fn a_missing_file_is_an_error_unless_it_is_ignored() {
        let mut facts = Facts::default();
        file(&mut facts, "/etc/x", None, 0);
        let strict = replace("    - pattern: a\n    - repl: b\n").diff(&facts);
        assert_eq!(strict, Err(Stop::Failed("`/etc/x` does not exist".into())));
        let lenient =
            replace("    - pattern: a\n    - repl: b\n    - ignore_if_missing: True\n").diff(&facts);
        assert_eq!(lenient, Ok(Vec::new()));
    }

    #[test]
    fn a_mistake_in_a_pattern_points_at_it() {
        let text = "/etc/x:\n  file.replace:\n    - pattern: (a\n    - repl: b\n";
        assert_eq!(
            declare_error(text, &Tree::default()),
            "a.sls:3: file.replace: `pattern`: the pattern ends in the middle of a group"
        );
    }
}
