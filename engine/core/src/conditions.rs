//! What every state may say about whether and how often it runs: `unless`, `onlyif`, `creates`, `check_cmd`, `retry`,
//! `failhard`.

use std::fmt;
use std::time::Duration;

use crate::{Chunk, Command, Data, Facts, Node, Position, Problem, Question, Stop, Value, needs};

#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// The state does not run if all of these succeed.
    pub unless: Vec<Command>,
    /// It runs only if all of these succeed.
    pub onlyif: Vec<Command>,
    /// It does not run if all of these exist.
    pub creates: Vec<String>,
    /// These must succeed after a change.
    pub check: Vec<Command>,
    pub retry: Option<Retry>,
    /// Its failure ends the run of this host.
    pub failhard: bool,
    /// Questions about what its steps are likely to need: its user, its directory.
    pub needs: Vec<Question>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub attempts: u32,
    pub interval: Duration,
}

impl Conditions {
    /// Reads the conditions of a chunk. `own` are those that its function takes itself.
    pub fn of(chunk: &Chunk, own: &[&str]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut take = |name: &str| -> Vec<(String, Node)> {
            let Some(node) = chunk.argument(name).filter(|_| !own.contains(&name)) else { return Vec::new() };
            let items = match &node.data {
                Data::List(items) => items.iter().collect(),
                Data::Scalar(Value::Null) => Vec::new(),
                _ => vec![node],
            };
            let mut words = Vec::new();
            for item in items {
                match (&item.data, item.text()) {
                    (_, Some(text)) => words.push((text.to_owned(), item.clone())),
                    // Salt takes a boolean for the outcome of a command.
                    (Data::Scalar(Value::Bool(b)), _) => words.push((b.to_string(), item.clone())),
                    _ if name == "creates" => {
                        let message = format!("`creates` takes paths, not {}", item.value().kind());
                        problems.push(wrong(chunk, message, &item.at));
                    }
                    _ => problems.push(
                        wrong(
                            chunk,
                            format!(
                                "`{name}` takes commands; a call of an execution module is not supported"
                            ),
                            &item.at,
                        )
                        .hint(format!("write what it checks as a shell command: `- {name}: test -e /path`")),
                    ),
                }
            }
            words
        };
        let commands = |words: Vec<(String, Node)>| -> Vec<Command> {
            words.into_iter().map(|(line, _)| command(chunk, &line)).collect()
        };
        let conditions = Conditions {
            unless: commands(take("unless")),
            onlyif: commands(take("onlyif")),
            creates: take("creates").into_iter().map(|(path, _)| path).collect(),
            check: commands(take("check_cmd")),
            retry: None,
            needs: needs::expected(chunk),
            failhard: matches!(chunk.argument("failhard").map(Node::value), Some(Value::Bool(true))),
        };
        match chunk.argument("retry").map(|node| retry(chunk, node)).transpose() {
            Ok(retry) if problems.is_empty() => Ok(Conditions { retry: retry.flatten(), ..conditions }),
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }

    pub fn is_guarded(&self) -> bool {
        !(self.unless.is_empty() && self.onlyif.is_empty() && self.creates.is_empty())
    }

    pub fn questions(&self) -> Vec<Question> {
        let commands = self.unless.iter().chain(&self.onlyif);
        commands
            .map(|command| Question::Run(Box::new(command.clone())))
            .chain(self.creates.iter().cloned().map(Question::Path))
            .collect()
    }

    /// Why the state need not run. `None`: it has to.
    pub fn hold(&self, facts: &Facts) -> Result<Option<String>, Stop> {
        facts.need(self.questions())?;
        for command in &self.onlyif {
            if !facts.run(command)?.ok() {
                return Ok(Some(format!("`onlyif` is not met: {}", brief(command))));
            }
        }
        if !self.unless.is_empty() && all(&self.unless, |command| Ok(facts.run(command)?.ok()))? {
            return Ok(Some(format!("`unless` is met: {}", brief(&self.unless[0]))));
        }
        let exists = |path: &String| Ok(facts.path(path)?.is_some_and(|info| info.followed().is_some()));
        if !self.creates.is_empty() && all(&self.creates, exists)? {
            return Ok(Some(format!("`creates` is there: {}", self.creates[0])));
        }
        Ok(None)
    }
}

fn all<T>(items: &[T], holds: impl Fn(&T) -> Result<bool, Stop>) -> Result<bool, Stop> {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first line of a command.
fn brief(command: &Command) -> String {
    let line = command.to_string();
    match line.split_once('\n') {
        Some((first, rest)) if !rest.trim().is_empty() => format!("{first} …"),
        Some((first, _)) => first.to_owned(),
        None => line,
    }
}

/// A condition runs as its state does: as the same user, in the same place, with the same environment.
fn command(chunk: &Chunk, line: &str) -> Command {
    let text = |name: &str| chunk.argument(name).and_then(Node::text).map(str::to_owned);
    let mut command =
        Command::shell(line).at_home().user(text("runas").filter(|user| user != "root").as_deref());
    command.dir = text("cwd");
    if let (crate::command::Program::Shell { shell, .. }, Some(own)) = (&mut command.program, text("shell")) {
        // `shell` of `user.present` is a login shell, not an interpreter of ours.
        if chunk.state == "cmd" {
            *shell = own;
        }
    }
    if let Some(env) = chunk.argument("env") {
        command.env = environment(env);
    }
    command
}

/// `env` as Salt takes it: a mapping, or a list of mappings.
pub fn environment(node: &Node) -> Vec<(String, String)> {
    let pair = |(key, value): &(Node, Node)| (key.value().to_string(), value.value().to_string());
    match &node.data {
        Data::Map(entries) => entries.iter().map(pair).collect(),
        Data::List(items) => items.iter().flat_map(|item| item.map().unwrap_or_default()).map(pair).collect(),
        Data::Scalar(_) => Vec::new(),
    }
}

/// What `retry` takes.
const RETRY: [&str; 4] = ["attempts", "interval", "until", "splay"];

fn wrong(chunk: &Chunk, message: impl fmt::Display, at: &Position) -> Problem {
    Problem::error(format!("{}: {message}", chunk.function())).at(at).of(chunk.id.as_str())
}

/// `retry: True` is Salt's default: 2 attempts, 30 s apart.
fn retry(chunk: &Chunk, node: &Node) -> Result<Option<Retry>, Problem> {
    let default = Retry { attempts: 2, interval: Duration::from_secs(30) };
    let entries: Vec<&(Node, Node)> = match &node.data {
        Data::Scalar(Value::Bool(true)) => return Ok(Some(default)),
        Data::Scalar(Value::Bool(false) | Value::Null) => return Ok(None),
        Data::Map(entries) => entries.iter().collect(),
        Data::List(items) => items.iter().flat_map(|item| item.map().unwrap_or_default()).collect(),
        Data::Scalar(other) => {
            let message = format!("`retry` takes `True` or a mapping, not {}", other.kind());
            return Err(wrong(chunk, message, &node.at));
        }
    };
    let mut retry = default;
    for (key, value) in entries {
        let (name, at) = (key.value().to_string(), &key.at);
        let number = match value.value() {
            Value::Int(n) if n >= 0 => u32::try_from(n).unwrap_or(u32::MAX),
            _ if !RETRY.contains(&name.as_str()) || name == "until" => 0,
            _ => {
                return Err(wrong(chunk, format!("`retry`: `{name}` takes a whole number"), &value.at));
            }
        };
        match name.as_str() {
            "attempts" => retry.attempts = number.max(1),
            "interval" => retry.interval = Duration::from_secs(number.into()),
            // Salt: `splay` spreads many minions; over SSH there is nothing to spread.
            "until" | "splay" => {}
            _ => {
                return Err(wrong(chunk, format!("`retry` has no `{name}`"), at)
                    .hint(format!("it takes {}", RETRY.map(|name| format!("`{name}`")).join(", "))));
            }
        }
    }
    Ok(Some(retry))
}
