//! Properties of the readers that hold for any input: they end, they do not panic, and an error stands in the file.
//!
//! The inputs are made of the words of YAML and Jinja, by their grammar and by changing the cases of other tests: of
//! random characters nearly all would be refused at the first one. `PROPTEST_CASES=100000` looks longer. What has been
//! found stands as a case of its own in `jinja/attacks.rs` and in the tests of each reader.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use kstate_core::{Map, Position, Problem, SourceKind, Value, fnmatch};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::{
    Answers, Expression, Minion, Options, Request, Root, SshSettings, Storage, Tree, json, limits, yaml,
};

/// Nothing takes nearly as long, on the slowest machine.
const HANG: Duration = Duration::from_secs(300);

/// Runs something with the stack that the limits are made for.
pub(crate) fn with_the_least_stack(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let run = move || {
        work();
        done.send(()).unwrap();
    };
    let thread = std::thread::Builder::new().stack_size(limits::STACK).spawn(run).unwrap();
    if ended.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    thread.join().unwrap();
}

/// Holds a property against many inputs.
pub(crate) fn holds<S>(
    cases: u32,
    inputs: impl FnOnce() -> S + Send + 'static,
    property: impl Fn(S::Value) + Send + 'static,
) where
    S: Strategy,
{
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    with_the_least_stack(move || {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&inputs(), |input| {
            property(input);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    });
}

fn place(line: u32, column: u32) -> Position {
    Position::new("a.sls", line, column)
}

fn stands_inside(problem: &Problem, text: &str) {
    let at = problem.at.as_ref().unwrap_or_else(|| panic!("it has no place: {problem}"));
    let line = text
        .split('\n')
        .nth(at.line as usize - 1)
        .unwrap_or_else(|| panic!("outside of the file: {problem}"));
    // The end of a line is a place, and a tag that is not closed ends behind the text.
    assert!(at.column as usize <= line.chars().count() + 2, "outside of the line: {problem}");
}

// ---- inputs ----

/// Pieces in a row.
fn row(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..most).prop_map(|pieces| pieces.concat())
}

/// A change of a text: from one place on, so many characters become a piece.
type Change = (Index, usize, usize);

/// One of some texts, changed in a few places.
pub(crate) fn changed(texts: Vec<String>, pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let change = (any::<Index>(), 0_usize..4, 0..pieces.len());
    (select(texts), vec(change, 0..4)).prop_map(move |(text, changes)| {
        changes.iter().fold(text, |text, change| apply(&text, change, pieces))
    })
}

fn apply(text: &str, (from, removed, piece): &Change, pieces: &[&str]) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = from.index(chars.len() + 1);
    let (before, after) = chars.split_at(from);
    before.iter().copied().chain(pieces[*piece].chars()).chain(after.iter().copied().skip(*removed)).collect()
}

const YAML: &[&str] = &[
    "a",
    "b",
    "é",
    "\n",
    "\n  ",
    "\n    ",
    "\t",
    " ",
    ": ",
    ":",
    "- ",
    "? ",
    "-",
    "&x ",
    "*x",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "'",
    "\"",
    "#",
    "|",
    ">",
    "|2-",
    "\\",
    "\\u00e9",
    "!!int ",
    "!!float ",
    "!!binary ",
    "!!set ",
    "!!omap ",
    "!x ",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "~",
    "null",
    "yes",
    "0644",
    "-010",
    "0x1F",
    "0b1",
    "1_0",
    "1:30",
    "1:1:1",
    "9999999999999999999",
    "1.5",
    ".5",
    "1e3",
    ".inf",
    ".nan",
    "=",
    "@",
    "`",
    "\u{7}",
    "\u{85}",
    "\u{feff}",
    "😀",
    "include:\n  - b\n",
    "extend:\n  a:\n    test:\n      - c: 1\n",
    "exclude:\n  - id: a\n",
    "a:\n  test.nop:\n",
    "    - require:\n      - test: a\n",
    "    - watch_in:\n      - b\n",
    "    - names:\n      - c\n",
    "    - use:\n      - test: a\n",
    "    - order: last\n",
    "    - prereq:\n      - a\n",
    "    - listen_in:\n      - sls: a\n",
    "    - onfail_any: [a, {sls: '*'}]\n",
    "{% set x = [1] %}",
    "{{ x }}",
    "{% for i in range(3) %}",
    "{% endfor %}",
    "#!jinja|json\n",
    "#!yaml\n",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"a\"",
    "\"",
    "\\",
    "\\n",
    "\\u00e9",
    "\\ud83d",
    "\\ude00",
    "\\u",
    "0",
    "-",
    "1",
    "1.5",
    "1e999",
    "01",
    "true",
    "false",
    "null",
    "NaN",
    "-Infinity",
    " ",
    "\n",
    "\u{1}",
    "é",
    "😀",
    "9999999999999999999",
];

