//! Roster names of one machine: they share its token, and are worked on one after the other.

use std::collections::BTreeMap;

use kstate_core::kept::{self, Taken};
use kstate_core::{ExchangeError, HostReport, Reply, side_by_side};

use super::run::unmade;
use crate::session::{Ready, Session};
use crate::token::{refusal, surely};

/// Tells which names mean one machine.
pub(super) fn tell(session: &Session<'_>, ready: &[Ready]) {
    for names in shared(ready.iter().map(|ready| (ready.target.as_str(), ready.machine.as_deref()))) {
        session.ui.talk(&format!(
            "note: {} are names of one machine: they are worked on one after the other",
            listed(&names)
        ));
    }
}

/// Has one name of each machine hold the token for all of them.
pub(super) fn settle(ready: &mut [Ready]) {
    for place in 0..ready.len() {
        let is_open = matches!(ready[place].token, Some(Taken::Sibling(_)));
        if is_open && !ready.iter().any(|other| has_token_of(other, &ready[place])) {
            take_over(&mut ready[place]);
        }
    }
}

/// Takes the token of each host, once for each machine.
pub(super) fn take(session: &Session<'_>, ready: Vec<Ready>) -> Vec<Ready> {
    let is_told = ready.iter().all(|ready| ready.machine.is_some());
    let mut ready = side_by_side(session.jobs(), ready, |mut ready| {
        if let Some(transport) = &mut ready.transport {
            let reply = transport.run(ready.claim.take());
            ready.machine = reply.as_ref().ok().and_then(machine).or(ready.machine);
            ready.token = Some(taken(reply));
        }
        ready
    });
    if !is_told {
        tell(session, &ready);
    }
    settle(&mut ready);
    ready
}

/// Calls `work` for all: side by side for machines, one after the other for the names of one. The reports are in the order
/// of the names.
pub(super) fn in_turn(
    session: &Session<'_>,
    ready: Vec<Ready>,
    work: impl Fn(&mut Ready) -> HostReport + Sync,
) -> Vec<HostReport> {
    let places: BTreeMap<String, usize> =
        ready.iter().enumerate().map(|(place, ready)| (ready.target.clone(), place)).collect();
    let mut reports: Vec<HostReport> = side_by_side(session.jobs(), chains(ready), |chain| {
        let last = chain.len() - 1;
        let work = |(place, mut ready): (usize, Ready)| {
            ready.claim.is_passed_on = place < last;
            if place > 0 && ready.token.is_some() || matches!(ready.token, Some(Taken::Sibling(_))) {
                take_over(&mut ready);
            }
            match ready.token.as_ref().and_then(|token| refusal(&ready.target, token)) {
                Some(problem) => {
                    let mut report = unmade(&ready);
                    report.problems.push(problem);
                    report
                }
                None => work(&mut ready),
            }
        };
        chain.into_iter().enumerate().map(work).collect::<Vec<_>>()
    })
    .into_iter()
    .flatten()
    .collect();
    reports.sort_by_key(|report| places.get(&report.target).copied());
    reports
}

/// Notes in the reports of a `diff` which names mean one machine.
pub(super) fn note(reports: &mut [HostReport]) {
    let names = shared(reports.iter().map(|report| (report.target.as_str(), report.machine.as_deref())));
    let notes: Vec<(Vec<String>, String)> = names
        .into_iter()
        .map(|names| {
            let note = format!(
                "{} are names of one machine: an apply works on them one after the other",
                listed(&names)
            );
            (names.into_iter().map(str::to_owned).collect(), note)
        })
        .collect();
    for (names, note) in notes {
        let meant = reports.iter_mut().filter(|report| names.contains(&report.target));
        meant.for_each(|report| report.notes.push(note.clone()));
    }
}

/// The names of each machine that has more than one.
fn shared<'a>(names: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Vec<Vec<&'a str>> {
    let mut machines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, machine) in names {
        if let Some(machine) = machine {
            machines.entry(machine).or_default().push(name);
        }
    }
    machines.into_values().filter(|names| names.len() > 1).collect()
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

fn has_token_of(other: &Ready, ready: &Ready) -> bool {
    other.machine == ready.machine && other.token == Some(Taken::Yes)
}

fn take_over(ready: &mut Ready) {
    if let Some(transport) = &mut ready.transport {
        ready.token = Some(taken(surely(transport.as_mut(), ready.claim.take_over())));
    }
}

fn taken(reply: Result<Reply, ExchangeError>) -> Taken {
    reply.map_or_else(|error| Taken::CannotTell(error.to_string()), |reply| Taken::read(&reply))
}

fn machine(reply: &Reply) -> Option<String> {
    kept::read(&Reply { status: 0, ..reply.clone() }).ok()?.machine
}

/// The targets of each machine, in the order of the roster.
fn chains(ready: Vec<Ready>) -> Vec<Vec<Ready>> {
    let mut chains: Vec<Vec<Ready>> = Vec::new();
    for ready in ready {
        let is_same = |chain: &&mut Vec<Ready>| ready.machine.is_some() && chain[0].machine == ready.machine;
        match chains.iter_mut().find(is_same) {
            Some(chain) => chain.push(ready),
            None => chains.push(vec![ready]),
        }
    }
    chains
}
