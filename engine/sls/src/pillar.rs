//! The pillar of a target: its top file, its SLS with their includes, merged (Salt: `Pillar`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use kstate_core::{Data, Map, Node, Position, Problem, Value, fnmatch, is_plain, nearest};

use crate::leak::{self, Leak};
use crate::limits;
use crate::matching::Minion;
use crate::options::Options;
use crate::render::{self, Text};
use crate::root::Root;
use crate::top;
use crate::tree::{Folders, SourceFile};

/// How a pillar file is rendered: the file, its SLS, and the variables that an `include` hands to it.
pub(crate) type Template<'a> = &'a dyn Fn(&SourceFile, &str, &Map) -> Result<Text, Problem>;

/// The pillar of one target.
#[derive(Debug, Default)]
pub(crate) struct Pillar {
    pub(crate) data: Map,
    /// The texts that must not be shown.
    pub(crate) secrets: BTreeSet<String>,
    /// Secrets that everybody can read.
    pub(crate) leaks: Vec<Problem>,
}

pub(crate) struct Compiler<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) template: Template<'a>,
    /// Paths such as `django:*key*` whose texts are secret.
    pub(crate) secret_paths: &'a [String],
    options: &'a Options,
    pub(crate) problems: Vec<Problem>,
    /// What the command line gives; it is merged over everything.
    over: &'a Map,
    secrets: BTreeSet<String>,
    leaks: Vec<Leak>,
    rendered: HashMap<String, Option<Map>>,
    ignored: HashSet<String>,
    /// How many files include each other at the moment.
    depth: usize,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(folders: &'a Folders, template: Template<'a>, root: &'a Root, over: &'a Map) -> Self {
        Compiler {
            folders,
            template,
            secret_paths: &root.secrets,
            options: &root.options,
            problems: Vec::new(),
            over,
            secrets: BTreeSet::new(),
            leaks: Vec::new(),
            rendered: HashMap::new(),
            ignored: HashSet::new(),
            depth: 0,
        }
    }

    /// Compiles the pillar.
    pub(crate) fn compile(mut self, id: &str, grains: &Map) -> (Pillar, Vec<Problem>) {
        let (merging, over) = (self.options.merging, self.over);
        let mut data = over.clone();
        for (sls, at) in self.wanted(id, grains, over) {
            if let Some(more) = self.sls(&sls, Some(&at), &Map::new()) {
                merging.merge(&mut data, &more);
            }
        }
        merging.merge(&mut data, over);
        let mut listed = BTreeSet::new();
        self.collect_by_path(&Value::Map(data.clone()), "", &mut listed);
        let leaks = self.leaks.into_iter().filter(|leak| !listed.contains(&leak.secret));
        let leaks = leaks.map(|leak| leak.problem).collect();
        self.secrets.extend(listed);
        (Pillar { data, secrets: self.secrets, leaks }, self.problems)
    }

    /// The SLS of the target, each once, patterns resolved.
    fn wanted(&mut self, id: &str, grains: &Map, over: &Map) -> Vec<(String, Position)> {
        let file = match self.folders.file(self.options.top()) {
            Ok(Some(file)) => file,
            Ok(None) => return Vec::new(),
            Err(error) => {
                self.problems.push(Problem::error(format!(
                    "the pillar's `{}` cannot be read: {error}",
                    self.options.top()
                )));
                return Vec::new();
            }
        };
        let template = |file: &SourceFile| (self.template)(file, "", &Map::new());
        let node = match render::render(&file, &template) {
            Ok(node) => node,
            Err(problem) => {
                self.problems.push(problem);
                return Vec::new();
            }
        };
        let mut sections = top::sections(&node, &self.options.groups, &mut self.problems);
        sections.sort_by_key(|section| section.order);
        let minion = Minion { id, grains, pillar: over };
        let mut names: Vec<(String, Position)> = Vec::new();
        for section in &sections {
            if section.ignore_missing {
                self.ignored.extend(section.entries.iter().map(|entry| entry.name.clone()));
            }
            if !section.matches(&minion, &mut self.problems) {
                continue;
            }
            for entry in &section.entries {
                if !names.iter().any(|(name, _)| *name == entry.name) {
                    names.push((entry.name.clone(), entry.at.clone()));
                }
            }
        }
        let mut wanted = Vec::new();
        for (pattern, at) in names {
            let found = self.folders.sls_matching(&pattern);
            if found.is_empty() {
                wanted.push((pattern, at));
            } else {
                wanted.extend(found.into_iter().map(|name| (name, at.clone())));
            }
        }
        wanted
    }

    /// The data of one SLS with what it includes beneath it.
    fn sls(&mut self, sls: &str, asked: Option<&Position>, defaults: &Map) -> Option<Map> {
        let file = match self.folders.sls(sls) {
            Ok(Some(file)) => file,
            Ok(None) => {
                if !self.ignored.contains(sls) {
                    self.problems.push(missing(self.folders, sls, asked));
                }
                return None;
            }
            Err(error) => {
                let mut problem = Problem::error(format!("the pillar SLS `{sls}` cannot be read: {error}"));
                problem.at = asked.cloned();
                self.problems.push(problem);
                return None;
            }
        };
        let template = |file: &SourceFile| (self.template)(file, sls, defaults);
        let node = match render::render(&file, &template) {
            Ok(node) => node,
            Err(problem) => {
                self.problems.push(problem);
                self.rendered.insert(sls.to_owned(), None);
                return None;
            }
        };
        if is_private_path(&file.name) {
            let value = node.value();
            collect_value(&value, &mut self.secrets);
            if let Value::Map(map) = &value {
                collect_over(map, self.over, &mut self.secrets);
            }
        } else {
            self.leaks.extend(leak::leaks(&node, &file));
        }
        let Data::Map(entries) = node.data else {
            self.rendered.insert(sls.to_owned(), None);
            if !node.is_null() {
                let found = node.value().kind();
                self.problems
                    .push(Problem::error(format!("a pillar file holds a mapping, not {found}")).at(&node.at));
            }
            return None;
        };
        let (includes, own): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(key, _)| key.text() == Some("include"));
        let own: Map = own.iter().map(|(key, value)| (key.value(), value.value())).collect();
        self.rendered.insert(sls.to_owned(), Some(own.clone()));
        let Some((_, include)) = includes.into_iter().next() else { return Some(own) };
        let mut layers = self.included(sls, &file, &include, defaults);
        let place = if self.options.includes_win { 0 } else { layers.len() };
        layers.insert(place, own);
        // The first layer is taken as it is: a list is joined with those of others, not with itself.
        let mut layers = layers.into_iter();
        let mut all = layers.next().unwrap_or_default();
        layers.for_each(|layer| self.options.merging.merge(&mut all, &layer));
        Some(all)
    }

    fn included(&mut self, sls: &str, file: &Arc<SourceFile>, include: &Node, defaults: &Map) -> Vec<Map> {
        let Some(items) = include.list() else {
            self.problems.push(no_list_of_sls(&include.at));
            return Vec::new();
        };
        let mut included = Vec::new();
        // Salt hands the variables of one entry to the following ones, too, unless they have their own.
        let mut defaults = defaults.clone();
        for item in items {
            let (name, options) = match &item.data {
                Data::Map(entries) if !entries.is_empty() => (&entries[0].0, Some(&entries[0].1)),
                _ => (item, None),
            };
            let Some(name) = name.text() else {
                self.problems.push(no_list_of_sls(&item.at));
                continue;
            };
            for (key, _) in options.and_then(Node::map).unwrap_or_default() {
                if !matches!(key.text(), Some("defaults" | "key")) {
                    let message = format!("`include` has no option `{}`", key.value());
                    let problem = Problem::warning(message).at(&key.at);
                    self.problems.push(problem.hint("its options are `defaults` and `key`"));
                }
            }
            let option = |key| options.and_then(|options| options.get(key));
            if options.is_some() {
                defaults = match option("defaults").map(Node::value) {
                    Some(Value::Map(map)) => map,
                    _ => Map::new(),
                };
            }
            let key = option("key").and_then(Node::text).map(str::to_owned);
            if key.as_ref().is_some_and(|key| key.split(':').count() > limits::NESTING) {
                let message = format!("`key` has more than {} parts", limits::NESTING);
                self.problems.push(Problem::error(message).at(&item.at));
                continue;
            }
            for name in self.include_names(sls, file, name) {
                let data = match self.rendered.get(&name) {
                    Some(known) => known.clone(),
                    None => self.deeper(&name, &item.at, &defaults),
                };
                let Some(data) = data.filter(|data| !data.is_empty()) else { continue };
                included.push(match &key {
                    Some(key) => {
                        key.rsplit(':').fold(data, |inner, part| Map::from_iter([(part, Value::Map(inner))]))
                    }
                    None => data,
                });
            }
        }
        included
    }

    /// The data of a SLS that another one includes.
    fn deeper(&mut self, sls: &str, at: &Position, defaults: &Map) -> Option<Map> {
        if self.depth == limits::INCLUDES {
            let message = format!("more than {} pillar files include each other in a row", limits::INCLUDES);
            self.problems.push(Problem::error(message).at(at));
            return None;
        }
        self.depth += 1;
        let data = self.sls(sls, Some(at), defaults);
        self.depth -= 1;
        data
    }

    /// The SLS that an entry of `include` means: by its name as it stands, and relative to this one if it begins with
    /// a dot.
    fn include_names(&self, sls: &str, file: &SourceFile, name: &str) -> Vec<String> {
        let mut names = self.folders.sls_matching(&name.trim_start_matches('.').replace('/', "."));
        let full = match name.strip_prefix('.') {
            Some(rest) => {
                let mut parts: Vec<&str> = sls.split('.').collect();
                if !file.name.ends_with("/init.sls") {
                    parts.pop();
                }
                parts.push(rest);
                parts.join(".")
            }
            None => name.to_owned(),
        };
        names.extend(self.folders.sls_names().iter().filter(|known| fnmatch(known, &full)).cloned());
        if names.is_empty() {
            names.push(full);
        }
        names
    }

    /// The texts under the paths that the configuration calls secret.
    fn collect_by_path(&self, value: &Value, path: &str, found: &mut BTreeSet<String>) {
        if !path.is_empty() && self.secret_paths.iter().any(|pattern| fnmatch(path, pattern)) {
            collect_value(value, found);
            return;
        }
        match value {
            Value::Map(map) => {
                for (key, value) in map.iter() {
                    let path = if path.is_empty() { key.to_string() } else { format!("{path}:{key}") };
                    self.collect_by_path(value, &path, found);
                }
            }
            Value::List(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.collect_by_path(value, &format!("{path}:{index}"), found);
                }
            }
            _ => {}
        }
    }
}

