//! What a program printed and how it ended, with assertions that show all of it when they fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

#[derive(Clone)]
pub(crate) struct Output {
    pub(crate) command: String,
    /// `None`: it was ended by a signal.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Runs a program to its end, which has to come within `limit`.
#[track_caller]
pub(crate) fn run(command: &mut Command, stdin: &str, limit: Duration) -> Output {
    Running::start(command, stdin).wait(limit)
}

/// A program that has not come to its end yet.
pub(crate) struct Running {
    pub(crate) child: Child,
    command: String,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    started: Instant,
}

impl Running {
    pub(crate) fn start(command: &mut Command, stdin: &str) -> Running {
        let shown = format!("{command:?}");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let mut pipe = child.stdin.take().unwrap();
        let text = stdin.to_owned();
        thread::spawn(move || {
            let _ = pipe.write_all(text.as_bytes());
        });
        let stdout = reader(child.stdout.take().unwrap());
        let stderr = reader(child.stderr.take().unwrap());
        Running { child, command: shown, stdout, stderr, started: Instant::now() }
    }

    pub(crate) fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{} cannot be interrupted", self.command);
    }

    #[track_caller]
    pub(crate) fn wait(mut self, limit: Duration) -> Output {
        let deadline = self.started + limit;
        let (status, in_time) = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break (status.code(), true),
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
                None => {
                    let _ = self.child.kill();
                    break (self.child.wait().unwrap().code(), false);
                }
            }
        };
        let took = self.started.elapsed();
        let (stdout, stderr) = (self.stdout.join().unwrap(), self.stderr.join().unwrap());
        let output = Output { command: self.command, status, stdout, stderr, took };
        assert!(in_time, "not done after {limit:?}: {output}");
        output
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Output {
    #[track_caller]
    pub(crate) fn exits(&self, status: i32) -> &Self {
        assert!(self.status == Some(status), "it should end with {status}: {self}");
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.all().contains(text), "it should say `{text}`: {self}");
        self
    }

    #[track_caller]
    pub(crate) fn does_not_say(&self, text: &str) -> &Self {
        assert!(!self.all().contains(text), "it should not say `{text}`: {self}");
        self
    }

    #[track_caller]
    pub(crate) fn within(&self, seconds: u64) -> &Self {
        assert!(self.took < Duration::from_secs(seconds), "it took {:?}: {self}", self.took);
        self
    }

    /// What it printed, on both streams.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// The document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON: {error}: {self}"))
    }

    /// The report of the only target.
    #[track_caller]
    pub(crate) fn report(&self) -> Json {
        let document = self.json();
        let targets = document["targets"].as_object().unwrap_or_else(|| panic!("no targets: {self}"));
        assert_eq!(targets.len(), 1, "{self}");
        targets.values().next().unwrap().clone()
    }

    /// What became of each state of the only target, by id.
    #[track_caller]
    pub(crate) fn outcomes(&self) -> BTreeMap<String, String> {
        let report = self.report();
        let states = report["states"].as_array().unwrap();
        states.iter().map(|state| (text(&state["id"]), text(&state["outcome"]))).collect()
    }

    #[track_caller]
    pub(crate) fn outcome(&self, id: &str) -> String {
        self.outcomes().remove(id).unwrap_or_else(|| panic!("there is no `{id}`: {self}"))
    }

    /// The ids of the states with this outcome.
    #[track_caller]
    pub(crate) fn ids(&self, outcome: &str) -> BTreeSet<String> {
        self.outcomes().into_iter().filter(|(_, o)| o == outcome).map(|(id, _)| id).collect()
    }

    /// The state with this id.
    #[track_caller]
    pub(crate) fn state(&self, id: &str) -> Json {
        let report = self.report();
        let mut states = report["states"].as_array().unwrap().iter();
        states.find(|state| state["id"] == id).unwrap_or_else(|| panic!("there is no `{id}`: {self}")).clone()
    }

    #[track_caller]
    pub(crate) fn reason(&self, id: &str) -> String {
        text(&self.state(id)["reason"])
    }
}

pub(crate) fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "\n$ {}\n-- status: {:?}, after {:?}\n-- stdout:\n{}\n-- stderr:\n{}",
            self.command, self.status, self.took, self.stdout, self.stderr
        )
    }
}
