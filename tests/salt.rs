//! The compiler beside real Salt: cases whose answers are kept, and random trees (see `tests/salt/README.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use kstate_core::{Chunk, Graph, Map, Position, RequisiteKind, Value};
use kstate_sls::{Answers, Compiled, Options, Request, Root, SshSettings, Tree, yaml};
use serde_json::{Map as JsonMap, Number, Value as Json};

use super::support::{Folder, repository};

/// Compiles the states of a folder for Salt's target `alpha`.
fn compile(dir: &Path, grains: &Map) -> Compiled {
    let root = Root {
        dir: dir.to_owned(),
        file_roots: vec![dir.join("states")],
        pillar_roots: vec![dir.join("pillar")],
        roster: dir.join("roster"),
        ssh: SshSettings::default(),
        token_host: None,
        secrets: Vec::new(),
        options: Options::default(),
    };
    let (pillar, answers) = (Map::new(), Answers::default());
    Tree::new(root).compile(&Request {
        target: "alpha",
        grains,
        pillar: &pillar,
        sls: &[],
        answers: &answers,
    })
}

/// Where kstate's answer is another than Salt's.
fn differences(salt: &Json, compiled: &Compiled) -> Vec<String> {
    let errors: Vec<String> =
        compiled.problems.iter().filter(|problem| problem.is_error()).map(ToString::to_string).collect();
    let Some(low) = salt["low"].as_array() else {
        let refused = &salt["refused"][0];
        return if errors.is_empty() { vec![format!("only Salt refuses it: {refused}")] } else { Vec::new() };
    };
    if !errors.is_empty() {
        return vec![format!("only kstate refuses it: {}", errors.join("\n"))];
    }
    let mut found = Vec::new();
    if let Some(pillar) = salt.get("pillar") {
        // As text, for the order of the keys counts, too.
        let (mine, pillar) = (json(&Value::Map(compiled.pillar.clone())).to_string(), pillar.to_string());
        if mine != pillar {
            found.push(format!("the pillar\n  Salt:   {pillar}\n  kstate: {mine}"));
        }
    }
    let mine: Vec<Json> = compiled.chunks().iter().map(chunk).collect();
    let sequence = |low: &[Json]| low.iter().map(identity).collect::<Vec<_>>().join(", ");
    if sequence(low) != sequence(&mine) {
        found.push(format!("the sequence\n  Salt:   {}\n  kstate: {}", sequence(low), sequence(&mine)));
        return found;
    }
    let pairs = low.iter().zip(&mine).filter(|(salt, mine)| salt != mine);
    found.extend(pairs.map(|(salt, mine)| format!("a chunk\n  Salt:   {salt}\n  kstate: {mine}")));
    let salts: BTreeSet<String> = texts(&salt["edges"]).collect();
    let mine = compiled.graph.as_deref().map(edges).unwrap_or_default();
    found.extend(salts.difference(&mine).map(|edge| format!("an edge that only Salt has\n  {edge}")));
    found.extend(mine.difference(&salts).map(|edge| format!("an edge that only kstate has\n  {edge}")));
    found
}

/// What the requisites of all chunks mean, but `listen`, which Salt looks up when it has run.
fn edges(graph: &Graph) -> BTreeSet<String> {
    let named = graph.chunks().iter().map(|one| identity(&chunk(one))).collect::<Vec<_>>();
    let mut edges = BTreeSet::new();
    for (place, one) in named.iter().enumerate() {
        for requisite in
            graph.requisites(place).iter().filter(|requisite| requisite.kind != RequisiteKind::Listen)
        {
            let kind = requisite.kind.name();
            edges.extend(requisite.targets.iter().map(|&other| format!("{one}: {kind} {}", named[other])));
        }
    }
    edges
}

fn texts(list: &Json) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned)
}

/// A chunk as Salt has it.
fn chunk(chunk: &Chunk) -> Json {
    let mut fields: JsonMap<String, Json> =
        chunk.arguments.iter().map(|(name, node)| (name.clone(), json(&node.value()))).collect();
    for (name, text) in [
        ("state", &chunk.state),
        ("fun", &chunk.fun),
        ("__id__", &chunk.id),
        ("__sls__", &chunk.sls),
        ("name", &chunk.name),
    ] {
        fields.insert(name.into(), text.as_str().into());
    }
    fields.insert("order".into(), chunk.order.into());
    if !chunk.included_from.is_empty() {
        fields.insert("__sls_included_from__".into(), chunk.included_from.clone().into());
    }
    Json::Object(fields)
}

fn identity(chunk: &Json) -> String {
    let part = |name: &str| chunk[name].as_str().map_or_else(|| chunk[name].to_string(), str::to_owned);
    format!("{}.{} {} ({})", part("state"), part("fun"), part("__id__"), part("name"))
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Big(number) => Json::Number(Number::from_string_unchecked(number.to_string())),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            serde_json::json!({ "__bytes__": text })
        }
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.to_string(), json(value))).collect(),
    }
}

