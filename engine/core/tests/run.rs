//! The run of one host against a host in memory: order, requisites, grouping, proof, and what a lost connection leaves.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use kstate_core::question::{Answer, Ended};
use kstate_core::{
    Bracket, Change, Chunk, Command, Conditions, Data, Event, ExchangeCause, ExchangeError, Facts, Graph,
    HostReport, HostRun, Interrupt, Job, Node, Outcome, Output, Plan, Planned, Position, Question, Reply,
    Resource, Run, Secrets, Sink, Step, Stop, Touch, Traffic, Transport, Value,
};

/// A host that knows switches: `get NAME` prints one, `set NAME` turns it on, `fail` fails, `stuck NAME` claims to.
#[derive(Default)]
struct FakeHost {
    on: BTreeMap<String, u32>,
    log: Vec<String>,
    exchanges: usize,
    /// The connection breaks when this job comes.
    breaks_at: Option<&'static str>,
    /// What is written down that states owe, by its file.
    owed: BTreeMap<String, String>,
    /// Brackets that are written down, by their number, with what brings them back.
    brackets: BTreeMap<u32, String>,
}

impl FakeHost {
    /// What the engine itself keeps on the host.
    fn keep(&mut self, script: &str) -> Reply {
        let file = |before: &str| script.split(before).nth(1).map(|rest| rest[..16].to_owned());
        if let Some(file) = file("f=$K/owed/") {
            let id = script.split("id: ").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
            self.log.push(format!("{id} owes"));
            let fields = script.split("printf '%s\\n' ").nth(1).and_then(|rest| rest.split("; echo").next());
            let fields =
                fields.unwrap().split("' '").map(|field| field.trim_matches('\'')).collect::<Vec<_>>();
            self.owed.insert(file.clone(), format!("@ owed {file}\n{}\nsince: 100\n", fields.join("\n")));
        } else if let Some(file) = file("rm -f \"$K/owed/\"") {
            self.log.push("struck".into());
            self.owed.remove(&file);
        } else if let Some(restore) = script.split("restore of ").nth(1) {
            let name = restore.split('\'').next().unwrap().to_owned();
            self.log.push(format!("{name} noted"));
            let number = script.split("d=$r/").nth(1).unwrap()[..2].parse().unwrap();
            self.brackets.insert(number, name);
        } else if let Some(from) = script.split("leave \"$r\" ").nth(1) {
            let from: u32 = from.split(' ').next().unwrap().parse().unwrap();
            while self.brackets.last_key_value().is_some_and(|(number, _)| *number >= from) {
                let name = self.brackets.pop_last().unwrap().1;
                self.on.remove(&name);
                self.log.push(format!("{name} left"));
            }
        }
        let kept: String = self.owed.values().cloned().collect();
        Reply { stdout: format!("@ now 160\n{kept}").into_bytes(), ..Reply::default() }
    }

    fn run(&mut self, words: &[&str]) -> Reply {
        self.log.push(words.join(" "));
        let reply = |status, text: String| Reply::new(status, text, "");
        match words {
            ["get", name] => reply(i32::from(!self.on.contains_key(*name)), String::new()),
            ["set" | "dim", name] => {
                *self.on.entry((*name).to_owned()).or_default() += 1;
                reply(0, String::new())
            }
            // It stands only when what it leans on does.
            ["lean", name] => {
                if self.on.contains_key("ground") {
                    self.on.insert((*name).to_owned(), 1);
                }
                reply(0, String::new())
            }
            ["stuck", _] | ["true"] => reply(0, String::new()),
            _ => reply(3, "it does not work\n".into()),
        }
    }
}

/// Whether a script is the engine's own, and not a step of a state.
fn is_kept(script: &str) -> bool {
    (script.starts_with("K=") && !script.contains("export kstate_bracket")) || script.starts_with("mark()")
}

