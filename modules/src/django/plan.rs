//! Which migrations are due, now and with a commit that is to come.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) app: String,
    pub(super) name: String,
}

impl Name {
    pub(super) fn new(app: &str, name: &str) -> Self {
        Name { app: app.into(), name: name.into() }
    }

    /// Reads `app.name,app.name`.
    fn list(text: &str) -> Vec<Self> {
        text.split(',')
            .filter_map(|one| one.split_once('.'))
            .map(|(app, name)| Name::new(app, name))
            .collect()
    }
}

/// As Django plans them, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) applied: Vec<Name>,
    pub(super) due: Vec<Name>,
    /// Applied, but without a file; and whether newer than all that have one.
    pub(super) strays: Vec<(Name, bool)>,
}

/// What a commit changes about the files of migrations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Incoming {
    brings: Vec<Migration>,
    pub(super) drops: Vec<Name>,
    /// Dropped because the commit is an older one.
    pub(super) loses: Vec<Name>,
}

#[derive(Debug, PartialEq, Eq)]
struct Migration {
    name: Name,
    follows: Vec<Name>,
    /// What it stands for, where several were squashed into it.
    replaces: Vec<Name>,
}

impl Incoming {
    pub(super) fn brings(&mut self, name: Name, follows: &str, replaces: &str) {
        self.brings.push(Migration { name, follows: Name::list(follows), replaces: Name::list(replaces) });
    }
}

impl Plan {
    /// What a database lacks, unless it is ahead of the code.
    pub(super) fn due(&self) -> Result<Vec<Name>, String> {
        match self.strays.iter().find(|(_, is_newer)| *is_newer) {
            Some((stray, _)) => Err(ahead(stray)),
            None => Ok(self.due.clone()),
        }
    }

    /// The plan as it will be with a commit.
    pub(super) fn take(&mut self, incoming: Incoming) -> Result<(), String> {
        let Incoming { mut brings, drops, loses } = incoming;
        if let Some(lost) = loses.iter().find(|lost| self.applied.contains(lost)) {
            return Err(ahead(lost));
        }
        self.due.retain(|due| !drops.contains(due) && !loses.contains(due));
        // In the order in which they follow each other.
        while !brings.is_empty() {
            let names: Vec<Name> = brings.iter().map(|migration| migration.name.clone()).collect();
            let is_free = |migration: &Migration| !migration.follows.iter().any(|name| names.contains(name));
            let next = brings.iter().position(is_free).unwrap_or(0);
            self.bring(brings.remove(next));
        }
        Ok(())
    }

    fn bring(&mut self, Migration { name, replaces, .. }: Migration) {
        let known = self.strays.len();
        self.strays.retain(|(stray, _)| *stray != name);
        let is_applied =
            |name: &Name| self.applied.contains(name) || self.strays.iter().any(|(stray, _)| stray == name);
        let replaced = replaces.iter().filter(|name| is_applied(name)).count();
        if self.strays.len() < known || (replaced > 0 && replaced == replaces.len()) {
            self.applied.push(name);
        } else if replaced == 0 {
            self.due.retain(|due| !replaces.contains(due));
            self.due.push(name);
        }
    }
}

fn ahead(name: &Name) -> String {
    format!(
        "the database has the migration `{}.{}`, which the code does not know: newer code has migrated it",
        name.app, name.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Name> {
        text.split_whitespace().map(|name| Name::new("shop", name)).collect()
    }

    fn plan(applied: &str, due: &str) -> Plan {
        Plan { applied: names(applied), due: names(due), strays: Vec::new() }
    }

    fn due(plan: &Plan) -> String {
        let due = plan.due().unwrap();
        due.iter().map(|name| name.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn bringing(table: &[(&str, &str, &str)]) -> Incoming {
        let mut incoming = Incoming::default();
        for (name, follows, replaces) in table {
            incoming.brings(Name::new("shop", name), follows, replaces);
        }
        incoming
    }

    #[test]
    fn what_a_commit_brings_comes_behind_what_it_follows() {
        let mut plan = plan("0001", "0002");
        plan.take(bringing(&[("0003_b", "shop.0004_a", ""), ("0004_a", "shop.0002,auth.0001", "")])).unwrap();
        assert_eq!(due(&plan), "0002 0004_a 0003_b");
    }

    #[test]
    fn a_database_ahead_of_the_code_is_a_failure_until_the_code_has_come() {
        let mut plan = plan("0001", "");
        plan.strays.push((Name::new("shop", "0002"), true));
        assert_eq!(
            plan.due(),
            Err("the database has the migration `shop.0002`, which the code does not know: newer code has migrated it".into())
        );
        plan.take(bringing(&[("0002", "shop.0001", "")])).unwrap();
        assert_eq!(due(&plan), "");
    }

    #[test]
    fn an_older_commit_that_loses_what_is_applied_is_a_failure() {
        let back = || Incoming { loses: names("0002"), ..Incoming::default() };
        assert!(plan("0001 0002", "").take(back()).unwrap_err().contains("`shop.0002`"));
        let mut before = plan("0001", "0002");
        before.take(back()).unwrap();
        assert_eq!(due(&before), "");
    }

    #[test]
    fn what_is_squashed_is_done_if_all_of_it_is() {
        let squash = [("0001_squashed", "", "shop.0001,shop.0002")];
        for (mut plan, then) in [
            (plan("0001 0002", ""), ""),
            (plan("0001", "0002"), "0002"),
            (plan("", "0001 0002"), "0001_squashed"),
        ] {
            plan.take(bringing(&squash)).unwrap();
            assert_eq!(due(&plan), then);
        }
    }

    #[test]
    fn what_is_left_of_files_that_were_squashed_does_no_harm() {
        let mut plan = plan("0001_squashed", "");
        plan.strays.push((Name::new("shop", "0001"), false));
        assert_eq!(due(&plan), "");
    }
}
