//! Ctrl-C and SIGTERM, at whatever moment; and what is bounded whatever a command prints.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Running, Sshd, TestEnv, until};

fn send(running: &Running, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &running.child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The most memory that a program has used so far, in MiB.
fn memory(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// A state whose command writes its number into a file, and goes on for good.
fn endless(env: &TestEnv, command: &str) -> std::path::PathBuf {
    let pid = env.scratch("pid");
    let shown = pid.display();
    env.sls(
        "it",
        &format!(
            "endless:\n  cmd.run:\n    - name: echo $$ >{shown}.new; mv {shown}.new {shown}; {command}\n"
        ),
    );
    pid
}

fn is_gone(pid: &std::path::Path) -> bool {
    let number = std::fs::read_to_string(pid).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", number.trim()));
    stat.map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

#[test]
fn a_command_that_prints_for_good_is_ended_at_once_and_the_token_is_given_back() {
    let sshd = Sshd::start();
    for env in [TestEnv::over(&sshd, ""), TestEnv::local("")] {
        let pid = endless(&env, "yes");
        let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
        until("the command runs", || pid.exists());
        thread::sleep(Duration::from_secs(1));
        let asked = Instant::now();
        send(&running, "TERM");
        let output = running.wait(Duration::from_secs(60));
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}: {output}", asked.elapsed());
        output.exits(130);
        assert!(output.reason("endless").contains("interrupted"), "{output}");
        assert!(is_gone(&pid), "the command goes on: {output}");
        env.sls("it", "nothing:\n  test.nop: []\n");
        env.apply().exits(0).within(9).does_not_say("waiting");
    }
}

#[test]
fn two_signals_within_a_second_are_one() {
    let env = TestEnv::local("");
    let pid = endless(&env, "sleep 100");
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("the command runs", || pid.exists());
    send(&running, "TERM");
    thread::sleep(Duration::from_millis(20));
    send(&running, "TERM");
    let output = running.wait(Duration::from_secs(20));
    output.exits(130);
    assert_eq!(output.outcome("endless"), "failed", "{output}");
    assert!(is_gone(&pid), "the command goes on: {output}");
}

#[test]
fn a_command_that_takes_no_hint_is_killed() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    let pid = endless(&env, "trap '' TERM; while :; do sleep 0.1; done");
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("the command runs", || pid.exists());
    thread::sleep(Duration::from_millis(300));
    running.interrupt();
    let output = running.wait(Duration::from_secs(30));
    output.exits(130);
    until("the command is gone", || is_gone(&pid));
}

#[test]
fn endless_output_takes_no_memory() {
    let sshd = Sshd::start();
    for env in [TestEnv::over(&sshd, ""), TestEnv::local("")] {
        let pid = endless(&env, "yes");
        let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
        until("the command runs", || pid.exists());
        let before = memory(&running);
        thread::sleep(Duration::from_secs(5));
        let after = memory(&running);
        send(&running, "TERM");
        running.wait(Duration::from_secs(60)).exits(130);
        assert!(after < before + 20, "{before} MiB grew to {after} MiB");
    }
}

#[test]
fn one_long_line_is_read_in_a_moment() {
    let sshd = Sshd::start();
    let env =
        TestEnv::over(&sshd, "long:\n  cmd.run:\n    - name: head -c 30000000 /dev/zero | tr '\\0' x\n");
    env.apply().exits(0).within(60);
}
