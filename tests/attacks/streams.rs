//! Login files of another user that leave a writer behind: it prints into no job but its own.

use crate::support::{Host, TestEnv};

/// Login files that print, in the background and for a minute, whatever root might take for an answer; and that write down
/// all they can see of the engine.
const PROFILE: &str = r#"
exec 4>&1 5>&2
{ env; tr '\0' '\n' </proc/$$/environ; tr '\0' ' ' </proc/$$/cmdline; ls -l /proc/$$/fd; tr '\0' ' ' </proc/$PPID/cmdline; } >>~/seen 2>&1
( trap '' PIPE HUP TERM; n=0
while [ $n -lt 6000 ]; do n=$((n + 1))
echo '* * * * * touch /root/of-app' >&4; echo '* * * * * touch /root/of-app' >&5
for m in B W 'E0 0' 'E1 0' 'E2 0' 'D root'; do echo "kstate:$(cat ~/nonce 2>/dev/null)$m" >&4; done
sleep 0.01; done ) </dev/null >/dev/null 2>&1 &
"#;

fn attacked(name: &str) -> Host {
    let host = Host::with(name, &["--pristine", "--user", "app"]);
    let files = "cd /home/app && cat >.bash_profile && chown app:app .bash_profile && install -o app -m 644 /dev/null seen";
    host.sh(&format!("{files} <<'PROFILE'\n{PROFILE}PROFILE"));
    host
}

const STATES: &str = "\
first:
  cmd.run:
    - name: echo mine
    - runas: app
backup:
  cron.present:
    - name: /usr/bin/true
    - user: root
    - minute: 7
/srv/list:
  file.append:
    - text: declared
again:
  cmd.run:
    - name: sleep 0.2; echo mine
    - runas: app
/srv/other:
  file.managed:
    - contents: declared
";

#[test]
#[ignore = "needs a sandbox host"]
fn what_login_files_leave_behind_prints_into_no_job_of_root() {
    let host = attacked("streams");
    let env = TestEnv::of(&host, STATES);
    for _ in 0..3 {
        let output = env.apply();
        output.exits(0).within(60);
        assert_eq!(output.outcome("first"), "changed", "{output}");
        output.does_not_say("of-app");
    }
    let crontab = host.sh("crontab -l | grep -v '^#'");
    assert_eq!(crontab, "7 * * * * /usr/bin/true");
    assert_eq!(host.sh("cat /srv/list /srv/other"), "declared\ndeclared");
    assert_eq!(host.sh("ls -A /root | grep of-app || true"), "");
    env.kstate(&["diff", "it"]).does_not_say("of-app");
}

#[test]
#[ignore = "needs a sandbox host"]
fn another_user_sees_nothing_of_the_engine_but_its_own_job() {
    let host = attacked("seen");
    let env =
        TestEnv::of(&host, "first:\n  cmd.run:\n    - name: ls -l /proc/self/fd >~/fds\n    - runas: app\n");
    env.apply().exits(0);
    let seen = host.sh("cat /home/app/seen");
    // No socket or pipe of the held shell beside the three of the job, and nothing that looks like a secret.
    let open = host.sh("sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' /home/app/fds | sort -n | tr '\\n' ' '");
    assert_eq!(open.trim(), "0 1 2 3", "{}", host.sh("cat /home/app/fds"));
    let is_secret = |word: &str| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let secrets: Vec<&str> =
        seen.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_secret(word)).collect();
    assert_eq!(secrets, Vec::<&str>::new(), "{seen}");
    assert!(seen.contains("HOME=/home/app"), "{seen}");
}

/// Login files that read the job itself, learn its nonce, and print markers with it.
#[test]
#[ignore = "needs a sandbox host"]
fn login_files_that_eat_their_job_spoil_that_alone() {
    let host = attacked("eaters");
    let eater = "head -n 1 | tr -d ' ' | cut -c 1-32 >~/nonce; cat >/dev/null\n";
    host.sh(&format!("printf %s {} >>/home/app/.bash_profile", quoted(eater)));
    let env = TestEnv::of(&host, STATES);
    let output = env.apply();
    output.within(60).does_not_say("of-app");
    assert_eq!(output.outcome("backup"), "changed", "{output}");
    assert_eq!(host.sh("crontab -l | grep -v '^#'"), "7 * * * * /usr/bin/true");
    assert_eq!(
        host.sh("cat /srv/list /srv/other; cut -c 1-32 /home/app/nonce | wc -c"),
        "declared\ndeclared\n33"
    );
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
