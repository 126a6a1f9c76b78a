//! A command that nothing keeps from running every time.

use std::collections::BTreeMap;

use super::{States, is_conditional};
use crate::{Chunk, Due, Graph, Problem, Requisite, RequisiteKind};

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    let unguarded = states.planned().filter(|(_, chunk, planned)| {
        planned.resource.due() == Due::Always && !is_conditional(chunk, planned)
    });
    let mut problems: BTreeMap<usize, Problem> =
        unguarded.map(|(index, chunk, _)| (index, problem(chunk))).collect();
    if let Some(graph) = states.graph.filter(|_| !problems.is_empty()) {
        add_followers(graph, &mut problems);
    }
    problems.into_values().collect()
}

fn problem(chunk: &Chunk) -> Problem {
    let message = format!("`{}` runs every time, for nothing says when it is due", chunk.function());
    let hint =
        "guard it by `unless`, `onlyif` or `creates`, or name the state that is its reason by `onchanges`";
    Problem::warning(message).at(&chunk.at).of(&chunk.id).hint(hint)
}

/// Adds the states that have something to do whenever one of the commands has run.
fn add_followers(graph: &Graph, commands: &mut BTreeMap<usize, Problem>) {
    use RequisiteKind::{Listen, Onchanges, OnchangesAny, Watch, WatchAny};
    for (index, chunk) in graph.chunks().iter().enumerate() {
        let follows = |requisite: &&Requisite| {
            matches!(requisite.kind, Listen | Onchanges | OnchangesAny | Watch | WatchAny)
        };
        for requisite in graph.requisites(index).iter().filter(follows) {
            for target in &requisite.targets {
                let Some(problem) = commands.get_mut(target) else { continue };
                let what = format!("`{}` of `{}` acts on it every time", chunk.function(), chunk.id);
                problem.related.push((what, requisite.at.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{always, found, state};
    use super::look;

    #[test]
    fn a_command_without_a_guard_is_told() {
        assert_eq!(
            found(look, [always("a", "")]),
            ["1: `test.nop` runs every time, for nothing says when it is due"]
        );
    }

    #[test]
    fn a_guarded_command_is_not() {
        assert!(found(look, [always("a", "").creates("/x"), state("b", "")]).is_empty());
        for kind in ["onchanges", "onchanges_any", "prereq", "onfail", "onfail_any", "onfail_all"] {
            assert!(found(look, [always("a", &format!("{kind}: b")), state("b", "")]).is_empty(), "{kind}");
        }
    }

    #[test]
    fn a_watch_is_no_guard() {
        assert_eq!(found(look, [always("a", "watch: b"), state("b", "")]).len(), 1);
    }

    #[test]
    fn what_follows_it_is_named() {
        let told = found(look, [always("a", ""), state("b", "watch: a"), state("c", "require: a")]);
        assert_eq!(told[1..], ["2: `test.nop` of `b` acts on it every time"]);
    }
}
