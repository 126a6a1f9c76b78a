//! `diff` and `apply`.

use std::collections::BTreeSet;
use std::sync::Mutex;

use kstate_core::{Again, HostReport, HostRun, Outcome, Problem};

use crate::args::{Format, Global};
use crate::diagnostics::Diagnostics;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::{self, Kind};
use crate::session::{Contact, Prepared, Ready, Session, hosts};
use crate::ui::count;

pub(super) fn diff(session: &Session<'_>, options: &Global, sls: &[String]) -> Result<Exit, CommandError> {
    let reports = once(session, Kind::Diff, sls)?;
    Ok(tell(session, options, Kind::Diff, &reports))
}

/// Applies without asking.
pub(super) fn apply(session: &Session<'_>, options: &Global, sls: &[String]) -> Result<Exit, CommandError> {
    let reports = once(session, Kind::Apply, sls)?;
    Ok(tell(session, options, Kind::Apply, &reports))
}

/// Shows the difference of all hosts, asks once, and makes it over the same connections.
pub(super) fn ask_and_apply(
    session: &Session<'_>,
    options: &Global,
    sls: &[String],
) -> Result<Exit, CommandError> {
    let kept: Mutex<Vec<Ready>> = Mutex::default();
    let keep = |ready| kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(ready);
    let shown = each(session, sls, |mut ready| {
        let report = run(session, Kind::Diff, &mut ready);
        keep(ready);
        report
    })?;
    let worst = tell_people(session, options, Kind::Diff, &shown);
    let due: usize = shown
        .iter()
        .map(|r| r.count(Outcome::Drift) + r.count(Outcome::Always) + r.count(Outcome::Unknown))
        .sum();
    if matches!(worst, Exit::Interrupted) || (due == 0 && !matches!(worst, Exit::Done)) {
        return Ok(worst);
    }
    if due == 0 {
        session.ui.talk("Everything is as declared.");
        return Ok(Exit::Done);
    }
    let to_change: Vec<&HostReport> = shown
        .iter()
        .filter(|r| [Outcome::Drift, Outcome::Always, Outcome::Unknown].iter().any(|o| r.count(*o) > 0))
        .collect();
    let question = format!("Apply {} to {}?", count(due, "state"), hosts(to_change.len()));
    if !session.ui.confirm(&question) {
        session.ui.talk("Nothing was changed.");
        return Ok(match worst {
            Exit::Differs => Exit::Done,
            other => other,
        });
    }
    let kept = kept.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut reports: Vec<HostReport> =
        shown.into_iter().filter(|report| !report.reachable || !report.problems.is_empty()).collect();
    let made = kstate_core::side_by_side(session.jobs(), kept, |mut ready| {
        let report = run(session, Kind::Apply, &mut ready);
        session.ui.ended(&ready.target);
        report
    });
    reports.retain(|report| !made.iter().any(|made| made.target == report.target));
    reports.extend(made);
    Ok(tell(session, options, Kind::Apply, &reports))
}

fn once(session: &Session<'_>, kind: Kind, sls: &[String]) -> Result<Vec<HostReport>, CommandError> {
    each(session, sls, |mut ready| run(session, kind, &mut ready))
}

/// Gets each host ready and hands it to `work`. Hosts that could not be reached have a report all the same.
fn each(
    session: &Session<'_>,
    sls: &[String],
    work: impl Fn(Ready) -> HostReport + Sync,
) -> Result<Vec<HostReport>, CommandError> {
    let reports = session.with_each(sls, Contact::Host, |prepared| match prepared {
        Prepared::Ready(ready) => Some(work(*ready)),
        Prepared::Lost(report) => Some(*report),
        Prepared::NotMeant => None,
    })?;
    let reports: Vec<HostReport> = reports.into_iter().flatten().collect();
    if reports.is_empty() {
        return Err(CommandError::failed("no host is meant by the expression or the top file"));
    }
    Ok(reports)
}

fn run(session: &Session<'_>, kind: Kind, ready: &mut Ready) -> HostReport {
    let (Some(plan), Some(transport)) = (&ready.plan, &mut ready.transport) else {
        return HostReport {
            target: ready.target.clone(),
            reachable: true,
            problems: ready.problems.clone(),
            traffic: ready.transport.as_deref().map(kstate_core::Transport::traffic).unwrap_or_default(),
            ..HostReport::default()
        };
    };
    let run = HostRun {
        target: &ready.target,
        name: &session.run,
        plan,
        sink: session.ui,
        interrupt: &session.interrupt,
        again: ready.connect.as_deref().map(|connect| Again { connect, patience: session.patience() }),
    };
    let report = match kind {
        Kind::Diff => run.diff(transport.as_mut()),
        Kind::Apply => run.apply(transport.as_mut()),
    };
    HostReport { problems: ready.problems.clone(), ..report }
}

fn tell(session: &Session<'_>, options: &Global, kind: Kind, reports: &[HostReport]) -> Exit {
    match options.format {
        Format::Text => tell_people(session, options, kind, reports),
        Format::Json => {
            problems(session, reports);
            let document = report::json::document(kind, &session.run, reports);
            session.ui.data(&format!("{document:#}\n"));
            exit(kind, reports)
        }
    }
}

fn tell_people(session: &Session<'_>, options: &Global, kind: Kind, reports: &[HostReport]) -> Exit {
    problems(session, reports);
    for report in reports.iter().filter(|report| !report.problems.iter().any(Problem::is_error)) {
        session.ui.data(&report::host(kind, report, options.verbose));
    }
    if reports.len() > 1 {
        session.ui.data(&report::summary(kind, reports, session.ui.elapsed()));
    }
    exit(kind, reports)
}

fn exit(kind: Kind, reports: &[HostReport]) -> Exit {
    let worst = reports.iter().map(report::exit).fold(Exit::Done, Exit::worst);
    match (kind, worst) {
        (Kind::Apply, Exit::Differs) => Exit::Done,
        (_, worst) => worst,
    }
}

/// Problems of all targets, each once.
fn problems(session: &Session<'_>, reports: &[HostReport]) {
    let mut shown = BTreeSet::new();
    let mut diagnostics = Diagnostics::new(&session.tree.root().dir);
    for problem in reports.iter().flat_map(|report| &report.problems) {
        let text = diagnostics.show(problem);
        if shown.insert(text.clone()) {
            session.ui.talk(&text);
        }
    }
}
