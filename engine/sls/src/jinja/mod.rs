//! Jinja2 templates as Salt renders them.
//!
//! minijinja runs the templates; Python's part is ours. A template goes through three steps:
//!
//! 1. `lexer`, `expr` and `lower` read it as Jinja2 does and rewrite it for minijinja: statements stay, every
//!    expression becomes calls of the functions in `ops`, and tags that minijinja lacks (`import_yaml`, `load_yaml`,
//!    imports without context, `filter` blocks) become several that it has.
//! 2. minijinja compiles and runs that, once compiled for all targets: what differs from target to target hangs on the
//!    root of the variables (`Root`), never on the engine.
//! 3. `lines` takes the markers out of the text and keeps what they say about places.
//!
//! Why a rewriting and not only functions added to minijinja: lists and dicts must change in place and be shared
//! (`{% do x.append(1) %}`), also those written in the template; `{{ x }}` must print as Python does; an undefined name
//! must be refused in every operation but a few, with the name and names nearby; `+`, `%`, `==`, `in` must know Python's
//! types. All of that is decided where the expression stands, so the rewriting is local and keeps the lines.
//!
//! Why markers in the text: the output of a macro or of a block `set` is text that is printed later, elsewhere, perhaps
//! more than once. Only what travels with the text tells its place then. The rewriting knows statically where text is
//! used as a value and not printed (a call inside of an expression, a block `set`, a `filter` block) and takes the
//! markers out there, so no filter, test, comparison or length ever sees one. The exception is `indent`, which leaves
//! lines as they are and knows markers.
//!
//! What a template asks the host (`salt['cmd.run'](…)`) is answered from the answers given; otherwise the call is
//! noted, its value is unknown, and the template goes on until something depends on the value.

mod answers;
mod args;
mod calls;
mod dates;
mod digests;
mod dump;
mod expr;
mod fault;
mod filters;
mod format;
mod json;
mod lexer;
mod lines;
mod load;
mod lower;
mod methods;
mod network;
mod objects;
mod ops;
mod regex;
mod root;
mod salt;
mod tests;
mod value;
mod work;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod generated;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use kstate_core::{Call, Map, Position, Problem, Severity, Value as Plain, Via, distance};
use minijinja::UndefinedBehavior;
use minijinja::value::Value;

pub use answers::{Answer, Answers, Refusal, Rule, RuleError, answer, rules};
pub use lines::LineMap;
use lower::Lowered;
use root::Root;
use root::{Unpacking, root};

use crate::limits;
use crate::options::{Groups, Whitespace};
use crate::tree::Folders;

/// The templates of one search path, compiled once for all targets.
pub struct Engine {
    folders: Arc<Folders>,
    groups: Groups,
    registry: Arc<Registry>,
    minijinja: minijinja::Environment<'static>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.folders).finish()
    }
}

/// All templates that have been read.
#[derive(Debug, Default)]
struct Registry {
    whitespace: Whitespace,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    templates: Vec<Arc<Template>>,
    by_key: HashMap<String, u32>,
}

/// A template that could be read.
#[derive(Debug)]
struct Template {
    /// `T:path` for a file of the tree; `M:path` and a number for a text that was given.
    key: String,
    /// As people know it.
    file: Arc<str>,
    source: String,
    lowered: Lowered,
}

impl Registry {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str) -> Option<Arc<Template>> {
        let known = self.known();
        known.by_key.get(key).and_then(|n| known.templates.get(*n as usize)).cloned()
    }

    fn number(&self, n: u32) -> Option<Arc<Template>> {
        self.known().templates.get(n as usize).cloned()
    }

    /// The template under a key; another text under the same key is another template.
    fn take(&self, key: &str, file: &Arc<str>, source: &str) -> Result<Arc<Template>, Box<Problem>> {
        let mut version = 0;
        let mut versioned = key.to_owned();
        loop {
            match self.get(&versioned) {
                None => break,
                Some(known) if known.source == source => return Ok(known),
                Some(_) => {
                    version += 1;
                    versioned = format!("{key}\u{0}{version}");
                }
            }
        }
        // The number is taken first, because the markers carry it.
        let mut known = self.known();
        let number = u32::try_from(known.templates.len()).unwrap_or(u32::MAX);
        let lowered = lower::lower(source, file, number, self.whitespace)?;
        let template = Arc::new(Template {
            key: versioned.clone(),
            file: file.clone(),
            source: source.to_owned(),
            lowered,
        });
        known.templates.push(template.clone());
        known.by_key.insert(versioned, number);
        Ok(template)
    }
}

