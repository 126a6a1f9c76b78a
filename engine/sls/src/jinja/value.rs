//! Python's values inside the engine: lists, tuples, sets and dicts that change in place and are shared by name, and
//! the two values that stand for something else: an undefined one, and one that only the host can tell.
//!
//! Scalars are the engine's own (`None`, booleans, numbers, text, bytes). Containers are objects with a lock inside,
//! so that `x.append(1)` is seen through every name of the list, as in Python.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use kstate_core::Value as Plain;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Value, ValueKind};
use minijinja::{Error, State};
use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, ToPrimitive, Zero};

use super::fault::{fault, type_error};
use super::lines;
use super::objects::{Cycler, Namespace};
use super::work::{self, Work};
use crate::limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeqKind {
    List,
    Tuple,
    Set,
    /// A group of `groupby`: a tuple whose parts have names, `grouper` and `list`.
    Group,
}

/// A list, a tuple or a set. A set keeps the order of insertion.
#[derive(Debug)]
pub(super) struct Seq {
    pub(super) kind: SeqKind,
    items: RwLock<Vec<Value>>,
}

/// A dict. `ordered` ones (from pillar) keep their order when dumped as YAML; a literal's keys are sorted.
#[derive(Debug)]
pub(super) struct Dict {
    pub(super) ordered: bool,
    entries: RwLock<Entries>,
    misses: Option<Misses>,
}

/// Raised by a look-up that finds nothing in data of which parts are missing.
pub(super) type Misses = Arc<AtomicBool>;

pub(super) type Entries = IndexMap<Key, Value>;

/// Something that is not there, and why. It may be tested and given a default; every other use is an error.
#[derive(Debug)]
pub(super) struct Undef {
    pub(super) message: String,
    pub(super) hints: Vec<String>,
    /// The mapping without a key, and the key: its other keys are looked at only when somebody asks.
    pub(super) looked_in: Option<(Value, String)>,
    /// The missing `else` of an inline `if` prints nothing, and is false.
    pub(super) silent: bool,
}

/// The answer of a host that has not been asked yet.
#[derive(Debug)]
pub(super) struct Unknown {
    pub(super) call: String,
}

/// An integer beyond 64 bits.
#[derive(Debug)]
struct Big(BigInt);

/// A method of a value that was taken without being called (`x.items`).
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) of: Value,
    pub(super) name: String,
}

impl Seq {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Vec<Value>> {
        self.items.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Vec<Value>> {
        self.items.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The items. Nothing where the work of the template is over, so that no walk goes on.
    pub(super) fn snapshot(&self) -> Vec<Value> {
        let items = self.read();
        if work::items(items.len()) { items.clone() } else { Vec::new() }
    }
}

impl Dict {
    pub(super) fn new(entries: Entries, ordered: bool) -> Self {
        Dict::partial(entries, ordered, None)
    }

    /// One of which parts may be missing.
    fn partial(entries: Entries, ordered: bool, misses: Option<&Misses>) -> Self {
        Dict { ordered, entries: RwLock::new(entries), misses: misses.cloned() }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Option<Value> {
        let found = self.read().get(&StrKey(key)).cloned();
        if let Some(misses) = self.misses.as_ref().filter(|_| found.is_none()) {
            misses.store(true, atomic::Ordering::Relaxed);
        }
        found
    }

    /// The entries; nothing where the work of the template is over.
    pub(super) fn snapshot(&self) -> Vec<(Value, Value)> {
        let entries = self.read();
        let count = if work::items(2 * entries.len()) { entries.len() } else { 0 };
        entries.iter().take(count).map(|(k, v)| (k.0.clone(), v.clone())).collect()
    }

    pub(super) fn keys(&self) -> Vec<Value> {
        self.snapshot().into_iter().map(|(key, _)| key).collect()
    }

    /// A copy that shares the values.
    pub(super) fn entries(&self) -> Entries {
        self.snapshot().into_iter().map(|(key, value)| (Key(key), value)).collect()
    }
}

/// A dict's key: equal and hashed as Python does it, so that 1, 1.0 and True are one key.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Value);

impl Key {
    pub(super) fn new(value: &Value) -> Result<Key, Error> {
        Key::at(value, 0)
    }

