//! What must not be: the invariants of the book's architecture page, held by reading the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of this workspace that a manifest names under `[dependencies]` and `[dev-dependencies]`.
fn arrows(manifest: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let own = text.lines().filter(|line| !line.contains("path =") && !line.starts_with("name"));
    let named =
        own.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| name.starts_with("kstate-"));
    named.map(str::to_owned).collect()
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

#[test]
fn crates_know_only_the_core_and_the_command_line_knows_all() {
    let core = BTreeSet::from(["kstate-core".to_owned()]);
    assert_eq!(arrows("engine/core/Cargo.toml"), BTreeSet::new());
    assert_eq!(arrows("engine/sls/Cargo.toml"), core);
    assert_eq!(arrows("engine/ssh/Cargo.toml"), core);
    assert_eq!(arrows("modules/Cargo.toml"), core);
    let all = ["kstate-core", "kstate-modules", "kstate-sls", "kstate-ssh"].map(str::to_owned);
    assert_eq!(arrows("Cargo.toml"), BTreeSet::from(all));
    let simulated = ["kstate-core", "kstate-modules", "kstate-sls"].map(str::to_owned);
    assert_eq!(arrows("tests/simulation/Cargo.toml"), BTreeSet::from(simulated));
}

#[test]
fn only_the_ssh_crate_knows_russh_and_tokio() {
    for manifest in ["Cargo.toml", "engine/core/Cargo.toml", "engine/sls/Cargo.toml", "modules/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let own = text.split("[workspace.dependencies]").next().unwrap_or_default().to_owned()
            + text.split("[dependencies]").nth(1).unwrap_or_default();
        for name in ["russh", "tokio"] {
            assert!(!own.contains(name), "{manifest} names {name}");
        }
    }
}

#[test]
fn the_core_and_the_modules_neither_read_files_nor_start_programs() {
    for folder in ["engine/core/src", "modules/src"] {
        for (path, text) in sources(folder) {
            for word in ["std::fs", "TcpStream", "TcpListener", "UdpSocket", "std::process", "std::env"] {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn modules_do_not_know_whether_they_are_shown_or_made() {
    for (path, text) in sources("modules/src") {
        for word in ["Transport", "HostRun", "Outcome", "apply("] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_command_line_writes_by_its_ui_alone() {
    for (path, text) in sources("engine/cli") {
        for word in ["anstream", "io::stdout", "io::stderr", "println!", "eprint"] {
            assert!(!text.contains(word) || path.ends_with("ui.rs"), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn libraries_leave_the_terminal_alone() {
    for folder in ["engine/core/src", "engine/sls/src", "engine/ssh/src", "modules/src"] {
        for (path, text) in sources(folder) {
            for word in ["io::stdout", "io::stderr", "println!", "eprint", "#[allow("] {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}
