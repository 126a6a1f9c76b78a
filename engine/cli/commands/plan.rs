//! Plans: `diff --out` saves what it shows, and `apply --plan` does that, or nothing.

use std::path::Path;

use kstate_core::{HostReport, Problem, side_by_side};

use super::machines;
use super::run::{cleared, end, gather, give_back, look_at_all, make_each, run, tell, unmade};
use crate::args::Global;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::Kind;
use crate::saved::{self, Looked, Saved};
use crate::session::{Contact, Ready, Session};

/// Shows the difference of each host, and saves it.
pub(super) fn save(
    session: &Session<'_>,
    options: &Global,
    sls: &[String],
    file: &Path,
) -> Result<Exit, CommandError> {
    saved::may_be_written(file)?;
    let looked = look_at_all(session, sls, |ready| look(session, ready), Looked::lost)?;
    let mut reports: Vec<HostReport> = looked.iter().map(|host| host.report.clone()).collect();
    machines::note(&mut reports);
    let exit = tell(session, options, Kind::Diff, &reports);
    let saved = Saved::new(options, sls, session, &looked).and_then(|plan| plan.write(file));
    if let Err(error) = saved {
        session.ui.error(&error.message, &error.hints);
        return Ok(exit.worst(error.exit));
    }
    session.ui.talk(&format!("The plan is in {0}; `kstate apply --plan {0}` does it.", file.display()));
    Ok(exit)
}

/// Does what a plan says, if everything is as it was when the plan was made.
pub(super) fn apply(session: &Session<'_>, options: &Global, plan: &Saved) -> Result<Exit, CommandError> {
    super::run::begin_log(session, plan.sls());
    let lease = session.lease(plan.sls())?;
    let exit = carry_out(session, options, plan);
    exit.map(|exit| end(session, lease, exit))
}

fn carry_out(session: &Session<'_>, options: &Global, plan: &Saved) -> Result<Exit, CommandError> {
    let gathered = gather(session, plan.sls(), Contact::Work)?;
    let gathered = match cleared(session, options, gathered) {
        Ok(gathered) => gathered,
        Err(refused) => return Ok(refused),
    };
    let looked_at = side_by_side(session.jobs(), gathered.ready, |mut ready| {
        let looked = look(session, &mut ready);
        ready.shown = Some(looked.report.states.clone());
        ready.is_planned = true;
        session.ui.ended(&ready.target);
        (ready, looked)
    });
    let (mut ready, looked): (Vec<Ready>, Vec<Looked>) = looked_at.into_iter().unzip();
    let reports = match refusal(plan, &looked, &gathered.lost) {
        Some(refusal) => {
            give_back(session, &mut ready);
            let hosts = looked.into_iter().zip(&ready);
            let left = hosts.map(|(looked, ready)| left_alone(plan, looked, ready, &refusal));
            left.chain(gathered.lost).collect()
        }
        None => make_each(session, ready),
    };
    Ok(tell(session, options, Kind::Apply, &reports))
}

/// Looks at a host as a plan has to.
fn look(session: &Session<'_>, ready: &mut Ready) -> Looked {
    let declared = ready.plan.as_ref().map(saved::declared).unwrap_or_default();
    Looked { report: run(session, Kind::Diff, ready), declared }
}

const NEW: &str = "look at what there is now, and save a new plan by `kstate diff --out FILE`";

/// Why a plan is not carried out. `None`: everything is as it was when it was made.
fn refusal(plan: &Saved, looked: &[Looked], lost: &[HostReport]) -> Option<Problem> {
    let refuse = |why: String| Some(Problem::error(format!("nothing is changed, on no host: {why}")));
    let seen = looked.iter().filter(|host| !host.is_whole()).map(|host| &host.report);
    if let Some(report) = seen.chain(lost).next() {
        return refuse(format!("`{}` could not be looked at", report.target));
    }
    if let Some(name) = plan.gone(looked) {
        let refusal = refuse(format!("`{name}`, which is in the plan, is not meant any more"));
        return refusal.map(|refusal| refusal.hint(NEW));
    }
    if looked.iter().any(|host| !plan.moved(host).is_empty()) {
        let hint = match plan.is_done(looked) {
            true => "everything that the plan would change is as declared: it has been applied already",
            false => NEW,
        };
        return refuse("what the plan was made of has moved".to_owned()).map(|refusal| refusal.hint(hint));
    }
    let held = looked.iter().flat_map(|host| &host.report.states).find(|state| state.is_held())?;
    refuse(format!("`{}` is {}", held.id, held.reason.as_deref().unwrap_or("held")))
}

/// The report of a host to which a plan does nothing. What became of one that was lost has to be seen.
fn left_alone(plan: &Saved, looked: Looked, ready: &Ready, refusal: &Problem) -> HostReport {
    let mut report = unmade(ready);
    if looked.is_whole() {
        report.problems.extend(plan.moved(&looked));
    }
    let HostReport { error, interrupted, .. } = looked.report;
    if error.is_none() {
        report.problems.push(refusal.clone());
    }
    HostReport { error, interrupted, ..report }
}
