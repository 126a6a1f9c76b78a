//! `file.append`: a file has this text, or gets it at its end
//!
//! ```yaml
//! /etc/security/limits.conf:
//!   file.append:
//!     - text: '*  soft  nofile  65536'
//! ```
//!
//! A text counts as there if it stands on lines of its own anywhere in the file, however its words are spaced. A missing
//! file is made.

use kstate_core::{
    Attributes, Content, Facts, Parents, Place, Problem, Question, Resource, Step, Stop, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::contents::lines;
use super::pattern::{Flags, Pattern, escape, text_of};
use super::whitespace::loosely;
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
    /// `False`: the text must be there as it is written. Default: `True`.
    #[serde(default = "yes")]
    ignore_whitespace: bool,
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

/// Texts that a file shall have, each with the pattern that finds it.
#[derive(Debug)]
pub(super) struct Wanted(Vec<(String, Pattern)>);

#[derive(Debug)]
pub(crate) struct Append {
    edit: Edit,
    wanted: Wanted,
}

impl State for Append {
    const NAME: &'static str = "file.append";
    const SOURCE: &'static str = include_str!("append.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let variables = variables(arguments.defaults.as_ref(), arguments.context.as_ref());
        let template = arguments.template.as_deref().or(Some("jinja"));
        let urls: Vec<String> = arguments.source.into_iter().chain(arguments.sources).collect();
        let texts =
            texts(cx, arguments.text, &urls, |url, bytes| render(cx, url, bytes, template, &variables));
        let wanted = Wanted::new(cx, texts.map_err(|problem| vec![problem])?, arguments.ignore_whitespace);
        let parents =
            if arguments.makedirs { Parents::Make(Attributes::default()) } else { Parents::MustExist };
        Ok(Append {
            edit: Edit { path, parents, backup: None, show_changes: arguments.show_changes },
            wanted: wanted.map_err(|problem| vec![problem])?,
        })
    }
}

/// The texts that are declared: of the sources if there are any, else those that are written out.
pub(super) fn texts(
    cx: &Context<'_>,
    text: Option<Texts>,
    urls: &[String],
    rendered: impl Fn(&str, Vec<u8>) -> Result<Vec<u8>, Problem>,
) -> Result<Vec<String>, Problem> {
    if urls.is_empty() {
        let Texts(texts) = text.ok_or_else(|| cx.error("text", "there is neither a text nor a source"))?;
        return Ok(texts);
    }
    let mut texts = Vec::new();
    for url in urls {
        let bytes = rendered(url, cx.read("source", url)?)?;
        let text =
            String::from_utf8(bytes).map_err(|_| cx.error("source", format!("`{url}` is not UTF-8 text")))?;
        texts.push(text);
    }
    Ok(texts)
}

impl Wanted {
    pub(super) fn new(
        cx: &Context<'_>,
        texts: Vec<String>,
        ignore_whitespace: bool,
    ) -> Result<Self, Problem> {
        let pattern = |text: &str| if ignore_whitespace { loosely(text) } else { escape(text) };
        let wanted = texts.into_iter().map(|text| match Pattern::new(&pattern(&text), Flags::MULTILINE) {
            Ok(pattern) => Ok((text, pattern)),
            Err(error) => Err(cx.error("text", error)),
        });
        wanted.collect::<Result<_, _>>().map(Wanted)
    }

    /// All lines of the texts.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(text, _)| lines(text))
    }

    /// The lines of the texts that `content` lacks.
    pub(super) fn lacking(&self, content: &[u8]) -> Result<Vec<&str>, Stop> {
        let content = text_of(content);
        let mut found = Vec::new();
        for (text, pattern) in &self.0 {
            if !pattern.is_in(&content)? {
                found.extend(lines(text));
            }
        }
        Ok(found)
    }
}

impl Resource for Append {
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
        self.edit.text(self.wanted.lines())
    }
}

impl Append {
    fn edited(&self, old: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut new = old.to_vec();
        for line in self.wanted.lacking(old)? {
            if new.last().is_some_and(|last| *last != b'\n') {
                new.push(b'\n');
            }
            new.extend(line.as_bytes());
            new.push(b'\n');
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, content_after, declare, declare_error, file, settles};

    fn after(arguments: &str, old: Option<&str>) -> Option<String> {
        let text = format!("/etc/x:\n  file.append:\n{arguments}");
        content_after(&*declare(&text, &Tree::default()), "/etc/x", old)
    }

    #[test]
    fn appends_what_is_not_there() {
        let rows = [
            ("    - text: b\n", Some("a"), Some("a\nb\n")),
            ("    - text: b\n", Some("a\n b \n"), None),
            ("    - text: b\n", None, Some("b\n")),
            ("    - text: [a, b, 3]\n", Some("b\n"), Some("b\na\n3\n")),
            ("    - text: |\n        a  b\n        c\n", Some("a b\nc\n"), None),
            ("    - text: a  b\n    - ignore_whitespace: False\n", Some("a b\n"), Some("a b\na  b\n")),
            ("    - text: a (b\n    - ignore_whitespace: False\n", Some("a (b\n"), None),
        ];
        for (arguments, old, expected) in rows {
            assert_eq!(after(arguments, old).as_deref(), expected, "{arguments}");
        }
    }

    #[test]
    fn settles_after_appending_a_rendered_source() {
        let tree = Tree { files: [("salt://t", b"hello {{ who }}\n".as_slice())].into(), ..Tree::default() };
        let text = "/etc/x:\n  file.append:\n    - source: salt://t\n    - context: {who: ann}\n    - makedirs: True\n";
        let mut facts = Facts::default();
        file(&mut facts, "/etc/x", None, 0);
        let append = declare(text, &tree);
        let steps = append.diff(&facts).unwrap();
        assert!(steps[0].changes[0].diff.as_deref().unwrap().contains("+hello ann\n"));
        settles(&*append, &mut facts);
    }

    #[test]
    fn needs_a_text_or_a_source() {
        let error = declare_error("/etc/x:\n  file.append: []\n", &Tree::default());
        assert!(error.ends_with("there is neither a text nor a source"), "{error}");
    }
}
