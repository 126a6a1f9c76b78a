//! What a host answers to the calls of templates, and rules that stand in for a host.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kstate_core::{Call, Severity, Value};
use thiserror::Error;

use super::json;

/// The functions that a host can be asked for, and what it has answered so far. Templates see no others: Salt does not
/// have a function either where what it needs is not installed.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    functions: Arc<BTreeSet<String>>,
    /// By [`Call`] as it prints.
    known: HashMap<String, Answer>,
}

/// What is known of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Known(Value),
    /// There is no answer, and there will be none: a problem at the place of the call.
    Refused(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub severity: Severity,
    /// A lower-case fragment without a final stop.
    pub reason: String,
    pub hint: Option<String>,
}

impl Answers {
    pub fn new<'a>(functions: impl IntoIterator<Item = &'a str>) -> Answers {
        let functions = functions.into_iter().map(str::to_owned).collect();
        Answers { functions: Arc::new(functions), known: HashMap::new() }
    }

    /// The functions that can be asked for, sorted.
    pub fn functions(&self) -> &BTreeSet<String> {
        &self.functions
    }

    /// What is known of a call, by how it prints.
    pub fn get(&self, call: &str) -> Option<&Answer> {
        self.known.get(call)
    }

    pub fn insert(&mut self, call: &Call, answer: Answer) {
        self.known.insert(call.to_string(), answer);
    }

    /// Whether the tree cannot be compiled for want of an answer.
    pub fn has_errors(&self) -> bool {
        self.known.values().any(Answer::is_error)
    }
}

impl Answer {
    fn is_error(&self) -> bool {
        matches!(self, Answer::Refused(refusal) if refusal.severity == Severity::Error)
    }
}

/// An answer that stands in for a host's: for calls of `fun` whose arguments contain a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub fun: String,
    pub contains: Option<String>,
    pub answer: Value,
}

#[derive(Debug, Error)]
pub enum RuleError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("rule {0} is not a mapping with `fun` and `return`")]
    Form(usize),
}

/// Reads rules: a JSON list of `{"fun", "contains"?, "return"}`.
pub fn rules(text: &str) -> Result<Vec<Rule>, RuleError> {
    let read = json::load(text).map_err(RuleError::Json)?;
    let items = read.as_list().ok_or_else(|| RuleError::Json("a list is needed".to_owned()))?;
    items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            let map = item.as_map().ok_or(RuleError::Form(i + 1))?;
            let fun = map.get("fun").and_then(Value::as_str).ok_or(RuleError::Form(i + 1))?;
            let answer = map.get("return").ok_or(RuleError::Form(i + 1))?;
            let contains = map.get("contains").and_then(Value::as_str).map(str::to_owned);
            Ok(Rule { fun: fun.to_owned(), contains, answer: answer.clone() })
        })
        .collect()
}

/// The answer of the first rule that fits.
pub fn answer<'a>(rules: &'a [Rule], call: &Call) -> Option<&'a Value> {
    let text = call.to_string();
    let arguments = text.strip_prefix(call.fun.as_str()).unwrap_or(&text);
    rules
        .iter()
        .find(|rule| {
            rule.fun == call.fun && rule.contains.as_deref().is_none_or(|part| arguments.contains(part))
        })
        .map(|rule| &rule.answer)
}
