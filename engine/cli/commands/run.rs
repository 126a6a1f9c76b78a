//! `diff` and `apply`.

use std::collections::HashMap;

use kstate_core::kept::Taken;
use kstate_core::{Again, HostReport, HostRun, MachineClock, Outcome, Prediction, Problem, side_by_side};

use super::machines;
use crate::args::{Format, Global};
use crate::diagnostics::{Diagnostics, each_once};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::{self, Kind};
use crate::session::{Contact, Prepared, Ready, Session, hosts};
use crate::token::{self, Lease};
use crate::ui::count;

pub(super) fn diff(session: &Session<'_>, options: &Global, sls: &[String]) -> Result<Exit, CommandError> {
    let look = |ready: &mut Ready| run(session, Kind::Diff, ready);
    let mut reports = look_at_all(session, sls, look, |report| report)?;
    machines::note(&mut reports);
    Ok(tell(session, options, Kind::Diff, &reports))
}

/// Looks at all hosts that are meant. `lost` is called for those that cannot be looked at.
pub(super) fn look_at_all<R: Send>(
    session: &Session<'_>,
    sls: &[String],
    look: impl Fn(&mut Ready) -> R + Sync,
    lost: impl Fn(HostReport) -> R + Sync,
) -> Result<Vec<R>, CommandError> {
    let looked = session.with_each(sls, Contact::Host, |prepared| match prepared {
        Prepared::Ready(mut ready) => Some(look(&mut ready)),
        Prepared::Lost(report) => Some(lost(*report)),
        Prepared::NotMeant => None,
    })?;
    let looked: Vec<R> = looked.into_iter().flatten().collect();
    if looked.is_empty() { Err(session.nobody_fits()) } else { Ok(looked) }
}

/// Applies without asking.
pub(super) fn apply(session: &Session<'_>, options: &Global, sls: &[String]) -> Result<Exit, CommandError> {
    begin_log(session, sls);
    let lease = session.lease(sls)?;
    let gathered = gather(session, sls, Contact::Work)?;
    let exit = make_all(session, options, gathered);
    Ok(end(session, lease, exit))
}

/// Makes the difference of all hosts, if none refuses it.
fn make_all(session: &Session<'_>, options: &Global, gathered: Gathered) -> Exit {
    let gathered = match cleared(session, options, gathered) {
        Ok(gathered) => gathered,
        Err(refused) => return refused,
    };
    let mut reports = gathered.lost;
    reports.extend(make_each(session, gathered.ready));
    in_roster_order(session, &mut reports);
    tell(session, options, Kind::Apply, &reports)
}

/// Gives the token back that was taken at its place.
pub(super) fn end(session: &Session<'_>, lease: Option<Lease>, exit: Exit) -> Exit {
    match lease.map_or(Ok(()), Lease::end) {
        Ok(()) => exit,
        Err(ousted) => {
            session.ui.error(&ousted, &[]);
            exit.worst(Exit::Failed)
        }
    }
}

/// Shows the difference of all hosts, asks once, and makes it over the same connections.
pub(super) fn ask_and_apply(
    session: &Session<'_>,
    options: &Global,
    sls: &[String],
) -> Result<Exit, CommandError> {
    let gathered = gather(session, sls, Contact::Host)?;
    let gathered = match cleared(session, options, gathered) {
        Ok(gathered) => gathered,
        Err(refused) => return Ok(refused),
    };
    let looked_at = side_by_side(session.jobs(), gathered.ready, |mut ready| {
        let report = run(session, Kind::Diff, &mut ready);
        session.ui.ended(&ready.target);
        ready.shown = Some(report.states.clone());
        (ready, report)
    });
    let (kept, mut shown): (Vec<Ready>, Vec<HostReport>) = looked_at.into_iter().unzip();
    shown.extend(gathered.lost);
    let worst = tell_people(session, options, Kind::Diff, &shown);
    let is_due = |report: &HostReport| {
        report.count(Outcome::Drift) + report.count(Outcome::Always) + report.count(Outcome::Unknown)
    };
    let (held, free): (Vec<&HostReport>, Vec<&HostReport>) = shown.iter().partition(|r| r.is_held());
    let due: usize = free.iter().map(|report| is_due(report)).sum();
    if due == 0 && !held.is_empty() {
        session.ui.talk("Nothing was changed: what differs is held.");
        return Ok(worst.worst(Exit::Failed));
    }
    if matches!(worst, Exit::Interrupted) || (due == 0 && !matches!(worst, Exit::Done)) {
        return Ok(worst);
    }
    if due == 0 {
        session.ui.talk("Everything is as declared.");
        return Ok(Exit::Done);
    }
    let to_change = free.iter().filter(|report| is_due(report) > 0).count();
    let question = format!("Apply {} to {}?", count(due, "state"), hosts(to_change));
    if !session.ui.confirm(&question) {
        session.ui.talk("Nothing was changed.");
        return Ok(worst.worst(Exit::Failed));
    }
    begin_log(session, sls);
    let lease = session.lease(sls)?;
    let ready = if lease.is_none() { machines::take(session, kept) } else { kept };
    let gathered = Gathered {
        lost: shown
            .into_iter()
            .filter(|report| !ready.iter().any(|ready| ready.target == report.target))
            .collect(),
        ready,
    };
    let exit = make_all(session, options, gathered);
    Ok(end(session, lease, exit))
}

