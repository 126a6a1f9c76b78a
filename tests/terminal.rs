//! What a person at a terminal sees: colour, a question, an answer.

use std::process::Command;
use std::time::Duration;

use crate::deployments::{Deployment, held};
use crate::plans::{COMMIT, meanwhile};
use crate::support::{Output, TestEnv, repository, run};

const ESCAPE: &str = "\u{1b}[";

/// Runs kstate on a terminal, and types the answer when it asks.
#[track_caller]
fn at_a_terminal(env: &TestEnv, answer: &str, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let kstate = env.command(words);
    let mut command = Command::new("python3");
    command.arg(repository().join("tests/support/terminal.py")).args(["[y/N]", answer]);
    command.arg(kstate.get_program()).args(kstate.get_args());
    command.current_dir(kstate.get_current_dir().unwrap());
    env.clear(&mut command);
    command.envs(variables.iter().copied());
    run(&mut command, "", Duration::from_secs(60))
}

fn greeting() -> (TestEnv, std::path::PathBuf) {
    let env = TestEnv::local("");
    let file = env.scratch("greeting");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: hello\n", file.display()));
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    (env, file)
}

#[test]
fn a_pipe_gets_no_escape_codes() {
    let (env, _file) = greeting();
    for words in
        [&["diff", "it"][..], &["diff", "it", "-v"], &["show", "lowstate", "it"], &["check"], &["--help"]]
    {
        env.kstate(words).does_not_say("\u{1b}");
    }
    env.sls("it", "a:\n  file.manged: []\n");
    env.kstate(&["diff", "it"]).exits(1).does_not_say("\u{1b}");
}

#[test]
fn a_terminal_gets_colour() {
    let (env, _file) = greeting();
    at_a_terminal(&env, "", &["diff", "it"], &[]).exits(2).says(ESCAPE).says("\u{1b}[32m+hello");
}

#[test]
fn a_terminal_gets_no_colour_where_nobody_wants_it() {
    let (env, _file) = greeting();
    let output = at_a_terminal(&env, "", &["diff", "it"], &[("NO_COLOR", "1")]);
    // The line that shows what goes on is cleared all the same.
    output.exits(2).does_not_say("\u{1b}[3").does_not_say("\u{1b}[1m").says("+hello");
}

#[test]
fn what_a_host_says_does_not_steer_the_terminal() {
    const HIDES: [&str; 3] = ["\u{1b}[8m", "\u{1b}]0;title\u{7}", "\u{9b}2J"];
    let (env, file) = greeting();
    std::fs::write(&file, HIDES.concat()).unwrap();
    env.sls(
        "it",
        &format!(
            "{}:\n  file.managed:\n    - contents: hello\nfails:\n  cmd.run:\n    - name: printf '\\033[8mhidden' >&2; false\n",
            file.display()
        ),
    );
    let output = at_a_terminal(&env, "y\n", &["apply", "it"], &[]);
    output.exits(1).says("-␛[8m␛]0;title␇\u{fffd}2J").says("ended with status 1: ␛[8mhidden");
    for hides in HIDES {
        output.does_not_say(hides);
    }
    // A program gets what there is.
    std::fs::write(&file, HIDES.concat()).unwrap();
    let change = env.diff().report()["states"][0]["changes"][0].clone();
    assert!(change["diff"].as_str().unwrap().contains(&HIDES.concat()), "{change}");
}

#[test]
fn yes_at_the_question_makes_the_difference() {
    let (env, file) = greeting();
    let output = at_a_terminal(&env, "y\n", &["apply", "it"], &[]);
    output.exits(0).says("+hello").says("Apply 1 state to 1 host? [y/N]").says("1 changed");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "hello\n", "{output}");
}

#[test]
fn no_at_the_question_changes_nothing() {
    for answer in ["n\n", "\n", "\u{4}"] {
        let (env, file) = greeting();
        let output = at_a_terminal(&env, answer, &["apply", "it"], &[]);
        output.exits(1).says("[y/N]").says("Nothing was changed.");
        assert!(!file.exists(), "{output}");
    }
}

#[test]
fn nothing_is_asked_where_nothing_differs() {
    let (env, file) = greeting();
    std::fs::write(file, "hello\n").unwrap();
    let output = at_a_terminal(&env, "n\n", &["apply", "it"], &[]);
    output.exits(0).says("Everything is as declared.").does_not_say("[y/N]");
}

#[test]
fn what_takes_long_shows_its_time_and_its_last_line() {
    let env = TestEnv::local("long:\n  cmd.run:\n    - name: echo 'now at 40 percent'; sleep 3\n");
    let output = at_a_terminal(&env, "", &["apply", "it", "--yes"], &[]);
    output.exits(0).says("making long").says("now at 40 percent");
    // The time goes on although nothing more is said.
    assert!(output.stdout.contains("(1.") || output.stdout.contains("(2."), "{output}");
}

#[test]
fn json_goes_to_standard_output_alone() {
    let (env, _file) = greeting();
    let output = env.diff();
    assert_eq!(output.json()["command"], "diff");
    assert_eq!(output.stderr, "", "{output}");
}

#[test]
fn the_commits_that_were_shown_before_the_question_are_deployed_and_no_later_one() {
    let deployment = Deployment::new("");
    meanwhile(&deployment, COMMIT);
    let last = deployment.commit("app.py", "pass\n", "Add the app");
    let output = at_a_terminal(&deployment.env, "y\n", &["apply", "it"], &[("NO_COLOR", "1")]);
    output.exits(0).says("Apply 3 states to 1 host?").says("predicted 3 changes, happened 3");
    assert_eq!(deployment.deployed(), last);
    assert_ne!(deployment.git("upstream", &["rev-parse", "HEAD"]), last);
}

#[test]
fn where_all_is_held_there_is_no_question() {
    let (deployment, _) = held();
    let before = deployment.deployed();
    let output = at_a_terminal(&deployment.env, "y\n", &["apply", "it"], &[]);
    output.exits(1).says("held: ").says("Nothing was changed: what differs is held.").does_not_say("[y/N]");
    assert_eq!(deployment.deployed(), before);
}

#[test]
fn ctrl_c_at_the_question_ends_at_once_and_changes_nothing() {
    let (env, file) = greeting();
    let output = at_a_terminal(&env, "\u{3}", &["apply", "it"], &[]);
    output.exits(130).within(20).says("Nothing was changed.");
    assert!(!file.exists());
}
