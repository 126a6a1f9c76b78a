//! Showing: each state is decided on, and its steps are pretended to be made.

use super::decide::{Decision, Reaction, decide, listened};
use super::durable::{is_done, to_take_up};
use super::observe::{Host, ahead};
use super::pending::Pending;
use super::records::{Record, Records};
use super::{Broken, HostRun};
use crate::{Event, Outcome, RequisiteKind, StateReport, Step, Stop};

pub(super) fn walk(run: &HostRun<'_>, host: &mut Host<'_>) -> (Vec<StateReport>, Option<Broken>) {
    let plan = run.plan;
    let mut records = Records::new(plan.states.len());
    let mut pending = Pending::default();
    // Brackets that have had their turn, with what they would take away: they do what their states do.
    let mut brackets: Vec<(usize, Vec<Step>)> = Vec::new();
    // States that do nothing but take up the result of an earlier run.
    let mut taken_up = Vec::new();
    run.event(Event::Asking { questions: plan.states.iter().map(|state| state.questions().len()).sum() });
    if let Err(error) = host.observe(&plan.states) {
        return (records.into_reports(), Some(Broken::asking(&error)));
    }
    // Before anything is pretended: what the host says of itself.
    let revisions: Vec<Option<String>> =
        plan.states.iter().map(|state| state.resource.revision(&host.facts).unwrap_or_default()).collect();
    let found: Vec<Option<String>> = plan.states.iter().map(|state| state.found(&host.facts)).collect();
    for index in 0..plan.states.len() {
        if run.interrupt.is_raised() {
            return (records.into_reports(), Some(Broken::interrupted()));
        }
        let chunk = &plan.graph.chunks()[index];
        let decision = host.settle(
            |facts| ahead(&plan.states, index + 1, facts),
            |facts| decide(run, index, facts, &records, Some(&pending)),
        );
        if plan.graph.is_bracket(index)
            && let Ok(Ok(Decision::Act(_) | Decision::Rest(None))) = &decision
        {
            let steps = match decision {
                Ok(Ok(Decision::Act(steps))) => steps,
                _ => Vec::new(),
            };
            brackets.push((index, steps));
            records.put(index, Record::new(chunk, Outcome::InSync, None));
            continue;
        }
        let record = match decision {
            Err(error) => return (records.into_reports(), Some(Broken::asking(&error))),
            Ok(Ok(Decision::Act(steps) | Decision::Held(steps, _))) => {
                let mut record = act(run, index, &steps);
                record.report.reason = to_take_up(&host.facts, chunk, &steps).or(record.report.reason);
                if is_done(&host.facts, chunk, &steps) {
                    taken_up.push(index);
                }
                record = record.with_holds(run.holds(index, &host.facts));
                for step in &steps {
                    host.facts.predict(&step.operation, &chunk.id);
                }
                pending.add(index, &steps);
                record
            }
            Ok(Ok(Decision::Rest(Some(reason)))) => match pending.before_guards(run, index, &records) {
                // The guard was asked of the host as it is; what it asks about is to change first.
                Some(by) => Record::new(chunk, Outcome::Unknown, Some(format!("{reason}; {by}"))),
                None => Record::new(chunk, Outcome::InSync, Some(reason)),
            },
            Ok(Ok(Decision::Rest(None))) => Record::new(chunk, Outcome::InSync, None)
                .with_remark(plan.states[index].resource.remark(&host.facts)),
            Ok(Ok(Decision::NotAsked(reason))) => Record::not_asked(chunk, Outcome::InSync, reason),
            Ok(Ok(Decision::Unmet(reason))) => Record::unmet(chunk, reason),
            Ok(Ok(Decision::Barred(reason))) => Record::barred(chunk, reason),
            Ok(Err(stop)) => stopped(run, index, &stop, &records, &pending),
        };
        let record = record.masked(&plan.secrets);
        run.event(Event::Finished(Box::new(record.report.clone())));
        records.put(index, record);
        if let Some(reason) = records.failhard(run, index) {
            for chunk in index + 1..plan.states.len() {
                let record = Record::unmet(&plan.graph.chunks()[chunk], reason.clone());
                records.put(chunk, record.masked(&plan.secrets));
            }
            break;
        }
    }
    for (index, steps) in &brackets {
        let mut inside = plan.graph.targets(*index, RequisiteKind::Around);
        inside.retain(|state| !taken_up.contains(state));
        let record = bracket(run, *index, steps, &inside, &records).masked(&plan.secrets);
        run.event(Event::Finished(Box::new(record.report.clone())));
        records.put(*index, record);
    }
    listen(run, host, &mut records, &pending);
    for (index, (revision, found)) in revisions.into_iter().zip(found).enumerate() {
        if let Some(record) = records.get_mut(index) {
            record.report.revision = revision;
            record.report.found = found;
            record.report.is_fleeting = plan.states[index].is_fleeting();
        }
    }
    (records.into_reports(), None)
}