impl Engine {
    pub fn new(folders: Arc<Folders>, whitespace: Whitespace) -> Engine {
        Engine::with_fuel(folders, whitespace, limits::FUEL)
    }

    fn with_fuel(folders: Arc<Folders>, whitespace: Whitespace, fuel: u64) -> Engine {
        let registry = Arc::new(Registry { whitespace, ..Registry::default() });
        let mut minijinja = minijinja::Environment::empty();
        minijinja.set_debug(false);
        minijinja.set_undefined_behavior(UndefinedBehavior::Strict);
        minijinja.set_fuel(Some(fuel));
        minijinja.set_recursion_limit(limits::RECURSION);
        minijinja.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        minijinja.set_formatter(|out, state, value| {
            ops::printable(value)?;
            let work = work::Work::begin(state);
            match value.kind() {
                minijinja::value::ValueKind::String => out.write_str(value.as_str().unwrap_or_default())?,
                _ if value::is_undefined(value) => {}
                _ => out.write_str(&value::printed(value))?,
            }
            work.pay(state)
        });
        ops::register(&mut minijinja);
        let templates = registry.clone();
        minijinja
            .set_loader(move |key| Ok(templates.get(key).map(|template| template.lowered.source.clone())));
        Engine { folders, groups: Groups::default(), registry, minijinja }
    }

    /// Lets templates match node groups.
    pub(crate) fn with_groups(self, groups: Groups) -> Engine {
        Engine { groups, ..self }
    }
}

/// What a template sees beside grains, pillar and the functions: where it stands, and variables of its own.
#[derive(Clone, Debug, Default)]
pub struct TemplateContext {
    /// The SLS, empty for a top file. Managed files have none, and do not see the variables that tell of it.
    pub sls: Option<String>,
    pub slspath: String,
    pub tplfile: String,
    /// The folder of the template, `.` for the root.
    pub tpldir: String,
    /// Variables that are given to this template (`context:` of a managed file, `defaults` of a pillar include).
    pub extra: Map,
}

impl TemplateContext {
    /// Salt's `generate_sls_context`: `path` is the file of the SLS below its root.
    pub fn of_sls(sls: &str, path: &str) -> TemplateContext {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        TemplateContext {
            sls: Some(sls.to_owned()),
            slspath: folder.to_owned(),
            tplfile: path.to_owned(),
            tpldir: if folder.is_empty() { ".".to_owned() } else { folder.to_owned() },
            extra: Map::new(),
        }
    }
}

/// A rendered template.
#[derive(Debug)]
pub struct Rendered {
    /// If the template waits for the host, what there was until then.
    pub text: String,
    pub lines: LineMap,
    /// Whether the text depends on what is not known: answers of the host, or parts of the pillar.
    pub waiting: bool,
}

/// What the templates of one target see.
#[derive(Debug)]
pub struct Environment {
    engine: Arc<Engine>,
    data: Arc<Data>,
    pillar_is_partial: bool,
}

/// The data of a target.
#[derive(Debug)]
struct Data {
    id: String,
    grains: Plain,
    pillar: Plain,
    opts: Map,
    answers: Answers,
    wanted: Mutex<IndexMap<String, Call>>,
}

impl Environment {
    pub fn new(
        engine: &Arc<Engine>,
        id: &str,
        grains: &Map,
        pillar: &Map,
        opts: &Map,
        answers: &Answers,
    ) -> Environment {
        let data = Data {
            id: id.to_owned(),
            grains: Plain::Map(grains.clone()),
            pillar: Plain::Map(pillar.clone()),
            opts: opts.clone(),
            answers: answers.clone(),
            wanted: Mutex::default(),
        };
        Environment { engine: engine.clone(), data: Arc::new(data), pillar_is_partial: false }
    }

    /// Returns an environment with the same data whose templates another engine reads.
    pub(crate) fn with_engine(&self, engine: &Arc<Engine>) -> Environment {
        let (data, pillar_is_partial) = (self.data.clone(), self.pillar_is_partial);
        Environment { engine: engine.clone(), data, pillar_is_partial }
    }

    /// Parts of the pillar could not be read: what it lacks is not known.
    pub fn with_partial_pillar(self) -> Environment {
        Environment { pillar_is_partial: true, ..self }
    }