    fn at(value: &Value, depth: usize) -> Result<Key, Error> {
        if depth > limits::DATA_NESTING {
            return Err(type_error("the key is nested too deeply"));
        }
        match kind(value) {
            Kind::Seq(seq) if seq.kind == SeqKind::Tuple => {
                for item in seq.snapshot() {
                    Key::at(&item, depth + 1)?;
                }
            }
            Kind::Seq(_) | Kind::Dict(_) => {
                return Err(type_error(format!("{} cannot be a key", what(value))));
            }
            Kind::Undef(undef) => return Err(undef.error()),
            _ => {}
        }
        Ok(Key(value.clone()))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

/// A text key for look-ups without making a value.
struct StrKey<'a>(&'a str);

impl Hash for StrKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_str(self.0, state);
    }
}

impl indexmap::Equivalent<Key> for StrKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.as_str() == Some(self.0)
    }
}

fn hash_str<H: Hasher>(text: &str, state: &mut H) {
    work::bytes(text.len());
    state.write_u8(2);
    text.hash(state);
}

/// A key nests no deeper than `Key::new` lets it.
fn hash<H: Hasher>(value: &Value, state: &mut H) {
    match kind(value) {
        Kind::Str(text) => hash_str(text, state),
        Kind::Bool(b) => hash_number(f64::from(u8::from(b)), state),
        Kind::Int(n) => hash_number(to_f64(&n), state),
        Kind::Float(n) => hash_number(n, state),
        Kind::Seq(seq) => {
            state.write_u8(4);
            seq.snapshot().iter().for_each(|item| hash(item, state));
        }
        _ => state.write_u8(5),
    }
}

fn hash_number<H: Hasher>(n: f64, state: &mut H) {
    state.write_u8(1);
    (if n == 0.0 { 0.0 } else { n }).to_bits().hash(state);
}

/// What a value is to Python.
pub(super) enum Kind<'a> {
    Undef(&'a Undef),
    Unknown(&'a Unknown),
    None,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    Seq(&'a Seq),
    Dict(&'a Dict),
    /// Functions, macros, modules, loops, namespaces.
    Other,
}

static PLAIN_UNDEFINED: Undef =
    Undef { message: String::new(), hints: Vec::new(), looked_in: None, silent: false };

pub(super) fn kind(value: &Value) -> Kind<'_> {
    match value.kind() {
        ValueKind::Undefined => Kind::Undef(&PLAIN_UNDEFINED),
        ValueKind::None => Kind::None,
        ValueKind::Bool => Kind::Bool(value.is_true()),
        ValueKind::Number => match i128::try_from(value.clone()) {
            Ok(n) if value.is_integer() => Kind::Int(n.into()),
            _ => Kind::Float(f64::try_from(value.clone()).unwrap_or(f64::NAN)),
        },
        ValueKind::String => Kind::Str(value.as_str().unwrap_or_default()),
        ValueKind::Bytes => Kind::Bytes(value.as_bytes().unwrap_or_default()),
        _ => {
            if let Some(dict) = value.downcast_object_ref::<Dict>() {
                Kind::Dict(dict)
            } else if let Some(seq) = value.downcast_object_ref::<Seq>() {
                Kind::Seq(seq)
            } else if let Some(undef) = value.downcast_object_ref::<Undef>() {
                Kind::Undef(undef)
            } else if let Some(big) = value.downcast_object_ref::<Big>() {
                Kind::Int(big.0.clone())
            } else if let Some(unknown) = value.downcast_object_ref::<Unknown>() {
                Kind::Unknown(unknown)
            } else {
                Kind::Other
            }
        }
    }
}

/// Python's name of the type, for messages.
pub(super) fn type_name(value: &Value) -> &'static str {
    match kind(value) {
        Kind::Undef(_) => "undefined",
        Kind::Unknown(_) => "answer of the host",
        Kind::None => "NoneType",
        Kind::Bool(_) => "bool",
        Kind::Int(_) => "int",
        Kind::Float(_) => "float",
        Kind::Str(_) => "str",
        Kind::Bytes(_) => "bytes",
        Kind::Seq(seq) => match seq.kind {
            SeqKind::List => "list",
            SeqKind::Tuple | SeqKind::Group => "tuple",
            SeqKind::Set => "set",
        },
        Kind::Dict(_) => "dict",
        Kind::Other => "object",
    }
}

/// What a value is, in the words of a sentence: "text", "a list".
pub(super) fn what(value: &Value) -> &'static str {
    match kind(value) {
        Kind::Undef(_) => "undefined",
        Kind::Unknown(_) => "an answer of the host",
        Kind::None => "None",
        Kind::Bool(_) => "a boolean",
        Kind::Int(_) | Kind::Float(_) => "a number",
        Kind::Str(_) => "text",
        Kind::Bytes(_) => "bytes",
        Kind::Seq(seq) => match seq.kind {
            SeqKind::List => "a list",
            SeqKind::Tuple | SeqKind::Group => "a tuple",
            SeqKind::Set => "a set",
        },
        Kind::Dict(_) => "a mapping",
        Kind::Other => "a function or object",
    }
}

