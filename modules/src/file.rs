//! Files, directories and links.

mod absent;
mod append;
mod comment;
mod contents;
mod directory;
mod edit;
mod keyvalue;
mod managed;
pub(crate) mod pattern;
mod prepend;
mod recurse;
mod replace;
mod symlink;
mod uncomment;
mod whitespace;

pub(crate) use absent::Absent;
pub(crate) use append::Append;
pub(crate) use comment::Comment;
pub(crate) use directory::Directory;
pub(crate) use edit::Edit;
pub(crate) use keyvalue::KeyValue;
pub(crate) use managed::Managed;
pub(crate) use prepend::Prepend;
pub(crate) use recurse::Recurse;
pub(crate) use replace::Replace;
pub(crate) use symlink::Symlink;
pub(crate) use uncomment::Uncomment;

use kstate_core::question::PathInfo;
use kstate_core::{
    Attributes, Change, Facts, Map, Place, Problem, Question, Run, SourceEntry, Step, Stop, Touch, Value,
    fnmatch, names,
};

use crate::Context;
use crate::kinds::Mode;
use pattern::{Flags, Pattern, text_of};

/// What Salt's `file` functions take for other systems than ours.
pub(crate) const WINDOWS: &str = "there are no Windows hosts";
pub(crate) const OWNER: &str = "write `user`";

/// Permission to remove what stands in the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Force {
    pub(crate) is_given: bool,
    /// The argument that gives it, if there is one.
    pub(crate) argument: Option<&'static str>,
}

impl Force {
    fn by(argument: &'static str, is_given: bool) -> Self {
        Force { is_given, argument: Some(argument) }
    }

    /// Returns the failure of a state that needs it.
    fn refused(self, kind: &str, path: &str) -> Stop {
        let hint =
            self.argument.map(|argument| format!("; `{argument}: True` removes it")).unwrap_or_default();
        Stop::Failed(format!("a {kind} stands at `{path}`{hint}"))
    }
}

/// What differs between what is declared about owner and mode and what is there. What is not declared never differs.
pub(crate) fn attribute_changes(wanted: &Attributes, there: Option<&PathInfo>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |subject: &str, wanted: Option<String>, there: Option<[String; 2]>| {
        let Some(wanted) = wanted else { return };
        match there {
            Some(names) if names.contains(&wanted) => {}
            Some([name, _]) => changes.push(Change::new(subject, name, wanted)),
            None => changes.push(Change::new(subject, Value::Null, wanted)),
        }
    };
    let mode = |mode: u32| Mode(mode).to_string();
    compare("mode", wanted.mode.map(mode), there.map(|info| [mode(info.mode), mode(info.mode)]));
    // An owner may be declared by name or by number.
    compare("user", wanted.user.clone(), there.map(|info| [info.user.clone(), info.uid.to_string()]));
    compare("group", wanted.group.clone(), there.map(|info| [info.group.clone(), info.gid.to_string()]));
    changes
}

/// Returns an absolute path without empty parts, parts `.` and a slash at its end, or what is wrong with it.
pub(crate) fn absolute(cx: &Context<'_>, argument: &str, path: &str) -> Result<String, Vec<Problem>> {
    if !path.starts_with('/') {
        return Err(vec![cx.error(argument, format!("`{path}` is not an absolute path"))]);
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(format!("/{}", parts.join("/")))
}

/// `context` over `defaults`; each a mapping or a list of mappings.
pub(crate) fn variables(defaults: Option<&Value>, context: Option<&Value>) -> Map {
    let mut all = Map::new();
    for given in [defaults, context].into_iter().flatten() {
        let maps = match given {
            Value::Map(map) => vec![map.clone()],
            Value::List(items) => items.iter().filter_map(|item| item.as_map().cloned()).collect(),
            _ => Vec::new(),
        };
        for (key, value) in maps.into_iter().flatten() {
            all.insert(key, value);
        }
    }
    all
}

/// Returns the bytes of `origin` as they are, or rendered as a template. Salt: a binary file is no template.
pub(crate) fn render(
    cx: &Context<'_>,
    origin: &str,
    bytes: Vec<u8>,
    template: Option<&str>,
    variables: &Map,
) -> Result<Vec<u8>, Problem> {
    match template {
        None => Ok(bytes),
        Some("jinja") => match String::from_utf8(bytes) {
            Ok(text) => cx.sources.render(cx.chunk, origin, &text, variables).map(String::into_bytes),
            Err(error) if is_binary(error.as_bytes()) => Ok(error.into_bytes()),
            Err(_) => Err(cx
                .error("template", format!("`{origin}` is neither UTF-8 text nor binary"))
                .hint("convert it to UTF-8, or leave `template` out")),
        },
        Some(other) => {
            Err(cx.error("template", format!("`{other}` is not supported; the template engine is `jinja`")))
        }
    }
}

/// Salt: within its beginning a binary file has a NUL, or more than 30 % of it is not plain text.
fn is_binary(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(2048)];
    let is_text = |byte: &u8| matches!(byte, 32..127 | b'\n' | b'\r' | b'\t' | 8);
    let odd = start.iter().filter(|byte| !is_text(byte)).count();
    start.contains(&0) || odd * 10 > start.len() * 3
}

