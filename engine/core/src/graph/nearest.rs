//! Which of several names somebody may have meant.

/// Longer words are not compared: nobody mistypes them, and the effort grows with the square of the length.
const LENGTH_LIMIT: usize = 100;

/// The names that are close to `wanted`, the closest first, at most `limit`.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>, limit: usize) -> Vec<&'a str> {
    // Any two short words are close to each other.
    let allowed = match wanted.chars().count() {
        0..=2 => 0,
        length => length / 3,
    };
    let mut found: Vec<(usize, &str)> =
        names.into_iter().filter_map(|name| Some((distance(wanted, name, allowed)?, name))).collect();
    found.sort();
    found.dedup();
    found.truncate(limit);
    found.into_iter().map(|(_, name)| name).collect()
}

/// The number of changed, missing, added or swapped characters, whatever their case, if it is at most `limit`.
pub fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let characters = |word: &str| word.chars().flat_map(char::to_lowercase).take(LENGTH_LIMIT + 1).collect();
    let (a, b): (Vec<char>, Vec<char>) = (characters(a), characters(b));
    if a.len().abs_diff(b.len()) > limit || a.len().max(b.len()) > LENGTH_LIMIT {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        // What follows cannot be less than the least of two rows.
        if row.iter().chain(&above).all(|least| *least > limit) {
            return None;
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_misspelt_name() {
        let names = ["apache2", "postgresql", "uwsgi"];
        assert_eq!(nearest("apahce2", names, 3), ["apache2"]);
        assert_eq!(nearest("Postgres-ql", names, 3), ["postgresql"]);
        assert!(nearest("redis", names, 3).is_empty());
        assert!(nearest("a", ["b", "c"], 3).is_empty());
    }

    #[test]
    fn long_words_are_not_compared() {
        let (long, other) = ("a".repeat(1_000_000), "b".repeat(1_000_000));
        assert!(nearest(&long, [other.as_str()], 3).is_empty());
    }
}
