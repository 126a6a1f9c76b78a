//! The command line as others rely on it: help, targets, options, exit codes, JSON.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;

use crate::support::{Sshd, TestEnv, repository, until};

fn keys(value: &Json) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("not a map: {value}")).keys().map(String::as_str).collect()
}

fn names(words: &str) -> BTreeSet<&str> {
    words.split_whitespace().collect()
}

const NOTHING: &str = "nothing:\n  test.nop: []\n";
const FAILS: &str = "fails:\n  cmd.run:\n    - name: exit 3\n";

/// Two hosts that no test ever reaches.
fn two_hosts(sls: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write(
        "roster",
        "web1: 192.0.2.1\ndb1:\n  host: 192.0.2.2\n  minion_opts:\n    grains:\n      role: db\n",
    );
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    env.write("grains.json", r#"{"os": "Debian", "fqdn": "given.example.org", "kernel": "Linux"}"#);
    env.sls("it", sls);
    env
}

// --- help

#[test]
fn the_help_of_every_command_has_an_example() {
    let env = TestEnv::new();
    let help = env.kstate(&["--help"]);
    help.exits(0).says("Examples:");
    let commands = help.stdout.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(
        commands,
        ["apply", "diff", "show", "log", "jobs", "attach", "token", "check", "compare"],
        "{help}"
    );
    for command in commands {
        env.kstate(&[command, "--help"]).exits(0).says("Examples:").says(&format!("\n  kstate {command}"));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    TestEnv::new().kstate(&["--version"]).exits(0).says(env!("CARGO_PKG_VERSION"));
}

// --- exit codes

#[test]
fn apply_without_a_terminal_and_without_yes_is_refused() {
    let env = TestEnv::local("");
    let file = env.scratch("made");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: hello\n", file.display()));
    env.kstate(&["apply", "it"]).exits(64).says("--yes");
    assert!(!file.exists());
    env.kstate(&["apply", "it", "--yes"]).exits(0);
    assert!(file.exists());
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let env = TestEnv::local(NOTHING);
    for words in [
        &[][..],
        &["aply"],
        &["diff", "it", "--no-such-option"],
        &["diff", "it", "--jobs", "0"],
        &["diff", "it", "--format", "xml"],
        &["diff", "it", "--pillar", "not json"],
        &["diff", "it", "--pillar", "[1]"],
        &["diff", "it", "--grains", "/no/such/file"],
        &["diff", "it", "--exec-fixture", "/no/such/file"],
        &["diff", "it", "--root", "/no/such/folder"],
        &["diff", "it", "-L"],
        &["show"],
        &["show", "lowstates"],
    ] {
        let output = env.kstate(words);
        output.exits(64);
        assert!(!output.stderr.is_empty(), "it says nothing: {output}");
    }
}

#[test]
fn what_is_misspelt_is_guessed() {
    TestEnv::local(NOTHING).kstate(&["diff", "it", "--verbos"]).exits(64).says("--verbose");
}

#[test]
fn diff_ends_with_0_where_nothing_differs_and_with_2_where_something_does() {
    let env = TestEnv::local("");
    let file = env.scratch("file");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: hello\n", file.display()));
    env.kstate(&["diff", "it"]).exits(2);
    env.kstate(&["apply", "it", "--yes"]).exits(0);
    env.kstate(&["diff", "it"]).exits(0);
}

#[test]
fn a_command_without_a_guard_is_no_drift() {
    let env = TestEnv::local("always:\n  cmd.run:\n    - name: 'true'\n");
    let output = env.diff();
    output.exits(0);
    assert_eq!(output.outcome("always"), "always");
}

#[test]
fn the_template_of_a_managed_file_knows_its_file_and_no_sls() {
    let env = TestEnv::local("");
    let file = env.scratch("file");
    let file = file.display();
    env.sls("it", &format!("{file}:\n  file.managed:\n    - source: salt://t\n    - template: jinja\n"));
    env.write(
        "states/t",
        "{{ [name, source, user, mode, attrs, saltenv] }} {{ sls is defined or tpldir is defined or env is defined }}\n",
    );
    let wanted = format!("['{file}', 'salt://t', None, None, None, 'base'] False");
    env.kstate(&["diff", "it"]).exits(2).says(&wanted);
}

#[test]
fn a_failed_state_ends_with_1() {
    let env = TestEnv::local(FAILS);
    let output = env.apply();
    output.exits(1);
    assert_eq!(output.outcome("fails"), "failed");
    assert!(output.reason("fails").contains("status 3"), "{output}");
}

#[test]
fn a_host_that_is_down_ends_with_4_and_the_others_are_done() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    let file = env.scratch("made");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: hello\n{FAILS}", file.display()));
    // Nobody listens on this port.
    env.write("roster", &format!("{}down:\n  host: 127.0.0.1\n  port: 1\n", sshd.roster("here")));
    let output = env.apply();
    output.exits(4);
    let targets = &output.json()["targets"];
    assert_eq!(targets["down"]["reachable"], false, "{output}");
    assert!(targets["down"]["error"].is_string(), "{output}");
    assert_eq!(targets["here"]["summary"]["changed"], 1, "{output}");
    assert_eq!(targets["here"]["summary"]["failed"], 1, "{output}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "hello\n");
    env.kstate(&["diff", "it"]).exits(4).says("not reached");
}

#[test]
fn ctrl_c_ends_the_command_on_the_host_and_ends_with_130() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    let pid = env.scratch("pid");
    let after = env.scratch("after");
    env.sls(
        "it",
        &format!(
            "long:\n  cmd.run:\n    - name: echo $$ >{0}.new; mv {0}.new {0}; sleep 600; echo late\n\
             {1}:\n  file.managed:\n    - contents: late\n    - require:\n      - cmd: long\n",
            pid.display(),
            after.display()
        ),
    );
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("the command runs", || pid.exists());
    let pid = std::fs::read_to_string(&pid).unwrap().trim().to_owned();
    running.interrupt();
    let output = running.wait(Duration::from_secs(40));
    output.exits(130);
    until("the command has ended", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!after.exists());
    assert_eq!(output.outcome("long"), "failed");
    assert_eq!(output.outcome(&after.display().to_string()), "skipped");
}

#[test]
fn ctrl_c_while_connecting_ends_with_130() {
    let env = TestEnv::new();
    // It takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    env.write("roster", &format!("silent:\n  host: 127.0.0.1\n  port: {port}\n"));
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    env.sls("it", NOTHING);
    let running = env.start(&["diff", "it"]);
    std::thread::sleep(Duration::from_millis(500));
    running.interrupt();
    running.wait(Duration::from_secs(10)).exits(130);
}

#[test]
fn what_has_nothing_in_hand_on_a_host_ends_at_the_first_ctrl_c() {
    let env = TestEnv::new();
    env.write("roster", "web1: 192.0.2.1\n");
    env.write("states/top.sls", "base:\n  '*':\n    - sls*\n");
    // It takes a while.
    let loops = "{% for n in range(90000) %}{% endfor %}\n".repeat(20);
    (0..100).for_each(|n| env.sls(&format!("sls{n}"), &loops));
    let running = env.start(&["check"]);
    std::thread::sleep(Duration::from_millis(500));
    running.interrupt();
    let output = running.wait(Duration::from_secs(10));
    output.exits(130).does_not_say("states");
}

// --- JSON

#[test]
fn the_report_has_exactly_the_keys_of_the_contract() {
    let env = TestEnv::local("");
    let file = env.scratch("file");
    let name = file.display().to_string();
    env.sls("it", &format!("{name}:\n  file.managed:\n    - contents: hello\n{FAILS}"));
    for (command, outcomes) in
        [("diff", "in_sync drift always unknown failed"), ("apply", "unchanged changed failed skipped")]
    {
        let words: &[&str] = if command == "diff" { &["diff", "it"] } else { &["apply", "it", "--yes"] };
        let output = env.kstate(&[words, &["--format", "json"]].concat());
        let document = output.json();
        assert_eq!(keys(&document), names("command version run targets"));
        assert_eq!(document["command"], command);
        assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
        let report = output.report();
        assert_eq!(
            keys(&report),
            names("reachable error logins round_trips bytes_sent bytes_received duration_ms summary states")
        );
        assert_eq!(keys(&report["summary"]), names(outcomes));
        assert_eq!(report["reachable"], true);
        assert_eq!(report["error"], Json::Null);
        for number in ["logins", "round_trips", "bytes_sent", "bytes_received", "duration_ms"] {
            assert!(report[number].is_u64(), "{number}: {output}");
        }
        let state = output.state(&name);
        assert_eq!(keys(&state), names("id sls function name file line outcome changes reason duration_ms"));
        assert_eq!(state["sls"], "it");
        assert_eq!(state["function"], "file.managed");
        assert_eq!(state["file"], "states/it.sls");
        assert_eq!(state["line"], 2);
        let change = &state["changes"][0];
        assert_eq!(keys(change), names("subject before after diff"));
        assert!(change["diff"].as_str().unwrap().contains("\n+hello"), "{output}");
        let total: u64 = report["summary"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(total, 2, "{output}");
    }
}

#[test]
fn an_unreachable_host_has_the_same_keys() {
    let env = TestEnv::new();
    env.write("roster", "down:\n  host: 127.0.0.1\n  port: 1\n");
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    env.sls("it", NOTHING);
    let output = env.diff();
    output.exits(4);
    let report = output.report();
    let wanted = "reachable error logins round_trips bytes_sent bytes_received duration_ms summary states";
    assert_eq!(keys(&report), names(wanted));
    assert_eq!(report["logins"], 0);
    assert_eq!(report["states"], Json::Array(Vec::new()));
}

#[test]
fn lowstate_has_the_field_names_of_salt() {
    let env = two_hosts(
        "first:\n  file.managed:\n    - name: /etc/motd\n    - contents: hello\nsecond:\n  cmd.run:\n    \
         - name: 'true'\n    - require:\n      - file: first\n",
    );
    let output = env.kstate(&["show", "lowstate", "it", "--grains", "grains.json", "--format", "json"]);
    output.exits(0);
    let document = output.json();
    assert_eq!(keys(&document), names("web1 db1"));
    let chunks = document["web1"].as_array().unwrap();
    assert_eq!(chunks.len(), 2, "{output}");
    assert_eq!(keys(&chunks[0]), names("state fun __id__ __sls__ name order contents"));
    assert_eq!(chunks[0]["state"], "file");
    assert_eq!(chunks[0]["fun"], "managed");
    assert_eq!(chunks[0]["__id__"], "first");
    assert_eq!(chunks[0]["__sls__"], "it");
    assert_eq!(chunks[0]["name"], "/etc/motd");
    assert_eq!(chunks[1]["require"], serde_json::json!([{"file": "first"}]));
}

#[test]
fn what_does_not_compile_is_told_for_each_target() {
    let env = two_hosts("a:\n  cmd.run:\n    - name: 'true'\n    - require:\n      - file: nowhere\n");
    let output = env.kstate(&["show", "lowstate", "it", "--grains", "grains.json", "--format", "json"]);
    output.exits(1);
    let document = output.json();
    for target in ["web1", "db1"] {
        let errors = document[target]["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{output}");
        assert_eq!(keys(&errors[0]), names("message file line column id"));
        assert_eq!(errors[0]["file"], "states/it.sls");
        assert_eq!(errors[0]["line"], 5);
        assert_eq!(errors[0]["id"], "a");
    }
}

#[test]
fn pillar_and_grains_are_shown_for_each_target() {
    let env = two_hosts(NOTHING);
    env.pillar("common", "colour: blue\nbranches: {main: true}\n");
    let show = |what| env.kstate(&["show", what, "--grains", "grains.json", "--format", "json"]);
    let pillar = show("pillar");
    pillar.exits(0);
    assert_eq!(pillar.json()["web1"], serde_json::json!({"colour": "blue", "branches": {"main": true}}));
    let grains = show("grains");
    assert_eq!(grains.json()["db1"]["role"], "db", "{grains}");
    assert_eq!(grains.json()["db1"]["fqdn"], "given.example.org");
    assert_eq!(grains.json()["web1"]["id"], "web1");
    let top = show("top");
    assert_eq!(top.json(), serde_json::json!({"web1": ["it"], "db1": ["it"]}), "{top}");
}

// --- targets and roots

#[test]
fn a_target_expression_chooses_hosts() {
    let env = two_hosts(NOTHING);
    let chosen = |words: &[&str]| {
        let more = ["show", "top", "--grains", "grains.json", "--format", "json"];
        let output = env.kstate(&[&more, words].concat());
        output.exits(0);
        output.json().as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    for (words, hosts) in [
        (&["-t", "*"][..], "web1 db1"),
        (&["-t", "web*"], "web1"),
        (&["-t", "G@role:db"], "db1"),
        (&["-t", "not G@role:db"], "web1"),
        (&["-t", "G@os:Debian and E@^(web|x)1$"], "web1"),
        (&["-t", "( web1 or db1 ) and not db*"], "web1"),
        (&["-t", "L@db1,nobody"], "db1"),
        (&["-L", "-t", "web1,db1"], "web1 db1"),
    ] {
        assert_eq!(chosen(words), hosts, "{words:?}");
    }
}

#[test]
fn an_unknown_target_is_told_with_the_names_that_there_are() {
    let env = two_hosts(NOTHING);
    env.kstate(&["diff", "-t", "web2"]).exits(1).says("web2").says("web1, db1");
    env.kstate(&["diff", "-t", "web1 and ("]).exits(64);
}

#[test]
fn without_a_target_the_top_file_says_who_is_meant() {
    let env = two_hosts(NOTHING);
    env.write("states/top.sls", "base:\n  'web*':\n    - it\n  'db*':\n    - other\n");
    env.sls("other", NOTHING);
    let meant = |words: &[&str]| {
        let output =
            env.kstate(&[&["show", "top", "--grains", "grains.json", "--format", "json"], words].concat());
        output.exits(0);
        output.json().as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(meant(&["it"]), "web1");
    assert_eq!(meant(&["other"]), "db1");
    assert_eq!(meant(&[]), "web1 db1");
    env.sls("third", NOTHING);
    env.kstate(&["diff", "third"]).exits(1).says("the top file names `third` for no host");
}

#[test]
fn the_root_is_found_upwards_or_named() {
    let env = TestEnv::local(NOTHING);
    env.write("deep/below/file", "");
    let show = ["show", "lowstate", "it"];
    let mut below = env.command(&show);
    below.current_dir(env.path("deep/below"));
    let limit = Duration::from_secs(30);
    crate::support::run(&mut below, "", limit).exits(0).says("nothing");
    let mut elsewhere = env.command(&show);
    elsewhere.current_dir("/");
    crate::support::run(&mut elsewhere, "", limit).exits(64).says("--root DIR");
    elsewhere.env("KSTATE_ROOT", env.path(""));
    crate::support::run(&mut elsewhere, "", limit).exits(0).says("nothing");
    elsewhere.env("KSTATE_ROOT", "/no/such/folder").arg("--root").arg(env.path(""));
    crate::support::run(&mut elsewhere, "", limit).exits(0).says("nothing");
}

#[test]
fn a_salt_checkout_works_as_it_is() {
    let env = TestEnv::new();
    std::fs::remove_file(env.path("kstate.yaml")).unwrap();
    std::fs::remove_file(env.path("roster")).unwrap();
    env.write("Saltfile", "salt-ssh:\n  config_dir: salt-config\n  max_procs: 30\n");
    env.write(
        "salt-config/master",
        "file_roots:\n  base:\n    - salt\npillar_roots:\n  base:\n    - pillars\n",
    );
    env.write("salt-config/roster", "web1:\n  host: 192.0.2.1\n  user: root\n");
    env.write("salt/top.sls", "base:\n  '*':\n    - it\n");
    env.write("salt/it.sls", "{{ pillar.name }}:\n  test.nop: []\n");
    env.write("pillars/top.sls", "base:\n  '*':\n    - common\n");
    env.write("pillars/common.sls", "name: from-the-pillar\n");
    env.write("grains.json", "{}");
    let output = env.kstate(&["show", "lowstate", "--grains", "grains.json", "--format", "json"]);
    output.exits(0);
    assert_eq!(output.json()["web1"][0]["__id__"], "from-the-pillar", "{output}");
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let env = two_hosts(NOTHING);
    let before =
        env.kstate(&["--format", "json", "-t", "web1", "--grains", "grains.json", "show", "lowstate"]);
    let after =
        env.kstate(&["show", "lowstate", "--format", "json", "-t", "web1", "--grains", "grains.json"]);
    before.exits(0);
    assert_eq!(before.stdout, after.stdout);
}

// --- what stands for the host

#[test]
fn show_and_check_contact_no_host_with_given_grains() {
    let env = two_hosts("{{ grains.fqdn }}:\n  test.nop: []\n");
    let output = env.kstate(&["show", "lowstate", "--grains", "grains.json"]);
    output.exits(0).within(5).says("given.example.org");
    env.kstate(&["check", "--grains", "grains.json"]).exits(0).within(5).says("sound");
}

#[test]
fn check_contacts_no_host_without_grains_either() {
    let env = two_hosts("{{ grains.id }}:\n  test.nop: []\n");
    env.kstate(&["check"]).exits(0).within(5).says("2 hosts").says("sound");
}

#[test]
fn given_grains_may_be_yaml() {
    let env = two_hosts("{{ grains.fqdn }}:\n  test.nop: []\n");
    env.write("grains.yaml", "fqdn: from.yaml\nos: Debian\n");
    env.kstate(&["show", "lowstate", "--grains", "grains.yaml"]).exits(0).says("from.yaml");
}

#[test]
fn given_pillar_is_merged_over_the_pillar() {
    let env = two_hosts(NOTHING);
    env.pillar("common", "outer:\n  kept: 123456789012345678901234567890\n  replaced: 1\n");
    let given = r#"{"outer": {"replaced": -18446744073709551617}, "more": [3, 1.50]}"#;
    let output =
        env.kstate(&["show", "pillar", "--grains", "grains.json", "--pillar", given, "--format", "json"]);
    output.exits(0);
    let wanted = r#"{"outer":{"replaced":-18446744073709551617,"kept":123456789012345678901234567890},"more":[3,1.5]}"#;
    assert_eq!(output.json()["web1"].to_string(), wanted, "{output}");
}

#[test]
fn a_fixture_answers_what_templates_ask_of_the_host() {
    let env = two_hosts(
        "{{ salt['cmd.run']('cat /etc/release-name') }}:\n  test.nop: []\n\
         {{ salt['cmd.run']('hostname') }}:\n  test.nop: []\n",
    );
    env.write(
        "fixture.json",
        r#"[{"fun": "cmd.run", "contains": "release", "return": "the-release"}, {"fun": "cmd.run", "return": "the-rest"}]"#,
    );
    let words = ["show", "lowstate", "--grains", "grains.json", "--exec-fixture", "fixture.json"];
    env.kstate(&words).exits(0).within(5).says("the-release").says("the-rest");
}

#[test]
fn what_no_rule_answers_is_one_error_at_its_place() {
    let env = two_hosts("{% from 'map.jinja' import name %}\n{{ name }}:\n  test.nop: []\n");
    env.write("states/more.sls", "{% from 'map.jinja' import name %}\nmore {{ name }}:\n  test.nop: []\n");
    env.write(
        "states/map.jinja",
        "{% set host = salt['cmd.run']('hostname') %}\n{% set name = host.lower() %}\n",
    );
    let output = env.kstate(&[
        "show",
        "lowstate",
        "it",
        "more",
        "-t",
        "web1",
        "--grains",
        "grains.json",
        "--format",
        "json",
    ]);
    output.exits(1).says("states/map.jinja:1:15").says("--exec-fixture");
    let errors = output.json()["web1"]["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{output}");
    assert_eq!(errors[0]["file"], "states/map.jinja", "{output}");
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.contains("`cmd.run(hostname)`: no host is contacted here"), "{output}");
}

#[test]
fn check_warns_where_a_template_asks_the_host() {
    let env = two_hosts("{{ salt['cmd.run']('hostname') }}:\n  test.nop: []\n");
    env.kstate(&["check", "--grains", "grains.json"])
        .exits(0)
        .says("states/it.sls:1:4")
        .says("`cmd.run(hostname)`: no host is contacted here, and what hangs on the answer is not checked")
        .says("1 warning");
}

#[test]
fn states_wait_for_a_pillar_that_asks_the_host() {
    let env = TestEnv::local("{{ pillar.name }}:\n  test.nop: []\n");
    env.pillar("common", "name: {{ salt['cmd.run']('echo told-by-the-host') }}\n");
    env.kstate(&["diff", "it", "-v"]).exits(0).says("told-by-the-host");
    env.kstate(&["check"]).exits(0).says("`cmd.run(echo told-by-the-host)`").does_not_say("undefined");
}

#[test]
fn questions_without_end_are_an_error() {
    let env = TestEnv::local(
        "{% set it = namespace(said='') %}\n\
         {% for _ in range(30) %}{% set it.said = salt['cmd.run']('echo x' ~ it.said) %}{% endfor %}\n\
         {{ it.said }}:\n  test.nop: []\n",
    );
    env.kstate(&["diff", "it"])
        .exits(1)
        .says("states/it.sls:2:")
        .says("each of 20 rounds of answers has led to new questions");
}

#[test]
fn a_template_may_ask_the_host() {
    let env = TestEnv::local("{{ salt['cmd.run']('echo asked-on-the-host') }}:\n  test.nop: []\n");
    env.kstate(&["diff", "it", "-v"]).exits(0).says("asked-on-the-host");
}

#[test]
fn the_examples_are_sound() {
    let env = TestEnv::new();
    for example in ["examples/kingfisher", "examples/quickstart"] {
        let root = repository().join(example);
        env.kstate(&["check", "--root", root.to_str().unwrap()]).exits(0).says("sound");
    }
}

// --- what a person sees

#[test]
fn unchanged_states_are_counted_and_shown_only_on_demand() {
    let env = TestEnv::local("");
    let file = env.scratch("file");
    env.sls(
        "it",
        &format!("quiet:\n  test.nop: []\n{}:\n  file.managed:\n    - contents: x\n", file.display()),
    );
    let output = env.kstate(&["diff", "it"]);
    output.exits(2).does_not_say("quiet").says("1 differs").says("1 as declared");
    env.kstate(&["diff", "it", "-v"]).exits(2).says("quiet");
}

#[test]
fn the_commands_that_the_readme_shows_exist() {
    let env = TestEnv::new();
    for page in ["README.md", "examples/kingfisher/README.md"] {
        let Ok(text) = std::fs::read_to_string(repository().join(page)) else { continue };
        let lines = text.lines().map(|line| line.trim_start().trim_start_matches("$ "));
        for line in lines.filter(|line| line.starts_with("kstate ")) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            let Some(command) = words.iter().find(|word| !word.starts_with('-')) else { continue };
            let help = env.kstate(&[command, "--help"]);
            help.exits(0);
            for option in words.iter().filter(|word| word.starts_with("--")) {
                help.says(option);
            }
        }
    }
}
