//! Answers to what templates ask of a host: from a fixture, or from the host.

use std::path::Path;

use kstate_core::{Call, ExchangeError, Severity, Transport};
use kstate_modules::calls::CallError;
use kstate_sls::jinja::{self, Rule};
use kstate_sls::{Answer, Answers, Refusal};

use crate::error::CommandError;

pub(crate) struct Answering {
    rules: Vec<Rule>,
}

/// Whom to ask what no rule answers.
pub(crate) enum Host<'a> {
    Connected(&'a mut dyn Transport),
    /// Nobody: given grains stand for the host.
    StoodFor,
    /// Nobody: the tree is only checked, and the rest of it can be.
    NotWanted,
}

impl Answering {
    pub(crate) fn new(fixture: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = fixture else { return Ok(Answering { rules: Vec::new() }) };
        let wrong = |why: String| CommandError::usage(format!("`--exec-fixture {}`: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let rules = jinja::rules(&text).map_err(|error| wrong(error.to_string()))?;
        Ok(Answering { rules })
    }

    /// No answers yet, to what the host or a rule can be asked for.
    pub(crate) fn answers(&self) -> Answers {
        Answers::new(
            kstate_modules::calls::function_names().chain(self.rules.iter().map(|rule| rule.fun.as_str())),
        )
    }

    /// Answers all calls: by the fixture where one of its rules fits, else by the host, in one round trip. A call that
    /// cannot be answered is refused. The error is a connection that was lost.
    pub(crate) fn answer(
        &self,
        calls: &[Call],
        host: Host<'_>,
        answers: &mut Answers,
    ) -> Result<(), ExchangeError> {
        let mut open = Vec::new();
        for call in calls {
            let answer = match jinja::answer(&self.rules, call) {
                Some(value) => Answer::Known(value.clone()),
                None => match kstate_modules::calls::job(call) {
                    Ok(job) => {
                        open.push((call, job));
                        continue;
                    }
                    Err(error) => refused(error),
                },
            };
            answers.insert(call, answer);
        }
        match host {
            Host::Connected(transport) if !open.is_empty() => {
                let jobs: Vec<_> = open.iter().map(|(_, job)| job.clone()).collect();
                let replies = transport.exchange(&jobs, &mut |_| {})?;
                for ((call, _), reply) in open.into_iter().zip(&replies) {
                    let answer = match kstate_modules::calls::read(call, reply) {
                        Ok(value) => Answer::Known(value),
                        Err(error) => refused(error),
                    };
                    answers.insert(call, answer);
                }
            }
            Host::Connected(_) => {}
            Host::StoodFor => open.iter().for_each(|(call, _)| {
                answers.insert(call, no_host(Severity::Error));
            }),
            Host::NotWanted => open.iter().for_each(|(call, _)| {
                answers.insert(call, no_host(Severity::Warning));
            }),
        }
        Ok(())
    }
}

/// Refuses calls of templates that would never come to an end.
pub(crate) fn refuse_endless(calls: &[Call], rounds: usize, answers: &mut Answers) {
    for call in calls {
        let refusal = Refusal {
            severity: Severity::Error,
            reason: format!("each of {rounds} rounds of answers has led to new questions"),
            hint: Some("ask for less in what hangs on other answers".into()),
        };
        answers.insert(call, Answer::Refused(refusal));
    }
}

fn refused(error: CallError) -> Answer {
    let reason = match error {
        CallError::Unknown { .. } => "no rule answers it, and a host cannot be asked for it".to_owned(),
        CallError::Wrong { message, .. } => message,
    };
    Answer::Refused(Refusal { severity: Severity::Error, reason, hint: None })
}

fn no_host(severity: Severity) -> Answer {
    let reason = match severity {
        Severity::Error => "no host is contacted here",
        Severity::Warning => "no host is contacted here, and what hangs on the answer is not checked",
    };
    let hint = Some("answer it by `--exec-fixture FILE`".into());
    Answer::Refused(Refusal { severity, reason: reason.into(), hint })
}