impl Transport for FakeHost {
    fn exchange(&mut self, jobs: &[Job], _: &mut dyn FnMut(Output<'_>)) -> Result<Vec<Reply>, ExchangeError> {
        self.exchanges += 1;
        let mut done = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            let line = job.script.lines().last().unwrap_or_default().to_owned();
            if self.breaks_at == Some(line.as_str()) {
                return Err(ExchangeError {
                    done,
                    running: Some(index),
                    cause: ExchangeCause::Lost("gone".into()),
                });
            }
            done.push(match is_kept(&job.script) {
                true => self.keep(&job.script),
                false => self.run(&line.split(' ').collect::<Vec<_>>()),
            });
        }
        Ok(done)
    }

    fn traffic(&self) -> Traffic {
        Traffic { logins: 1, round_trips: self.exchanges as u32, ..Traffic::default() }
    }
}

/// A state that turns a switch on.
#[derive(Debug)]
struct Switch {
    name: String,
    how: &'static str,
    touches: Vec<Touch>,
    /// A step goes before the one that turns it on.
    prepares: bool,
}

impl Switch {
    fn get(&self) -> Command {
        Command::words(["get", &self.name]).depends([Touch::Named(self.name.clone())])
    }
}

impl Resource for Switch {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Run(Box::new(self.get()))]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if facts.run(&self.get())?.ok() {
            return Ok(Vec::new());
        }
        if self.how == "gone" {
            return Err(Stop::Failed(format!("there is no {}", self.name)));
        }
        let run = Run::new(Command::words([self.how, &self.name]), self.touches.clone())
            .foretells(self.questions().remove(0), Answer::Run(Ended::default()));
        let mut steps = vec![Step::new([Change::new(self.name.as_str(), "off", "on")], run.into())];
        if self.prepares {
            steps.insert(0, Step::new([], Run::new(Command::words(["true"]), self.touches.clone()).into()));
        }
        Ok(steps)
    }

    fn is_bracket(&self) -> bool {
        true
    }

    fn bracket(&self, facts: &Facts) -> Result<Bracket, Stop> {
        Ok(Bracket { steps: self.diff(facts)?, restore: format!("restore of {}", self.name) })
    }

    fn may_hold_later(&self) -> bool {
        self.how == "lean"
    }

    fn refresh_beside(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if self.how == "dim" { self.refresh(facts) } else { Ok(Vec::new()) }
    }

    fn refresh(&self, _: &Facts) -> Result<Vec<Step>, Stop> {
        let run = Run::new(Command::words(["set", "refreshed"]), [Touch::Named("refreshed".into())]);
        Ok(vec![Step::new([Change::new("refresh", Value::Null, "done")], run.into())])
    }
}

fn at(line: u32) -> Position {
    Position::new("a.sls", line, 3)
}

