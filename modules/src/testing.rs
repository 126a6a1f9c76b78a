//! What the tests of modules share: states written as people write them, and the law that every module keeps.

use std::collections::HashMap;

use kstate_core::question::{Answer, Ended, PathInfo, PathKind};
use kstate_core::{
    Chunk, Facts, Map, Node, Position, Problem, Question, Resource, SourceEntry, SourceError, Sources, Stop,
    Value, digest,
};

/// A tree in memory.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: HashMap<&'static str, &'static [u8]>,
    pub(crate) entries: HashMap<&'static str, Vec<SourceEntry>>,
    pub(crate) pillar: Map,
}

impl Sources for Tree {
    fn read(&self, url: &str) -> Result<Vec<u8>, SourceError> {
        match self.files.get(url) {
            Some(bytes) => Ok(bytes.to_vec()),
            None if !url.starts_with("salt://") => Err(SourceError::NotSalt { url: url.to_owned() }),
            None => {
                Err(SourceError::Missing { url: url.to_owned(), roots: vec!["salt".into()], nearest: None })
            }
        }
    }

    fn mode(&self, url: &str) -> Result<u32, SourceError> {
        self.read(url).map(|_| 0o600)
    }

    fn list(&self, url: &str) -> Result<Vec<SourceEntry>, SourceError> {
        self.entries.get(url).cloned().ok_or_else(|| SourceError::Missing {
            url: url.to_owned(),
            roots: vec!["salt".into()],
            nearest: None,
        })
    }

    fn render(&self, _chunk: &Chunk, _name: &str, text: &str, context: &Map) -> Result<String, Problem> {
        let replace = |text: String, (key, value): (&Value, &Value)| {
            text.replace(&format!("{{{{ {key} }}}}"), &value.to_string())
        };
        Ok(context.iter().fold(text.to_owned(), replace))
    }

    fn pillar(&self, path: &str) -> Option<Value> {
        self.pillar.get(path).cloned()
    }

    fn grain(&self, _path: &str) -> Option<Value> {
        None
    }
}

/// A tree that has whatever is asked of it.
#[derive(Debug)]
pub(crate) struct Anything;

impl Sources for Anything {
    fn read(&self, _url: &str) -> Result<Vec<u8>, SourceError> {
        Ok(b"# anything\n".to_vec())
    }

    fn mode(&self, _url: &str) -> Result<u32, SourceError> {
        Ok(0o644)
    }

    fn list(&self, _url: &str) -> Result<Vec<SourceEntry>, SourceError> {
        let kind = kstate_core::SourceKind::File { mode: 0o644 };
        Ok(vec![SourceEntry { path: "a".into(), kind }])
    }

    fn render(&self, _chunk: &Chunk, _name: &str, text: &str, _context: &Map) -> Result<String, Problem> {
        Ok(text.to_owned())
    }

    fn pillar(&self, _path: &str) -> Option<Value> {
        Some("anything".into())
    }

    fn grain(&self, _path: &str) -> Option<Value> {
        Some("anything".into())
    }
}

/// The chunk of an SLS text with one state.
pub(crate) fn chunk(text: &str) -> Chunk {
    chunks(text).remove(0)
}

/// The chunks of an SLS text: `id:`, `module.function:`, arguments. YAML is read by serde_yaml here, which is near
/// enough for arguments; each gets the line it stands on.
pub(crate) fn chunks(text: &str) -> Vec<Chunk> {
    let yaml: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let states = yaml.as_mapping().unwrap().iter().flat_map(|(id, body)| match body {
        serde_yaml::Value::String(function) => vec![one(text, id, function, &serde_yaml::Value::Null)],
        body => {
            let functions = body.as_mapping().unwrap().iter();
            functions.map(|(function, body)| one(text, id, function.as_str().unwrap(), body)).collect()
        }
    });
    states.collect()
}

fn one(text: &str, id: &serde_yaml::Value, function: &str, arguments: &serde_yaml::Value) -> Chunk {
    let (state, fun) = function.split_once('.').unwrap();
    let line_of = |name: &str| {
        text.lines().position(|l| l.trim_start_matches([' ', '-']).starts_with(&format!("{name}:")))
    };
    let mut chunk = Chunk {
        state: state.into(),
        fun: fun.into(),
        id: id.as_str().unwrap().into(),
        name: id.as_str().unwrap().into(),
        sls: "a".into(),
        places: Default::default(),
        included_from: Vec::new(),
        order: 10000.0,
        arguments: Vec::new(),
        at: Position::new("a.sls", 2, 3),
    };
    for argument in arguments.as_sequence().into_iter().flatten() {
        for (key, node) in argument.as_mapping().unwrap() {
            let name = key.as_str().unwrap();
            let at = Position::new("a.sls", line_of(name).map_or(0, |line| line as u32 + 1), 7);
            let value = value(node);
            if name == "name" {
                chunk.name = value.to_string();
            } else {
                chunk.arguments.push((name.to_owned(), Node::of(&value, &at)));
            }
        }
    }
    chunk
}

