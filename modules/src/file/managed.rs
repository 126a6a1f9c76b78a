//! `file.managed`: a file with this content, owner and mode
//!
//! ```yaml
//! /etc/motd:
//!   file.managed:
//!     - contents: Kingfisher Process
//!     - user: root
//!     - group: root
//!     - mode: '0644'
//! ```
//!
//! The file is written beside its target with its mode and owner set, flushed, and renamed: a reader sees the old file
//! or the new one.

use kstate_core::question::PathInfo;
use kstate_core::{
    Attributes, Change, Claim, Content, Facts, Operation, Parents, Place, Problem, Question, Resource, Step,
    Stop, Value, Write, digest,
};
use serde::Deserialize;

use super::{absolute, attribute_changes, contents, render, variables};
use crate::kinds::{Mode, Texts, yes};
use crate::{Context, State, text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
    /// Where the content comes from: `salt://path`. Of a list, the first that exists.
    source: Option<Texts>,
    /// The content itself: text, a number or a boolean, or a list of them, each on a line of its own.
    contents: Option<Value>,
    /// A colon-separated pillar key that holds the content.
    contents_pillar: Option<Texts>,
    /// A colon-separated grain that holds the content, or a list of grains.
    contents_grains: Option<Texts>,
    /// `False`: the content has no newline at its end. Default: `True`.
    #[serde(default = "yes")]
    contents_newline: bool,
    /// Renders the content: `jinja`.
    template: Option<String>,
    /// Variables of the template.
    context: Option<Value>,
    /// Variables of the template where `context` has none.
    defaults: Option<Value>,
    /// The owner. Default: it stays, or is the user that kstate works as.
    user: Option<String>,
    /// The group. Default: it stays, or is the owner's.
    group: Option<String>,
    /// Octal permission bits, or `keep`: those of the source file. Default: they stay, or are 0644.
    mode: Option<String>,
    /// Makes missing directories above it. Default: `False`.
    #[serde(default)]
    makedirs: bool,
    /// Permission bits of directories made by `makedirs`.
    dir_mode: Option<Mode>,
    /// `False`: existing content stays as it is. Default: `True`.
    #[serde(default = "yes")]
    replace: bool,
    /// `False`: a missing file is not made. Default: `True`.
    #[serde(default = "yes")]
    create: bool,
    /// `False`: the difference of content is told, but not shown. Default: `True`.
    #[serde(default = "yes")]
    show_changes: bool,
    /// A command that must accept the new file, whose path is appended, before it replaces the old one.
    check_cmd: Option<String>,
    /// `False`: a link at the path is replaced by the file. Default: `True`, what the link leads to is written.
    #[serde(default = "yes")]
    follow_symlinks: bool,
    /// Accepts empty content from pillar. Default: `True`.
    #[serde(default = "yes")]
    allow_empty: bool,
    /// Has no meaning here: the source is part of the tree.
    #[expect(dead_code, reason = "accepted because trees have it")]
    keep_source: Option<bool>,
    /// Has no meaning here: a `salt://` file needs no hash.
    #[expect(dead_code, reason = "accepted because trees have it")]
    source_hash: Option<String>,
    /// Has no meaning here, as for `source_hash`.
    #[expect(dead_code, reason = "accepted because trees have it")]
    skip_verify: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Managed {
    path: String,
    /// `None`: only owner and mode are declared.
    content: Option<Vec<u8>>,
    attributes: Attributes,
    parents: Parents,
    replace: bool,
    create: bool,
    show_changes: bool,
    check: Option<String>,
    follow: bool,
}

const UNSIGNED: &str = "signatures of sources are not checked";

impl State for Managed {
    const NAME: &'static str = "file.managed";
    const SOURCE: &'static str = include_str!("managed.rs");
    const OWN: &'static [&'static str] = &["check_cmd"];
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("signature", UNSIGNED),
        ("source_hash_sig", UNSIGNED),
        ("signed_by_any", UNSIGNED),
        ("signed_by_all", UNSIGNED),
        ("keyring", UNSIGNED),
        ("gnupghome", UNSIGNED),
        ("attrs", "extended attributes are not managed"),
        (
            "backup",
            "there is no minion to keep backups; the change is shown by `kstate diff` before it is made",
        ),
        ("contents_delimiter", "give the pillar key with colons"),
        ("encoding", "files are written as UTF-8"),
        ("encoding_errors", "files are written as UTF-8"),
        ("selinux", "contexts are not managed"),
        ("source_hash_name", "only `salt://` sources are read"),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        if arguments.name.ends_with('/') {
            let message = format!("`{}` ends with a slash, as the path of a directory does", arguments.name);
            return Err(vec![cx.error("name", message).hint("`file.directory` manages directories")]);
        }
        let mut problems = Vec::new();
        let content = content(&arguments, cx).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let mode = match arguments.mode.as_deref() {
            None => None,
            Some("keep") => match kept_mode(&arguments, cx) {
                Ok(mode) => Some(mode),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            },
            Some(_) => match cx.chunk.argument("mode").map(kstate_core::arguments::from_node::<Mode>) {
                Some(Ok(Mode(mode))) => Some(mode),
                Some(Err(error)) => {
                    problems.push(cx.error("mode", error));
                    None
                }
                None => None,
            },
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let owner = |mode| Attributes { mode, user: arguments.user.clone(), group: arguments.group.clone() };
        Ok(Managed {
            path,
            content,
            attributes: owner(mode),
            parents: if arguments.makedirs {
                // Salt: directories get the file's mode, and may be entered by whoever may do anything with it.
                let enterable = |mode: u32| {
                    [0o100, 0o010, 0o001].into_iter().filter(|x| mode & (x * 7) != 0).sum::<u32>()
                };
                let derived = mode.map(|mode| (mode & 0o777) | enterable(mode));
                Parents::Make(owner(arguments.dir_mode.map(|Mode(mode)| mode).or(derived)))
            } else {
                Parents::MustExist
            },
            replace: arguments.replace,
            create: arguments.create,
            show_changes: arguments.show_changes,
            check: arguments.check_cmd.clone(),
            follow: arguments.follow_symlinks,
        })
    }
}

