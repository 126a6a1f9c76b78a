//! Two states that undo each other: one path with two contents, a service that shall run and shall not.

use std::collections::HashMap;

use super::{States, is_conditional};
use crate::{Chunk, Claim, Position, Problem};

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    let mut first: HashMap<String, (String, &Chunk)> = HashMap::new();
    let mut problems = Vec::new();
    // A state with a condition may have its turn when the other has not.
    let certain = || states.planned().filter(|(_, chunk, planned)| !is_conditional(chunk, planned));
    let claims: Vec<(&Chunk, Vec<Claim>)> =
        certain().map(|(_, chunk, planned)| (chunk, planned.resource.claims())).collect();
    for (chunk, claims) in &claims {
        let mut rival = None;
        for Claim { thing, shape, .. } in claims.iter().filter(|claim| claim.except.is_none()).cloned() {
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
    problems.extend(unnamed(&claims));
    problems
}

/// A thing that one state names, and that another one takes away because it does not name it.
fn unnamed(claims: &[(&Chunk, Vec<Claim>)]) -> Vec<Problem> {
    let all = || claims.iter().flat_map(|(chunk, claims)| claims.iter().map(move |claim| (*chunk, claim)));
    let named: Vec<(&Chunk, &Claim)> = all().filter(|(_, claim)| claim.except.is_none()).collect();
    let mut problems = Vec::new();
    for (owner, rest) in all().filter(|(_, claim)| claim.except.is_some()) {
        let rival = named.iter().find(|(chunk, claim)| {
            !std::ptr::eq(*chunk, owner) && claim.shape != rest.shape && rest.includes(&claim.thing)
        });
        problems.extend(rival.map(|(chunk, claim)| told(&claim.thing, chunk, owner)));
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
    let problem = Problem::warning(message).at(place(thing, chunk)).of(&chunk.id);
    problem.related("the other one", place(thing, owner))
}

/// Where a state names a thing: by its name, or in a list such as `pkgs`.
fn place<'a>(thing: &str, chunk: &'a Chunk) -> &'a Position {
    let is_it =
        |word: &str| thing.strip_suffix(word).is_some_and(|kind| kind.is_empty() || kind.ends_with(' '));
    let items = chunk.arguments.iter().flat_map(|(_, node)| node.list().unwrap_or_default());
    let mut names = items.map(|item| item.map().and_then(<[_]>::first).map_or(item, |(name, _)| name));
    let listed = names.find(|name| name.text().is_some_and(is_it)).map(|name| &name.at);
    let named = chunk.place("name").filter(|_| is_it(&chunk.name));
    named.or(listed).unwrap_or(&chunk.at)
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
    fn a_thing_that_another_state_takes_away_unnamed_is_told() {
        let bob = || state("group", "").claims("bob in group adm", "member");
        let all = |id| state(id, "").claims("ann in group adm", "member");
        let takes = all("members").takes_others("* in group adm", &["ann in group adm"]);
        let told = found(look, [bob(), takes]);
        assert_eq!(
            told,
            [
                "1: `test.nop` of `members` and `test.nop` of `group` undo each other: both decide about `bob in group adm`",
                "2: the other one"
            ]
        );
        let same = all("members").takes_others("* in group adm", &["ann in group adm"]);
        assert!(found(look, [all("other"), same]).is_empty());
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
