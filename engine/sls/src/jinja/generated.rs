//! Templates made by the grammar, with every filter, test, method and function that there is.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::attacks::{ends, engine};
use super::{calls, filters, methods, tests};
use crate::properties::{changed, holds};

const VALUES: &[&str] = &[
    "x",
    "y",
    "l",
    "d",
    "ns",
    "ns.x",
    "m",
    "loop",
    "loop.index",
    "pillar",
    "grains",
    "salt",
    "opts",
    "missing",
    "caller",
    "varargs",
    "none",
    "true",
    "0",
    "1",
    "-1",
    "7",
    "255",
    "1.5",
    "1e300",
    "0.0",
    "9223372036854775807",
    "-170141183460469231731687303715884105728",
    "99999999999",
    "''",
    "'a'",
    "'é日ß'",
    "'a b c'",
    "'1,2'",
    "'{}'",
    "'%s %d'",
    "'{0:>9}'",
    "'%(a)5.1f'",
    "'(a+)+$'",
    "'(?=a)'",
    "'\\\\1'",
    "'192.0.2.0/24'",
    "'2001:db8::/126'",
    "'2020-01-02'",
    "'a: [1, {b: c}]'",
    "'{\"a\": 1}'",
    "'x\\n\\ty'",
    "'users:alice'",
    "'*'",
    "'nan'|float",
    "[]",
    "{}",
    "()",
    "[3, 1, 2]",
    "['b', 'a', none]",
    "{'a': 1}",
    "{1: {'c': 2}}",
    "(1, 2)",
    "range(5)",
    "dict(a=1)",
    "cycler(1, 2)",
    "joiner()",
    "namespace(a=1)",
];

const OPERATORS: &[&str] =
    &["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", " in ", " not in ", " and ", " or "];

const KEYWORDS: &[&str] = &[
    "attribute",
    "default",
    "width",
    "first",
    "sort_keys",
    "indent",
    "reverse",
    "case_sensitive",
    "by",
    "delimiter",
    "merge",
    "fill_with",
    "length",
    "ignorecase",
    "flow_style",
    "start",
    "end",
    "key",
    "base",
];

/// Words for changing the cases of other tests.
const WORDS: &[&str] = &[
    "{%",
    "%}",
    "{{",
    "}}",
    "{#",
    "#}",
    "-%}",
    "{%-",
    "{% raw %}",
    "{% endraw %}",
    "{% endif %}",
    "{% endfor %}",
    "{% else %}",
    "{% if x %}",
    "{% for x in l %}",
    "{% set x %}",
    "{% endset %}",
    "{% do x.append(1) %}",
    "{% macro m(a) %}",
    "{% endmacro %}",
    "{% call m() %}",
    "{% endcall %}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "\\",
    "|",
    ".",
    ",",
    ":",
    "=",
    "**",
    "//",
    "~",
    "not ",
    " is ",
    " if ",
    " else ",
    "é",
    "\n",
    "1e9",
    "loop",
    "\u{0}",
    "#!",
    "#jinja2: {\"trim_blocks\": true}\n",
];

fn arguments(value: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let spread = select(&["", "*", "**"][..]);
    let more = prop_oneof![
        3 => Just(None),
        1 => (select(KEYWORDS), value.clone()).prop_map(|(name, value)| Some(format!("{name}={value}"))),
        1 => (spread, value.clone()).prop_map(|(sign, value)| Some(format!("{sign}{value}"))),
    ];
    (vec(value, 0..3), more).prop_map(|(mut all, more)| {
        all.extend(more);
        format!("({})", all.join(", "))
    })
}

