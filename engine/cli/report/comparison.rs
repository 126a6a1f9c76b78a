//! What changes between two revisions of the tree: what is the same for several targets is told once.

use std::collections::{BTreeMap, HashMap};

use kstate_core::Problem;
use serde_json::{Value as Json, json};

use super::{json, terminal};
use crate::diagnostics::Diagnostics;
use crate::difference::{Differing, Kind};
use crate::git::Commit;
use crate::ui::{BOLD, DIM, GREEN, RED, YELLOW, count, paint};

#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) from: Option<Commit>,
    /// `None`: the working tree.
    pub(crate) to: Option<Commit>,
    /// What was read of the working tree for both, because it is not git's.
    pub(crate) untracked: Vec<String>,
    pub(crate) targets: Vec<Compared>,
}

impl Comparison {
    /// Whether a target does not compile, or is wrong in one revision only.
    pub(crate) fn is_broken(&self, target: &Compared) -> bool {
        !target.is_whole || [0, 1].iter().any(|side| !self.own_errors(target, *side).is_empty())
    }

    /// The errors of a target that the other revision does not have. Of a target that is new or gone, those that no
    /// target of it has.
    fn own_errors<'a>(&self, target: &'a Compared, side: usize) -> Vec<&'a Problem> {
        let in_other = |target: &Compared, problem: &Problem| {
            target.errors[1 - side].iter().any(|other| is_same(other, problem))
        };
        let is_known = |problem: &Problem| match target.is_new_or_gone() {
            true => self.targets.iter().any(|target| in_other(target, problem)),
            false => in_other(target, problem),
        };
        target.errors[side].iter().filter(|problem| !is_known(problem)).collect()
    }
}

/// One target.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) target: String,
    /// Whether the roster has it, before and after.
    pub(crate) is_known: [bool; 2],
    /// Whether both revisions compile, so that it can be compared.
    pub(crate) is_whole: bool,
    pub(crate) differing: Vec<Differing>,
    /// What does not compile, before and after.
    pub(crate) errors: [Vec<Problem>; 2],
    /// Where its grains come from, if not from a file.
    pub(crate) stand_in: Option<String>,
}

impl Compared {
    pub(crate) fn differs(&self) -> bool {
        self.is_new_or_gone() || !self.differing.is_empty()
    }

    fn is_new_or_gone(&self) -> bool {
        self.is_known.contains(&false)
    }
}

/// For people.
pub(crate) fn text(comparison: &Comparison, diagnostics: &mut [Diagnostics; 2], verbose: bool) -> String {
    let mut out = format!("from {}\nto   {}\n", told(&comparison.from), told(&comparison.to));
    out.push_str(&problems(comparison, diagnostics, verbose));
    for target in comparison.targets.iter().filter(|target| target.is_new_or_gone()) {
        out.push_str(&new_or_gone(target));
    }
    let shown: Vec<&Compared> =
        comparison.targets.iter().filter(|target| verbose || !target.is_new_or_gone()).collect();
    for (targets, states) in sections(&shown, verbose) {
        out.push_str(&format!("{}\n{}", paint(BOLD, targets.join(", ")), states.concat()));
    }
    for line in sources(comparison) {
        out.push_str(&format!("{}\n", paint(DIM, line)));
    }
    out.push_str(&format!("{}\n", summary(comparison)));
    out
}

/// A commit with the first line of its message.
fn told(commit: &Option<Commit>) -> String {
    match commit {
        Some(commit) => format!("{} {}", paint(YELLOW, &commit.short), commit.title),
        None => "the working tree".to_owned(),
    }
}

fn short(commit: &Option<Commit>) -> &str {
    commit.as_ref().map_or("the working tree", |commit| &commit.short)
}

/// Whether an error is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// Of the second revision alone.
    Now,
    /// Of the first revision alone.
    Then,
    /// Of both, and it keeps the target from being compared.
    Always,
    /// Of both, about the arguments of a state: the rest of the target is compared.
    Aside,
}

