//! `test.nop`: a state that does nothing, and its siblings that succeed or fail
//!
//! ```yaml
//! nothing-to-do:
//!   test.nop
//! ```
//!
//! `test.succeed_without_changes` is the same; `test.succeed_with_changes` tells a change each time;
//! `test.fail_without_changes` fails, and `test.fail_with_changes` fails when its change is made.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{fails, succeeds, watched};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Any name.
    #[expect(dead_code, reason = "names the state and nothing else")]
    name: String,
    /// What is told when it fails.
    comment: Option<String>,
}

macro_rules! outcomes {
    ($($kind:ident $name:literal: $diff:expr;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $kind {
            comment: Option<String>,
        }

        impl State for $kind {
            const NAME: &'static str = $name;
            const SOURCE: &'static str = include_str!("outcome.rs");
            const LAX: bool = true;

            type Arguments = Arguments;

            fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
                Ok($kind { comment: arguments.comment })
            }
        }

        impl Resource for $kind {
            fn questions(&self) -> Vec<Question> {
                Vec::new()
            }

            fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
                let diff: fn(Option<&str>) -> Result<Vec<Step>, Stop> = $diff;
                diff(self.comment.as_deref())
            }

            fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
                Ok(watched())
            }
        }
    )*};
}

outcomes! {
    Nop "test.nop": |_| Ok(Vec::new());
    SucceedWithoutChanges "test.succeed_without_changes": |_| Ok(Vec::new());
    SucceedWithChanges "test.succeed_with_changes": |_| Ok(vec![succeeds()]);
    FailWithoutChanges "test.fail_without_changes": |comment| {
        Err(Stop::Failed(comment.unwrap_or("Failure!").to_owned()))
    };
    FailWithChanges "test.fail_with_changes": |comment| Ok(vec![fails(comment.unwrap_or("Failure!"))]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare};

    fn diff(function: &str) -> Result<Vec<Step>, Stop> {
        declare(&format!("x:\n  test.{function}:\n    - comment: so be it\n"), &Tree::default())
            .diff(&Facts::default())
    }

    #[test]
    fn each_ends_as_it_says() {
        assert_eq!(diff("nop"), Ok(Vec::new()));
        assert_eq!(diff("succeed_without_changes"), Ok(Vec::new()));
        assert_eq!(diff("fail_without_changes"), Err(Stop::Failed("so be it".into())));
        for function in ["succeed_with_changes", "fail_with_changes"] {
            let steps = diff(function).unwrap();
            assert!(steps[0].always);
            assert_eq!(
                steps[0].changes[0].to_string(),
                "testing: Unchanged -> Something pretended to change"
            );
        }
        let job = diff("fail_with_changes").unwrap()[0].operation.job().unwrap();
        assert!(job.script.contains("so be it"), "{}", job.script);
    }

    #[test]
    fn a_watched_change_is_told() {
        let nop = declare("x:\n  test.nop: []\n", &Tree::default());
        assert_eq!(nop.refresh(&Facts::default()).unwrap()[0].changes[0].subject, "watch");
    }
}
