//! Records that were forged: root trusts what root wrote, where only root can write.

use std::time::Duration;

use crate::support::{Host, Output, Running, TestEnv};

const LIMIT: Duration = Duration::from_secs(60);
const APPLY: [&str; 3] = ["apply", "it", "--yes"];
const CHANGES: &str = "it:\n  test.succeed_with_changes: []\n";

fn run_as(env: &TestEnv, user: &str, words: &[&str]) -> Output {
    Running::start(env.command(words).env("USER", user), "").wait(LIMIT)
}

fn host(name: &str) -> Host {
    Host::with(name, &["--pristine", "--user", "app"])
}

fn as_app(host: &Host, script: &str) {
    host.sh(&format!("su - app -s /bin/sh <<'END'\n{script}\nEND"));
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_users_forge_is_neither_done_nor_waited_for() {
    let host = host("forged");
    let sls = "cron:\n  service.running: []\n";
    let env = TestEnv::of(&host, sls);
    env.kstate(&APPLY).exits(0);
    let began = "systemctl show -p ActiveEnterTimestampMonotonic cron";
    let before = host.sh(began);
    // A refresh that root is said to owe, and what would hang whoever reads it.
    as_app(
        &host,
        r#"k=~/.local/state/kstate; mkdir -p $k/owed $k/jobs/x $k/brackets/1-1/01
for n in 0123456789abcdef fedcba9876543210; do
printf 'state: service.running\nid: cron\nname: cron\nbecause: x\nsince: 1\n' >$k/owed/$n; done
mkfifo $k/owed/pipe $k/jobs/x/about $k/brackets/1-1/01/about
for d in kstate-hold.0 kstate-run.0 kstate-run.1000; do
mkdir /var/tmp/$d; mkfifo /var/tmp/$d/about /var/tmp/$d/beat /var/tmp/$d/shell /var/tmp/$d/parent; done
mkfifo /var/tmp/kstate-run.5 /var/tmp/kstate-hold.x; ln -s /dev/zero /var/tmp/kstate-run.zero
truncate -s 5G /var/tmp/kstate-hold.huge
ln -s "owner: eve
until: 99999999999" "/var/tmp/kstate-hold.7
/etc/passwd"
ln -s ../../tmp/x /var/tmp/kstate-run.y
m=$(stat -c '%Y' /proc/1); ln -s "owner: eve
run: 1
boot: $(cat /proc/sys/kernel/random/boot_id)
shells: ../../var/tmp/kstate-run.1000 1;
parent: ../../var/tmp/kstate-run.1000 1" /var/tmp/kstate-run.path
setsid flock /var/tmp sleep 300 >/dev/null 2>&1 &
sleep 1"#,
    );
    for words in [&["diff", "it"][..], &APPLY, &["token", "show"], &["jobs"], &["show", "lowstate"]] {
        let output = run_as(&env, "ada", words);
        output.exits(0).does_not_say("owed").does_not_say("has been open").does_not_say("root:x:");
        assert!(output.took < Duration::from_secs(30), "{output}");
    }
    assert_eq!(host.sh(began), before);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_forged_token_is_a_note_and_that_of_a_login_counts() {
    let host = host("claims");
    let env = TestEnv::of(&host, CHANGES);
    let roster = |more: &str| env.write("roster", &format!("{0}: {0}\n{more}", host.name));
    let app = format!("two:\n  host: {}\n  user: app\n", host.name);
    let forge = |owner: &str| {
        let text = format!("owner: {owner}\nreason: \u{1b}[31m\nsince: 1\nuntil: 9999999999");
        as_app(&host, &format!("ln -sfn '{text}' /var/tmp/kstate-hold.0.forged"));
    };
    forge("eve");
    let note = "the user `app` of the host says that the token is held by eve";
    run_as(&env, "bob", &APPLY).exits(0).says(note).does_not_say("\u{1b}[31m");
    run_as(&env, "bob", &["diff", "it"]).exits(0).says(note);
    run_as(&env, "bob", &["token", "show"]).exits(0).says("  free").says(note);
    // The roster names the user as a login of this host: then it counts.
    roster(&app);
    let meant = [&APPLY[..], &["-t", &host.name]].concat();
    run_as(&env, "bob", &meant).exits(1).says("the token is held by eve");
    // Who has no such login finds it no more in the way.
    roster("");
    run_as(&env, "bob", &APPLY).exits(0).says(note);
    run_as(&env, "bob", &["token", "release", "--force"]).exits(0);
    assert_eq!(host.sh("ls -A /var/tmp | grep -c '^kstate-' || true"), "0");
    // A record of root cannot be written by anybody else.
    as_app(&host, "mkdir -p /run/kstate 2>/dev/null; ! ln -s x /run/kstate/hold 2>/dev/null");
    run_as(&env, "bob", &APPLY).exits(0).does_not_say("note:");
    // Where others can change the journal, nothing in it is trusted.
    host.sh("chmod 777 /var/lib/kstate");
    run_as(&env, "bob", &APPLY).exits(1).says("others than root can change /var/lib/kstate");
}
