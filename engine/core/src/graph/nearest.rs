//! Which of several names somebody may have meant.

/// The names that are close to `wanted`, the closest first, at most `limit`.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>, limit: usize) -> Vec<&'a str> {
    // Any two short words are close to each other.
    let allowed = match wanted.chars().count() {
        0..=2 => 0,
        length => length / 3,
    };
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = distance(&wanted.to_lowercase(), &name.to_lowercase(), allowed)?;
            Some((distance, name))
        })
        .collect();
    found.sort();
    found.dedup();
    found.truncate(limit);
    found.into_iter().map(|(_, name)| name).collect()
}

/// The number of changed, missing, added or swapped characters, if it is at most `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    let distance = rows[a.len()][b.len()];
    (distance <= limit).then_some(distance)
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
}
