//! `diff` and `apply`.

use kstate_core::{Again, HostReport, HostRun, Outcome, Problem, side_by_side};

use crate::args::{Format, Global};
use crate::diagnostics::{Diagnostics, each_once};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::{self, Kind};
use crate::session::{Contact, Prepared, Ready, Session, hosts};
use crate::ui::count;

pub(super) fn diff(session: &Session<'_>, options: &Global, sls: &[String]) -> Result<Exit, CommandError> {
    let reports = session.with_each(sls, Contact::Host, |prepared| match prepared {
        Prepared::Ready(mut ready) => Some(run(session, Kind::Diff, &mut ready)),
        Prepared::Lost(report) => Some(*report),
        Prepared::NotMeant => None,
    })?;
    let reports: Vec<HostReport> = reports.into_iter().flatten().collect();
    if reports.is_empty() {
        return Err(nobody_is_meant());
    }
    Ok(tell(session, options, Kind::Diff, &reports))
}

/// Applies without asking.
pub(super) fn apply(session: &Session<'_>, options: &Global, sls: &[String]) -> Result<Exit, CommandError> {
    let gathered = gather(session, sls)?;
    if !gathered.is_sound() {
        return Ok(refuse(session, options, gathered));
    }
    let mut reports = gathered.lost;
    reports.extend(side_by_side(session.jobs(), gathered.ready, |mut ready| make(session, &mut ready)));
    Ok(tell(session, options, Kind::Apply, &reports))
}

/// Shows the difference of all hosts, asks once, and makes it over the same connections.
pub(super) fn ask_and_apply(
    session: &Session<'_>,
    options: &Global,
    sls: &[String],
) -> Result<Exit, CommandError> {
    let gathered = gather(session, sls)?;
    if !gathered.is_sound() {
        return Ok(refuse(session, options, gathered));
    }
    let looked_at = side_by_side(session.jobs(), gathered.ready, |mut ready| {
        let report = run(session, Kind::Diff, &mut ready);
        session.ui.ended(&ready.target);
        (ready, report)
    });
    let (kept, mut shown): (Vec<Ready>, Vec<HostReport>) = looked_at.into_iter().unzip();
    shown.extend(gathered.lost);
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
    let mut reports: Vec<HostReport> =
        shown.into_iter().filter(|report| !report.reachable || !report.problems.is_empty()).collect();
    let made = side_by_side(session.jobs(), kept, |mut ready| make(session, &mut ready));
    reports.retain(|report| !made.iter().any(|made| made.target == report.target));
    reports.extend(made);
    Ok(tell(session, options, Kind::Apply, &reports))
}

/// All hosts, connected and compiled, before any of them is changed.
struct Gathered {
    ready: Vec<Ready>,
    /// Those that could not be reached, or were lost.
    lost: Vec<HostReport>,
}

impl Gathered {
    /// Whether the tree compiles for all of them.
    fn is_sound(&self) -> bool {
        self.ready.iter().all(is_sound)
    }
}

fn is_sound(ready: &Ready) -> bool {
    !ready.problems.iter().any(Problem::is_error)
}

fn gather(session: &Session<'_>, sls: &[String]) -> Result<Gathered, CommandError> {
    let mut gathered = Gathered { ready: Vec::new(), lost: Vec::new() };
    for prepared in session.with_each(sls, Contact::Host, |prepared| prepared)? {
        match prepared {
            Prepared::Ready(ready) => gathered.ready.push(*ready),
            Prepared::Lost(report) => gathered.lost.push(*report),
            Prepared::NotMeant => {}
        }
    }
    if gathered.ready.is_empty() && gathered.lost.is_empty() {
        return Err(nobody_is_meant());
    }
    Ok(gathered)
}

/// Tells what is wrong with the tree; nothing is made, on no host.
fn refuse(session: &Session<'_>, options: &Global, gathered: Gathered) -> Exit {
    let (sound, broken): (Vec<&Ready>, Vec<&Ready>) =
        gathered.ready.iter().partition(|ready| is_sound(ready));
    let names: Vec<&str> = broken.iter().map(|ready| ready.target.as_str()).collect();
    let message =
        format!("nothing is changed, on no host: the tree does not compile for {}", names.join(", "));
    let refusal = Problem::error(message).hint("leave hosts out by `-t`, or name the SLS that are sound");
    let mut reports: Vec<HostReport> = gathered.ready.iter().map(unmade).collect();
    for report in reports.iter_mut().filter(|report| sound.iter().any(|ready| ready.target == report.target))
    {
        report.problems.push(refusal.clone());
    }
    reports.extend(gathered.lost);
    tell(session, options, Kind::Apply, &reports)
}

fn nobody_is_meant() -> CommandError {
    CommandError::failed("no host is meant by the expression or the top file")
}

/// Makes the difference of a host.
fn make(session: &Session<'_>, ready: &mut Ready) -> HostReport {
    let report = run(session, Kind::Apply, ready);
    session.ui.ended(&ready.target);
    report
}

/// The report of a host with which nothing was done.
fn unmade(ready: &Ready) -> HostReport {
    HostReport {
        target: ready.target.clone(),
        reachable: true,
        problems: ready.problems.clone(),
        traffic: ready.transport.as_deref().map(kstate_core::Transport::traffic).unwrap_or_default(),
        ..HostReport::default()
    }
}

fn run(session: &Session<'_>, kind: Kind, ready: &mut Ready) -> HostReport {
    let (Some(plan), Some(transport)) = (&ready.plan, &mut ready.transport) else {
        return unmade(ready);
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
    let is_refused = |report: &&HostReport| report.problems.iter().any(Problem::is_error);
    for report in reports.iter().filter(|report| !is_refused(report)) {
        session.ui.data(&report::host(kind, report, options.verbose));
    }
    if reports.len() > 1 && !reports.iter().all(|report| is_refused(&report)) {
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
    let all =
        reports.iter().flat_map(|report| report.problems.iter().map(|problem| (&*report.target, problem)));
    let told = each_once(all, reports.len());
    let mut diagnostics = Diagnostics::new(&session.tree.root().dir);
    told.iter().for_each(|told| session.ui.talk(&diagnostics.told(told)));
}
