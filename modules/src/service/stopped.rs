//! `service.stopped`: a service that does not run while other states act, and runs again afterwards
//!
//! ```yaml
//! upgrade-database:
//!   cmd.run:
//!     - name: .ve/bin/alembic upgrade head
//!
//! redis-server:
//!   service.stopped:
//!     - around:
//!       - cmd: upgrade-database
//! ```
//!
//! It is stopped just before the first of the states that it is `around` acts, and started when the last of them has
//! ended, well or badly, if it ran before. What starts it is written down on the host first: if the connection or the
//! controller is lost, the host does it by itself. For a service that shall never run there is `service.dead`.

use kstate_core::{Bracket, Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Manner, Verb, known, step};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The service.
    name: String,
}

#[derive(Debug)]
pub(crate) struct Stopped(String);

impl State for Stopped {
    const NAME: &'static str = "service.stopped";
    const SOURCE: &'static str = include_str!("stopped.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Stopped(arguments.name))
    }
}

impl Resource for Stopped {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.0.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(self.bracket(facts)?.steps)
    }

    fn is_bracket(&self) -> bool {
        true
    }

    fn bracket(&self, facts: &Facts) -> Result<Bracket, Stop> {
        let service = known(facts, &self.0)?;
        if !service.running {
            return Ok(Bracket::default());
        }
        let steps = vec![step(&self.0, service, Verb::Stop, Manner::default())?];
        let start =
            Verb::Start.operation(&self.0, service, Manner::default()).job().unwrap_or_default().script;
        let restore = format!("{start}\necho 'service {} started'", self.0.replace('\'', ""));
        Ok(Bracket { steps, restore })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, unit};
    use crate::testing::{Tree, declare};

    #[test]
    fn starts_again_what_it_stops_and_nothing_else() {
        let text = "cron:\n  service.stopped:\n    - around:\n      - test: a\n";
        let stopped = declare(text, &Tree::default());
        let runs = stopped.bracket(&facts("cron", unit(true, true))).unwrap();
        assert!(runs.restore.contains("systemctl start"), "{}", runs.restore);
        assert_eq!(runs.steps.len(), 1);
        let rests = stopped.bracket(&facts("cron", unit(false, true))).unwrap();
        assert!(rests.restore.is_empty() && rests.steps.is_empty());
    }
}
