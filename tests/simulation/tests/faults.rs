//! Faults of a deployment on the host in memory: every single one, then pairs and triples by a seed.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and tells its figures")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kstate_core::Plan;

use kstate_simulation::deployment;
use kstate_simulation::disturb::{Disturbed, Fault, Schedule};
use kstate_simulation::fake::run::apply_by;
use kstate_simulation::fake::{FakeHost, World};
use kstate_simulation::laws::broken;
use kstate_simulation::random::Random;

/// The number of jobs of each exchange of an undisturbed run.
fn exchanges(plan: &Plan, start: &World) -> Vec<usize> {
    let host = FakeHost::new(start.clone());
    let way = Disturbed::new(Arc::new(host.clone()), Arc::new(host.clone()), &Vec::new());
    let ran = apply_by(plan, &host, "first", &way);
    assert_eq!(ran.report.error, None);
    way.jobs()
}

/// All faults that one exchange of so many jobs can meet.
fn faults(jobs: usize) -> Vec<Fault> {
    let mut faults = vec![Fault::Edit];
    for ran in 0..=jobs {
        faults.extend([Fault::Reboot { ran }, Fault::Kill { ran }]);
        faults.push(Fault::Lose { ran, known: 0, heard: false, refused: 0 });
        let known = [0, 1, ran / 2, ran.saturating_sub(1), ran]
            .into_iter()
            .filter(|known| *known <= ran && *known < jobs);
        let mut known: Vec<usize> = known.collect();
        known.dedup();
        faults.extend(known.into_iter().map(|known| Fault::Lose { ran, known, heard: true, refused: 0 }));
    }
    for refused in [1, 3, 100] {
        faults.push(Fault::Lose { ran: jobs, known: jobs / 2, heard: true, refused });
    }
    faults.extend([1, 2, 5].map(|exchanges| Fault::Fill { exchanges }));
    faults.extend([5, 30, 400].map(|seconds| Fault::Delay { seconds }));
    faults
}

fn any_fault(random: &mut Random) -> Fault {
    let ran = random.below(24);
    match random.below(12) {
        0 => Fault::Edit,
        1 => Fault::Fill { exchanges: 1 + random.below(4) },
        2 => Fault::Delay { seconds: [1, 6, 15, 40, 90][random.below(5)] },
        3 | 4 => Fault::Reboot { ran },
        5 | 6 => Fault::Kill { ran },
        7 => Fault::Lose { ran, known: 0, heard: false, refused: [0, 0, 1, 2, 40][random.below(5)] },
        _ => Fault::Lose {
            ran,
            known: random.below(ran + 1),
            heard: true,
            refused: [0, 0, 1, 2, 40][random.below(5)],
        },
    }
}

fn any_schedule(seed: u64, exchanges: usize) -> Schedule {
    let mut random = Random::new(seed);
    let many = 2 + random.below(2);
    let mut schedule: Schedule =
        (0..many).map(|_| (random.below(exchanges + 6), any_fault(&mut random))).collect();
    schedule.sort_by_key(|(at, _)| *at);
    schedule
}

/// Leaves out of a schedule what is not needed to break a law.
fn shrunken(mut schedule: Schedule, breaks: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut place = 0;
    while place < schedule.len() {
        let mut less = schedule.clone();
        less.remove(place);
        if breaks(&less) { schedule = less } else { place += 1 }
    }
    for place in 0..schedule.len() {
        while let Some(less) = lesser(&schedule, place).into_iter().find(|less| breaks(less)) {
            schedule = less;
        }
    }
    schedule
}

fn lesser(schedule: &Schedule, place: usize) -> Vec<Schedule> {
    let (at, fault) = schedule[place];
    let simpler = match fault {
        Fault::Lose { ran, known, heard, refused } => vec![
            Fault::Lose { ran, known, heard, refused: refused / 2 },
            Fault::Lose {
                ran: ran.saturating_sub(1),
                known: known.min(ran.saturating_sub(1)),
                heard,
                refused,
            },
            Fault::Lose { ran, known: known / 2, heard, refused },
        ],
        Fault::Reboot { ran } => vec![Fault::Reboot { ran: ran.saturating_sub(1) }],
        Fault::Kill { ran } => vec![Fault::Kill { ran: ran.saturating_sub(1) }],
        Fault::Fill { exchanges } => vec![Fault::Fill { exchanges: (exchanges / 2).max(1) }],
        Fault::Delay { seconds } => vec![Fault::Delay { seconds: seconds / 2 }],
        Fault::Edit => Vec::new(),
    };
    let others = simpler.into_iter().filter(|other| *other != fault);
    others
        .map(|other| {
            let mut less = schedule.clone();
            less[place] = (at, other);
            less
        })
        .collect()
}

/// Runs all schedules on all processors. A schedule that breaks a law is told with its seed, and shrunken.
fn hold(schedules: usize, make: impl Fn(usize) -> (String, Schedule) + Sync) {
    let (plan, start) = (deployment::plan(), deployment::world());
    let next = AtomicUsize::new(0);
    let failed = std::sync::Mutex::new((String::new(), 0));
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= schedules {
                        return;
                    }
                    let (name, schedule) = make(number);
                    if broken(&plan, &start, &schedule).is_empty() {
                        continue;
                    }
                    let mut failed = failed.lock().unwrap();
                    failed.1 += 1;
                    if failed.1 <= 10 {
                        let schedule = shrunken(schedule, |less| !broken(&plan, &start, less).is_empty());
                        let laws = broken(&plan, &start, &schedule).join("\n  ");
                        let _ = writeln!(failed.0, "{name}: {schedule:?}\n  {laws}");
                    }
                }
            });
        }
    });
    let (told, count) = failed.into_inner().unwrap();
    assert!(count == 0, "{count} of {schedules} schedules break a law; the first:\n{told}");
}

#[test]
fn every_single_fault_of_a_deployment_is_survived() {
    let exchanges = exchanges(&deployment::plan(), &deployment::world());
    let at = |(at, jobs): (usize, &usize)| faults(*jobs).into_iter().map(move |fault| vec![(at, fault)]);
    let all: Vec<Schedule> = exchanges.iter().enumerate().flat_map(at).collect();
    hold(all.len(), |number| (format!("fault {number}"), all[number].clone()));
}

/// `KSTATE_FAULT_SCHEDULES` says how many, `KSTATE_FAULT_SEED` where they begin: with 1 schedule it replays one seed.
#[test]
fn pairs_and_triples_of_faults_are_survived() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (schedules, first) = (number("KSTATE_FAULT_SCHEDULES", 500), number("KSTATE_FAULT_SEED", 1));
    let exchanges = exchanges(&deployment::plan(), &deployment::world()).len();
    let began = std::time::Instant::now();
    hold(schedules as usize, |number| {
        let seed = first + number as u64;
        (format!("seed {seed}"), any_schedule(seed, exchanges))
    });
    eprintln!("{schedules} schedules in {:?}", began.elapsed());
}