const TARGET: &[&str] = &[
    "and ",
    "or ",
    "not ",
    "( ",
    ") ",
    "*",
    "a*",
    "alpha ",
    "[a",
    "]",
    "?",
    "!",
    "G@",
    "P@",
    "I@",
    "J@",
    "E@",
    "L@",
    "S@",
    "R@",
    "N@",
    "G|@",
    ":",
    "|",
    "os",
    "roles",
    "a:a:a",
    "deep:a",
    "*:",
    "192.0.2.0/24",
    "/",
    "::1",
    "(a+)+$",
    "(?=",
    "\\1",
    "{9}",
    "é",
    " ",
    "@",
    ",",
];

/// The texts of the corpus that real Salt has answered.
fn corpus() -> Vec<String> {
    let corpus = include_str!("../tests/yaml/corpus.txt");
    corpus.split("=== ").skip(1).filter_map(|block| Some(block.split_once('\n')?.1.to_owned())).collect()
}

// ---- readers ----

#[test]
fn yaml_is_read_or_refused() {
    holds(
        1_500,
        || prop_oneof![row(YAML, 25), changed(corpus(), YAML)],
        |text| match yaml::load_at(&text, &place) {
            Ok(node) => drop(node.value().to_string()),
            Err(problem) => stands_inside(&problem, &text),
        },
    );
}

#[test]
fn json_is_read_or_refused() {
    let cases =
        || ["{\"a\": [1, 2.5, \"\\ud83d\\ude00\"], \"b\": {\"c\": null}}".to_owned(), "[[[]]]".to_owned()];
    holds(
        1_500,
        move || prop_oneof![row(JSON, 20), changed(cases().to_vec(), JSON)],
        |text| match json::load_at(&text, &place) {
            Ok(node) => drop(node.value().to_string()),
            Err(problem) => stands_inside(&problem, &text),
        },
    );
}

#[test]
fn target_expressions_are_read_or_refused() {
    let data =
        "{os: Debian, roles: [web, {a: [b]}], ipv4: [192.0.2.7], a: {a: {a: {a: {a: {a: b}}}}}, deep: {}}";
    let Value::Map(data) = yaml::load_at(data, &place).unwrap().value() else { panic!() };
    let matchers =
        ["compound", "glob", "list", "pcre", "grain", "grain_pcre", "pillar", "pillar_exact", "ipcidr"];
    holds(
        1_500,
        move || (select(matchers.to_vec()), row(TARGET, 12)),
        move |(matcher, text)| {
            let minion = Minion { id: "alpha", grains: &data, pillar: &data };
            let expression = Expression::with_matcher(matcher, text.as_str()).unwrap();
            let _ = (expression.asks_for_data(), expression.matches(&minion), fnmatch("alpha", &text));
        },
    );
}

// ---- a whole tree ----

/// A tree in memory.
#[derive(Debug)]
struct Files(HashMap<PathBuf, String>);

