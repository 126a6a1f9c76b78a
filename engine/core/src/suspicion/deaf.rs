//! A `watch` of a state that does nothing of its own on a watched change.

use super::{States, requisites};
use crate::{Facts, Problem, RequisiteKind};

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, chunk, planned) in states.planned() {
        // A state that acts on it has steps to show, or questions to ask first.
        if planned.resource.refresh(&Facts::default()) != Ok(Vec::new()) {
            continue;
        }
        let watches = requisites(chunk)
            .find(|(kind, _)| matches!(kind, RequisiteKind::Watch | RequisiteKind::WatchAny));
        if let Some((_, entry)) = watches {
            problems.push(warning(&chunk.function()).at(&entry.at).of(&chunk.id));
        }
    }
    problems
}

/// Of a `watch` that means no more than `require`.
pub fn warning(function: &str) -> Problem {
    let message = format!("`{function}` does nothing of its own when a state that it watches changes");
    Problem::warning(message)
        .hint("write `require`, which is what it means here; or let what has to act on it watch")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, state, waits};
    use super::look;

    #[test]
    fn a_watch_without_effect_is_told() {
        assert_eq!(
            found(look, [state("a", "watch: b"), state("b", "")]),
            ["1: `test.nop` does nothing of its own when a state that it watches changes"]
        );
    }

    #[test]
    fn one_with_an_effect_is_not() {
        assert!(found(look, [waits("a", "watch: b"), state("b", "")]).is_empty());
    }
}