/// A bracket does what the states do that it is around: it would be entered, or not, or nobody can tell.
fn bracket(run: &HostRun<'_>, index: usize, steps: &[Step], inside: &[usize], records: &Records) -> Record {
    let graph = &run.plan.graph;
    let chunk = &graph.chunks()[index];
    let is = |outcomes: &[Outcome]| {
        let found = inside.iter().find(|state| {
            records.get(**state).is_some_and(|record| outcomes.contains(&record.report.outcome))
        });
        found.map(|state| graph.chunks()[*state].id.as_str())
    };
    if let Some(id) = is(&[Outcome::Drift]).or_else(|| is(&[Outcome::Always])) {
        let reason = format!("entered before `{id}`, and left when that has ended");
        if steps.is_empty() {
            return Record::new(chunk, Outcome::InSync, Some(reason));
        }
        let outcome = if is(&[Outcome::Drift]).is_some() { Outcome::Drift } else { Outcome::Always };
        return Record::new(chunk, outcome, Some(reason)).with_steps(steps);
    }
    match is(&[Outcome::Unknown]) {
        Some(id) => Record::new(
            chunk,
            Outcome::Unknown,
            Some(format!("it is around `{id}`, which cannot be told yet")),
        ),
        None => Record::new(chunk, Outcome::InSync, Some("nothing that it is around has to act".to_owned())),
    }
}

fn act(run: &HostRun<'_>, index: usize, steps: &[Step]) -> Record {
    let always = steps.iter().all(|step| step.always);
    let doubt = steps.iter().find_map(|step| step.doubt.clone());
    let outcome = match (&doubt, always) {
        (Some(_), _) => Outcome::Unknown,
        (None, true) => Outcome::Always,
        (None, false) => Outcome::Drift,
    };
    Record::new(&run.plan.graph.chunks()[index], outcome, doubt).with_steps(steps)
}

/// What cannot be told because an earlier change has not been made is unknown; the rest is a failure.
fn stopped(run: &HostRun<'_>, index: usize, stop: &Stop, records: &Records, pending: &Pending) -> Record {
    let chunk = &run.plan.graph.chunks()[index];
    match (stop, pending.before(run, index, records)) {
        (Stop::Failed(reason), None) => Record::new(chunk, Outcome::Failed, Some(reason.clone())),
        (Stop::Failed(reason), Some(by)) => {
            Record::new(chunk, Outcome::Unknown, Some(format!("{reason}; {by}")))
        }
        (other, _) => Record::new(chunk, Outcome::Unknown, Some(other.to_string())),
    }
}

fn listen(run: &HostRun<'_>, host: &mut Host<'_>, records: &mut Records, pending: &Pending) {
    let changed = records.changed();
    for index in run.plan.graph.listeners() {
        let reaction = host.settle(|_| Vec::new(), |facts| listened(run, index, facts, records, &changed));
        let Some(mut record) = records.get(index).cloned() else { continue };
        match reaction {
            Ok(Ok(Reaction::Act(steps))) if record.report.outcome == Outcome::InSync => {
                record = act(run, index, &steps).masked(&run.plan.secrets);
            }
            Ok(Ok(Reaction::Act(steps))) => {
                let changes = steps.iter().flat_map(|step| &step.changes);
                record.report.changes.extend(changes.map(|change| run.plan.secrets.mask_change(change)));
                record.report.steps =
                    record.report.steps.into_iter().chain(Step::digest(&steps)).reduce(|a, b| a + &b);
            }
            Ok(Ok(Reaction::Guarded(reason)))
                if record.report.outcome == Outcome::InSync && pending.meets_guards(run, index) =>
            {
                let reason = format!("{reason}; may depend on a change that comes first");
                record = Record::new(&run.plan.graph.chunks()[index], Outcome::Unknown, Some(reason))
                    .masked(&run.plan.secrets);
            }
            _ => continue,
        }
        run.event(Event::Finished(Box::new(record.report.clone())));
        records.put(index, record);
    }
}
