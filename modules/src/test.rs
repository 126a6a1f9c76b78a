//! States that only report, for trying out requisites.

mod check_pillar;
mod configurable_test_state;
mod outcome;
mod show_notification;

pub(crate) use check_pillar::CheckPillar;
pub(crate) use configurable_test_state::Configurable;
pub(crate) use outcome::{
    FailWithChanges, FailWithoutChanges, Nop, SucceedWithChanges, SucceedWithoutChanges,
};
pub(crate) use show_notification::ShowNotification;

use kstate_core::words::quote;
use kstate_core::{Change, Command, Operation, Run, Step, Value};

/// Salt's words for a change that is none.
fn pretended() -> Change {
    Change::new("testing", "Unchanged", "Something pretended to change")
}

fn succeeds() -> Step {
    Step::always([pretended()], Operation::Nothing)
}

/// Tells a change, and fails when it is made.
fn fails(comment: &str) -> Step {
    let line = format!("echo {} >&2; false", quote(comment));
    let run = Run::new(Command::shell(line), []);
    Step::always([pretended()], run.into())
}

/// What a watched change does.
fn watched() -> Vec<Step> {
    vec![Step::always([Change::new("watch", Value::Null, "Watch statement fired.")], Operation::Nothing)]
}
