//! What templates make to remember something: `namespace`, `cycler`, `joiner`.

use std::cmp;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};

use super::args::Args;
use super::fault::type_error;
use super::methods;
use super::value::{self, Entries, Key, repr, to_str, what};

/// Attributes that a template may set, also from within a loop.
#[derive(Debug)]
pub(super) struct Namespace {
    attributes: Mutex<Entries>,
}

pub(super) fn namespace(args: &Args) -> Result<Value, Error> {
    let mut attributes = match args.positional.first() {
        None => Entries::new(),
        Some(from) => methods::entries_of(from)?,
    };
    attributes
        .extend(args.keywords.iter().map(|(name, value)| (Key(Value::from(name.as_str())), value.clone())));
    Ok(Value::from_object(Namespace { attributes: Mutex::new(attributes) }))
}

/// `{% set of.name = value %}`.
pub(super) fn assign(of: &Value, name: &str, value: &Value) -> Result<Value, Error> {
    value::solid(of)?;
    let Some(namespace) = of.downcast_object_ref::<Namespace>() else {
        return Err(type_error(format!(
            "only attributes of a `namespace()` can be set, not of {}",
            what(of)
        )));
    };
    namespace.attributes().insert(Key(Value::from(name)), value.clone());
    Ok(Value::from(()))
}

impl Namespace {
    fn attributes(&self) -> MutexGuard<'_, Entries> {
        self.attributes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.attributes.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }
}

impl Object for Namespace {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.attributes().get(&Key(key.clone())).cloned()
    }

    /// Two namespaces are never the same, whatever they hold.
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<cmp::Ordering> {
        let other = other.downcast::<Self>()?;
        Some(if Arc::ptr_eq(self, &other) { cmp::Ordering::Equal } else { cmp::Ordering::Less })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.attributes().keys().map(|key| key.0.clone()).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr(&Value::from_dyn_object(self.clone())))
    }
}

/// Gives its values by turns.
#[derive(Debug)]
pub(super) struct Cycler {
    items: Vec<Value>,
    at: Mutex<usize>,
}

pub(super) fn cycler(items: &[Value]) -> Result<Value, Error> {
    if items.is_empty() {
        return Err(type_error("cycler() needs at least one item"));
    }
    Ok(Value::from_object(Cycler { items: items.to_vec(), at: Mutex::new(0) }))
}

impl Cycler {
    pub(super) fn into_values(self) -> Vec<Value> {
        self.items
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        (key.as_str()? == "current").then(|| self.items[at].clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        match method {
            "next" => {
                let current = self.items[*at].clone();
                *at = (*at + 1) % self.items.len();
                Ok(current)
            }
            "reset" => {
                *at = 0;
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// Nothing the first time it is called, then its separator.
#[derive(Debug)]
struct Joiner {
    separator: String,
    used: AtomicBool,
}

pub(super) fn joiner(args: &[Value]) -> Value {
    let separator = args.first().map_or_else(|| ", ".to_owned(), to_str);
    Value::from_object(Joiner { separator, used: AtomicBool::new(false) })
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let used = self.used.swap(true, Ordering::Relaxed);
        Ok(Value::from(if used { self.separator.as_str() } else { "" }))
    }
}
