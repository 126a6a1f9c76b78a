//! Brackets on a real host: what is taken away comes back, whatever becomes of the command, the connection, the controller
//! and the host.

use std::time::Duration;

use crate::support::{Host, Output, Running, TestEnv, until};

const LIMIT: Duration = Duration::from_secs(90);

/// A migration of six seconds, during which no worker may run and no job of cron may start one.
const TREE: &str = "migrate:\n  cmd.run:\n    - name: crontab -u ann -l | grep -c '^#kstate-suspended' >/srv/seen; \
                    pgrep -u ann -fc 'sleep 54321' >>/srv/seen; systemctl is-active redis-server >>/srv/seen; date >>/srv/begun; sleep 6; test ! -e /srv/fails && date >>/srv/ended\n    \
                    - durable: True\n    - creates: /srv/ended\n\
                    paused:\n  cron.suspended:\n    - user: ann\n    - match: sleep\n    - around:\n      - cmd: migrate\n\
                    stopped:\n  process.stopped:\n    - pattern: sleep 54321\n    - user: ann\n    - around:\n      - cmd: migrate\n    - require:\n      - cron: paused\n\
                    redis-server:\n  service.stopped:\n    - around:\n      - cmd: migrate\n";

/// Three workers of one kind and one of another, as cron starts them, and their crontab.
fn prepare(host: &Host) {
    host.sh(
        "id -u ann >/dev/null 2>&1 || useradd -m -s /bin/bash ann\n\
         pkill -KILL -u ann; rm -f /srv/begun /srv/ended /srv/fails /srv/seen\n\
         printf '# a comment\\n0 * * * * sleep 54321\\n#5 * * * * sleep 54321\\n7 * * * * true\\nMAILTO=\"\"\\n' | crontab -u ann -\n\
         work() { (cd /tmp; KIND=$1 setsid runuser -u ann -- sh -c 'cd /home/ann; sleep 54321; true' $1 >/dev/null 2>&1 </dev/null &); }\n\
         work a; work a; work a; work b; sleep 0.3",
    );
}

/// The crontab, which workers run, and whether the service does.
fn state(host: &Host) -> String {
    host.sh(
        "crontab -u ann -l | sha256sum; for p in $(pgrep -u ann -f '^sleep 54321'); do readlink /proc/$p/cwd; tr '\\0' '\\n' </proc/$p/environ | grep KIND=; done | sort; systemctl is-active redis-server",
    )
}

/// What `state` says with one worker of each kind.
fn restored(host: &Host) -> String {
    let tab = host.sh("printf '# a comment\\n0 * * * * sleep 54321\\n#5 * * * * sleep 54321\\n7 * * * * true\\nMAILTO=\"\"\\n' | sha256sum");
    format!("{tab}\n/home/ann\n/home/ann\nKIND=a\nKIND=b\nactive")
}

/// Starts an apply and waits for the migration.
fn migrating(env: &TestEnv, host: &Host) -> Running {
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("it migrates", || host.try_sh("test -e /srv/begun").status == Some(0));
    running
}

/// The controller is killed while the migration runs.
fn die_while_migrating(env: &TestEnv, host: &Host) {
    prepare(host);
    let mut running = migrating(env, host);
    running.child.kill().unwrap();
    running.wait(LIMIT);
}

#[track_caller]
fn changed_all(output: &Output) {
    for id in ["migrate", "paused", "stopped", "redis-server"] {
        assert_eq!(output.outcome(id), "changed", "{id}: {output}");
    }
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_is_taken_away_for_a_migration_comes_back() {
    let host = Host::full("brackets");
    let env = TestEnv::of(&host, TREE);
    prepare(&host);
    let before = state(&host);
    let output = env.diff();
    output.exits(2);
    for id in ["migrate", "paused", "stopped", "redis-server"] {
        assert_eq!(output.outcome(id), "drift", "{id}: {output}");
    }
    assert_eq!(state(&host), before, "a diff changed something");

    let output = env.apply();
    output.exits(0);
    changed_all(&output);
    assert_eq!(host.sh("cat /srv/seen"), "1\n0\ninactive", "{output}");
    assert_eq!(state(&host), restored(&host), "{output}");
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.report()["summary"]["unchanged"], 4, "{output}");

    prepare(&host);
    host.sh("touch /srv/fails");
    let output = env.apply();
    output.exits(1);
    assert_eq!(output.outcome("migrate"), "failed", "{output}");
    assert_eq!(state(&host), restored(&host), "{output}");

    prepare(&host);
    let running = migrating(&env, &host);
    running.interrupt();
    let output = running.wait(LIMIT);
    output.exits(130);
    changed_all(&output);
    assert_eq!(state(&host), restored(&host), "{output}");

    prepare(&host);
    let running = migrating(&env, &host);
    host.end_sessions();
    let output = running.wait(LIMIT);
    output.exits(0).says("connected again");
    changed_all(&output);
    assert_eq!(host.sh("wc -l </srv/begun"), "1", "{output}");
    assert_eq!(state(&host), restored(&host), "{output}");
}

