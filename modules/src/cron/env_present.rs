//! `cron.env_present`: a user's crontab sets this variable
//!
//! ```yaml
//! MAILTO:
//!   cron.env_present:
//!     - user: ocdskfp
//!     - value: sysadmin@open-contracting.org
//! ```

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{edit, root};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The variable.
    name: String,
    /// Its value. Default: empty.
    value: Option<String>,
    /// Whose crontab. Default: `root`.
    #[serde(default = "root")]
    user: String,
}

#[derive(Debug)]
pub(crate) struct EnvPresent {
    user: String,
    name: String,
    value: String,
}

impl State for EnvPresent {
    const NAME: &'static str = "cron.env_present";
    const SOURCE: &'static str = include_str!("env_present.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let name = arguments.name.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(vec![cx.error("name", format!("`{name}` is not the name of a variable"))]);
        }
        let value = arguments.value.unwrap_or_default();
        if value.contains('\n') {
            return Err(vec![cx.error("value", "a variable of a crontab is one line")]);
        }
        Ok(EnvPresent { user: arguments.user, name: name.to_owned(), value })
    }
}

impl Resource for EnvPresent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Crontab(self.user.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        edit(&self.user, facts, |tab| tab.set_variable(&self.name, &self.value))
    }
}

#[cfg(test)]
mod tests {
    use crate::cron::present::tests::after;

    const TAG: &str = "# Lines below here are managed by Salt, do not edit\n";

    #[test]
    fn sets_a_variable_below_the_tag() {
        let text = "MAILTO:\n  cron.env_present:\n    - user: ann\n";
        assert_eq!(after(text, None), format!("{TAG}MAILTO=\"\"\n"));
        let text = format!("{text}    - value: me@here\n");
        let job = "# SALT_CRON_IDENTIFIER:x\n* * * * * x\n";
        assert_eq!(after(&text, Some(&format!("{TAG}{job}"))), format!("{TAG}MAILTO=me@here\n{job}"));
    }
}
