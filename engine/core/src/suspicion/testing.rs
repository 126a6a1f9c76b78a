//! States to look at, a line each.

use super::States;
use crate::{
    Chunk, Claim, Conditions, Data, Due, Facts, Graph, Node, Operation, Planned, Position, Problem, Question,
    Resource, Step, Stop,
};

/// A state whose id and name are one, with what its function says of itself.
#[derive(Debug)]
pub(super) struct State {
    id: &'static str,
    requisites: String,
    creates: Vec<String>,
    function: Function,
}

#[derive(Clone, Debug)]
struct Function {
    due: Due,
    claims: Vec<Claim>,
}

/// `requisites`: `require: a`, `watch: test/a`, separated by commas.
pub(super) fn state(id: &'static str, requisites: &str) -> State {
    let function = Function { due: Due::Different, claims: Vec::new() };
    State { id, requisites: requisites.to_owned(), creates: Vec::new(), function }
}

pub(super) fn always(id: &'static str, requisites: &str) -> State {
    let state = state(id, requisites);
    State { function: Function { due: Due::Always, ..state.function }, ..state }
}

pub(super) fn waits(id: &'static str, requisites: &str) -> State {
    let state = state(id, requisites);
    State { function: Function { due: Due::Watched, ..state.function }, ..state }
}

impl State {
    pub(super) fn claims(mut self, thing: &str, shape: &str) -> State {
        self.function.claims.push(Claim::new(thing, shape));
        self
    }

    pub(super) fn takes_others(mut self, pattern: &str, except: &[&str]) -> State {
        let except = except.iter().map(|name| (*name).to_owned()).collect();
        self.function.claims.push(Claim::rest(pattern, "not a member", except));
        self
    }

    pub(super) fn creates(mut self, path: &str) -> State {
        self.creates.push(path.to_owned());
        self
    }
}

/// What a rule says of states, each on a line of its own: line and message, then line and word of each other place.
pub(super) fn found<const N: usize>(
    look: fn(&States<'_>) -> Vec<Problem>,
    states: [State; N],
) -> Vec<String> {
    let chunks: Vec<Chunk> = states.iter().zip(1..).map(|(state, line)| chunk(state, line)).collect();
    let graph = Graph::link(chunks).unwrap();
    let planned: Vec<Option<Planned>> = graph
        .chunks()
        .iter()
        .map(|chunk| {
            let state = states.iter().find(|state| state.id == chunk.id)?;
            let conditions = Conditions { creates: state.creates.clone(), ..Conditions::default() };
            Some(Planned { resource: Box::new(state.function.clone()), conditions })
        })
        .collect();
    let problems = look(&States { chunks: graph.chunks(), planned: &planned, graph: Some(&graph) });
    let mut lines = Vec::new();
    for problem in problems {
        lines.push(format!("{}: {}", problem.at.unwrap().line, problem.message));
        lines.extend(problem.related.iter().map(|(what, at)| format!("{}: {what}", at.line)));
    }
    lines
}

fn chunk(state: &State, line: u32) -> Chunk {
    let at = Position::new("a.sls", line, 1);
    let mut arguments: Vec<(String, Node)> = Vec::new();
    for requisite in state.requisites.split(", ").filter(|text| !text.is_empty()) {
        let (kind, name) = requisite.split_once(": ").unwrap();
        let name = match name.split_once('/') {
            Some((module, name)) => {
                Data::Map(vec![(Node::scalar(module, at.clone()), Node::scalar(name, at.clone()))])
            }
            None => Node::scalar(name, at.clone()).data,
        };
        let entry = Node { data: name, at: at.clone() };
        arguments.push((kind.to_owned(), Node { data: Data::List(vec![entry]), at: at.clone() }));
    }
    Chunk {
        state: "test".into(),
        fun: "nop".into(),
        id: state.id.into(),
        name: state.id.into(),
        sls: "tree".into(),
        places: Default::default(),
        included_from: Vec::new(),
        order: f64::from(line),
        arguments,
        at,
    }
}

impl Resource for Function {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    fn due(&self) -> Due {
        self.due
    }

    fn claims(&self) -> Vec<Claim> {
        self.claims.clone()
    }

    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(match self.due {
            Due::Different => Vec::new(),
            Due::Always | Due::Watched => vec![Step::new([], Operation::Nothing)],
        })
    }
}
