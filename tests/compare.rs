//! `kstate compare`: two revisions of a tree, in real git repositories.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value as Json;

use crate::support::{Output, TestEnv, run};

const TWO_HOSTS: &str = "web1: 192.0.2.1\nweb2: 192.0.2.2\n";

/// A tree with two hosts whose states are of one SLS, in a repository that holds no commit yet.
fn repository(sls: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("roster", TWO_HOSTS);
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    env.sls("it", sls);
    git(&env, &["init", "-q", "-b", "main"]);
    env
}

fn git(env: &TestEnv, words: &[&str]) -> String {
    git_in(env, &env.path(""), words)
}

#[track_caller]
fn git_in(env: &TestEnv, folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]).args(words).current_dir(folder);
    env.clear(&mut command);
    let output = run(&mut command, "", Duration::from_secs(20));
    output.exits(0);
    output.stdout.trim().to_owned()
}

fn commit(env: &TestEnv, message: &str) {
    git(env, &["add", "-A"]);
    git(env, &["commit", "-qm", message]);
}

/// Commits the tree, and then the same with another SLS.
fn two_commits(before: &str, after: &str) -> TestEnv {
    let env = repository(before);
    commit(&env, "before");
    env.sls("it", after);
    commit(&env, "after");
    env
}

/// The differing states of a target: `kind function id`, with each change in a line.
#[track_caller]
fn changes(output: &Output, target: &str) -> Vec<String> {
    let mut told = Vec::new();
    for state in output.json()["targets"][target]["changes"].as_array().unwrap() {
        let word = |key: &str| state[key].as_str().unwrap().to_owned();
        told.push(format!("{} {} {}", word("kind"), word("function"), word("id")));
        for change in state["changes"].as_array().unwrap() {
            let diff = change["diff"].as_str().map(str::to_owned);
            let values = || format!("{} -> {}", change["before"], change["after"]);
            told.push(format!("  {}: {}", change["subject"].as_str().unwrap(), diff.unwrap_or_else(values)));
        }
    }
    told
}

/// Everything below a folder: contents, and when they were written.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(snapshot(&path));
        } else if metadata.is_file() {
            let content = fs::read(&path).unwrap();
            found.insert(path, (content, metadata.mtime_nsec()));
        }
    }
    found
}

// --- what changes

#[test]
fn where_nothing_changes_it_ends_with_0() {
    let env = two_commits("a:\n  test.nop: []\n", "# a comment\na:\n  test.nop:\n    []\n");
    env.kstate(&["compare", "HEAD~1", "HEAD"]).exits(0).says("2 hosts: 2 unchanged");
    env.kstate(&["compare", "HEAD"]).exits(0).says("to   the working tree");
}

#[test]
fn a_change_of_a_template_shows_as_a_change_of_the_file() {
    let env = repository(
        "/etc/motd:\n  file.managed:\n    - source: salt://motd\n    - template: jinja\n    - context: {who: ann}\n",
    );
    env.write("states/motd", "Hello\n{{ who }}\n");
    commit(&env, "before");
    env.write("states/motd", "Good bye\n{{ who }}\n");
    let output = env.kstate(&["compare", "HEAD"]);
    output.exits(2).says("~ file.managed /etc/motd  states/it.sls:2\n      content\n");
    output.says("        -Hello\n        +Good bye\n         ann\n");
}

