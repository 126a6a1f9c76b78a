//! Templates that try to hang, to exhaust the memory or the stack, or to make the engine panic.

use std::sync::Arc;

use kstate_core::Map;

use super::cases::{folder, map, render};
use super::{Answers, Engine, Environment};
use crate::options::Whitespace;
use crate::properties::with_the_least_stack;
use crate::tree::Folders;

/// Renders a template, and looks where an error stands.
pub(super) fn ends(engine: &Arc<Engine>, text: &str) {
    let (grains, pillar) = (map(include_str!("cases/grains.json")), map(include_str!("cases/pillar.json")));
    let environment = Environment::new(engine, "web1", &grains, &pillar, &Map::new(), &Answers::default());
    let Err(problem) = render(&environment, text) else { return };
    let at = problem.at.as_ref().unwrap();
    let last = text.split('\n').count();
    let shown: String = text.chars().take(150).collect();
    assert!(*at.file != *"case.jinja" || (1..=last).contains(&(at.line as usize)), "{shown}\n{problem}");
}

/// An engine whose limit of work is the same in kind, and lower, so that the tests are shorter.
pub(super) fn engine() -> Arc<Engine> {
    let folders = Folders::new(vec![folder().join("tree")], folder(), Arc::new(crate::Disk));
    Arc::new(Engine::with_fuel(Arc::new(folders), Whitespace::default(), 100_000))
}

#[test]
fn every_template_ends() {
    with_the_least_stack(|| {
        let engine = engine();
        attacks().iter().for_each(|text| ends(&engine, text));
    });
}

