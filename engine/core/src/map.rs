//! Ordered mappings, whose keys need not be text.

use std::hash::{Hash, Hasher};

use indexmap::{Equivalent, IndexMap};

use crate::Value;

/// A mapping that keeps the order of its entries.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: IndexMap<Key, Value>,
}

/// A key is found by what it is equal to; not-a-number is equal to nothing.
#[derive(Clone, Debug, PartialEq)]
struct Key(Value);

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

/// A key to look up.
struct Wanted<'a>(&'a Value);

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0, state);
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.0
    }
}

/// A text to look up.
struct Text<'a>(&'a str);

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Key> for Text<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.as_str() == Some(self.0)
    }
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Null => state.write_u8(0),
        Value::Bool(truth) => truth.hash(state),
        Value::Int(number) => number.hash(state),
        Value::Big(number) => number.hash(state),
        // Zero is equal to its negative.
        Value::Float(number) => (number + 0.0).to_bits().hash(state),
        Value::Text(text) => text.as_str().hash(state),
        Value::Bytes(bytes) => bytes.hash(state),
        Value::List(items) => items.iter().for_each(|item| hash(item, state)),
        Value::Map(map) => state.write_usize(map.len()),
    }
}

impl Map {
    pub fn new() -> Self {
        Map::default()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(&Text(key))
    }

    pub fn get_key(&self, key: &Value) -> Option<&Value> {
        self.entries.get(&Wanted(key))
    }

    pub fn get_key_mut(&mut self, key: &Value) -> Option<&mut Value> {
        self.entries.get_mut(&Wanted(key))
    }

    /// Sets a key; an existing one keeps its place.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) {
        self.entries.insert(Key(key.into()), value.into());
    }

    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        self.entries.shift_remove(&Wanted(key))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Value, &Value)> + ExactSizeIterator {
        self.entries.iter().map(|(key, value)| (&key.0, value))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The order counts.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The entries of a mapping that is used up.
#[derive(Debug)]
pub struct Entries(indexmap::map::IntoIter<Key, Value>);

impl Iterator for Entries {
    type Item = (Value, Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.0, value))
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = Entries;

    fn into_iter(self) -> Self::IntoIter {
        Entries(self.entries.into_iter())
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Map { entries: pairs.into_iter().map(|(key, value)| (Key(key.into()), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_kind_are_found_and_keep_their_places() {
        let keys = [
            Value::Null,
            Value::Bool(true),
            Value::Int(1),
            Value::Float(1.5),
            Value::Float(0.0),
            Value::from("a"),
            Value::List(vec![Value::Int(1), Value::from("b")]),
        ];
        let mut map: Map = keys.iter().cloned().zip(0_i64..).collect();
        for (key, place) in keys.iter().zip(0_i64..) {
            assert_eq!(map.get_key(key), Some(&Value::Int(place)));
        }
        assert_eq!(map.get("a"), Some(&Value::Int(5)));
        assert_eq!(map.get_key(&Value::Float(-0.0)), Some(&Value::Int(4)));
        assert_eq!(map.get_key(&Value::Float(1.0)), None);
        map.insert(1_i64, "one");
        assert_eq!(map.remove(&Value::Bool(true)), Some(Value::Int(1)));
        assert_eq!(map.to_string_of_keys(), ["None", "1", "1.5", "0.0", "a", "[1, b]"]);
    }

    #[test]
    fn the_order_makes_two_mappings_different() {
        let map = |keys: [&str; 2]| keys.map(|key| (key, 1_i64)).into_iter().collect::<Map>();
        assert_ne!(map(["a", "b"]), map(["b", "a"]));
        assert_eq!(map(["a", "b"]), map(["a", "b"]));
    }

    impl Map {
        fn to_string_of_keys(&self) -> Vec<String> {
            self.iter().map(|(key, _)| key.to_string()).collect()
        }
    }
}
