//! Saved plans: what was shown is done, or nothing is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::deployments::Deployment;
use crate::support::{Output, Sshd, TestEnv};

/// A file beside the checkout, which comes before it.
const BESIDE: &str = "SCRATCH/beside:\n  file.managed:\n    - contents: x\n    - order: 1\n";

/// An application of which five commits are due, and a file. The plan of that is in `plan`.
fn planned(more: &str) -> (Deployment, String) {
    let deployment = Deployment::new(&format!("{more}{BESIDE}"));
    let last = five(&deployment);
    fs::remove_file(deployment.env.scratch("beside")).unwrap();
    plan(&deployment.env).exits(2).says("The plan is in ");
    (deployment, last)
}

fn five(deployment: &Deployment) -> String {
    for n in 1..=4 {
        deployment.commit(&format!("part{n}.py"), "pass\n", &format!("Add part {n}"));
    }
    deployment.commit("part5.py", "pass\n", "Add part 5")
}

fn file(env: &TestEnv) -> PathBuf {
    env.scratch("plan")
}

#[track_caller]
fn plan(env: &TestEnv) -> Output {
    env.kstate(&["diff", "it", "--out", file(env).to_str().unwrap()])
}

#[track_caller]
fn carried_out(env: &TestEnv, more: &[&str]) -> Output {
    env.kstate(&[&["apply", "--plan", file(env).to_str().unwrap()], more].concat())
}

