//! Arguments of functions, filters and methods, taken apart as Python does.

use minijinja::Error;
use minijinja::value::Value;

use super::fault::type_error;
use super::value::{Kind, clamped, kind, solid, to_str, truth};

#[derive(Debug, Clone, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Value>,
    pub(super) keywords: Vec<(String, Value)>,
}

impl Args {
    /// The engine hands keyword arguments over as a last value.
    pub(super) fn of(values: &[Value]) -> Args {
        match values.split_last() {
            Some((last, rest)) if last.is_kwargs() => Args {
                positional: rest.to_vec(),
                keywords: super::value::pairs(last)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(k, v)| (to_str(&k), v))
                    .collect(),
            },
            _ => Args { positional: values.to_vec(), keywords: Vec::new() },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.positional.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.positional.iter().chain(self.keywords.iter().map(|(_, v)| v))
    }

    pub(super) fn keyword(&self, name: &str) -> Option<&Value> {
        self.keywords.iter().find(|(k, _)| k == name).map(|(_, v)| v)
    }

    /// The argument at a position or under a name.
    pub(super) fn get(&self, at: usize, name: &str) -> Option<&Value> {
        self.positional.get(at).or_else(|| self.keyword(name))
    }

    pub(super) fn need(&self, at: usize, name: &str) -> Result<&Value, Error> {
        let value =
            self.get(at, name).ok_or_else(|| type_error(format!("the argument `{name}` is missing")))?;
        solid(value)?;
        Ok(value)
    }

    pub(super) fn text(&self, at: usize, name: &str) -> Result<&str, Error> {
        let value = self.need(at, name)?;
        value.as_str().ok_or_else(|| {
            type_error(format!("the argument `{name}` is text, not {}", super::value::what(value)))
        })
    }

    pub(super) fn text_or<'a>(&'a self, at: usize, name: &str, default: &'a str) -> Result<&'a str, Error> {
        match self.get(at, name) {
            None => Ok(default),
            Some(value) if value.is_none() => Ok(default),
            Some(_) => self.text(at, name),
        }
    }

    pub(super) fn int(&self, at: usize, name: &str) -> Result<i128, Error> {
        let value = self.need(at, name)?;
        match kind(value) {
            Kind::Int(n) => Ok(clamped(&n)),
            Kind::Bool(b) => Ok(i128::from(b)),
            _ => {
                let message =
                    format!("the argument `{name}` is a whole number, not {}", super::value::what(value));
                Err(type_error(message))
            }
        }
    }

    pub(super) fn int_or(&self, at: usize, name: &str, default: i128) -> Result<i128, Error> {
        match self.get(at, name) {
            None => Ok(default),
            Some(value) if value.is_none() => Ok(default),
            Some(_) => self.int(at, name),
        }
    }

    pub(super) fn flag(&self, at: usize, name: &str, default: bool) -> Result<bool, Error> {
        self.get(at, name).map_or(Ok(default), truth)
    }

    /// The arguments after the first.
    pub(super) fn rest(&self, from: usize) -> Args {
        Args {
            positional: self.positional.get(from..).unwrap_or_default().to_vec(),
            keywords: self.keywords.clone(),
        }
    }
}
