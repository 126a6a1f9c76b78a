//! Problems of a tree, each with the lines that it is about.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use kstate_core::{Position, Problem, Severity, Unwritten, Via};
use kstate_sls::{Disk, Storage};

use crate::excerpt::span;

/// Shows problems with excerpts of the files, which lie below `root`.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    root: PathBuf,
    storage: Arc<dyn Storage>,
    texts: HashMap<String, Option<String>>,
}

impl Diagnostics {
    pub(crate) fn new(root: &Path) -> Self {
        Diagnostics::stored(root, Arc::new(Disk))
    }

    /// Of files that are stored in another way.
    pub(crate) fn stored(root: &Path, storage: Arc<dyn Storage>) -> Self {
        Diagnostics { root: root.to_owned(), storage, texts: HashMap::new() }
    }

    pub(crate) fn told(&mut self, told: &Told) -> String {
        self.text(&told.problem, told.states.as_deref(), told.targets.as_deref())
    }

    pub(crate) fn show(&mut self, problem: &Problem) -> String {
        self.text(problem, states(&[problem]).as_deref(), None)
    }

    fn text(&mut self, problem: &Problem, states: Option<&str>, targets: Option<&str>) -> String {
        let is_secret = problem.hidden || problem.at.as_ref().is_some_and(is_private);
        let places = places(problem);
        for position in problem.at.iter().chain(places.iter().map(|(_, at)| *at)) {
            self.load(position);
        }
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let id = problem.id.as_deref().map(|id| format!(" (state `{id}`)"));
        let id = id.filter(|_| problem.at.is_none()).unwrap_or_default();
        let title = format!("{}{id}", problem.message);
        let mut group = Group::with_title(level.primary_title(title.as_str()));
        let mut notes = Vec::new();
        let mut marks: Vec<Mark<'_>> = Vec::new();
        if let Some(at) = problem.at.as_ref() {
            if is_secret || !self.has(at) {
                group = group.element(origin(at));
            } else {
                marks.push(Mark { at, label: "", message: &problem.message, is_primary: true });
            }
        }
        for (what, at) in places.iter().map(|(what, at)| (&**what, *at)) {
            match marks.iter_mut().find(|mark| mark.at == at) {
                Some(mark) if mark.label.is_empty() => mark.label = what,
                _ if self.has(at) => {
                    marks.push(Mark { at, label: what, message: what, is_primary: false });
                }
                _ => notes.push(format!("{what}: {at}")),
            }
        }
        // One excerpt for each file, in the order in which they come up.
        while let Some(first) = marks.first() {
            let file = first.at.file.clone();
            let (of_file, others) = marks.into_iter().partition(|mark| mark.at.file == file);
            marks = others;
            group = group.element(self.excerpt(of_file));
        }
        let unwritten = problem.unwritten.as_ref().filter(|_| !is_secret);
        let written = problem.at.as_ref().and_then(|at| self.line(at));
        notes.extend(unwritten.filter(|line| Some(&*line.text) != written).map(with_caret));
        notes.extend(states.map(|states| format!("in {states}")));
        notes.extend(targets.map(|targets| format!("for {targets}")));
        for note in &notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        let hint = Level::HELP.with_name("hint");
        for text in &problem.hints {
            group = group.element(hint.clone().message(wrapped(text)));
        }
        let mut text = Renderer::styled().render(&[group]);
        text.push('\n');
        text
    }

    fn load(&mut self, position: &Position) {
        let file = position.file.to_string();
        if !self.texts.contains_key(&file) {
            let read = || String::from_utf8(self.storage.read(&self.root.join(&file)).ok()?).ok();
            let text = if is_private(position) { None } else { read() };
            let text = text.map(|text| text.trim_start_matches('\u{feff}').to_owned());
            self.texts.insert(file, text);
        }
    }

    /// Whether there is a line to show.
    fn has(&self, at: &Position) -> bool {
        let text = self.texts.get(&*at.file).and_then(Option::as_deref);
        text.is_some_and(|text| span(text, at.line, at.column, "").is_some())
    }

    fn line(&self, at: &Position) -> Option<&str> {
        let text = self.texts.get(&*at.file)?.as_deref()?;
        text.lines().nth((at.line as usize).checked_sub(1)?)
    }

    /// The lines of one file.
    fn excerpt<'a>(&'a self, marks: Vec<Mark<'a>>) -> Snippet<'a, Annotation<'a>> {
        let file = marks.first().map_or("", |mark| &*mark.at.file);
        let text = self.texts.get(file).and_then(Option::as_deref).unwrap_or_default();
        let annotations = marks.into_iter().filter_map(|mark| {
            let kind = if mark.is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(span(text, mark.at.line, mark.at.column, mark.message)?);
            Some(if mark.label.is_empty() { annotation } else { annotation.label(mark.label) })
        });
        Snippet::source(text).path(file).annotations(annotations)
    }
}

/// A place that is shown.
struct Mark<'a> {
    at: &'a Position,
    /// What is said about it, beside the title.
    label: &'a str,
    /// What may quote the words that stand there.
    message: &'a str,
    is_primary: bool,
}

