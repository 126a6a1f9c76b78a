//! Secrets of the private pillar: in no report, no event, no error, no process list, and in no file but where they are
//! declared.

use std::process::Command;
use std::time::Duration;

use crate::support::{Host, Output, TestEnv, run};

const SECRET: &str = "pw-Zx81-correct-horse";
const OLD_SECRET: &str = "pw-yesterday-battery";

fn pillar(env: &TestEnv) {
    env.write("pillar/top.sls", "base:\n  '*':\n    - common\n    - private.common\n");
    env.write("pillar/common.sls", "colour: blue\n");
    env.write("pillar/private/common.sls", &format!("db:\n  password: {SECRET}\n"));
}

const STATES: &str = "\
/srv/app.ini:
  file.managed:
    - contents: |
        colour = {{ pillar.colour }}
        password = {{ pillar.db.password }}
    - mode: '0600'
/srv/lines:
  file.append:
    - text: secret {{ pillar.db.password }}
uses it:
  cmd.run:
    - name: test -n \"$PASSWORD\"; sleep 1; echo \"got $PASSWORD\"
    - env:
      - PASSWORD: {{ pillar.db.password }}
fails with it:
  cmd.run:
    - name: 'echo \"refused: $PASSWORD\" >&2; exit 1'
    - env:
      - PASSWORD: {{ pillar.db.password }}
fails by its name {{ pillar.db.password }}:
  cmd.run:
    - name: 'false # {{ pillar.db.password }}'
";

#[track_caller]
fn keeps_it(output: &Output) {
    // Not what was typed or where, only what was said.
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(SECRET) && !text.contains(OLD_SECRET), "a secret is told: {output}");
    }
}

#[test]
fn no_command_tells_a_secret() {
    let env = TestEnv::local("");
    pillar(&env);
    let scratch = env.scratch("").display().to_string();
    env.sls("it", &STATES.replace("/srv/", &scratch));
    std::fs::write(env.scratch("app.ini"), format!("colour = red\npassword = {OLD_SECRET}\n")).unwrap();
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    for words in [
        &["show", "pillar"][..],
        &["show", "pillar", "--format", "json"],
        &["show", "lowstate", "it"],
        &["show", "lowstate", "it", "--format", "json"],
        &["show", "highstate", "it", "--format", "json"],
        &["check"],
        &["diff", "it", "-v"],
        &["diff", "it", "--format", "json"],
        &["apply", "it", "--yes", "-v"],
    ] {
        keeps_it(&env.kstate(words));
    }
    let app = std::fs::read_to_string(env.scratch("app.ini")).unwrap();
    assert!(app.contains(SECRET), "the file itself has it: {app}");
    env.kstate(&["show", "pillar"]).says("blue");
    // Nothing of it is in kstate's cache either.
    let mut grep = Command::new("grep");
    let found = run(grep.args(["-rl", SECRET]).arg(env.path("../home")), "", Duration::from_secs(10));
    assert_eq!(found.stdout, "");
}

#[test]
fn yesterdays_secret_is_not_shown_when_it_goes() {
    let env = TestEnv::local("");
    pillar(&env);
    let file = env.scratch("app.ini");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: |\n        a = 1\n        password = {{{{ pillar.db.password }}}}\n", file.display()));
    std::fs::write(&file, format!("a = 2\npassword = {OLD_SECRET}\n")).unwrap();
    let output = env.kstate(&["diff", "it"]);
    output.exits(2);
    keeps_it(&output);
}

#[test]
fn a_mistake_beside_a_secret_does_not_show_it() {
    let env = TestEnv::local("");
    pillar(&env);
    for sls in [
        "a:\n  cmd.run:\n    - name: {{ pillar.db.password }}: x: y\n",
        "a:\n  {{ pillar.db.password }}\n  b: 1\n",
        "a:\n  test.nop:\n    - x: *{{ pillar.db.password }}\n",
        "a:\n  user.present:\n    - pasword: {{ pillar.db.password }}\n",
        "a:\n  file.managed:\n    - name: {{ pillar.db.password }}\n    - makedirs: {{ pillar.db.password }}\n    - contents: x\n",
        "{{ pillar.db.password }}:\n  nothing.like_this: []\n",
        "a:\n  test.nop:\n    - require:\n      - file: {{ pillar.db.password }}\n",
    ] {
        env.sls("it", sls);
        for words in [
            &["diff", "it"][..],
            &["diff", "it", "--format", "json"],
            &["show", "lowstate", "it", "--format", "json"],
        ] {
            let output = env.kstate(words);
            keeps_it(&output);
        }
        env.kstate(&["diff", "it"]).exits(1);
    }
}

#[test]
fn a_mistake_in_the_private_pillar_itself_does_not_show_it() {
    let env = TestEnv::local("a:\n  test.nop: []\n");
    pillar(&env);
    for text in [
        format!("db:\n  password: {SECRET}: x\n"),
        format!("db:\n  password: '{SECRET}\n"),
        format!("db:\n  password: {SECRET}\n  password: {OLD_SECRET}\n"),
        format!("db:\n  password: {SECRET} {{{{ nothing.at.all }}}}\n"),
        format!("- {SECRET}\n"),
        format!("db:\n  {SECRET}\n  user: a\n"),
        format!("db:\n  password:{SECRET}\n  user: a\n"),
        format!("db:\n  password: *{SECRET}\n"),
    ] {
        env.write("pillar/private/common.sls", &text);
        for words in
            [&["diff", "it"][..], &["diff", "it", "--format", "json"], &["check"], &["show", "pillar"]]
        {
            let output = env.kstate(words);
            keeps_it(&output);
            output.exits(1);
        }
    }
}

#[test]
#[ignore = "needs a sandbox host"]
fn no_process_and_no_other_file_of_the_host_has_a_secret() {
    let host = Host::pristine("secrets");
    let env = TestEnv::of(&host, STATES);
    pillar(&env);
    let watch =
        "while test ! -e /run/enough; do cat /proc/[0-9]*/cmdline; sleep 0.02; done >/run/seen 2>/dev/null";
    host.sh(&format!("setsid sh -c '{watch}' >/dev/null 2>&1 </dev/null &"));
    let output = env.apply();
    output.exits(1);
    keeps_it(&output);
    assert_eq!(output.outcome("/srv/app.ini"), "changed", "{output}");
    host.sh("touch /run/enough");
    let hits = host.sh(&format!("grep -ac {SECRET} /run/seen || :"));
    // The one that is declared as the text of a command has to be in the shell's own words.
    assert_eq!(hits, "0", "a process shows the secret");
    let files = host
        .sh(&format!("grep -rla --exclude-dir=proc --exclude-dir=sys {SECRET} / 2>/dev/null | sort || :"));
    assert_eq!(files, "/srv/app.ini\n/srv/lines", "{output}");
}