#[test]
fn contents_sources_and_folders_show_as_changes_of_files() {
    let states = |word: &str| {
        format!(
            "/etc/a:\n  file.managed:\n    - contents: |\n        one\n        {word}\n\
             /etc/b:\n  file.managed:\n    - source: salt://b\n\
             /etc/c:\n  file.recurse:\n    - source: salt://c\n    - file_mode: keep\n"
        )
    };
    let env = repository(&states("two"));
    env.write("states/b", "b\n");
    env.write("states/c/x/y", "y\n");
    env.write("states/c/z", "z\n");
    env.write("states/c/old", "old\n");
    commit(&env, "before");
    env.sls("it", &states("three"));
    env.write("states/b", "B\n");
    env.write("states/c/x/y", "Y\n");
    env.write("states/c/new", "new\n");
    fs::remove_file(env.path("states/c/old")).unwrap();
    fs::set_permissions(env.path("states/c/z"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = env.kstate(&["compare", "HEAD", "--format", "json"]);
    output.exits(2);
    let expected = [
        "changed file.managed /etc/a",
        "  content: --- /etc/a\n+++ /etc/a\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n",
        "changed file.managed /etc/b",
        "  content: --- /etc/b\n+++ /etc/b\n@@ -1 +1 @@\n-b\n+B\n",
        "changed file.recurse /etc/c",
        "  content of new: --- /etc/c/new\n+++ /etc/c/new\n@@ -0,0 +1 @@\n+new\n",
        "  content of x/y: --- /etc/c/x/y\n+++ /etc/c/x/y\n@@ -1 +1 @@\n-y\n+Y\n",
        "  mode of new: null -> \"0644\"",
        "  mode of z: \"0644\" -> \"0755\"",
        "  content of old: --- /etc/c/old\n+++ /etc/c/old\n@@ -1 +0,0 @@\n-old\n",
        "  mode of old: \"0644\" -> null",
    ];
    assert_eq!(changes(&output, "web1"), expected, "{output}");
    // And the same between two commits.
    commit(&env, "after");
    let committed = env.kstate(&["compare", "HEAD~1", "HEAD", "--format", "json"]);
    assert_eq!(changes(&committed, "web1"), expected, "{committed}");
}

#[test]
fn states_are_added_removed_and_changed_argument_by_argument() {
    let env = two_commits(
        "one:\n  pkg.installed:\n    - pkgs: [a, b]\n\
         gone:\n  cmd.run:\n    - name: echo gone\n\
         run it:\n  cmd.run:\n    - name: echo 1\n    - env: [{A: x}]\n    - require:\n      - pkg: one\n",
        "one:\n  pkg.installed:\n    - pkgs: [b, c]\n\
         run it:\n  cmd.run:\n    - name: echo 2\n    - env: [{A: y}]\n    - require:\n      - new\n\
         new:\n  test.nop: []\n",
    );
    let output = env.kstate(&["compare", "HEAD~1", "--format", "json"]);
    output.exits(2);
    let expected = [
        "changed pkg.installed one",
        "  pkgs: -a\n+c\n",
        "added test.nop new",
        "changed cmd.run run it",
        "  name: \"echo 1\" -> \"echo 2\"",
        "  env: -A: x\n+A: y\n",
        "  require: -pkg: one\n+new\n",
        "removed cmd.run gone",
        "  name: \"echo gone\" -> null",
    ];
    assert_eq!(changes(&output, "web1")[..8], expected[..8], "{output}");
    let text = env.kstate(&["compare", "HEAD~1"]);
    text.says("+ test.nop new  states/it.sls:11\n").says("- cmd.run gone  echo gone  states/it.sls:5\n");
}

#[test]
fn another_function_or_id_is_a_change_and_not_a_new_state() {
    let env = two_commits(
        "/srv/x:\n  file.directory: []\nweb server:\n  service.running:\n    - name: apache2\n",
        "/srv/x:\n  file.absent: []\napache:\n  service.running:\n    - name: apache2\n",
    );
    let output = env.kstate(&["compare", "HEAD~1", "--format", "json"]);
    let expected = [
        "changed file.absent /srv/x",
        "  function: \"file.directory\" -> \"file.absent\"",
        "changed service.running apache",
        "  id: \"web server\" -> \"apache\"",
    ];
    assert_eq!(changes(&output, "web1"), expected, "{output}");
}

#[test]
fn the_order_is_told_where_it_changes_and_in_few_words() {
    let state = |id: &str| format!("{id}:\n  test.nop: []\n");
    let states = |ids: &str| ids.split(' ').map(state).collect::<String>();
    let env = two_commits(&states("a b c d e f"), &states("a d e f x b c"));
    let output = env.kstate(&["compare", "HEAD~1", "--format", "json"]);
    output.exits(2);
    let expected =
        ["added test.nop x", "changed test.nop b", "  order: \"after test: a\" -> \"after test: f\""];
    assert_eq!(changes(&output, "web1"), expected, "{output}");
}

#[test]
fn what_moves_to_another_sls_does_not_change() {
    let env = repository("a:\n  test.nop: []\nb:\n  test.nop: []\n");
    commit(&env, "before");
    env.sls("it", "a:\n  test.nop: []\ninclude:\n  - other\n");
    env.sls("other", "b:\n  test.nop:\n    - order: 20000\n");
    env.kstate(&["compare", "HEAD"]).exits(0);
}

// --- targets

#[test]
fn targets_with_the_same_change_are_shown_together() {
    let env = repository("/etc/a:\n  file.managed:\n    - contents: one\n");
    env.sls("own", "/etc/b:\n  file.managed:\n    - contents: {{ grains.id }}\n");
    env.write("states/top.sls", "base:\n  '*':\n    - it\n    - own\n");
    commit(&env, "before");
    env.sls("it", "/etc/a:\n  file.managed:\n    - contents: two\n");
    env.sls("own", "/etc/b:\n  file.managed:\n    - contents: of {{ grains.id }}\n");
    let output = env.kstate(&["compare", "HEAD"]);
    output.exits(2).says("2 hosts: 2 differ");
    let headings: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with("web")).collect();
    assert_eq!(headings, ["web1, web2", "web1", "web2"], "{output}");
    assert_eq!(output.stdout.matches("file.managed /etc/a").count(), 1, "{output}");
    output.says("+of web1\n").says("+of web2\n");
}

#[test]
fn a_host_that_only_one_roster_has_is_new_or_gone() {
    let env = repository("a:\n  test.nop: []\nb:\n  test.nop: []\n");
    commit(&env, "before");
    env.write("roster", "web2: 192.0.2.2\nweb3: 192.0.2.3\n");
    let output = env.kstate(&["compare", "HEAD"]);
    output
        .exits(2)
        .says("+ web3  new in the roster, 2 states")
        .says("- web1  gone from the roster, 2 states");
    output.says("3 hosts: 2 differ, 1 unchanged").does_not_say("test.nop");
    let json = env.kstate(&["compare", "HEAD", "--format", "json"]).json();
    let roster = |name: &str| json["targets"][name]["roster"].clone();
    assert_eq!([roster("web1"), roster("web2"), roster("web3")], ["removed", "both", "added"]);
    env.kstate(&["compare", "HEAD", "-t", "web3"]).exits(2).says("new in the roster");
    env.kstate(&["compare", "HEAD", "-t", "web9"]).exits(1).says("no host of the roster is `web9`");
}

#[test]
fn whom_the_data_of_one_revision_means_is_meant_in_both() {
    let env = repository("a:\n  test.nop: []\n");
    env.pillar("role", "role: db\n");
    commit(&env, "before");
    env.pillar("role", "role: {{ 'web' if grains.id == 'web1' else 'db' }}\n");
    env.kstate(&["compare", "HEAD", "-t", "I@role:web"]).exits(0).says("1 host: 1 unchanged");
}

#[test]
fn the_states_of_an_sls_that_comes_or_goes_are_new_or_gone() {
    let env = repository("a:\n  test.nop: []\n");
    env.sls("old", "o:\n  test.nop: []\n");
    commit(&env, "before");
    fs::remove_file(env.path("states/old.sls")).unwrap();
    env.sls("new", "n:\n  test.nop: []\n");
    commit(&env, "after");
    env.kstate(&["compare", "HEAD~1", "HEAD", "old", "-t", "web1"]).exits(2).says("- test.nop o");
    env.kstate(&["compare", "HEAD~1..HEAD", "new", "-t", "web1"]).exits(2).says("+ test.nop n");
    env.kstate(&["compare", "HEAD~1", "HEAD", "nosuch", "-t", "web1"])
        .exits(1)
        .says("there is no SLS `nosuch`");
    // The top file of one revision alone names it.
    env.write("states/top.sls", "base:\n  'web1':\n    - it\n    - new\n  'web2':\n    - it\n");
    let output = env.kstate(&["compare", "HEAD", "new"]);
    output.exits(2).says("web1\n  + test.nop n").does_not_say("web2");
}

#[test]
fn a_question_that_nobody_answers_is_an_error_of_its_target_alone() {
    let env = repository("a:\n  test.nop: []\n");
    env.sls("asks", "{{ salt['cmd.run']('hostname') }}:\n  test.nop: []\n");
    env.write("states/top.sls", "base:\n  '*':\n    - it\n  web1:\n    - asks\n");
    commit(&env, "before");
    env.sls("it", "b:\n  test.nop: []\n");
    let output = env.kstate(&["compare", "HEAD"]);
    output.exits(1).says("asks the host for").says("--exec-fixture").says("web2\n  + test.nop b");
    output.says("2 hosts: 1 differs, 1 with errors");
    env.write("../fixture.json", r#"[{"fun": "cmd.run", "return": "answer"}]"#);
    let output = env.kstate(&["compare", "HEAD", "--exec-fixture", "../fixture.json"]);
    output.exits(2).says("web1, web2\n  + test.nop b");
}

#[test]
fn the_grains_are_named_and_can_be_given() {
    let env = two_commits("{{ grains.os }}:\n  test.nop: []\n", "{{ grains.os }}-2:\n  test.nop: []\n");
    env.kstate(&["compare", "HEAD~1"]).exits(2).says("stand-in").says("test.nop Debian-2");
    env.write("grains.json", r#"{"os": "Ubuntu"}"#);
    let output = env.kstate(&["compare", "HEAD~1", "--grains", "grains.json"]);
    output.exits(2).says("test.nop Ubuntu-2").does_not_say("stand-in");
}

// --- what is not git's

#[test]
fn private_pillar_is_taken_from_the_working_tree_for_both_and_masked() {
    let env = repository("/etc/pw:\n  file.managed:\n    - contents: old {{ pillar.password }}\n");
    env.write(".gitignore", "/pillar/private\n");
    env.pillar("private.web", "password: hunter2hunter2\n");
    let private = env.path("pillar/private");
    git_in(&env, &private, &["init", "-q"]);
    git_in(&env, &private, &["add", "-A"]);
    git_in(&env, &private, &["commit", "-qm", "private"]);
    commit(&env, "before");
    assert_eq!(git(&env, &["ls-files", "pillar"]), "pillar/top.sls");
    env.sls("it", "/etc/pw:\n  file.managed:\n    - contents: new {{ pillar.password }}\n");
    commit(&env, "after");
    for words in [&["compare", "HEAD~1"][..], &["compare", "HEAD~1", "HEAD"]] {
        let output = env.kstate(words);
        output.exits(2).says("-old ********\n").says("+new ********\n").does_not_say("hunter2");
        output.says("not tracked by git, taken from the working tree for both: pillar/private\n");
    }
    let json = env.kstate(&["compare", "HEAD~1", "--format", "json"]);
    json.does_not_say("hunter2");
    assert_eq!(json.json()["untracked"], serde_json::json!(["pillar/private"]));
}

#[test]
fn a_repository_within_that_is_not_ignored_and_a_submodule_count_likewise() {
    let env = repository("{{ pillar.word }}-{{ pillar.more }}-1:\n  test.nop: []\n");
    env.write("pillar/top.sls", "base:\n  '*':\n    - private.a\n    - module.b\n");
    for (folder, text) in [("pillar/private", "word: one\n"), ("../module", "more: two\n")] {
        let name = if folder.ends_with("private") { "a" } else { "b" };
        env.write(&format!("{folder}/{name}.sls"), text);
        git_in(&env, &env.path(folder), &["init", "-q"]);
        git_in(&env, &env.path(folder), &["add", "-A"]);
        git_in(&env, &env.path(folder), &["commit", "-qm", "private"]);
    }
    let module = env.path("../module").display().to_string();
    git(&env, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &module, "pillar/module"]);
    git(&env, &["add", "states", "kstate.yaml", "roster", "pillar/top.sls"]);
    git(&env, &["commit", "-qm", "before"]);
    env.sls("it", "{{ pillar.word }}-{{ pillar.more }}-2:\n  test.nop: []\n");
    git(&env, &["commit", "-qam", "after"]);
    let output = env.kstate(&["compare", "HEAD~1", "HEAD"]);
    output.exits(2).says("- test.nop one-two-1").says("+ test.nop one-two-2");
    output.says("for both: pillar/module, pillar/private\n");
}

#[test]
fn a_file_that_is_yet_to_be_added_belongs_to_the_working_tree_alone() {
    let env = repository("include:\n  - other*\na:\n  test.nop: []\n");
    env.sls("others", "o:\n  test.nop: []\n");
    commit(&env, "before");
    env.sls("other_new", "n:\n  test.nop: []\n");
    env.kstate(&["compare", "HEAD"]).exits(2).says("+ test.nop n").does_not_say("not tracked");
    env.kstate(&["compare", "HEAD", "HEAD"]).exits(0);
}

#[test]
fn a_password_that_one_revision_names_a_secret_is_none_the_less_secret_in_the_other() {
    let env = repository("/etc/pw:\n  file.managed:\n    - contents: {{ pillar.db.password }}\n");
    env.pillar("db", "db:\n  password: of-yesterday\n");
    commit(&env, "before");
    env.pillar("db", "db:\n  password: of-today\n");
    env.write(
        "kstate.yaml",
        "file_roots: [states]\npillar_roots: [pillar]\nroster: roster\nsecrets: ['db:password']\n",
    );
    let output = env.kstate(&["compare", "HEAD"]);
    output.exits(2).says("file.managed /etc/pw").does_not_say("yesterday").does_not_say("today");
}

// --- the repository

#[test]
fn working_tree_index_and_refs_stay_as_they_are() {
    let env = two_commits("a:\n  test.nop: []\n", "b:\n  test.nop: []\n");
    env.sls("it", "c:\n  test.nop: []\n");
    git(&env, &["add", "-A"]);
    env.sls("it", "d:\n  test.nop: []\n");
    env.write("untracked", "u\n");
    // The index does not know these times: a `git status` would write it anew.
    let touched = fs::File::options().append(true).open(env.path("states/top.sls")).unwrap();
    touched.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let before = snapshot(&env.path(""));
    for words in [&["compare", "HEAD"][..], &["compare", "HEAD~1"], &["compare", "HEAD~1", "HEAD"]] {
        env.kstate(words).exits(2);
    }
    env.kstate(&["compare", "nosuch"]).exits(64);
    let after = snapshot(&env.path(""));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, was) in &before {
        assert!(after[path] == *was, "{} has changed", path.display());
    }
    assert_eq!(git(&env, &["stash", "list"]), "");
}

#[test]
fn the_root_may_be_a_folder_of_the_repository_and_its_roots_absolute_paths() {
    let env = TestEnv::new();
    env.write("roster", TWO_HOSTS);
    let top = env.path("..");
    let pillar = env.path("pillar").display().to_string();
    env.write(
        "kstate.yaml",
        &format!("file_roots: [../states, ../link]\npillar_roots: ['{pillar}']\nroster: roster\n"),
    );
    env.write("../states/top.sls", "base:\n  '*':\n    - it\n    - linked\n");
    env.write("../states/it.sls", "{{ pillar.word }}-1:\n  test.nop: []\n");
    env.write("../real/linked.sls", "linked-1:\n  test.nop: []\n");
    symlink("real", env.path("../link")).unwrap();
    // It leads nowhere, and harms nobody.
    symlink("loop", env.path("../states/loop")).unwrap();
    env.pillar("word", "word: one\n");
    git_in(&env, &top, &["init", "-q"]);
    git_in(&env, &top, &["add", "root", "states", "real", "link"]);
    git_in(&env, &top, &["commit", "-qm", "before"]);
    env.pillar("word", "word: two\n");
    env.write("../states/it.sls", "{{ pillar.word }}-2:\n  test.nop: []\n");
    env.write("../real/linked.sls", "linked-2:\n  test.nop: []\n");
    let output = env.kstate(&["compare", "HEAD"]);
    output.exits(2).says("+ test.nop two-2  ../states/it.sls:2").says("- test.nop one-1  ../states/it.sls:2");
    output.says("+ test.nop linked-2").says("- test.nop linked-1");
}

#[test]
fn contents_are_as_a_checkout_would_write_them() {
    let env = repository("/etc/a:\n  file.managed:\n    - source: salt://a\n");
    env.write(".gitattributes", "a text eol=crlf\n");
    env.write("states/a", "one\r\ntwo\r\n");
    commit(&env, "before");
    assert_eq!(git(&env, &["cat-file", "-s", "HEAD:states/a"]), "8");
    env.kstate(&["compare", "HEAD"]).exits(0);
}

#[test]
fn a_hook_can_compare() {
    let env = two_commits("a:\n  test.nop: []\n", "b:\n  test.nop: []\n");
    let mut command = env.command(&["compare", "HEAD~1", "HEAD"]);
    command.env("GIT_DIR", "/nowhere").env("GIT_INDEX_FILE", "/nowhere/index");
    run(&mut command, "", Duration::from_secs(60)).exits(2).says("test.nop b");
}

#[test]
fn without_a_repository_it_ends_with_64() {
    let env = TestEnv::new();
    env.kstate(&["compare", "HEAD"]).exits(64).says("lies in no git repository");
}

// --- revisions and SLS

#[test]
fn an_unknown_revision_ends_with_64() {
    let env = two_commits("a:\n  test.nop: []\n", "b:\n  test.nop: []\n");
    git(&env, &["branch", "feature"]);
    let output = env.kstate(&["compare", "featur"]);
    output.exits(64).says("git knows no revision `featur`").says("did you mean `feature`?");
    env.kstate(&["compare", "HEAD~1..nosuch"]).exits(64).says("`nosuch`");
    env.kstate(&["compare", "HEAD~1", "nosuch"]).exits(64).says("neither a revision nor an SLS");
    env.kstate(&["compare"]).exits(64);
}

#[test]
fn a_second_word_is_a_revision_unless_an_sls_is_called_so() {
    let env = two_commits("a:\n  test.nop: []\n", "b:\n  test.nop: []\n");
    env.sls("it", "c:\n  test.nop: []\n");
    let told = |words: &[&str]| {
        let output = env.kstate(&[&["compare", "--format", "json"], words].concat());
        let mut told = changes(&output, "web1");
        told.retain(|line| !line.starts_with(' '));
        told.join(", ")
    };
    let (a_to_b, a_to_c) = ("added test.nop b, removed test.nop a", "added test.nop c, removed test.nop a");
    for words in [&["HEAD~1", "HEAD"][..], &["HEAD~1..HEAD"], &["HEAD~1", "HEAD", "it"], &["HEAD~1..", "it"]]
    {
        assert_eq!(told(words), a_to_b, "{words:?}");
    }
    for words in [&["HEAD~1"][..], &["HEAD~1", "it"], &["HEAD~1", "i*"], &["HEAD~1", "--", "it"]] {
        assert_eq!(told(words), a_to_c, "{words:?}");
    }
    // A branch that is called like an SLS.
    git(&env, &["branch", "it"]);
    assert_eq!(told(&["HEAD~1", "it"]), a_to_c);
    env.kstate(&["compare", "HEAD~1", "it"]).exits(2).says("`it` is taken for the SLS");
    assert_eq!(told(&["HEAD~1..it"]), a_to_b);
}

#[test]
fn three_dots_mean_what_a_branch_brings() {
    let env = repository("a:\n  test.nop: []\n");
    commit(&env, "base");
    git(&env, &["checkout", "-qb", "feature"]);
    env.sls("it", "a:\n  test.nop: []\nb:\n  test.nop: []\n");
    commit(&env, "feature");
    git(&env, &["checkout", "-q", "main"]);
    env.sls("it", "c:\n  test.nop: []\n");
    commit(&env, "main goes on");
    let output = env.kstate(&["compare", "main...feature"]);
    output.exits(2).says("+ test.nop b").does_not_say("test.nop a").does_not_say("test.nop c");
}

// --- what does not compile

#[test]
fn what_one_revision_breaks_is_told_with_its_line_in_that_revision() {
    let env = two_commits(
        "a:\n  test.nop: []\n",
        "# one line\n# more\na:\n  test.nop:\n    - require:\n      - nowhere\n",
    );
    env.sls("it", "a:\n  test.nop: []\n");
    let output = env.kstate(&["compare", "HEAD~1", "HEAD"]);
    output.exits(1).says("states/it.sls:6:9").says("- nowhere").says("2 hosts: 2 with errors");
    assert!(output.stdout.contains(", not in "), "{output}");
    assert_eq!(output.stdout.matches("is no state of this run").count(), 1, "{output}");
    let output = env.kstate(&["compare", "HEAD"]);
    output.exits(1).says("not in the working tree").says("states/it.sls:6:9");
    output.does_not_say(&env.path("states").display().to_string());
    let json = env.kstate(&["compare", "HEAD~1", "HEAD", "--format", "json"]);
    json.exits(1);
    let errors = &json.json()["targets"]["web1"]["errors"];
    assert_eq!(errors[0]["line"], 6, "{json}");
    assert_eq!(errors[0]["revision"], git(&env, &["rev-parse", "HEAD"]), "{json}");
}

#[test]
fn a_mistake_in_arguments_hides_no_change_and_counts_where_it_is_new() {
    let wrong = "/etc/a:\n  file.managed:\n    - source: salt://nowhere\n";
    let env = two_commits(&format!("{wrong}b:\n  test.nop: []\n"), &format!("{wrong}c:\n  test.nop: []\n"));
    let output = env.kstate(&["compare", "HEAD~1"]);
    output.exits(2).says("+ test.nop c").says("1 mistake in both").does_not_say("nowhere");
    env.kstate(&["compare", "HEAD~1", "-v"]).exits(2).says("salt://nowhere");
    // A new host has it as the others do.
    env.write("roster", &format!("{TWO_HOSTS}web3: 192.0.2.3\n"));
    env.kstate(&["compare", "HEAD"]).exits(2).says("new in the roster").does_not_say("nowhere");
    env.write("roster", TWO_HOSTS);
    // Also where it moves to another file.
    env.sls("other", wrong);
    env.sls("it", "include:\n  - other\nc:\n  test.nop: []\n");
    env.kstate(&["compare", "HEAD~1"]).exits(2).says("1 mistake in both").does_not_say("nowhere");
    env.sls("it", &format!("{wrong}d:\n  file.managed:\n    - name: not-absolute\n"));
    let output = env.kstate(&["compare", "HEAD~1"]);
    output.exits(1).says("not-absolute").says("+ file.managed d").does_not_say("nowhere");
}

#[test]
fn a_revision_without_settings_or_with_a_broken_roster_says_so() {
    let env = repository("a:\n  test.nop: []\n");
    fs::remove_file(env.path("kstate.yaml")).unwrap();
    commit(&env, "no settings");
    env.write("kstate.yaml", "file_roots: [states]\npillar_roots: [pillar]\nroster: roster\n");
    env.write("roster", "web1:\n  port: x\n");
    commit(&env, "broken roster");
    env.kstate(&["compare", "HEAD~1"]).exits(1).says("holds neither `kstate.yaml`").says("cannot be read");
    env.write("roster", TWO_HOSTS);
    env.kstate(&["compare", "HEAD"]).exits(1).says("roster:2:").says("port: x");
}

// --- JSON

#[test]
fn the_document_has_exactly_these_keys() {
    let env = two_commits("a:\n  test.nop: []\n", "b:\n  test.nop: []\n");
    let output = env.kstate(&["compare", "HEAD~1", "HEAD", "--format", "json"]);
    output.exits(2);
    let keys = |value: &Json| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let document = output.json();
    assert_eq!(keys(&document), "command version from to untracked targets", "{output}");
    assert_eq!(document["command"], "compare");
    assert_eq!(document["from"], git(&env, &["rev-parse", "HEAD~1"]));
    assert_eq!(document["to"], git(&env, &["rev-parse", "HEAD"]));
    let target = &document["targets"]["web1"];
    assert_eq!(keys(target), "roster grains changes errors", "{output}");
    let change = &target["changes"][0];
    assert_eq!(keys(change), "kind id sls function name file line changes", "{output}");
    assert_eq!((&change["file"], &change["line"]), (&"states/it.sls".into(), &2.into()));
    assert_eq!(target["errors"], serde_json::json!([]));
    let to_here = env.kstate(&["compare", "HEAD~1", "--format", "json"]).json();
    assert_eq!(to_here["to"], Json::Null);
}
