//! What `diff` says beside what `apply` does, for random sets of states on the host in memory.

#![expect(clippy::print_stderr, reason = "the test tells its figures")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kstate_core::{Outcome, StateReport};
use kstate_simulation::fake::{FakeHost, World, run, tree};
use kstate_simulation::random::Random;
use kstate_simulation::sets::{Declared, any_set, any_world, sls};

/// How many of 100 predictions may be wrong, and how many unknown. The aim is 0 and 8; whoever makes predictions truer lowers these.
const WRONG: usize = 8;
const UNKNOWN: usize = 30;

/// What one set came to.
#[derive(Default)]
struct Told {
    /// How often what was predicted became what.
    table: BTreeMap<(&'static str, &'static str), usize>,
    /// The wrong predictions: of a state, or a change by a mere look, or a second apply that finds something.
    wrong: Vec<String>,
}

fn is_right(shown: &StateReport, made: &StateReport) -> bool {
    match shown.outcome {
        Outcome::Unknown => true,
        Outcome::InSync if !shown.asked => matches!(made.outcome, Outcome::Skipped | Outcome::Unchanged),
        Outcome::InSync => made.outcome == Outcome::Unchanged,
        Outcome::Drift | Outcome::Always => made.outcome == Outcome::Changed,
        other => made.outcome == other,
    }
}

/// `None`: it does not compile.
fn look(states: &[Declared], world: &World) -> Option<Told> {
    let plan = tree::plan(&sls(states), &[]).ok()?;
    let host = FakeHost::new(world.clone());
    let before = host.world().unchanged_by_a_look();
    let shown = run::diff(&plan, &host).states;
    let mut told = Told::default();
    if host.world().unchanged_by_a_look() != before {
        told.wrong.push("a look has changed the host".into());
    }
    let made = run::apply(&plan, &host, "one").report;
    if let Some(error) = &made.error {
        told.wrong.push(format!("the run ended: {error}"));
    }
    for (shown, made) in shown.iter().zip(&made.states) {
        *told.table.entry((shown.outcome.name(), made.outcome.name())).or_default() += 1;
        if !is_right(shown, made) {
            let because = |state: &StateReport| state.reason.clone().unwrap_or_default();
            told.wrong.push(format!(
                "`{}` ({} {}) was called {} ({}) and is {} ({})",
                shown.id,
                shown.function,
                shown.name,
                shown.outcome.name(),
                because(shown),
                made.outcome.name(),
                because(made)
            ));
        }
    }
    told.wrong
        .extend(host.world().strange.iter().map(|text| format!("a job that the host does not know: {text}")));
    Some(told)
}

/// Leaves out states that are not needed for a wrong prediction.
fn shrunken(mut states: Vec<Declared>, world: &World) -> Vec<Declared> {
    let is_wrong = |states: &[Declared]| look(states, world).is_some_and(|told| !told.wrong.is_empty());
    let mut place = 0;
    while place < states.len() {
        let mut less = states.clone();
        less.remove(place);
        if is_wrong(&less) { states = less } else { place += 1 }
    }
    for place in 0..states.len() {
        for argument in (0..states[place].arguments.len()).rev() {
            let mut less = states.clone();
            less[place].arguments.remove(argument);
            if is_wrong(&less) {
                states = less;
            }
        }
        for requisite in (0..states[place].requisites.len()).rev() {
            let mut less = states.clone();
            less[place].requisites.remove(requisite);
            if is_wrong(&less) {
                states = less;
            }
        }
    }
    states
}

/// `KSTATE_PREDICTION_STATES` says how many states, `KSTATE_PREDICTION_SEED` where the seeds begin: with 1 state it replays one.
#[test]
fn what_diff_says_is_what_apply_does() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (wanted, first) = (number("KSTATE_PREDICTION_STATES", 1500), number("KSTATE_PREDICTION_SEED", 1));
    let (next, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let all = Mutex::new((Told::default(), Vec::new(), 0));
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while seen.load(Ordering::Relaxed) < wanted as usize {
                    let seed = first + next.fetch_add(1, Ordering::Relaxed) as u64;
                    let mut random = Random::new(seed);
                    let world = any_world(&mut random);
                    let states = any_set(&mut random, 20);
                    let Some(told) = look(&states, &world) else {
                        all.lock().unwrap().2 += 1;
                        seen.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    seen.fetch_add(told.table.values().sum(), Ordering::Relaxed);
                    let mut all = all.lock().unwrap();
                    for (key, count) in told.table {
                        *all.0.table.entry(key).or_default() += count;
                    }
                    if !told.wrong.is_empty() {
                        all.0.wrong.extend(told.wrong.iter().cloned());
                        all.1.push(seed);
                    }
                }
            });
        }
    });
    let (told, mut seeds, refused) = all.into_inner().unwrap();
    seeds.sort_unstable();
    let total: usize = told.table.values().sum();
    let unknown: usize =
        told.table.iter().filter(|((shown, _), _)| *shown == "unknown").map(|(_, count)| count).sum();
    eprintln!("predicted  happened   states");
    for ((shown, made), count) in &told.table {
        eprintln!("{shown:10} {made:10} {count:6}");
    }
    eprintln!(
        "{total} states, {unknown} unknown, {} wrong in {} sets; {refused} sets do not compile",
        told.wrong.len(),
        seeds.len()
    );
    for seed in seeds.iter().take(8) {
        let mut random = Random::new(*seed);
        let world = any_world(&mut random);
        let states = shrunken(any_set(&mut random, 20), &world);
        let wrong = look(&states, &world).unwrap().wrong.join("\n  ");
        eprintln!("seed {seed}:\n{}  {wrong}", sls(&states));
    }
    assert!(total > 0);
    assert!(told.wrong.len() * 100 <= total * WRONG, "{} predictions of {total} are wrong", told.wrong.len());
    assert!(unknown * 100 <= total * UNKNOWN, "{unknown} of {total} are unknown");
}
