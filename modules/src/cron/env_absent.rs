//! `cron.env_absent`: a user's crontab does not set this variable
//!
//! ```yaml
//! MAILTO:
//!   cron.env_absent:
//!     - user: ocdskfp
//! ```
//!
//! Only lines below Salt's line are looked at, as for `cron.present`.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{edit, root};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The variable.
    name: String,
    /// Whose crontab. Default: `root`.
    #[serde(default = "root")]
    user: String,
}

#[derive(Debug)]
pub(crate) struct EnvAbsent {
    user: String,
    name: String,
}

impl State for EnvAbsent {
    const NAME: &'static str = "cron.env_absent";
    const SOURCE: &'static str = include_str!("env_absent.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(EnvAbsent { user: arguments.user, name: arguments.name.trim().to_owned() })
    }
}

impl Resource for EnvAbsent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Crontab(self.user.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        edit(&self.user, facts, |tab| tab.unset_variable(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use crate::cron::present::tests::{after, facts};
    use crate::testing::{Tree, declare};

    #[test]
    fn a_variable_below_the_tag_goes() {
        let text = "A:\n  cron.env_absent:\n    - user: ann\n";
        assert_eq!(declare(text, &Tree::default()).diff(&facts(Some("A=1\n"))), Ok(Vec::new()));
        let tag = "# Lines below here are managed by Salt, do not edit\n";
        assert_eq!(after(text, Some(&format!("A=1\n{tag}A=2\n"))), format!("A=1\n{tag}"));
    }
}