/// Whether a path leads through a folder named `private`.
pub(crate) fn is_private_path(path: &str) -> bool {
    path.split('/').rev().skip(1).any(|folder| folder == "private")
}

/// Fewer digits than that make a number that anything may have: a port, a mode, a limit.
const SECRET_DIGITS: usize = 6;

/// Shorter keys are names.
const SECRET_KEY: usize = 8;

fn collect_value(value: &Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::Text(text) if !text.is_empty() => {
            secrets.insert(text.clone());
        }
        Value::Bytes(bytes) => {
            secrets.insert(String::from_utf8_lossy(bytes).into_owned());
        }
        Value::Int(_) | Value::Big(_) | Value::Float(_) => {
            let text = value.to_string();
            if text.chars().filter(char::is_ascii_digit).count() >= SECRET_DIGITS {
                secrets.insert(text);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_value(item, secrets)),
        Value::Map(map) => {
            for (key, value) in map.iter() {
                match key {
                    Value::Text(name) if name.chars().count() < SECRET_KEY || is_plain(name) => {}
                    key => collect_value(key, secrets),
                }
                collect_value(value, secrets);
            }
        }
        _ => {}
    }
}

/// The values with which the command line replaces those of private pillar.
fn collect_over(private: &Map, over: &Map, secrets: &mut BTreeSet<String>) {
    for (key, value) in over.iter() {
        match (private.get_key(key), value) {
            (Some(Value::Map(private)), Value::Map(over)) => collect_over(private, over, secrets),
            (Some(_), value) => collect_value(value, secrets),
            (None, _) => {}
        }
    }
}

/// An `include` of another form.
pub(crate) fn no_list_of_sls(at: &Position) -> Problem {
    Problem::error("`include` is a list of SLS names").at(at).hint("begin each name with `- `")
}

/// An SLS that is named and does not exist.
pub(crate) fn missing(folders: &Folders, sls: &str, asked: Option<&Position>) -> Problem {
    let roots: Vec<String> = folders.shown().iter().map(|root| format!("`{root}`")).collect();
    let mut problem = Problem::error(format!("there is no SLS `{sls}` in {}", roots.join(", ")));
    problem.at = asked.cloned();
    for near in nearest(sls, folders.sls_names().iter().map(String::as_str), 3) {
        problem = problem.hint(format!("did you mean `{near}`?"));
    }
    problem
}
