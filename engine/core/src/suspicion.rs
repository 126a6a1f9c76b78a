//! What is suspicious about the states of a host although they compile: each rule is a file and a line in [`RULES`]. A
//! rule tells what is almost certainly not meant, and passes over what may be.

mod contested;
mod deaf;
mod idle;
mod similar;
mod unguarded;
mod unmatched;

pub use deaf::warning as deaf_watch;

use crate::graph::entries;
use crate::{Chunk, Graph, Node, Planned, Problem, RequisiteKind};

/// The states of a host, as far as they compile.
#[derive(Clone, Copy, Debug)]
pub struct States<'a> {
    pub chunks: &'a [Chunk],
    /// One for each chunk; none where its arguments are wrong.
    pub planned: &'a [Option<Planned>],
    /// Its chunks are those above. None where requisites are wrong.
    pub graph: Option<&'a Graph>,
}

/// Looks at all states of a host.
type Rule = fn(&States<'_>) -> Vec<Problem>;

/// Every rule, sorted by name.
const RULES: [Rule; 6] =
    [contested::look, deaf::look, idle::look, similar::look, unguarded::look, unmatched::look];

/// Everything that is suspicious, as warnings, rule by rule.
pub fn look(states: &States<'_>) -> Vec<Problem> {
    RULES.iter().flat_map(|rule| rule(states)).collect()
}

impl States<'_> {
    /// The states whose arguments are right, with their places.
    fn planned(&self) -> impl Iterator<Item = (usize, &Chunk, &Planned)> {
        let all = self.chunks.iter().zip(self.planned).enumerate();
        all.filter_map(|(index, (chunk, planned))| Some((index, chunk, planned.as_ref()?)))
    }
}

/// The requisites of a state, as written, with their kinds.
fn requisites(chunk: &Chunk) -> impl Iterator<Item = (RequisiteKind, &Node)> {
    RequisiteKind::ALL
        .into_iter()
        .flat_map(|kind| entries(chunk.argument(kind.name())).into_iter().map(move |entry| (kind, entry)))
}

/// Whether something may keep a state from being run.
fn is_conditional(chunk: &Chunk, planned: &Planned) -> bool {
    planned.conditions.is_guarded() || requisites(chunk).any(|(kind, _)| kind.asks())
}

#[cfg(test)]
mod testing;
