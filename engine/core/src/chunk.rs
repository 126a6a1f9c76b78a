//! One low chunk: a state of the low state, as Salt names its parts.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Node, Position};

/// A state with one name, one function and its arguments, in the order in which they were compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The state module: `file`.
    pub state: String,
    /// Its function: `managed`.
    pub fun: String,
    /// The id under which it was declared.
    pub id: String,
    pub name: String,
    /// The SLS that declared it.
    pub sls: String,
    /// The SLS that brought its SLS into the run by `include`, the nearest first. Empty when it was named directly.
    pub included_from: Vec<String>,
    /// Salt's order number, with the fraction of `names`.
    pub order: f64,
    /// Everything else: the function's arguments, requisites and conditions, as written.
    pub arguments: Vec<(String, Node)>,
    /// Where the names of arguments stand, as far as they were written; under `name` where the name stands, which may be
    /// the id, and under `__id__` where the id does.
    pub places: BTreeMap<String, Position>,
    /// Where the function was declared (`file.managed:`).
    pub at: Position,
}

impl Chunk {
    pub fn argument(&self, name: &str) -> Option<&Node> {
        self.arguments.iter().find(|(n, _)| n == name).map(|(_, node)| node)
    }

    /// Where the name of an argument stands; without it, where its value does.
    pub fn place(&self, argument: &str) -> Option<&Position> {
        self.places.get(argument).or_else(|| self.argument(argument).map(|node| &node.at))
    }

    /// Where the id stands; without it, where the function does.
    pub fn id_place(&self) -> &Position {
        self.places.get("__id__").unwrap_or(&self.at)
    }

    /// `file.managed`.
    pub fn function(&self) -> String {
        format!("{}.{}", self.state, self.fun)
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.id)
    }
}
