//! `group.absent`: there is no such group
//!
//! ```yaml
//! deployers:
//!   group.absent
//! ```

use kstate_core::question::{Answer, Group};
use kstate_core::{
    Change, Claim, Command, Facts, Problem, Question, Resource, Run, Step, Stop, Touch, Value,
};
use serde::Deserialize;

use super::LOCAL;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The group's name.
    name: String,
}

#[derive(Debug)]
pub(crate) struct Absent {
    name: String,
}

impl State for Absent {
    const NAME: &'static str = "group.absent";
    const SOURCE: &'static str = include_str!("absent.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[("local", LOCAL)];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Absent { name: arguments.name })
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Group(self.name.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let Some(group) = facts.group(&self.name)?.filter(|group| group.name == self.name) else {
            return Ok(Vec::new());
        };
        self.check_users(group, facts)?;
        let run = Run::new(Command::words(["groupdel", "--", &self.name]), [Touch::Accounts])
            .foretells(Question::Group(self.name.clone()), Answer::Group(None))
            .foretells(Question::Group(group.gid.to_string()), Answer::Group(None));
        Ok(vec![Step::new([Change::new("group", self.name.as_str(), Value::Null)], run.into())])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(format!("group {}", self.name), "absent")]
    }
}

/// Names the users by their primary groups.
fn primary_groups() -> Command {
    Command::shell("getent passwd | cut -d: -f1,4").depends([Touch::Accounts])
}

impl Absent {
    /// groupdel(8) refuses to remove the primary group of a user.
    fn check_users(&self, group: &Group, facts: &Facts) -> Result<(), Stop> {
        let ended = facts.run(&primary_groups())?;
        let gid = group.gid.to_string();
        let users = ended.stdout.lines().filter_map(|line| line.split_once(':'));
        let users: Vec<&str> = users.filter(|(_, primary)| *primary == gid).map(|(user, _)| user).collect();
        facts.need(users.iter().map(|user| Question::Account((*user).to_owned())))?;
        for user in users {
            if facts.account(user)?.is_some_and(|account| account.gid == group.gid) {
                let name = &self.name;
                return Err(Stop::Failed(format!(
                    "`{name}` is the primary group of user `{user}`; remove the user first, or give it another `gid`"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, settles};
    use kstate_core::question::{Account, Ended};

    #[test]
    fn a_group_that_is_there_goes() {
        let absent = declare("g:\n  group.absent: []\n", &Tree::default());
        let mut facts = Facts::default();
        facts.learn(Question::Group("g".into()), Ok(Answer::Group(None)));
        assert_eq!(absent.diff(&facts), Ok(Vec::new()));
        let group = Group { name: "g".into(), gid: 7, members: Vec::new() };
        facts.learn(Question::Group("g".into()), Ok(Answer::Group(Some(group))));
        let ended = Ended { stdout: "root:0\nann:7\n".into(), ..Ended::default() };
        facts.learn(Question::Run(Box::new(primary_groups())), Ok(Answer::Run(ended)));
        let ann = |gid| Account { name: "ann".into(), gid, ..Account::default() };
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(Some(ann(7)))));
        assert!(
            matches!(absent.diff(&facts), Err(Stop::Failed(why)) if why.contains("primary group of user `ann`"))
        );
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(Some(ann(8)))));
        settles(&*absent, &mut facts);
    }
}
