//! `group.absent`: there is no such group
//!
//! ```yaml
//! deployers:
//!   group.absent
//! ```

use kstate_core::question::Answer;
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
        if facts.group(&self.name)?.is_none() {
            return Ok(Vec::new());
        }
        let run = Run::new(Command::words(["groupdel", "--", &self.name]), [Touch::Accounts])
            .foretells(Question::Group(self.name.clone()), Answer::Group(None));
        Ok(vec![Step::new([Change::new("group", self.name.as_str(), Value::Null)], run.into())])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(format!("group {}", self.name), "absent")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, settles};
    use kstate_core::question::Group;

    #[test]
    fn a_group_that_is_there_goes() {
        let absent = declare("g:\n  group.absent: []\n", &Tree::default());
        let mut facts = Facts::default();
        facts.learn(Question::Group("g".into()), Ok(Answer::Group(None)));
        assert_eq!(absent.diff(&facts), Ok(Vec::new()));
        facts.learn(Question::Group("g".into()), Ok(Answer::Group(Some(Group::default()))));
        settles(&*absent, &mut facts);
    }
}