fn attacks() -> Vec<String> {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let print = |text: String| format!("{{{{ {text} }}}}");
    // Makes `x` out of itself, again and again.
    let again = |start: &str, step: &str, end: &str| {
        format!(
            "{{% set ns = namespace(x={start}) %}}{{% for i in range(3000) %}}{{% set ns.x = {step} %}}{{% endfor %}}{end}"
        )
    };
    // A list in a list in a list, and one that is each time twice in the next.
    let nested = |end: &str| again("[]", "[ns.x]", end);
    let doubled = |end: &str| {
        format!(
            "{{% set ns = namespace(x=[1]) %}}{{% for i in range(60) %}}{{% set ns.x = [ns.x, ns.x] %}}{{% endfor %}}{end}"
        )
    };
    let mut attacks: Vec<String> = [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% include 'lib/endless.jinja' %}",
        "{% import 'lib/endless.jinja' as e %}",
        "{% extends 'lib/endless.jinja' %}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ 'x' * 1000000 }}{% endfor %}",
        "{% for a in range(100000) %}{{ 'x' * 16000000 }}{% endfor %}",
        "{% set l = [1] %}{% for a in range(100) %}{% do l.extend(l) %}{% endfor %}",
        "{% set l = [] %}{% for a in range(100000) %}{% do l.insert(0, [1] * 1000) %}{% endfor %}",
        "{% set l = range(100000) %}{% for a in range(100000) %}{{ 7.5 in l }}{% endfor %}",
        "{{ range(100000) | map('string') | join('-' * 16000000) }}",
        "{{ ('x' * 16000000) | wordwrap(1, true, 'y' * 16000000) }}",
        "{{ ('\\n' * 16000000) | indent(1000) }}",
        "{{ ('\\t' * 16000000).expandtabs(1000) }}",
        "{{ ('{0:>9999}' * 1000000).format('x') }}",
        "{{ ('%(a)9999d' * 1000000) % {'a': 1} }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ '{:>{w}}'.format(1, w=999999999) }}",
        "{{ 'x' | center(99999999999) }}",
        "{{ ('a' * 16000000) | regex_replace('a', 'b' * 16000000) }}",
        "{{ 'a' | replace('', 'b' * 16000000) | replace('b', 'b' * 16000000) }}",
        "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' | regex_match('(a+)+(?=b)$') }}",
        "{{ ('a' * 16000000) | regex_replace('(?:(a?){19}b(?!)|a)', 'c') }}",
        "{{ 'x' | regex_match('((((w{1000}){1000}){1000}){1000})') }}",
        "{{ 'x' | regex_match('(' * 100000) }}",
        "{{ '' | regex_match('(?=a{999}){999}') }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ 'a' * 999999999999 }}",
        "{{ [] * 999999999999999999 }}",
        "{{ '' * 999999999999999999 }}",
        "{{ [1] | batch(99999999999, 'x') }}",
        "{{ [1] | slice(99999999999) }}",
        "{{ range(40) | combinations(41) }}",
        "{{ range(100000) | permutations }}",
        "{{ [1] | product(*([[1]] * 100000)) | length }}",
        "{{ range(1000) | zip(*([range(1000)] * 100000)) | length }}",
        "{{ [1, 2, 3][1::170141183460469231731687303715884105727] }}",
        "{{ [1, 2, 3][::-170141183460469231731687303715884105727] }}",
        "{{ [1][99999999999999999999] }} ",
        "{{ 'x' | truncate(18446744073709551615, true, '', 10) }}",
        "{{ (-170141183460469231731687303715884105727 - 1) | abs }}",
        "{{ (-9223372036854775808) // -1 }} {{ (-9223372036854775808) % -1 }}",
        "{{ range(-99999999999999999999999999999999999999, 99999999999999999999999999999999999999) }}",
        "{{ range(0, 10, -170141183460469231731687303715884105727) }}",
        "{{ 1 | round(-170141183460469231731687303715884105727) }} {{ 1.5 | round(400) }} {{ 1e308 | round(-400) }}",
        "{{ [1, 'a', none, 2.5, [], {}, 'b', 3] | sort }}",
        "{{ ([0.0, 1, 'nan' | float, -1, 5, 'nan' | float, 2] * 20) | sort | length }}",
        "{{ ([3, 'a', 2, none, 'b'] * 20) | map('string') | sort | length }}{{ ([3, 'a'] * 40) | sort }}",
        "{{ ({'a': 1, 2: 3, none: 4} | yaml) }}{{ {'a': 1, 2: 3} | json }}",
        "{{ 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' | network_hosts }}{{ '::/1' | network_size }}",
        "{{ '-9999999-01-01' | strftime }}{{ 1e300 | strftime }}{{ -1e300 | strftime('%-') }}{{ '1-1-1 99:99' | strftime('%') }}",
        "{{ '\\\\' | json | json | json | json | json | json | json | json | json | json | json | json | json | json }}",
        "{% set l = [1] %}{% do l.append(l) %}{{ l | length }}{{ l }}{{ l | string | length }}",
        "{% set l = [] %}{% set k = [] %}{% do l.append(k) %}{% do k.append(l) %}{{ l == k }}{{ l < k }}",
        "{% set l = [] %}{% do l.append(l) %}{% set k = [] %}{% do k.append(k) %}{% for i in [1, 2] %}{{ loop.changed([l, k][loop.index0]) }}{% endfor %}",
        "{% set l = [] %}{% do l.append(l) %}{{ l | json }}",
        "{% set l = [] %}{% do l.append(l) %}{{ l | yaml }}",
        "{% set l = [] %}{% do l.append(l) %}{{ l | flatten }}",
        "{% set d = {} %}{% do d.update({'d': d}) %}{{ d == d }}{{ salt['slsutil.merge'](d, d) }}",
        "{% set d = {} %}{% do d.update({'d': d}) %}{{ salt['test.echo'](d) }}{{ salt['cmd.run'](d) }}",
        "{{ (1).bit_length.foo }}{{ salt.x }}{{ salt['x.y']() }}",
        "{{ namespace(1) }}{{ dict(1) }}",
        "{{ cycler() }}",
        "{% for x in l %}{% set y %}{{ x. }}{% endset %}{% endfor %}",
        "{% set ns = namespace() %}{% for ns.x in [1] %}{% endfor %}",
        "{% set ns = namespace() %}{% set a, ns.b, ns.c = 1, 2, 3 %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.a %}x{% endset %}{% set ns.y.z = 1 %}",
        "{% set ns = namespace() %}{% set ns.ns = ns %}{{ ns }}{{ [ns] }}{{ ns == [ns] }}",
        "{% import 'lib/sets.jinja' as m %}{% set l = [m] %}{% do l.append(l) %}{{ m }}{{ l }}{{ m == l }}",
        "{% set ns = namespace() %}{% set m = namespace() %}{% set ns.ns = m %}{% set m.ns = ns %}{{ ns == m }}{{ ns.ns < m }}",
        "{% set ns = namespace(x=1) %}{% macro m(f) %}{% macro inner() %}{{ f }}{% endmacro %}{% set ns.x = inner %}{% endmacro %}{% for i in range(3000) %}{% do m(ns.x) %}{% endfor %}",
        "{{ lipsum(99) }}",
        "{{ '{0.__class__}'.format(1) }}{{ '{0[}'.format(1) }}",
        "{{ '{a]b}'.format(a=1) }}",
        "{{ '%(' % {} }}",
        "{{ 'x'['é'] }}{{ 'é日'[1:] }}{{ 'é'.find('日') }}{{ 'éé'.center(5, 'ß') }}{{ 'é' | wordwrap(1) }}",
    ]
    .map(str::to_owned)
    .into();
    attacks.extend([
        again("'aaaaaaaaaa'", "ns.x ~ ns.x", ""),
        again("'\\\\'", "ns.x | pprint", ""),
        again("'\\\\'", "ns.x | quote", ""),
        again("'\\\\'", "ns.x | json", ""),
        again("'.'", "ns.x | regex_escape", ""),
        again("'\"'", "ns.x | yaml_dquote", ""),
        again("{}", "{'a': ns.x}", "{{ ns.x }}"),
        again("0", "ns.x | default([ns.x.append])", ""),
        again("[]", "[ns.x.append]", ""),
        again("{}", "{'a': ns.x.b}", ""),
        again("(1,)", "(ns.x,)", "{{ {ns.x: 1} }}"),
        again("(1,)", "(ns.x,)", "{{ ns.x < (ns.x,) }}"),
        again("namespace(x=1)", "namespace(x=ns.x)", ""),
        again("cycler(1)", "cycler(ns.x)", ""),
        nested(""),
        nested("{{ ns.x }}"),
        nested("{{ ns.x | json }}"),
        nested("{{ ns.x | yaml }}"),
        nested("{{ ns.x == [ns.x] }}"),
        nested("{{ ns.x < [ns.x] }}"),
        nested("{{ ns.x | flatten }}"),
        nested("{{ [ns.x] | unique }}{{ salt['defaults.deepcopy'](ns.x) }}"),
        doubled(""),
        doubled("{{ ns.x }}"),
        doubled("{{ ns.x | string | length }}"),
        doubled("{{ ns.x | json }}"),
        doubled("{{ ns.x | yaml }}"),
        doubled("{{ ns.x | flatten | length }}"),
        doubled("{{ salt['defaults.deepcopy'](ns.x) == ns.x }}"),
        doubled("{{ salt['cmd.run'](ns.x) }}"),
        print(deep("[", "]", 5000)),
        print(deep("{1: ", "}", 5000)),
        print(deep("(", ")", 5000)),
        print(deep("not ", "", 5000)),
        print(deep("- ", "", 5000)),
        print(deep("1 if ", "", 5000)),
        print(deep("1 and ", "", 10_000)),
        print(deep("1 or not ", "", 10_000)),
        print(deep("1 + ", "", 10_000)),
        print(deep("1 ~ ", "", 10_000)),
        print(deep("1 < ", "", 10_000)),
        print(deep("1, ", "", 10_000)),
        print(deep("x(", ")", 5000)),
        print(deep("(1 and [1]|length + (", "|abs))", 25)),
        print(format!("1{}", "|abs".repeat(5000))),
        print(format!("1{}", " if 1 else 1".repeat(5000))),
        print(format!("x{}", ".a".repeat(5000))),
        print(format!("x{}", "[0]".repeat(5000))),
        print(format!("x{}", "()".repeat(5000))),
        print(format!(
            "{}x{}",
            "(".repeat(50),
            format!("{}|abs{})", ".a".repeat(50), "|abs".repeat(50)).repeat(50)
        )),
        print(format!("{{{}}}", "'a': 1, ".repeat(5000))),
        print(format!("dict({})", "a=1, ".repeat(5000))),
        "{% if true %}".repeat(5000),
        format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(150)),
        format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(10_000)),
        format!("{}{}", "{% for x in [1] %}".repeat(50), "{% endfor %}".repeat(50)),
        "{{ x }}".repeat(3),
        "{% raw %}".repeat(5000),
        "{#".repeat(5000),
        "{".repeat(10_000),
        format!("{}{{{{ x }}}}", "\n".repeat(70_000)),
        "\u{fdd0}".to_owned(),
    ]);
    for name in ["__x", "__macro", "__i", "__o", "__tpl", "__load", "__absent", "__root", "__b"] {
        attacks.push(format!("{{{{ {name}() }}}}"));
        attacks.push(format!("{{% set {name} = 1 %}}"));
        attacks.push(format!("{{% macro {name}({name}) %}}{{% endmacro %}}{{{{ {name}(1) }}}}"));
    }
    attacks
}