/// An operator between two values of types that it does not know.
pub(super) fn mismatch(a: &Value, sign: &str, b: &Value) -> Error {
    let message = format!("`{sign}` cannot stand between {} (left) and {} (right)", what(a), what(b));
    let hints = match (kind(a), kind(b)) {
        (Kind::Str(_), Kind::Int(_) | Kind::Float(_)) | (Kind::Int(_) | Kind::Float(_), Kind::Str(_)) => {
            let joined = if sign == "+" { "`~` joins both as text; " } else { "" };
            vec![format!("{joined}`|int` makes a number of text")]
        }
        (Kind::Str(_), _) | (_, Kind::Str(_)) if sign == "+" => {
            vec!["`~` joins any two values as text".to_owned()]
        }
        _ => Vec::new(),
    };
    fault(minijinja::ErrorKind::InvalidOperation, message, hints)
}

impl Undef {
    pub(super) fn error(&self) -> Error {
        let message = if self.message.is_empty() { "the value is undefined" } else { &self.message };
        let mut hints = self.hints.clone();
        hints.extend(self.looked_in.as_ref().map(|(mapping, key)| keys_of(mapping, key)));
        fault(minijinja::ErrorKind::UndefinedError, message, hints)
    }

    pub(super) fn new(message: impl Into<String>, hints: Vec<String>) -> Undef {
        Undef { message: message.into(), hints, looked_in: None, silent: false }
    }

    pub(super) fn value(message: impl Into<String>, hints: Vec<String>) -> Value {
        Undef::new(message, hints).into()
    }

    /// A key that a mapping does not have.
    pub(super) fn in_mapping(message: String, mapping: &Value, key: &str) -> Value {
        let looked_in = Some((mapping.clone(), key.to_owned()));
        Value::from_object(Undef { message, hints: Vec::new(), looked_in, silent: false })
    }
}

impl From<Undef> for Value {
    fn from(undef: Undef) -> Value {
        Value::from_object(undef)
    }
}

/// What a mapping has instead of a key.
fn keys_of(mapping: &Value, key: &str) -> String {
    let Kind::Dict(dict) = kind(mapping) else { return String::new() };
    let keys: Vec<String> = dict.read().keys().take(500).map(|k| to_str(&k.0)).collect();
    match super::nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => format!("there is `{near}`"),
        None if keys.is_empty() => "the mapping is empty".to_owned(),
        None => {
            let shown: Vec<String> = keys.iter().take(12).map(|k| format!("`{k}`")).collect();
            let more = if keys.len() > 12 { ", …" } else { "" };
            format!("its keys are {}{more}", shown.join(", "))
        }
    }
}

pub(super) fn is_undefined(value: &Value) -> bool {
    matches!(kind(value), Kind::Undef(_))
}

/// Fails on an undefined value, and on one that waits for the host.
pub(super) fn solid(value: &Value) -> Result<(), Error> {
    match kind(value) {
        Kind::Undef(undef) => Err(undef.error()),
        Kind::Unknown(unknown) => Err(super::fault::waiting(&unknown.call)),
        _ => Ok(()),
    }
}