#[test]
fn a_plan_is_carried_out_as_it_was_shown() {
    let (deployment, last) = planned("");
    let mode = fs::metadata(file(&deployment.env)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = carried_out(&deployment.env, &[]);
    output.exits(0).says("(5 commits)").says("predicted 2 changes, happened 2\n");
    assert_eq!(deployment.deployed(), last);
    assert!(deployment.env.scratch("beside").exists());
}

#[test]
fn a_plan_that_has_been_carried_out_says_so() {
    let (deployment, _) = planned("");
    carried_out(&deployment.env, &["--format", "json"]).exits(0);
    let output = carried_out(&deployment.env, &[]);
    output.exits(1).says("nothing is changed, on no host").says("it has been applied already");
    // What has come since is no part of it.
    fs::remove_file(deployment.env.scratch("beside")).unwrap();
    carried_out(&deployment.env, &[]).exits(1).does_not_say("already").says("save a new plan");
    plan(&deployment.env).exits(2);
    fs::write(deployment.env.scratch("beside"), "x\n").unwrap();
    plan(&deployment.env).exits(0);
    fs::remove_file(deployment.env.scratch("beside")).unwrap();
    carried_out(&deployment.env, &[]).exits(1).does_not_say("already").says("save a new plan");
}

#[test]
fn a_sixth_commit_refuses_the_plan() {
    let (deployment, fifth) = planned("");
    let before = deployment.deployed();
    let sixth = deployment.commit("part6.py", "pass\n", "Add part 6");
    let output = carried_out(&deployment.env, &[]);
    output.exits(1).says(&format!(
        "`app`: planned: revision: {old} -> {} (5 commits); now: revision: {old} -> {} (6 commits)",
        &fifth[..7],
        &sixth[..7],
        old = &before[..7],
    ));
    output.says("nothing is changed, on no host: what the plan was made of has moved");
    assert_eq!(deployment.deployed(), before);
    assert!(!deployment.env.scratch("beside").exists());
    let errors = carried_out(&deployment.env, &["--format", "json"]).exits(1).report()["errors"].clone();
    assert_eq!(errors[0]["id"], "app");
}

#[test]
fn a_first_clone_is_pinned_too() {
    let deployment = Deployment::new("");
    fs::remove_dir_all(deployment.dir()).unwrap();
    let clone = |commit: &str| format!("clone of {}: {} (main)", deployment.upstream.display(), &commit[..7]);
    let shown = clone(&deployment.git("upstream", &["rev-parse", "HEAD"]));
    plan(&deployment.env).exits(2).says(&shown);
    let now = clone(&five(&deployment));
    let output = carried_out(&deployment.env, &[]);
    output.exits(1).says(&format!("`app`: planned: {shown}; now: {now}"));
    assert!(!deployment.dir().exists());
}

#[test]
fn a_checkout_that_was_as_declared_is_pinned_too() {
    let deployment = Deployment::new(BESIDE);
    fs::remove_file(deployment.env.scratch("beside")).unwrap();
    plan(&deployment.env).exits(2);
    let before = deployment.deployed();
    five(&deployment);
    let output = carried_out(&deployment.env, &[]);
    output.exits(1).says(&format!("`app`: planned: as declared, at {}; now: revision: ", &before[..7]));
    assert_eq!(deployment.deployed(), before);
}

/// A state before the checkout that does something to the repository while states are made.
pub(crate) fn meanwhile(deployment: &Deployment, script: &str) {
    let dir = deployment.env.scratch("").display().to_string();
    let file = deployment.env.scratch("meanwhile.sh");
    fs::write(&file, format!("cd {dir}upstream && {script} && touch {dir}done")).unwrap();
    deployment.declare(&format!(
        "meanwhile:\n  cmd.run:\n    - name: sh {}\n    - creates: {dir}done\n    - order: 2\n{BESIDE}",
        file.display()
    ));
}

pub(crate) const COMMIT: &str = "git -c user.name=x -c user.email=x commit -q --allow-empty -m $$";

#[test]
fn a_commit_that_arrives_while_the_plan_is_carried_out_is_not_deployed() {
    let deployment = Deployment::new("");
    meanwhile(&deployment, COMMIT);
    let fifth = five(&deployment);
    plan(&deployment.env).exits(2);
    carried_out(&deployment.env, &[]).exits(0).says("predicted 3 changes, happened 3\n");
    assert_eq!(deployment.deployed(), fifth);
    let sixth = deployment.git("upstream", &["rev-parse", "HEAD"]);
    assert_ne!(sixth, fifth);

    // The same for a first clone.
    fs::remove_dir_all(deployment.dir()).unwrap();
    fs::remove_file(deployment.env.scratch("done")).unwrap();
    plan(&deployment.env).exits(2);
    carried_out(&deployment.env, &[]).exits(0);
    assert_eq!(deployment.deployed(), sixth);
    assert_ne!(deployment.git("upstream", &["rev-parse", "HEAD"]), sixth);
}

#[test]
fn a_branch_that_is_rewritten_while_the_plan_is_carried_out_is_not_deployed() {
    let deployment = Deployment::new("");
    let before = deployment.deployed();
    meanwhile(&deployment, &format!("git reset -q --hard HEAD~1 && {COMMIT}"));
    five(&deployment);
    plan(&deployment.env).exits(2);
    let output = carried_out(&deployment.env, &[]);
    output.exits(1).says("`main` was rewritten at the remote: it is at ");
    output.says("predicted 3 changes, happened 2\n").says("predicted, and did not happen: app\n");
    assert_eq!(deployment.deployed(), before);

    fs::remove_dir_all(deployment.dir()).unwrap();
    fs::remove_file(deployment.env.scratch("done")).unwrap();
    plan(&deployment.env).exits(2);
    carried_out(&deployment.env, &[]).exits(1).says(" is not in what was cloned");
    assert!(!deployment.dir().exists());
}

#[test]
fn a_file_that_has_changed_on_the_host_refuses_the_plan() {
    let (deployment, _) = planned("");
    let before = deployment.deployed();
    fs::write(deployment.env.scratch("beside"), "by hand\n").unwrap();
    let beside = deployment.env.scratch("beside").display().to_string();
    carried_out(&deployment.env, &[]).exits(1).says(&format!("`{beside}`: planned: content: "));
    assert_eq!(deployment.deployed(), before);
    assert_eq!(fs::read_to_string(beside).unwrap(), "by hand\n");
}

#[test]
fn a_tree_that_has_changed_refuses_the_plan() {
    let (deployment, _) = planned("");
    let declared = |more: &str| deployment.declare(more);
    declared(&BESIDE.replace("contents: x", "contents: y"));
    carried_out(&deployment.env, &[]).exits(1).says(": planned: content: ");
    declared(&format!("{BESIDE}new:\n  test.nop: []\n"));
    carried_out(&deployment.env, &[]).exits(1).says("`new` is not in the plan");
    declared("");
    carried_out(&deployment.env, &[]).exits(1).says("is in the plan, and is not declared any more");
    // What the difference does not show counts as well.
    declared(&BESIDE.replace("order: 1", "order: 1\n    - check_cmd: test -e"));
    carried_out(&deployment.env, &[])
        .exits(1)
        .says("beside` would do something else than planned: content: ");
    declared(BESIDE);
    carried_out(&deployment.env, &[]).exits(0);
}

#[test]
fn what_could_not_be_told_may_do_what_it_finds() {
    let env = TestEnv::local("");
    let made = env.scratch("made").display().to_string();
    let sls = |word: &str| {
        format!(
            "make:\n  cmd.run:\n    - name: echo old >{made}\n    - creates: {made}\n\
             edit:\n  file.replace:\n    - name: {made}\n    - pattern: old\n    - repl: {word}\n    - require:\n      - cmd: make\n"
        )
    };
    env.sls("it", &sls("new"));
    plan(&env).exits(2).says("cannot be told");
    env.sls("it", &sls("other"));
    carried_out(&env, &[]).exits(1).says("`edit` is declared otherwise than in the plan");
    env.sls("it", &sls("new"));
    let output = carried_out(&env, &["--format", "json"]);
    let prediction = output.exits(0).report()["prediction"].clone();
    assert_eq!(
        prediction,
        serde_json::json!({"predicted": 1, "happened": 1, "missed": [], "unforeseen": [], "unknown": 1, "unknown_happened": 1})
    );
    assert_eq!(fs::read_to_string(made).unwrap(), "new\n");
}

#[test]
fn which_processes_run_is_no_part_of_a_plan() {
    let env = TestEnv::local("");
    let seconds = format!("4711.{}", std::process::id());
    env.sls("it", &format!("workers:\n  process.absent:\n    - name: ^sleep {seconds}\n"));
    let worker = || Command::new("sleep").arg(&seconds).spawn().unwrap();
    let mut first = worker();
    plan(&env).exits(2);
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = worker();
    let waiting = std::thread::spawn(move || second.wait().unwrap());
    carried_out(&env, &[]).exits(0).says("predicted 1 change, happened 1\n");
    assert!(!waiting.join().unwrap().success());
}

#[test]
fn a_plan_carries_what_it_lets_pass() {
    let held = "    - hold_if_changed: [part5.py]\n";
    let (deployment, last) = planned(held);
    let before = deployment.deployed();
    carried_out(&deployment.env, &[])
        .exits(1)
        .says("nothing is changed, on no host: `app` is held: `part5.py` ");
    assert_eq!(deployment.deployed(), before);
    let file = file(&deployment.env);
    let words = ["diff", "it", "--accept", "part5.py", "--out", file.to_str().unwrap()];
    deployment.env.kstate(&words).exits(2);
    carried_out(&deployment.env, &[]).exits(0);
    assert_eq!(deployment.deployed(), last);
}

#[test]
fn a_plan_is_of_all_its_hosts_or_of_none() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    env.write("roster", &format!("{}{}", sshd.roster("one"), sshd.roster("two")));
    let place = env.scratch("").display().to_string();
    env.sls("it", &format!("{place}{{{{ grains.id }}}}:\n  file.managed:\n    - contents: x\n"));
    plan(&env).exits(2);
    fs::write(env.scratch("two"), "by hand\n").unwrap();
    carried_out(&env, &[]).exits(1).says("two`: planned: content: ");
    assert!(!env.scratch("one").exists());
    env.write("roster", &sshd.roster("one"));
    carried_out(&env, &[]).exits(1).says("`two`, which is in the plan, is not meant any more");
    env.write("roster", &format!("{}two:\n  host: 127.0.0.1\n  port: 1\n", sshd.roster("one")));
    carried_out(&env, &[]).exits(4).says("nothing is changed, on no host: `two` could not be looked at");
    assert!(!env.scratch("one").exists());
    // Neither is a plan made of some.
    fs::remove_file(file(&env)).unwrap();
    plan(&env).exits(4).says("no plan is saved: `two` could not be looked at");
    assert!(!file(&env).exists());
}

