//! Answers to what templates ask of a host: from a fixture, or from the host.

use std::path::Path;

use kstate_core::{Call, Problem, Transport};
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

    /// Answers all calls: by the fixture where one of its rules fits, else by the host, in one round trip. What cannot
    /// be answered is a problem of the tree; the error is a connection that was lost.
    pub(crate) fn answer(
        &self,
        calls: &[Call],
        transport: Option<&mut (dyn Transport + '_)>,
        answers: &mut Answers,
    ) -> Result<Vec<Problem>, String> {
        let mut problems = Vec::new();
        let mut refuse = |call: &Call, why: String| {
            problems.push(Problem::error(format!("a template asks the host for `{call}`: {why}")));
        };
        let mut open = Vec::new();
        for call in calls {
            match jinja::answer(&self.rules, call) {
                Some(value) => {
                    answers.insert(call.to_string(), value.clone());
                }
                None => match kstate_modules::calls::job(call) {
                    Ok(job) => open.push((call, job)),
                    Err(error) => refuse(call, error.to_string()),
                },
            }
        }
        match transport {
            Some(transport) if !open.is_empty() => {
                let jobs: Vec<_> = open.iter().map(|(_, job)| job.clone()).collect();
                let replies = transport.exchange(&jobs, &mut |_| {}).map_err(|error| error.to_string())?;
                for ((call, _), reply) in open.into_iter().zip(&replies) {
                    match kstate_modules::calls::read(call, reply) {
                        Ok(value) => {
                            answers.insert(call.to_string(), value);
                        }
                        Err(error) => refuse(call, error.to_string()),
                    }
                }
            }
            Some(_) => {}
            None => {
                for (call, _) in open {
                    refuse(call, "no host is contacted here; answer it by `--exec-fixture FILE`".into());
                }
            }
        }
        Ok(problems)
    }
}
