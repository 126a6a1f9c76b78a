//! Crontabs of users.
//!
//! The format is Salt's: what it manages stands below a line of its own, and a comment above each job holds the
//! identifier by which the job is found again. Lines that nobody declares stay as they are.

mod absent;
mod env_absent;
mod env_present;
mod file;
mod present;
mod suspended;
mod tab;
mod time;

pub(crate) use absent::Absent;
pub(crate) use env_absent::EnvAbsent;
pub(crate) use env_present::EnvPresent;
pub(crate) use file::File;
pub(crate) use present::Present;
pub(crate) use suspended::Suspended;

use kstate_core::question::Answer;
use kstate_core::{Command, Facts, Node, Problem, Question, Run, Step, Stop, Touch, Value};

use crate::{Context, text};
use tab::Tab;

/// Puts a crontab in place, for oneself without `-u`, which only root may use.
const INSTALL: &str = "if [ \"$(id -un)\" = \"$1\" ]; then exec crontab -; else exec crontab -u \"$1\" -; fi";

/// The step from the crontab that is there to what `change` makes of it.
fn edit(user: &str, facts: &Facts, change: impl Fn(&mut Tab)) -> Result<Vec<Step>, Stop> {
    let old = facts.crontab(user)?.map(|text| tab::without_header(text).to_owned());
    let mut tab = Tab::read(old.as_deref().unwrap_or_default());
    change(&mut tab);
    Ok(install(user, old.as_deref(), tab.text()))
}

fn install(user: &str, old: Option<&str>, new: String) -> Vec<Step> {
    if new == old.unwrap_or_default() {
        return Vec::new();
    }
    let name = format!("crontab of {user}");
    let change = text::change(&name, &name, old.map(str::as_bytes), new.as_bytes());
    vec![Step::new([change], put(user, new).into())]
}

/// Puts a whole crontab in place.
fn put(user: &str, new: String) -> Run {
    let command = Command::words(["sh", "-c", INSTALL, "crontab", user])
        .input(new.as_bytes())
        .told(format!("crontab -u {user} -"));
    Run::new(command, [Touch::Crontab(user.to_owned())])
        .foretells(Question::Crontab(user.to_owned()), Answer::Crontab(Some(new)))
}

/// The command of a job: one line.
fn command(cx: &Context<'_>, name: &str) -> Result<String, Problem> {
    let command = name.trim();
    if command.contains('\n') {
        return Err(cx.error("name", "a job of cron is one line"));
    }
    Ok(command.to_owned())
}

/// Salt: the identifier is the command unless it is given; a null is none at all.
fn identifier(cx: &Context<'_>, command: &str) -> Option<String> {
    match cx.chunk.argument("identifier").map(Node::value) {
        None | Some(Value::Bool(false)) => Some(command.to_owned()),
        Some(Value::Null) => None,
        Some(given) => Some(given.to_string()).filter(|given| !given.is_empty()),
    }
}

fn root() -> String {
    "root".to_owned()
}
