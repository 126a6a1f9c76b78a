//! `test.configurable_test_state`: a state that ends as it is told
//!
//! ```yaml
//! pretend:
//!   test.configurable_test_state:
//!     - changes: True
//!     - result: False
//!     - comment: The dog ate it.
//! ```
//!
//! `Random` is refused: the same input has the same outcome.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{fails, succeeds, watched};
use crate::kinds::yes;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Any name.
    #[expect(dead_code, reason = "names the state and nothing else")]
    name: String,
    /// Whether it tells a change. Default: `True`.
    #[serde(default = "yes")]
    changes: bool,
    /// Whether it succeeds. Default: `True`.
    #[serde(default = "yes")]
    result: bool,
    /// What is told when it fails.
    comment: Option<String>,
    /// Has no meaning here: a failure without changes is one for `kstate diff` as well.
    #[expect(dead_code, reason = "accepted because trees have it")]
    allow_test_mode_failure: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Configurable {
    changes: bool,
    result: bool,
    comment: String,
}

impl State for Configurable {
    const NAME: &'static str = "test.configurable_test_state";
    const SOURCE: &'static str = include_str!("configurable_test_state.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] =
        &[("warnings", "a report of a state has no warnings; write a `comment`")];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Configurable {
            changes: arguments.changes,
            result: arguments.result,
            comment: arguments.comment.unwrap_or_else(|| "Failure!".into()),
        })
    }
}

impl Resource for Configurable {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        match (self.result, self.changes) {
            (true, false) => Ok(Vec::new()),
            (true, true) => Ok(vec![succeeds()]),
            (false, true) => Ok(vec![fails(&self.comment)]),
            (false, false) => Err(Stop::Failed(self.comment.clone())),
        }
    }

    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(watched())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error};

    #[test]
    fn ends_as_told() {
        let diff = |arguments: &str| {
            let text = format!("x:\n  test.configurable_test_state:\n{arguments}");
            declare(&text, &Tree::default()).diff(&Facts::default())
        };
        assert_eq!(diff("    - changes: False\n"), Ok(Vec::new()));
        assert_eq!(diff("    - comment: fine\n").unwrap().len(), 1);
        let failed = diff("    - changes: False\n    - result: False\n    - comment: no\n");
        assert_eq!(failed, Err(Stop::Failed("no".into())));
    }

    #[test]
    fn chance_is_refused() {
        let text = "x:\n  test.configurable_test_state:\n    - changes: Random\n";
        let error = declare_error(text, &Tree::default());
        assert!(error.contains("`changes`: expected `True` or `False`, found text `Random`"), "{error}");
    }
}
