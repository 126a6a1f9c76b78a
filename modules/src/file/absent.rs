//! `file.absent`: nothing stands at this path
//!
//! ```yaml
//! /etc/apache2/sites-enabled/000-default.conf:
//!   file.absent
//! ```
//!
//! A directory goes with everything below it; a link goes, and what it leads to stays.

use kstate_core::question::PathInfo;
use kstate_core::{Change, Claim, Facts, Operation, Place, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;

use super::absolute;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
}

#[derive(Debug)]
pub(crate) struct Absent {
    path: String,
}

impl State for Absent {
    const NAME: &'static str = "file.absent";
    const SOURCE: &'static str = include_str!("absent.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        if path == "/" {
            return Err(vec![cx.error("name", "`/` cannot be made absent")]);
        }
        Ok(Absent { path })
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Path(self.path.clone())]
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let Some(kind) = facts.path(&self.path)?.map(PathInfo::kind_name) else { return Ok(Vec::new()) };
        let change = Change::new(kind, self.path.as_str(), Value::Null);
        Ok(vec![Step::new([change], Operation::Remove { path: self.path.clone() })])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(&*self.path, "absent")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, file, settles};

    #[test]
    fn nothing_at_the_path_needs_nothing() {
        let mut facts = Facts::default();
        file(&mut facts, "/etc/motd", None, 0);
        let absent = declare("/etc/motd:\n  file.absent: []\n", &Tree::default());
        assert_eq!(absent.diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn what_is_there_goes() {
        let mut facts = Facts::default();
        file(&mut facts, "/etc/motd", Some("x"), 0o644);
        let absent = declare("/etc/motd/:\n  file.absent: []\n", &Tree::default());
        assert_eq!(absent.diff(&facts).unwrap()[0].changes[0].to_string(), "file: /etc/motd -> absent");
        settles(&*absent, &mut facts);
    }

    #[test]
    fn the_root_is_refused() {
        let error = declare_error("/:\n  file.absent: []\n", &Tree::default());
        assert!(error.ends_with("`/` cannot be made absent"), "{error}");
    }
}
