//! `service.enabled`, `service.disabled`: a service that is started at boot, or is not
//!
//! ```yaml
//! redis-server:
//!   service.enabled: []
//! ```
//!
//! Whether it runs now is not looked at.

use kstate_core::{Claim, Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Manner, Verb, at_boot, known, step};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The service.
    name: String,
}

#[derive(Debug)]
pub(crate) struct Enabled(String);

#[derive(Debug)]
pub(crate) struct Disabled(String);

impl State for Enabled {
    const NAME: &'static str = "service.enabled";
    const SOURCE: &'static str = include_str!("enabled.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Enabled(arguments.name))
    }
}

impl State for Disabled {
    const NAME: &'static str = "service.disabled";
    const SOURCE: &'static str = include_str!("enabled.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Disabled(arguments.name))
    }
}

impl Resource for Enabled {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let service = known(facts, &self.0)?;
        if service.enabled != Some(false) {
            return Ok(Vec::new());
        }
        Ok(vec![step(&self.0, service, Verb::Enable, Manner::default())?])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![at_boot(&self.0, true)]
    }
}

impl Resource for Disabled {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let service = facts.service(&self.0)?;
        if service.enabled != Some(true) {
            return Ok(Vec::new());
        }
        Ok(vec![step(&self.0, service, Verb::Disable, Manner::default())?])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![at_boot(&self.0, false)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, unit};
    use crate::testing::{Tree, declare, settles};

    #[test]
    fn enables_and_disables() {
        let enabled = declare("cron:\n  service.enabled: []\n", &Tree::default());
        let disabled = declare("cron:\n  service.disabled: []\n", &Tree::default());
        assert_eq!(enabled.diff(&facts("cron", unit(false, true))), Ok(Vec::new()));
        settles(&*enabled, &mut facts("cron", unit(false, false)));
        settles(&*disabled, &mut facts("cron", unit(false, true)));
    }
}