/// States as `name how requisite:target,… `. `wild` may have changed anything; `twice` takes two steps.
fn plan(states: &[&str]) -> Plan {
    let chunks = states.iter().zip(1..).map(|(text, line)| {
        let mut words = text.split(' ');
        let name = words.next().unwrap().to_owned();
        let arguments = words.skip(1).map(|word| {
            let (kind, targets) = word.split_once(':').unwrap();
            let targets = targets.split(',').map(|target| Node::scalar(target, at(line))).collect();
            (kind.to_owned(), Node { data: Data::List(targets), at: at(line) })
        });
        Chunk {
            state: "service".into(),
            fun: "running".into(),
            id: name.clone(),
            name,
            sls: "a".into(),
            places: Default::default(),
            included_from: Vec::new(),
            order: 10000.0 + f64::from(line),
            arguments: arguments.collect(),
            at: at(line),
        }
    });
    let graph = Graph::link(chunks.collect()).unwrap();
    let how = |id: &str| {
        let text = states.iter().find(|text| text.split(' ').next() == Some(id)).unwrap();
        match text.split(' ').nth(1).unwrap_or("set") {
            "set" | "wild" | "twice" => "set",
            "stuck" => "stuck",
            "lean" => "lean",
            "dim" => "dim",
            "gone" => "gone",
            _ => "fail",
        }
    };
    let is = |id: &str, how: &str| states.iter().any(|text| text.starts_with(&format!("{id} {how}")));
    let planned = graph
        .chunks()
        .iter()
        .map(|chunk| Planned {
            resource: Box::new(Switch {
                name: chunk.id.clone(),
                how: how(&chunk.id),
                touches: vec![if is(&chunk.id, "wild") {
                    Touch::Anything
                } else {
                    Touch::Named(chunk.id.clone())
                }],
                prepares: is(&chunk.id, "twice"),
            }),
            conditions: Conditions::of(chunk, &[]).unwrap(),
        })
        .collect();
    Plan { graph: graph.into(), states: planned, secrets: Secrets::default() }
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Sink for Log {
    fn event(&self, _: &str, event: Event) {
        let line = match event {
            Event::Making { states } => format!("making {}", states.join("+")),
            Event::Finished(report) => format!("{} {}", report.id, report.outcome.name()),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

fn host_run<'a>(plan: &'a Plan, sink: &'a Log, interrupt: &'a Interrupt) -> HostRun<'a> {
    let (claim, again, planned) = (None, None, None);
    let clock = &kstate_core::MachineClock;
    HostRun { target: "t", name: "r", plan, sink, interrupt, clock, claim, again, accepted: &[], planned }
}

fn run(plan: &Plan, host: &mut FakeHost, apply: bool) -> (HostReport, Vec<String>) {
    let (sink, interrupt) = (Log::default(), Interrupt::default());
    let run = host_run(plan, &sink, &interrupt);
    let report = if apply { run.apply(host) } else { run.diff(host) };
    (report, sink.0.into_inner().unwrap())
}

fn outcomes(report: &HostReport) -> Vec<String> {
    report.states.iter().map(|state| format!("{} {}", state.id, state.outcome.name())).collect()
}

fn reason<'a>(report: &'a HostReport, id: &str) -> &'a str {
    report
        .states
        .iter()
        .find(|state| state.id == id)
        .and_then(|state| state.reason.as_deref())
        .unwrap_or_default()
}

#[test]
fn independent_states_are_made_and_proved_in_one_round_trip() {
    let mut host = FakeHost::default();
    let (report, events) = run(&plan(&["a set", "b set", "c set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed", "c changed"]);
    assert_eq!(events[0], "making a+b+c");
    assert_eq!(host.exchanges, 2, "{:#?}", host.log);
    let (second, _) = run(&plan(&["a set", "b set", "c set"]), &mut host, true);
    assert_eq!(outcomes(&second), ["a unchanged", "b unchanged", "c unchanged"]);
    assert_eq!(host.exchanges, 3);
}

#[test]
fn what_may_change_the_proof_of_an_earlier_state_comes_after_it() {
    let mut host = FakeHost::default();
    let (_, events) = run(&plan(&["a set", "b wild", "c set"]), &mut host, true);
    assert_eq!(events[..3], ["making a", "a changed", "making b"]);
}

#[test]
fn nothing_overtakes_the_second_step_of_an_earlier_state() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["a twice", "b set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed"]);
    let made: Vec<&str> =
        host.log.iter().map(String::as_str).filter(|line| !line.starts_with("get")).collect();
    assert_eq!(made, ["true", "set a", "set b"]);
}

#[test]
fn what_is_required_is_proved_first() {
    let mut host = FakeHost::default();
    let (report, events) = run(&plan(&["a set require:b", "b set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["b changed", "a changed"]);
    assert_eq!(events, ["making b", "b changed", "making a", "a changed"]);
}

#[test]
fn a_failure_skips_what_requires_it_and_nothing_else() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["a fail", "b set require:a", "c set", "d set onfail:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a failed", "b skipped", "c changed", "d changed"]);
    assert_eq!(reason(&report, "a"), "`fail a` ended with status 3: it does not work");
    assert_eq!(reason(&report, "b"), "`require` of `a` is not met");
}

#[test]
fn a_change_that_does_not_last_is_a_failure() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["a stuck"]), &mut host, true);
    assert_eq!(reason(&report, "a"), "applied, but still differs: a: off -> on");
}