pub(super) fn list(items: Vec<Value>) -> Value {
    seq(SeqKind::List, items)
}

pub(super) fn tuple(items: Vec<Value>) -> Value {
    seq(SeqKind::Tuple, items)
}

pub(super) fn seq(kind: SeqKind, items: Vec<Value>) -> Value {
    work::items(items.len());
    Value::from_object(Seq { kind, items: RwLock::new(items) })
}

/// A set of the values, each once.
pub(super) fn set(items: impl IntoIterator<Item = Value>) -> Result<Value, Error> {
    let mut entries = IndexMap::new();
    for item in items {
        entries.insert(Key::new(&item)?, ());
    }
    Ok(seq(SeqKind::Set, entries.into_keys().map(|key| key.0).collect()))
}

pub(super) fn dict(entries: Entries, ordered: bool) -> Value {
    work::items(2 * entries.len());
    Value::from_object(Dict::new(entries, ordered))
}

pub(super) fn int(n: impl Into<BigInt>) -> Value {
    let n = n.into();
    i64::try_from(&n).map_or_else(|_| Value::from_object(Big(n)), Value::from)
}

pub(super) fn dict_of_text<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    dict(pairs.into_iter().map(|(k, v)| (Key(Value::from(k)), v)).collect(), false)
}

/// Lists in lists in lists are taken apart one by one: if each were left to its own destructor, that would call the
/// next one's, as deep as they nest.
fn take_apart(mut waiting: Vec<Value>) {
    while let Some(value) = waiting.pop() {
        let _ = take(value, |mut seq: Seq| waiting.append(unlocked(&mut seq.items)))
            .or_else(|value| take(value, |mut dict: Dict| waiting.extend(parts(unlocked(&mut dict.entries)))))
            .or_else(|value| take(value, |bound: Bound| waiting.push(bound.of)))
            .or_else(|value| take(value, |undef: Undef| waiting.extend(undef.looked_in.map(|(of, _)| of))))
            .or_else(|value| take(value, |namespace: Namespace| waiting.extend(namespace.into_values())))
            .or_else(|value| take(value, |cycler: Cycler| waiting.extend(cycler.into_values())));
    }
}

/// Hands over what a value is, if it is of that kind and this is its last use; gives back a value of another kind.
fn take<T: Object + 'static>(value: Value, found: impl FnOnce(T)) -> Result<(), Value> {
    let Some(object) = value.downcast_object::<T>() else { return Err(value) };
    drop(value);
    if let Some(object) = Arc::into_inner(object) {
        found(object);
    }
    Ok(())
}

fn unlocked<T>(lock: &mut RwLock<T>) -> &mut T {
    lock.get_mut().unwrap_or_else(PoisonError::into_inner)
}

fn parts(entries: &mut Entries) -> impl Iterator<Item = Value> {
    std::mem::take(entries).into_iter().flat_map(|(key, value)| [key.0, value])
}

impl Drop for Seq {
    fn drop(&mut self) {
        take_apart(std::mem::take(unlocked(&mut self.items)));
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        take_apart(parts(unlocked(&mut self.entries)).collect());
    }
}

impl Object for Seq {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read().get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.snapshot())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().len())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast::<Self>()?;
        Some(compare(&Value::from_dyn_object(self.clone()), &Value::from_dyn_object(other)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr(&Value::from_dyn_object(self.clone())))
    }
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read().get(&Key(key.clone())).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.get(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.keys())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().len())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast::<Self>()?;
        Some(compare(&Value::from_dyn_object(self.clone()), &Value::from_dyn_object(other)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr(&Value::from_dyn_object(self.clone())))
    }
}

