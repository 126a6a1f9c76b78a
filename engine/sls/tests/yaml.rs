//! YAML as Salt reads it, by a corpus whose answers come from Salt's own loader (`yaml/answer.py`).
//!
//! `KSTATE_YAML=FILE cargo test -p kstate-sls --test yaml` goes over another corpus.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kstate_core::{Data, Node, Position, Value};
use kstate_sls::yaml;

#[test]
fn the_corpus_reads_as_salt_reads_it() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml/corpus.txt");
    let path = std::env::var_os("KSTATE_YAML").map_or(own, PathBuf::from);
    let corpus = std::fs::read_to_string(path).unwrap();
    let mut wrong = String::new();
    for block in corpus.split("=== ").skip(1) {
        let (expected, text) = block.split_once('\n').unwrap();
        let read = yaml::load(text, &|line| Position::new("", line, 1));
        let found = match &read {
            Ok(node) => shown(node),
            Err(_) => "refused".to_owned(),
        };
        if found != expected {
            let reason = read.err().map(|problem| problem.to_string()).unwrap_or_default();
            let _ = writeln!(wrong, "----\n{text}\n---- Salt: {expected}\n---- kstate: {found} {reason}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn shown(node: &Node) -> String {
    match &node.data {
        Data::Scalar(Value::Null) => "~".to_owned(),
        Data::Scalar(Value::Bool(truth)) => truth.to_string(),
        Data::Scalar(Value::Int(number)) => number.to_string(),
        Data::Scalar(Value::Float(number)) => format!("f{:016x}", number.to_bits()),
        Data::Scalar(Value::Bytes(bytes)) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("b{hex}")
        }
        Data::Scalar(other) => quoted(&other.to_string()),
        Data::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Data::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{}: {}", shown(k), shown(v))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