#[test]
fn onchanges_waits_for_a_change() {
    let mut host = FakeHost::default();
    host.on.insert("a".into(), 1);
    let (report, _) = run(&plan(&["a set", "b set onchanges:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a unchanged", "b skipped"]);
    host.on.clear();
    let (report, _) = run(&plan(&["a set", "b set onchanges:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed"]);
}

#[test]
fn a_watched_change_refreshes_what_is_as_declared() {
    let mut host = FakeHost::default();
    host.on.insert("b".into(), 1);
    let (report, _) = run(&plan(&["a set", "b set watch:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed"]);
    assert_eq!(host.on.get("refreshed"), Some(&1));
}

#[test]
fn a_refresh_that_did_not_happen_is_owed_and_done_by_the_next_run() {
    let states = ["a set", "c fail require:a", "b set watch:a require:c"];
    let mut host = FakeHost::default();
    host.on.insert("b".into(), 1);
    let (report, _) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "c failed", "b skipped"]);
    assert!(host.log.contains(&"b owes".to_owned()), "{:#?}", host.log);

    let repaired = ["a set", "c set require:a", "b set watch:a require:c"];
    let (report, _) = run(&plan(&repaired), &mut host, false);
    assert_eq!(outcomes(&report), ["a in_sync", "c drift", "b drift"]);
    let owed = report.states[2].changes[0].to_string();
    assert_eq!(owed, "refresh (owed for 60 s, because of `a`): done");

    let (report, _) = run(&plan(&repaired), &mut host, true);
    assert_eq!(outcomes(&report), ["a unchanged", "c changed", "b changed"]);
    assert_eq!(host.on.get("refreshed"), Some(&1));
    assert!(host.owed.is_empty(), "{:?}", host.owed);
    let (report, _) = run(&plan(&repaired), &mut host, true);
    assert_eq!(outcomes(&report), ["a unchanged", "c unchanged", "b unchanged"]);
}

#[test]
fn a_refresh_is_owed_although_its_requirement_failed_before_the_change_came() {
    let states = ["c fail", "a set", "b set watch:a require:c"];
    let mut host = FakeHost::default();
    host.on.insert("b".into(), 1);
    let (report, _) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&report), ["c failed", "a changed", "b skipped"]);
    let repaired = ["c set", "a set", "b set watch:a require:c"];
    let (report, _) = run(&plan(&repaired), &mut host, false);
    assert_eq!(outcomes(&report), ["c drift", "a in_sync", "b drift"]);
    // Another tree that has a state of this id and name, and does not have what changed, owes nothing.
    let (report, _) = run(&plan(&["d set", "b set watch:d"]), &mut host, true);
    assert_eq!(outcomes(&report), ["d changed", "b changed"]);
    assert_eq!(host.on.get("refreshed"), Some(&1));
    let (report, _) = run(&plan(&["d set", "b set watch:d"]), &mut host, true);
    assert_eq!(outcomes(&report), ["d unchanged", "b unchanged"]);
    // The one that owes it does.
    let (report, _) = run(&plan(&repaired), &mut host, true);
    assert_eq!(outcomes(&report), ["c changed", "a unchanged", "b changed"]);
    assert_eq!(host.on.get("refreshed"), Some(&2));
    assert!(host.owed.is_empty(), "{:?}", host.owed);
}

