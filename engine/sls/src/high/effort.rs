//! What extending may cost. `extend` and the `_in` requisites look at every state for a name that is no id, and what they
//! add to a list is added at every alias of it: a short file can ask for more than any machine can do.

use kstate_core::{Data, Node, Position, Problem, Value};

use super::{Body, HighState, Item, Module};
use crate::limits;

/// The steps made so far. Looking at an argument is one; a part that is added counts as [`PART`] of them.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    steps: usize,
    /// The additions so far that repeat earlier ones.
    repeats: usize,
    /// Where the limit was passed.
    passed: Option<Position>,
}

/// The price of a part, in steps: a run may add as many parts as `names` may repeat.
pub(crate) const PART: usize = limits::EXTENDING / limits::REPEATED;

impl Effort {
    /// Whether so many more steps can be made for what stands there.
    pub(crate) fn allows(&mut self, steps: usize, at: &Position) -> bool {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > limits::EXTENDING && self.passed.is_none() {
            self.passed = Some(at.clone());
        }
        self.passed.is_none()
    }

    /// Returns true while the run may add so many more repetitions.
    pub(crate) fn allows_repeats(&mut self, count: usize) -> bool {
        self.repeats = self.repeats.saturating_add(count);
        self.repeats <= limits::REPEATED_IN
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.passed.is_some()
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        let message = "`extend` and the `_in` requisites of this run ask for too much work, up to here";
        let problem = Problem::error(message).at(self.passed.as_ref()?);
        let problem = problem.hint("name states by their ids: for any other name all states are looked at");
        Some(
            problem.hint(
                "extend no list that many aliases repeat, and split a long `_in` list over several states",
            ),
        )
    }
}

/// The steps that it takes to look at all that is declared.
pub(crate) fn size(high: &HighState) -> usize {
    high.states.iter().flat_map(|state| &state.modules).map(|module| 1 + module.items().len()).sum()
}

/// The parts of a list, as the limit of a document counts them.
pub(crate) fn parts(nodes: &[Node]) -> usize {
    nodes.iter().map(parts_of).sum()
}

pub(crate) fn parts_of(node: &Node) -> usize {
    1 + match &node.data {
        Data::Scalar(Value::Text(text)) => text.len() / limits::PART_BYTES,
        Data::Scalar(_) => 0,
        Data::List(items) => parts(items),
        Data::Map(entries) => entries.iter().map(|(key, value)| parts_of(key) + parts_of(value)).sum(),
    }
}

/// The parts of a module's arguments.
pub(crate) fn parts_of_module(module: &Module) -> usize {
    let of_item = |item: &Item| match item {
        Item::Arguments { entries, .. } => {
            entries.iter().map(|(name, value)| parts_of(name) + parts_of(value)).sum()
        }
        Item::Function { .. } | Item::Other(_) => 1,
    };
    match &module.body {
        Body::List(items) => items.iter().map(of_item).sum(),
        Body::Other(_) => 1,
    }
}
