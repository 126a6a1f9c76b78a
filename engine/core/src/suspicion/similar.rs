//! An id that nothing names, beside one that requisites name and that differs from it by a slip of the pen.

use std::collections::{BTreeSet, HashMap};

use super::{States, requisites};
use crate::{Chunk, Problem, distance};

/// What stands between words, and is easily taken for one another.
const SEPARATORS: [char; 4] = ['-', '_', ' ', '.'];

pub(super) fn look(states: &States<'_>) -> Vec<Problem> {
    let entries = || states.chunks.iter().flat_map(requisites).map(|(_, entry)| entry);
    let named: BTreeSet<&str> =
        entries().filter_map(|entry| entry.text().or_else(|| entry.map()?.first()?.1.text())).collect();
    let is_named = |chunk: &&Chunk| named.contains(&*chunk.id) || named.contains(&*chunk.name);
    let (named, unnamed): (Vec<&Chunk>, Vec<&Chunk>) = states.chunks.iter().partition(is_named);
    let mut by_remains: HashMap<String, Vec<&Chunk>> = HashMap::new();
    for chunk in named {
        remains(&chunk.id).for_each(|rest| by_remains.entry(rest).or_default().push(chunk));
    }
    let mut problems = Vec::new();
    for chunk in unnamed {
        let is_near = |other: &&Chunk| other.state == chunk.state && is_slip(&chunk.id, &other.id);
        let mut candidates =
            remains(&chunk.id).flat_map(|rest| by_remains.get(&rest).into_iter().flatten().copied());
        if let Some(near) = candidates.find(is_near) {
            let message = format!(
                "no requisite names `{}`, and one names `{}`, which is nearly the same",
                chunk.id, near.id
            );
            let problem = Problem::warning(message).at(chunk.id_place()).of(&chunk.id);
            problems.push(problem.related("named", near.id_place()));
        }
    }
    problems
}

/// A text without case and separators, and what is left of it without one of its letters: two texts that differ by a slip
/// have one of these in common.
fn remains(id: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> =
        id.chars().filter(|c| !SEPARATORS.contains(c)).flat_map(char::to_lowercase).collect();
    let without = |left_out: usize| {
        let kept = letters.iter().enumerate().filter(move |(index, _)| *index != left_out);
        kept.map(|(_, letter)| letter).collect::<String>()
    };
    (0..=letters.len()).map(without).collect::<BTreeSet<_>>().into_iter()
}

/// Whether two texts differ by what happens while typing: the case of a word, a separator, one letter within a word.
fn is_slip(a: &str, b: &str) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (parts(a).collect(), parts(b).collect());
    let differing: Vec<(&str, &str)> =
        a.iter().copied().zip(b.iter().copied()).filter(|(a, b)| a != b).collect();
    a.len() == b.len()
        && match differing.as_slice() {
            [] => false,
            [(a, b)] if is_slip_of_word(a, b) => true,
            several => several.iter().all(|(a, b)| is_separator(a) && is_separator(b)),
        }
}

/// Words, and what is between them.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_word = rest.chars().next()?.is_alphabetic();
        let end = rest.find(|c: char| c.is_alphabetic() != is_word).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// One letter, and neither the first nor the last: `host` and `hosts` are both meant. Short words differ by a letter
/// anyway.
fn is_slip_of_word(a: &str, b: &str) -> bool {
    const SHORTEST: usize = 5;
    let ends = |word: &str| (word.chars().next(), word.chars().last());
    let is_word = |part: &str| part.starts_with(char::is_alphabetic);
    if !is_word(a) || !is_word(b) {
        return false;
    }
    a.eq_ignore_ascii_case(b)
        || a.len().min(b.len()) >= SHORTEST && ends(a) == ends(b) && distance(a, b, 1) == Some(1)
}

fn is_separator(part: &str) -> bool {
    part.len() == 1 && part.starts_with(SEPARATORS)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, state};
    use super::{is_slip, look};

    #[test]
    fn tells_slips_from_names() {
        for (a, b, expected) in [
            ("apache2", "apahce2", true),
            ("postgresql", "postgressql", true),
            ("postgresql", "postgrsql", true),
            ("kingfisher", "kingfesher", true),
            ("Apache", "apache", true),
            ("git-clone-x", "git_clone_x", true),
            ("/etc/apache2/site.conf", "/etc/apahce2/site.conf", true),
            ("web1", "web2", false),
            ("/etc/host.conf", "/etc/hosts.conf", false),
            ("locale-en", "locale-es", false),
            ("cat", "cut", false),
            ("a b", "a b", false),
            ("apache2-dev", "apahce2-prod", false),
        ] {
            assert_eq!(is_slip(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn an_id_like_a_named_one_is_told() {
        let told =
            found(look, [state("apache2", ""), state("apahce2", ""), state("site", "require: apache2")]);
        assert_eq!(
            told,
            [
                "2: no requisite names `apahce2`, and one names `apache2`, which is nearly the same",
                "1: named"
            ]
        );
    }

    #[test]
    fn two_that_are_named_or_that_nobody_names_are_not() {
        let both =
            [state("apache2", ""), state("apahce2", ""), state("site", "require: apache2, watch: apahce2")];
        assert!(found(look, both).is_empty());
        assert!(found(look, [state("apache2", ""), state("apahce2", "")]).is_empty());
    }
}
