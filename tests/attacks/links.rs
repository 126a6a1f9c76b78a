//! Links that `app` plants in its own directories, and files of other kinds where one is declared.

use crate::support::{Host, TestEnv};

/// Each state meets a link of `app` to a file or directory of root's.
const PLANTED: &[(&str, &str)] = &[
    ("key", "  ssh_auth.present:\n    - name: ssh-ed25519 AAAA\n    - user: app\n"),
    ("/home/app/written", "  file.managed:\n    - contents: x\n"),
    ("/home/app/kept", "  file.managed:\n    - replace: False\n    - mode: '0666'\n"),
    ("/home/app/edited", "  file.append:\n    - text: x\n"),
    ("/home/app/replaced", "  file.replace:\n    - pattern: secret\n    - repl: x\n"),
    ("/home/app/dir/below/x", "  file.managed:\n    - contents: x\n    - makedirs: True\n"),
    ("/home/app/dir/gone", "  file.absent: []\n"),
    ("/home/app/dir/link", "  file.symlink:\n    - target: /etc/passwd\n"),
];

const ROOTS: &str = "cd /root/own && stat -c '%n %a %U %h' . * && cat file && ls -A dir";

fn planted(host: &Host) {
    host.sh(
        "mkdir -p /root/own/dir && cd /root/own && echo secret >file && chmod 600 file && touch dir/gone
su app -c 'cd && for l in written kept edited replaced; do ln -s /root/own/file $l; done
ln -s /root/own/dir dir; rm -f .ssh/authorized_keys; mkdir -p .ssh; ln -s /root/own/file .ssh/authorized_keys'",
    );
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_link_to_a_file_of_root_is_not_followed() {
    let host = Host::with("links", &["--full", "--user", "app"]);
    planted(&host);
    let before = host.sh(ROOTS);
    for (id, state) in PLANTED {
        let env = TestEnv::of(&host, &format!("{id}:\n{state}"));
        for words in [&["diff", "it"][..], &["apply", "it", "--yes"]] {
            let output = env.kstate(words);
            output.exits(1);
            let text = format!("{}{}", output.stdout, output.stderr);
            assert!(text.contains("is a link that leads to"), "{id}: {text}");
            assert!(!text.contains("secret\n"), "{id}: {text}");
        }
        assert_eq!(host.sh(ROOTS), before, "{id}");
    }
}

#[test]
#[ignore = "needs a sandbox host"]
fn links_that_root_or_the_owner_made_are_followed_and_shown() {
    let host = Host::with("followed", &["--full", "--user", "app"]);
    host.sh(
        "mkdir -p /srv/t /usr/lib/exalias; echo base >/usr/lib/exalias/conf; ln -s /srv/t/real.conf /etc/link.conf; echo old >/srv/t/real.conf
su app -c 'cd && mkdir r1 && ln -s r1 current && echo old >r1/f'
ln -s /srv/t/of-root /home/app/of-root; ln -s /srv/t/busy /tmp/busy; touch /srv/t/of-root /srv/t/busy
(end=$(($(date +%s) + 50)); while [ $(date +%s) -lt $end ]; do date >/tmp/n; rm /tmp/n; done) >/dev/null 2>&1 &",
    );
    let env = TestEnv::of(
        &host,
        "/etc/link.conf:
  file.managed:
    - contents: new
/home/app/current/f:
  file.managed:
    - contents: new
a:
  file.append:
    - name: /lib/exalias/conf
    - text: line A
b:
  file.append:
    - name: /usr/lib/exalias/conf
    - text: line B
/home/app/of-root:
  file.append:
    - text: x
/tmp/busy:
  file.append:
    - text: x
c:
  file.keyvalue:
    - name: /lib/exalias/conf
    - key: k
    - value: v
    - append_if_not_found: True
",
    );
    env.kstate(&["diff", "it"]).exits(2).says("path: /etc/link.conf -> /srv/t/real.conf").says("line A");
    env.kstate(&["apply", "it", "--yes"]).exits(0);
    env.kstate(&["diff", "it"]).exits(0);
    assert_eq!(host.sh("cat /usr/lib/exalias/conf"), "base\nline A\nline B\nk=v");
    assert_eq!(
        host.sh("cat /srv/t/real.conf /home/app/r1/f /srv/t/of-root /srv/t/busy; readlink /etc/link.conf"),
        "new\nnew\nx\nx\n/srv/t/real.conf"
    );
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_is_no_regular_file_fails_and_blocks_nothing() {
    let host = Host::with("kinds", &["--full", "--user", "app"]);
    host.sh("mkdir -p /srv/y; mkfifo /srv/y/p /home/app/p; ln -s /dev/zero /srv/y/zero; mkdir /srv/y/sg; chmod 2755 /srv/y/sg");
    for path in ["/srv/y/p", "/srv/y/zero", "/home/app/p"] {
        for state in ["managed:\n    - contents: x", "append:\n    - text: x"] {
            let env = TestEnv::of(&host, &format!("{path}:\n  file.{state}\n"));
            for words in [&["diff", "it"][..], &["apply", "it", "--yes"]] {
                let output = env.kstate(words);
                output.exits(1);
                let says = |text: &str| output.stdout.contains(text);
                assert!(says("regular file") || says("special file"), "{path}: {}", output.stdout);
            }
        }
    }
    let env = TestEnv::of(
        &host,
        "/srv/y/m/k/f:
  file.managed:
    - contents: x
    - mode: '0600'
    - user: app
    - makedirs: True
/srv/y/sg:
  file.directory:
    - mode: '0755'
",
    );
    env.kstate(&["apply", "it", "--yes"]).exits(0);
    env.kstate(&["diff", "it"]).exits(0);
    assert_eq!(
        host.sh("stat -c '%a %U' /srv/y/m /srv/y/m/k /srv/y/m/k/f /srv/y/sg"),
        "700 app\n700 app\n600 app\n755 root"
    );
}
