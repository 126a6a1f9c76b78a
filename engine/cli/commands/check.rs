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

pub(super) fn check(session: &Session<'_>, options: &Global) -> Result<Exit, CommandError> {
    let checked = session.with_each(&[], Contact::Never, |prepared| match prepared {
        Prepared::Ready(ready) => {
            Some((ready.target, ready.problems, ready.compiled.chunks().len(), ready.stand_in))
        }
        Prepared::Lost(report) => {
            let problem = Problem::error(format!("{}: {}", report.target, report.error.unwrap_or_default()));
            Some((report.target, vec![problem], 0, None))
        }
        Prepared::NotMeant => None,
    })?;
    let checked: Vec<_> = checked.into_iter().flatten().collect();
    let mut problems: Vec<Problem> =
        checked.iter().flat_map(|(_, problems, _, _)| problems.clone()).collect();
    problems.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    problems.dedup();
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let states: usize = checked.iter().map(|(_, _, states, _)| states).sum();
    let mut stand_ins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (target, _, _, stand_in) in &checked {
        if let Some(stand_in) = stand_in {
            stand_ins.entry(stand_in).or_default().push(target);
        }
    }
    match options.format {
        Format::Json => {
            let document: serde_json::Map<_, _> = checked
                .iter()
                .map(|(target, problems, _, _)| {
                    (target.clone(), serde_json::json!({ "errors": json::problems(problems) }))
                })
                .collect();
            session.ui.data(&format!("{:#}\n", serde_json::Value::Object(document)));
        }
        Format::Text => {
            let mut diagnostics = Diagnostics::new(&session.tree.root().dir);
            for problem in &problems {
                session.ui.data(&format!("{}\n", diagnostics.show(problem)));
            }
            for (stand_in, targets) in stand_ins {
                session
                    .ui
                    .data(&format!("{}\n", paint(DIM, format!("with {stand_in}: {}", targets.join(", ")))));
            }
            let verdict = match (errors, problems.len() - errors) {
                (0, 0) => paint(GREEN, "sound"),
                (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
            };
            session.ui.data(&format!("{}, {}: {verdict}\n", hosts(checked.len()), count(states, "state")));
        }
    }
    Ok(if errors > 0 { Exit::Failed } else { Exit::Done })
}