#[test]
fn a_refresh_that_happened_is_owed_no_more() {
    let mut host = FakeHost::default();
    host.on.insert("b".into(), 1);
    let (report, _) = run(&plan(&["a set", "b set watch:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed"]);
    assert!(host.owed.is_empty(), "{:#?}", host.log);
    let position = |word: &str| host.log.iter().position(|line| line == word).unwrap();
    assert!(position("b owes") < position("set a") && position("set refreshed") < position("struck"));
}

#[test]
fn a_listener_reacts_once_after_everything() {
    let mut host = FakeHost::default();
    host.on.insert("a".into(), 1);
    let (report, events) = run(&plan(&["a set listen:b,c", "b set", "c set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed", "c changed"]);
    assert_eq!(host.on.get("refreshed"), Some(&1));
    assert_eq!(events.last().map(String::as_str), Some("a changed"));
}

#[test]
fn prereq_acts_before_a_change_and_only_then() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["a set prereq:b", "b set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed"]);
    let position = |word: &str| host.log.iter().position(|line| line == word).unwrap();
    assert!(position("set a") < position("set b"));
    host.on.remove("a");
    let (report, _) = run(&plan(&["a set prereq:b", "b set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a skipped", "b unchanged"]);
}

/// What was done on the host, in order.
fn made(host: &FakeHost) -> Vec<&str> {
    host.log.iter().map(String::as_str).filter(|line| !line.starts_with("get")).collect()
}

const NESTED: [&str; 4] =
    ["paused set around:work", "stopped set around:work require:paused", "before set", "work set"];

#[test]
fn brackets_are_entered_before_what_they_are_around_acts_and_left_in_reverse() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&NESTED), &mut host, false);
    assert_eq!(outcomes(&report), ["paused drift", "stopped drift", "before drift", "work drift"]);
    assert_eq!(made(&host), [""; 0]);
    let (report, _) = run(&plan(&NESTED), &mut host, true);
    assert_eq!(outcomes(&report), ["paused changed", "stopped changed", "before changed", "work changed"]);
    let order = [
        "paused noted",
        "set paused",
        "stopped noted",
        "set stopped",
        "set work",
        "stopped left",
        "paused left",
    ];
    let made: Vec<&str> = made(&host).into_iter().filter(|line| *line != "set before").collect();
    assert_eq!(made, order);
    assert!(!host.on.contains_key("paused") && !host.on.contains_key("stopped"));
}

#[test]
fn a_bracket_around_nothing_that_acts_is_not_entered() {
    let mut host = FakeHost::default();
    host.on.insert("work".into(), 1);
    let (report, _) = run(&plan(&NESTED), &mut host, true);
    assert_eq!(
        outcomes(&report),
        ["paused unchanged", "stopped unchanged", "before changed", "work unchanged"]
    );
    assert_eq!(made(&host), ["set before"]);
    let (report, _) = run(&plan(&NESTED), &mut host, false);
    assert_eq!(outcomes(&report), ["paused in_sync", "stopped in_sync", "before in_sync", "work in_sync"]);
}

#[test]
fn a_bracket_is_left_when_what_it_is_around_fails() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["paused set around:work", "work fail"]), &mut host, true);
    assert_eq!(outcomes(&report), ["paused changed", "work failed"]);
    assert!(host.brackets.is_empty() && !host.on.contains_key("paused"), "{:#?}", host.log);
}

#[test]
fn nothing_acts_in_a_bracket_that_cannot_be_entered() {
    let mut host = FakeHost::default();
    let states = ["paused set around:work", "stopped fail around:work require:paused", "work set"];
    let (report, _) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&report), ["paused changed", "stopped failed", "work skipped"]);
    assert_eq!(reason(&report, "work"), "`stopped`, which is around it, could not be entered");
    assert!(host.brackets.is_empty() && host.on.is_empty(), "{:#?}", host.log);
}

#[test]
fn a_bracket_stays_open_from_the_first_of_its_states_that_acts_to_the_last() {
    let mut host = FakeHost::default();
    host.on.insert("a".into(), 1);
    let (report, _) =
        run(&plan(&["paused set around:a,c", "a set", "b set", "c set", "d set"]), &mut host, true);
    assert_eq!(report.count(Outcome::Changed), 4);
    let made = made(&host);
    let position = |word: &str| made.iter().position(|line| *line == word).unwrap();
    assert!(
        position("set paused") < position("set c") && position("set c") < position("paused left"),
        "{made:?}"
    );
    assert!(position("paused left") < position("set d"), "{made:?}");
}

