//! `cron.present`: a user's crontab has this job
//!
//! ```yaml
//! cd /home/ocdskfp/ocdskingfisherprocess; . .ve/bin/activate; python ocdskingfisher-process-cli check-collections:
//!   cron.present:
//!     - identifier: OCDS_KINGFISHER_PROCESS_CHECK_COLLECTIONS
//!     - user: ocdskfp
//!     - minute: 0
//!     - hour: '*/2'
//! ```
//!
//! The format is Salt's: jobs stand below `# Lines below here are managed by Salt, do not edit`, each with a comment that
//! holds its identifier, so that Salt and kstate find each other's jobs. Comment lines directly above a job belong to it;
//! every other line stays as it is. A `%` in a command is a newline for cron(8) unless a backslash stands before it:
//! write it as cron shall read it.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop, Value, digest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::tab::{Field, Job, Wanted};
use super::{command, edit, identifier, root, time};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The command.
    name: String,
    /// Whose crontab. Default: `root`.
    #[serde(default = "root")]
    user: String,
    /// Minute: as crontab(5) has it, `random`, or a range such as `10:20` to choose from. Default: `*`.
    minute: Option<String>,
    /// Hour, likewise.
    hour: Option<String>,
    /// Day of the month, likewise.
    daymonth: Option<String>,
    /// Month, likewise.
    month: Option<String>,
    /// Day of the week, likewise.
    dayweek: Option<String>,
    /// A time such as `@daily` instead.
    special: Option<String>,
    /// A comment above the job. Default: it stays.
    comment: Option<String>,
    /// The job is there, but disabled. Default: `False`.
    #[serde(default)]
    commented: bool,
    /// By what the job is found again when its command changes. Default: the command.
    #[expect(dead_code, reason = "read from the chunk: `False`, null and text differ")]
    identifier: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Present {
    user: String,
    job: Job,
}

impl State for Present {
    const NAME: &'static str = "cron.present";
    const SOURCE: &'static str = include_str!("present.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let command = command(cx, &arguments.name).map_err(|problem| vec![problem])?;
        let identifier = identifier(cx, &command);
        let when = match &arguments.special {
            Some(special) => {
                time::check_special(special).map_err(|message| vec![cx.error("special", message)])?;
                Wanted::Special(special.clone())
            }
            None => {
                let host = cx.sources.grain("id").unwrap_or(Value::Null);
                let seed =
                    format!("{host}\n{}\n{}", arguments.user, identifier.as_deref().unwrap_or(&command));
                Wanted::Fields(
                    times(&arguments, &seed).map_err(|(name, message)| vec![cx.error(name, message)])?,
                )
            }
        };
        Ok(Present {
            user: arguments.user,
            job: Job {
                command,
                identifier,
                comment: arguments.comment.filter(|comment| !comment.trim().is_empty()),
                commented: arguments.commented,
                when,
            },
        })
    }
}

/// The five fields. What is left to chance hangs on the host and the job, so that it is the same each time.
fn times(arguments: &Arguments, seed: &str) -> Result<[Field; 5], (&'static str, String)> {
    let field = |name: &'static str, given: &Option<String>, low: u32, high: u32| {
        let given = given.as_deref().unwrap_or("*").to_lowercase();
        let chosen = |low: u32, high: u32| {
            let hash = digest(format!("{seed}\n{name}").as_bytes());
            let number = u32::from_str_radix(&hash[..7], 16).unwrap_or_default();
            low + number % (high - low + 1)
        };
        if given == "random" {
            return Ok(Field::Random(chosen(low, high)));
        }
        let Some((from, to)) = given.split_once(':') else {
            let at = time::FIELDS.iter().position(|(field, ..)| *field == name).unwrap_or_default();
            return match time::check_field(at, &given) {
                Ok(()) => Ok(Field::Is(given)),
                Err(message) => Err((name, message)),
            };
        };
        match (from.parse::<u32>(), to.parse::<u32>()) {
            (Ok(a), Ok(b)) if a.max(b) <= high => {
                let (low, high) = (a.min(b), a.max(b));
                Ok(Field::Between(low, high, chosen(low, high)))
            }
            _ => Err((name, format!("`{given}` is not a range of numbers up to {high}"))),
        }
    };
    let month = field("month", &arguments.month, 1, 12)?;
    let last_day = match &month {
        Field::Is(month) => match month.as_str() {
            "1" | "3" | "5" | "7" | "8" | "10" | "12" => 31,
            "4" | "6" | "9" | "11" => 30,
            _ => 28,
        },
        Field::Random(_) | Field::Between(..) => 28,
    };
    Ok([
        field("minute", &arguments.minute, 0, 59)?,
        field("hour", &arguments.hour, 0, 23)?,
        field("daymonth", &arguments.daymonth, 1, last_day)?,
        month,
        field("dayweek", &arguments.dayweek, 0, 6)?,
    ])
}

