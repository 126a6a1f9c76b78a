//! `show`: what was compiled.

use kstate_core::{Chunk, HostReport, Problem, Secrets, Value};
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::args::{Format, Global, What};
use crate::diagnostics::{Diagnostics, each_once};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::json;
use crate::session::{Contact, Prepared, Ready, Session};
use crate::ui::{BOLD, paint};

/// What there is to show of a target.
enum Shown {
    /// As it is printed: the text takes a fraction of the memory of what it tells.
    Is(String),
    Problems(String, Vec<Problem>),
    Lost(Box<HostReport>),
}

pub(super) fn show(
    session: &Session<'_>,
    options: &Global,
    what: What,
    sls: &[String],
) -> Result<Exit, CommandError> {
    let shown = session.with_each(sls, Contact::IfNeeded, |prepared| match prepared {
        Prepared::Ready(ready) => Some(part(session, what, &ready, options.format)),
        Prepared::Lost(report) => Some(Shown::Lost(report)),
        Prepared::NotMeant => None,
    })?;
    let shown: Vec<Shown> = shown.into_iter().flatten().collect();
    let problems = shown.iter().flat_map(|part| match part {
        Shown::Problems(target, problems) => {
            problems.iter().map(|problem| (target.as_str(), problem)).collect()
        }
        _ => Vec::new(),
    });
    let mut diagnostics = Diagnostics::new(&session.tree.root().dir);
    for told in each_once(problems, shown.len()) {
        session.ui.talk(&diagnostics.told(&told));
    }
    let mut exit = Exit::Done;
    let mut parts = Vec::new();
    for part in shown {
        let (target, errors) = match part {
            Shown::Is(text) => {
                parts.push(text);
                continue;
            }
            Shown::Problems(target, problems) => {
                exit = exit.worst(Exit::Failed);
                (target, json::problems(&problems))
            }
            Shown::Lost(report) => {
                exit = exit.worst(session.tell_lost(&report));
                (report.target.clone(), json!([{ "message": report.error }]))
            }
        };
        if options.format == Format::Json {
            parts.push(member(&target, &json!({ "errors": errors })));
        }
    }
    match options.format {
        Format::Json if parts.is_empty() => session.ui.raw(b"{}\n"),
        Format::Json => session.ui.raw(format!("{{\n{}\n}}\n", parts.join(",\n")).as_bytes()),
        Format::Text => session.ui.data(&parts.concat()),
    }
    Ok(exit)
}

/// A target in the document of all of them.
fn member(target: &str, value: &Json) -> String {
    let object = format!("{:#}", json!({ target: value }));
    let inner = object.strip_prefix("{\n").and_then(|rest| rest.strip_suffix("\n}"));
    inner.unwrap_or_default().to_owned()
}

fn part(session: &Session<'_>, what: What, ready: &Ready, format: Format) -> Shown {
    let secrets = session.secrets(ready.compiled.secrets.iter().cloned());
    let masked = |value: &Value| json::value(&secrets.mask_value(value));
    let compiled = &ready.compiled;
    // Only what stops the very thing that is wanted stops it.
    let is_stopped = match what {
        What::Grains => false,
        What::Pillar => compiled.pillar_is_partial,
        What::Top => compiled.pillar_is_partial || compiled.top_is_partial,
        What::Highstate | What::Lowstate => compiled.has_errors(),
    };
    if is_stopped {
        let errors = compiled.problems.iter().filter(|problem| problem.is_error()).cloned();
        return Shown::Problems(ready.target.clone(), errors.collect());
    }
    let value = match what {
        What::Grains => masked(&Value::Map(ready.grains.clone())),
        What::Pillar => masked(&Value::Map(compiled.pillar.clone())),
        What::Top => compiled.top.iter().map(|sls| Json::from(sls.as_str())).collect(),
        What::Highstate => masked(&Value::Map(compiled.high.value())),
        What::Lowstate => compiled.chunks().iter().map(|chunk| self::chunk(chunk, &secrets)).collect(),
    };
    Shown::Is(match format {
        Format::Json => member(&ready.target, &value),
        Format::Text => as_text(&ready.target, &value),
    })
}

/// A chunk with Salt's field names.
fn chunk(chunk: &Chunk, secrets: &Secrets) -> Json {
    let mut fields = JsonMap::new();
    for (name, text) in [
        ("state", &chunk.state),
        ("fun", &chunk.fun),
        ("__id__", &chunk.id),
        ("__sls__", &chunk.sls),
        ("name", &chunk.name),
    ] {
        fields.insert(name.into(), secrets.mask_name(text).into());
    }
    let order =
        if chunk.order.fract() == 0.0 { Json::from(chunk.order as i64) } else { Json::from(chunk.order) };
    fields.insert("order".into(), order);
    for (name, node) in &chunk.arguments {
        if !fields.contains_key(name) {
            fields.insert(name.clone(), json::value(&secrets.mask_value(&node.value())));
        }
    }
    Json::Object(fields)
}

/// For people: the target as a heading, and YAML-like lines.
fn as_text(target: &str, value: &Json) -> String {
    let mut out = format!("{}:\n", paint(BOLD, target));
    lines(value, 2, &mut out);
    out
}

fn lines(value: &Json, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                entry(&format!("{pad}{key}:"), value, indent, out);
            }
        }
        Json::Array(items) => {
            for item in items {
                entry(&format!("{pad}-"), item, indent, out);
            }
        }
        scalar => out.push_str(&format!("{pad}{}\n", self::scalar(scalar))),
    }
}

fn entry(head: &str, value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            out.push_str(&format!("{head}\n"));
            lines(value, indent + 2, out);
        }
        Json::Array(items) if !items.is_empty() => {
            out.push_str(&format!("{head}\n"));
            lines(value, indent + 2, out);
        }
        Json::String(text) if text.contains('\n') => {
            out.push_str(&format!("{head} |\n"));
            for line in text.lines() {
                out.push_str(&format!("{:width$}{line}\n", "", width = indent + 2));
            }
        }
        scalar => out.push_str(&format!("{head} {}\n", self::scalar(scalar))),
    }
}

fn scalar(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
