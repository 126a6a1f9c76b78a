//! The demo of the main job, from a bare server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Folder, Host, TestEnv, repository, run};

#[test]
#[ignore = "needs a sandbox host"]
fn the_kingfisher_demo_does_what_it_says_from_a_bare_server() {
    let mut demo = Command::new(repository().join("examples/kingfisher/demo.sh"));
    // Beside `debug/`, where the program under test stands.
    let target = Path::new(env!("CARGO_BIN_EXE_kstate")).ancestors().nth(2).unwrap();
    demo.arg("--pristine").env("CARGO_TARGET_DIR", target).env("NO_COLOR", "1");
    if std::env::var_os("KSTATE_SANDBOX_DIR").is_none() {
        demo.env("KSTATE_SANDBOX_DIR", target.join("sandbox"));
    }
    let output = run(&mut demo, "", Duration::from_secs(900));
    output.exits(0).does_not_say("NOT AS STATED").says(" 0 not as stated");
    let checks = output.stdout.lines().filter(|line| line.trim_start().starts_with("ok ")).count();
    assert!(checks >= 60, "only {checks} checks: {output}");
}

#[test]
#[ignore = "needs a sandbox host"]
fn the_difference_of_a_bare_server_has_no_false_failure() {
    let host = Host::pristine("bare");
    let env = TestEnv::kingfisher(&host);
    let output = env.kstate(&["diff", "ocdskingfisherprocess", "--format", "json"]);
    output.exits(2);
    let report = output.report();
    assert_eq!(report["summary"]["failed"], 0, "{output}");
    assert_eq!(report["logins"], 1, "{output}");
    assert!(report["summary"]["drift"].as_u64() > Some(20), "{output}");
    assert!(report["states"].as_array().unwrap().len() > 50, "{output}");
}

#[test]
fn the_quickstart_does_what_it_says() {
    // Whoever runs the test keeps the crontab as it is: the demo leaves it alone where there is none.
    let folder = Folder::new();
    let crontab = folder.write("bin/crontab", "#!/bin/sh\nexit 127\n");
    fs::set_permissions(&crontab, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", crontab.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut demo = Command::new(repository().join("examples/quickstart/demo.sh"));
    demo.env("PATH", path);
    let target = Path::new(env!("CARGO_BIN_EXE_kstate")).ancestors().nth(2).unwrap();
    demo.env("CARGO_TARGET_DIR", target).env("NO_COLOR", "1");
    let output = run(&mut demo, "", Duration::from_secs(180));
    output.exits(0).does_not_say("NOT AS STATED").says(" 0 not as stated");
}
