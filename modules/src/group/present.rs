//! `group.present`: a group with these members
//!
//! ```yaml
//! deployers:
//!   group.present:
//!     - system: True
//!     - addusers:
//!       - ocdskfp
//! ```

use kstate_core::question::{Answer, Group};
use kstate_core::{
    Change, Claim, Command, Facts, Problem, Question, Resource, Run, Step, Stop, Touch, Value,
};
use serde::Deserialize;

use super::{LOCAL, NO_MEMBER, NOT_YET, foretell_membership, membership, unfit_name};
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The group's name.
    name: String,
    /// Its number. Default: it stays, or is the next free one.
    gid: Option<u32>,
    /// Takes the number of a new group from those for the system. Default: `False`.
    #[serde(default)]
    system: bool,
    /// Users to add to its members.
    addusers: Option<Texts>,
    /// Users to take from its members.
    delusers: Option<Texts>,
    /// All of its members, instead of `addusers` and `delusers`.
    members: Option<Texts>,
    /// Its number may be another group's as well. Default: `False`.
    #[serde(default)]
    non_unique: bool,
}

#[derive(Debug)]
pub(crate) struct Present {
    name: String,
    gid: Option<u32>,
    system: bool,
    add: Vec<String>,
    remove: Vec<String>,
    members: Option<Vec<String>>,
    non_unique: bool,
}

impl State for Present {
    const NAME: &'static str = "group.present";
    const SOURCE: &'static str = include_str!("present.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[("local", LOCAL)];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        if let Some(why) = unfit_name(&arguments.name) {
            return Err(vec![cx.error("name", why)]);
        }
        if arguments.members.is_some() && (arguments.addusers.is_some() || arguments.delusers.is_some()) {
            let message = "it tells all members; it cannot be given with `addusers` or `delusers`";
            return Err(vec![cx.error("members", message)]);
        }
        let add = arguments.addusers.unwrap_or_default().0;
        let remove = arguments.delusers.unwrap_or_default().0;
        if let Some(both) = add.iter().find(|user| remove.contains(user)) {
            return Err(vec![cx.error("delusers", format!("`{both}` is to be added as well"))]);
        }
        Ok(Present {
            name: arguments.name,
            gid: arguments.gid,
            system: arguments.system,
            add,
            remove,
            members: arguments.members.map(|Texts(mut members)| {
                members.sort();
                members.dedup();
                members
            }),
            non_unique: arguments.non_unique,
        })
    }
}

impl Resource for Present {
    fn questions(&self) -> Vec<Question> {
        let users = self.members.iter().flatten().chain(&self.add);
        let mut questions: Vec<Question> = users.map(|user| Question::Account(user.clone())).collect();
        questions.push(Question::Group(self.name.clone()));
        let number = self.gid.filter(|_| !self.non_unique);
        questions.extend(number.map(|gid| Question::Group(gid.to_string())));
        questions
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let (mut steps, group) = match facts.group(&self.name)? {
            Some(group) => {
                let step = self.number(group);
                if step.is_some() {
                    self.check_number(facts)?;
                }
                (step.into_iter().collect(), group.clone())
            }
            None => {
                self.check_number(facts)?;
                let group =
                    Group { name: self.name.clone(), gid: self.gid.unwrap_or(NOT_YET), members: vec![] };
                (vec![self.make(&group)], group)
            }
        };
        steps.extend(self.membership(&group, facts)?);
        Ok(steps)
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![Claim::new(format!("group {}", self.name), "present")];
        let named = self.members.iter().flatten().chain(&self.add);
        claims.extend(named.map(|user| membership(user, &self.name, true)));
        claims.extend(self.remove.iter().map(|user| membership(user, &self.name, false)));
        if self.members.is_some() {
            let except = claims.iter().map(|claim| claim.thing.clone()).collect();
            claims.push(Claim::rest(format!("* in group {}", self.name), NO_MEMBER, except));
        }
        claims
    }
}

impl Present {
    /// Fails if another group has the number.
    fn check_number(&self, facts: &Facts) -> Result<(), Stop> {
        let Some(gid) = self.gid.filter(|_| !self.non_unique) else { return Ok(()) };
        match facts.group(&gid.to_string())? {
            Some(other) if other.gid == gid && other.name != self.name => Err(Stop::Failed(format!(
                "gid {gid} belongs to group `{}`; choose another one, or allow both by `non_unique: True`",
                other.name
            ))),
            _ => Ok(()),
        }
    }

    /// The group is known by its name, and by its number if that is declared.
    fn foretell(&self, run: Run, group: &Group) -> Run {
        let run = run.foretells(Question::Group(self.name.clone()), Answer::Group(Some(group.clone())));
        match self.gid {
            Some(gid) => run.foretells(Question::Group(gid.to_string()), Answer::Group(Some(group.clone()))),
            None => run,
        }
    }

    fn run(&self, words: &[&str], group: Group) -> Run {
        self.foretell(Run::new(Command::words(words.iter().copied()), [Touch::Accounts]), &group)
    }

    fn make(&self, group: &Group) -> Step {
        let number = self.gid.map(|gid| gid.to_string());
        let mut words = vec!["groupadd"];
        let mut changes = vec![Change::new("group", Value::Null, self.name.as_str())];
        if let Some(number) = &number {
            words.extend(["-g", number.as_str()]);
            words.extend(Some("-o").filter(|_| self.non_unique));
            changes.push(Change::new("gid", Value::Null, number.as_str()));
        }
        words.extend(Some("-r").filter(|_| self.system));
        words.extend(["--", &self.name]);
        Step::new(changes, self.run(&words, group.clone()).into())
    }