/// The bytes that the file shall hold.
fn content(arguments: &Arguments, cx: &Context<'_>) -> Result<Option<Vec<u8>>, Problem> {
    let ways = [
        ("source", arguments.source.is_some()),
        ("contents", arguments.contents.is_some()),
        ("contents_pillar", arguments.contents_pillar.is_some()),
        ("contents_grains", arguments.contents_grains.is_some()),
    ];
    let mut given = ways.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let problem = cx.error(second, format!("`{first}` gives the content already"));
        return Err(problem.hint("keep one of them"));
    }
    let (origin, bytes) = if let Some(Texts(urls)) = &arguments.source {
        first_source(urls, cx)?
    } else {
        match inline(arguments, cx)? {
            Some(bytes) => (arguments.name.clone(), bytes),
            None => return Ok(None),
        }
    };
    let variables = variables(arguments.defaults.as_ref(), arguments.context.as_ref());
    render(cx, &origin, bytes, arguments.template.as_deref(), &variables).map(Some)
}

/// Returns the permission bits of the source, for `mode: keep`.
fn kept_mode(arguments: &Arguments, cx: &Context<'_>) -> Result<u32, Problem> {
    let Some(Texts(urls)) = &arguments.source else {
        let problem = cx.error("mode", "`keep` takes the mode of the source, and there is none");
        return Err(problem.hint("write octal digits, such as '0644'"));
    };
    let (url, _) = first_source(urls, cx)?;
    cx.sources.mode(&url).map_err(|error| cx.source_error("source", &error))
}

fn first_source(urls: &[String], cx: &Context<'_>) -> Result<(String, Vec<u8>), Problem> {
    let mut last = cx.error("source", "the list is empty");
    for url in urls {
        match cx.read("source", url) {
            Ok(bytes) => return Ok((url.clone(), bytes)),
            Err(problem) => last = problem,
        }
    }
    Err(last)
}

/// Returns the content that is written out or stands in pillar or grains, and the argument that gives it.
fn inline(arguments: &Arguments, cx: &Context<'_>) -> Result<Option<Vec<u8>>, Problem> {
    let found =
        |argument: &'static str, Texts(keys): &Texts, what: &str, get: &dyn Fn(&str) -> Option<Value>| {
            let mut values = Vec::new();
            for key in keys {
                let value = get(key).ok_or_else(|| cx.error(argument, format!("{what} `{key}`")))?;
                values.push(value);
            }
            Ok(match <[Value; 1]>::try_from(values) {
                Ok([value]) => value,
                Err(values) => values.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into(),
            })
        };
    let (argument, value) = if let Some(value) = &arguments.contents {
        ("contents", value.clone())
    } else if let Some(keys) = &arguments.contents_pillar {
        let get = |key: &str| cx.sources.pillar(key);
        ("contents_pillar", found("contents_pillar", keys, "the pillar has no", &get)?)
    } else if let Some(keys) = &arguments.contents_grains {
        let get = |key: &str| cx.sources.grain(key);
        ("contents_grains", found("contents_grains", keys, "the host has no grain", &get)?)
    } else {
        return Ok(None);
    };
    let bytes =
        contents::bytes(&value, arguments.contents_newline).map_err(|reason| cx.error(argument, reason))?;
    if bytes.is_empty() && !arguments.allow_empty {
        return Err(cx.error("allow_empty", "the content is empty"));
    }
    Ok(Some(bytes))
}

