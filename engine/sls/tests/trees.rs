//! Small trees, each in one file with what comes of it.
//!
//! A file has sections that begin with `--- PATH`; the last, `--- expected`, is what the compiler gives for the target
//! `alpha`. `KSTATE_BLESS=1 cargo test -p kstate-sls` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kstate_core::{Data, Map, Node, Position, Problem, Value};
use kstate_sls::{Answers, Compiled, Request, Root, Tree, yaml};

#[test]
fn trees_compile_to_what_is_expected() {
    check("trees", &|compiled| {
        let mut out = String::new();
        for chunk in compiled.chunks() {
            let name = if chunk.name == chunk.id { String::new() } else { format!(" ({})", chunk.name) };
            let _ = write!(out, "{} {}{name} of {} at {}", chunk.function(), chunk.id, chunk.sls, chunk.at);
            for (name, value) in &chunk.arguments {
                if name != "order" {
                    let _ = write!(out, "\n    {name}: {}", flat(value));
                }
            }
            out.push('\n');
        }
        out.push_str(&problems(&compiled.problems));
        out
    });
}

#[test]
fn pillars_are_merged_as_expected() {
    check("pillars", &|compiled| {
        let mut out = String::new();
        for (key, value) in compiled.pillar.iter() {
            let _ = writeln!(out, "{key}: {value}");
        }
        for secret in &compiled.secrets {
            let _ = writeln!(out, "secret: {secret}");
        }
        out.push_str(&problems(&compiled.problems));
        out
    });
}

fn check(folder: &str, show: &dyn Fn(&Compiled) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let bless = std::env::var_os("KSTATE_BLESS").is_some();
    let mut wrong = String::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (files, expected) = text.split_once("--- expected\n").unwrap_or((&text, ""));
        let found = show(&compile(&path, files));
        if bless {
            fs::write(&path, format!("{files}--- expected\n{found}")).unwrap();
        } else if found != expected {
            let _ = writeln!(wrong, "{}\nexpected:\n{expected}\nfound:\n{found}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn compile(path: &Path, files: &str) -> Compiled {
    let group = path.parent().and_then(Path::file_name).unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(group).join(path.file_stem().unwrap());
    let _ = fs::remove_dir_all(&dir);
    let mut wanted = vec!["a".to_owned()];
    for section in files.split("--- ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        if let Some(words) = name.strip_prefix("wanted") {
            wanted = words.split_whitespace().map(str::to_owned).collect();
            continue;
        }
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    if !dir.join("kstate.yaml").exists() {
        fs::create_dir_all(dir.join("pillar")).unwrap();
        fs::write(dir.join("kstate.yaml"), "").unwrap();
    }
    let tree = Tree::new(Root::open(&dir).unwrap());
    let grains =
        yaml::load("{id: alpha, os: Debian, roles: [web]}", &|_| Position::new("", 1, 1)).unwrap().value();
    let Value::Map(grains) = grains else { panic!() };
    let (pillar, answers) = (Map::new(), Answers::default());
    tree.compile(&Request {
        target: "alpha",
        grains: &grains,
        pillar: &pillar,
        sls: &wanted,
        answers: &answers,
    })
}

fn problems(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let severity = if problem.is_error() { "error" } else { "warning" };
        let _ = writeln!(out, "{severity}: {problem}");
        for (what, at) in &problem.related {
            let _ = writeln!(out, "    {at}: {what}");
        }
        for hint in &problem.hints {
            let _ = writeln!(out, "    hint: {hint}");
        }
        if let Some(rendered) = &problem.unwritten {
            let _ = writeln!(out, "    rendered: {}", rendered.text);
        }
    }
    out
}

fn flat(node: &Node) -> String {
    match &node.data {
        Data::Scalar(Value::Text(text)) => format!("{text:?}"),
        Data::Scalar(value) => value.to_string(),
        Data::List(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Data::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{}: {}", flat(k), flat(v))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}
