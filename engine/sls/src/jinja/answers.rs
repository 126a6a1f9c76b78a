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
    #[error("rule {0} is not a mapping of the texts `fun` and, perhaps, `contains`, and of `return`")]
    Form(usize),
}

/// Reads rules: a JSON list of `{"fun", "contains"?, "return"}`.
pub fn rules(text: &str) -> Result<Vec<Rule>, RuleError> {
    let read = json::load(text).map_err(RuleError::Json)?;
    let items = read.as_list().ok_or_else(|| RuleError::Json("a list is needed".to_owned()))?;
    items.iter().enumerate().map(|(i, item)| rule(item).ok_or(RuleError::Form(i + 1))).collect()
}

fn rule(item: &Value) -> Option<Rule> {
    let map = item.as_map()?;
    let is_known = |key: &Value| matches!(key.as_str(), Some("fun" | "contains" | "return"));
    if !map.iter().all(|(key, _)| is_known(key)) {
        return None;
    }
    let contains = match map.get("contains") {
        None => None,
        Some(text) => Some(text.as_str()?.to_owned()),
    };
    Some(Rule { fun: map.get("fun")?.as_str()?.to_owned(), contains, answer: map.get("return")?.clone() })
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

#[cfg(test)]
mod tests {
    use kstate_core::Map;

    use super::*;

    #[test]
    fn the_first_rule_that_fits_answers() {
        let rules = rules(
            r#"[{"fun": "cmd.run", "contains": "shell=/bin/sh", "return": 1}, {"fun": "cmd.run", "return": null},
                {"fun": "cmd.run", "return": 3}]"#,
        )
        .unwrap();
        let mut call = Call { fun: "cmd.run".into(), arguments: vec!["date".into()], keywords: Map::new() };
        call.keywords.insert("shell", "/bin/sh");
        assert_eq!(answer(&rules, &call), Some(&Value::Int(1.into())));
        call.keywords = Map::new();
        assert_eq!(answer(&rules, &call), Some(&Value::Null));
        call.fun = "cmd.shell".into();
        assert_eq!(answer(&rules, &call), None);
    }

    #[test]
    fn a_misspelt_rule_is_told() {
        for (text, expected) in [
            ("{", "not JSON"),
            ("{}", "not JSON: a list is needed"),
            (r#"[{"fun": "a.b", "return": 1}, {"fun": "a.b"}]"#, "rule 2 "),
            (r#"[{"fun": "a.b", "return": 1, "contians": "x"}]"#, "rule 1 "),
            (r#"[{"fun": "a.b", "return": 1, "contains": 2}]"#, "rule 1 "),
        ] {
            let error = rules(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
