//! Expectations made by real Salt and Jinja2 (`tests/jinja/make.py`), and what only kstate has: places and questions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use kstate_core::{Map, Value as Plain};

use super::{Engine, Environment, TemplateContext, json};
use crate::tree::Folders;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/jinja/cases")
}

fn map(text: &str) -> Map {
    match json::load(text) {
        Ok(Plain::Map(map)) => map,
        other => panic!("{other:?}"),
    }
}

fn environment(answers: &HashMap<String, Plain>) -> Environment {
    let folders = Folders::new(vec![folder().join("tree")], folder());
    let engine = Arc::new(Engine::new(Arc::new(folders)));
    let (grains, pillar) = (map(include_str!("cases/grains.json")), map(include_str!("cases/pillar.json")));
    Environment::new(&engine, "web1", &grains, &pillar, &Map::new(), answers)
}

fn render(environment: &Environment, text: &str) -> Result<super::Rendered, Box<kstate_core::Problem>> {
    let context = TemplateContext { tpldir: ".".into(), tplfile: ":string:".into(), ..TemplateContext::default() };
    environment.render("case.jinja", &"case.jinja".into(), text, &context)
}

/// The templates for which kstate answers otherwise on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] = &[(
    "{% set l = ['a', 'b'] %}{% for i in l %}{% if i == 'a' %}{% do l.append",
    "a loop goes over the items that the list had when the loop began",
)];

#[test]
fn renders_as_salt_does() {
    let templates = include_str!("cases/expressions.txt");
    let Ok(Plain::List(expected)) = json::load(include_str!("cases/expected.json")) else { panic!("expected.json") };
    let environment = environment(&HashMap::new());
    let mut wrong = Vec::new();
    let mut right = 0;
    for (number, (template, expected)) in templates.lines().zip(&expected).enumerate() {
        if DIFFERENT.iter().any(|(known, _)| template.starts_with(known)) {
            continue;
        }
        let rendered = render(&environment, &template.replace('⏎', "\n"));
        let same = match (&rendered, expected) {
            (Ok(rendered), Plain::Text(text)) => rendered.text == *text,
            (Err(_), Plain::Null) => true,
            _ => false,
        };
        if same {
            right += 1;
        } else {
            let ours = match rendered {
                Ok(rendered) => rendered.text,
                Err(problem) => format!("refused: {problem}"),
            };
            let theirs = expected.as_str().unwrap_or("refused");
            wrong.push(format!("{}: {template}\n   salt: {theirs}\n   ours: {ours}", number + 1));
        }
    }
    assert!(wrong.is_empty(), "{right} equal, {} not:\n{}", wrong.len(), wrong.join("\n"));
}
