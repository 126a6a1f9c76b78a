//! Runs beside real Salt: random trees of states that act, outcome by outcome (see `tests/salt/README.md`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use kstate_core::{
    Event, ExchangeError, HostReport, HostRun, Interrupt, Job, MachineClock, Map, Outcome, Output, Plan,
    Planned, Purpose, Question, Reply, Secrets, Sink, StateReport, Traffic, Transport,
};
use kstate_sls::{Answers, Options, Request, Root, SshSettings, Tree};
use serde_json::{Value as Json, json};

use super::salt::python;
use super::support::{Folder, repository};

/// This machine, each job in a `sh` of its own. What the engine keeps between runs is forgotten.
#[derive(Default)]
struct Machine {
    exchanges: u32,
}

impl Transport for Machine {
    fn exchange(&mut self, jobs: &[Job], _: &mut dyn FnMut(Output<'_>)) -> Result<Vec<Reply>, ExchangeError> {
        self.exchanges += 1;
        Ok(jobs.iter().map(reply).collect())
    }

    fn traffic(&self) -> Traffic {
        Traffic { round_trips: self.exchanges, ..Traffic::default() }
    }
}

fn reply(job: &Job) -> Reply {
    let is_kept = match job.purpose.as_deref() {
        Some(Purpose::Keep(_)) => true,
        Some(Purpose::Ask(questions)) => questions.contains(&Question::Kept),
        _ => false,
    };
    if is_kept {
        return Reply { stdout: b"@ now 160\n".to_vec(), ..Reply::default() };
    }
    let output = Command::new("sh").args(["-c", &job.script]).stdin(Stdio::null()).output().unwrap();
    let status = output.status.code().unwrap_or(255);
    Reply { status, stdout: output.stdout, stderr: output.stderr, ..Reply::default() }
}

struct Silent;

impl Sink for Silent {
    fn event(&self, _: &str, _: Event) {}
}

/// What kstate makes of a tree: what it shows, what it does, and what the commands wrote down. `None`: it does not compile.
struct Made {
    shown: HostReport,
    done: HostReport,
    log: Vec<String>,
}

impl Made {
    fn of(files: &Json) -> Option<Made> {
        let folder = Folder::new();
        let log = folder.path("log");
        folder.write("states/top.sls", "base: {'*': [a]}\n");
        for (name, text) in files.as_object().unwrap() {
            let text = text.as_str().unwrap().replace("@LOG@", &log.display().to_string());
            folder.write(&format!("states/{name}"), &text);
        }
        let plan = plan(&folder.path(""))?;
        let (interrupt, clock) = (Interrupt::default(), &MachineClock);
        let (claim, again, planned) = (None, None, None);
        let run = HostRun {
            target: "alpha",
            name: "r",
            plan: &plan,
            sink: &Silent,
            interrupt: &interrupt,
            clock,
            claim,
            again,
            accepted: &[],
            planned,
        };
        let shown = run.diff(&mut Machine::default());
        assert!(!log.exists(), "a diff changes nothing");
        let done = run.apply(&mut Machine::default());
        let log = fs::read_to_string(&log).unwrap_or_default();
        Some(Made { shown, done, log: log.split_whitespace().map(str::to_owned).collect() })
    }

