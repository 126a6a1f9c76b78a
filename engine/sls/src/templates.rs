//! The template engine, as the stages of the compiler use it.

use std::sync::Arc;

use kstate_core::{Call, Chunk, Map, Node, Problem, Value};

use crate::jinja::{Answers, Engine, Environment, Rendered, TemplateContext};
use crate::options::Options;
use crate::render::Text;
use crate::tree::{Folders, SourceFile};

/// The engines of one search path: that of SLS, and that of top files and managed files.
#[derive(Debug)]
pub(crate) struct Engines {
    sls: Arc<Engine>,
    other: Arc<Engine>,
}

impl Engines {
    pub(crate) fn new(folders: &Arc<Folders>, options: &Options) -> Self {
        let engine = |whitespace| {
            Arc::new(Engine::new(folders.clone(), whitespace).with_groups(options.groups.clone()))
        };
        let sls = engine(options.sls_whitespace);
        let is_same = options.sls_whitespace == options.whitespace;
        let other = if is_same { sls.clone() } else { engine(options.whitespace) };
        Engines { sls, other }
    }
}

/// Renders the templates of one target.
#[derive(Debug)]
pub(crate) struct Templates {
    sls: Environment,
    other: Environment,
}

impl Templates {
    pub(crate) fn new(engines: &Engines, id: &str, grains: &Map, pillar: &Map, answers: &Answers) -> Self {
        let sls = Environment::new(&engines.sls, id, grains, pillar, &Map::new(), answers);
        Templates { other: sls.with_engine(&engines.other), sls }
    }

    /// Takes what the pillar lacks for unknown, because parts of it could not be read.
    pub(crate) fn with_partial_pillar(self) -> Self {
        Templates { sls: self.sls.with_partial_pillar(), other: self.other.with_partial_pillar() }
    }

    /// Renders the file of an SLS, or a top file if `sls` is empty. `extra` are variables of its own.
    pub(crate) fn sls(&self, file: &SourceFile, sls: &str, extra: &Map) -> Result<Text, Problem> {
        let mut context = TemplateContext::of_sls(sls, &file.name);
        context.extra = extra.clone();
        let Rendered { text, lines, waiting } = self.render(file, &context)?;
        Ok(Text { text, lines, waiting })
    }

    /// Renders the template of a file that a state manages.
    pub(crate) fn managed(
        &self,
        file: &SourceFile,
        chunk: &Chunk,
        source: &str,
        extra: &Map,
    ) -> Result<String, Problem> {
        let mut context = TemplateContext { sls: None, ..TemplateContext::of_sls("", &file.name) };
        let arguments = ["user", "group", "mode", "attrs"];
        let argument = |name| (name, chunk.argument(name).map_or(Value::Null, Node::value));
        context.extra = arguments.into_iter().map(argument).collect();
        context.extra.insert("name", chunk.name.as_str());
        context.extra.insert("source", source);
        for (name, value) in extra.iter() {
            context.extra.insert(name.clone(), value.clone());
        }
        Ok(self.render(file, &context)?.text)
    }

    /// What templates asked the host and had no answer for.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.sls.wanted()
    }

    fn render(&self, file: &SourceFile, context: &TemplateContext) -> Result<Rendered, Problem> {
        let is_sls = context.sls.as_ref().is_some_and(|sls| !sls.is_empty());
        let environment = if is_sls { &self.sls } else { &self.other };
        environment.render(&file.name, &file.shown, &file.text, context).map_err(|problem| *problem)
    }
}