impl Object for Undef {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Object for Unknown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Ok(Value::from_dyn_object(self.clone()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown")
    }
}

impl Object for Big {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Object for Bound {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let work = Work::begin(state);
        let result = super::methods::call(state, &self.of, &self.name, &super::args::Args::of(args));
        work.end(state, result)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<built-in method {} of {} object>", self.name, type_name(&self.of))
    }
}

/// Python's truth of a value.
pub(super) fn truth(value: &Value) -> Result<bool, Error> {
    Ok(match kind(value) {
        Kind::Undef(undef) if undef.silent => false,
        Kind::Undef(undef) => return Err(undef.error()),
        Kind::Unknown(unknown) => return Err(super::fault::waiting(&unknown.call)),
        Kind::None => false,
        Kind::Bool(b) => b,
        Kind::Int(n) => !n.is_zero(),
        Kind::Float(n) => n != 0.0,
        Kind::Str(text) => !text.is_empty(),
        Kind::Bytes(bytes) => !bytes.is_empty(),
        Kind::Seq(seq) => !seq.read().is_empty(),
        Kind::Dict(dict) => !dict.read().is_empty(),
        Kind::Other => match value.kind() {
            ValueKind::Seq | ValueKind::Map if native_container(value) => value.len() != Some(0),
            _ => true,
        },
    })
}

/// Whether a value of the engine's own is a container to Python (`*args`, keyword arguments), and not a module or a macro.
fn native_container(value: &Value) -> bool {
    value.is_kwargs() || matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

/// What iterating a value gives.
pub(super) fn iterate(value: &Value) -> Result<Vec<Value>, Error> {
    solid(value)?;
    Ok(match kind(value) {
        Kind::Seq(seq) => seq.snapshot(),
        Kind::Dict(dict) => dict.keys(),
        Kind::Str(text) => {
            work::list_of(text.len())?;
            work::items(text.len());
            text.chars().map(|c| Value::from(c.to_string())).collect()
        }
        Kind::Bytes(bytes) => {
            work::list_of(bytes.len())?;
            work::items(bytes.len());
            bytes.iter().map(|b| Value::from(*b)).collect()
        }
        Kind::Other if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) => {
            value.try_iter()?.collect()
        }
        _ => return Err(type_error(format!("{} is not iterable", what(value)))),
    })
}

/// The pairs of a dict, or of keyword arguments.
pub(super) fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    match kind(value) {
        Kind::Dict(dict) => Some(dict.snapshot()),
        Kind::Other => {
            value.as_object().filter(|o| o.repr() == ObjectRepr::Map)?.try_iter_pairs().map(Iterator::collect)
        }
        _ => None,
    }
}

pub(super) fn is_mapping(value: &Value) -> bool {
    matches!(kind(value), Kind::Dict(_)) || value.is_kwargs()
}

pub(super) fn len(value: &Value) -> Result<usize, Error> {
    solid(value)?;
    Ok(match kind(value) {
        Kind::Str(text) => {
            work::bytes(text.len());
            text.chars().count()
        }
        Kind::Bytes(bytes) => bytes.len(),
        Kind::Seq(seq) => seq.read().len(),
        Kind::Dict(dict) => dict.read().len(),
        Kind::Other if value.len().is_some() => value.len().unwrap_or_default(),
        _ => return Err(type_error(format!("{} has no length", what(value)))),
    })
}

/// Python's `==`.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    equal_at(a, b, 0)
}

fn equal_at(a: &Value, b: &Value, depth: usize) -> bool {
    if depth > limits::DATA_NESTING {
        return false;
    }
    // Whoever looks for an equal value has found one when the work is over.
    if !work::items(1) {
        return true;
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.partial_cmp(&b) == Some(Ordering::Equal);
    }
    match (kind(a), kind(b)) {
        (Kind::None, Kind::None) => true,
        (Kind::Str(a), Kind::Str(b)) => a.len() == b.len() && work::bytes(a.len()) && a == b,
        (Kind::Bytes(a), Kind::Bytes(b)) => a == b,
        (Kind::Seq(a), Kind::Seq(b)) => {
            if std::ptr::eq(a, b) {
                return true;
            }
            let (kind, a, other, b) = (a.kind, a.snapshot(), b.kind, b.snapshot());
            kind == other
                && a.len() == b.len()
                && if kind == SeqKind::Set {
                    a.iter().all(|x| b.iter().any(|y| equal_at(x, y, depth + 1)))
                } else {
                    a.iter().zip(&b).all(|(x, y)| equal_at(x, y, depth + 1))
                }
        }
        (Kind::Dict(a), Kind::Dict(b)) => {
            if std::ptr::eq(a, b) {
                return true;
            }
            let (a, b) = (a.entries(), b.entries());
            a.len() == b.len() && a.iter().all(|(k, x)| b.get(k).is_some_and(|y| equal_at(x, y, depth + 1)))
        }
        (Kind::Other, Kind::Other) => a == b,
        _ => false,
    }
}

