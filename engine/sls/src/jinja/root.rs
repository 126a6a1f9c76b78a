//! The root of a template's variables: what it sees of its target, and what a single render has to remember.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kstate_core::{Call, Map, Value as Plain};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};

use super::fault::{fault, unreadable};
use super::salt::Salt;
use super::value::{Misses, from_map, from_pillar, from_plain, from_plain_ordered, iterate, solid};
use super::{Data, Engine, TemplateContext};

#[derive(Debug)]
pub(super) struct Root {
    pub(super) engine: Arc<Engine>,
    pub(super) data: Arc<Data>,
    variables: HashMap<String, Value>,
    /// Made when they are first looked at. A template that changes them changes them for itself.
    grains: OnceLock<Value>,
    pillar: OnceLock<Value>,
    opts: OnceLock<Value>,
    /// Parts of the pillar that functions have given out, by key.
    parts: Mutex<HashMap<String, Value>>,
    session: Mutex<Session>,
    asked: AtomicBool,
    /// For a pillar that is not whole: whether something was looked for that it lacks.
    misses: Option<Misses>,
}

/// What changes while a template runs.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Modules of templates that were imported without context, by the template's key; `true`: their texts.
    pub(super) modules: HashMap<(String, bool), Value>,
    /// As Salt keeps them: those of the template that was loaded last.
    pub(super) tplfile: String,
    pub(super) tpldir: String,
    /// Keys of templates, by the names under which they were loaded first.
    loaded: HashMap<String, String>,
    /// What is wrong with an item of a loop that takes several values at a time.
    pub(super) unpacking: Option<Unpacking>,
}

/// An item of a loop that cannot be taken apart.
#[derive(Debug)]
pub(super) struct Unpacking {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The root of the running template.
pub(super) fn root(state: &State<'_, '_>) -> Result<Arc<Root>, Error> {
    state
        .lookup("__root")
        .and_then(|value| value.downcast_object::<Root>())
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the template has no root"))
}

impl Root {
    pub(super) fn new(
        engine: Arc<Engine>,
        data: Arc<Data>,
        context: &TemplateContext,
        pillar_is_partial: bool,
    ) -> Arc<Root> {
        let mut variables = HashMap::new();
        let mut put = |name: &str, value: &str| {
            variables.insert(name.to_owned(), Value::from(value));
        };
        put("saltenv", "base");
        if let Some(sls) = &context.sls {
            put("sls", sls);
            put("slspath", &context.slspath);
            put("slsdotpath", &context.slspath.replace('/', "."));
            put("slscolonpath", &context.slspath.replace('/', ":"));
            put("sls_path", &context.slspath.replace('/', "_"));
            put("tplfile", &context.tplfile);
            put("tplpath", &context.tplfile);
            put("tpldir", &context.tpldir);
            put("tpldot", &context.slspath.replace('/', "."));
            variables.insert("proxy".to_owned(), from_plain(&Plain::Map(Map::new())));
        }
        for (name, value) in context.extra.iter() {
            if let Some(name) = name.as_str() {
                variables.insert(name.to_owned(), from_plain_ordered(value));
            }
        }
        let session = Session {
            tplfile: context.tplfile.clone(),
            tpldir: context.tpldir.clone(),
            ..Session::default()
        };
        let misses = pillar_is_partial.then(Misses::default);
        Arc::new(Root {
            engine,
            data,
            variables,
            grains: OnceLock::new(),
            pillar: OnceLock::new(),
            opts: OnceLock::new(),
            parts: Mutex::default(),
            session: Mutex::new(session),
            asked: AtomicBool::new(false),
            misses,
        })
    }

    pub(super) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn grains(&self) -> &Value {
        self.grains.get_or_init(|| self.grains_copy())
    }

    /// Grains of one's own.
    pub(super) fn grains_copy(&self) -> Value {
        from_plain(&self.data.grains)
    }

    pub(super) fn pillar(&self) -> &Value {
        self.pillar.get_or_init(|| self.pillar_copy())
    }

    /// Pillar of one's own.
    pub(super) fn pillar_copy(&self) -> Value {
        let map = self.data.pillar.as_map();
        map.map_or_else(Value::default, |map| from_map(map, self.misses.as_ref()))
    }

    /// The value of a key of the pillar, the same at every call.
    pub(super) fn pillar_part(&self, key: &str) -> Option<Value> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = parts.get(key) {
            return Some(known.clone());
        }
        let part = from_pillar(self.data.pillar.as_map()?.get(key)?, self.misses.as_ref());
        parts.insert(key.to_owned(), part.clone());
        Some(part)
    }

    pub(super) fn opts(&self) -> &Value {
        self.opts.get_or_init(|| {
            let mut opts = self.data.opts.clone();
            for (name, value) in [
                ("id", Plain::from(self.data.id.as_str())),
                ("saltenv", Plain::Null),
                ("test", Plain::Bool(false)),
                ("user", Plain::from("root")),
                ("cachedir", Plain::from("/var/cache/salt/minion")),
                ("hash_type", Plain::from("sha256")),
                ("failhard", Plain::Bool(false)),
                ("file_client", Plain::from("local")),
                ("renderer", Plain::from("jinja|yaml")),
                ("state_top", Plain::from("salt://top.sls")),
            ] {
                if opts.get(name).is_none() {
                    opts.insert(name, value);
                }
            }
            from_plain(&Plain::Map(opts))
        })
    }

