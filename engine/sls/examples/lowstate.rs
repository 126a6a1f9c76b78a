//! Answers `show lowstate`, `show pillar`, `show top` and `show highstate` as the command line will, until it is there.

use std::collections::HashMap;
use std::io::Write as _;

use kstate_core::{Call, Chunk, Map, Problem, Value};
use kstate_sls::{Answers, Request, Root, Tree, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options: HashMap<String, String> = HashMap::new();
    let mut words = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument.starts_with('-') {
            options.insert(argument, arguments.next().unwrap_or_default());
        } else {
            words.push(argument);
        }
    }
    let what = words.get(1).cloned().unwrap_or_default();
    let sls = words.get(2..).unwrap_or_default().to_vec();
    let read = |name: &str| -> Result<Value, Box<dyn std::error::Error>> {
        let Some(path) = options.get(name) else { return Ok(Value::Map(Map::new())) };
        let text = std::fs::read_to_string(path)?;
        Ok(json::load_at(&text, &|line, column| kstate_core::Position::new(path.as_str(), line, column))?
            .value())
    };
    let Value::Map(grains) = read("--grains")? else { return Err("grains are a mapping".into()) };
    let fixture = read("--exec-fixture")?;
    let target = options.get("-t").cloned().unwrap_or_default();
    let root = options.get("--root").cloned().unwrap_or_else(|| ".".into());
    let tree = Tree::new(Root::open(&root).map_err(|problems| format!("{problems:?}"))?);
    let pillar = Map::new();
    let mut answers = Answers::new();
    let mut compiled;
    loop {
        let request =
            Request { target: &target, grains: &grains, pillar: &pillar, sls: &sls, answers: &answers };
        compiled = tree.compile(&request);
        let before = answers.len();
        for call in &compiled.calls {
            if let Some(answer) = answer(&fixture, call) {
                answers.insert(call.to_string(), answer);
            }
        }
        if answers.len() == before {
            break;
        }
    }
    let mut out = String::new();
    let document = match what.as_str() {
        "pillar" => Value::Map(compiled.pillar.clone()),
        "top" => compiled.top.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>().into(),
        "highstate" => Value::Map(compiled.high.value()),
        _ if compiled.has_errors() => {
            let errors: Vec<Value> = compiled.problems.iter().map(|problem| show(problem).into()).collect();
            Map::from_iter([("errors", Value::List(errors))]).into()
        }
        _ => compiled.chunks().iter().map(|chunk| Value::Map(fields(chunk))).collect::<Vec<_>>().into(),
    };
    write(&mut out, &Value::Map(Map::from_iter([(target.as_str(), document)])));
    writeln!(std::io::stdout(), "{out}")?;
    for problem in &compiled.problems {
        writeln!(std::io::stderr(), "{}", show(problem))?;
    }
    Ok(())
}

fn show(problem: &Problem) -> String {
    let mut text = format!("{:?}: {problem}", problem.severity).to_lowercase();
    for (what, at) in &problem.related {
        text.push_str(&format!("\n  {at}: {what}"));
    }
    for hint in &problem.hints {
        text.push_str(&format!("\n  hint: {hint}"));
    }
    if let Some(rendered) = &problem.rendered {
        text.push_str(&format!("\n  rendered: {rendered}"));
    }
    text
}

fn answer(fixture: &Value, call: &Call) -> Option<Value> {
    let fits = |rule: &&Map| {
        let part = rule.get("contains").and_then(Value::as_str);
        rule.get("fun").and_then(Value::as_str) == Some(call.fun.as_str())
            && part.is_none_or(|part| call.to_string().contains(part))
    };
    fixture.as_list()?.iter().filter_map(Value::as_map).find(fits)?.get("return").cloned()
}

fn fields(chunk: &Chunk) -> Map {
    let mut map = Map::from_iter([
        ("state", chunk.state.as_str()),
        ("fun", &chunk.fun),
        ("__id__", &chunk.id),
        ("__sls__", &chunk.sls),
        ("name", &chunk.name),
    ]);
    for (name, value) in &chunk.arguments {
        map.insert(name.as_str(), value.value());
    }
    map.insert("order", chunk.order);
    map
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) if number.is_finite() => out.push_str(&format!("{number:?}")),
        Value::Float(number) => write(out, &Map::from_iter([("__float__", number.to_string())]).into()),
        Value::Text(text) => quote(out, text),
        Value::Bytes(bytes) => {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            write(out, &Map::from_iter([("__bytes__", text)]).into());
        }
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                match key {
                    Value::Text(text) => quote(out, text),
                    key => {
                        let mut text = String::new();
                        write(&mut text, key);
                        quote(out, &text);
                    }
                }
                out.push_str(": ");
                write(out, value);
            }
            out.push('}');
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