#[test]
fn a_lost_connection_leaves_the_brackets_to_the_host() {
    let mut host = FakeHost { breaks_at: Some("set work"), ..FakeHost::default() };
    let (report, _) = run(&plan(&["paused set around:work", "work set"]), &mut host, true);
    assert!(
        report.error.unwrap().ends_with("the host itself leaves `paused` when what it is around has ended")
    );
    assert_eq!(host.brackets.len(), 1);
}

#[test]
fn diff_shows_what_apply_makes_and_changes_nothing() {
    let states = ["a set", "b set require:a", "c set onchanges:a", "d fail", "e set require:d"];
    let mut host = FakeHost::default();
    let (shown, _) = run(&plan(&states), &mut host, false);
    assert_eq!(outcomes(&shown), ["a drift", "b drift", "c drift", "d drift", "e drift"]);
    assert!(host.on.is_empty());
    assert_eq!(host.exchanges, 1);
    let (made, _) = run(&plan(&states), &mut host, true);
    let changed: Vec<_> =
        made.states.iter().filter(|s| s.outcome == Outcome::Changed).map(|s| &s.changes).collect();
    assert_eq!(changed[..3], shown.states.iter().map(|s| &s.changes).collect::<Vec<_>>()[..3]);
}

#[test]
fn what_may_hold_later_is_tried_again_before_the_last() {
    let mut plan = plan(&["a lean", "ground set", "z set"]);
    let mut host = FakeHost::default();
    let (report, events) = run(&plan, &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "ground changed", "z changed"], "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("a changed"));
    plan = self::plan(&["a lean", "z set"]);
    let (report, _) = run(&plan, &mut FakeHost::default(), true);
    assert_eq!(reason(&report, "a"), "applied, but still differs: a: off -> on");
}

#[test]
fn a_guard_that_holds_cannot_be_relied_on_below_a_change() {
    let mut plan = plan(&["a set", "b set require:a", "c set require:b", "d set"]);
    for index in [1, 2, 3] {
        plan.states[index].conditions.unless = vec![Command::words(["true"])];
    }
    let mut host = FakeHost::default();
    let (report, _) = run(&plan, &mut host, false);
    assert_eq!(outcomes(&report), ["a drift", "b unknown", "c unknown", "d in_sync"]);
    assert_eq!(reason(&report, "c"), "`unless` is met: true; depends on `b`, which is to change first");
}

#[test]
fn a_lost_connection_says_what_was_done_and_what_was_running() {
    let mut host = FakeHost { breaks_at: Some("set b"), ..FakeHost::default() };
    let (report, _) = run(&plan(&["a set", "b set", "c set", "d set require:c"]), &mut host, true);
    assert_eq!(report.error.as_deref(), Some("the connection was lost: gone while `b` was running"));
    assert_eq!(outcomes(&report), ["a changed", "b failed", "c skipped", "d skipped"]);
    assert_eq!(reason(&report, "a"), "done, but not proved: the connection was lost");
    assert_eq!(reason(&report, "c"), "it may not have begun: the connection was lost");
}

#[test]
fn an_interrupt_ends_the_run_between_two_changes() {
    let interrupt = Interrupt::default();
    interrupt.raise();
    let (sink, plan, mut host) = (Log::default(), plan(&["a set"]), FakeHost::default());
    let report = host_run(&plan, &sink, &interrupt).apply(&mut host);
    assert!(report.interrupted);
    assert!(host.on.is_empty());
    assert_eq!(outcomes(&report), ["a skipped"]);
}