/// A number, booleans among them, for comparing.
pub(super) enum Number {
    Int(BigInt),
    Float(f64),
}

impl Number {
    /// The nearest float; infinite where none is near.
    pub(super) fn float(&self) -> f64 {
        match self {
            Number::Int(n) => to_f64(n),
            Number::Float(n) => *n,
        }
    }

    pub(super) fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
            (Number::Int(a), Number::Float(b)) => compare_exactly(a, *b),
            (Number::Float(a), Number::Int(b)) => compare_exactly(b, *a).map(Ordering::reverse),
        }
    }
}

/// Python compares an integer with a float as they are, not as two floats.
fn compare_exactly(whole: &BigInt, float: f64) -> Option<Ordering> {
    match BigInt::from_f64(float) {
        Some(truncated) => Some(whole.cmp(&truncated).then(0.0.partial_cmp(&float.fract())?)),
        None => 0.0.partial_cmp(&float),
    }
}

fn to_f64(n: &BigInt) -> f64 {
    n.to_f64().unwrap_or(f64::NAN)
}

/// A number as a place or a length; one that is too large for either becomes the largest or the smallest.
pub(super) fn clamped(n: &BigInt) -> i128 {
    let end = if n.sign() == Sign::Minus { i64::MIN } else { i64::MAX };
    i64::try_from(n).unwrap_or(end).into()
}

pub(super) fn number(value: &Value) -> Option<Number> {
    match kind(value) {
        Kind::Bool(b) => Some(Number::Int(b.into())),
        Kind::Int(n) => Some(Number::Int(n)),
        Kind::Float(n) => Some(Number::Float(n)),
        _ => None,
    }
}

/// For the engine, whose own way of comparing does not end where lists contain themselves.
fn compare(a: &Value, b: &Value) -> Ordering {
    if equal(a, b) { Ordering::Equal } else { order(a, b, "<").unwrap_or(Ordering::Less) }
}

/// Python's order of two values; an error for types that have none.
pub(super) fn order(a: &Value, b: &Value, sign: &str) -> Result<Ordering, Error> {
    order_at(a, b, sign, 0)
}

fn order_at(a: &Value, b: &Value, sign: &str, depth: usize) -> Result<Ordering, Error> {
    if depth > limits::DATA_NESTING {
        return Err(type_error("the data is nested too deeply"));
    }
    work::items(1);
    solid(a)?;
    solid(b)?;
    if let (Some(x), Some(y)) = (number(a), number(b)) {
        return Ok(x.partial_cmp(&y).unwrap_or(Ordering::Greater));
    }
    match (kind(a), kind(b)) {
        (Kind::Str(a), Kind::Str(b)) => {
            work::bytes(a.len().min(b.len()));
            Ok(a.cmp(b))
        }
        (Kind::Bytes(a), Kind::Bytes(b)) => Ok(a.cmp(b)),
        (Kind::Seq(x), Kind::Seq(y)) if x.kind == y.kind && x.kind != SeqKind::Set => {
            let (x, y) = (x.snapshot(), y.snapshot());
            for (a, b) in x.iter().zip(&y) {
                if !equal(a, b) {
                    return order_at(a, b, sign, depth + 1);
                }
            }
            Ok(x.len().cmp(&y.len()))
        }
        _ => Err(mismatch(a, sign, b)),
    }
}

/// Python's `str`.
pub(super) fn to_str(value: &Value) -> String {
    match kind(value) {
        Kind::Str(text) => text.to_owned(),
        _ => repr(value),
    }
}

/// Python's `repr`.
pub(super) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value, 0, false);
    out
}

