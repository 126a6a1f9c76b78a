//! Commands that run apart from the connection, on a real host: they run once, whatever becomes of the connection and
//! of the controller.

use std::time::Duration;

use crate::support::{Host, TestEnv, until};

const LIMIT: Duration = Duration::from_secs(60);

/// Says that it begins and, after longer than a run has time to come back, that it ended.
const LONG: &str = "long:\n  cmd.run:\n    - name: echo begins; date >>/srv/begun; sleep 16; date >>/srv/ended; echo ends\n    \
                    - durable: True\n    - tmux: deploy\n    - creates: /srv/ended\n";

fn begun(host: &Host) -> bool {
    host.try_sh("test -e /srv/begun").status == Some(0)
}

fn times(host: &Host) -> String {
    host.sh("cat /srv/begun | wc -l; cat /srv/ended | wc -l").replace('\n', " ")
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_durable_command_runs_once_whatever_becomes_of_the_connection() {
    let host = Host::full("durable");
    let env = TestEnv::of(&host, LONG);
    let apply = ["apply", "it", "--yes", "--format", "json"];

    let running = env.start(&apply);
    until("the command runs", || begun(&host));
    host.end_sessions();
    let output = running.wait(LIMIT);
    output.exits(0).says("the connection was lost").says("connected again");
    assert_eq!(output.outcome("long"), "changed", "{output}");
    assert_eq!(times(&host), "1 1", "{output}");
    env.apply().exits(0);

    host.sh("rm /srv/begun /srv/ended");
    let mut running = env.start(&apply);
    until("the command runs", || begun(&host));
    running.child.kill().unwrap();
    let output = running.wait(LIMIT);
    assert_eq!(output.status, None, "{output}");
    let jobs = env.kstate(&["jobs", "--format", "json"]);
    let listed = jobs.exits(0).json()[&host.name].as_array().unwrap().clone();
    assert_eq!(listed.len(), 2, "{jobs}");
    assert_eq!(listed[1]["stage"], "running", "{jobs}");
    assert!(host.sh("tmux list-sessions").contains("deploy"));
    let output = env.diff();
    output.exits(2);
    assert!(output.reason("long").contains("is running it"), "{output}");
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.outcome("long"), "changed", "{output}");
    assert!(output.reason("long").contains("its result is taken up"), "{output}");
    assert_eq!(times(&host), "1 1", "{output}");
    env.diff().exits(0);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_durable_command_is_followed_from_elsewhere_and_brought_to_its_end_before_an_interrupt_counts() {
    let host = Host::pristine("attach");
    let sls = format!("{LONG}after:\n  test.succeed_with_changes:\n    - require:\n      - cmd: long\n");
    let env = TestEnv::of(&host, &sls);
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("the command runs", || begun(&host));
    let attached = env.start(&["attach", "long"]);
    running.interrupt();
    let attached = attached.wait(LIMIT);
    attached.exits(0);
    assert_eq!(attached.stdout, "begins\nends\n", "{attached}");
    let output = running.wait(LIMIT);
    output.exits(130).says("is brought to its end first");
    assert_eq!(output.outcome("long"), "changed", "{output}");
    assert_eq!(output.outcome("after"), "skipped", "{output}");
    env.kstate(&["attach", "nothing"]).exits(64).says("kstate jobs");
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_durable_command_that_fails_says_why_and_is_run_again() {
    let host = Host::pristine("fails");
    let env = TestEnv::of(
        &host,
        "long:\n  cmd.run:\n    - name: echo x >>/srv/tries; echo the reason >&2; sleep 3; test -e /srv/well\n    - durable: True\n",
    );
    let output = env.apply();
    output.exits(1);
    assert!(output.reason("long").contains("ended with status 1: the reason"), "{output}");

    let mut running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("it is tried again", || host.sh("wc -l </srv/tries") == "2");
    running.child.kill().unwrap();
    running.wait(LIMIT);
    until("it has ended", || host.sh("cat /var/lib/kstate/jobs/*/status | wc -l") == "2");
    host.sh("touch /srv/well");
    let output = env.apply();
    output.exits(0).says("ended with status 1 while nobody followed it; it is run again");
    assert_eq!(host.sh("wc -l </srv/tries"), "3");
}
