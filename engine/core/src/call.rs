//! An execution function that a template calls (`salt['cmd.run']('…')`): a question to the host.

use std::fmt;

use crate::{Map, Value};

/// A call with its arguments. Two calls that print the same are the same question.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `cmd.run`.
    pub fun: String,
    pub arguments: Vec<Value>,
    pub keywords: Map,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.arguments.iter().map(ToString::to_string).collect();
        words.extend(self.keywords.iter().map(|(key, value)| format!("{key}={value}")));
        write!(f, "{}({})", self.fun, words.join(", "))
    }
}
