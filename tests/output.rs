//! All that commands print is shown, or kept; and what cannot be written is an error.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{TestEnv, run};

const LOUD: &str = "\
fails:
  cmd.run:
    - name: for n in $(seq 1 50); do echo \"line $n.\"; done; echo 'DeprecationWarning' >&2; exit 3
works:
  cmd.run:
    - name: echo hello $((6 * 7)); echo and a warning >&2
quiet:
  cmd.run:
    - name: echo hidden $((6 * 7))
    - hide_output: True
";

#[test]
fn a_failure_shows_both_streams_with_a_mark_of_what_was_left_out() {
    let env = TestEnv::local(LOUD);
    let output = env.kstate(&["apply", "it", "--yes"]);
    output
        .exits(1)
        .says("line 50.")
        .says("line 11.")
        .says("… 10 lines left out …")
        .says("DeprecationWarning");
    output.does_not_say("line 10.").does_not_say("hello 42").does_not_say("hidden 42");
    assert_eq!(output.stdout.matches("for n in").count(), 1, "the command is told once: {output}");
}

#[test]
fn verbose_and_json_have_the_whole_output() {
    let env = TestEnv::local(LOUD);
    let output = env.kstate(&["apply", "it", "--yes", "-v"]);
    output.exits(1).says("line 1.").says("line 50.").says("hello 42").says("and a warning");
    output.does_not_say("hidden 42").does_not_say("left out");
    let output = env.apply();
    let failed = &output.state("fails")["output"][0];
    assert_eq!((failed["status"].as_i64(), failed["omitted_bytes"].as_u64()), (Some(3), Some(0)), "{output}");
    assert!(failed["stdout"].as_str().unwrap().starts_with("line 1.\nline 2.\n"), "{output}");
    assert_eq!(failed["stderr"], "DeprecationWarning\n", "{output}");
    assert_eq!(output.state("works")["output"][0]["stdout"], "hello 42\n", "{output}");
    assert!(output.state("quiet").get("output").is_none(), "{output}");
}

#[test]
fn output_that_is_too_long_is_kept_at_both_ends_and_counted() {
    let env = TestEnv::local(
        "a:\n  cmd.run:\n    - name: echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last\n",
    );
    let output = env.apply();
    let printed = &output.state("a")["output"][0];
    let text = printed["stdout"].as_str().unwrap();
    assert!(
        text.starts_with("first\n") && text.ends_with("last\n") && text.len() < 2_000_000,
        "{}",
        text.len()
    );
    assert!(printed["omitted_bytes"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn a_run_has_a_log_for_its_owner_alone() {
    let env = TestEnv::local(LOUD);
    env.pillar("private.p", "password: pw-Zx81-correct-horse\n");
    env.sls("it", &format!("{LOUD}tells:\n  cmd.run:\n    - name: echo {{{{ pillar.password }}}}\n"));
    env.kstate(&["log"]).exits(0).says("No run has a log yet.");
    env.kstate(&["diff", "it"]).exits(0);
    env.kstate(&["log", "last"]).exits(64).says("no run `last` has a log");
    env.kstate(&["apply", "it", "--yes"]).exits(1);
    let list = env.kstate(&["log"]);
    list.exits(0).says("kstate apply it");
    let log = env.kstate(&["log", "last"]);
    log.exits(0).says("line 1.").says("hello 42").says("echo ********").says("1 failed");
    log.does_not_say("Zx81").does_not_say("hidden 42");
    let run = list.stdout.split_whitespace().next().unwrap();
    assert_eq!(env.kstate(&["log", run]).stdout, log.stdout);
    let json = env.kstate(&["log", run, "--format", "json"]);
    assert_eq!(json.json()["run"], run, "{json}");
    json.does_not_say("Zx81");
    let runs = env.path("../home/.local/state/kstate/runs");
    for path in [runs.clone(), runs.join(run)] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    for number in 1..=60 {
        fs::create_dir(runs.join(format!("{number}-1"))).unwrap();
    }
    env.kstate(&["apply", "it", "--yes"]).exits(1);
    assert_eq!(fs::read_dir(&runs).unwrap().count(), 50);
    assert!(runs.join(run).exists(), "the oldest go first");
}

#[test]
fn what_cannot_be_written_is_an_error_of_every_command() {
    let env = TestEnv::local("a:\n  test.succeed_with_changes: []\n");
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    for words in [
        &["diff"][..],
        &["diff", "--format", "json"],
        &["apply", "--yes"],
        &["apply", "--yes", "--format", "json"],
        &["check"],
        &["show", "grains"],
        &["show", "lowstate", "--format", "json"],
        &["jobs", "--format", "json"],
        &["token", "show"],
        &["log", "--format", "json"],
        &["--help"],
        &["diff", "--help"],
        &["--version"],
    ] {
        let mut command = env.command(words);
        command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("standard output cannot be written"), "{words:?}: {said}");
        // A reader that has gone away is no error.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = env.command(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{words:?}: {said}");
        assert!(!said.contains("cannot be written"), "{words:?}: {said}");
    }
}

#[test]
fn a_plan_is_neither_written_to_nor_read_from_a_device_or_a_huge_file() {
    let env = TestEnv::local("a:\n  test.succeed_with_changes: []\n");
    let huge = env.scratch("huge").display().to_string();
    File::create(&huge).unwrap().set_len(5 << 30).unwrap();
    let pipe = env.scratch("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in ["/dev/full", "/dev/zero", "/dev/stdin", "/", &huge, &pipe] {
        for words in [&["diff", "it", "--out", file][..], &["apply", "--plan", file]] {
            let output = run(&mut env.command(words), "", Duration::from_secs(20));
            output.exits(64).says(file);
        }
    }
    assert_eq!(fs::metadata(&huge).unwrap().len(), 5 << 30);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let env = TestEnv::local("a:\n  test.succeed_with_changes: []\n");
    for (words, said) in [
        (&["diff", "-t", "web1"][..], "`--local` means this machine"),
        (&["-t", "web1", "diff"], "`--local` means this machine"),
        (&["apply", "it", "--yes", "-t", "web1"], "`--local` means this machine"),
        (&["check", "-L", "-t", "web1"], "`--local` means this machine"),
        (&["diff", "-L"], "`-L` says how to read `-t`"),
        (&["apply", "--plan", "x", "--yes"], "`--plan` never asks"),
        (&["apply", "it", "--format", "json"], "give `--yes` too"),
        (&["apply", "it", "--plan", "x"], "cannot be used with"),
        (&["jobs", "--pillar", "{}"], "`--pillar` means nothing to this command"),
        (&["token", "show", "--grains", "x"], "`--grains` means nothing to this command"),
    ] {
        env.kstate(words).exits(64).says(said);
    }
}