/// What `{{ value }}` prints: Salt prints mappings so that YAML can read them.
pub(super) fn printed(value: &Value) -> String {
    match kind(value) {
        Kind::Str(text) => text.to_owned(),
        _ => {
            let mut out = String::new();
            write_repr(&mut out, value, 0, true);
            out
        }
    }
}

fn write_repr(out: &mut String, value: &Value, depth: usize, friendly: bool) {
    if depth > limits::DATA_NESTING {
        out.push_str("...");
        return;
    }
    if work::is_over() {
        return;
    }
    match kind(value) {
        Kind::Undef(_) => out.push_str("Undefined"),
        Kind::Unknown(_) => out.push_str("unknown"),
        Kind::None => out.push_str("None"),
        Kind::Bool(true) => out.push_str("True"),
        Kind::Bool(false) => out.push_str("False"),
        Kind::Int(n) => out.push_str(&n.to_string()),
        Kind::Float(n) => out.push_str(&float_repr(n)),
        Kind::Str(text) => write_quoted(out, text),
        Kind::Bytes(bytes) => write_bytes(out, bytes),
        Kind::Seq(seq) => {
            let items = seq.snapshot();
            let (open, close) = match seq.kind {
                SeqKind::List => ("[", "]"),
                SeqKind::Tuple if items.len() == 1 => ("(", ",)"),
                SeqKind::Tuple | SeqKind::Group => ("(", ")"),
                SeqKind::Set if items.is_empty() => ("set(", ")"),
                SeqKind::Set => ("{", "}"),
            };
            out.push_str(open);
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item, depth + 1, friendly);
            }
            out.push_str(close);
        }
        Kind::Dict(dict) => write_dict(out, &dict.snapshot(), depth, friendly),
        Kind::Other => match pairs(value) {
            // A namespace, the variables of a template: both may contain themselves.
            Some(pairs) => {
                let is_namespace = value.downcast_object_ref::<Namespace>().is_some();
                out.push_str(if is_namespace { "<Namespace " } else { "" });
                write_dict(out, &pairs, depth, friendly);
                out.push_str(if is_namespace { ">" } else { "" });
            }
            None => match value.kind() {
                ValueKind::Seq => write_repr(
                    out,
                    &list(value.try_iter().map(Iterator::collect).unwrap_or_default()),
                    depth,
                    friendly,
                ),
                _ => out.push_str(&value.to_string()),
            },
        },
    }
}

fn write_dict(out: &mut String, pairs: &[(Value, Value)], depth: usize, friendly: bool) {
    out.push('{');
    for (i, (key, item)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_repr(out, key, depth + 1, friendly);
        out.push_str(": ");
        match item.as_str() {
            Some(text) if friendly && text.contains(['\n', '\r', '\t']) => {
                out.push_str(&super::dump::double_quoted(text));
            }
            _ => write_repr(out, item, depth + 1, friendly),
        }
    }
    out.push('}');
}

