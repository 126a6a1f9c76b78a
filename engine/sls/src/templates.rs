//! The template engine, as the stages of the compiler use it.

use std::collections::HashMap;

use kstate_core::{Call, Map, Problem, Value};

use crate::render::{self, Text};
use crate::tree::{Folders, SourceFile};

/// Answers to what templates ask the host, by [`Call`] as it prints.
pub type Answers = HashMap<String, Value>;

/// Renders the templates of one target.
#[derive(Debug)]
pub(crate) struct Templates;

impl Templates {
    pub(crate) fn new(
        _id: &str,
        _grains: &Map,
        _pillar: &Map,
        _answers: &Answers,
        _folders: &Folders,
    ) -> Self {
        Templates
    }

    /// Renders the file of an SLS, or a top file if `sls` is empty.
    pub(crate) fn sls(&self, file: &SourceFile, _sls: &str, _extra: &Map) -> Result<Text, Problem> {
        Ok(render::as_it_is(file))
    }

    /// What templates asked the host and had no answer for.
    pub(crate) fn calls(&self) -> Vec<Call> {
        Vec::new()
    }
}
