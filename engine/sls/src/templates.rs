//! The template engine, as the stages of the compiler use it.

use std::collections::HashMap;

use kstate_core::{Call, Map, Problem, Value};

use crate::render::{self, Text};
use crate::tree::{Folders, SourceFile};

/// Answers to what templates ask the host, by [`Call`] as it prints.
pub type Answers = HashMap<String, Value>;

/// Renders the templates of one target.
#[derive(Debug)]
pub(crate) struct Templates<'a> {
    _folders: &'a Folders,
}

impl<'a> Templates<'a> {
    pub(crate) fn new(
        _id: &str,
        _grains: &'a Map,
        _pillar: &'a Map,
        _answers: &'a Answers,
        folders: &'a Folders,
    ) -> Self {
        Templates { _folders: folders }
    }

    /// Renders the file of an SLS, or a top file if `sls` is empty.
    pub(crate) fn sls(&self, file: &SourceFile, _sls: &str, _extra: &Map) -> Result<Text, Problem> {
        Ok(render::as_it_is(file))
    }

    /// Renders the template of a managed file.
    pub(crate) fn managed(
        &self,
        file: &SourceFile,
        _sls: &str,
        _source: &str,
        _context: &Map,
    ) -> Result<String, Problem> {
        Ok(file.text.clone())
    }

    /// What templates asked the host and had no answer for.
    pub(crate) fn calls(&self) -> Vec<Call> {
        Vec::new()
    }
}
