//! `cron.absent`: a user's crontab does not have this job
//!
//! ```yaml
//! old-job:
//!   cron.absent:
//!     - identifier: OCDS_OLD_JOB
//!     - user: ocdskfp
//! ```
//!
//! Only jobs below Salt's line are looked at, as for `cron.present`. The comment directly above a job goes with it.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{command, edit, identifier, root};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The command; it counts for jobs without an identifier.
    name: String,
    /// Whose crontab. Default: `root`.
    #[serde(default = "root")]
    user: String,
    /// By what the job is found. Default: the command.
    #[expect(dead_code, reason = "read from the chunk: `False`, null and text differ")]
    identifier: Option<IgnoredAny>,
    /// The time of the job, if it is one such as `@daily`.
    special: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Absent {
    user: String,
    command: String,
    identifier: Option<String>,
    special: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "cron.absent";
    const SOURCE: &'static str = include_str!("absent.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let command = command(cx, &arguments.name).map_err(|problem| vec![problem])?;
        Ok(Absent {
            user: arguments.user,
            identifier: identifier(cx, &command),
            command,
            special: arguments.special,
        })
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Crontab(self.user.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        edit(&self.user, facts, |tab| {
            tab.remove(self.identifier.as_deref(), &self.command, self.special.as_deref());
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::cron::present::tests::{after, facts};
    use crate::testing::{Tree, declare};

    const TAG: &str = "# Lines below here are managed by Salt, do not edit\n";

    #[test]
    fn the_job_goes_and_the_tag_stays() {
        let text = "x:\n  cron.absent:\n    - user: ann\n    - identifier: o\n";
        for crontab in [None, Some("* * * * * x\n")] {
            assert_eq!(declare(text, &Tree::default()).diff(&facts(crontab)), Ok(Vec::new()));
        }
        let crontab = format!("{TAG}# SALT_CRON_IDENTIFIER:o\n* * * * * y\n");
        assert_eq!(after(text, Some(&crontab)), TAG);
    }
}
