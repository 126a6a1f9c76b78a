//! `file.comment`: lines that a pattern finds are commented out
//!
//! ```yaml
//! /etc/fstab:
//!   file.comment:
//!     - regex: ^/dev/sdb
//! ```
//!
//! The pattern is Python's, begins with `^` as a rule, and has to fit at the beginning of a line.

use kstate_core::{Facts, Parents, Place, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::pattern::{Flags, Pattern, PatternError, bytes_of, text_of};
use super::{Edit, absolute};
use crate::kinds::Backup;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
    /// The regular expression that finds the lines.
    regex: String,
    /// What makes a line a comment. Default: `#`.
    char: Option<String>,
    /// The ending under which the old file is kept, or `False`. Default: `.bak`.
    #[serde(default)]
    backup: Backup,
    /// It is no error if no line is found, commented or not. Default: `False`.
    #[serde(default)]
    ignore_missing: bool,
}

#[derive(Debug)]
pub(crate) struct Comment {
    edit: Edit,
    regex: String,
    char: String,
    ignore_missing: bool,
    /// Finds a line that is not commented.
    live: Pattern,
    /// Finds a commented line.
    commented: Pattern,
    /// Fits at the beginning of the lines to change.
    line: Pattern,
}

impl State for Comment {
    const NAME: &'static str = "file.comment";
    const SOURCE: &'static str = include_str!("comment.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let (regex, char) = (arguments.regex, arguments.char.unwrap_or_else(|| "#".into()));
        let bare = unanchored(&regex);
        let pattern = |text: String, flags| {
            Pattern::new(&text, flags).map_err(|error: PatternError| vec![cx.error("regex", error)])
        };
        let start = if regex.starts_with('^') { "^" } else { "" };
        Ok(Comment {
            edit: Edit { path, parents: Parents::MustExist, backup: arguments.backup.0, show_changes: true },
            live: pattern(format!(r"^(?!\s*{char})\s*{bare}"), Flags::MULTILINE)?,
            commented: pattern(format!("{char}{bare}"), Flags::MULTILINE)?,
            line: pattern(format!("{start}{}", grouped(&regex)), Flags::default())?,
            regex,
            char,
            ignore_missing: arguments.ignore_missing,
        })
    }
}

/// Without what binds it to the ends of a line, and without a flag at its beginning.
fn unanchored(regex: &str) -> &str {
    let flag = regex.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    let rest = match flag {
        Some((flag, rest)) if flag.len() == 1 && "iLmsux".contains(flag) => rest,
        _ => regex,
    };
    let rest = rest.strip_prefix('^').unwrap_or(rest);
    rest.strip_suffix('$').unwrap_or(rest)
}

/// The pattern in parentheses, an end of the line outside of them.
pub(super) fn grouped(regex: &str) -> String {
    let end = if regex.ends_with('$') { "$" } else { "" };
    format!("({}){end}", regex.trim_start_matches('^').trim_end_matches('$'))
}

/// `old` with the lines changed that `pattern` fits at the beginning of.
pub(super) fn change_lines(
    old: &[u8],
    pattern: &Pattern,
    change: impl Fn(&str) -> String,
) -> Result<Vec<u8>, Stop> {
    let text = text_of(old);
    let mut new = String::new();
    for line in text.split_inclusive('\n') {
        if pattern.begins(line)? { new.push_str(&change(line)) } else { new.push_str(line) }
    }
    Ok(bytes_of(&new))
}

impl Resource for Comment {
    fn questions(&self) -> Vec<Question> {
        self.edit.questions()
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.edit.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let old = self.edit.read_existing(facts)?;
        self.edit.make(Some(old), |old| self.edited(old.unwrap_or_default()))
    }
}

impl Comment {
    fn edited(&self, old: &[u8]) -> Result<Vec<u8>, Stop> {
        let text = text_of(old);
        if !self.live.is_in(&text)? {
            return if self.ignore_missing || self.commented.is_in(&text)? {
                Ok(old.to_vec())
            } else {
                Err(Stop::Failed(format!("`{}` finds no line in `{}`", self.regex, self.edit.path)))
            };
        }
        let new = change_lines(old, &self.line, |line| format!("{}{line}", self.char))?;
        if new == old && !self.commented.is_in(&text)? {
            return Err(Stop::Failed(format!(
                "`{}` does not fit at the beginning of a line of `{}`",
                self.regex, self.edit.path
            )));
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, content_after, declare, file};

    fn comment(arguments: &str) -> Box<dyn Resource> {
        declare(&format!("/etc/x:\n  file.comment:\n{arguments}"), &Tree::default())
    }

    #[test]
    fn comments_the_lines_that_are_found() {
        let rows = [
            ("    - regex: ^a\n", "a 1\nb\na 2", Some("#a 1\nb\n#a 2")),
            ("    - regex: ^a\n", "#a 1\nb\n", None),
            ("    - regex: ^a\n", "# x\n#a\n", None),
            ("    - regex: ^a$\n", "a\nab\n", Some("#a\nab\n")),
            ("    - regex: ^a\n    - char: ;\n", "a\n", Some(";a\n")),
            ("    - regex: ^a\n    - ignore_missing: True\n", "b\n", None),
            ("    - regex: ^ *a\n", " a\n", Some("# a\n")),
        ];
        for (arguments, old, expected) in rows {
            let after = content_after(&*comment(arguments), "/etc/x", Some(old));
            assert_eq!(after.as_deref(), expected, "{arguments} on {old:?}");
        }
    }

    #[test]
    fn says_when_there_is_no_such_line() {
        let mut facts = Facts::default();
        file(&mut facts, "/etc/x", Some("b\n a\n"), 0o644);
        let none = comment("    - regex: ^c\n").diff(&facts);
        assert_eq!(none, Err(Stop::Failed("`^c` finds no line in `/etc/x`".into())));
        let inside = comment("    - regex: ^a\n").diff(&facts);
        let message = "`^a` does not fit at the beginning of a line of `/etc/x`";
        assert_eq!(inside, Err(Stop::Failed(message.into())));
    }
}
