//! Expectations made by real Salt and Jinja2 (`tests/jinja/make.py`), and what only kstate has: places and questions.

use std::path::PathBuf;
use std::sync::Arc;

use kstate_core::{Call, Map, Position, Problem, Severity, Value as Plain};

use super::{Answer, Answers, Engine, Environment, Refusal, TemplateContext, json};
use crate::options::Whitespace;
use crate::tree::Folders;

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/jinja/cases")
}

pub(super) fn map(text: &str) -> Map {
    match json::load(text) {
        Ok(Plain::Map(map)) => map,
        other => panic!("{other:?}"),
    }
}

/// No answers yet, to some functions.
fn answers() -> Answers {
    Answers::new(["cmd.run", "file.file_exists", "pkg.version"])
}

fn environment(answers: &Answers) -> Environment {
    let folders = Folders::new(vec![folder().join("tree")], folder(), Arc::new(crate::Disk));
    let engine = Arc::new(Engine::new(Arc::new(folders), Whitespace::default()));
    let (grains, pillar) = (map(include_str!("cases/grains.json")), map(include_str!("cases/pillar.json")));
    Environment::new(&engine, "web1", &grains, &pillar, &Map::new(), answers)
}

pub(super) fn render(environment: &Environment, text: &str) -> Result<super::Rendered, Box<Problem>> {
    let context = TemplateContext {
        sls: Some(String::new()),
        tpldir: ".".into(),
        tplfile: ":string:".into(),
        ..TemplateContext::default()
    };
    environment.render("case.jinja", &"case.jinja".into(), text, &context)
}

/// The templates for which kstate answers otherwise on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "{% set l = ['a', 'b'] %}{% for i in l %}{% if i == 'a' %}{% do l.append",
        "a loop goes over the items that the list had when the loop began",
    ),
    (
        "{% for i in [1, 2] %}{% include 'lib/loopvar.jinja' %}",
        "what is included sees `loop` also where the including loop does not use it",
    ),
];

#[test]
fn literals_of_any_length_are_whole() {
    let words = |count: usize, word: &dyn Fn(usize) -> String, between: &str| {
        (0..count).map(word).collect::<Vec<_>>().join(between)
    };
    let list = words(5000, &|n| n.to_string(), ", ");
    let pairs = words(3000, &|n| format!("'k{n}': {n}"), ", ");
    let texts = words(2500, &|n| format!("'{n}'"), " ~ ");
    let template = format!(
        "{{% set l = [{list}] %}}{{% set t = ({list}) %}}{{% set d = {{{pairs}}} %}}\
         {{{{ l|length }}}} {{{{ l[4321] }}}} {{{{ l[-1] }}}} {{{{ t|length }}}} {{{{ t is list }}}} {{{{ d|length }}}} {{{{ d.k1234 }}}} \
         {{{{ ({texts})|length }}}} {{{{ d.keys()|list|last }}}}"
    );
    let folders = Folders::new(vec![folder().join("tree")], folder(), Arc::new(crate::Disk));
    let engine = Arc::new(Engine::new(Arc::new(folders), Whitespace::default()));
    let environment =
        Environment::new(&engine, "a", &Map::new(), &Map::new(), &Map::new(), &Answers::default());
    let rendered = render(&environment, &template).unwrap();
    assert_eq!(rendered.text, "5000 4321 4999 5000 False 3000 1234 8890 k2999");
}

