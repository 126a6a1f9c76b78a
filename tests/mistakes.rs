//! Mistakes in the tree: each is told with file, line, column and what to do, before any host is touched.
//!
//! `mistakes/` has a file for each kind of mistake, `suspicions/` one for each suspicion, with what a person sees of it.
//! Its sections begin with a line `--- PATH`; they are laid over a tree whose only host is `alpha`, to which the top file
//! gives the SLS `a`. `--- without PATH` leaves a file of that tree out, `--- run WORDS` names a command other than `kstate
//! check`, and the last section, `--- expected`, is what the command prints. The guide shows those that begin with `book`.
//! `KSTATE_BLESS=1 cargo nextest run -p kstate mistakes::` writes what is expected anew.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::support::{Sshd, TestEnv, repository};

#[test]
fn each_mistake_is_told_as_people_should_see_it() {
    golden("mistakes", 100);
}

#[test]
fn what_is_suspicious_is_told_and_what_is_not_is_passed_over() {
    golden("suspicions", 10);
}

#[track_caller]
fn golden(folder: &str, least: usize) {
    let folder = repository().join("tests").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= least, "{} has {} files", folder.display(), paths.len());
    let halves = paths.split_at(paths.len() / 2);
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| differences(halves.1));
        differences(halves.0) + &other.join().unwrap()
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// What such files expect and do not get.
fn differences(paths: &[PathBuf]) -> String {
    let mut wrong = String::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        let (files, expected) = text.split_once("--- expected\n").unwrap_or((&text, ""));
        let found = told(files);
        if std::env::var_os("KSTATE_BLESS").is_some() {
            fs::write(path, format!("{files}--- expected\n{found}")).unwrap();
        } else if found != expected {
            let _ = write!(wrong, "{}\nexpected:\n{expected}\nfound:\n{found}\n", path.display());
        }
    }
    wrong
}

/// What `kstate` says of a tree of these files.
fn told(files: &str) -> String {
    let env = TestEnv::new();
    env.write("kstate.yaml", "");
    env.write("roster", "alpha: 192.0.2.1\n");
    env.write("salt/top.sls", "base:\n  '*':\n    - a\n");
    env.write("pillar/top.sls", "base: {}\n");
    let grains = env.scratch("grains.yaml");
    fs::write(&grains, "{id: alpha, os: Debian, os_family: Debian, roles: [web]}\n").unwrap();
    let mut command = "check";
    let files = format!("\n{}", files.trim_end_matches('\n'));
    for section in files.split("\n--- ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap_or((section, ""));
        match name.split_once(' ') {
            Some(("run", words)) => command = words,
            Some(("without", path)) => env.remove(path),
            _ => {
                env.write(name, &format!("{text}\n"));
            }
        }
    }
    let mut words: Vec<&str> = command.split(' ').collect();
    let grains = grains.display().to_string();
    words.extend(["--grains", &grains]);
    let output = env.kstate(&words);
    let status = output.status.map_or_else(|| "a signal".to_owned(), |status| status.to_string());
    format!("$ kstate {command}\n{}{}exit {status}\n", output.stdout, output.stderr)
}

