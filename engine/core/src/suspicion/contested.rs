//! Two states that undo each other: one path with two contents, a service that shall run and shall not.

use std::collections::HashMap;

use super::{States, is_conditional};
use crate::{Chunk, Claim, Problem};

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    let mut first: HashMap<String, (String, &Chunk)> = HashMap::new();
    let mut problems = Vec::new();
    // A state with a condition may have its turn when the other has not.
    for (_, chunk, planned) in states.planned().filter(|(_, chunk, planned)| !is_conditional(chunk, planned))
    {
        let mut rival = None;
        for Claim { thing, shape } in planned.resource.claims() {
            match first.get(&thing) {
                Some((other, owner)) if *other != shape => {
                    rival.get_or_insert_with(|| told(&thing, chunk, owner));
                }
                Some(_) => {}
                None => {
                    first.insert(thing, (shape, chunk));
                }
            }
        }
        problems.extend(rival);
    }
    problems
}

fn told(thing: &str, chunk: &Chunk, owner: &Chunk) -> Problem {
    let message = format!(
        "`{}` of `{}` and `{}` of `{}` undo each other: both decide about `{thing}`",
        owner.function(),
        owner.id,
        chunk.function(),
        chunk.id
    );
    Problem::warning(message).at(&chunk.at).of(&chunk.id).related("the other one", &owner.at)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, state};
    use super::look;

    #[test]
    fn two_shapes_of_one_thing_are_told() {
        let told =
            found(look, [state("a", "").claims("/x", "absent"), state("b", "").claims("/x", "a link to /y")]);
        assert_eq!(
            told,
            [
                "2: `test.nop` of `a` and `test.nop` of `b` undo each other: both decide about `/x`",
                "1: the other one"
            ]
        );
    }

    #[test]
    fn equal_claims_other_things_and_conditional_states_are_not() {
        assert!(
            found(look, [state("a", "").claims("/x", "absent"), state("b", "").claims("/x", "absent")])
                .is_empty()
        );
        assert!(
            found(look, [state("a", "").claims("/x", "absent"), state("b", "").claims("/y", "there")])
                .is_empty()
        );
        let conditional = state("b", "onchanges: a").claims("/x", "there");
        assert!(found(look, [state("a", "").claims("/x", "absent"), conditional]).is_empty());
        let guarded = state("b", "").claims("/x", "there").creates("/y");
        assert!(found(look, [state("a", "").claims("/x", "absent"), guarded]).is_empty());
    }
}
