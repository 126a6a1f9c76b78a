//! Problems of a tree, each with the lines that it is about.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use kstate_core::{Position, Problem, Severity};
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
        self.text(&told.problem, told.targets.as_deref())
    }

    pub(crate) fn show(&mut self, problem: &Problem) -> String {
        self.text(problem, None)
    }

    fn text(&mut self, problem: &Problem, targets: Option<&str>) -> String {
        let is_secret = problem.hidden || problem.at.as_ref().is_some_and(is_private);
        for position in problem.at.iter().chain(problem.related.iter().map(|(_, at)| at)) {
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
        for (what, at) in &problem.related {
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
        if let Some(rendered) = problem.rendered.as_ref().filter(|_| !is_secret) {
            notes.push(format!("rendered: {rendered}"));
        }
        notes.extend(targets.map(|targets| format!("for {targets}")));
        for note in &notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        let hint = Level::HELP.with_name("hint");
        for text in &problem.hints {
            group = group.element(hint.clone().message(text.as_str()));
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

/// A place without its line.
fn origin(at: &Position) -> Origin<'_> {
    Origin::path(&*at.file).line(at.line as usize).char_column(at.column as usize)
}

/// A problem, and who has it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) problem: Problem,
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
            let is_named = targets.len() == 1 && problem.message.contains(targets[0]);
            let targets = (targets.len() < count && !is_named).then(|| list(&targets));
            Told { problem, targets }
        })
        .collect()
}

fn list(targets: &[&str]) -> String {
    const NAMED: usize = 5;
    let named = targets.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match targets.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Whether a file is one of those whose lines nobody shall see.
fn is_private(position: &Position) -> bool {
    Path::new(&*position.file).components().any(|part| part.as_os_str() == "private")
}
