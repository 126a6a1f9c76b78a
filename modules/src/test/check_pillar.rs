//! `test.check_pillar`: the pillar has these keys, with values of these types
//!
//! ```yaml
//! pillar-is-whole:
//!   test.check_pillar:
//!     - present: git:url
//!     - string:
//!       - git:branch
//! ```

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::watched;
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Any name.
    #[expect(dead_code, reason = "names the state and nothing else")]
    name: String,
    /// Colon-separated keys that must be there.
    #[serde(default)]
    present: Texts,
    /// Keys of booleans.
    #[serde(default)]
    boolean: Texts,
    /// Keys of whole numbers.
    #[serde(default)]
    integer: Texts,
    /// Keys of texts.
    #[serde(default)]
    string: Texts,
    /// Keys of lists.
    #[serde(default)]
    listing: Texts,
    /// Keys of mappings.
    #[serde(default)]
    dictionary: Texts,
    /// Has no meaning here: what is right is not told.
    #[expect(dead_code, reason = "accepted because trees have it")]
    verbose: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct CheckPillar {
    wrong: Vec<String>,
}

impl State for CheckPillar {
    const NAME: &'static str = "test.check_pillar";
    const SOURCE: &'static str = include_str!("check_pillar.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        type Fits = fn(&Value) -> bool;
        let checks: [(&Texts, &str, Fits); 6] = [
            (&arguments.present, "", |_| true),
            (&arguments.boolean, "a boolean", |value| matches!(value, Value::Bool(_))),
            // Python: a boolean is a number.
            (&arguments.integer, "a whole number", |value| {
                matches!(value, Value::Int(_) | Value::Big(_) | Value::Bool(_))
            }),
            (&arguments.string, "text", |value| matches!(value, Value::Text(_))),
            (&arguments.listing, "a list", |value| matches!(value, Value::List(_))),
            (&arguments.dictionary, "a mapping", |value| matches!(value, Value::Map(_))),
        ];
        if checks.iter().all(|(Texts(keys), ..)| keys.is_empty()) {
            return Err(vec![cx.error("present", "there is nothing to check")]);
        }
        let mut wrong = Vec::new();
        for (Texts(keys), kind, fits) in checks {
            for key in keys {
                match cx.sources.pillar(key).filter(|value| *value != Value::Null) {
                    None => wrong.push(format!("the pillar has no `{key}`")),
                    Some(value) if !fits(&value) => {
                        wrong.push(format!("`{key}` of the pillar is not {kind}"))
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(CheckPillar { wrong })
    }
}

impl Resource for CheckPillar {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        if self.wrong.is_empty() { Ok(Vec::new()) } else { Err(Stop::Failed(self.wrong.join("; "))) }
    }

    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(watched())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare};

    #[test]
    fn names_what_is_missing_or_of_another_type() {
        let tree = Tree { pillar: [("a", 1)].into_iter().collect(), ..Tree::default() };
        let diff = |arguments: &str| {
            declare(&format!("x:\n  test.check_pillar:\n{arguments}"), &tree).diff(&Facts::default())
        };
        assert_eq!(diff("    - present: a\n    - integer: [a]\n"), Ok(Vec::new()));
        let message = "the pillar has no `b`; `a` of the pillar is not a list";
        assert_eq!(diff("    - present: [b]\n    - listing: a\n"), Err(Stop::Failed(message.into())));
    }
}
