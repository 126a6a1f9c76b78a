//! The JSON document of `diff` and `apply`, and values as JSON.

use kstate_core::{Change, Hold, HostReport, Outcome, Printed, Problem, StateReport, Value, integer};
use serde_json::{Map, Number, Value as Json, json};

use super::Kind;

pub(crate) fn document(kind: Kind, run: &str, reports: &[HostReport]) -> Json {
    let targets: Map<String, Json> =
        reports.iter().map(|report| (report.target.clone(), host(kind, report))).collect();
    json!({ "command": kind.name(), "version": env!("CARGO_PKG_VERSION"), "run": run, "targets": targets })
}

fn host(kind: Kind, report: &HostReport) -> Json {
    let summary: Map<String, Json> = kind
        .outcomes()
        .iter()
        // The keys of a diff in which nothing fails are those that scripts have always known.
        .filter(|outcome| kind != Kind::Diff || **outcome != Outcome::Skipped || report.count(**outcome) > 0)
        .map(|outcome| (outcome.name().to_owned(), report.count(*outcome).into()))
        .collect();
    let mut host = json!({
        "reachable": report.reachable,
        "error": report.error,
        "logins": report.traffic.logins,
        "round_trips": report.traffic.round_trips,
        "bytes_sent": report.traffic.bytes_sent,
        "bytes_received": report.traffic.bytes_received,
        "duration_ms": millis(report.duration),
        "summary": summary,
        "states": report.states.iter().map(state).collect::<Vec<_>>(),
    });
    if let Some(prediction) = &report.prediction {
        host["prediction"] = json!({
            "predicted": prediction.predicted, "happened": prediction.happened,
            "missed": prediction.missed, "unforeseen": prediction.unforeseen,
            "unknown": prediction.unknown, "unknown_happened": prediction.unknown_happened,
        });
    }
    if !report.notes.is_empty() {
        host["notes"] = report.notes.as_slice().into();
    }
    if !report.problems.is_empty() {
        host["errors"] = problems(&report.problems);
    }
    host
}

fn state(state: &StateReport) -> Json {
    let mut json = json!({
        "id": state.id, "sls": state.sls, "function": state.function, "name": state.name,
        "file": state.file, "line": state.line, "outcome": state.outcome.name(),
        "changes": state.changes.iter().map(change).collect::<Vec<_>>(),
        "reason": state.reason, "duration_ms": millis(state.duration),
    });
    if !state.printed.is_empty() {
        json["output"] = state.printed.iter().map(printed).collect();
    }
    if let Some(remark) = &state.remark {
        json["remark"] = remark.as_str().into();
    }
    if let Some(revision) = &state.revision {
        json["revision"] = revision.as_str().into();
    }
    if !state.holds.is_empty() {
        json["holds"] = state.holds.iter().map(hold).collect();
    }
    json
}

fn printed(printed: &Printed) -> Json {
    let Printed { command, status, stdout, stderr, omitted } = printed;
    json!({ "command": command, "status": status, "stdout": stdout, "stderr": stderr, "omitted_bytes": omitted })
}

fn hold(hold: &Hold) -> Json {
    json!({ "path": hold.path, "commits": hold.commits, "accepted": hold.accepted })
}

pub(crate) fn change(change: &Change) -> Json {
    let mut json =
        json!({ "subject": change.subject, "before": value(&change.before), "after": value(&change.after) });
    if let Some(diff) = &change.diff {
        json["diff"] = diff.as_str().into();
    }
    for (name, more) in change.details.iter() {
        json[key(name)] = value(more);
    }
    json
}

/// The errors among problems, as `show lowstate` prints them.
pub(crate) fn problems(problems: &[Problem]) -> Json {
    problems.iter().filter(|problem| problem.is_error()).map(problem).collect()
}

/// The warnings among problems.
pub(crate) fn warnings(problems: &[Problem]) -> Json {
    problems.iter().filter(|problem| !problem.is_error()).map(problem).collect()
}

fn problem(problem: &Problem) -> Json {
    json!({
        "message": problem.message,
        "file": problem.at.as_ref().map(|at| at.file.to_string()),
        "line": problem.at.as_ref().map(|at| at.line),
        "column": problem.at.as_ref().map(|at| at.column),
        "id": problem.id,
    })
}

/// A value of pillar, grains or arguments. What JSON lacks is told as Salt's own output tells it.
pub(crate) fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Big(n) => Json::Number(Number::from_string_unchecked(n.to_string())),
        Value::Float(n) if n.is_finite() => (*n).into(),
        Value::Float(n) => json!({ "__float__": n.to_string() }),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => {
            json!({ "__bytes__": bytes.iter().map(|b| char::from(*b)).collect::<String>() })
        }
        Value::List(items) => items.iter().map(self::value).collect(),
        Value::Map(map) => Json::Object(map.iter().map(|(k, v)| (key(k), self::value(v))).collect()),
    }
}

/// A key that is not text is its JSON text.
fn key(key: &Value) -> String {
    match key {
        Value::Text(text) => text.clone(),
        other => value(other).to_string(),
    }
}

/// JSON as a value.
pub(crate) fn to_value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => b.into(),
        Json::Number(n) => match integer(n.as_str(), 10) {
            Some(n) => n.into(),
            None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => Value::List(items.into_iter().map(to_value).collect()),
        Json::Object(map) => Value::Map(map.into_iter().map(|(k, v)| (k, to_value(v))).collect()),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