/// The errors of an SLS called `it`, as `check` tells them: message, place, id.
#[track_caller]
fn errors(sls: &str) -> Vec<(String, String, String)> {
    let env = checked(sls);
    let output = env.kstate(&["check", "--format", "json"]);
    output.exits(1);
    let document = output.json();
    document["web1"]["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("no errors: {output}"))
        .iter()
        .map(|error| {
            let place = format!("{}:{}:{}", plain(&error["file"]), error["line"], error["column"]);
            (plain(&error["message"]), place, plain(&error["id"]))
        })
        .collect()
}

fn checked(sls: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("roster", "web1: 192.0.2.1\n");
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    env.sls("it", sls);
    env
}

fn plain(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = errors(
        "a:\n  file.manged:\n    - contents: x\nb:\n  user.present:\n    - shel: /bin/sh\n\
         c:\n  test.nop:\n    - require:\n      - test: nothing\n",
    );
    let places: Vec<(&str, &str)> = errors.iter().map(|(_, at, id)| (at.as_str(), id.as_str())).collect();
    let expected = [("states/it.sls:2:3", "a"), ("states/it.sls:6:7", "b"), ("states/it.sls:10:9", "c")];
    assert_eq!(places, expected, "{errors:#?}");
}

#[test]
fn a_tree_with_a_mistake_touches_no_host() {
    let env = TestEnv::local("");
    let file = env.scratch("file");
    env.sls(
        "it",
        &format!("{}:\n  file.managed:\n    - contents: x\nb:\n  file.manged: []\n", file.display()),
    );
    let output = env.apply();
    output.exits(1);
    assert!(!file.exists(), "{output}");
    assert_eq!(output.report()["errors"][0]["line"], 5, "{output}");
}

#[test]
fn an_unknown_sls_is_told() {
    let env = TestEnv::local("a:\n  test.nop: []\n");
    env.kstate(&["diff", "itt"]).exits(1).says("itt");
}

/// Two hosts, both this machine, of which the second is broken by its own SLS.
fn one_sound_and_one_broken(sshd: &Sshd) -> TestEnv {
    let mut env = TestEnv::new();
    env.reach(&sshd.ssh_config());
    env.write("roster", &format!("{}{}", sshd.roster("sound"), sshd.roster("broken")));
    env.write("states/top.sls", "base:\n  '*':\n    - it\n  broken:\n    - more\n");
    let file = env.scratch("file");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: x\n", file.display()));
    env.sls("more", "b:\n  file.manged: []\n");
    env
}

#[test]
fn a_mistake_for_one_host_keeps_all_hosts_as_they_are() {
    let sshd = Sshd::start();
    let env = one_sound_and_one_broken(&sshd);
    let output = env.kstate(&["apply", "--yes"]);
    output.exits(1).says("states/more.sls:2:3").says("does not compile for broken");
    assert!(!env.scratch("file").exists(), "{output}");
    let document = env.kstate(&["apply", "--yes", "--format", "json"]).json();
    assert_eq!(document["targets"]["broken"]["errors"][0]["line"], 2);
    assert_eq!(document["targets"]["sound"]["states"], serde_json::json!([]));
    env.kstate(&["apply", "--yes", "-t", "sound"]).exits(0);
    assert!(env.scratch("file").exists());
}

#[test]
fn a_difference_is_shown_for_hosts_without_a_mistake() {
    let sshd = Sshd::start();
    let env = one_sound_and_one_broken(&sshd);
    env.kstate(&["diff"]).exits(1).says("for broken").says("file.managed");
}

/// How often a text stands in another.
fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn what_is_wrong_for_many_hosts_is_told_once() {
    let env = checked("a:\n  file.manged: []\nb:\n  test.nop:\n    - x: {{ pillar.gone }}\n");
    let hosts: String = (1..16).map(|n| format!("web{n}: 192.0.2.{n}\n")).collect();
    env.write("roster", &hosts);
    let grains = env.write("grains.json", "{}").display().to_string();
    for command in ["check", "show lowstate", "show lowstate it"] {
        let words: Vec<&str> = command.split(' ').chain(["--grains", &grains]).collect();
        let output = env.kstate(&words);
        output.exits(1);
        assert_eq!(times(&output.all(), "is undefined"), 1, "{output}");
    }
}

#[test]
fn a_mistake_that_some_hosts_have_says_which() {
    let env =
        checked("a:\n  test.nop: []\n{% if grains.id != 'web1' %}\nb:\n  file.manged: []\n{% endif %}\n");
    env.write("roster", "web1: 192.0.2.1\nweb2: 192.0.2.2\nweb3: 192.0.2.3\n");
    env.kstate(&["check"]).exits(1).says("note: for web2, web3");
}

#[test]
fn a_host_whose_pillar_is_broken_is_not_passed_over() {
    let env = checked("a:\n  test.nop: []\n");
    env.pillar("common", "role: [web\n");
    let grains = env.write("grains.json", "{}").display().to_string();
    let words = ["show", "lowstate", "it", "-t", "I@role:web", "--grains", &grains];
    env.kstate(&words).exits(1).says("pillar/common.sls:1");
}
