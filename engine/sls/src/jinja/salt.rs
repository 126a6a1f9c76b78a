//! `salt`, the functions that a template can call: those that are answered here, and those that the host is asked for.

use std::sync::Arc;

use kstate_core::{Call, Map};
use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};

use super::answers::Answer;
use super::args::Args;
use super::calls::{self, find};
use super::fault::{refused, within};
use super::root::{Root, root};
use super::value::{Undef, Unknown, from_plain, list, to_plain, to_str};
use super::work::Work;
use super::{Data, ops};

/// `salt`.
#[derive(Debug)]
pub(super) struct Salt {
    data: Arc<Data>,
}

/// What stands for an attribute of `salt`, or of a part of it, that there is not.
pub(super) fn missing(of: &Value, name: &str) -> Option<Value> {
    let salt = of.downcast_object_ref::<Salt>().map(|salt| salt.missing(name));
    let module = || of.downcast_object_ref::<Module>();
    salt.or_else(|| module().map(|module| module.salt.missing(&format!("{}.{name}", module.name))))
}

/// `salt.cmd`.
#[derive(Debug)]
struct Module {
    name: String,
    salt: Salt,
}

/// `salt['cmd.run']`.
#[derive(Debug)]
struct Function {
    name: String,
}

impl Salt {
    pub(super) fn new(data: Arc<Data>) -> Salt {
        Salt { data }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        calls::names().chain(self.data.answers.functions().iter().map(String::as_str))
    }

    fn function(&self, name: &str) -> Option<Value> {
        let exists = find(name).is_some() || self.data.answers.functions().contains(name);
        exists.then(|| Value::from_object(Function { name: name.to_owned() }))
    }

    fn module(&self, name: &str) -> Option<Value> {
        let exists =
            self.names().any(|known| known.split_once('.').is_some_and(|(module, _)| module == name));
        let salt = Salt { data: self.data.clone() };
        exists.then(|| Value::from_object(Module { name: name.to_owned(), salt }))
    }

    fn missing(&self, name: &str) -> Value {
        let hint = match super::nearest(name, self.names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "answer it by a rule of `--exec-fixture FILE`".to_owned(),
        };
        Undef::value(format!("there is no function `{name}` that templates could call"), vec![hint])
    }
}

impl Object for Salt {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        self.function(name).or_else(|| self.module(name))
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "get" => {
                let name = args.first().map(to_str).unwrap_or_default();
                let otherwise = || args.get(1).cloned().unwrap_or_else(|| Value::from(()));
                Ok(self.function(&name).unwrap_or_else(otherwise))
            }
            "keys" => Ok(list(self.names().map(Value::from).collect())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("salt")
    }
}

impl Object for Module {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let fun = key.as_str()?;
        // `true_` and the like avoid Python's words.
        self.salt.function(&format!("{}.{}", self.name, fun.trim_end_matches('_')))
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "salt.{}", self.name)
    }
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let work = Work::begin(state);
        let result = self.result(state, &Args::of(args));
        work.end(state, result)
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

impl Function {
    fn result(&self, state: &State<'_, '_>, args: &Args) -> Result<Value, Error> {
        let root = root(state)?;
        let Some(local) = find(&self.name) else { return ask(&root, &self.name, args) };
        match args.all().find(|value| ops::unknown(value)) {
            Some(unknown) => Ok(unknown.clone()),
            None => local(&root, args).map_err(|error| within(&format!("`{}`", self.name), error)),
        }
    }
}

/// A question to the host: its answer, or a value that is not known yet. A question that has been refused fails here,
/// where a person looks for it.
fn ask(root: &Arc<Root>, name: &str, args: &Args) -> Result<Value, Error> {
    let mut keywords = Map::new();
    for (key, value) in &args.keywords {
        keywords.insert(key.as_str(), to_plain(value)?);
    }
    let call = Call {
        fun: name.to_owned(),
        arguments: args.positional.iter().map(to_plain).collect::<Result<_, _>>()?,
        keywords,
    };
    let text = call.to_string();
    match root.data.answers.get(&text) {
        Some(Answer::Known(answer)) => Ok(from_plain(answer)),
        Some(Answer::Refused(refusal)) => {
            root.want(&text, call);
            Err(refused(&text, refusal))
        }
        None => {
            root.want(&text, call);
            Ok(Value::from_object(Unknown { call: text }))
        }
    }
}