#[test]
fn what_cannot_succeed_is_failed_and_all_that_follows_is_skipped_through_all_generations() {
    let states = [
        "a gone",
        "b set require:a",
        "c set require_any:b",
        "d set watch:c",
        "e set prereq:d",
        "f set onchanges:b",
        "g set require:f",
        "h set onfail:a",
        "i set onfail:b,g",
        "j set listen:b",
        "k set require:e",
    ];
    let right = [
        ("a", "failed", "failed"),
        ("b", "skipped", "skipped"),
        ("c", "skipped", "skipped"),
        ("e", "skipped", "skipped"),
        ("d", "skipped", "skipped"),
        ("f", "in_sync", "skipped"),
        ("g", "drift", "changed"),
        ("h", "drift", "changed"),
        ("i", "in_sync", "skipped"),
        ("j", "drift", "changed"),
        ("k", "skipped", "skipped"),
    ];
    let mut host = FakeHost::default();
    let (shown, _) = run(&plan(&states), &mut host, false);
    assert_eq!(outcomes(&shown), right.map(|(id, diff, _)| format!("{id} {diff}")));
    assert_eq!(shown.count(Outcome::Skipped), 5);
    let (made, _) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&made), right.map(|(id, _, apply)| format!("{id} {apply}")));
}

#[test]
fn a_failure_that_no_earlier_change_can_mend_is_certain() {
    // What `a` changes is nothing that `b` asks about; a state that may change anything, or that `b` requires, may mend it.
    for (states, right, reason) in [
        (["a set", "b gone"], "b failed", "there is no b"),
        (["a wild", "b gone"], "b unknown", "there is no b; may depend on `a`, which is to change first"),
        (
            ["a set", "b gone require:a"],
            "b unknown",
            "there is no b; depends on `a`, which is to change first",
        ),
    ] {
        let (report, _) = run(&plan(&states), &mut FakeHost::default(), false);
        assert_eq!(outcomes(&report)[1], right);
        assert_eq!(self::reason(&report, "b"), reason);
    }
}

#[test]
fn a_failed_prereq_holds_its_change_back_and_all_that_follows_it() {
    let states = [
        "backup fail prereq:schema",
        "schema set",
        "migrate set onchanges:schema",
        "page set require:schema",
    ];
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&report), ["backup failed", "schema skipped", "migrate skipped", "page skipped"]);
    assert_eq!(reason(&report, "schema"), "`backup`, which has it under `prereq`, did not succeed");
    assert!(host.on.is_empty(), "{:?}", host.on);
    // Where there is nothing to change, there is nothing to hold back.
    host.on.insert("schema".into(), 1);
    let (report, _) =
        run(&plan(&["x fail", "backup set prereq:schema require:x", "schema set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["x failed", "backup skipped", "schema unchanged"]);
}

#[test]
fn a_state_that_onchanges_does_not_ask_for_breaks_nothing() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["a fail", "c set onchanges:a", "h set require:c"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a failed", "c skipped", "h changed"]);
    let (report, _) = run(&plan(&["f fail", "s set", "any set onchanges_any:f,s"]), &mut host, true);
    assert_eq!(outcomes(&report), ["f failed", "s changed", "any changed"]);
}

#[test]
fn what_a_failed_onchanges_command_had_to_do_stays_pending() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["code set", "build fail onchanges:code"]), &mut host, true);
    assert_eq!(outcomes(&report), ["code changed", "build failed"]);
    // The next diff shows it, and so does the one after a run in which it failed again.
    for _ in 0..2 {
        let (report, _) = run(&plan(&["code set", "build fail onchanges:code"]), &mut host, false);
        assert_eq!(outcomes(&report), ["code in_sync", "build drift"]);
        assert_eq!(
            report.states[1].changes[0].to_string(),
            "build (owed for 60 s, because of `code`): off -> on"
        );
        let (report, _) = run(&plan(&["code set", "build fail onchanges:code"]), &mut host, true);
        assert_eq!(outcomes(&report), ["code unchanged", "build failed"]);
    }
    // While what it follows is broken, it waits.
    let broken = ["x fail", "code set", "build set onchanges:code,x"];
    let (report, _) = run(&plan(&broken), &mut host, true);
    assert_eq!(outcomes(&report), ["x failed", "code unchanged", "build skipped"]);
    let (report, _) = run(&plan(&["code set", "build set onchanges:code"]), &mut host, true);
    assert_eq!(outcomes(&report), ["code unchanged", "build changed"]);
    assert!(host.owed.is_empty(), "{:?}", host.owed);
    let (report, _) = run(&plan(&["code set", "build set onchanges:code"]), &mut host, false);
    assert_eq!(outcomes(&report), ["code in_sync", "build in_sync"]);
}

