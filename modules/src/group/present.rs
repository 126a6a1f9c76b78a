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

use super::{LOCAL, NOT_YET, foretell_membership};
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
        vec![Question::Group(self.name.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let (mut steps, group) = match facts.group(&self.name)? {
            Some(group) => (self.number(group).into_iter().collect(), group.clone()),
            None => {
                let group =
                    Group { name: self.name.clone(), gid: self.gid.unwrap_or(NOT_YET), members: vec![] };
                (vec![self.make(&group)], group)
            }
        };
        steps.extend(self.membership(&group, facts));
        Ok(steps)
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(format!("group {}", self.name), "present")]
    }
}

impl Present {
    fn run(&self, words: &[&str], group: Group) -> Run {
        let run = Run::new(Command::words(words.iter().copied()), [Touch::Accounts]);
        run.foretells(Question::Group(self.name.clone()), Answer::Group(Some(group)))
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

    fn membership(&self, group: &Group, facts: &Facts) -> Vec<Step> {
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
            Step::new([change], run.into())
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
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
    fn members_stand_alone() {
        let text = "g:\n  group.present:\n    - members: [a]\n    - addusers: [b]\n";
        let error = declare_error(text, &Tree::default());
        assert!(error.starts_with("a.sls:3: group.present: `members`: it tells all members"), "{error}");
    }
}
