//! `file.recurse`: a folder of the tree, with all that is below it, stands at this path
//!
//! ```yaml
//! /var/www/includes:
//!   file.recurse:
//!     - source: salt://ocds-docs/includes
//!     - user: ocds-docs
//!     - file_mode: '0644'
//!     - dir_mode: '0755'
//!     - clean: True
//! ```

use std::collections::BTreeMap;

use kstate_core::question::PathInfo;
use kstate_core::{
    Attributes, Change, Content, Facts, Parents, Place, Problem, Question, Resource, SourceEntry, SourceKind,
    Step, Stop, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{
    Choice, Clean, Directory, Force, Managed, OWNER, Symlink, WINDOWS, absolute, entries, render, together,
    variables,
};
use crate::kinds::{Mode, Texts, yes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
    /// The folder: `salt://path`. Of a list, the first that exists.
    source: Texts,
    /// Takes the files of all folders of the list, those of earlier ones before those of later ones. Default: `False`.
    #[serde(default)]
    merge: bool,
    /// Removes what else is below the path, except what the states manage that it requires. Default: `False`.
    #[serde(default)]
    clean: bool,
    /// The owner of files, links and directories. Default: it stays, or is the user that kstate works as.
    user: Option<String>,
    /// Their group. Default: it stays, or is the owner's.
    group: Option<String>,
    /// Octal permission bits of directories. Default: they stay, or are 0755.
    dir_mode: Option<Mode>,
    /// Octal permission bits of files, or `keep`: those of the source. Default: they stay, or are 0644.
    file_mode: Option<String>,
    /// Permission bits of directories that are made for links; a link has none.
    sym_mode: Option<Mode>,
    /// Renders each file: `jinja`.
    template: Option<String>,
    /// Variables of the template.
    context: Option<Value>,
    /// Variables of the template where `context` has none.
    defaults: Option<Value>,
    /// `False`: the content of files that are there stays as it is. Default: `True`.
    #[serde(default = "yes")]
    replace: bool,
    /// Makes empty directories as well. Default: `False`.
    #[serde(default)]
    include_empty: bool,
    /// Globs, or regular expressions behind `E@`, of relative paths to take. Default: all.
    include_pat: Option<Texts>,
    /// Likewise, of those to leave out, which `clean` does not remove either.
    exclude_pat: Option<Texts>,
    /// How many levels below the folder to take. Default: all.
    maxdepth: Option<usize>,
    /// Links of the source become links. Default: `False`, they become what they lead to.
    #[serde(default)]
    keep_symlinks: bool,
    /// Such a link removes what else stands in its place. Default: `False`.
    #[serde(default)]
    force_symlinks: bool,
    /// Has no meaning here: the source is part of the tree.
    #[expect(dead_code, reason = "accepted because trees have it")]
    keep_source: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Recurse {
    path: String,
    directories: Vec<(String, Directory)>,
    files: Vec<(String, Managed)>,
    links: Vec<(String, Symlink)>,
    clean: Option<Clean>,
    file_mode: FileMode,
}

impl State for Recurse {
    const NAME: &'static str = "file.recurse";
    const SOURCE: &'static str = include_str!("recurse.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        (
            "backup",
            "there is no minion to keep backups; the change is shown by `kstate diff` before it is made",
        ),
        ("mode", "give `file_mode` and `dir_mode`"),
        ("owner", OWNER),
        ("win_deny_perms", WINDOWS),
        ("win_inheritance", WINDOWS),
        ("win_owner", WINDOWS),
        ("win_perms", WINDOWS),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let file_mode = match arguments.file_mode.as_deref() {
            None => FileMode::Stays,
            Some("keep") => FileMode::Keep,
            Some(_) => match cx.chunk.argument("file_mode").map(kstate_core::arguments::from_node::<Mode>) {
                Some(Ok(Mode(mode))) => FileMode::Is(mode),
                Some(Err(error)) => return Err(vec![cx.error("file_mode", error)]),
                None => FileMode::Stays,
            },
        };
        let one = |problem: Problem| vec![problem];
        let patterns = |given: &Option<Texts>| given.clone().unwrap_or_default().0;
        let exclude = |cx| Choice::new(cx, "exclude_pat", &patterns(&arguments.exclude_pat));
        let mut found = Found {
            include: Choice::new(cx, "include_pat", &patterns(&arguments.include_pat)).map_err(one)?,
            exclude: exclude(cx).map_err(one)?,
            max_depth: arguments.maxdepth.unwrap_or(usize::MAX),
            keep_links: arguments.keep_symlinks,
            include_empty: arguments.include_empty,
            all: BTreeMap::new(),
        };
        found.read(cx, &arguments.source.0, arguments.merge).map_err(one)?;
        let (user, group) = (arguments.user.clone(), arguments.group.clone());
        let owned = |mode: Option<u32>| Attributes { mode, user: user.clone(), group: group.clone() };
        let above = owned(arguments.dir_mode.map(|Mode(mode)| mode));
        let for_links = owned(arguments.sym_mode.or(arguments.dir_mode).map(|Mode(mode)| mode));
        let variables = variables(arguments.defaults.as_ref(), arguments.context.as_ref());
        let mut recurse = Recurse {
            clean: if arguments.clean { Some(Clean::new(exclude(cx).map_err(one)?)) } else { None },
            directories: vec![(String::new(), Directory::plain(path.clone(), above.clone()))],
            files: Vec::new(),
            links: Vec::new(),
            file_mode,
            path,
        };
        let mut problems = Vec::new();
        for (relative, taken) in found.all {
            let path = format!("{}/{relative}", recurse.path.trim_end_matches('/'));
            match taken {
                Taken::Directory => {
                    let directory = Directory::below_folder(path, above.clone());
                    recurse.directories.push((relative, directory));
                }
                Taken::Link { target } => {
                    let force = Force::by("force_symlinks", arguments.force_symlinks);
                    let link = Symlink::plain(path, target, for_links.clone(), force);
                    recurse.links.push((relative, link));
                }
                Taken::File { url, bytes, mode: kept } => {
                    let mode = match file_mode {
                        FileMode::Stays => None,
                        FileMode::Is(mode) => Some(mode),
                        FileMode::Keep => Some(kept),
                    };
                    match render(cx, &url, bytes, arguments.template.as_deref(), &variables) {
                        Ok(bytes) => {
                            let parents = Parents::Make(above.clone());
                            let managed =
                                Managed::plain(path, bytes, owned(mode), parents, arguments.replace);
                            recurse.files.push((relative, managed));
                        }
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
        if problems.is_empty() { Ok(recurse) } else { Err(problems) }
    }
}

#[derive(Clone, Copy, Debug)]
enum FileMode {
    Stays,
    Keep,
    Is(u32),
}

#[derive(Debug)]
enum Taken {
    Directory,
    File { url: String, bytes: Vec<u8>, mode: u32 },
    Link { target: String },
}

/// What is taken from the sources, by its relative path.
struct Found {
    include: Choice,
    exclude: Choice,
    max_depth: usize,
    keep_links: bool,
    include_empty: bool,
    all: BTreeMap<String, Taken>,
}

impl Found {
    fn read(&mut self, cx: &Context<'_>, urls: &[String], merge: bool) -> Result<(), Problem> {
        let mut any = false;
        for url in urls {
            let url = url.trim_end_matches('/');
            let Some(entries) = entries(cx, url)? else { continue };
            any = true;
            self.take(cx, url, "", entries)?;
            if !merge {
                break;
            }
        }
        match urls.first() {
            _ if any => Ok(()),
            Some(first) => match cx.sources.list(first) {
                Ok(_) => Ok(()),
                Err(error) => Err(cx.source_error("source", &error)),
            },
            None => Err(cx.error("source", "the list is empty")),
        }
    }

    /// Entries of the folder `url`, which stand below `prefix` of the whole.
    fn take(
        &mut self,
        cx: &Context<'_>,
        url: &str,
        prefix: &str,
        entries: Vec<SourceEntry>,
    ) -> Result<(), Problem> {
        for entry in entries {
            let url = format!("{url}/{}", entry.path);
            let relative = format!("{prefix}{}", entry.path);
            match entry.kind {
                SourceKind::Directory => {
                    if self.include_empty && self.takes(&relative)? && !self.is_occupied(&relative) {
                        self.put(relative, Taken::Directory);
                    }
                }
                SourceKind::File { mode } => self.file(cx, relative, url, mode)?,
                SourceKind::Symlink { target } if self.keep_links => {
                    if self.takes(&relative)? && !self.is_occupied(&relative) {
                        self.put_below(relative, Taken::Link { target });
                    }
                }
                SourceKind::Symlink { .. } => match self::entries(cx, &url) {
                    Ok(Some(below)) if !below.is_empty() => {
                        self.take(cx, &url, &format!("{relative}/"), below)?;
                    }
                    _ => {
                        let mode = cx.sources.mode(&url).unwrap_or(0o644);
                        self.file(cx, relative, url, mode)?;
                    }
                },
            }
        }
        Ok(())
    }

    fn file(&mut self, cx: &Context<'_>, relative: String, url: String, mode: u32) -> Result<(), Problem> {
        if self.takes(&relative)? && !self.is_occupied(&relative) {
            let bytes = cx.read("source", &url)?;
            self.put_below(relative, Taken::File { url, bytes, mode });
        }
        Ok(())
    }

    /// With the directory that it stands in.
    fn put_below(&mut self, relative: String, taken: Taken) {
        if let Some((directory, _)) = relative.rsplit_once('/') {
            self.put(directory.to_owned(), Taken::Directory);
        }
        self.put(relative, taken);
    }

    /// Salt: with `merge`, an earlier source has this path, or a file or link where it needs a directory.
    fn is_occupied(&self, relative: &str) -> bool {
        let mut above = relative.match_indices('/').map(|(at, _)| &relative[..at]);
        let is_directory = |path: &str| matches!(self.all.get(path), Some(Taken::Directory) | None);
        let has_below = || self.all.keys().any(|path| kstate_core::touch::is_below(path, relative));
        above.any(|above| !is_directory(above)) || has_below()
    }

    fn put(&mut self, relative: String, taken: Taken) {
        self.all.entry(relative).or_insert(taken);
    }

    fn takes(&self, relative: &str) -> Result<bool, Problem> {
        let depth = relative.matches('/').count();
        let chosen = |choice: &Choice| {
            choice.has(relative).map_err(|stop| Problem::error(format!("file.recurse: {stop}")))
        };
        Ok(depth <= self.max_depth
            && (self.include.is_empty() || chosen(&self.include)?)
            && !chosen(&self.exclude)?)
    }
}

impl Recurse {
    fn parts(&self) -> impl Iterator<Item = (&str, &dyn Resource)> {
        let directories = self.directories.iter().map(|(path, part)| (path.as_str(), part as &dyn Resource));
        let files = self.files.iter().map(|(path, part)| (path.as_str(), part as &dyn Resource));
        let links = self.links.iter().map(|(path, part)| (path.as_str(), part as &dyn Resource));
        directories.chain(files).chain(links)
    }

    fn below(&self, relative: &str) -> String {
        format!("{}/{relative}", self.path.trim_end_matches('/'))
    }

    /// Salt: with `clean`, what is of another kind than its source makes way.
    fn in_the_way(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let Some(_) = &self.clean else { return Ok(Vec::new()) };
        let mut steps = Vec::new();
        let is_wrong = |there: &PathInfo, directory: bool| there.is_directory() != directory;
        let directories = self.directories.iter().map(|(relative, _)| (relative, true));
        let files = self.files.iter().map(|(relative, _)| (relative, false));
        for (relative, directory) in directories.chain(files).filter(|(relative, _)| !relative.is_empty()) {
            let path = self.below(relative);
            if let Some(there) = facts.path(&path)?.filter(|there| is_wrong(there, directory)) {
                let change = Change::new(there.kind_name(), path.as_str(), Value::Null);
                steps.push(Step::new([change], kstate_core::Operation::Remove { path }));
            }
        }
        Ok(steps)
    }
}

impl Resource for Recurse {
    fn questions(&self) -> Vec<Question> {
        let mut questions: Vec<Question> = self.parts().flat_map(|(_, part)| part.questions()).collect();
        if self.clean.is_some() {
            questions.push(Question::Tree(self.path.clone()));
        }
        questions
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let mut steps = self.in_the_way(facts)?;
        if !steps.is_empty() {
            // What comes in their place is told when they are gone, by the same rules.
            let mut gone = Facts::default();
            let contents = self.files.iter().map(|(relative, _)| Question::Content(self.below(relative)));
            for question in self.questions().into_iter().chain(contents) {
                if facts.knows(&question) {
                    gone.learn(question.clone(), Ok(facts.get(&question)?.clone()));
                }
            }
            for step in &steps {
                gone.predict(&step.operation, "itself");
            }
            steps.extend(self.rest(&gone)?);
            return Ok(steps);
        }
        self.rest(facts)
    }

    fn places(&self) -> Vec<Place> {
        self.parts().map(|(relative, _)| Place::bare(self.below(relative))).collect()
    }

    fn cleans(&self) -> bool {
        self.clean.is_some()
    }

    fn keep(&mut self, places: Vec<Place>) {
        if let Some(clean) = &mut self.clean {
            clean.required = places;
        }
    }

    fn contents(&self) -> Vec<Content> {
        let of = |subject: &str, relative: &str| format!("{subject} of {relative}");
        let mut contents = Vec::new();
        for (relative, part) in self.parts() {
            for content in part.contents() {
                contents.push(Content { subject: of(&content.subject, relative), ..content });
            }
        }
        if matches!(self.file_mode, FileMode::Keep) {
            for (relative, mode) in self.files.iter().filter_map(|(path, file)| Some((path, file.mode()?))) {
                let path = self.below(relative);
                // As a repository knows it: revisions of a tree are compared by this.
                let known = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
                contents.push(Content::new(of("mode", relative), path, Mode(known).to_string()));
            }
        }
        contents
    }
}

impl Recurse {
    fn rest(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let named = self.parts().map(|(relative, part)| {
            let mut steps = part.diff(facts)?;
            if !relative.is_empty() {
                for change in steps.iter_mut().flat_map(|step| &mut step.changes) {
                    if change.after.as_str().is_none_or(|after| !after.ends_with(relative)) {
                        change.subject = format!("{} of {relative}", change.subject);
                    }
                }
            }
            Ok(steps)
        });
        let mut steps = together(named)?;
        if let Some(clean) = &self.clean {
            let prefix = format!("{}/", self.path.trim_end_matches('/'));
            let keep = |path: &str| {
                let relative = path.strip_prefix(&prefix).unwrap_or(path);
                self.parts().any(|(part, _)| part == relative)
            };
            let tree = facts.tree(&self.path)?.to_vec();
            steps.extend(clean.step(&self.path, &tree, &keep)?.map(|(step, _)| step));
        }
        Ok(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, file, settles, stands, tree};
    use kstate_core::question::{Answer, PathKind};

    fn sources() -> Tree {
        let entry = |path: &str, kind| SourceEntry { path: path.into(), kind };
        Tree {
            files: [
                ("salt://d/a", b"a {{ x }}\n".as_slice()),
                ("salt://d/s/b", b"b\n".as_slice()),
                ("salt://d/l", b"b\n".as_slice()),
            ]
            .into(),
            entries: [(
                "salt://d",
                vec![
                    entry("a", SourceKind::File { mode: 0o750 }),
                    entry("e", SourceKind::Directory),
                    entry("l", SourceKind::Symlink { target: "s/b".into() }),
                    entry("s", SourceKind::Directory),
                    entry("s/b", SourceKind::File { mode: 0o600 }),
                ],
            )]
            .into(),
            ..Tree::default()
        }
    }

    fn recurse(arguments: &str) -> Box<dyn Resource> {
        declare(&format!("/srv/d:\n  file.recurse:\n    - source: salt://d\n{arguments}"), &sources())
    }

    fn nothing_there(resource: &dyn Resource) -> Facts {
        let mut facts = Facts::default();
        for question in resource.questions() {
            let answer = match &question {
                Question::Path(_) => Answer::Path(None),
                Question::Tree(_) => Answer::Tree(Vec::new()),
                _ => Answer::Digest(None),
            };
            facts.learn(question, Ok(answer));
        }
        facts
    }

    fn told(resource: &dyn Resource, facts: &Facts) -> Vec<String> {
        let steps = resource.diff(facts).unwrap();
        steps
            .iter()
            .flat_map(|step| &step.changes)
            .map(|change| {
                let text = change.to_string();
                text.split(',').next().unwrap_or_default().to_owned()
            })
            .collect()
    }

    #[test]
    fn makes_what_the_source_holds() {
        let plain = recurse("    - file_mode: keep\n    - template: jinja\n    - context: {x: 1}\n");
        let mut facts = nothing_there(&*plain);
        let expected = [
            "directory: /srv/d",
            "directory: /srv/d/s",
            "content of a: 4 bytes",
            "mode of a: 0750",
            "content of l: 2 bytes",
            "mode of l: 0600",
            "content of s/b: 2 bytes",
            "mode of s/b: 0600",
        ];
        assert_eq!(told(&*plain, &facts), expected);
        settles(&*plain, &mut facts);
    }

    #[test]
    fn chooses_by_pattern_and_depth_and_keeps_links() {
        let paths = |arguments: &str| {
            let state = recurse(arguments);
            let facts = nothing_there(&*state);
            told(&*state, &facts)[1..].to_vec()
        };
        assert_eq!(paths("    - include_pat: E@^a\n"), ["content of a: 10 bytes"]);
        assert_eq!(paths("    - exclude_pat: ['s/*', l]\n"), ["content of a: 10 bytes"]);
        assert_eq!(paths("    - maxdepth: 0\n    - exclude_pat: l\n"), ["content of a: 10 bytes"]);
        assert_eq!(paths("    - keep_symlinks: True\n    - include_pat: l\n"), ["target of l: s/b"]);
        assert_eq!(paths("    - include_empty: True\n    - include_pat: e\n"), ["directory: /srv/d/e"]);
    }

    #[test]
    fn asks_in_one_batch_also_when_it_shows_what_differs() {
        let state = recurse("");
        let mut facts = nothing_there(&*state);
        for path in ["/srv/d/a", "/srv/d/s/b"] {
            file(&mut facts, path, Some("old\n"), 0o644);
            facts.forget(&kstate_core::Touch::Path(path.into()));
            let info = PathInfo {
                kind: PathKind::File,
                mode: 0o644,
                uid: 0,
                gid: 0,
                user: "root".into(),
                group: "root".into(),
                size: 4,
            };
            facts.learn(Question::Path(path.into()), Ok(Answer::Path(Some(info))));
            facts.learn(Question::Digest(path.into()), Ok(Answer::Digest(Some("x".into()))));
        }
        let Err(Stop::Ask(asked)) = state.diff(&facts) else { panic!("{:?}", state.diff(&facts)) };
        let expected = ["/srv/d/a", "/srv/d/s/b"].map(|path| Question::Content(path.into()));
        assert_eq!(asked, expected);
    }

    #[test]
    fn what_stands_in_the_way_is_told_with_the_argument_that_removes_it() {
        let rows = [
            ("    - keep_symlinks: True\n    - include_pat: l\n", "/srv/d/l", "force_symlinks"),
            ("    - include_pat: s/b\n", "/srv/d/s", "clean"),
        ];
        for (arguments, path, argument) in rows {
            let state = recurse(arguments);
            let mut facts = nothing_there(&*state);
            stands(&mut facts, "/srv/d", PathKind::Directory, 0o755, "root");
            stands(&mut facts, path, PathKind::Other, 0o644, "root");
            let message = format!("a special file stands at `{path}`; `{argument}: True` removes it");
            assert_eq!(state.diff(&facts), Err(Stop::Failed(message)));
        }
    }

    #[test]
    fn cleans_what_the_source_does_not_hold() {
        let state = recurse("    - clean: True\n    - exclude_pat: l\n");
        let mut facts = nothing_there(&*state);
        stands(&mut facts, "/srv/d", PathKind::Directory, 0o755, "root");
        stands(&mut facts, "/srv/d/s", PathKind::File, 0o644, "root");
        file(&mut facts, "/srv/d/a", Some("a {{ x }}\n"), 0o644);
        tree(
            &mut facts,
            "/srv/d",
            &[
                ("/srv/d/a", PathKind::File, 0o644, "root"),
                ("/srv/d/l", PathKind::File, 0o644, "root"),
                ("/srv/d/s", PathKind::File, 0o644, "root"),
                ("/srv/d/x", PathKind::Directory, 0o755, "root"),
                ("/srv/d/x/y", PathKind::File, 0o644, "root"),
            ],
        );
        let expected = [
            "file: /srv/d/s -> absent",
            "directory: /srv/d/s",
            "content of s/b: 2 bytes",
            "directory: /srv/d/x -> absent",
            "file: /srv/d/x/y -> absent",
        ];
        assert_eq!(told(&*state, &facts), expected);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let text = "/srv/d:\n  file.recurse:\n    - source: salt://nope\n";
        let error = declare_error(text, &sources());
        assert!(
            error.starts_with("a.sls:3: file.recurse: `source`: `salt://nope` does not exist"),
            "{error}"
        );
    }
}
