//! Login files of another user that leave a writer behind: it prints into no job but its own.

use crate::support::{Host, TestEnv};

/// Login files that print, in the background and for some seconds, whatever root might take for an answer; and that write down
/// all they can see of the engine.
const PROFILE: &str = r#"
exec 4>&1 5>&2
{ env; tr '\0' '\n' </proc/$$/environ; tr '\0' ' ' </proc/$$/cmdline; ls -l /proc/$$/fd; tr '\0' ' ' </proc/$PPID/cmdline; } >>~/seen 2>&1
( trap '' PIPE HUP TERM; n=0 m=$(cat ~/nonce 2>/dev/null)
while [ $n -lt 300000 ]; do n=$((n + 1))
echo '* * * * * touch /root/of-app' >&4; echo '* * * * * touch /root/of-app' >&5
printf 'kstate:%sR\nkstate:%sW\nkstate:%sE0 0\nkstate:%sD root\n' "$m" "$m" "$m" "$m" >&4
done ) </dev/null >/dev/null 2>&1 &
"#;

fn attacked(name: &str) -> Host {
    let host = Host::with(name, &["--pristine", "--user", "app"]);
    host.sh(&format!(
        "cd /home/app && printf %s {} >.bash_profile && chown app:app .bash_profile",
        quoted(PROFILE)
    ));
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
of_root:
  cmd.run:
    - name: sleep 1; echo own; echo own >&2; exit 3
";

#[test]
#[ignore = "needs a sandbox host"]
fn what_login_files_leave_behind_prints_into_no_job_of_root() {
    let host = attacked("streams");
    let env = TestEnv::of(&host, STATES);
    for _ in 0..3 {
        let output = env.apply();
        output.exits(1).within(60);
        assert_eq!(output.outcome("first"), "changed", "{output}");
        assert!(
            output.reason("of_root").contains("status 3") && output.reason("of_root").contains("own"),
            "{output}"
        );
        // Only what runs as `app` is spoilt.
        for id in ["backup", "/srv/list", "/srv/other", "of_root"] {
            let state = output.state(id).to_string();
            assert!(!state.contains("of-app"), "{id}: {state}");
        }
    }
    assert_ne!(host.sh("ps -u app -o comm= | grep -c bash || true"), "0", "the writer is gone");
    let crontab = host.sh("crontab -l | grep -v '^#'");
    assert_eq!(crontab, "7 * * * * /usr/bin/true");
    assert_eq!(host.sh("cat /srv/list /srv/other"), "declared\ndeclared");
    assert_eq!(host.sh("ls -A /root | grep of-app || true"), "");
    env.kstate(&["diff", "it"]).does_not_say("of-app");
    assert!(host.sh("cat /home/app/seen").contains("HOME=/home/app"), "the login files were not read");
}

#[test]
#[ignore = "needs a sandbox host"]
fn another_user_sees_nothing_of_the_engine_but_its_own_job() {
    let host = attacked("seen");
    let env =
        TestEnv::of(&host, "first:\n  cmd.run:\n    - name: ls -l /proc/self/fd >~/fds\n    - runas: app\n");
    env.apply().exits(0);
    let seen = host.sh("cat /home/app/seen");
    // 3 is the folder that is listed; 4 and 5 may be the login files' own copies of 1 and 2.
    let open = host.sh("sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' /home/app/fds | sort -n | tr '\\n' ' '");
    let is_own = |number: &str| ["0", "1", "2", "3", "4", "5"].contains(&number);
    assert!(open.split_whitespace().all(is_own), "{}", host.sh("cat /home/app/fds"));
    let pipes = host.sh("sed -n 's/.* -> pipe/pipe/p' /home/app/fds | sort -u | wc -l");
    assert!(pipes.parse::<u32>().unwrap() <= 2, "{}", host.sh("cat /home/app/fds"));
    // Nothing that looks like the secret of an exchange.
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
    output.within(60);
    for id in ["backup", "/srv/list", "/srv/other", "of_root"] {
        let state = output.state(id).to_string();
        assert!(!state.contains("of-app"), "{id}: {state}");
    }
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
