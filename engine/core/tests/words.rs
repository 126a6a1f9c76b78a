//! Scripts that travel on a descriptor, run by the shells of this machine.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use kstate_core::words::with_script;

/// The status and the output of a script, run as the held shell runs jobs.
fn run(shell: &str, script: &str) -> (Option<i32>, String) {
    let line = with_script("timeout 20 ", shell, script);
    let mut command = Command::new("sh");
    command.args(["-c", "cd /; eval \"$1\"", "sh", &line]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"input\n").unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_script_keeps_its_input_name_and_status_and_is_in_no_command_line() {
    for shell in ["/bin/sh", "/bin/bash", "dash"] {
        let show = "tr '\\0' ' ' </proc/$$/cmdline | grep -c 'a sec''ret'; # a secret";
        assert_eq!(run(shell, show).1, "0\n", "{shell}");
        let (status, said) = run(
            shell,
            "read x; echo \"$x it's $0\"; for fd in 3 4; do eval \"true <&$fd\" 2>/dev/null || echo closed; done; echo ${kstate_s-none}; exit 7",
        );
        assert_eq!(
            (status, said),
            (Some(7), format!("input it's {shell}\nclosed\nclosed\nnone\n")),
            "{shell}"
        );
    }
    assert_eq!(run("/usr/bin/perl", "print 'got ', <STDIN>; exit 3"), (Some(3), "got input\n".to_owned()));
}
