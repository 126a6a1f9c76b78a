//! What would be deployed is told before it is, and no more than that is deployed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::{Output, TestEnv, run};

/// An application in a repository, a state that checks it out on this machine, and a file beside it.
pub(crate) struct Deployment {
    pub(crate) env: TestEnv,
    pub(crate) upstream: PathBuf,
}

impl Deployment {
    /// The first commit has been deployed.
    pub(crate) fn new(more: &str) -> Self {
        let env = TestEnv::local("");
        let deployment = Deployment { upstream: env.scratch("upstream"), env };
        deployment.git("", &["init", "-q", "-b", "main", "upstream"]);
        deployment.commit("requirements.txt", "flask\n", "Start");
        deployment.declare(more);
        deployment.env.apply().exits(0);
        deployment
    }

    pub(crate) fn declare(&self, more: &str) {
        let (upstream, dir) = (self.upstream.display(), self.dir().display().to_string());
        self.env.sls(
            "it",
            &format!(
                "app:\n  git.latest:\n    - name: {upstream}\n    - target: {dir}\n    - rev: main\n    - branch: main\n    \
                 - force_fetch: True\n    - force_reset: True\n{more}"
            )
            .replace("SCRATCH/", &self.env.scratch("").display().to_string()),
        );
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.env.scratch("checkout")
    }

    /// Runs git in a folder of the scratch place.
    #[track_caller]
    pub(crate) fn git(&self, folder: &str, words: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Ann Example", "-c", "user.email=ann@example.org"]).args(words);
        self.env.clear(git.current_dir(self.env.scratch(folder)));
        run(&mut git, "", Duration::from_secs(20)).exits(0).stdout.trim().to_owned()
    }

    /// A commit that changes a file of the upstream repository. Returns its id.
    pub(crate) fn commit(&self, file: &str, text: &str, title: &str) -> String {
        let path = self.upstream.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.git("upstream", &["add", "-A"]);
        self.git("upstream", &["commit", "-q", "-m", title]);
        self.git("upstream", &["rev-parse", "HEAD"])
    }

    pub(crate) fn deployed(&self) -> String {
        self.git("checkout", &["rev-parse", "HEAD"])
    }

    #[track_caller]
    fn diff(&self) -> Output {
        self.env.kstate(&["diff", "it"])
    }
}

#[test]
fn the_commits_that_would_come_are_told_with_the_paths_that_they_touch() {
    let deployment = Deployment::new("");
    let before = deployment.deployed();
    for n in 1..=4 {
        deployment.commit(&format!("app/part{n}.py"), "pass\n", &format!("Add part {n}"));
    }
    let last = deployment.commit("requirements.txt", "flask\nredis\n", "Use Redis");

    let output = deployment.diff();
    output.exits(2).says(&format!(" {}..{} (5 commits)\n", &before[..7], &last[..7]));
    output.says(" Ann Example: Use Redis\n             requirements.txt\n");
    for n in 1..=4 {
        output.says(&format!(" Ann Example: Add part {n}\n             app/part{n}.py\n"));
    }
    let state = deployment.env.diff().state("app");
    let commits = state["changes"][0]["commits"].as_array().unwrap();
    assert_eq!(commits.len(), 5);
    assert_eq!(commits[0]["id"], *last);
    assert_eq!(commits[0]["title"], "Use Redis");
    assert_eq!(commits[0]["paths"], serde_json::json!(["requirements.txt"]));
    assert_eq!(commits[0]["date"].as_str().unwrap().find('T'), Some("2026-11-26".len()));
    assert_eq!(deployment.deployed(), before);
    // Their objects are there, and no branch has moved.
    assert_eq!(deployment.git("checkout", &["rev-parse", "origin/main"]), before);

    let output = deployment.env.kstate(&["apply", "it", "--yes"]);
    output.exits(0).says("Ann Example: Add part 1\n             app/part1.py\n");
    assert_eq!(deployment.deployed(), last);
}

#[test]
fn commits_that_would_be_lost_are_told() {
    let deployment = Deployment::new("");
    std::fs::write(deployment.dir().join("hotfix.py"), "pass\n").unwrap();
    deployment.git("checkout", &["add", "-A"]);
    deployment.git("checkout", &["commit", "-q", "-m", "Fix it by hand"]);
    deployment.commit("app.py", "pass\n", "Add the app");
    let output = deployment.diff();
    output.exits(2).says("(1 commit, and 1 commit lost)");
    output.says(" Ann Example: Fix it by hand\n             hotfix.py\n");
    let change = deployment.env.diff().state("app")["changes"][0].clone();
    assert_eq!(change["lost"][0]["title"], "Fix it by hand");
    assert_eq!(change["commits"][0]["paths"], serde_json::json!(["app.py"]));
}

