//! `file.prepend`: a file has this text, or gets it at its beginning
//!
//! ```yaml
//! /etc/motd:
//!   file.prepend:
//!     - text: This host is managed by kstate.
//! ```
//!
//! A text counts as there as it does for `file.append`. A missing file is made.

use kstate_core::{
    Attributes, Content, Facts, Parents, Place, Problem, Question, Resource, Step, Stop, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::append::{Wanted, texts};
use super::contents::lines;
use super::{Edit, absolute, render, variables};
use crate::kinds::{Texts, yes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
    /// The text: one, or a list of texts that are looked for one by one.
    text: Option<Texts>,
    /// Where the text comes from instead: `salt://path`.
    source: Option<String>,
    /// Likewise, several of them.
    #[serde(default)]
    sources: Vec<String>,
    /// Renders the sources. Default: `jinja`.
    template: Option<String>,
    /// Variables of the template.
    context: Option<Value>,
    /// Variables of the template where `context` has none.
    defaults: Option<Value>,
    /// Makes missing directories above the file. Default: `False`.
    #[serde(default)]
    makedirs: bool,
    /// The text must stand at the very beginning, line by line. Default: `False`.
    #[serde(default)]
    header: bool,
    /// `False`: the difference is told, but not shown. Default: `True`.
    #[serde(default = "yes")]
    show_changes: bool,
    /// Has no meaning here: a `salt://` file needs no hash.
    #[expect(dead_code, reason = "accepted because trees have it")]
    source_hash: Option<IgnoredAny>,
    /// Likewise.
    #[expect(dead_code, reason = "accepted because trees have it")]
    source_hashes: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Prepend {
    edit: Edit,
    wanted: Looked,
}

#[derive(Debug)]
enum Looked {
    Anywhere(Wanted),
    /// These lines are the first.
    First(Vec<String>),
}

impl State for Prepend {
    const NAME: &'static str = "file.prepend";
    const SOURCE: &'static str = include_str!("prepend.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let variables = variables(arguments.defaults.as_ref(), arguments.context.as_ref());
        let template = arguments.template.as_deref().or(Some("jinja"));
        let urls: Vec<String> = arguments.source.into_iter().chain(arguments.sources).collect();
        let texts =
            texts(cx, arguments.text, &urls, |url, bytes| render(cx, url, bytes, template, &variables))
                .map_err(|problem| vec![problem])?;
        let wanted = if arguments.header {
            Looked::First(texts.iter().flat_map(|text| lines(text)).map(str::to_owned).collect())
        } else {
            Looked::Anywhere(Wanted::new(cx, texts, true).map_err(|problem| vec![problem])?)
        };
        let parents =
            if arguments.makedirs { Parents::Make(Attributes::default()) } else { Parents::MustExist };
        Ok(Prepend {
            edit: Edit { path, parents, backup: None, show_changes: arguments.show_changes },
            wanted,
        })
    }
}

impl Resource for Prepend {
    fn questions(&self) -> Vec<Question> {
        self.edit.questions()
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.edit.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.edit.make(self.edit.read(facts)?, |old| self.edited(old.unwrap_or_default()))
    }

    fn contents(&self) -> Vec<Content> {
        match &self.wanted {
            Looked::Anywhere(wanted) => self.edit.text(wanted.lines()),
            Looked::First(lines) => self.edit.text(lines.iter().map(String::as_str)),
        }
    }
}

impl Prepend {
    fn edited(&self, old: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut first = match &self.wanted {
            Looked::Anywhere(wanted) => wanted.lacking(old)?,
            Looked::First(lines) => {
                let mut there = old.split(|byte| *byte == b'\n');
                let is_first = lines.iter().all(|line| there.next() == Some(line.as_bytes()));
                if is_first { Vec::new() } else { lines.iter().map(String::as_str).collect() }
            }
        };
        first.push("");
        let first = first.join("\n");
        Ok([first.as_bytes(), old].concat())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Tree, content_after, declare};

    #[test]
    fn prepends_what_is_not_there() {
        let rows = [
            ("    - text: b\n", Some("a"), Some("b\na")),
            ("    - text: b\n", Some("a\nb\n"), None),
            ("    - text: b\n    - header: True\n", Some("a\nb\n"), Some("b\na\nb\n")),
            ("    - text: [b, c]\n    - header: True\n", Some("b\nc\nd"), None),
            ("    - text: b\n", None, Some("b\n")),
        ];
        for (arguments, old, expected) in rows {
            let prepend = declare(&format!("/etc/x:\n  file.prepend:\n{arguments}"), &Tree::default());
            assert_eq!(content_after(&*prepend, "/etc/x", old).as_deref(), expected, "{arguments}");
        }
    }
}