    /// Where Salt's answer is another one.
    fn differences(&self, salt: &Json) -> Vec<String> {
        let mut found = Vec::new();
        let salts: BTreeMap<&str, &str> = salt["outcomes"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(state, outcome)| (state.as_str(), outcome.as_str().unwrap()))
            .collect();
        for state in &self.done.states {
            let name = Path::new(&state.name).display().to_string();
            let key = match name.split_once(">>") {
                Some((echo, rest)) => {
                    let end = rest.split_once(';').map(|(_, end)| format!(";{end}")).unwrap_or_default();
                    format!("{} {echo}>>@LOG@{end}", state.id)
                }
                None => format!("{} {name}", state.id),
            };
            let salts = salts.get(key.as_str()).copied().unwrap_or("nothing");
            if state.outcome.name() != salts {
                let (mine, reason) = (state.outcome.name(), state.reason.clone().unwrap_or_default());
                found.push(format!("{key}: Salt {salts}, kstate {mine} ({reason})"));
            }
        }
        let salts: Vec<&str> = salt["log"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
        if salts != self.log {
            found.push(format!("what ran: Salt {}, kstate {}", salts.join(" "), self.log.join(" ")));
        }
        found
    }

    /// What was predicted wrong. A state that was to change and failed is no fault of the prediction here: nobody can tell how
    /// a command ends. What follows from it is none either.
    fn mistaken(&self) -> Vec<String> {
        let pairs = self.shown.states.iter().zip(&self.done.states);
        let is_surprise = |(shown, done): &(&StateReport, &StateReport)| {
            matches!(shown.outcome, Outcome::Drift | Outcome::Always) && done.outcome == Outcome::Failed
        };
        if pairs.clone().any(|pair| is_surprise(&pair)) {
            return Vec::new();
        }
        let wrong = pairs.filter(|(shown, done)| !fits(shown, done));
        wrong
            .map(|(shown, done)| {
                format!("{}: predicted {}, happened {}", shown.id, shown.outcome.name(), done.outcome.name())
            })
            .collect()
    }
}

fn fits(shown: &StateReport, done: &StateReport) -> bool {
    match shown.outcome {
        Outcome::Unknown => true,
        Outcome::Drift | Outcome::Always => done.outcome == Outcome::Changed,
        Outcome::InSync if shown.asked => done.outcome == Outcome::Unchanged,
        // A run that `failhard` ends skips the rest.
        Outcome::InSync | Outcome::Skipped => done.outcome == Outcome::Skipped,
        other => done.outcome == other,
    }
}

fn plan(dir: &Path) -> Option<Plan> {
    let root = Root {
        dir: dir.to_owned(),
        file_roots: vec![dir.join("states")],
        pillar_roots: vec![dir.join("pillar")],
        roster: dir.join("roster"),
        ssh: SshSettings::default(),
        token_host: None,
        secrets: Vec::new(),
        options: Options::default(),
    };
    let (pillar, answers, grains) =
        (Map::new(), Answers::default(), [("id", "alpha")].into_iter().collect::<Map>());
    let request = Request { target: "alpha", grains: &grains, pillar: &pillar, sls: &[], answers: &answers };
    let tree = Tree::new(root);
    let compiled = tree.compile(&request);
    let sources = tree.sources(&request, &compiled);
    let declared = compiled.chunks().iter().map(|chunk| kstate_modules::declare(chunk, &sources).ok());
    let states: Option<Vec<Planned>> = declared
        .map(|state| state.map(|state| Planned { resource: state.resource, conditions: state.conditions }))
        .collect();
    Some(Plan { graph: compiled.graph.clone()?, states: states?, secrets: Secrets::default() })
}

/// What came of many random trees.
#[derive(Default)]
struct Tally {
    alike: usize,
    refused: usize,
    states: usize,
    unknown: usize,
    differing: BTreeMap<usize, (Json, Vec<String>)>,
}

impl Tally {
    fn take(&mut self, line: Json) {
        let Some(found) = self.look(&line) else {
            self.refused += 1;
            return;
        };
        if found.is_empty() {
            self.alike += 1;
        } else {
            self.differing.insert(line.to_string().len(), (line, found));
        }
    }

    /// The differences. `None`: Salt refuses the tree.
    fn look(&mut self, line: &Json) -> Option<Vec<String>> {
        line["salt"]["outcomes"].as_object()?;
        let Some(made) = Made::of(&line["files"]) else { return Some(vec!["only kstate refuses it".into()]) };
        self.states += made.done.states.len();
        self.unknown += made.shown.count(Outcome::Unknown);
        let mut found = made.differences(&line["salt"]);
        found.extend(made.mistaken());
        Some(found)
    }

