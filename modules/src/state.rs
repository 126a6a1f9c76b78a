//! What a file of this crate provides, and how a chunk becomes a resource.

use std::collections::BTreeSet;
use std::fmt;

use kstate_core::arguments::{COMMON, instead_of, is_common};
use kstate_core::{
    Chunk, Conditions, Position, Problem, RequisiteKind, Resource, SourceError, Sources, arguments, nearest,
};
use serde::Deserializer;
use serde::de::{DeserializeOwned, Visitor};

use crate::FUNCTIONS;

/// A state function: its name, its typed arguments, and what becomes of them.
pub trait State: Resource + Sized + 'static {
    /// `file.managed`.
    const NAME: &'static str;
    /// The text of its file: the book's page is made of its comments, and its example is a test.
    const SOURCE: &'static str;
    /// Arguments that the engine would take (`check_cmd`), but that this function takes itself.
    const OWN: &'static [&'static str] = &[];
    /// Arguments that Salt documents and kstate does not do, each with the reason or the way out.
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[];
    /// Salt's function takes any further argument and ignores it, so trees have misspelt ones that never did harm:
    /// they are warnings.
    const LAX: bool = false;

    type Arguments: DeserializeOwned;

    /// Checks what the types do not say and fetches what the arguments refer to.
    fn declare(arguments: Self::Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>>;
}

/// What a state is declared in: its chunk, and the tree.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub chunk: &'a Chunk,
    pub sources: &'a dyn Sources,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.chunk.id).finish()
    }
}

impl Context<'_> {
    /// Where the value of an argument stands, or the function if it is not given.
    pub fn at(&self, argument: &str) -> &Position {
        let value = self.chunk.argument(argument).map(|node| &node.at);
        value.or_else(|| self.chunk.place(argument)).unwrap_or(&self.chunk.at)
    }

    /// A mistake in an argument, at its place.
    pub fn error(&self, argument: &str, message: impl fmt::Display) -> Problem {
        Problem::error(format!("{}: `{argument}`: {message}", self.chunk.function()))
            .at(self.at(argument))
            .of(self.chunk.id.as_str())
    }

    /// The bytes of a `salt://` file that an argument names.
    pub fn read(&self, argument: &str, url: &str) -> Result<Vec<u8>, Problem> {
        self.sources.read(url).map_err(|error| self.source_error(argument, &error))
    }

    pub fn source_error(&self, argument: &str, error: &SourceError) -> Problem {
        let problem = self.error(argument, error);
        match error {
            SourceError::Missing { nearest: Some(nearest), .. } => {
                problem.hint(format!("did you mean `{nearest}`?"))
            }
            SourceError::NotSalt { .. } => {
                problem.hint("put the file into the file roots and name it by `salt://path`")
            }
            _ => problem,
        }
    }
}

/// A chunk as the engine runs it.
#[derive(Debug)]
pub struct Declared {
    pub resource: Box<dyn Resource>,
    pub conditions: Conditions,
    pub warnings: Vec<Problem>,
}

type Declare = fn(&Context<'_>) -> Result<Box<dyn Resource>, Vec<Problem>>;

/// An entry of the list.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    pub name: &'static str,
    pub source: &'static str,
    pub unsupported: &'static [(&'static str, &'static str)],
    own: &'static [&'static str],
    lax: bool,
    arguments: fn() -> &'static [&'static str],
    declare: Declare,
}

impl Function {
    pub const fn of<S: State>() -> Self {
        Function {
            name: S::NAME,
            source: S::SOURCE,
            unsupported: S::UNSUPPORTED,
            own: S::OWN,
            lax: S::LAX,
            arguments: fields::<S::Arguments>,
            declare: declare::<S>,
        }
    }