/// The errors of all targets, each once.
fn wrong(comparison: &Comparison) -> Vec<(Wrong, &Problem)> {
    let mut found: Vec<(Wrong, &Problem)> = Vec::new();
    for target in &comparison.targets {
        let [then, now] = [0, 1].map(|side| comparison.own_errors(target, side));
        let side = usize::from(target.is_known[1]);
        let both = target.errors[side].iter().filter(|problem| ![&then, &now][side].contains(problem));
        let kind_of_both = if target.is_whole { Wrong::Aside } else { Wrong::Always };
        let all = (now.iter().map(|problem| (Wrong::Now, *problem)))
            .chain(then.iter().map(|problem| (Wrong::Then, *problem)))
            .chain(both.map(|problem| (kind_of_both, problem)));
        for (wrong, problem) in all {
            // What a macro makes wrong for many states is told once.
            let is_told = |other: &Problem| {
                is_same(other, problem) || (other.at.is_some() && other.sort_key() == problem.sort_key())
            };
            if !found.iter().any(|(known, other)| *known == wrong && is_told(other)) {
                found.push((wrong, problem));
            }
        }
    }
    found
}

/// A mistake stays the same when its line moves, and that of a state also when it moves to another file.
fn is_same(one: &Problem, other: &Problem) -> bool {
    let file = |problem: &Problem| problem.at.as_ref().map(|at| at.file.clone());
    one.message == other.message && one.id == other.id && (one.id.is_some() || file(one) == file(other))
}

/// What does not compile, with excerpts of the revision that it stands in.
pub(crate) fn problems(comparison: &Comparison, diagnostics: &mut [Diagnostics; 2], verbose: bool) -> String {
    let found = wrong(comparison);
    let (from, to) = (short(&comparison.from), short(&comparison.to));
    let mut out = String::new();
    for (wanted, side, heading) in [
        (Wrong::Now, 1, format!("wrong in {to}, not in {from}:")),
        (Wrong::Then, 0, format!("wrong in {from}, not in {to}:")),
        (Wrong::Always, 1, "wrong in both:".to_owned()),
        (Wrong::Aside, 1, "wrong in both, and left aside:".to_owned()),
    ] {
        let of_these: Vec<&Problem> =
            found.iter().filter(|(wrong, _)| *wrong == wanted).map(|(_, problem)| *problem).collect();
        if of_these.is_empty() || (wanted == Wrong::Aside && !verbose) {
            continue;
        }
        out.push_str(&format!("{}\n", paint(RED, heading)));
        for problem in of_these {
            out.push_str(&format!("{}\n", diagnostics[side].show(problem)));
        }
    }
    out
}

fn new_or_gone(target: &Compared) -> String {
    let states = count(target.differing.len(), "state");
    let (sign, style, word) =
        if target.is_known[0] { ("-", RED, "gone from") } else { ("+", GREEN, "new in") };
    let heading = paint(style, format!("{sign} {}", target.target));
    format!("{heading}  {}\n", paint(DIM, format!("{word} the roster, {states}")))
}

