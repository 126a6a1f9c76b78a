//! What must hold after a disturbed run and one undisturbed apply.

use std::collections::BTreeMap;
use std::time::Duration;

use kstate_core::{HostReport, Outcome, Plan};

use crate::deployment::{self, Kinds};
use crate::disturb::{Disturbed, Fault, Schedule};
use crate::fake::run::{PATIENCE, apply, apply_by, diff};
use crate::fake::{FakeHost, World};

/// How long a run may wait in all: what a lost connection costs, a few times over.
const LIMIT: Duration = Duration::from_secs(PATIENCE.as_secs() * 4 + 600);

/// How often each command had run, by the id of its state.
type Counts = BTreeMap<String, u32>;

/// Runs the deployment by a schedule, and tells which laws were broken.
pub fn broken(plan: &Plan, start: &World, schedule: &Schedule) -> Vec<String> {
    let host = FakeHost::new(start.clone());
    let way = Disturbed::new(std::sync::Arc::new(host.clone()), std::sync::Arc::new(host.clone()), schedule);
    let mut broken = Vec::new();
    let first = apply_by(plan, &host, "first", &way);
    way.end();
    if first.waited > LIMIT {
        broken.push(format!("the run waited {:?}", first.waited));
    }
    let after_first = host.world().clone();
    if !way.is_killed() {
        broken.extend(false_claims(&first.report, &after_first, schedule));
    }
    // The host goes on by itself for a while: its watchdogs see that a run is dead.
    host.world().pass(100);
    let second = apply(plan, &host, "second").report;
    let world = host.world().clone();
    broken.extend(second.error.iter().map(|error| format!("the second apply: {error}")));
    broken.extend(unconverged(&second));
    broken.extend(deployment::differs(&world));
    broken.extend(counted_wrong(&first.report, &after_first.counts, &world, way.is_killed(), schedule));
    let left = diff(plan, &host);
    let expected = ["broken", "after"];
    broken.extend(
        left.states
            .iter()
            .filter(|s| s.outcome == Outcome::Drift && !expected.contains(&s.id.as_str()))
            .map(|s| format!("`{}` still differs", s.id)),
    );
    broken.extend(world.strange.iter().map(|text| format!("a job that the host does not know: {text}")));
    broken
}

/// What the first report claims and the host does not have.
fn false_claims(report: &HostReport, world: &World, schedule: &Schedule) -> Vec<String> {
    let is_moved = schedule.iter().any(|(_, fault)| matches!(fault, Fault::Edit | Fault::Reboot { .. }));
    let claims = report.states.iter().filter(|s| matches!(s.outcome, Outcome::Changed | Outcome::Unchanged));
    let is_false = |id: &str| !is_moved && deployment::holds(id, world) == Some(false);
    let mut wrong: Vec<String> = claims
        .filter(|s| is_false(&s.id))
        .map(|s| format!("`{}` is called {}, and it is not so", s.id, s.outcome.name()))
        .collect();
    for state in &report.states {
        let count = world.counts.get(&state.id).copied().unwrap_or_default();
        match (state.outcome, deployment::kind(&state.id)) {
            (Outcome::Changed, Kinds::Command) if count == 0 => {
                wrong.push(format!("`{}` is called changed, and its command never ran", state.id));
            }
            (Outcome::Skipped, Kinds::Command)
                if count > 0
                    && !state.reason.as_deref().unwrap_or_default().contains("may not have begun") =>
            {
                wrong.push(format!(
                    "`{}` is called skipped ({:?}), and its command ran",
                    state.id, state.reason
                ));
            }
            _ => {}
        }
    }
    wrong
}

fn unconverged(second: &HostReport) -> Vec<String> {
    let expected = |id: &str| match id {
        "broken" => Outcome::Failed,
        "after" => Outcome::Skipped,
        _ => Outcome::Changed,
    };
    let is_off = |outcome, id: &str| match outcome {
        Outcome::Unchanged => matches!(id, "broken" | "after"),
        Outcome::Skipped => !matches!(id, "after" | "build"),
        other => other != expected(id),
    };
    let off = second.states.iter().filter(|s| is_off(s.outcome, &s.id));
    off.map(|s| format!("after the second apply `{}` is {}: {:?}", s.id, s.outcome.name(), s.reason))
        .collect()
}

/// Which commands ran too often, or not at all.
fn counted_wrong(
    first: &HostReport,
    after_first: &Counts,
    world: &World,
    is_killed: bool,
    schedule: &Schedule,
) -> Vec<String> {
    let count = |counts: &Counts, id: &str| counts.get(id).copied().unwrap_or_default();
    let edits = schedule.iter().filter(|(_, fault)| *fault == Fault::Edit).count() as u32;
    let fills = schedule.iter().any(|(_, fault)| matches!(fault, Fault::Fill { .. }));
    let mut wrong = Vec::new();
    let mut expect = |id: &str, least: u32, most: u32| {
        let (once, in_all) = (count(after_first, id), count(&world.counts, id));
        if in_all < least || in_all > most {
            let outcome =
                first.states.iter().find(|s| s.id == id).map(|s| (s.outcome.name(), s.reason.clone()));
            wrong.push(format!("`{id}` ran {once} times in the first run and {in_all} in all ({outcome:?})"));
        }
    };
    // Guarded: once, whatever happened. A full disk may end a command half-way, and then it is run again.
    let fails = u32::from(fills);
    expect("checkout", 1, 1 + fails);
    expect("migrate", 1, 1 + fails);
    // In each run once at most, and once in the last.
    expect("ping", 1 + u32::from(!is_killed && count(after_first, "ping") > 0), 2);
    // Once for the change; once more where nobody saw how it ended, or where the connection was lost for good before the host
    // could strike off that it is pending.
    let is_told =
        first.states.iter().any(|s| s.id == "build" && s.outcome == Outcome::Changed && s.reason.is_none());
    expect("build", 1, edits + if is_told && !is_killed { 1 } else { 2 });
    if count(after_first, "ping") > 1 {
        wrong.push("`ping` ran twice in one run".into());
    }
    wrong
}