    /// Whether the text hangs on what is not known: answers of the host, or a part of the pillar.
    pub(super) fn waits(&self) -> bool {
        self.has_missed() || self.asked.load(Ordering::Relaxed)
    }

    /// Whether something was looked for that a pillar lacks which is not whole.
    pub(super) fn has_missed(&self) -> bool {
        self.misses.as_ref().is_some_and(|misses| misses.load(Ordering::Relaxed))
    }

    /// Notes that something was looked for that the pillar lacks.
    pub(super) fn miss(&self) {
        if let Some(misses) = &self.misses {
            misses.store(true, Ordering::Relaxed);
        }
    }

    /// Notes a question, by the text that it prints, that has no answer yet.
    pub(super) fn want(&self, text: &str, call: Call) {
        self.asked.store(true, Ordering::Relaxed);
        let mut wanted = self.data.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.entry(text.to_owned()).or_insert(call);
    }

    /// Loads the template that an `include` or `import` names, and gives its key. Of several names the first that
    /// exists counts.
    pub(super) fn template(
        &self,
        state: &State<'_, '_>,
        name: &Value,
        ignore_missing: bool,
    ) -> Result<Value, Error> {
        solid(name)?;
        let names = match name.as_str() {
            Some(name) => vec![name.to_owned()],
            None => iterate(name)?.iter().map(super::value::to_str).collect(),
        };
        for name in &names {
            if let Some(key) = self.session().loaded.get(name) {
                return Ok(Value::from(key.as_str()));
            }
            for path in self.paths(state, name) {
                let file = self.engine.folders.file(&path).map_err(|error| {
                    fault(
                        ErrorKind::BadInclude,
                        format!("the template `{path}` cannot be read: {error}"),
                        Vec::new(),
                    )
                })?;
                let Some(file) = file else { continue };
                let template = self
                    .engine
                    .registry
                    .take(&format!("T:{path}"), &file.shown, &file.text)
                    .map_err(unreadable)?;
                let mut session = self.session();
                session.loaded.insert(name.clone(), template.key.clone());
                let relative = name.starts_with("./") || name.starts_with("../");
                session.tplfile = if relative { name.clone() } else { path.clone() };
                if !relative {
                    session.tpldir = path.rsplit_once('/').map_or(".", |(dir, _)| dir).to_owned();
                }
                return Ok(Value::from(template.key.as_str()));
            }
        }
        if ignore_missing {
            return Ok(Value::from("T:"));
        }
        let shown: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
        let message = match names.len() {
            1 => format!("the template {} does not exist", shown.concat()),
            _ => format!("none of the templates {} exists", shown.join(", ")),
        };
        let near: Vec<String> = names
            .iter()
            .flat_map(|name| self.engine.folders.near(name.trim_start_matches("salt://")))
            .collect();
        let mut hints: Vec<String> = near.iter().map(|path| format!("did you mean `{path}`?")).collect();
        if hints.is_empty() {
            hints
                .push(format!("names are paths below the roots: {}", self.engine.folders.shown().join(", ")));
        }
        Err(fault(ErrorKind::TemplateNotFound, message, hints))
    }

    /// The paths that a template's name can mean, the likeliest first.
    fn paths(&self, state: &State<'_, '_>, name: &str) -> Vec<String> {
        let name = name.strip_prefix("salt://").unwrap_or(name);
        if !(name.starts_with("./") || name.starts_with("../")) {
            return normal(name).into_iter().collect();
        }
        // Salt takes the folder of the template that was loaded last; the folder of this one is what people mean.
        let salt = self.session().tpldir.clone();
        let own =
            super::ops::template_name(state.name()).rsplit_once('/').map_or(".", |(dir, _)| dir).to_owned();
        [salt, own].iter().filter_map(|dir| normal(&format!("{dir}/{name}"))).collect()
    }

    /// What may have been meant by a name that is not there.
    pub(super) fn hints_for_name(&self, state: &State<'_, '_>, name: &str) -> Vec<String> {
        let known = state.known_variables();
        let variables = known.iter().map(AsRef::as_ref).filter(|n| !n.starts_with('_'));
        let mut hints: Vec<String> = super::nearest(name, variables)
            .or_else(|| super::nearest(name, super::ops::functions()))
            .map(|near| format!("did you mean `{near}`?"))
            .into_iter()
            .collect();
        for (what, map) in [("pillar", &self.data.pillar), ("grains", &self.data.grains)] {
            let Some(map) = map.as_map() else { continue };
            if map.get(name).is_some() {
                hints.push(format!("{what} has this key: write `{what}.{name}`"));
            } else if hints.is_empty() {
                let keys = map.iter().filter_map(|(k, _)| k.as_str());
                hints.extend(
                    super::nearest(name, keys)
                        .map(|near| format!("{what} has `{near}`: did you mean `{what}.{near}`?")),
                );
            }
        }
        hints
    }
}

/// `a/./b/../c` without its dots; nothing above the root.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Object for Root {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        if let Some(value) = self.variables.get(name) {
            return Some(value.clone());
        }
        Some(match name {
            "__root" => Value::from_dyn_object(self.clone()),
            "grains" => self.grains().clone(),
            "pillar" => self.pillar().clone(),
            "opts" => self.opts().clone(),
            "salt" => Value::from_object(Salt::new(self.data.clone())),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let mut names: Vec<Value> = self.variables.keys().map(|k| Value::from(k.as_str())).collect();
        names.extend(["grains", "pillar", "opts", "salt"].map(Value::from));
        Enumerator::Values(names)
    }
}
