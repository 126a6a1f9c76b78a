//! The process list of a host shows no secret to an ordinary account.

use crate::support::{Host, TestEnv};

const SECRET: &str = "pw-Zx81-correct-horse";

/// Each keeps running for a while, so that whoever looks has the time to see it.
const STATES: &str = "\
in its text:
  cmd.run:
    - name: 'x={{ pillar.db.password }}; sleep 1; test -n \"$x\"'
in the text for another shell:
  cmd.run:
    - name: 'x={{ pillar.db.password }}; sleep 1; [[ -n $x ]]'
    - shell: /bin/bash
in its environment:
  cmd.run:
    - name: sleep 1; test -n \"$PASSWORD\"
    - env:
      - PASSWORD: {{ pillar.db.password }}
in its input:
  cmd.run:
    - name: cat >/dev/null; sleep 1
    - stdin: {{ pillar.db.password }}
with a limit:
  cmd.run:
    - name: 'sleep 1; test -n {{ pillar.db.password }}'
    - timeout: 30
of another user:
  cmd.run:
    - name: 'sleep 1; test -n {{ pillar.db.password }}'
    - runas: app
in a guard:
  cmd.run:
    - name: 'true'
    - unless: 'sleep 1; test -z {{ pillar.db.password }}'
    - onlyif: 'sleep 1; test -n {{ pillar.db.password }}'
in a check:
  cmd.run:
    - name: 'true'
    - check_cmd:
      - 'sleep 1; test -n {{ pillar.db.password }}'
apart from the connection:
  cmd.run:
    - name: 'sleep 1; test -n {{ pillar.db.password }}'
    - durable: True
/srv/app.ini:
  file.managed:
    - contents: 'password = {{ pillar.db.password }}'
    - mode: '0600'
    - check_cmd: 'sleep 1; test -n {{ pillar.db.password }}; grep -q password'
";

/// Reads all command lines again and again, as fast as it goes.
const WATCH: &str = "while [ ! -e /tmp/enough ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -ao 'pw-[Z]x81[^ ]*' | \
                     sed 's/^/seen: /'; n=$((n + 1)); echo $n >/tmp/rounds; done >/tmp/seen 2>&1";

#[test]
#[ignore = "needs a sandbox host"]
fn no_command_line_shows_a_secret_to_another_user() {
    let host = Host::with("argv", &["--pristine", "--user", "app"]);
    let env = TestEnv::of(&host, STATES);
    env.write("pillar/top.sls", "base:\n  '*':\n    - private.common\n");
    env.write("pillar/private/common.sls", &format!("db:\n  password: {SECRET}\n"));
    host.sh(&format!(
        "cat >/tmp/watch <<'END'\n{WATCH}\nEND\nsetsid su app -c 'sh /tmp/watch' >/dev/null 2>&1 </dev/null &"
    ));
    let output = env.apply();
    host.sh("touch /tmp/enough");
    output.exits(0);
    for id in ["in its text", "in a guard", "apart from the connection", "/srv/app.ini"] {
        assert_eq!(output.outcome(id), "changed", "{output}");
    }
    assert_eq!(host.sh("cat /tmp/seen"), "", "a process shows the secret");
    let rounds: u32 = host.sh("cat /tmp/rounds").parse().unwrap();
    assert!(rounds > 50, "{rounds}");
    // What there is to be seen, it sees.
    host.sh("rm /tmp/enough; sh -c 'sleep 2; : pw-Zx81-planted' & su app -c 'timeout 1 sh /tmp/watch'; grep -q planted /tmp/seen");
}