#[test]
#[ignore = "needs a sandbox host"]
fn the_host_itself_brings_back_what_a_dead_controller_took_away() {
    let host = Host::full("watchdog");
    let env = TestEnv::of(&host, TREE);
    die_while_migrating(&env, &host);
    let output = env.diff();
    output.says("`paused` has been open").says("the host leaves it");
    until("the host leaves them", || host.sh("ls /var/lib/kstate/brackets").is_empty());
    assert_eq!(state(&host), restored(&host));
    let output = env.apply();
    output.exits(0);
    assert_eq!(host.sh("wc -l </srv/begun"), "1", "{output}");

    // The second Ctrl-C does not wait for the migration.
    prepare(&host);
    let running = migrating(&env, &host);
    running.interrupt();
    // Signals within a second count once.
    std::thread::sleep(Duration::from_millis(1500));
    running.interrupt();
    let output = running.wait(LIMIT);
    output.exits(130);
    assert_eq!(host.try_sh("test -e /srv/ended").status, Some(1), "it was waited for: {output}");
    until("the host leaves them", || host.sh("ls /var/lib/kstate/brackets").is_empty());
    assert_eq!(state(&host), restored(&host));
    env.apply().exits(0);
    assert_eq!(host.sh("wc -l </srv/begun; wc -l </srv/ended"), "1\n1");

    // Somebody else comes while the command still runs: it is awaited, and nothing is run beside it.
    die_while_migrating(&env, &host);
    let output = env.apply();
    output.exits(0);
    assert!(!output.reason("migrate").contains("failed"), "{output}");
    assert_eq!(host.sh("wc -l </srv/begun"), "1", "{output}");
    assert_eq!(state(&host), restored(&host), "{output}");
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_is_only_taken_up_enters_no_bracket() {
    let host = Host::full("taken-up");
    let env = TestEnv::of(&host, &TREE.replace("    - creates: /srv/ended\n", ""));
    die_while_migrating(&env, &host);
    until("the host leaves them", || host.sh("ls /var/lib/kstate/brackets").is_empty());
    let output = env.diff();
    assert!(output.reason("migrate").contains("has done it"), "{output}");
    for id in ["paused", "stopped", "redis-server"] {
        assert_eq!(output.outcome(id), "in_sync", "{id}: {output}");
    }
    let output = env.apply();
    output.exits(0);
    assert!(output.reason("migrate").contains("its result is taken up"), "{output}");
    assert_eq!(output.outcome("paused"), "unchanged", "{output}");
    assert_eq!(host.sh("wc -l </srv/begun"), "1", "{output}");
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_is_open_after_a_reboot_is_told_by_diff_and_closed_by_apply() {
    let host = Host::full("reboot");
    let env = TestEnv::of(&host, TREE);
    prepare(&host);
    let running = migrating(&env, &host);
    host.reboot();
    let output = running.wait(LIMIT);
    output.exits(1).says("connected again");
    assert_eq!(output.outcome("migrate"), "failed", "{output}");
    assert_eq!(state(&host), restored(&host), "{output}");

    die_while_migrating(&env, &host);
    host.reboot();
    let output = env.diff();
    output.says("`paused` has been open").says("an apply leaves it first").says("did not come to its end");
    let output = env.apply();
    output.exits(0).says("was still open, and is left now");
    assert_eq!(output.outcome("migrate"), "changed", "{output}");
    assert_eq!(host.sh("wc -l </srv/ended"), "1", "{output}");
    assert_eq!(state(&host), restored(&host), "{output}");
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_worker_that_cannot_be_started_is_tried_again_by_the_host() {
    let host = Host::full("tries");
    let env = TestEnv::of(&host, TREE);
    prepare(&host);
    host.sh(
        "cat >/usr/local/bin/systemd-run <<'END' && chmod +x /usr/local/bin/systemd-run
#!/bin/sh
case \"$*\" in *kstate-resumed-*) [ -e /srv/failed ] || { touch /srv/failed; echo 'no bus' >&2; exit 1; } ;; esac
exec /usr/bin/systemd-run \"$@\"
END",
    );
    let output = env.apply();
    output.exits(1);
    assert_eq!(output.outcome("stopped"), "failed", "{output}");
    let reason = output.reason("stopped");
    assert!(reason.contains("the host goes on trying") && reason.contains("no bus"), "{output}");
    until("the host leaves them", || host.sh("ls /var/lib/kstate/brackets").is_empty());
    until("all are at work again", || state(&host) == restored(&host));
}

/// Cron may be about to start a worker while the others are ended. Here one that ends has a successor.
#[test]
#[ignore = "needs a sandbox host"]
fn a_process_that_comes_while_the_others_end_is_ended_as_well() {
    let host = Host::full("successor");
    let tree = "migrate:\n  cmd.run:\n    - name: pgrep -fc '^sleep 54321' >/srv/seen; true\n    - creates: /srv/seen\n\
                stopped:\n  process.stopped:\n    - pattern: ^sleep 54321\n    - around:\n      - cmd: migrate\n";
    let env = TestEnv::of(&host, tree);
    let count = "pgrep -fc '^sleep 54321' || true";
    host.sh("setsid sh -c 'sleep 54321; sleep 54321; true' >/dev/null 2>&1 </dev/null &");
    until("it works", || host.sh(count) == "1");
    let output = env.apply();
    output.exits(0);
    assert_eq!(host.sh("cat /srv/seen"), "0", "{output}");
    assert_eq!(output.outcome("stopped"), "changed", "{output}");
    until("one of its kind works again", || host.sh(count) == "1");
}