/// A string as Python's `repr` quotes it.
pub(super) fn write_quoted(out: &mut String, text: &str) {
    if !work::bytes(text.len()) {
        return;
    }
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20
                || c as u32 == 0x7f
                || ((c as u32) >= 0x80 && (c as u32) <= 0xa0)
                || c == '\u{ad}' =>
            {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            '\u{2028}'
            | '\u{2029}'
            | '\u{200b}'..='\u{200f}'
            | '\u{feff}'
            | '\u{3000}'
            | '\u{2000}'..='\u{200a}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

fn write_bytes(out: &mut String, bytes: &[u8]) {
    if !work::bytes(4 * bytes.len()) {
        return;
    }
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(quote as char);
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b if b == quote => {
                out.push('\\');
                out.push(b as char);
            }
            0x20..=0x7e => out.push(b as char),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out.push(quote as char);
}

/// A float as Python prints it: the shortest digits that read back the same.
pub(super) fn float_repr(n: f64) -> String {
    if n.is_nan() {
        return "nan".into();
    }
    if n.is_infinite() {
        return if n > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{n:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if n != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let text = format!("{n}");
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// Data of which Salt makes plain dicts: grains, what a template loads, what the host answers.
pub(super) fn from_plain(value: &Plain) -> Value {
    from_plain_as(value, false, None)
}

/// Data of which Salt makes ordered dicts: pillar, and what states give to templates.
pub(super) fn from_plain_ordered(value: &Plain) -> Value {
    from_plain_as(value, true, None)
}

/// Part of a pillar that may not be whole.
pub(super) fn from_pillar(value: &Plain, misses: Option<&Misses>) -> Value {
    from_plain_as(value, true, misses)
}

/// A pillar: a mapping that is sorted itself, but whose parts keep their order.
pub(super) fn from_map(map: &kstate_core::Map, misses: Option<&Misses>) -> Value {
    let entries = map.iter().map(|(k, v)| (Key(from_plain_key(k)), from_pillar(v, misses))).collect();
    Value::from_object(Dict::partial(entries, false, misses))
}

fn from_plain_as(value: &Plain, ordered: bool, misses: Option<&Misses>) -> Value {
    match value {
        Plain::Null => Value::from(()),
        Plain::Bool(b) => Value::from(*b),
        Plain::Int(n) => Value::from(*n),
        Plain::Big(n) => int(n.clone()),
        Plain::Float(n) => Value::from(*n),
        Plain::Text(text) => Value::from(lines::without_markers(text).as_ref()),
        Plain::Bytes(bytes) => Value::from_bytes(bytes.clone()),
        Plain::List(items) => list(items.iter().map(|item| from_plain_as(item, ordered, misses)).collect()),
        Plain::Map(map) => {
            let entry = |(k, v)| (Key(from_plain_key(k)), from_plain_as(v, ordered, misses));
            let entries = map.iter().map(entry).collect();
            Value::from_object(Dict::partial(entries, ordered, misses))
        }
    }
}

fn from_plain_key(key: &Plain) -> Value {
    match key {
        Plain::List(items) => tuple(items.iter().map(from_plain_key).collect()),
        other => from_plain(other),
    }
}

/// The same data as the rest of the program knows it. Functions and the like are text.
pub(super) fn to_plain(value: &Value) -> Result<Plain, Error> {
    to_plain_at(value, 0)
}

fn to_plain_at(value: &Value, depth: usize) -> Result<Plain, Error> {
    if depth > limits::DATA_NESTING {
        return Err(type_error("the data is nested too deeply"));
    }
    solid(value)?;
    Ok(match kind(value) {
        Kind::None | Kind::Undef(_) | Kind::Unknown(_) => Plain::Null,
        Kind::Bool(b) => Plain::Bool(b),
        Kind::Int(n) => n.into(),
        Kind::Float(n) => Plain::Float(n),
        Kind::Str(text) => Plain::Text(text.to_owned()),
        Kind::Bytes(bytes) => Plain::Bytes(bytes.to_vec()),
        Kind::Seq(seq) => {
            Plain::List(seq.snapshot().iter().map(|v| to_plain_at(v, depth + 1)).collect::<Result<_, _>>()?)
        }
        Kind::Dict(_) | Kind::Other => match pairs(value) {
            Some(pairs) => Plain::Map(
                pairs
                    .iter()
                    .map(|(k, v)| Ok((to_plain_at(k, depth + 1)?, to_plain_at(v, depth + 1)?)))
                    .collect::<Result<Vec<_>, Error>>()?
                    .into_iter()
                    .collect(),
            ),
            None => Plain::Text(value.to_string()),
        },
    })
}

/// A copy that shares nothing with the original.
pub(super) fn deep_copy(value: &Value) -> Value {
    copy_at(value, 0)
}

fn copy_at(value: &Value, depth: usize) -> Value {
    if depth > limits::DATA_NESTING {
        return value.clone();
    }
    match kind(value) {
        Kind::Seq(s) => seq(s.kind, s.snapshot().iter().map(|v| copy_at(v, depth + 1)).collect()),
        Kind::Dict(d) => {
            dict(d.snapshot().into_iter().map(|(k, v)| (Key(k), copy_at(&v, depth + 1))).collect(), d.ordered)
        }
        _ => value.clone(),
    }
}
