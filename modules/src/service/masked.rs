//! `service.masked`, `service.unmasked`: a unit that nothing can start, or that can be started
//!
//! ```yaml
//! exim4:
//!   service.masked: []
//! ```

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Manner, Verb, step};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The service.
    name: String,
    /// Only until the next boot. Default: `False`.
    #[serde(default)]
    runtime: bool,
}

#[derive(Debug)]
pub(crate) struct Masked(Arguments);

#[derive(Debug)]
pub(crate) struct Unmasked(Arguments);

impl State for Masked {
    const NAME: &'static str = "service.masked";
    const SOURCE: &'static str = include_str!("masked.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Masked(arguments))
    }
}

impl State for Unmasked {
    const NAME: &'static str = "service.unmasked";
    const SOURCE: &'static str = include_str!("masked.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Unmasked(arguments))
    }
}

impl Arguments {
    fn steps(&self, facts: &Facts, verb: Verb) -> Result<Vec<Step>, Stop> {
        let service = facts.service(&self.name)?;
        if service.masked == (verb == Verb::Mask) {
            return Ok(Vec::new());
        }
        let manner = Manner { runtime: self.runtime, ..Manner::default() };
        Ok(vec![step(&self.name, service, verb, manner)?])
    }
}

impl Resource for Masked {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.name.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.steps(facts, Verb::Mask)
    }
}

impl Resource for Unmasked {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.name.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.steps(facts, Verb::Unmask)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, unit};
    use crate::testing::{Tree, declare, settles};

    #[test]
    fn masks_and_unmasks() {
        let masked = declare("exim4:\n  service.masked: []\n", &Tree::default());
        let unmasked = declare("exim4:\n  service.unmasked: []\n", &Tree::default());
        let mut facts = facts("exim4", unit(false, true));
        assert_eq!(unmasked.diff(&facts), Ok(Vec::new()));
        settles(&*masked, &mut facts);
        assert_eq!(masked.diff(&facts), Ok(Vec::new()));
        settles(&*unmasked, &mut facts);
    }
}
