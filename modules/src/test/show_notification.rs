//! `test.show_notification`: a text that is read in the tree
//!
//! ```yaml
//! about-backups:
//!   test.show_notification:
//!     - text: Backups are made by the host, not by this state.
//! ```
//!
//! It changes nothing and always succeeds.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::watched;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Any name.
    #[expect(dead_code, reason = "names the state and nothing else")]
    name: String,
    /// The text.
    text: String,
}

#[derive(Debug)]
pub(crate) struct ShowNotification;

impl State for ShowNotification {
    const NAME: &'static str = "test.show_notification";
    const SOURCE: &'static str = include_str!("show_notification.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        if arguments.text.is_empty() {
            Err(vec![cx.error("text", "it is empty")])
        } else {
            Ok(ShowNotification)
        }
    }
}

impl Resource for ShowNotification {
    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn diff(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(watched())
    }
}
