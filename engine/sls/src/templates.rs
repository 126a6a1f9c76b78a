//! The template engine, as the stages of the compiler use it.

use std::sync::Arc;

use kstate_core::{Call, Chunk, Map, Node, Problem, Value};

use crate::jinja::{Answers, Engine, Environment, Rendered, TemplateContext};
use crate::render::Text;
use crate::tree::SourceFile;

/// Renders the templates of one target.
#[derive(Debug)]
pub(crate) struct Templates {
    environment: Environment,
}

impl Templates {
    pub(crate) fn new(engine: &Arc<Engine>, id: &str, grains: &Map, pillar: &Map, answers: &Answers) -> Self {
        Templates { environment: Environment::new(engine, id, grains, pillar, &Map::new(), answers) }
    }

    /// Takes what the pillar lacks for unknown, because parts of it could not be read.
    pub(crate) fn with_partial_pillar(self) -> Self {
        Templates { environment: self.environment.with_partial_pillar() }
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
        self.environment.wanted()
    }

    fn render(&self, file: &SourceFile, context: &TemplateContext) -> Result<Rendered, Problem> {
        self.environment.render(&file.name, &file.shown, &file.text, context).map_err(|problem| *problem)
    }
}
