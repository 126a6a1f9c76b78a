//! From a chunk's arguments to a module's typed struct, with errors that point at the argument.
//!
//! A module derives `Deserialize` with `deny_unknown_fields`; every unknown argument is reported at once. Text fields
//! take numbers and booleans as well, as they print in Python, because Salt's functions do.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use crate::{Chunk, Data, Node, Position, Problem, Value, nearest};

/// Arguments that every state may have and that the engine itself takes.
pub const COMMON: [&str; 32] = [
    "around",
    "check_cmd",
    "creates",
    "failhard",
    "fire_event",
    "listen",
    "listen_in",
    "names",
    "onchanges",
    "onchanges_any",
    "onchanges_in",
    "onfail",
    "onfail_all",
    "onfail_any",
    "onfail_in",
    "onfail_stop",
    "onlyif",
    "order",
    "parallel",
    "prereq",
    "prereq_in",
    "reload_grains",
    "reload_modules",
    "reload_pillar",
    "require",
    "require_any",
    "require_in",
    "retry",
    "unless",
    "watch",
    "watch_any",
    "watch_in",
];

/// Likewise, but they have no meaning of their own after compiling.
const COMPILED: [&str; 4] = ["use", "use_in", "prerequired", "onchanges_any_in"];

/// Whether the engine, and not the state's function, takes an argument.
pub fn is_common(name: &str) -> bool {
    COMMON.contains(&name) || COMPILED.contains(&name)
}

/// Reads the arguments of a chunk as `T`. `own` are common arguments that this function takes itself (`check_cmd` of
/// `file.managed`).
pub fn arguments<T: DeserializeOwned>(chunk: &Chunk, own: &[&str]) -> Result<T, Vec<Problem>> {
    let name_at = chunk.place("name").unwrap_or(&chunk.at).clone();
    let mut entries: Vec<(Node, Node)> =
        vec![(Node::scalar("name", name_at.clone()), Node::scalar(chunk.name.as_str(), name_at))];
    for (name, node) in &chunk.arguments {
        if name != "name" && !name.starts_with("__") && (own.contains(&name.as_str()) || !is_common(name)) {
            let at = chunk.places.get(name).unwrap_or(&node.at);
            entries.push((Node::scalar(name.as_str(), at.clone()), node.clone()));
        }
    }
    let node = Node { data: Data::Map(entries), at: chunk.at.clone() };
    from_node(&node).map_err(|error| error.problems(chunk))
}

/// Reads any node as `T`.
pub fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, ArgumentError> {
    T::deserialize(NodeDeserializer { node })
}

/// What is wrong with arguments: at least one message, each with its place where that is known.
#[derive(Clone, Debug)]
pub struct ArgumentError {
    found: Vec<Found>,
}

#[derive(Clone, Debug)]
struct Found {
    /// The argument whose value it is about.
    argument: Option<String>,
    message: String,
    hints: Vec<String>,
    at: Option<Position>,
}

impl ArgumentError {
    fn one(message: impl Into<String>) -> Self {
        ArgumentError {
            found: vec![Found { argument: None, message: message.into(), hints: Vec::new(), at: None }],
        }
    }

    fn placed(mut self, at: &Position) -> Self {
        for found in &mut self.found {
            found.at.get_or_insert_with(|| at.clone());
        }
        self
    }

    /// Says whose value it is about; the innermost name counts.
    fn named(mut self, name: Option<&str>) -> Self {
        for found in &mut self.found {
            found.argument = found.argument.take().or_else(|| name.map(str::to_owned));
        }
        self
    }

    fn problems(self, chunk: &Chunk) -> Vec<Problem> {
        self.found
            .into_iter()
            .map(|found| {
                let problem = Problem::error(format!("{}: {found}", chunk.function()))
                    .of(chunk.id.as_str())
                    .at(found.at.as_ref().unwrap_or(&chunk.at));
                Problem { hints: found.hints, ..problem }
            })
            .collect()
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<String> = self.found.iter().map(Found::to_string).collect();
        f.write_str(&messages.join("; "))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "`{argument}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl de::Error for ArgumentError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ArgumentError::one(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        ArgumentError::one(format!("the argument `{field}` is missing"))
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        ArgumentError::one(format!("expected {expected}, found {unexpected}"))
    }
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
}