/// Gives back the tokens that were taken.
pub(super) fn give_back(session: &Session<'_>, ready: &mut [Ready]) {
    let taken = ready.iter_mut().filter(|ready| ready.token == Some(Taken::Yes));
    side_by_side(session.jobs(), taken.collect(), |ready: &mut Ready| {
        if let Some(transport) = &mut ready.transport {
            // Where that fails, the host knows that the run is over.
            let _ = token::surely(transport.as_mut(), ready.claim.give_back());
        }
    });
}

/// All hosts, connected and compiled, before any of them is changed.
pub(super) struct Gathered {
    pub(super) ready: Vec<Ready>,
    /// Those that could not be reached, or were lost.
    pub(super) lost: Vec<HostReport>,
}

impl Gathered {
    /// The hosts that do not give their token, and why.
    fn refusals(&self) -> Vec<(&Ready, Problem)> {
        let refusal = |ready: &Ready| token::refusal(&ready.target, ready.token.as_ref()?);
        self.ready.iter().filter_map(|ready| Some((ready, refusal(ready)?))).collect()
    }
}

fn is_sound(ready: &Ready) -> bool {
    !ready.problems.iter().any(Problem::is_error)
}

pub(super) fn gather(
    session: &Session<'_>,
    sls: &[String],
    contact: Contact,
) -> Result<Gathered, CommandError> {
    let mut gathered = Gathered { ready: Vec::new(), lost: Vec::new() };
    for prepared in session.with_each(sls, contact, |prepared| prepared)? {
        match prepared {
            Prepared::Ready(ready) => gathered.ready.push(*ready),
            Prepared::Lost(report) => gathered.lost.push(*report),
            Prepared::NotMeant => {}
        }
    }
    if gathered.ready.is_empty() && gathered.lost.is_empty() {
        return Err(session.nobody_fits());
    }
    machines::tell(session, &gathered.ready);
    machines::settle(&mut gathered.ready);
    Ok(gathered)
}

/// All hosts, if the tree compiles for all of them and no token is refused. Otherwise this tells why none is changed.
pub(super) fn cleared(session: &Session<'_>, options: &Global, gathered: Gathered) -> Result<Gathered, Exit> {
    let is_clear = gathered.ready.iter().all(is_sound) && gathered.refusals().is_empty();
    if is_clear { Ok(gathered) } else { Err(refuse(session, options, gathered)) }
}

/// Tells what is wrong with the tree, or who has the token; nothing is made, on no host.
fn refuse(session: &Session<'_>, options: &Global, mut gathered: Gathered) -> Exit {
    give_back(session, &mut gathered.ready);
    let mut reports: Vec<HostReport> = gathered.ready.iter().map(unmade).collect();
    let mut add = |target: &str, problem: Problem| {
        if let Some(report) = reports.iter_mut().find(|report| report.target == target) {
            report.problems.push(problem);
        }
    };
    let list = |targets: &[&str]| targets.join(", ");
    let broken: Vec<&Ready> = gathered.ready.iter().filter(|ready| !is_sound(ready)).collect();
    let mut reason = None;
    if !broken.is_empty() {
        let names: Vec<&str> = broken.iter().map(|ready| ready.target.as_str()).collect();
        let message =
            format!("nothing is changed, on no host: the tree does not compile for {}", list(&names));
        let hint = "leave hosts out by `-t`, or name the SLS that are sound";
        reason = Some((names, Problem::error(message).hint(hint)));
    } else {
        let refusals = gathered.refusals();
        let names: Vec<&str> = refusals.iter().map(|(ready, _)| ready.target.as_str()).collect();
        if !names.is_empty() {
            let message = format!("nothing is changed, on no host: {} cannot be had", tokens_of(&names));
            reason = Some((names, Problem::error(message)));
        }
        refusals.into_iter().for_each(|(ready, problem)| add(&ready.target, problem));
    }
    if let Some((names, problem)) = reason {
        let others = gathered.ready.iter().filter(|ready| !names.contains(&ready.target.as_str()));
        others.for_each(|ready| add(&ready.target, problem.clone()));
    }
    reports.extend(gathered.lost);
    in_roster_order(session, &mut reports);
    tell(session, options, Kind::Apply, &reports)
}

/// Hosts that were not reached stand where the roster has them, as in a diff.
fn in_roster_order(session: &Session<'_>, reports: &mut [HostReport]) {
    let places: HashMap<&str, usize> = session.roster().zip(0..).collect();
    reports.sort_by_key(|report| places.get(report.target.as_str()).copied());
}

