//! A state that only acts on a watched change, and names what shall make it run by another requisite.

use super::{States, requisites};
use crate::{Due, Problem, RequisiteKind};

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    use RequisiteKind::{Listen, Watch, WatchAny};
    // `listen_in` of another state shows only in the graph.
    let Some(graph) = states.graph else { return Vec::new() };
    let hears = |index: usize| {
        graph.requisites(index).iter().any(|requisite| matches!(requisite.kind, Watch | WatchAny | Listen))
    };
    let mut problems = Vec::new();
    for (index, chunk, planned) in states.planned() {
        if planned.resource.due() != Due::Watched || hears(index) {
            continue;
        }
        // Without any such requisite it waits for states that other hosts have.
        if let Some((kind, entry)) = requisites(chunk).find(|(kind, _)| kind.asks()) {
            let (function, kind) = (chunk.function(), kind.name());
            let message = format!("`{function}` never runs: it waits for `watch`, and `{kind}` is none");
            let problem = Problem::warning(message).at(&entry.at).of(&chunk.id);
            problems.push(problem.hint(format!("write `watch` in place of `{kind}`")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, state, waits};
    use super::look;

    #[test]
    fn a_state_that_waits_in_vain_is_told() {
        assert_eq!(
            found(look, [waits("a", "onchanges: b"), state("b", "")]),
            ["1: `test.nop` never runs: it waits for `watch`, and `onchanges` is none"]
        );
    }

    #[test]
    fn one_that_hears_something_or_names_nothing_is_not() {
        for requisites in ["watch: b", "watch_any: b, onchanges: b", "listen: b, prereq: b", ""] {
            assert!(found(look, [waits("a", requisites), state("b", "")]).is_empty(), "{requisites}");
        }
        assert!(found(look, [waits("a", "onchanges: b"), state("b", "listen_in: a")]).is_empty());
    }
}