    fn number(&self, group: &Group) -> Option<Step> {
        let gid = self.gid.filter(|gid| *gid != group.gid)?;
        let number = gid.to_string();
        let mut words = vec!["groupmod", "-g", &number];
        words.extend(Some("-o").filter(|_| self.non_unique));
        words.extend(["--", &self.name]);
        let change = Change::new("gid", i64::from(group.gid), i64::from(gid));
        let run = self.run(&words, Group { gid, ..group.clone() });
        Some(Step::new([change], run.into()))
    }

    fn membership(&self, group: &Group, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let is_member = |user: &String| group.members.contains(user);
        let (add, remove): (Vec<&String>, Vec<&String>) = match &self.members {
            Some(all) => (
                all.iter().filter(|user| !is_member(user)).collect(),
                group.members.iter().filter(|user| !all.contains(user)).collect(),
            ),
            None => (
                self.add.iter().filter(|user| !is_member(user)).collect(),
                self.remove.iter().filter(|user| is_member(user)).collect(),
            ),
        };
        facts.need(add.iter().map(|user| Question::Account((*user).clone())))?;
        for user in &add {
            if facts.account(user)?.is_none() {
                return Err(Stop::Failed(format!("user `{user}` does not exist")));
            }
        }
        let mut now = group.clone();
        let each = add.iter().map(|user| (*user, true)).chain(remove.iter().map(|user| (*user, false)));
        each.map(|(user, member)| {
            now.members.retain(|known| known != user);
            if member {
                now.members.push(user.clone());
                now.members.sort();
            }
            let (option, change) = if member {
                ("-a", Change::new("member", Value::Null, user.as_str()))
            } else {
                ("-d", Change::new("member", user.as_str(), Value::Null))
            };
            let run = Run::new(Command::words(["gpasswd", option, user, &self.name]), [Touch::Accounts]);
            let run = foretell_membership(run, facts, user, &self.name, member)
                .foretells(Question::Group(self.name.clone()), Answer::Group(Some(now.clone())));
            Ok(Step::new([change], run.into()))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::Account;

    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    fn facts(group: Option<(u32, &[&str])>) -> Facts {
        let group = group.map(|(gid, members)| Group {
            name: "g".into(),
            gid,
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        });
        let mut facts = Facts::default();
        facts.learn(Question::Group("g".into()), Ok(Answer::Group(group)));
        facts.learn(Question::Group("77".into()), Ok(Answer::Group(None)));
        facts.learn(Question::Group("5".into()), Ok(Answer::Group(None)));
        for user in ["ann", "bob", "cat"] {
            facts.learn(Question::Account(user.into()), Ok(Answer::Account(Some(Account::default()))));
        }
        facts.learn(Question::Account("nobody-there".into()), Ok(Answer::Account(None)));
        facts
    }

    fn commands(arguments: &str, facts: &mut Facts) -> Vec<String> {
        let present = declare(&format!("g:\n  group.present:\n{arguments}"), &Tree::default());
        let steps = present.diff(facts).unwrap();
        if !steps.is_empty() {
            settles(&*present, facts);
        }
        steps.iter().map(|step| step.operation.job().unwrap().script.replace("cd /\n", "")).collect()
    }

    #[test]
    fn makes_and_changes_a_group_by_the_programs_of_the_host() {
        let rows: [(&str, Facts, &[&str]); 7] = [
            ("    - system: True\n", facts(None), &["groupadd -r -- g"]),
            ("    - gid: 77\n    - non_unique: True\n", facts(None), &["groupadd -g 77 -o -- g"]),
            ("    - addusers: [ann]\n", facts(None), &["groupadd -- g", "gpasswd -a ann g"]),
            ("    - gid: 77\n", facts(Some((5, &[]))), &["groupmod -g 77 -- g"]),
            ("    - gid: '5'\n    - addusers: [ann]\n", facts(Some((5, &["ann"]))), &[]),
            ("    - delusers: [ann]\n", facts(Some((5, &["ann", "bob"]))), &["gpasswd -d ann g"]),
            (
                "    - members: [cat, bob]\n",
                facts(Some((5, &["ann", "bob"]))),
                &["gpasswd -a cat g", "gpasswd -d ann g"],
            ),
        ];
        for (arguments, mut facts, expected) in rows {
            assert_eq!(commands(arguments, &mut facts), expected, "{arguments}");
        }
    }

    #[test]
    fn what_groupadd_and_gpasswd_would_refuse_is_told_before() {
        let failed = |arguments: &str, facts: &Facts| {
            let present = declare(&format!("g:\n  group.present:\n{arguments}"), &Tree::default());
            match present.diff(facts) {
                Err(Stop::Failed(message)) => message,
                other => panic!("{other:?}"),
            }
        };
        let mut taken = facts(None);
        let other = Group { name: "web".into(), gid: 77, members: Vec::new() };
        taken.learn(Question::Group("77".into()), Ok(Answer::Group(Some(other))));
        assert!(failed("    - gid: 77\n", &taken).starts_with("gid 77 belongs to group `web`"));
        assert_eq!(
            failed("    - addusers: [nobody-there]\n", &facts(None)),
            "user `nobody-there` does not exist"
        );
        let error = declare_error("'a b':\n  group.present: []\n", &Tree::default());
        assert!(error.ends_with("`name`: ' ' cannot be part of the name"), "{error}");
    }

    #[test]
    fn members_stand_alone() {
        let text = "g:\n  group.present:\n    - members: [a]\n    - addusers: [b]\n";
        let error = declare_error(text, &Tree::default());
        assert!(error.starts_with("a.sls:3: group.present: `members`: it tells all members"), "{error}");
    }
}
