//! `file.uncomment`: commented lines that a pattern finds come into force
//!
//! ```yaml
//! /etc/default/redis:
//!   file.uncomment:
//!     - regex: ^ULIMIT=
//! ```
//!
//! The pattern is Python's, without the comment's own character.

use kstate_core::{Facts, Parents, Place, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::comment::{change_lines, grouped};
use super::pattern::{Flags, Pattern, PatternError, text_of};
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
}

#[derive(Debug)]
pub(crate) struct Uncomment {
    edit: Edit,
    regex: String,
    char: String,
    commented: Pattern,
    live: Pattern,
    /// Fits at the beginning of the lines to change.
    line: Pattern,
}

impl State for Uncomment {
    const NAME: &'static str = "file.uncomment";
    const SOURCE: &'static str = include_str!("uncomment.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let (regex, char) = (arguments.regex, arguments.char.unwrap_or_else(|| "#".into()));
        let bare = regex.trim_start_matches('^');
        let pattern = |text: String, flags| {
            Pattern::new(&text, flags).map_err(|error: PatternError| vec![cx.error("regex", error)])
        };
        Ok(Uncomment {
            edit: Edit { path, parents: Parents::MustExist, backup: arguments.backup.0, show_changes: true },
            commented: pattern(format!(r"{char}[ \t]*{bare}"), Flags::MULTILINE)?,
            live: pattern(format!(r"^[ \t]*{bare}"), Flags::MULTILINE)?,
            line: pattern(format!(r"^{char}\s*{}", grouped(&regex)), Flags::default())?,
            regex,
            char,
        })
    }
}

impl Resource for Uncomment {
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

impl Uncomment {
    fn edited(&self, old: &[u8]) -> Result<Vec<u8>, Stop> {
        let text = text_of(old);
        let strip = |line: &str| line.trim_start_matches(|c| self.char.contains(c)).to_owned();
        let new =
            if self.commented.is_in(&text)? { change_lines(old, &self.line, strip)? } else { old.to_vec() };
        if new == old && !self.live.is_in(&text)? {
            return Err(Stop::Failed(format!("`{}` finds no line in `{}`", self.regex, self.edit.path)));
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, content_after, declare, file};

    fn uncomment(arguments: &str) -> Box<dyn Resource> {
        declare(&format!("/etc/x:\n  file.uncomment:\n{arguments}"), &Tree::default())
    }

    #[test]
    fn brings_the_lines_into_force() {
        let rows = [
            ("    - regex: ^a\n", "#a 1\n# a 2\n#b\n", Some("a 1\n a 2\n#b\n")),
            ("    - regex: a\n", "  a\n# b\n", None),
            ("    - regex: a\n    - char: ;\n", ";a\n", Some("a\n")),
            ("    - regex: a$\n", "#a\n#ab\n", Some("a\n#ab\n")),
        ];
        for (arguments, old, expected) in rows {
            let after = content_after(&*uncomment(arguments), "/etc/x", Some(old));
            assert_eq!(after.as_deref(), expected, "{arguments} on {old:?}");
        }
    }

    #[test]
    fn says_when_there_is_no_such_line() {
        let mut facts = Facts::default();
        file(&mut facts, "/etc/x", Some("b\n"), 0o644);
        let none = uncomment("    - regex: ^c\n").diff(&facts);
        assert_eq!(none, Err(Stop::Failed("`^c` finds no line in `/etc/x`".into())));
    }
}