#[test]
fn cases_compile_as_salt_compiles_them() {
    let here = repository().join("tests/salt");
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let expected: Json = serde_json::from_str(&read(&here.join("expected.json"))).unwrap();
    let grains = yaml::load(&read(&here.join("grains.json")), &|line| Position::new("", line, 1)).unwrap();
    let Value::Map(grains) = grains.value() else { panic!("the grains are a mapping") };
    let mut cases = 0;
    let mut wrong = String::new();
    for entry in fs::read_dir(here.join("cases")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let folder = Folder::new();
        folder.write("states/top.sls", "base: {'*': [a]}\n");
        for section in read(&path).split("--- ").skip(1) {
            let (name, text) = section.split_once('\n').unwrap();
            folder.write(name, text);
        }
        for difference in differences(&expected[name], &compile(&folder.path(""), &grains)) {
            let _ = writeln!(wrong, "{name}: {difference}");
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(cases, expected.as_object().unwrap().len());
}

/// What came of many random trees.
#[derive(Default)]
struct Tally {
    compiled: usize,
    refused: usize,
    /// Salt gives no answer that could be met: its own changes from run to run, or it breaks down where kstate does not.
    left_out: usize,
    /// By size of the tree.
    differing: BTreeMap<usize, String>,
}

impl Tally {
    fn take(&mut self, line: &Json) {
        if line["unsettled"] == true {
            self.left_out += 1;
            return;
        }
        let folder = Folder::new();
        let mut shown = format!("seed {}\n", line["seed"]);
        for (name, text) in line["files"].as_object().unwrap() {
            let text = text.as_str().unwrap();
            folder.write(&format!("states/{name}"), text);
            let _ = write!(shown, "--- {name}\n{text}");
        }
        let compiled = compile(&folder.path(""), &[("id", "alpha")].into_iter().collect());
        let found = differences(&line["salt"], &compiled);
        if !found.is_empty() && line["salt"]["broken"] == true {
            self.left_out += 1;
        } else if !found.is_empty() {
            self.differing.insert(shown.len(), format!("{shown}=== {}", found.join("\n=== ")));
        } else if line["salt"]["low"].is_array() {
            self.compiled += 1;
        } else {
            self.refused += 1;
        }
    }

    fn add(mut self, other: Tally) -> Tally {
        self.compiled += other.compiled;
        self.refused += other.refused;
        self.left_out += other.left_out;
        self.differing.extend(other.differing);
        self
    }
}

#[test]
#[ignore = "needs Salt"]
#[expect(clippy::print_stdout, reason = "it says how much was compared")]
fn random_trees_compile_as_salt_compiles_them() {
    let setting = |name: &str| std::env::var(name).ok().map(|value| value.parse::<usize>().unwrap());
    let (first, count) = (setting("KSTATE_SEED").unwrap_or(0), setting("KSTATE_TREES").unwrap_or(2000));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let tally = thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || trees(first + worker, count.div_ceil(workers), workers)))
            .collect();
        started.into_iter().map(|worker| worker.join().unwrap()).fold(Tally::default(), Tally::add)
    });
    let Tally { compiled, refused, left_out, differing } = tally;
    println!(
        "{compiled} trees compile alike, {refused} are refused by both, {left_out} left out, {} differ",
        differing.len()
    );
    let smallest: Vec<String> = differing.into_values().take(3).collect();
    assert!(smallest.is_empty(), "the smallest trees that differ:\n\n{}", smallest.join("\n\n"));
    assert!(compiled > count / 3 && refused > count / 10, "{compiled} compiled, {refused} refused");
}

#[test]
#[ignore = "needs Salt"]
fn random_file_states_leave_what_salt_leaves() {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let status = Command::new(python())
        .arg(repository().join("tests/salt/files.py"))
        .arg(env!("CARGO_BIN_EXE_kstate"))
        .args(["--seed", &setting("KSTATE_SEED", "1"), "--sets", &setting("KSTATE_FILE_SETS", "60")])
        .status()
        .unwrap();
    assert!(status.success(), "some sets of states differ; they are printed above");
}

/// Compares the trees of every `step`th seed while Salt compiles them.
fn trees(first: usize, count: usize, step: usize) -> Tally {
    let mut salt = Command::new(python())
        .arg(repository().join("tests/salt/trees.py"))
        .args([first, count, step].map(|number| number.to_string()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tally = Tally::default();
    for line in BufReader::new(salt.stdout.take().unwrap()).lines() {
        tally.take(&serde_json::from_str(&line.unwrap()).unwrap());
    }
    assert!(salt.wait().unwrap().success());
    tally
}

/// The Python that has Salt: made by `tests/salt/setup`.
pub(crate) fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("salt");
    std::env::var_os("KSTATE_SALT_DIR").map_or(made, PathBuf::from).join("bin/python")
}