/// The states that differ, each under all the targets where it does in the same way; what concerns most of them first.
fn sections<'a>(targets: &[&'a Compared], verbose: bool) -> Vec<(Vec<&'a str>, Vec<String>)> {
    let mut states: Vec<(String, Vec<&str>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for target in targets {
        for differing in &target.differing {
            let text = state(differing, verbose);
            let place = *places.entry(text.clone()).or_insert(states.len());
            if place == states.len() {
                states.push((text, Vec::new()));
            }
            states[place].1.push(&target.target);
        }
    }
    let mut sections: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (text, names) in states {
        match sections.iter_mut().find(|(known, _)| *known == names) {
            Some((_, texts)) => texts.push(text),
            None => sections.push((names, vec![text])),
        }
    }
    sections.sort_by_key(|(names, _)| std::cmp::Reverse(names.len()));
    sections
}

fn state(differing: &Differing, verbose: bool) -> String {
    let (sign, style) = match differing.kind {
        Kind::Added => ("+", GREEN),
        Kind::Changed => ("~", YELLOW),
        Kind::Removed => ("-", RED),
    };
    let Differing { function, id, name, file, line, .. } = differing;
    let name = if id == name { String::new() } else { format!("  {}", paint(DIM, terminal::short(name))) };
    let mut out = format!(
        "  {} {function} {}{name}  {}\n",
        paint(style, sign),
        paint(style, terminal::short(id)),
        paint(DIM, format!("{file}:{line}"))
    );
    if differing.kind != Kind::Removed || verbose {
        out.extend(differing.changes.iter().map(terminal::change));
    }
    out
}

/// What was compiled with, beside the two revisions.
fn sources(comparison: &Comparison) -> Vec<String> {
    let mut stand_ins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for target in &comparison.targets {
        if let Some(stand_in) = &target.stand_in {
            stand_ins.entry(stand_in).or_default().push(&target.target);
        }
    }
    let grains =
        stand_ins.iter().map(|(stand_in, targets)| format!("with {stand_in}: {}", targets.join(", ")));
    let mut lines: Vec<String> = grains.collect();
    let aside = wrong(comparison).iter().filter(|(wrong, _)| *wrong == Wrong::Aside).count();
    if aside > 0 {
        lines.push(format!(
            "{} in both (`kstate check` tells of them): the files of these states are not compared",
            count(aside, "mistake")
        ));
    }
    if !comparison.untracked.is_empty() {
        let paths = comparison.untracked.join(", ");
        lines.push(format!("not tracked by git, taken from the working tree for both: {paths}"));
    }
    lines
}

fn summary(comparison: &Comparison) -> String {
    let targets = &comparison.targets;
    let of = |is: &dyn Fn(&Compared) -> bool| targets.iter().filter(|target| is(target)).count();
    let differ = of(&Compared::differs);
    let is_broken = |target: &Compared| comparison.is_broken(target);
    let same = of(&|target| !is_broken(target) && !target.differs());
    let mut parts = Vec::new();
    if differ > 0 {
        parts.push(paint(YELLOW, format!("{differ} {}", if differ == 1 { "differs" } else { "differ" })));
    }
    if same > 0 {
        parts.push(format!("{same} unchanged"));
    }
    match of(&is_broken) {
        0 => {}
        broken => parts.push(paint(RED, format!("{broken} with errors"))),
    }
    format!("{}: {}", count(targets.len(), "host"), parts.join(", "))
}

/// For programs.
pub(crate) fn document(comparison: &Comparison) -> Json {
    let id = |commit: &Option<Commit>| commit.as_ref().map(|commit| commit.id.clone());
    let (from, to) = (id(&comparison.from), id(&comparison.to));
    let targets: serde_json::Map<String, Json> = comparison
        .targets
        .iter()
        .map(|target| (target.target.clone(), self::target(target, &from, &to)))
        .collect();
    json!({
        "command": "compare", "version": env!("CARGO_PKG_VERSION"), "from": from, "to": to,
        "untracked": comparison.untracked, "targets": targets,
    })
}

fn target(target: &Compared, from: &Option<String>, to: &Option<String>) -> Json {
    let roster = match target.is_known {
        [false, _] => "added",
        [_, false] => "removed",
        [true, true] => "both",
    };
    let mut errors = Vec::new();
    for (revision, problems) in [from, to].into_iter().zip(&target.errors) {
        for mut error in json::problems(problems).as_array().cloned().unwrap_or_default() {
            error["revision"] = revision.clone().into();
            errors.push(error);
        }
    }
    json!({
        "roster": roster, "grains": target.stand_in,
        "changes": target.differing.iter().map(differing).collect::<Vec<_>>(), "errors": errors,
    })
}

fn differing(differing: &Differing) -> Json {
    json!({
        "kind": differing.kind.name(), "id": differing.id, "sls": differing.sls,
        "function": differing.function, "name": differing.name,
        "file": differing.file, "line": differing.line,
        "changes": differing.changes.iter().map(json::change).collect::<Vec<_>>(),
    })
}