#[test]
fn a_host_that_moves_while_another_one_is_changed_is_left_alone() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    env.write("roster", &format!("{}{}", sshd.roster("one"), sshd.roster("two")));
    let place = env.scratch("").display().to_string();
    let later = format!("{place}later:\n  file.managed:\n    - contents: x\n");
    let own = format!("{place}{{{{ grains.id }}}}:\n  file.managed:\n    - contents: x\n");
    let disturbs = format!("disturb:\n  cmd.run:\n    - name: echo by hand >{place}two\n");
    env.sls(
        "it",
        &format!("{own}{{% if grains.id == 'one' %}}\n{disturbs}{{% else %}}\n{later}{{% endif %}}\n"),
    );
    plan(&env).exits(2);
    let output = carried_out(&env, &["--jobs", "1"]);
    output.exits(1).says("it is not as it was when the plan was compared with the host");
    output.says(&format!("note: nothing is changed, because `{place}two` has moved"));
    assert_eq!(fs::read_to_string(env.scratch("two")).unwrap(), "by hand\n");
    assert!(env.scratch("one").exists() && !env.scratch("later").exists());
}

#[test]
fn a_file_that_is_no_plan_is_refused_and_kept() {
    let (deployment, _) = planned("");
    let (env, file) = (&deployment.env, file(&deployment.env));
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    carried_out(env, &[]).exits(1).says("is not a plan of kstate, or is broken");
    fs::write(&file, whole.replace("\"outcome\"", "\"outcomes\"")).unwrap();
    carried_out(env, &[]).exits(1).says("is a broken plan: unknown field `outcomes`");
    fs::write(
        &file,
        whole.replace(concat!("\"version\": \"", env!("CARGO_PKG_VERSION")), "\"version\": \"0.0.1"),
    )
    .unwrap();
    carried_out(env, &[]).exits(1).says("was made by kstate 0.0.1");
    plan(env).exits(2);
    carried_out(env, &[]).exits(0);

    fs::write(&file, "{\"kind\": \"shopping list\"}").unwrap();
    plan(env).exits(64).says("is there and is no plan of kstate; it is not overwritten");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"kind\": \"shopping list\"}");
    fs::remove_file(&file).unwrap();
    carried_out(env, &[]).exits(64).says("No such file");
    env.kstate(&["diff", "it", "--out", "-"]).exits(64);
    env.kstate(&["diff", "it", "--out", "no/such/folder"]).exits(64).says("there is no folder `no/such`");
}