fn value(yaml: &serde_yaml::Value) -> Value {
    match yaml {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(b) => Value::Bool(*b),
        serde_yaml::Value::Number(n) => {
            n.as_i64().map_or(Value::Float(n.as_f64().unwrap_or_default()), Value::Int)
        }
        serde_yaml::Value::String(text) => text.as_str().into(),
        serde_yaml::Value::Sequence(items) => Value::List(items.iter().map(value).collect()),
        serde_yaml::Value::Mapping(map) => {
            Value::Map(map.iter().map(|(k, v)| (value(k), value(v))).collect())
        }
        serde_yaml::Value::Tagged(tagged) => value(&tagged.value),
    }
}

/// The resource of an SLS text with one state.
pub(crate) fn declare(text: &str, tree: &Tree) -> Box<dyn Resource> {
    match crate::declare(&chunk(text), tree) {
        Ok(declared) => declared.resource,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// The first problem of an SLS text: `file:line: message`.
pub(crate) fn declare_error(text: &str, tree: &Tree) -> String {
    let problems = crate::declare(&chunk(text), tree).unwrap_err();
    let at = problems[0].at.as_ref().unwrap();
    format!("{}:{}: {}", at.file, at.line, problems[0].message)
}

/// Tells the facts of a regular file (`None`: nothing is there).
pub(crate) fn file(facts: &mut Facts, path: &str, content: Option<&str>, mode: u32) {
    let info = content.map(|content| PathInfo {
        kind: PathKind::File,
        mode,
        uid: 0,
        gid: 0,
        user: "root".into(),
        group: "root".into(),
        size: content.len() as u64,
    });
    facts.learn(Question::Path(path.into()), Ok(Answer::Path(info)));
    let content = content.map(|content| content.as_bytes().to_vec());
    facts.learn(Question::Digest(path.into()), Ok(Answer::Digest(content.as_deref().map(digest))));
    facts.learn(Question::Content(path.into()), Ok(Answer::Content(content)));
}

/// Tells that every command which the resource asks for ended well, with nothing said.
pub(crate) fn all_is_well(resource: &dyn Resource, facts: &mut Facts) {
    while let Err(Stop::Ask(questions)) = resource.diff(facts) {
        let is_run = |question: &Question| matches!(question, Question::Run(_));
        assert!(questions.iter().all(is_run), "asks for more than commands: {questions:?}");
        for question in questions {
            facts.learn(question, Ok(Answer::Run(Ended::default())));
        }
    }
}

/// The law of every module: there is something to do, and when the steps are done, there is nothing left to do.
pub(crate) fn settles(resource: &dyn Resource, facts: &mut Facts) {
    let steps = resource.diff(facts).unwrap_or_else(|stop| panic!("{stop:?}"));
    assert!(!steps.is_empty(), "there should be something to do");
    for step in &steps {
        assert!(!step.changes.is_empty(), "a step without a word for people: {step:?}");
        facts.predict(&step.operation, "itself");
    }
    match resource.diff(facts) {
        Ok(left) => assert!(left.is_empty(), "still differs: {left:#?}"),
        Err(stop) => assert!(matches!(stop, Stop::Unknown(_)), "{stop:?}"),
    }
}

/// The content that a function which edits a file leaves, having kept the law on the way. `None`: nothing to do.
pub(crate) fn content_after(resource: &dyn Resource, path: &str, old: Option<&str>) -> Option<String> {
    let mut facts = Facts::default();
    file(&mut facts, path, old, 0o644);
    if resource.diff(&facts).unwrap_or_else(|stop| panic!("{stop:?}")).is_empty() {
        return None;
    }
    settles(resource, &mut facts);
    let content = facts.content(path).unwrap().unwrap();
    Some(String::from_utf8(content.clone()).unwrap())
}

/// Tells what stands at a path.
pub(crate) fn stands(facts: &mut Facts, path: &str, kind: PathKind, mode: u32, user: &str) {
    let info = info(kind, mode, user);
    facts.learn(Question::Path(path.into()), Ok(Answer::Path(Some(info))));
}

/// Tells what is below a directory.
pub(crate) fn tree(facts: &mut Facts, path: &str, entries: &[(&str, PathKind, u32, &str)]) {
    let entries = entries
        .iter()
        .map(|(path, kind, mode, user)| ((*path).to_owned(), info(kind.clone(), *mode, user)))
        .collect();
    facts.learn(Question::Tree(path.into()), Ok(Answer::Tree(entries)));
}

fn info(kind: PathKind, mode: u32, user: &str) -> PathInfo {
    PathInfo { kind, mode, uid: 0, gid: 0, user: user.into(), group: user.into(), size: 0 }
}