/// Runs a program on many paths below `root` by one process.
fn on_each(words: &[&str], paths: &[&str], root: &str) -> Run {
    let told = format!("{} below {root}", words.join(" "));
    let words = kstate_core::each_below(root, words);
    let input: Vec<u8> = paths.iter().flat_map(|path| [names::bytes(path), vec![0]].concat()).collect();
    Run::new(words.input(input).told(told), [Touch::Path(root.to_owned())])
}

/// The steps of several resources as those of one: what they ask, they ask together.
fn together(parts: impl IntoIterator<Item = Result<Vec<Step>, Stop>>) -> Result<Vec<Step>, Stop> {
    let (mut steps, mut asked): (Vec<Step>, Vec<Question>) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Ok(more) => steps.extend(more),
            Err(Stop::Ask(questions)) => asked.extend(questions),
            Err(other) => return Err(other),
        }
    }
    if asked.is_empty() { Ok(steps) } else { Err(Stop::Ask(asked)) }
}

/// Patterns that choose paths: globs, or regular expressions behind `E@`.
#[derive(Debug, Default)]
pub(crate) struct Choice(Vec<Chosen>);

#[derive(Debug)]
enum Chosen {
    Glob(String),
    Pattern(Pattern),
}

impl Choice {
    pub(crate) fn new(cx: &Context<'_>, argument: &str, patterns: &[String]) -> Result<Self, Problem> {
        let chosen = patterns.iter().map(|pattern| match pattern.strip_prefix("E@") {
            None => Ok(Chosen::Glob(pattern.clone())),
            Some(pattern) => Pattern::new(pattern, Flags::default())
                .map(Chosen::Pattern)
                .map_err(|error| cx.error(argument, error)),
        });
        chosen.collect::<Result<_, _>>().map(Choice)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them fits a relative path.
    fn has(&self, path: &str) -> Result<bool, Stop> {
        for chosen in &self.0 {
            let fits = match chosen {
                Chosen::Glob(glob) => fnmatch(path, glob),
                Chosen::Pattern(pattern) => pattern.is_in(&text_of(path.as_bytes()))?,
            };
            if fits {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Everything below a directory, sorted by path.
type Below = Vec<(String, PathInfo)>;

/// What may stay in a directory that is cleaned.
#[derive(Debug)]
struct Clean {
    /// What required states manage.
    required: Vec<Place>,
    exclude: Choice,
}

impl Clean {
    fn new(exclude: Choice) -> Self {
        Clean { required: Vec::new(), exclude }
    }

    /// The step that removes what is in `tree` below `root` and neither in `keep` nor kept otherwise, and what is left.
    fn step(
        &self,
        root: &str,
        tree: &Below,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<Option<(Step, Below)>, Stop> {
        let mut staying: Vec<&str> = Vec::new();
        for (path, _) in tree {
            let relative = path[root.len()..].trim_start_matches('/');
            let is_required = self.required.iter().any(|required| required.keeps(path, root));
            if is_required || keep(path) || self.exclude.has(relative)? {
                staying.push(path);
            }
        }
        let stays = |path: &str| staying.iter().any(|kept| kstate_core::touch::is_below(kept, path));
        let removed: Vec<&(String, PathInfo)> = tree.iter().filter(|(path, _)| !stays(path)).collect();
        if removed.is_empty() {
            return Ok(None);
        }
        let mut tops: Vec<&str> = Vec::new();
        for (path, _) in &removed {
            // The list is sorted, so what is above comes first.
            if !tops.iter().any(|top| kstate_core::touch::is_below(path, top)) {
                tops.push(path);
            }
        }
        let changes: Vec<Change> = removed
            .iter()
            .map(|(path, info)| Change::new(info.kind_name(), names::shown(path), Value::Null))
            .collect();
        let left: Below = tree.iter().filter(|(path, _)| stays(path)).cloned().collect();
        let mut run = on_each(&["rm", "-rf", "--"], &tops, root)
            .foretells(Question::Tree(root.to_owned()), kstate_core::question::Answer::Tree(left.clone()));
        for (path, _) in removed {
            run = run.foretells(Question::Path(path.clone()), kstate_core::question::Answer::Path(None));
        }
        Ok(Some((Step::new(changes, run.into()), left)))
    }
}

/// The entries of a `salt://` folder that are there to be read: `None` if there is no such folder.
fn entries(cx: &Context<'_>, url: &str) -> Result<Option<Vec<SourceEntry>>, Problem> {
    match cx.sources.list(url) {
        Ok(entries) => Ok(Some(entries)),
        Err(kstate_core::SourceError::Missing { .. }) => Ok(None),
        Err(error) => Err(cx.source_error("source", &error)),
    }
}

/// Tells the answers about paths that a step changes on its way.
fn foretell_paths(mut run: Run, facts: &Facts, paths: &[(String, PathInfo)]) -> Run {
    for (path, info) in paths {
        let question = Question::Path(path.clone());
        if facts.knows(&question) {
            run = run.foretells(question, kstate_core::question::Answer::Path(Some(info.clone())));
        }
    }
    run
}