impl NodeDeserializer<'_> {
    fn wrong(&self, expected: &dyn de::Expected) -> ArgumentError {
        let found = match &self.node.data {
            Data::Scalar(value @ (Value::Null | Value::Bytes(_))) => value.kind().to_owned(),
            Data::Scalar(value) => format!("{} `{value}`", value.kind()),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a mapping".to_owned(),
        };
        ArgumentError::one(format!("expected {expected}, found {found}")).placed(&self.node.at)
    }
}

struct Expected(&'static str);

impl de::Expected for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
            match &self.node.data {
                Data::Scalar(Value::Int(n)) => visitor.visit_i64(*n).map_err(|e: ArgumentError| e.placed(&self.node.at)),
                Data::Scalar(Value::Text(text)) => match text.trim().parse::<i64>() {
                    Ok(n) => visitor.visit_i64(n).map_err(|e: ArgumentError| e.placed(&self.node.at)),
                    Err(_) => Err(self.wrong(&Expected("a whole number"))),
                },
                Data::Scalar(Value::Big(_)) => Err(self.wrong(&Expected("a smaller number"))),
                _ => Err(self.wrong(&Expected("a whole number"))),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = ArgumentError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        let result = match &self.node.data {
            Data::Scalar(Value::Null) => visitor.visit_unit(),
            Data::Scalar(Value::Bool(b)) => visitor.visit_bool(*b),
            Data::Scalar(Value::Int(n)) => visitor.visit_i64(*n),
            Data::Scalar(Value::Float(n)) => visitor.visit_f64(*n),
            Data::Scalar(Value::Text(text)) => visitor.visit_str(text),
            Data::Scalar(Value::Bytes(bytes)) => visitor.visit_bytes(bytes),
            Data::Scalar(Value::Big(n)) => match i128::try_from(n) {
                Ok(n) => visitor.visit_i128(n),
                Err(_) => Err(self.wrong(&Expected("a smaller number"))),
            },
            Data::Scalar(other) => Err(ArgumentError::one(format!("{} cannot stand here", other.kind()))),
            Data::List(items) => visitor.visit_seq(Items { items: items.iter() }),
            Data::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, key: None })
            }
        };
        result.map_err(|e: ArgumentError| e.placed(&self.node.at))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match &self.node.data {
            Data::Scalar(Value::Bool(b)) => visitor.visit_bool(*b),
            Data::Scalar(Value::Int(n @ (0 | 1))) => visitor.visit_bool(*n == 1),
            Data::Scalar(Value::Text(text)) if text.eq_ignore_ascii_case("true") => visitor.visit_bool(true),
            Data::Scalar(Value::Text(text)) if text.eq_ignore_ascii_case("false") => {
                visitor.visit_bool(false)
            }
            _ => Err(self.wrong(&Expected("`True` or `False`"))),
        }
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match &self.node.data {
            Data::Scalar(Value::Null) => Err(self.wrong(&Expected("text"))),
            Data::Scalar(value) => visitor.visit_string(value.to_string()),
            _ => Err(self.wrong(&Expected("text"))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match &self.node.data {
            Data::List(items) => visitor.visit_seq(Items { items: items.iter() }),
            _ => Err(self.wrong(&Expected("a list"))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match &self.node.data {
            Data::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, key: None })
            }
            _ => Err(self.wrong(&Expected("a mapping"))),
        }
    }

    /// Names every unknown field at once, which serde's own check does not.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        let entries = self.node.map().unwrap_or_default();
        let unknown: Vec<Found> = entries
            .iter()
            .filter(|(key, _)| key.text().is_none_or(|key| !fields.contains(&key)))
            .map(|(key, _)| unknown_argument(key, fields))
            .collect();
        if !unknown.is_empty() {
            return Err(ArgumentError { found: unknown });
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        match self.node.text() {
            Some(text) => visitor
                .visit_enum(text.into_deserializer())
                .map_err(|e: ArgumentError| e.placed(&self.node.at)),
            None => Err(self.wrong(&Expected("text"))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

fn unknown_argument(key: &Node, fields: &[&str]) -> Found {
    let name = key.value().to_string();
    Found {
        argument: None,
        message: format!("`{name}` is not an argument of it"),
        hints: instead_of(&name, fields),
        at: Some(key.at.clone()),
    }
}

/// What may have been meant by an argument that there is not, and the function's own arguments.
pub fn instead_of(name: &str, own: &[&str]) -> Vec<String> {
    let near = nearest(name, own.iter().copied().chain(COMMON), 1);
    let mut hints: Vec<String> = near.iter().map(|near| format!("did you mean `{near}`?")).collect();
    // Nobody who misspells a requisite looks for these.
    if !own.is_empty() && !near.iter().any(|near| is_common(near)) {
        hints.push(format!("its arguments are: {}", own.join(", ")));
    }
    hints
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = ArgumentError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ArgumentError> {
        self.items.next().map(|node| seed.deserialize(NodeDeserializer { node })).transpose()
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a Node>,
    key: Option<String>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = ArgumentError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ArgumentError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        self.key = key.text().map(str::to_owned);
        match &self.key {
            Some(text) => {
                let text: StrDeserializer<'_, ArgumentError> = text.as_str().into_deserializer();
                seed.deserialize(text).map(Some).map_err(|e| e.placed(&key.at))
            }
            None => seed.deserialize(NodeDeserializer { node: key }).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ArgumentError> {
        match self.value.take() {
            Some(node) => seed
                .deserialize(NodeDeserializer { node })
                .map_err(|e| e.placed(&node.at).named(self.key.as_deref())),
            None => Err(ArgumentError::one("a value without a key")),
        }
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Managed {
        name: String,
        #[serde(default)]
        makedirs: bool,
        user: Option<String>,
        minute: Option<u32>,
    }

    fn chunk(arguments: &[(&str, Value)]) -> Chunk {
        let at = |line| Position::new("a.sls", line, 5);
        Chunk {
            state: "file".into(),
            fun: "managed".into(),
            id: "/x".into(),
            name: "/x".into(),
            sls: "a".into(),
            places: Default::default(),
            included_from: Vec::new(),
            order: 10000.0,
            arguments: (3..)
                .zip(arguments)
                .map(|(line, (n, v))| ((*n).to_owned(), Node::of(v, &at(line))))
                .collect(),
            at: at(2),
        }
    }

    #[test]
    fn reads_typed_arguments_and_leaves_requisites_out() {
        let chunk = chunk(&[
            ("makedirs", Value::Bool(true)),
            ("user", Value::Int(33)),
            ("require", Value::List(Vec::new())),
            ("minute", "5".into()),
        ]);
        let managed: Managed = arguments(&chunk, &[]).unwrap();
        assert_eq!((managed.name.as_str(), managed.makedirs), ("/x", true));
        assert_eq!((managed.user.as_deref(), managed.minute), (Some("33"), Some(5)));
    }

    #[test]
    fn a_large_number_stays_itself_or_is_refused() {
        let large = Value::from(BigInt::from(u64::MAX));
        let read = Value::deserialize(NodeDeserializer {
            node: &Node::scalar(large.clone(), Position::new("a.sls", 1, 1)),
        });
        assert_eq!(read.unwrap(), large);
        let problems = arguments::<Managed>(&chunk(&[("minute", large)]), &[]).unwrap_err();
        let wrong = "`minute`: expected a smaller number, found a number `18446744073709551615`";
        assert_eq!(problems[0].message, format!("file.managed: {wrong}"));
    }

    #[test]
    fn names_every_unknown_argument_with_its_line_and_the_nearest() {
        let chunk = chunk(&[("makedir", true.into()), ("requires", Value::Null), ("user", "x".into())]);
        let problems = arguments::<Managed>(&chunk, &[]).unwrap_err();
        let shown: Vec<String> = problems.iter().map(|p| format!("{p} ({})", p.hints.join(" "))).collect();
        assert_eq!(
            shown,
            [
                "a.sls:3:5: file.managed: `makedir` is not an argument of it (did you mean `makedirs`? \
                 its arguments are: name, makedirs, user, minute)",
                "a.sls:4:5: file.managed: `requires` is not an argument of it (did you mean `require`?)",
            ]
        );
    }

    #[test]
    fn a_wrong_type_names_argument_and_value() {
        let problems = arguments::<Managed>(&chunk(&[("makedirs", "maybe".into())]), &[]).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "a.sls:3:5: file.managed: `makedirs`: expected `True` or `False`, found text `maybe`"
        );
    }
}