#[test]
fn renders_as_salt_does() {
    let templates = include_str!("cases/expressions.txt");
    let Ok(Plain::List(expected)) = json::load(include_str!("cases/expected.json")) else {
        panic!("expected.json")
    };
    let environment = environment(&answers());
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

/// A refusal by the engine that runs what was rewritten is a mistake of the rewriting.
#[test]
fn the_engine_reads_what_is_rewritten() {
    let environment = environment(&answers());
    let engine = &environment.engine;
    for template in include_str!("cases/expressions.txt").lines() {
        let text = template.replace('⏎', "\n");
        let Ok(known) = engine.registry.take("M:case.jinja", &"case.jinja".into(), &text) else { continue };
        let read = engine.minijinja.get_template(&known.key);
        assert!(read.is_ok(), "{template}\n{}", read.unwrap_err());
    }
}

/// Where each line of the rendered text comes from, as `file:line:column text`.
fn places(text: &str) -> String {
    let rendered = render(&environment(&answers()), text).unwrap();
    let mut out = String::new();
    for (i, line) in rendered.text.lines().enumerate() {
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let at = rendered.lines.origin(u32::try_from(i + 1).unwrap(), u32::try_from(indent + 1).unwrap());
        out.push_str(&format!("{at} |{line}\n"));
    }
    out
}

#[test]
fn every_line_knows_where_it_was_written() {
    let text = "\
{% set x = 1 %}
{%- from 'lib/lines.jinja' import block, wrapped %}
{%- for n in ['a', 'b'] %}
{{ n }}:
  test.nop:
    - x: {{ x }}
{%- endfor %}
{{ block('m') }}
{{ block('i') | indent(2) }}
{% filter indent(4) %}
filtered
{%- endfilter %}
{%- call wrapped() %}
called: {{ x }}
{%- endcall %}
{% set later %}
kept: 1
{% endset %}
{{ later }}
{% include 'lib/hello.jinja' %}
multi: {{ {'a': [1, 2]} | yaml(False) }}
";
    let expected = "\
case.jinja:3:27 |
case.jinja:4:1 |a:
case.jinja:5:3 |  test.nop:
case.jinja:6:5 |    - x: 1
case.jinja:4:1 |b:
case.jinja:5:3 |  test.nop:
case.jinja:6:5 |    - x: 1
tree/lib/lines.jinja:2:1 |m:
tree/lib/lines.jinja:3:3 |  - in macro
tree/lib/lines.jinja:2:1 |i:
tree/lib/lines.jinja:3:3 |    - in macro
case.jinja:10:23 |
case.jinja:11:1 |    filtered
tree/lib/lines.jinja:6:1 |<
case.jinja:13:22 |
case.jinja:14:1 |called: 1>
case.jinja:18:13 |
case.jinja:19:1 |
case.jinja:19:1 |kept: 1
case.jinja:19:12 |
tree/lib/hello.jinja:1:1 |Hello
case.jinja:21:1 |multi: a:
case.jinja:21:8 |- 1
case.jinja:21:8 |- 2
";
    assert_eq!(places(text), expected);
}

/// By which way each line of the rendered text came about, the last step first.
fn ways(text: &str) -> Vec<String> {
    let rendered = render(&environment(&answers()), text).unwrap();
    let step = |step: &kstate_core::Via| match step.pass {
        Some(pass) => format!("loop {} pass {pass}", step.at),
        None => format!("{} {}", step.what, step.at),
    };
    let lines = rendered.text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(i, line)| {
            let at = rendered.lines.origin(u32::try_from(i + 1).unwrap(), 1);
            let steps: Vec<String> = at.steps().map(step).collect();
            format!("{line}: {at} {}", steps.join(", "))
        })
        .collect()
}