fn expression() -> impl Strategy<Value = String> + Clone {
    let methods = methods::all_names();
    let value = select(VALUES).prop_map(str::to_owned);
    value.prop_recursive(4, 16, 3, move |inner| {
        let call = || arguments(select(VALUES).prop_map(str::to_owned));
        let part = || option::of(inner.clone()).prop_map(Option::unwrap_or_default);
        prop_oneof![
            4 => (inner.clone(), select(filters::names().collect::<Vec<_>>()), call())
                .prop_map(|(of, name, args)| format!("{of}|{name}{args}")),
            2 => (inner.clone(), select(tests::names().filter(|name| name.is_ascii()).collect::<Vec<_>>()), call())
                .prop_map(|(of, name, args)| format!("({of} is {name}{args})")),
            3 => (inner.clone(), select(methods.clone()), call())
                .prop_map(|(of, name, args)| format!("({of}).{name}{args}")),
            2 => (select(calls::names().collect::<Vec<_>>()), call())
                .prop_map(|(name, args)| format!("salt['{name}']{args}")),
            3 => (inner.clone(), select(OPERATORS), inner.clone()).prop_map(|(a, sign, b)| format!("({a}{sign}{b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(of, key)| format!("({of})[{key}]")),
            1 => (inner.clone(), part(), part(), part()).prop_map(|(of, a, b, c)| format!("({of})[{a}:{b}:{c}]")),
            1 => vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            1 => (inner.clone(), inner.clone()).prop_map(|(key, value)| format!("{{{key}: {value}}}")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
            1 => inner.clone().prop_map(|value| format!("(not {value})")),
            1 => inner.clone().prop_map(|value| format!("(-{value})")),
        ]
    })
}

fn template() -> impl Strategy<Value = String> {
    let text = select(&["a: 1\n", "- b\n", "  ", "\n", "é: ß\n", "{ ", "{% raw %}{{ x }}{% endraw %}"][..]);
    let load = select(
        &[
            "{% import 'lib/macros.jinja' as m %}",
            "{% from 'lib/macros.jinja' import field as m with context %}",
            "{% include 'lib/hello.jinja' %}",
            "{% import_yaml 'lib/data.yaml' as d %}",
            "{% import_json 'lib/data.json' as d %}",
            "{% include 'no.jinja' ignore missing %}",
        ][..],
    );
    let leaf = prop_oneof![
        2 => text.prop_map(str::to_owned),
        1 => load.prop_map(str::to_owned),
        5 => expression().prop_map(|value| format!("{{{{ {value} }}}}")),
        2 => expression().prop_map(|value| format!("{{% do {value} %}}")),
        4 => (select(&["x", "y", "l", "d", "x, y", "ns.x"][..]), expression())
            .prop_map(|(target, value)| format!("{{% set {target} = {value} %}}")),
    ];
    let piece = leaf.prop_recursive(3, 12, 3, |inner| {
        let body = || vec(inner.clone(), 0..3).prop_map(|pieces| pieces.concat());
        let loops =
            select(&["", "{% break %}", "{% continue %}", "{{ loop(l) }}", "{{ loop.changed(x) }}"][..]);
        prop_oneof![
            (expression(), body(), body())
                .prop_map(|(test, yes, no)| format!("{{% if {test} %}}{yes}{{% else %}}{no}{{% endif %}}")),
            (
                select(&["x", "x, y"][..]),
                expression(),
                select(&["", " if x", " recursive"][..]),
                body(),
                loops
            )
                .prop_map(|(target, items, how, body, end)| format!(
                    "{{% for {target} in {items}{how} %}}{body}{end}{{% endfor %}}"
                )),
            body().prop_map(|body| format!("{{% macro m(a, b=1) %}}{body}{{{{ a }}}}{{% endmacro %}}")),
            (expression(), body())
                .prop_map(|(value, body)| format!("{{% call m({value}) %}}{body}{{% endcall %}}")),
            (select(filters::names().collect::<Vec<_>>()), body())
                .prop_map(|(name, body)| format!("{{% filter {name} %}}{body}{{% endfilter %}}")),
            body().prop_map(|body| format!("{{% set x %}}{body}{{% endset %}}")),
            (select(&["yaml", "json", "text"][..]), body())
                .prop_map(|(kind, body)| format!("{{% load_{kind} as x %}}{body}{{% endload %}}")),
        ]
    });
    vec(piece, 1..6).prop_map(|pieces| {
        let names = "{% set ns = namespace(x=1) %}{% set l = [1, 'a'] %}{% set d = {'a': l} %}{% set x, y = 'q', 2 %}";
        format!("{names}{{% macro m(a, b=1) %}}{{{{ a }}}}{{% endmacro %}}{}", pieces.concat())
    })
}

fn cases() -> Vec<String> {
    include_str!("cases/expressions.txt").lines().map(|line| line.replace('⏎', "\n")).collect()
}

#[test]
fn every_generated_template_ends() {
    let engine = engine();
    holds(1_000, template, move |text| ends(&engine, &text));
}

#[test]
fn every_changed_template_ends() {
    let engine = engine();
    holds(1_500, || changed(cases(), WORDS), move |text| ends(&engine, &text));
}
