//! Revisions and what they follow, as their files say.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Revisions(BTreeMap<String, Revision>);

#[derive(Debug, PartialEq, Eq)]
struct Revision {
    /// What it follows: none for a first one, several for a merge.
    down: Vec<String>,
    /// What has to be there besides: a revision of another branch, by its name or by the branch's label.
    depends: Vec<String>,
    labels: Vec<String>,
    title: String,
}

impl Revisions {
    /// The lists are `down_revision`, `depends_on` and `branch_labels`.
    pub(super) fn add(&mut self, id: &str, lists: [&str; 3], title: &str) {
        let [down, depends, labels] =
            lists.map(|list| list.split(',').filter(|name| !name.is_empty()).map(Into::into).collect());
        self.0.insert(id.into(), Revision { down, depends, labels, title: title.into() });
    }

    /// What nothing follows.
    pub(super) fn heads(&self) -> Vec<&str> {
        let followed: BTreeSet<&str> =
            self.0.values().flat_map(|revision| &revision.down).map(String::as_str).collect();
        self.0.keys().map(String::as_str).filter(|id| !followed.contains(id)).collect()
    }

    /// Revisions that a database at `at` lacks, with their titles, each behind those that it follows.
    pub(super) fn due(&self, at: &[String]) -> Result<Vec<(&str, &str)>, String> {
        let mut seen = BTreeSet::new();
        for id in at {
            let Some((id, _)) = self.0.get_key_value(id) else {
                return Err(format!(
                    "the database is at `{id}`, which the code does not know: newer code has migrated it"
                ));
            };
            self.walk(id, &mut seen)?;
        }
        let mut due = Vec::new();
        for head in self.heads() {
            due.extend(self.walk(head, &mut seen)?);
        }
        Ok(due.into_iter().map(|id| (id, self.0[id].title.as_str())).collect())
    }

    /// What leads to `to` and has not been `seen`, oldest first.
    fn walk<'a>(&'a self, to: &'a str, seen: &mut BTreeSet<&'a str>) -> Result<Vec<&'a str>, String> {
        let mut path = Vec::new();
        // Each is met twice: before and behind what it follows.
        let mut open = vec![(self.find(to, to)?, false)];
        while let Some((id, is_ready)) = open.pop() {
            if is_ready {
                path.push(id);
            } else if seen.insert(id) {
                open.push((id, true));
                let revision = &self.0[id];
                for name in revision.down.iter().chain(&revision.depends) {
                    open.push((self.find(name, id)?, false));
                }
            }
        }
        Ok(path)
    }

    /// The revision of a name: its own, or the label of its branch, or the beginning of its own.
    fn find(&self, name: &str, by: &str) -> Result<&str, String> {
        let label = name.split('@').next().unwrap_or(name);
        let is_labelled = |revision: &Revision| revision.labels.iter().any(|own| own == label);
        self.0
            .get_key_value(name)
            .or_else(|| self.0.iter().find(|(_, revision)| is_labelled(revision)))
            .or_else(|| self.0.iter().find(|(id, _)| id.starts_with(name)))
            .map(|(id, _)| id.as_str())
            .ok_or_else(|| format!("the migration `{by}` follows `{name}`, which is not there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revisions(table: &[(&str, &str, &str, &str)]) -> Revisions {
        let mut revisions = Revisions::default();
        for (id, down, depends, labels) in table {
            revisions.add(id, [down, depends, labels], &format!("makes {id}"));
        }
        revisions
    }

    fn due<'a>(revisions: &'a Revisions, at: &[&str]) -> Vec<&'a str> {
        let at: Vec<String> = at.iter().map(|id| (*id).to_owned()).collect();
        revisions.due(&at).unwrap().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn what_lies_between_is_due_oldest_first() {
        let line = revisions(&[("c1", "b2", "", ""), ("a3", "", "", ""), ("b2", "a3", "", "")]);
        assert_eq!(line.heads(), ["c1"]);
        assert_eq!(due(&line, &[]), ["a3", "b2", "c1"]);
        assert_eq!(due(&line, &["a3"]), ["b2", "c1"]);
        assert!(due(&line, &["c1"]).is_empty());
    }

    #[test]
    fn a_merge_comes_behind_both_of_its_branches() {
        let merged =
            revisions(&[("m", "x,y", "", ""), ("y", "s", "", ""), ("x", "s", "", ""), ("s", "", "", "")]);
        assert_eq!(merged.heads(), ["m"]);
        assert_eq!(due(&merged, &["x"]), ["y", "m"]);
        assert_eq!(due(&merged, &["x", "y"]), ["m"]);
        assert_eq!(due(&merged, &[]).last(), Some(&"m"));
    }

    #[test]
    fn several_heads_are_all_wanted() {
        let two = revisions(&[("a", "", "", "app"), ("b", "", "", "net"), ("c", "b", "", "")]);
        assert_eq!(two.heads(), ["a", "c"]);
        assert_eq!(due(&two, &["a", "b"]), ["c"]);
    }

    #[test]
    fn what_a_revision_depends_on_is_there_with_it() {
        let table = [("a", "", "", "app"), ("b", "", "a", ""), ("c", "", "app@head", "")];
        let across = revisions(&table);
        assert_eq!(due(&across, &["b"]), ["c"]);
        assert_eq!(due(&across, &["c"]), ["b"]);
        assert_eq!(due(&across, &[]), ["a", "b", "c"]);
    }

    #[test]
    fn a_database_ahead_of_the_code_is_a_failure() {
        let old = revisions(&[("a", "", "", "")]);
        assert_eq!(
            old.due(&["f00".into()]),
            Err("the database is at `f00`, which the code does not know: newer code has migrated it".into())
        );
        let torn = revisions(&[("b", "a", "", "")]);
        assert_eq!(torn.due(&[]), Err("the migration `b` follows `a`, which is not there".into()));
    }
}
