//! `user.absent`: there is no such user
//!
//! ```yaml
//! ocds-old:
//!   user.absent:
//!     - purge: True
//! ```

use kstate_core::question::Answer;
use kstate_core::{
    Change, Claim, Command, Facts, Problem, Question, Resource, Run, Step, Stop, Touch, Value,
};
use serde::Deserialize;

use crate::group::LOCAL;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The user's name.
    name: String,
    /// Removes the home with all that is below it, and the mail. Default: `False`.
    #[serde(default)]
    purge: bool,
    /// Removes the user also while logged in. Default: `False`.
    #[serde(default)]
    force: bool,
}

#[derive(Debug)]
pub(crate) struct Absent {
    name: String,
    purge: bool,
    force: bool,
}

impl State for Absent {
    const NAME: &'static str = "user.absent";
    const SOURCE: &'static str = include_str!("absent.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[("local", LOCAL)];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Absent { name: arguments.name, purge: arguments.purge, force: arguments.force })
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Account(self.name.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let Some(account) = facts.account(&self.name)?.filter(|account| account.name == self.name) else {
            return Ok(Vec::new());
        };
        if !self.force {
            self.check_processes(facts)?;
        }
        let mut changes = vec![Change::new("user", self.name.as_str(), Value::Null)];
        let mut touches = vec![Touch::Accounts, Touch::Crontab(self.name.clone())];
        let mut words = vec!["userdel"];
        if self.purge {
            words.push("-r");
            changes.push(Change::new("home", account.home.as_str(), Value::Null));
            touches.push(Touch::Path(account.home.clone()));
        }
        words.extend(Some("-f").filter(|_| self.force));
        words.extend(["--", &self.name]);
        let mut run = Run::new(Command::words(words), touches)
            .foretells(Question::Account(self.name.clone()), Answer::Account(None))
            .foretells(Question::Account(account.uid.to_string()), Answer::Account(None))
            .foretells(Question::Crontab(self.name.clone()), Answer::Crontab(None));
        if account.group == self.name {
            // userdel(8) removes the user's own group as well.
            run = run.foretells(Question::Group(self.name.clone()), Answer::Group(None));
        }
        if self.purge {
            run = run.foretells(Question::Path(account.home.clone()), Answer::Path(None));
        }
        Ok(vec![Step::new(changes, run.into())])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(format!("user {}", self.name), "absent")]
    }
}

impl Absent {
    /// userdel(8) refuses to remove a user whose processes run.
    fn check_processes(&self, facts: &Facts) -> Result<(), Stop> {
        match facts.processes()?.iter().find(|process| process.user == self.name) {
            Some(process) => Err(Stop::Failed(format!(
                "process {} (`{}`) of `{}` runs; end it first, or remove the user all the same by `force: True`",
                process.pid,
                process.command.chars().take(60).collect::<String>(),
                self.name
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, settles};
    use kstate_core::question::{Account, Process};

    #[test]
    fn a_user_whose_processes_run_stays() {
        let absent = declare("ann:\n  user.absent: []\n", &Tree::default());
        let mut facts = Facts::default();
        let ann = Account { name: "ann".into(), ..Account::default() };
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(Some(ann))));
        let process = Process {
            pid: 7,
            parent: 1,
            user: "ann".into(),
            started: "now".into(),
            command: "sleep 9".into(),
        };
        facts.learn(Question::Processes, Ok(Answer::Processes(vec![process])));
        assert!(
            matches!(absent.diff(&facts), Err(Stop::Failed(why)) if why.starts_with("process 7 (`sleep 9`)"))
        );
        facts.learn(Question::Processes, Ok(Answer::Processes(Vec::new())));
        settles(&*absent, &mut facts);
    }

    #[test]
    fn a_user_that_is_there_goes() {
        let absent =
            declare("ann:\n  user.absent:\n    - purge: True\n    - force: True\n", &Tree::default());
        let mut facts = Facts::default();
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(None)));
        assert_eq!(absent.diff(&facts), Ok(Vec::new()));
        let ann = Account { name: "ann".into(), home: "/home/ann".into(), ..Account::default() };
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(Some(ann))));
        let job = absent.diff(&facts).unwrap()[0].operation.job().unwrap();
        assert_eq!(job.script, "cd /\nuserdel -r -f -- ann");
        settles(&*absent, &mut facts);
    }
}