/// The steps to a place that are told: each place once, and the last ones of a long way. Loops are seen in the excerpt.
fn way_to(at: &Position) -> Vec<&Via> {
    const STEPS: usize = 10;
    let mut way: Vec<&Via> = Vec::new();
    for step in at.steps().filter(|step| step.pass.is_none() && step.at != *at) {
        if way.len() < STEPS && way.iter().all(|known| known.at != step.at) {
            way.push(step);
        }
    }
    way
}

/// The places of a problem beside its own: the way to it, and what is related.
fn places(problem: &Problem) -> Vec<(Cow<'_, str>, &Position)> {
    let way = problem.at.iter().flat_map(way_to).map(|step| (Cow::Borrowed(&*step.what), &step.at));
    let related = problem.related.iter().map(|(what, at)| {
        let own = problem.at.as_ref().filter(|own| *own == at);
        let twice = own.and_then(|own| written_twice(what, at, own));
        twice.unwrap_or((Cow::Borrowed(what.as_str()), at))
    });
    way.chain(related).collect()
}

/// Where the ways to a line part that a macro or a loop wrote twice.
fn written_twice<'a>(
    what: &'a str,
    first: &'a Position,
    again: &'a Position,
) -> Option<(Cow<'a, str>, &'a Position)> {
    let (first, again) = first.parting(again)?;
    let what = match (first.pass, again.pass) {
        (Some(pass), Some(again)) => {
            format!("{what} in pass {pass} of this loop, again in pass {again}").into()
        }
        _ => what.into(),
    };
    Some((what, &first.at))
}

/// A line of no file, with a caret.
fn with_caret(line: &Unwritten) -> String {
    const WIDTH: usize = 100;
    let column = line.column.saturating_sub(1) as usize;
    let left_out = if line.text.chars().count() > WIDTH { column.saturating_sub(WIDTH / 2) } else { 0 };
    let text: String = line.text.replace('\t', " ").chars().skip(left_out).take(WIDTH).collect();
    format!("{}:\n{}\n{}^", line.what, text.trim_end(), " ".repeat(column - left_out))
}

/// A place without its line.
fn origin(at: &Position) -> Origin<'_> {
    Origin::path(&*at.file).line(at.line as usize).char_column(at.column as usize)
}

/// A problem, and who has it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) problem: Problem,
    /// The states in which a macro, a loop or an included template makes it.
    states: Option<String>,
    /// The targets that have it, where others have not.
    targets: Option<String>,
}

/// The problems of targets by file and line, each once: what differs only in its hints, or in the states of which a
/// macro makes the same mistake, is one mistake. `count` is the number of targets that were looked at.
pub(crate) fn each_once<'a>(
    all: impl IntoIterator<Item = (&'a str, &'a Problem)>,
    count: usize,
) -> Vec<Told> {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, problem)| problem.sort_key());
    let is_same = |(_, a): &(&str, &Problem), (_, b): &(&str, &Problem)| {
        a.sort_key() == b.sort_key() && (a.at.is_some() || a.id == b.id)
    };
    all.chunk_by(is_same)
        .map(|same| {
            let mut targets: Vec<&str> = same.iter().map(|(target, _)| *target).collect();
            targets.dedup();
            let problem = same[0].1.clone();
            let states = states(&same.iter().map(|(_, problem)| *problem).collect::<Vec<_>>());
            let is_named = targets.len() == 1 && problem.message.contains(targets[0]);
            let targets = (targets.len() < count && !is_named).then(|| list(&targets));
            Told { problem, states, targets }
        })
        .collect()
}

/// The states of which the same place makes a mistake, unless the message tells of it.
fn states(problems: &[&Problem]) -> Option<String> {
    let mut ids: Vec<String> = Vec::new();
    for problem in problems {
        let Some((id, at)) = problem.id.as_deref().zip(problem.at.as_ref()) else { continue };
        let shown = format!("`{id}`");
        let is_told = problem.message.contains(&shown) || at.steps().any(|step| step.what.contains(&shown));
        if at.way.is_some() && !is_told && !ids.contains(&shown) {
            ids.push(shown);
        }
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    match ids.len() {
        0 => None,
        1 => Some(format!("the state {}", ids[0])),
        _ => Some(format!("the states {}", list(&ids))),
    }
}

fn list(all: &[&str]) -> String {
    const NAMED: usize = 5;
    let named = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A hint in lines that a terminal can show. What stands between backticks is to be copied, so that it is left whole.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    let mut length = 0;
    let mut quotes = 0;
    for word in text.split(' ') {
        let more = word.chars().count() + 1;
        if length > 0 && length + more > WIDTH && quotes % 2 == 0 {
            out.push('\n');
            length = 0;
        } else if length > 0 {
            out.push(' ');
        }
        out.push_str(word);
        length += more;
        quotes += word.matches('`').count();
    }
    out
}

/// Whether a file is one of those whose lines nobody shall see.
fn is_private(position: &Position) -> bool {
    Path::new(&*position.file).components().any(|part| part.as_os_str() == "private")
}
