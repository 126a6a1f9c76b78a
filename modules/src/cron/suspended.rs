//! `cron.suspended`: jobs of a crontab that do not start while other states act
//!
//! ```yaml
//! upgrade-database:
//!   cmd.run:
//!     - name: .ve/bin/alembic upgrade head
//!
//! workers-paused:
//!   cron.suspended:
//!     - user: ocdskfp
//!     - identifier: OCDS_KINGFISHER_PROCESS_REDIS_QUEUE
//!     - around:
//!       - cmd: upgrade-database
//! ```
//!
//! The lines are commented out just before the first of the states that it is `around` acts, and put back when the last of
//! them has ended, well or badly: exactly these, so that a line which was commented out before stays so. Meanwhile other
//! states of `cron` see them as if they were there. What puts them back is written down on the host first: if the
//! connection or the controller is lost, the host does it by itself.

use kstate_core::words::quote;
use kstate_core::{Bracket, Change, Facts, Problem, Question, Resource, Step, Stop, digest};
use serde::Deserialize;

use super::tab::{self, Tab};
use super::{put, root};
use crate::file::pattern::{Flags, Pattern, text_of};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Has no meaning beside the id.
    #[expect(dead_code, reason = "every state has a name")]
    name: String,
    /// Whose crontab. Default: root.
    #[serde(default = "root")]
    user: String,
    /// The identifier of the jobs, as `cron.present` has it.
    identifier: Option<String>,
    /// A regular expression, searched for in the whole line of each job.
    r#match: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Suspended {
    user: String,
    which: Which,
    /// What stands before a line that is commented out by this state.
    mark: String,
}

#[derive(Debug)]
enum Which {
    Identifier(String),
    Match(Box<Pattern>),
}

impl State for Suspended {
    const NAME: &'static str = "cron.suspended";
    const SOURCE: &'static str = include_str!("suspended.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let (which, text) = match (arguments.identifier, arguments.r#match) {
            (Some(identifier), None) => (Which::Identifier(identifier.clone()), identifier),
            (None, Some(text)) => match Pattern::new(&text, Flags::default()) {
                Ok(pattern) => (Which::Match(Box::new(pattern)), text),
                Err(error) => return Err(vec![cx.error("match", error)]),
            },
            _ => {
                let problem =
                    cx.error("identifier", "which jobs is said by it or by `match`, and by one of them");
                return Err(vec![problem]);
            }
        };
        let mark = tab::mark(&digest(format!("{}\0{text}", cx.chunk.id).as_bytes())[..8]);
        Ok(Suspended { user: arguments.user, which, mark })
    }
}

impl Resource for Suspended {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Crontab(self.user.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(self.bracket(facts)?.steps)
    }

    fn is_bracket(&self) -> bool {
        true
    }

    fn bracket(&self, facts: &Facts) -> Result<Bracket, Stop> {
        let old = facts.crontab(&self.user)?.map(|text| tab::without_header(text)).unwrap_or_default();
        let mut tab = Tab::read(old);
        let lines = match &self.which {
            Which::Identifier(identifier) => tab.suspend(&self.mark, |entry, _| entry == Some(identifier)),
            Which::Match(pattern) => tab
                .suspend(&self.mark, |_, line| pattern.is_in(&text_of(line.as_bytes())).unwrap_or_default()),
        };
        let subject = format!("crontab of {}", self.user);
        let changes: Vec<Change> =
            lines.into_iter().map(|line| Change::new(subject.as_str(), line, "suspended")).collect();
        let steps = match changes.is_empty() {
            true => Vec::new(),
            false => vec![Step::new(changes, put(&self.user, tab.text()).into())],
        };
        Ok(Bracket { steps, restore: self.restore() })
    }
}

impl Suspended {
    /// Takes the mark away wherever it stands, and leaves all other lines as they have become.
    fn restore(&self) -> String {
        format!(
            "u={} m={}; if [ \"$(id -un)\" = \"$u\" ]; then c=crontab; else c=\"crontab -u $u\"; fi\n\
             t=$(mktemp) || exit 1; trap 'rm -f \"$t\"' EXIT\n\
             $c -l >\"$t\" 2>/dev/null || exit 0\n\
             n=$(grep -c \"^$m\" \"$t\") || exit 0\n\
             sed \"s/^$m//\" \"$t\" | $c - && echo \"$n of its lines put back in the crontab of $u\"",
            quote(&self.user),
            quote(&self.mark)
        )
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::Answer;
    use kstate_core::{Operation, Run};

    use super::*;
    use crate::testing::{Tree, declare};

    const TAB: &str = "# Lines below here are managed by Salt, do not edit\n# SALT_CRON_IDENTIFIER:A\n0 * * * * work\n\
                       # SALT_CRON_IDENTIFIER:B\n5 * * * * rest\n# 9 * * * * work by hand\n";

    fn suspended(which: &str, tab: &str) -> (Option<String>, Bracket) {
        let text = format!(
            "paused:\n  cron.suspended:\n    - user: ann\n    - {which}\n    - around:\n      - test: a\n"
        );
        let mut facts = Facts::default();
        facts.learn(Question::Crontab("ann".into()), Ok(Answer::Crontab(Some(tab.to_owned()))));
        let bracket = declare(&text, &Tree::default()).bracket(&facts).unwrap();
        let new = bracket.steps.first().map(|step| match &step.operation {
            Operation::Run(Run { command, .. }) => String::from_utf8(command.input.clone()).unwrap(),
            other => panic!("{other:?}"),
        });
        (new, bracket)
    }

    #[test]
    fn comments_out_the_jobs_that_are_meant_and_takes_back_only_its_own_mark() {
        for which in ["identifier: A", "match: ' work$'"] {
            let (new, bracket) = suspended(which, TAB);
            let new = new.unwrap();
            let line = new.lines().find(|line| line.ends_with("* work")).unwrap();
            let mark = line.strip_suffix("0 * * * * work").unwrap();
            assert!(line.starts_with("#kstate-suspended-"), "{new}");
            assert_eq!(new.replace(mark, ""), TAB);
            assert!(bracket.restore.contains(mark), "{}", bracket.restore);
            assert_eq!(bracket.steps[0].changes.len(), 1);
            assert!(suspended(which, &new).0.is_none(), "entered twice");
        }
    }
}