impl Resource for Present {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Crontab(self.user.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        edit(&self.user, facts, |tab| tab.put(&self.job))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};
    use kstate_core::question::Answer;

    pub(crate) fn facts(crontab: Option<&str>) -> Facts {
        let mut facts = Facts::default();
        let answer = Answer::Crontab(crontab.map(str::to_owned));
        facts.learn(Question::Crontab("ann".into()), Ok(answer));
        facts
    }

    pub(crate) fn after(text: &str, crontab: Option<&str>) -> String {
        let state = declare(text, &Tree::default());
        let mut facts = facts(crontab);
        settles(&*state, &mut facts);
        facts.crontab("ann").unwrap().unwrap().clone()
    }

    const JOB: &str = "date +\\%F >x:\n  cron.present:\n    - user: ann\n";
    const TAG: &str = "# Lines below here are managed by Salt, do not edit\n";

    #[test]
    fn writes_what_salt_writes() {
        let rows = [
            ("", "# SALT_CRON_IDENTIFIER:date +\\%F >x\n* * * * * date +\\%F >x\n"),
            (
                "    - identifier: A_B\n    - minute: 5\n    - dayweek: MON\n    - comment: why\n",
                "# why SALT_CRON_IDENTIFIER:A_B\n5 * * * mon date +\\%F >x\n",
            ),
            (
                "    - identifier: x\n    - special: '@hourly'\n    - commented: True\n",
                "# SALT_CRON_IDENTIFIER:x\n#DISABLED#@hourly date +\\%F >x\n",
            ),
            ("    - identifier: null\n", "* * * * * date +\\%F >x\n"),
        ];
        for (arguments, expected) in rows {
            assert_eq!(after(&format!("{JOB}{arguments}"), None), format!("{TAG}{expected}"));
        }
    }

    #[test]
    fn a_job_that_salt_wrote_is_no_drift() {
        let crontab = format!("{TAG}PATH=/bin\n# why SALT_CRON_IDENTIFIER:x\n5 * * * * date +\\%F >x\n");
        let state = declare(&format!("{JOB}    - identifier: x\n    - minute: 5\n"), &Tree::default());
        assert_eq!(state.diff(&facts(Some(&crontab))), Ok(Vec::new()));
    }

    #[test]
    fn jobs_of_one_crontab_add_up() {
        let first = after(JOB, None);
        let both = after("other:\n  cron.present:\n    - user: ann\n    - identifier: o\n", Some(&first));
        assert_eq!(both, format!("{first}# SALT_CRON_IDENTIFIER:o\n* * * * * other\n"));
    }

    #[test]
    fn chance_is_the_same_each_time() {
        let text =
            format!("{JOB}    - minute: random\n    - hour: '3:4'\n    - daymonth: random\n    - month: 2\n");
        let written = after(&text, None);
        assert_eq!(written, after(&text, None));
        let fields: Vec<&str> = written.lines().last().unwrap().split(' ').collect();
        assert!(fields[0].parse::<u32>().unwrap() < 60 && ["3", "4"].contains(&fields[1]), "{fields:?}");
        assert!((1..=28).contains(&fields[2].parse::<u32>().unwrap()), "{fields:?}");
    }

    #[test]
    fn installs_for_the_user_and_shows_the_lines() {
        let steps = declare(JOB, &Tree::default()).diff(&facts(Some("1 2 3 4 5 x\n"))).unwrap();
        assert!(steps[0].changes[0].diff.as_deref().unwrap().contains(" 1 2 3 4 5 x\n+# Lines below"));
        let job = steps[0].operation.job().unwrap();
        assert!(job.script.ends_with(" crontab ann") && job.input.starts_with(b"1 2 3 4 5 x\n# Lines"));
    }

    #[test]
    fn a_command_is_one_line_and_a_range_is_of_numbers() {
        let error = |text: &str| declare_error(text, &Tree::default());
        assert!(error("x:\n  cron.present:\n    - name: |\n        a\n        b\n").contains("one line"));
        for (field, value) in [("minute", "61"), ("dayweek", "funday"), ("special", "daily"), ("month", "''")]
        {
            let text = format!("x:\n  cron.present:\n    - {field}: {value}\n");
            assert!(error(&text).contains(&format!("`{field}`: ")), "{}", error(&text));
        }
        let text = "x:\n  cron.present:\n    - hour: 3:40\n";
        assert!(error(text).contains("`hour`: `3:40` is not a range of numbers up to 23"), "{}", error(text));
    }
}