impl Resource for Managed {
    fn questions(&self) -> Vec<Question> {
        let mut questions = vec![Question::Path(self.path.clone())];
        if self.content.is_some() && self.replace {
            questions.push(Question::Digest(self.path.clone()));
        }
        questions
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let there = facts.path(&self.path)?;
        let there = if self.follow { there.and_then(PathInfo::followed) } else { there };
        if there.is_none() && !self.create {
            return Ok(Vec::new());
        }
        if let Some(info) = there.filter(|info| !info.is_file()) {
            return Err(Stop::Failed(format!("a {} stands at `{}`", info.kind_name(), self.path)));
        }
        let mut changes = attribute_changes(&self.attributes, there);
        match self.content_change(facts, there)? {
            Some((change, bytes)) => {
                changes.insert(0, change);
                Ok(vec![Step::new(changes, Operation::Write(self.write(bytes)))])
            }
            None if changes.is_empty() => Ok(Vec::new()),
            None => {
                let (path, attributes) = (self.path.clone(), self.attributes.clone());
                Ok(vec![Step::new(changes, Operation::Attributes { path, attributes })])
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let content = self.content.iter().filter(|_| self.replace);
        content.map(|content| Claim::new(&*self.path, digest(content))).collect()
    }

    fn contents(&self) -> Vec<Content> {
        let content = |bytes: &Vec<u8>| {
            Content::new("content", self.path.as_str(), bytes.as_slice()).shown(self.show_changes)
        };
        self.content.iter().map(content).collect()
    }
}

impl Managed {
    /// One of many files that a state puts in place.
    pub(super) fn plain(
        path: String,
        bytes: Vec<u8>,
        attributes: Attributes,
        parents: Parents,
        replace: bool,
    ) -> Self {
        Managed {
            path,
            content: Some(bytes),
            attributes,
            parents,
            replace,
            create: true,
            show_changes: true,
            check: None,
            follow: true,
        }
    }

    /// The permission bits that are declared.
    pub(super) fn mode(&self) -> Option<u32> {
        self.attributes.mode
    }

    /// What the content changes from and to. `None`: it is right, or not ours to say.
    fn content_change(
        &self,
        facts: &Facts,
        there: Option<&PathInfo>,
    ) -> Result<Option<(Change, Vec<u8>)>, Stop> {
        let Some(info) = there else {
            let new = self.content.clone().unwrap_or_default();
            return Ok(Some((self.told(None, &new), new)));
        };
        let Some(new) = self.content.as_ref().filter(|_| self.replace) else { return Ok(None) };
        if facts.digest(&self.path)? == Some(&digest(new)) && info.is_file() {
            return Ok(None);
        }
        let shown = self.show_changes && info.size <= text::SHOWN as u64 && new.len() <= text::SHOWN;
        let old = if shown { facts.content(&self.path)?.map(Vec::as_slice) } else { None };
        let change = if shown {
            self.told(old, new)
        } else {
            Change::new("content", format!("{} bytes", info.size), format!("{} bytes", new.len()))
        };
        Ok(Some((change, new.clone())))
    }

    fn told(&self, old: Option<&[u8]>, new: &[u8]) -> Change {
        let change = text::change("content", &self.path, old, new);
        if self.show_changes { change } else { Change { diff: None, ..change } }
    }

    fn write(&self, bytes: Vec<u8>) -> Write {
        Write {
            path: self.path.clone(),
            bytes,
            attributes: self.attributes.clone(),
            parents: self.parents.clone(),
            check: self.check.clone(),
            backup: None,
            follow: self.follow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, file, settles};

    fn facts(content: Option<&str>, mode: u32) -> Facts {
        let mut facts = Facts::default();
        file(&mut facts, "/etc/motd", content, mode);
        facts
    }

    const MOTD: &str = "/etc/motd:\n  file.managed:\n    - contents: hello\n    - mode: 644\n";

    #[test]
    fn a_file_as_declared_needs_nothing() {
        let managed = declare(MOTD, &Tree::default());
        assert_eq!(managed.diff(&facts(Some("hello\n"), 0o644)), Ok(Vec::new()));
    }

    #[test]
    fn shows_the_lines_that_differ_and_settles() {
        let managed = declare(MOTD, &Tree::default());
        let mut facts = facts(Some("bye\n"), 0o644);
        let steps = managed.diff(&facts).unwrap();
        let diff = steps[0].changes[0].diff.as_deref().unwrap();
        assert!(diff.contains("-bye\n+hello\n"), "{diff}");
        settles(&*managed, &mut facts);
    }

    #[test]
    fn a_mode_alone_does_not_rewrite_the_file() {
        let managed = declare(MOTD, &Tree::default());
        let mut facts = facts(Some("hello\n"), 0o600);
        let steps = managed.diff(&facts).unwrap();
        assert!(matches!(steps[0].operation, Operation::Attributes { .. }));
        assert_eq!(steps[0].changes[0].to_string(), "mode: 0600 -> 0644");
        settles(&*managed, &mut facts);
    }

    #[test]
    fn a_missing_file_is_made() {
        settles(&*declare(MOTD, &Tree::default()), &mut facts(None, 0));
    }

    #[test]
    fn an_unsupported_argument_says_so() {
        let text = "/etc/motd:\n  file.managed:\n    - contents: x\n    - attrs: i\n";
        assert_eq!(
            declare_error(text, &Tree::default()),
            "a.sls:4: file.managed: `attrs` is not supported: extended attributes are not managed"
        );
    }

    #[test]
    fn a_missing_source_is_named_with_its_line() {
        let text = "/etc/motd:\n  file.managed:\n    - source: salt://nope\n";
        assert!(
            declare_error(text, &Tree::default())
                .starts_with("a.sls:3: file.managed: `source`: `salt://nope` does not exist")
        );
    }
}
