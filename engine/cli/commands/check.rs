//! `check`: is the tree sound? No host is contacted.

use std::collections::BTreeMap;

use kstate_core::Problem;

use crate::args::{Format, Global};
use crate::diagnostics::Diagnostics;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::json;
use crate::session::{Contact, Prepared, Session, hosts};
use crate::ui::{DIM, GREEN, count, paint};

/// What came of one target.
struct Checked {
    target: String,
    problems: Vec<Problem>,
    states: usize,
    stand_in: Option<String>,
}

/// `strict`: warnings count as errors.
pub(super) fn check(session: &Session<'_>, options: &Global, strict: bool) -> Result<Exit, CommandError> {
    let checked = session.with_each(&[], Contact::Never, checked)?;
    let checked: Vec<Checked> = checked.into_iter().flatten().collect();
    match options.format {
        Format::Json => session.ui.data(&format!("{:#}\n", document(&checked))),
        Format::Text => tell(session, &checked),
    }
    let mut problems = checked.iter().flat_map(|checked| &checked.problems);
    let is_bad = problems.any(|problem| strict || problem.is_error());
    Ok(if is_bad { Exit::Failed } else { Exit::Done })
}

fn checked(prepared: Prepared) -> Option<Checked> {
    match prepared {
        Prepared::Ready(ready) => {
            let mut problems = ready.problems;
            problems.extend(ready.suspicions);
            problems.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
            let states = ready.compiled.chunks().len();
            Some(Checked { target: ready.target, problems, states, stand_in: ready.stand_in })
        }
        Prepared::Lost(report) => {
            let problem = Problem::error(format!("{}: {}", report.target, report.error.unwrap_or_default()));
            Some(Checked { target: report.target, problems: vec![problem], states: 0, stand_in: None })
        }
        Prepared::NotMeant => None,
    }
}

fn document(checked: &[Checked]) -> serde_json::Value {
    let of = |checked: &Checked| {
        let (errors, warnings) = (json::problems(&checked.problems), json::warnings(&checked.problems));
        (checked.target.clone(), serde_json::json!({ "errors": errors, "warnings": warnings }))
    };
    serde_json::Value::Object(checked.iter().map(of).collect())
}

fn tell(session: &Session<'_>, checked: &[Checked]) {
    let problems = each_once(checked.iter().flat_map(|checked| checked.problems.iter().cloned()).collect());
    let mut diagnostics = Diagnostics::new(&session.tree.root().dir);
    for problem in &problems {
        session.ui.data(&format!("{}\n", diagnostics.show(problem)));
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
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let verdict = match (errors, problems.len() - errors) {
        (0, 0) => paint(GREEN, "sound"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let states: usize = checked.iter().map(|checked| checked.states).sum();
    session.ui.data(&format!("{}, {}: {verdict}\n", hosts(checked.len()), count(states, "state")));
}

/// Problems of several targets by file and line. What a macro makes wrong for many states is told once.
fn each_once(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    problems.dedup_by(|a, b| a.sort_key() == b.sort_key() && (a.at.is_some() || a.id == b.id));
    problems
}