#[test]
fn no_plan_is_saved_of_what_fails() {
    let env = TestEnv::local("");
    env.sls("it", "/nowhere/a:\n  file.replace:\n    - pattern: a\n    - repl: b\n");
    plan(&env).exits(1).says("no plan is saved: `").says("hint: mend it").does_not_say("The plan is in");
    assert!(!file(&env).exists());
}

#[test]
fn a_plan_names_its_sls_and_hosts_itself() {
    let (deployment, _) = planned("");
    carried_out(&deployment.env, &["it"]).exits(64);
    carried_out(&deployment.env, &["-t", "web1"]).exits(64).says("a plan names its hosts itself");
}

#[test]
fn a_plan_keeps_no_secret() {
    let env = TestEnv::local("");
    env.write("pillar/top.sls", "base:\n  '*':\n    - private.keys\n");
    env.write("pillar/private/keys.sls", "key: correct-horse-battery\n");
    let place = env.scratch("app.ini").display().to_string();
    env.sls(
        "it",
        &format!(
            "{place}:\n  file.managed:\n    - contents: key = {{{{ pillar.key }}}}\n\
             'use {{{{ pillar.key }}}}':\n  cmd.run:\n    - name: 'true {{{{ pillar.key }}}}'\n"
        ),
    );
    plan(&env).exits(2);
    let text = fs::read_to_string(file(&env)).unwrap();
    assert!(text.contains("********") && !text.contains("correct-horse-battery"), "{text}");
    carried_out(&env, &[]).exits(0).says("predicted 2 changes, happened 2\n");
    assert_eq!(fs::read_to_string(place).unwrap(), "key = correct-horse-battery\n");
}