#[test]
fn what_a_merge_brings_is_told_of_the_commits_that_it_merges() {
    let deployment = Deployment::new("");
    deployment.git("upstream", &["checkout", "-q", "-b", "topic"]);
    deployment.commit("topic.py", "pass\n", "Work on a topic");
    deployment.git("upstream", &["checkout", "-q", "main"]);
    deployment.commit("main.py", "pass\n", "Work on the main branch");
    deployment.git("upstream", &["merge", "-q", "--no-ff", "-m", "Merge the topic", "topic"]);
    let change = deployment.env.diff().state("app")["changes"][0].clone();
    let mut commits: Vec<(&str, String)> = change["commits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|commit| (commit["title"].as_str().unwrap(), commit["paths"].to_string()))
        .collect();
    commits.sort();
    let told = [
        ("Merge the topic", "[]".to_owned()),
        ("Work on a topic", "[\"topic.py\"]".to_owned()),
        ("Work on the main branch", "[\"main.py\"]".to_owned()),
    ];
    assert_eq!(commits, told);
}

#[test]
fn a_first_clone_lists_no_commits() {
    let deployment = Deployment::new("");
    std::fs::remove_dir_all(deployment.dir()).unwrap();
    deployment.diff().exits(2).says("clone of ").does_not_say("Ann Example");
}

/// The checkout is held for changes of the requirements; a file stands beside it.
const HELD: &str = "    - hold_if_changed: [requirements.txt, 'app/*.cfg']\nSCRATCH/beside:\n  file.managed:\n    - contents: x\n    - order: 1\n";

/// A deployment that is held, with the id of the commit that changes the requirements.
pub(crate) fn held() -> (Deployment, String) {
    let deployment = Deployment::new(HELD);
    let requirements = deployment.commit("requirements.txt", "flask\nredis\n", "Use Redis");
    deployment.commit("app/site.py", "pass\n", "Add the site");
    std::fs::remove_file(deployment.env.scratch("beside")).unwrap();
    (deployment, requirements)
}

#[test]
fn a_commit_that_touches_a_held_path_stops_apply_before_anything_is_changed() {
    let (deployment, requirements) = held();
    let before = deployment.deployed();
    let told = format!(
        "held: `requirements.txt` is changed by {} Use Redis; `--accept requirements.txt` lets it pass",
        &requirements[..7]
    );
    deployment.diff().exits(2).says(&told);
    let state = deployment.env.diff().exits(2).state("app");
    assert_eq!(state["outcome"], "drift");
    assert_eq!(state["holds"][0]["path"], "requirements.txt");
    assert_eq!(state["holds"][0]["accepted"], false);

    let output = deployment.env.kstate(&["apply", "it", "--yes"]);
    output.exits(1).says(&told).says("note: nothing is changed, because `app` is held");
    assert_eq!(deployment.deployed(), before);
    assert!(!deployment.env.scratch("beside").exists(), "{output}");
    let output = deployment.env.apply();
    assert_eq!(output.outcome("app"), "failed");
    let beside = deployment.env.scratch("beside").display().to_string();
    assert_eq!(output.reason(&beside), "nothing is changed, because `app` is held");
}

#[test]
fn accept_lets_a_held_change_pass() {
    let (deployment, _) = held();
    let last = deployment.git("upstream", &["rev-parse", "HEAD"]);
    deployment.env.kstate(&["apply", "it", "--yes", "--accept", "setup.py"]).exits(1).says("held: ");
    let output = deployment.env.kstate(&["diff", "it", "--accept", "requirements.txt"]);
    output.exits(2).does_not_say("held: ").says("accepted: `requirements.txt` is changed by ");
    let output = deployment.env.kstate(&["apply", "it", "--yes", "--accept", "req*"]);
    output.exits(0).says("accepted: `requirements.txt` is changed by ").does_not_say("met no hold");
    assert_eq!(deployment.deployed(), last);
    assert!(deployment.env.scratch("beside").exists());
    let output = deployment.env.kstate(&["apply", "it", "--yes", "--accept", "requirements.txt"]);
    output.exits(0).says("note: `--accept requirements.txt` met no hold");
}

#[test]
fn a_held_path_is_found_in_a_commit_that_a_later_one_takes_back_and_in_one_that_is_merged() {
    let deployment = Deployment::new(HELD);
    deployment.commit("requirements.txt", "flask\nredis\n", "Use Redis");
    deployment.git("upstream", &["revert", "--no-edit", "HEAD"]);
    deployment.diff().exits(2).says("held: `requirements.txt` is changed by ").says(" and 1 more commit;");
    deployment.env.kstate(&["apply", "it", "--yes", "--accept", "requirements.txt"]).exits(0);

    deployment.git("upstream", &["checkout", "-q", "-b", "topic"]);
    deployment.commit("app/deep/part.cfg", "a = 1\n", "Set a");
    deployment.commit("app/deep/part.cfg", "", "Unset a");
    deployment.git("upstream", &["checkout", "-q", "main"]);
    deployment.commit("app.py", "pass\n", "Add the app");
    deployment.git("upstream", &["merge", "-q", "--no-ff", "-m", "Merge the topic", "topic"]);
    deployment
        .diff()
        .exits(2)
        .says("held: `app/deep/part.cfg` is changed by ")
        .says(" Unset a and 1 more commit;");
}

#[test]
fn a_change_of_other_paths_is_not_held() {
    let deployment = Deployment::new(HELD);
    let last = deployment.commit("docs/requirements.txt", "sphinx\n", "Write docs");
    deployment.diff().exits(2).does_not_say("held");
    deployment.env.apply().exits(0);
    assert_eq!(deployment.deployed(), last);
}

#[test]
fn an_update_of_a_shallow_clone_is_a_fast_forward() {
    let deployment = Deployment::new("    - depth: 1\n");
    let env = &deployment.env;
    // A path of this machine would be copied whole.
    let sls = fs::read_to_string(env.path("states/it.sls")).unwrap();
    env.sls("it", &sls.replace("name: /", "name: file:///"));
    fs::remove_dir_all(deployment.dir()).unwrap();
    deployment.commit("two", "2", "Two");
    env.apply().exits(0);
    assert_eq!(deployment.git("checkout", &["rev-list", "--count", "HEAD"]), "1");
    deployment.commit("three", "3", "Three");
    let last = deployment.commit("four", "4", "Four");
    env.kstate(&["diff", "it"]).exits(2).says("(2 commits)");
    env.apply().exits(0);
    assert_eq!(deployment.deployed(), last);
    env.diff().exits(0);
}

#[test]
fn what_a_checkout_cannot_do_fails_in_the_diff() {
    let deployment = Deployment::new("");
    let (env, dir) = (&deployment.env, deployment.dir());
    let before = deployment.deployed();
    deployment.commit("new", "1", "Bring a file");
    deployment.commit("folder/file", "1", "Bring a folder");
    let sls = fs::read_to_string(env.path("states/it.sls")).unwrap();
    let strict = sls.replace("    - force_reset: True\n", "");
    env.sls("it", &strict);
    for path in ["new", "folder"] {
        fs::write(dir.join(path), "mine").unwrap();
        let way = format!("`{path}` is in the way");
        env.kstate(&["diff", "it"]).exits(1).says(&way);
        env.kstate(&["apply", "it", "--yes"]).exits(1).says(&way);
        fs::remove_file(dir.join(path)).unwrap();
    }
    assert_eq!(deployment.deployed(), before);
    // What git ignores gives way.
    fs::write(dir.join(".git/info/exclude"), "new").unwrap();
    fs::write(dir.join("new"), "mine").unwrap();
    env.apply().exits(0);
    // A commit that the remote does not have, with a checkout and without one.
    let rev = |rev: &str| env.sls("it", &strict.replace("rev: main", &format!("rev: '{rev}'")));
    let unknown = ["1234567", "123456789abcdef123456789abcdef123456789a"];
    for missing in unknown {
        rev(missing);
        env.kstate(&["diff", "it"]).exits(1).says(&format!("has no branch, tag or commit `{missing}`"));
    }
    fs::remove_file(dir.join(".git/HEAD")).unwrap();
    env.sls("it", &strict);
    env.kstate(&["diff", "it"]).exits(1).says("has a `.git` that is no repository");
    fs::remove_dir_all(&dir).unwrap();
    for missing in unknown {
        rev(missing);
        env.kstate(&["diff", "it"]).exits(1).says(&format!("has no branch, tag or commit `{missing}`"));
    }
    rev(&before[..8]);
    env.kstate(&["diff", "it"]).exits(2).says("clone of");
    env.apply().exits(0);
    assert_eq!(deployment.deployed(), before);
}