fn tokens_of(names: &[&str]) -> String {
    let noun = if names.len() == 1 { "the token of" } else { "the tokens of" };
    format!("{noun} {}", names.join(", "))
}

/// Makes the difference of a host. Where it was shown before, it brings no other revisions, and is held beside that.
pub(super) fn make(session: &Session<'_>, ready: &mut Ready) -> HostReport {
    if let (Some(plan), Some(shown)) = (&mut ready.plan, &ready.shown) {
        plan.pin(shown);
    }
    let report = run(session, Kind::Apply, ready);
    session.ui.ended(&ready.target);
    let prediction = ready.shown.as_ref().and_then(|shown| Prediction::compare(shown, &report.states));
    HostReport { prediction, ..report }
}

/// Makes the difference of all hosts, those of one machine one after the other.
pub(super) fn make_each(session: &Session<'_>, ready: Vec<Ready>) -> Vec<HostReport> {
    machines::in_turn(session, ready, |ready| make(session, ready))
}

/// The report of a host with which nothing was done.
pub(super) fn unmade(ready: &Ready) -> HostReport {
    HostReport {
        target: ready.target.clone(),
        reachable: true,
        problems: ready.problems.clone(),
        traffic: ready.transport.as_deref().map(kstate_core::Transport::traffic).unwrap_or_default(),
        ..HostReport::default()
    }
}

pub(super) fn run(session: &Session<'_>, kind: Kind, ready: &mut Ready) -> HostReport {
    let (Some(plan), Some(transport)) = (&ready.plan, &mut ready.transport) else {
        return unmade(ready);
    };
    let run = HostRun {
        target: &ready.target,
        name: &session.run,
        plan,
        sink: session.ui,
        interrupt: &session.interrupt,
        clock: &MachineClock,
        claim: Some(&ready.claim).filter(|_| ready.token == Some(Taken::Yes)),
        again: ready.connect.as_deref().map(|connect| Again { connect, patience: session.patience() }),
        accepted: &session.accepted,
        planned: ready.shown.as_deref().filter(|_| ready.is_planned),
    };
    let report = match kind {
        Kind::Diff => run.diff(transport.as_mut()),
        Kind::Apply => run.apply(transport.as_mut()),
    };
    let machine = ready.machine.clone().or(report.machine);
    HostReport { problems: [ready.problems.clone(), report.problems].concat(), machine, ..report }
}

pub(super) fn tell(session: &Session<'_>, options: &Global, kind: Kind, reports: &[HostReport]) -> Exit {
    tell_what_met_no_hold(session, reports);
    keep(session, kind, reports);
    match options.format {
        Format::Text => tell_people(session, options, kind, reports),
        Format::Json => {
            problems(session, reports);
            session.ui.document(&report::json::document(kind, &session.run, reports));
            exit(kind, reports)
        }
    }
}

/// Begins the log of a run that changes hosts. One that cannot be written hinders nothing.
pub(super) fn begin_log(session: &Session<'_>, sls: &[String]) {
    let words: Vec<&str> = ["apply"].into_iter().chain(sls.iter().map(String::as_str)).collect();
    if let Err(error) = session.ui.log().begin(&session.run, &words.join(" ")) {
        session.ui.talk(&format!("note: this run has no log: {error}"));
    }
}

/// Keeps the reports in the log of the run.
fn keep(session: &Session<'_>, kind: Kind, reports: &[HostReport]) {
    let log = session.ui.log();
    reports.iter().for_each(|report| log.report(&report::host(kind, report, true)));
    if kind == Kind::Apply {
        log.document(&report::json::document(kind, &session.run, reports));
    }
}

/// An `--accept` that lets nothing pass may be misspelt.
fn tell_what_met_no_hold(session: &Session<'_>, reports: &[HostReport]) {
    if reports.iter().any(is_refused) {
        return;
    }
    let holds = || reports.iter().flat_map(|report| &report.states).flat_map(|state| &state.holds);
    for pattern in session.accepted.iter().filter(|pattern| !holds().any(|hold| hold.is_meant_by(pattern))) {
        session.ui.talk(&format!("note: `--accept {pattern}` met no hold"));
    }
}

/// Returns true if nothing was done with a host because of its problems. What was done is shown whatever came of it.
fn is_refused(report: &HostReport) -> bool {
    report.states.is_empty() && report.problems.iter().any(Problem::is_error)
}

fn tell_people(session: &Session<'_>, options: &Global, kind: Kind, reports: &[HostReport]) -> Exit {
    problems(session, reports);
    for report in reports.iter().filter(|report| !is_refused(report)) {
        session.ui.data(&report::host(kind, report, options.verbose));
    }
    if reports.len() > 1 && !reports.iter().all(is_refused) {
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