    /// The names of its arguments.
    pub fn arguments(&self) -> &'static [&'static str] {
        (self.arguments)()
    }

    pub fn declare(&self, chunk: &Chunk, sources: &dyn Sources) -> Result<Declared, Vec<Problem>> {
        let (known, mut warnings) = crate::ignored::take(self, chunk);
        let hidden = |problem| crate::urls::hide(problem, chunk);
        let hide = |problems: Vec<Problem>| problems.into_iter().map(hidden).collect::<Vec<_>>();
        let mut declared = self.declare_known(&known, sources).map_err(hide)?;
        warnings.append(&mut declared.warnings);
        Ok(Declared { warnings: hide(warnings), ..declared })
    }

    /// Declares a chunk without the arguments that have no effect.
    fn declare_known(&self, chunk: &Chunk, sources: &dyn Sources) -> Result<Declared, Vec<Problem>> {
        let (chunk, warnings) = match self.arguments() {
            [] => (chunk.clone(), self.misspelt(chunk)),
            _ if self.lax => self.without_unknown(chunk),
            _ => (chunk.clone(), Vec::new()),
        };
        let mut problems: Vec<Problem> = self
            .unsupported
            .iter()
            .filter_map(|(name, why)| chunk.place(name).map(|at| (name, why, at)))
            .map(|(name, why, at)| {
                Problem::error(format!("{}: `{name}` is not supported: {why}", self.name))
                    .at(at)
                    .of(chunk.id.as_str())
            })
            .collect();
        let conditions = Conditions::of(&chunk, self.own).unwrap_or_else(|more| {
            problems.extend(more);
            Conditions::default()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let cx = Context { chunk: &chunk, sources };
        let resource = (self.declare)(&cx)?;
        match (chunk.argument("around"), resource.is_bracket()) {
            (Some(_), false) => {
                let problem = cx.error("around", "it takes nothing away that could be brought back");
                return Err(vec![problem.hint("`cron.suspended`, `process.stopped` and `service.stopped` do; others go by `require` or `prereq`")]);
            }
            (None, true) => {
                let problem = cx.error("around", "it has to name the states during which it holds");
                return Err(vec![problem.hint("add `- around:` with a list of states, as in `require`")]);
            }
            _ => {}
        }
        Ok(Declared { resource, conditions, warnings })
    }

    fn without_unknown(&self, chunk: &Chunk) -> (Chunk, Vec<Problem>) {
        let known = self.arguments();
        let is_known = |name: &str| {
            name.starts_with("__")
                || known.contains(&name)
                || name == "name"
                || is_common(name)
                || self.unsupported.iter().any(|(unsupported, _)| *unsupported == name)
        };
        let (kept, unknown): (Vec<_>, Vec<_>) =
            chunk.arguments.iter().cloned().partition(|(name, _)| is_known(name));
        let warnings =
            unknown.iter().map(|(name, _)| self.without_effect(chunk, name, instead_of(name, known)));
        (Chunk { arguments: kept, ..chunk.clone() }, warnings.collect())
    }

    /// What a function that takes anything is given in place of a requisite.
    fn misspelt(&self, chunk: &Chunk) -> Vec<Problem> {
        let is_requisite = |name: &&str| RequisiteKind::named(name.trim_end_matches("_in")).is_some();
        let lists = chunk.arguments.iter().filter(|(name, node)| !is_common(name) && node.list().is_some());
        let near = |name| nearest(name, COMMON.into_iter().filter(is_requisite), 1);
        lists
            .map(|(name, _)| (name, near(name)))
            .filter(|(_, near)| !near.is_empty())
            .map(|(name, near)| {
                let hints = near.iter().map(|near| format!("did you mean `{near}`?")).collect();
                self.without_effect(chunk, name, hints)
            })
            .collect()
    }

    fn without_effect(&self, chunk: &Chunk, argument: &str, hints: Vec<String>) -> Problem {
        let message = format!("{}: `{argument}` is not an argument of it and has no effect", self.name);
        let at = chunk.place(argument).unwrap_or(&chunk.at);
        Problem { hints, ..Problem::warning(message).at(at).of(chunk.id.as_str()) }
    }
}

fn declare<S: State>(cx: &Context<'_>) -> Result<Box<dyn Resource>, Vec<Problem>> {
    let arguments = arguments::<S::Arguments>(cx.chunk, S::OWN)?;
    Ok(Box::new(S::declare(arguments, cx)?))
}

pub(crate) fn unknown_function(chunk: &Chunk) -> Problem {
    let name = chunk.function();
    let problem =
        Problem::error(format!("there is no state function `{name}`")).at(&chunk.at).of(chunk.id.as_str());
    let names = || FUNCTIONS.iter().map(|function| function.name);
    let near = nearest(&name, names(), 1);
    let mut hints: Vec<String> = near.iter().map(|near| format!("did you mean `{near}`?")).collect();
    let siblings: Vec<&str> =
        names().filter_map(|name| name.strip_prefix(&format!("{}.", chunk.state))).collect();
    if !siblings.is_empty() {
        hints.push(format!("`{}` has: {}", chunk.state, siblings.join(", ")));
    } else if hints.is_empty() {
        let modules: BTreeSet<&str> = names().filter_map(|name| name.split('.').next()).collect();
        let modules: Vec<&str> = modules.into_iter().collect();
        hints.push(format!("there is no module `{}`; there are: {}", chunk.state, modules.join(", ")));
    }
    Problem { hints, ..problem }
}

/// The names of a struct's fields, which serde tells whoever deserializes it.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    let _: Result<T, serde::de::value::Error> = T::deserialize(Fields(&mut found));
    found
}

struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("only structs have fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(serde::de::Error::custom("only the names are wanted"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
