//! `{% load_yaml %}`, `{% import_json %}` and their like: data out of rendered text, with errors placed in the template.

use std::sync::Arc;

use kstate_core::Position;
use minijinja::value::Value;
use minijinja::{Error, ErrorKind, State};

use super::lines::{LineMap, Marked};
use super::value::{from_plain, solid};
use super::{fault, ops, root};
use crate::blame::blamed;
use crate::pillar::is_private_path;
use crate::render::{placed, unplaced};
use crate::{json, yaml};

/// `__load(format, text with markers, template?)`.
pub(super) fn block(state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    solid(&args[1])?;
    let root = root(state)?;
    let marked = Marked::read(args[1].as_str().unwrap_or_default());
    let file: Arc<str> = match args.get(2).and_then(Value::as_str) {
        Some(template) => ops::template_name(template).into(),
        None => ops::template_name(state.name()).into(),
    };
    let is_private = [&*file, ops::template_name(state.name())].into_iter().any(is_private_path);
    let format = args[0].as_str().unwrap_or_default();
    if format == "text" {
        return Ok(Value::from(marked.text.as_str()));
    }
    let lines = LineMap::new(&marked, &root.engine.registry, file);
    let text = &marked.text;
    let read = match format {
        "json" => json::load_at(text, &unplaced)
            .map_err(|problem| fault::unloadable(placed(problem, text, &lines), "read as JSON here")),
        _ => yaml::read(text, &unplaced).map_err(|unread| {
            fault::unloadable(blamed(unread, text, &lines, is_private), "read as YAML here")
        }),
    };
    read.map(|node| from_plain(&node.value()))
}

/// YAML text out of a value: positions within it mean nothing to a person.
pub(super) fn yaml_text(text: &str) -> Result<Value, Error> {
    let read = yaml::load_at(text, &|line, column| Position::new("the text", line, column));
    read.map(|node| from_plain(&node.value())).map_err(|problem| {
        let message = match &problem.at {
            Some(at) => {
                format!("the text cannot be read as YAML: {} (line {} of it)", problem.message, at.line)
            }
            None => format!("the text cannot be read as YAML: {}", problem.message),
        };
        fault::fault(ErrorKind::InvalidOperation, message, problem.hints)
    })
}