#[test]
fn what_a_failed_change_has_asked_for_under_onchanges_is_not_kept() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["code fail", "build set onchanges:code"]), &mut host, true);
    assert_eq!(outcomes(&report), ["code failed", "build skipped"]);
    assert!(host.owed.is_empty(), "{:?}", host.owed);
}

#[test]
fn a_watched_refresh_is_made_beside_another_change_that_does_not_include_it() {
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&["a set", "b dim watch:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b changed"]);
    assert_eq!(made(&host).into_iter().filter(|line| *line == "set refreshed").count(), 1);
    let (report, _) = run(&plan(&["a set", "b dim watch:a"]), &mut host, true);
    assert_eq!(outcomes(&report), ["a unchanged", "b unchanged"]);
    // What is started anew needs no refresh.
    let mut host = FakeHost::default();
    run(&plan(&["a set", "b set watch:a"]), &mut host, true);
    assert!(!host.on.contains_key("refreshed"));
}

#[test]
fn a_listener_reacts_once_for_all_reasons_in_salts_order_and_after_a_failure_too() {
    let mut host = FakeHost::default();
    for name in ["l", "m"] {
        host.on.insert(name.into(), 1);
    }
    let states = ["m set listen:f", "l set", "a set listen_in:l", "b set listen_in:l", "f fail"];
    let (report, events) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&report), ["m changed", "l changed", "a changed", "b changed", "f failed"]);
    assert_eq!(report.states[1].changes[0].subject, "refresh (because of `a`, `b`)");
    assert_eq!(events[events.len() - 4..], ["making m", "m changed", "making l", "l changed"]);
    assert!(host.owed.is_empty(), "{:?}", host.owed);
}

#[test]
fn a_listener_respects_its_guards() {
    let mut plan = plan(&["a set", "b set listen:a"]);
    plan.states[1].conditions.onlyif = vec![Command::words(["get", "nothing"]).depends([])];
    let mut host = FakeHost::default();
    let (report, _) = run(&plan, &mut host, false);
    assert_eq!(outcomes(&report), ["a drift", "b in_sync"]);
    let (report, _) = run(&plan, &mut host, true);
    assert_eq!(outcomes(&report), ["a changed", "b unchanged"]);
    assert!(host.owed.is_empty() && !host.on.contains_key("refreshed"));
}

#[test]
fn a_listener_that_had_its_turn_before_the_change_has_its_reaction_written_down() {
    let states = ["x fail", "l set require:x listen:a", "a set"];
    let mut host = FakeHost::default();
    let (report, _) = run(&plan(&states), &mut host, true);
    assert_eq!(outcomes(&report), ["x failed", "l skipped", "a changed"]);
    assert_eq!(host.owed.len(), 1);
    host.on.insert("l".into(), 1);
    let (report, _) = run(&plan(&["x set", "l set require:x listen:a", "a set"]), &mut host, true);
    assert_eq!(outcomes(&report), ["x changed", "l changed", "a unchanged"]);
    assert_eq!(host.on.get("refreshed"), Some(&1));
    assert!(host.owed.is_empty());
}

#[test]
fn what_comes_before_a_failhard_is_made_and_listeners_react() {
    let mut host = FakeHost::default();
    host.on.insert("l".into(), 1);
    let mut plan = plan(&["l set listen:a", "a set", "b gone", "c set"]);
    plan.states[2].conditions.failhard = true;
    let (report, _) = run(&plan, &mut host, false);
    assert_eq!(outcomes(&report), ["l drift", "a drift", "b failed", "c skipped"]);
    let (report, _) = run(&plan, &mut host, true);
    assert_eq!(outcomes(&report), ["l changed", "a changed", "b failed", "c skipped"]);
    assert_eq!(host.on.get("refreshed"), Some(&1));
}
