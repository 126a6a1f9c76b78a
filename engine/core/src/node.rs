//! A value that knows where it was written: what arguments of a state are made of.

use crate::{Map, Position, Value};

/// A value with its place. Lists and mappings hold nodes in turn, so every part of an argument can be pointed at.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub data: Data,
    pub at: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Null, a boolean, a number, text or bytes.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn scalar(value: impl Into<Value>, at: Position) -> Self {
        Node { data: Data::Scalar(value.into()), at }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn map(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Scalar(Value::Null))
    }

    /// The value of a text key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, v)| v)
    }

    /// The same data without places.
    pub fn value(&self) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(items) => Value::List(items.iter().map(Node::value).collect()),
            Data::Map(entries) => {
                Value::Map(entries.iter().map(|(k, v)| (k.value(), v.value())).collect::<Map>())
            }
        }
    }

    /// Data that was not written in a file of its own (a default, a command-line argument), all at one place.
    pub fn of(value: &Value, at: &Position) -> Node {
        let data = match value {
            Value::List(items) => Data::List(items.iter().map(|item| Node::of(item, at)).collect()),
            Value::Map(map) => {
                Data::Map(map.iter().map(|(k, v)| (Node::of(k, at), Node::of(v, at))).collect())
            }
            scalar => Data::Scalar(scalar.clone()),
        };
        Node { data, at: at.clone() }
    }
}
