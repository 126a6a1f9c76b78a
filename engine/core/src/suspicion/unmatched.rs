//! A requisite whose pattern fits no state.

use super::{States, requisites};
use crate::Problem;

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    let Some(graph) = states.graph else { return Vec::new() };
    let mut problems = Vec::new();
    for (index, chunk) in graph.chunks().iter().enumerate() {
        for requisite in graph.requisites(index).iter().filter(|requisite| requisite.targets.is_empty()) {
            let written = requisites(chunk).find(|(_, entry)| entry.at == requisite.at);
            let names = written.map(|(_, entry)| entry.value().to_string()).unwrap_or_default();
            let message = format!(
                "`{}` names `{}`, which no state fits",
                requisite.kind.name(),
                names.trim_matches(['{', '}'])
            );
            problems.push(Problem::warning(message).at(&requisite.at).of(&chunk.id));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, state};
    use super::look;

    #[test]
    fn a_pattern_that_fits_nothing_is_told() {
        assert_eq!(
            found(look, [state("a", "require: sls/web*")]),
            ["1: `require` names `sls: web*`, which no state fits"]
        );
    }

    #[test]
    fn one_that_fits_something_is_not() {
        assert!(found(look, [state("a", ""), state("b", "watch: test/a*")]).is_empty());
    }
}