    /// What templates have asked the host so far without getting an answer, also what has been refused; each question
    /// once.
    ///
    /// What they ask with a pillar that is not whole is not to be asked.
    pub fn wanted(&self) -> Vec<Call> {
        if self.pillar_is_partial {
            return Vec::new();
        }
        self.data.wanted.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Renders `source`, the text of the template `name` (a path below the roots); `file` is how people know it.
    pub fn render(
        &self,
        name: &str,
        file: &Arc<str>,
        source: &str,
        context: &TemplateContext,
    ) -> Result<Rendered, Box<Problem>> {
        let mut rendered = self.run(name, file, source, context)?;
        if source.ends_with('\n') {
            rendered.text.push('\n');
        }
        Ok(rendered)
    }

    fn run(
        &self,
        name: &str,
        file: &Arc<str>,
        source: &str,
        context: &TemplateContext,
    ) -> Result<Rendered, Box<Problem>> {
        if source.contains([lines::OPEN, lines::CLOSE]) {
            let at = source.find([lines::OPEN, lines::CLOSE]).unwrap_or_default();
            let line = u32::try_from(source[..at].matches('\n').count()).unwrap_or_default() + 1;
            let message = "the template contains U+FDD0 or U+FDD1, which Unicode keeps out of text";
            return Err(Box::new(Problem::error(message).at(&Position::new(file.clone(), line, 1))));
        }
        if source.len() > limits::TEXT {
            let message = format!("the template has more than {} MiB", limits::TEXT >> 20);
            return Err(Box::new(Problem::error(message).at(&Position::new(file.clone(), 1, 1))));
        }
        let template = self.engine.registry.take(&format!("M:{name}"), file, source)?;
        let root = Root::new(self.engine.clone(), self.data.clone(), context, self.pillar_is_partial);
        let compiled = self
            .engine
            .minijinja
            .get_template(&template.key)
            .map_err(|error| self.problem(&error, &template))?;
        match compiled.render(Value::from_dyn_object(root.clone())) {
            Ok(text) => {
                let marked = lines::Marked::read(&text);
                let lines = LineMap::new(&marked, &self.engine.registry, file.clone());
                Ok(Rendered { text: marked.text, lines, waiting: root.waits() })
            }
            Err(error) if waits(&error) || root.has_missed() && may_come_of_data(&error) => {
                Ok(Rendered { text: String::new(), lines: LineMap::identity(file.clone()), waiting: true })
            }
            Err(error) => {
                let mut problem = self.problem(&error, &template);
                if let Some(Unpacking { message, hint }) =
                    root.session().unpacking.take().filter(|_| cannot_unpack(&error))
                {
                    problem.message = message;
                    problem.hints.extend(hint);
                }
                Err(problem)
            }
        }
    }

    /// An error of the engine, put where a person looks.
    fn problem(&self, error: &minijinja::Error, main: &Template) -> Box<Problem> {
        let chain = chain(error);
        let fault = chain.iter().find_map(|link| match link {
            Link::Fault(fault) => Some(*fault),
            Link::Error(_) => None,
        });
        if let Some((inner, what)) = fault.and_then(|fault| fault.problem.as_ref()) {
            return Box::new(self.traced((**inner).clone(), &chain, what, main));
        }
        let errors: Vec<&minijinja::Error> = chain
            .iter()
            .filter_map(|link| match link {
                Link::Error(error) => Some(*error),
                Link::Fault(_) => None,
            })
            .collect();
        let innermost = errors.last().copied().unwrap_or(error);
        let message = fault.map_or_else(|| plain_message(innermost), |fault| fault.message.clone());
        let mut problem = Problem::error(message);
        problem.severity = fault.map_or(Severity::Error, |fault| fault.severity);
        problem.hints = fault.map(|fault| fault.hints.clone()).unwrap_or_default();
        if let Some((template, at)) = errors.iter().rev().find_map(|error| self.place(error)) {
            problem.at = Some(Position::new(template.file.clone(), at.line, at.column));
        }
        Box::new(self.traced(problem, &chain, "included from here", main))
    }

    /// A problem with the way by which its place was reached: includes, imports, macros. `what` is done at the last
    /// step.
    fn traced(&self, problem: Problem, chain: &[Link<'_>], what: &str, main: &Template) -> Problem {
        let at = problem.at.clone().unwrap_or_else(|| Position::new(main.file.clone(), 1, 1));
        let mut way: Option<Arc<Via>> = None;
        for link in chain {
            let Link::Error(error) = link else { continue };
            let Some((template, place)) = self.place(error) else { continue };
            let place = Position { way, ..Position::new(template.file.clone(), place.line, place.column) };
            if place == at || place.steps().any(|step| step.at == place) {
                way = place.way;
                continue;
            }
            let what = match error.kind() {
                minijinja::ErrorKind::EvalBlock => error.detail().unwrap_or("called from here"),
                _ => what,
            };
            way = Some(Arc::new(Via { at: place, what: what.into(), pass: None }));
        }
        Problem { at: Some(way.map_or_else(|| at.clone(), |way| at.after(&way))), ..problem }
    }

    /// Where an error stands; one that ends a template that does too much, at the loop that does.
    fn place(&self, error: &minijinja::Error) -> Option<(Arc<Template>, lexer::At)> {
        let template = self.engine.registry.get(error.name()?)?;
        let is_too_much = error.kind() == minijinja::ErrorKind::OutOfFuel;
        let around = |start| template.lowered.loop_around(start).filter(|_| is_too_much);
        let at = match error.range() {
            Some(range) => around(range.start).unwrap_or_else(|| template.lowered.at_offset(range.start)),
            None => template.lowered.at_line(u32::try_from(error.line()?).unwrap_or(1)),
        };
        Some((template, at))
    }
}

enum Link<'a> {
    Error(&'a minijinja::Error),
    Fault(&'a fault::Fault),
}

/// The errors inside of each other, from the outermost on.
fn chain(error: &minijinja::Error) -> Vec<Link<'_>> {
    let mut links = vec![Link::Error(error)];
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<minijinja::Error>() {
            links.push(Link::Error(error));
        } else if let Some(fault) = inner.downcast_ref::<fault::Fault>() {
            links.push(Link::Fault(fault));
        }
        source = inner.source();
    }
    links
}

fn waits(error: &minijinja::Error) -> bool {
    chain(error).iter().any(|link| matches!(link, Link::Fault(fault) if fault.waiting))
}

/// Whether other data could have kept the template from the error.
fn may_come_of_data(error: &minijinja::Error) -> bool {
    use minijinja::ErrorKind::{TemplateNotFound, UnknownFilter, UnknownFunction, UnknownTest};
    chain(error).iter().all(|link| match link {
        Link::Error(error) => {
            !matches!(error.kind(), TemplateNotFound | UnknownFilter | UnknownFunction | UnknownTest)
        }
        Link::Fault(fault) => fault.may_come_of_data,
    })
}

/// Whether a loop has an item that is not made of as many values as the loop takes.
fn cannot_unpack(error: &minijinja::Error) -> bool {
    matches!(chain(error).last(), Some(Link::Error(error)) if error.kind() == minijinja::ErrorKind::CannotUnpack)
}

/// The message of an error that the engine itself made.
fn plain_message(error: &minijinja::Error) -> String {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        minijinja::ErrorKind::UnknownFunction => match detail.split_once(" is unknown") {
            Some((name, _)) => format!("`{name}` is undefined"),
            None => detail.to_owned(),
        },
        minijinja::ErrorKind::CannotUnpack => format!("a value cannot be taken apart here: {detail}"),
        minijinja::ErrorKind::OutOfFuel => "the template does not end, or does too much".to_owned(),
        _ if detail.contains("Too many arguments") => {
            "too much is written here in one list, mapping, call or operation: load it by `import_yaml`"
                .to_owned()
        }
        _ if detail.contains("maximum recursion limits") => {
            "the template is nested too deeply here".to_owned()
        }
        _ if detail.contains("recursion limit") => {
            "templates, macros or loops are nested too deeply: does one call itself?".to_owned()
        }
        kind if detail.is_empty() => kind.to_string(),
        _ => detail.to_owned(),
    }
}

/// The nearest of some names, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match name.chars().count() {
        0..=2 => 1,
        3..=6 => 2,
        _ => 3,
    };
    names
        .filter(|known| *known != name && known.len().abs_diff(name.len()) <= allowed)
        .filter_map(|known| Some((distance(name, known, allowed)?, known)))
        .min_by_key(|(d, _)| *d)
        .map(|(_, known)| known)
}