    fn add(mut self, other: Tally) -> Tally {
        self.alike += other.alike;
        self.refused += other.refused;
        self.states += other.states;
        self.unknown += other.unknown;
        self.differing.extend(other.differing);
        self
    }
}

#[test]
#[ignore = "needs Salt"]
#[expect(clippy::print_stdout, reason = "it says how much was compared")]
fn random_trees_run_as_salt_runs_them() {
    let setting = |name: &str| std::env::var(name).ok().map(|value| value.parse::<usize>().unwrap());
    let (first, count) = (setting("KSTATE_SEED").unwrap_or(0), setting("KSTATE_RUNS").unwrap_or(300));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let tally = thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || trees(first + worker, count.div_ceil(workers), workers)))
            .collect();
        started.into_iter().map(|worker| worker.join().unwrap()).fold(Tally::default(), Tally::add)
    });
    let Tally { alike, refused, states, unknown, differing } = tally;
    println!(
        "{alike} trees run alike ({states} states, {unknown} of them unknown before), {refused} are refused, {} differ",
        differing.len()
    );
    for (line, found) in differing.values().take(20) {
        println!("seed {}: {}", line["seed"], found.join("; "));
    }
    let smallest = differing.into_values().next().map(|(line, found)| shrunken(line, found));
    assert!(smallest.is_none(), "a tree that differs:\n{}", smallest.unwrap_or_default());
    assert!(alike > count / 2, "only {alike} were compared");
}

/// Compares the trees of every `step`th seed while Salt runs them.
fn trees(first: usize, count: usize, step: usize) -> Tally {
    let mut salt = Command::new(python())
        .arg(script())
        .args([first, count, step].map(|number| number.to_string()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut tally = Tally::default();
    for line in BufReader::new(salt.stdout.take().unwrap()).lines() {
        tally.take(serde_json::from_str(&line.unwrap()).unwrap());
    }
    assert!(salt.wait().unwrap().success());
    tally
}

fn script() -> PathBuf {
    repository().join("tests/salt/runs.py")
}

/// The tree without all that can be left out of it while it still differs.
fn shrunken(mut line: Json, mut found: Vec<String>) -> String {
    let mut salt = Command::new(python())
        .arg(script())
        .arg("--answer")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = salt.stdin.take().unwrap();
    let mut from = BufReader::new(salt.stdout.take().unwrap()).lines();
    while let Some((smaller, differences)) = smaller(&line["files"]).into_iter().find_map(|files| {
        writeln!(to, "{}", json!({ "files": files })).unwrap();
        let answered: Json = serde_json::from_str(&from.next()?.unwrap()).unwrap();
        let differences = Tally::default().look(&answered)?;
        (!differences.is_empty()).then_some((answered, differences))
    }) {
        line = json!({ "seed": line["seed"], "files": smaller["files"], "salt": smaller["salt"] });
        found = differences;
    }
    drop(to);
    salt.wait().unwrap();
    let mut text = format!("seed {}\n", line["seed"]);
    for (name, content) in line["files"].as_object().unwrap() {
        let _ = write!(text, "--- {name}\n{}", content.as_str().unwrap());
    }
    format!("{text}=== {}\nSalt: {}", found.join("\n=== "), line["salt"])
}

/// The trees with one state, argument, or item less. They are text: a block is a line with all that is indented below it.
fn smaller(files: &Json) -> Vec<Json> {
    let mut all = Vec::new();
    for (name, text) in files.as_object().unwrap() {
        let lines: Vec<&str> = text.as_str().unwrap().lines().collect();
        for start in 0..lines.len() {
            let depth = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
            let below =
                lines[start + 1..].iter().take_while(|line| depth(line) > depth(lines[start])).count();
            let kept = [&lines[..start], &lines[start + 1 + below..]].concat();
            if kept.is_empty() {
                continue;
            }
            let mut files = files.clone();
            files[name] = Json::String(kept.join("\n") + "\n");
            all.push(files);
        }
    }
    all
}
