//! Where a tree is found, and who its hosts are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kstate_core::Problem;
use kstate_sls::{Root, Tree, find_root};

/// A folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("roots").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    for (name, text) in files {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_nearest_root_upwards_is_found() {
    let dir = folder("nearest", &[("kstate.yaml", ""), ("salt/deep/a.sls", "")]);
    assert_eq!(find_root(&dir.join("salt/deep")), Some(dir));
}

#[test]
fn without_settings_the_usual_folders_are_taken() {
    let dir = folder("defaults", &[("kstate.yaml", "")]);
    let root = Root::open(&dir).unwrap();
    assert_eq!((root.file_roots, root.pillar_roots), (vec![dir.join("salt")], vec![dir.join("pillar")]));
    assert_eq!(root.roster, dir.join("roster"));
}

#[test]
fn settings_are_read_and_unknown_ones_refused_with_their_place() {
    let text = "file_roots: {base: [a, b]}\npillar_roots: [p]\nroster: hosts\nssh:\n  timeout: 5\n  key: k\nsecrets: ['a:*']\n";
    let dir = folder("settings", &[("kstate.yaml", text)]);
    let root = Root::open(&dir).unwrap();
    assert_eq!(root.file_roots, [dir.join("a"), dir.join("b")]);
    assert_eq!(root.ssh.timeout, Some(Duration::from_secs(5)));
    assert_eq!(root.ssh.key, Some(dir.join("k")));
    assert_eq!(root.secrets, ["a:*"]);

    let dir = folder("unknown", &[("kstate.yaml", "file_roots: [a]\nrooster: x\n")]);
    let problems = told(&Root::open(&dir).unwrap_err());
    assert!(problems[0].starts_with("kstate.yaml:2:1: there is no setting `rooster`"), "{problems:?}");
}

#[test]
fn a_salt_checkout_works_as_it_is() {
    let master = "file_roots:\n  base:\n    - salt/\npillar_roots:\n  base:\n    - pillar/\n";
    let files = [("salt-config/master", master), ("salt-config/roster", "a: 192.0.2.1\n")];
    let dir =
        folder("checkout", &[&files[..], &[("Saltfile", "salt-ssh:\n  config_dir: salt-config\n")]].concat());
    let root = Root::open(&dir).unwrap();
    assert_eq!(root.file_roots, [dir.join("salt/")]);
    assert_eq!(Tree::new(root).roster().0[0].host, "192.0.2.1");
    let dir = folder("without_saltfile", &files);
    assert_eq!(Root::open(&dir).unwrap().pillar_roots, [dir.join("pillar/")]);
}

#[test]
fn a_roster_is_a_template_and_its_entries_are_salts() {
    let roster = "{% for n in [1, 2] %}\nweb{{ n }}: 192.0.2.{{ n }}\n{% endfor %}\ndb:\n  host: db.example.org\n  user: deploy\n  port: 2222\n  sudo: True\n  timeout: 9\n  thin_dir: /tmp\n  priv: keys/db\n  minion_opts:\n    grains: {role: db}\n";
    let dir = folder("roster", &[("kstate.yaml", ""), ("roster", roster)]);
    let (targets, problems) = Tree::new(Root::open(&dir).unwrap()).roster();
    assert_eq!(told(&problems), Vec::<String>::new());
    let names: Vec<_> = targets.iter().map(|target| (target.name.as_str(), target.host.as_str())).collect();
    assert_eq!(names, [("web1", "192.0.2.1"), ("web2", "192.0.2.2"), ("db", "db.example.org")]);
    let db = &targets[2];
    assert_eq!((db.user.as_deref(), db.port, db.sudo), (Some("deploy"), Some(2222), true));
    assert_eq!(db.key, Some(dir.join("keys/db")));
    assert_eq!(db.grains.get("role").unwrap().as_str(), Some("db"));
}

#[test]
fn passwords_are_refused_and_unknown_keys_told() {
    let dir = folder(
        "passwords",
        &[
            ("kstate.yaml", ""),
            ("roster", "a:\n  host: x\n  passwd: y\nb:\n  host: z\n  colour: red\nc:\n  user: q\n"),
        ],
    );
    let problems = told(&Tree::new(Root::open(&dir).unwrap()).roster().1);
    assert_eq!(
        problems,
        [
            "roster:3:3: `a` has a password, and kstate logs in with keys only",
            "roster:6:3: `colour` of `b` has no effect: kstate does not know it",
            "roster:7:1: `c` has no address",
        ]
    );
}

#[test]
fn the_hosts_that_a_top_file_may_mean_are_told_without_their_grains() {
    let top = "base:\n  'web*': [a]\n  'db': [b, c.*]\n  'G@os:Debian': [d]\n";
    let dir = folder("top", &[("kstate.yaml", ""), ("salt/top.sls", top)]);
    let tree = Tree::new(Root::open(&dir).unwrap());
    let may = |target: &str, sls: &str| tree.may_name(target, &[sls.to_owned()]);
    assert!(may("web1", "a") && !may("web1", "b") && may("db", "c.x") && may("db", "d") && !may("db", "a"));
}