#[test]
fn every_line_knows_the_way_by_which_it_came_about() {
    let text = "\
{%- from 'lib/lines.jinja' import block, wrapped -%}
{% macro twice(n) -%}
{{ block(n) if true else '' }}
{%- endmacro -%}
{% for n in ['a', 'b'] -%}
{% for m in [1, 2] if m > 1 %}{{ n }}{{ m }}
{% break %}{% endfor -%}
{{ twice(n) }}
{% endfor -%}
{% include 'lib/hello.jinja' %}
{% call wrapped() -%}
called
{% endcall -%}
{# #}
{% for m in [] %}{% else %}{{ block('c') | indent(2) }}{% endfor %}
plain";
    let expected = [
        "a2: case.jinja:6:31 loop case.jinja:6:1 pass 1, loop case.jinja:5:1 pass 1",
        "a:: tree/lib/lines.jinja:2:1 in the macro `block` case.jinja:3:4, in the macro `twice` case.jinja:8:4, \
         loop case.jinja:5:1 pass 1",
        "  - in macro: tree/lib/lines.jinja:3:1 in the macro `block` case.jinja:3:4, in the macro `twice` \
         case.jinja:8:4, loop case.jinja:5:1 pass 1",
        "b2: case.jinja:6:31 loop case.jinja:6:1 pass 1, loop case.jinja:5:1 pass 2",
        "b:: tree/lib/lines.jinja:2:1 in the macro `block` case.jinja:3:4, in the macro `twice` case.jinja:8:4, \
         loop case.jinja:5:1 pass 2",
        "  - in macro: tree/lib/lines.jinja:3:1 in the macro `block` case.jinja:3:4, in the macro `twice` \
         case.jinja:8:4, loop case.jinja:5:1 pass 2",
        "Hello: tree/lib/hello.jinja:1:1 included from here case.jinja:10:12",
        "<: tree/lib/lines.jinja:6:1 in the macro `wrapped` case.jinja:11:9",
        "called: case.jinja:12:1 between `{% call %}` and `{% endcall %}` tree/lib/lines.jinja:7:4, in the macro \
         `wrapped` case.jinja:11:9",
        ">: tree/lib/lines.jinja:7:15 in the macro `wrapped` case.jinja:11:9",
        "c:: tree/lib/lines.jinja:2:1 in the macro `block` case.jinja:15:31, loop case.jinja:15:1 pass 0",
        "    - in macro: tree/lib/lines.jinja:3:1 in the macro `block` case.jinja:15:31, loop case.jinja:15:1 pass 0",
        "plain: case.jinja:16:1 ",
    ];
    assert_eq!(ways(text), expected);
}

#[test]
fn no_value_ever_contains_a_marker() {
    let text = "\
{%- macro m() %}a
b{% endmacro -%}
{%- set s %}x{{ m() }}{% endset -%}
{{ m() | length }} {{ m() == 'a\\nb' }} {{ s | length }} {{ [m()] }} {{ {'k': s} | json }} {{ m().split('\\n') }}
{%- if m() | upper != 'A\\nB' %} wrong{% endif %} {{ m() ~ '' }}";
    let rendered = render(&environment(&answers()), text).unwrap();
    let expected = "3 True 4 ['a\\nb'] {\"k\": \"xa\\nb\"} ['a', 'b'] a\nb";
    assert_eq!(rendered.text, expected);
}

#[test]
fn chance_is_the_same_at_every_run_and_another_for_another_host() {
    let text = "{{ range(90000) | random }}";
    let once = render(&environment(&answers()), text).unwrap().text;
    assert_eq!(render(&environment(&answers()), text).unwrap().text, once);
    let engine = environment(&answers()).engine;
    let other = Environment::new(&engine, "web2", &Map::new(), &Map::new(), &Map::new(), &answers());
    assert_ne!(render(&other, text).unwrap().text, once);
}

fn refusal(text: &str) -> String {
    let problem = render(&environment(&answers()), text).unwrap_err();
    let mut out = problem.to_string();
    for step in problem.at.iter().flat_map(Position::steps) {
        out.push_str(&format!("\n  {}: {}", step.what, step.at));
    }
    for hint in &problem.hints {
        out.push_str(&format!("\n  hint: {hint}"));
    }
    out
}

#[test]
fn mistakes_are_placed_named_and_explained() {
    let cases = [
        (
            "a\n  {{ pillar.deep.kye }}",
            "case.jinja:2:6: `pillar.deep.kye` is undefined: the mapping has no key `kye`\n  hint: there is `key`",
        ),
        ("{{ pilar.x }}", "case.jinja:1:4: `pilar` is undefined\n  hint: did you mean `pillar`?"),
        (
            "{{ users }}",
            "case.jinja:1:4: `users` is undefined\n  hint: pillar has this key: write `pillar.users`",
        ),
        ("{% if true %}\nx\n", "case.jinja:1:1: `{% if %}` is not closed: `{% endif %}` is missing"),
        ("\n{{ 'x' | uper }}", "case.jinja:2:10: there is no filter `uper`\n  hint: did you mean `upper`?"),
        (
            "{% import 'lib/broken.jinja' as b %}",
            "tree/lib/broken.jinja:3:1: unknown tag `{% endfi %}`\n  included from here: case.jinja:1:11\n  hint: did you mean `endif`?",
        ),
        (
            "\n{% from 'lib/lines.jinja' import fails %}\n{{ fails({}) }}",
            "tree/lib/lines.jinja:10:4: `thing.missing` is undefined: the mapping has no key `missing`\n  in the macro `fails`: case.jinja:3:4\n  hint: the mapping is empty",
        ),
        (
            "{% include 'lib/bad.jinja' %}",
            "tree/lib/bad.jinja:2:4: `never` is undefined\n  included from here: case.jinja:1:12",
        ),
        (
            "{% include 'nope.jinja' %}",
            "case.jinja:1:12: the template `nope.jinja` does not exist\n  hint: names are paths below the roots: tree",
        ),
        ("{{ raise('no') }}", "case.jinja:1:4: the template raises `no`"),
        (
            "{{ salt['cdm.run']('x') }}",
            "case.jinja:1:4: there is no function `cdm.run` that templates could call\n  hint: did you mean `cmd.run`?",
        ),
        (
            "{{ salt.mysql.query('x') }}",
            "case.jinja:1:4: there is no function `mysql` that templates could call\n  hint: answer it by a rule",
        ),
        (
            "{% macro m(first) %}{% endmacro %}\n{{ m(frist=1) }}",
            "case.jinja:2:4: the macro `m` has no argument `frist`\n  hint: did you mean `first`?",
        ),
        (
            "x: {{ 1 + 'a' }}",
            "case.jinja:1:7: `+` cannot stand between a number (left) and text (right)\n  hint: `~` joins both as text; `|int` makes a number of text",
        ),
        (
            "{% load_yaml as x %}\na: 1\nb: [\n{% endload %}",
            "case.jinja:3:4: the `[` that opens here is not closed\n  read as YAML here: case.jinja:1:1",
        ),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = refusal(text);
        if !found.starts_with(expected) {
            wrong.push_str(&format!("{text}\n  expected: {expected}\n  found:    {found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn asks_the_host_once_and_goes_on_where_it_can() {
    let text = "\
{% set a = salt['cmd.run']('date +%F') %}
a: {{ a | trim }}
b: {{ salt.cmd.run('uname', shell='/bin/sh') }}
{% if salt['file.file_exists']('/x') %}{{ salt['cmd.run']('rm -rf /') }}{% endif %}
c: {{ salt['cmd.run']('date +%F') }}
";
    let first = environment(&answers());
    let rendered = render(&first, text).unwrap();
    assert!(rendered.waiting);
    let wanted: Vec<String> = first.wanted().iter().map(ToString::to_string).collect();
    assert_eq!(wanted, ["cmd.run(date +%F)", "cmd.run(uname, shell=/bin/sh)", "file.file_exists(/x)"]);

    let rules = super::rules(
        r#"[{"fun": "cmd.run", "contains": "date", "return": " 2026-01-02\n"},
            {"fun": "cmd.run", "return": "Linux"}, {"fun": "file.file_exists", "return": false}]"#,
    )
    .unwrap();
    let mut answers = answers();
    for call in first.wanted() {
        if let Some(answer) = super::answer(&rules, &call) {
            answers.insert(&call, Answer::Known(answer.clone()));
        }
    }
    let second = environment(&answers);
    let rendered = render(&second, text).unwrap();
    assert!(!rendered.waiting);
    assert!(second.wanted().is_empty());
    assert_eq!(rendered.text, "\na: 2026-01-02\nb: Linux\n\nc:  2026-01-02\n\n");
}

#[test]
fn a_refused_question_is_a_problem_at_its_place() {
    let refusal =
        Refusal { severity: Severity::Warning, reason: "nobody knows".into(), hint: Some("wait".into()) };
    let mut answers = answers();
    let call = Call { fun: "cmd.run".into(), arguments: vec!["date".into()], keywords: Map::new() };
    answers.insert(&call, Answer::Refused(refusal));
    let environment = environment(&answers);
    let problem = render(&environment, "a\n b: {{ salt['cmd.run']('date') }}").unwrap_err();
    let expected = Problem::warning("a template asks the host for `cmd.run(date)`: nobody knows")
        .at(&Position::new("case.jinja", 2, 8))
        .hint("wait");
    assert_eq!(*problem, expected);
    assert_eq!(environment.wanted().len(), 1);
}