impl Storage for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn kind(&self, path: &Path) -> io::Result<SourceKind> {
        self.leads_to(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn leads_to(&self, path: &Path) -> Option<SourceKind> {
        if self.0.contains_key(path) {
            return Some(SourceKind::File { mode: 0o644 });
        }
        self.0.keys().any(|file| file.starts_with(path)).then_some(SourceKind::Directory)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let below = |file: &PathBuf| {
            let first = file.strip_prefix(folder).ok()?.components().next()?;
            Some(first.as_os_str().to_string_lossy().into_owned())
        };
        let mut names: Vec<String> = self.0.keys().filter_map(below).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// What is wrong with a tree.
fn problems(files: &[(&str, &str)]) -> Vec<Problem> {
    let stored = files.iter().map(|(path, text)| (Path::new("/t").join(path), (*text).to_owned()));
    let root = Root {
        dir: "/t".into(),
        file_roots: vec!["/t/salt".into()],
        pillar_roots: vec!["/t/pillar".into()],
        roster: "/t/roster".into(),
        ssh: SshSettings::default(),
        token_host: None,
        secrets: Vec::new(),
        options: Options::default(),
    };
    let tree = Tree::stored(root, Arc::new(Files(stored.collect())));
    let (grains, pillar, answers) = ([("id", "alpha")].into_iter().collect(), Map::new(), Answers::default());
    let request = Request { target: "alpha", grains: &grains, pillar: &pillar, sls: &[], answers: &answers };
    tree.compile(&request).problems
}

/// The text once for each number.
fn each(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

#[test]
fn a_short_file_that_asks_for_too_much_is_refused_and_a_long_list_is_not() {
    let states = |count| each(count, |n| format!("i{n}: test.nop\n"));
    let long_list = format!(
        "{}z:\n  test.nop:\n  - require_in:\n{}",
        states(3_000),
        each(3_000, |n| format!("    - test: i{n}\n"))
    );
    let aliases = format!(
        "a:\n  test.nop: &a\n  - require: []\n{}extend:\n  a:\n    test:\n{}",
        each(1_000, |n| format!("i{n}:\n  test: *a\n")),
        each(1_000, |_| "    - require: [{test: null}]\n".to_owned())
    );
    let names = format!(
        "a:\n  test.nop:\n  - text: {}\n  - names:\n{}",
        "x".repeat(100_000),
        each(2_000, |n| format!("    - n{n}\n"))
    );
    with_the_least_stack(move || {
        for (text, expected) in [
            (long_list, ""),
            (aliases, "`extend` and the `_in` requisites of this run ask for too much work, up to here"),
            (names, "the `names` of this run repeat arguments with more than 300000 parts, up to here"),
        ] {
            let found = problems(&[("salt/top.sls", "base: {'*': [a]}"), ("salt/a.sls", &text)]);
            let found: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(found.join("\n"), expected);
        }
    });
}

#[test]
fn a_tree_compiles_or_is_refused() {
    let sls = || prop_oneof![row(YAML, 20), changed(states(), YAML)];
    holds(
        250,
        move || (sls(), row(YAML, 10), sls()),
        |(a, b, pillar)| {
            let files = [
                ("roster", "alpha: 192.0.2.1\n"),
                ("salt/top.sls", "base:\n  '*': [a]\n"),
                ("salt/a.sls", &a),
                ("salt/b.sls", &b),
                ("pillar/top.sls", "base:\n  '*': [a]\n"),
                ("pillar/a.sls", &pillar),
            ];
            for problem in problems(&files) {
                let at = problem.at.as_ref().unwrap_or_else(|| panic!("it has no place: {problem}"));
                let (_, text) = files.iter().find(|(path, _)| **path == *at.file).unwrap();
                stands_inside(&problem, text);
            }
        },
    );
}

/// States as people write them.
fn states() -> Vec<String> {
    [
        "a:\n  pkg.installed:\n    - pkgs: [b, c]\n    - require:\n      - file: b\nb:\n  file.managed:\n    - name: /b\n    - watch_in:\n      - pkg: a\n",
        "include:\n  - b\na:\n  cmd.run:\n    - names:\n      - x\n      - y:\n        - cwd: /\n    - prereq:\n      - test: b\n    - order: 1\n",
        "extend:\n  b:\n    test:\n      - name: c\nexclude:\n  - sls: c\n  - id: d\na: test.nop\nc:\n  test:\n    - nop\n    - use: [{test: a}]\n",
        "{% for user in ['x', 'y'] %}\n{{ user }}:\n  user.present:\n    - uid: {{ 1000 + loop.index }}\n    - onchanges_any:\n      - sls: a\n{% endfor %}\n",
        "users: {alice: {uid: 1000}}\nlist: [1, 2]\ninclude:\n  - a: {key: 'x:y', defaults: {z: 1}}\n",
    ]
    .map(str::to_owned)
    .to_vec()
}
