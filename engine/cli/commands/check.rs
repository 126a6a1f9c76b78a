//! `check`: is the tree sound? No host is contacted.

use std::collections::{BTreeMap, BTreeSet};

use kstate_core::{Problem, side_by_side};
use kstate_sls::Below;

use crate::args::{Format, Global};
use crate::diagnostics::{Diagnostics, each_once};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::json;
use crate::session::{Contact, Prepared, Session, hosts};
use crate::ui::{DIM, GREEN, count, paint};

/// What came of one target.
#[derive(Default)]
struct Checked {
    target: String,
    problems: Vec<Problem>,
    /// Those of SLS that no host gets and that were compiled for this one.
    alone: Vec<Problem>,
    states: usize,
    stand_in: Option<String>,
    /// Every SLS that was read for it.
    sls: BTreeSet<String>,
    below: Below,
}

impl Checked {
    fn all(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().chain(&self.alone)
    }
}

/// `strict`: warnings count as errors.
pub(super) fn check(session: &Session<'_>, options: &Global, strict: bool) -> Result<Exit, CommandError> {
    let checked = session.with_each(&[], Contact::Never, checked)?;
    let mut checked: Vec<Checked> = checked.into_iter().flatten().collect();
    if checked.is_empty() {
        return Err(session.nobody_fits());
    }
    let forgotten = forgotten(session, &checked);
    for (target, problems) in alone(session, &checked, &forgotten)? {
        if let Some(checked) = checked.iter_mut().find(|checked| checked.target == target) {
            checked.alone.extend(problems);
        }
    }
    for checked in &mut checked {
        checked.problems.extend(session.problems.iter().cloned());
    }
    match options.format {
        Format::Json => session.ui.document(&document(&checked)),
        Format::Text => tell(session, &checked, forgotten.len()),
    }
    let mut problems = checked.iter().flat_map(Checked::all);
    let is_bad = problems.any(|problem| strict || problem.is_error());
    Ok(if is_bad { Exit::Failed } else { Exit::Done })
}

fn checked(prepared: Prepared) -> Option<Checked> {
    match prepared {
        Prepared::Ready(ready) => {
            let mut problems = ready.problems;
            problems.extend(ready.suspicions);
            Some(Checked {
                target: ready.target,
                problems,
                states: ready.compiled.chunks().len(),
                stand_in: ready.stand_in,
                sls: ready.compiled.sls.clone(),
                below: ready.compiled.below(),
                ..Checked::default()
            })
        }
        Prepared::Lost(report) => {
            let problem = Problem::error(format!("{}: {}", report.target, report.error.unwrap_or_default()));
            Some(Checked { target: report.target, problems: vec![problem], ..Checked::default() })
        }
        Prepared::NotMeant => None,
    }
}

/// The SLS that no host gets. None while it is not known what each host gets.
fn forgotten(session: &Session<'_>, checked: &[Checked]) -> Vec<String> {
    if session.is_narrowed() || checked.iter().any(|checked| checked.sls.is_empty()) {
        return Vec::new();
    }
    let is_known = |sls: &str| sls == "top" || checked.iter().any(|checked| checked.sls.contains(sls));
    session.tree.files().sls_names().iter().filter(|sls| !is_known(sls)).cloned().collect()
}

/// What comes of SLS by themselves, each for the first target for which it compiles, else for the first of all.
fn alone(
    session: &Session<'_>,
    checked: &[Checked],
    sls: &[String],
) -> Result<Vec<(String, Vec<Problem>)>, CommandError> {
    if sls.is_empty() {
        return Ok(Vec::new());
    }
    let targets = session.targets(&[])?;
    let results = side_by_side(session.jobs_without_hosts(), sls.to_vec(), |sls| {
        let compile = |one: &Checked| {
            let target = targets.iter().find(|target| target.name == one.target)?;
            self::checked(session.alone(target, &sls, &one.below))
        };
        let mut compiled = checked.iter().filter_map(compile);
        let first = compiled.next()?;
        if !is_wrong(&first.problems) {
            return Some((first.target, first.problems));
        }
        if let Some(sound) = compiled.find(|one| !is_wrong(&one.problems)) {
            return Some((sound.target, sound.problems));
        }
        let target = &first.target;
        let message = format!(
            "no top file and no `include` that was read names the SLS `{sls}`: it was compiled by itself, for `{target}`"
        );
        let problems = first.problems.into_iter();
        Some((first.target, problems.map(|problem| problem.hint(message.as_str())).collect()))
    });
    Ok(results.into_iter().flatten().collect())
}

fn is_wrong(problems: &[Problem]) -> bool {
    problems.iter().any(Problem::is_error)
}

fn document(checked: &[Checked]) -> serde_json::Value {
    let of = |checked: &Checked| {
        let mut problems: Vec<Problem> = checked.all().cloned().collect();
        Problem::tidy(&mut problems);
        let (errors, warnings) = (json::problems(&problems), json::warnings(&problems));
        (checked.target.clone(), serde_json::json!({ "errors": errors, "warnings": warnings }))
    };
    serde_json::Value::Object(checked.iter().map(of).collect())
}

fn tell(session: &Session<'_>, checked: &[Checked], forgotten: usize) {
    let own = checked.iter().flat_map(|checked| checked.problems.iter().map(|own| (&*checked.target, own)));
    // An SLS that no host gets is no mistake of the host for which it was compiled.
    let alone = checked.iter().flat_map(|checked| &checked.alone);
    let alone = alone.flat_map(|problem| checked.iter().map(move |checked| (&*checked.target, problem)));
    let problems = each_once(own.chain(alone), checked.len());
    let mut diagnostics = Diagnostics::new(&session.tree.root().dir);
    for problem in &problems {
        session.ui.data(&format!("{}\n", diagnostics.told(problem)));
    }
    let mut stand_ins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Checked { target, stand_in, .. } in checked {
        if let Some(stand_in) = stand_in {
            stand_ins.entry(stand_in).or_default().push(target);
        }
    }
    for (stand_in, targets) in stand_ins {
        session.ui.data(&format!("{}\n", paint(DIM, format!("with {stand_in}: {}", targets.join(", ")))));
    }
    let errors = problems.iter().filter(|told| told.problem.is_error()).count();
    let verdict = match (errors, problems.len() - errors) {
        (0, 0) => paint(GREEN, "sound"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let states: usize = checked.iter().map(|checked| checked.states).sum();
    let mut looked_at = format!("{}, {}", hosts(checked.len()), count(states, "state"));
    if forgotten > 0 {
        looked_at.push_str(&format!(", {forgotten} SLS that no host gets"));
    }
    session.ui.data(&format!("{looked_at}: {verdict}\n"));
}
