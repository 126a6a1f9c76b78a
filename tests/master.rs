//! Salt's `master` configuration: each option that changes what a tree compiles to is honoured, or refused with its place.
//! The pillars are what Salt 3008.3 makes of the same files.

use serde_json::{Value as Json, json};

use crate::support::TestEnv;

const MASTER: &str = "file_roots: {base: [states]}\npillar_roots: {base: [pillar]}\n";

/// A Salt checkout with these options, whose only host is `alpha`.
fn checkout(options: &str) -> TestEnv {
    let env = TestEnv::new();
    env.remove("kstate.yaml");
    env.write("Saltfile", "salt-ssh:\n  config_dir: salt-config\n");
    env.write("salt-config/master", &format!("{MASTER}{options}\n"));
    env.write("salt-config/roster", "alpha: 192.0.2.1\n");
    env.write("states/top.sls", "base: {'*': [a]}\n");
    env.write("states/a.sls", "a:\n  test.nop: []\n");
    env
}

fn show(env: &TestEnv, what: &str) -> Json {
    let grains = env.scratch("grains.json");
    std::fs::write(&grains, r#"{"id": "alpha", "os": "Debian"}"#).unwrap();
    let words = ["--grains", &grains.display().to_string(), "show", what, "--format", "json"];
    env.kstate(&words).exits(0).json()["alpha"].clone()
}

#[track_caller]
fn refused(options: &str) -> String {
    checkout(options).kstate(&["check"]).exits(1).all()
}

#[test]
fn pillars_merge_as_the_options_say() {
    let admins = |name: Option<&str>, ips: &[u8]| {
        let ips: Vec<String> = ips.iter().map(|last| format!("192.0.2.{last}")).collect();
        match name {
            Some(name) => json!({"name": name, "ips": ips}),
            None => json!({"ips": ips}),
        }
    };
    let one = Some("one");
    let cases = [
        ("", admins(one, &[2, 1]), json!([1, 2]), json!({"a": 1, "b": 2})),
        ("pillar_merge_lists: True", admins(one, &[3, 1, 9, 2]), json!([3, 1, 2]), json!({"a": 1, "b": 2})),
        ("pillar_source_merging_strategy: overwrite", admins(None, &[2, 1]), json!([1, 2]), json!({"b": 2})),
        (
            "pillar_source_merging_strategy: none\npillar_merge_lists: True",
            admins(one, &[2, 1]),
            json!([1, 2]),
            json!({"a": 1, "b": 2}),
        ),
        (
            "pillar_includes_override_sls: True",
            admins(Some("three"), &[2, 1]),
            json!([3]),
            json!({"a": 1, "b": 2}),
        ),
        (
            "pillar_includes_override_sls: True\npillar_merge_lists: True",
            admins(Some("three"), &[1, 9, 3, 2]),
            json!([1, 2, 3]),
            json!({"a": 1, "b": 2}),
        ),
    ];
    for (options, admins, list, key) in cases {
        let env = checkout(options);
        env.write("pillar/top.sls", "base: {'*': [one, two]}\n");
        let one =
            "include: [three]\nadmins: {ips: [192.0.2.1, 192.0.2.9], name: one}\nlist: [1, 2]\nkey: {a: 1}\n";
        env.write("pillar/one.sls", one);
        env.write("pillar/two.sls", "admins: {ips: [192.0.2.2, 192.0.2.1]}\nkey: {b: 2}\n");
        env.write("pillar/three.sls", "admins: {name: three, ips: [192.0.2.3]}\nlist: [3]\n");
        let found = show(&env, "pillar");
        assert_eq!(found, json!({"admins": admins, "list": list, "key": key}), "{options}");
    }
}

#[test]
fn options_that_change_results_are_refused_with_their_place() {
    let told = refused("ext_pillar:\n  - cmd_yaml: cat /etc/pillar\nstate_auto_order: False");
    for part in [
        "error: `ext_pillar` is not supported",
        "salt-config/master:4:3",
        "hint: write what it brings into files below `pillar_roots`",
        "error: `state_auto_order` is not supported",
        "salt-config/master:5:19",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    refused("pillar_source_merging_strategy: aggregate");
    refused("jinja_env: {block_start_string: '<%'}");
    refused("failhard: sometimes");
}

#[test]
fn options_at_their_defaults_and_those_of_daemons_are_no_errors() {
    let options = "ext_pillar: []\nrenderer: jinja|yaml\nfileserver_backend: [roots]\ntest: False\nsaltenv:\n\
                   worker_threads: 5\nmy_own_key: {a: b}\nroster: flat";
    checkout(options).kstate(&["check"]).exits(0);
}

#[test]
fn templates_drop_blanks_as_the_options_say() {
    let sls = "{% set a = 1 %}\n{% if a %}\na:\n  test.nop:\n    - text: |\n        x\n        {% if a %}\n        y\n        {% endif %}\n{% endif %}\n";
    let text = |options: &str| {
        let env = checkout(options);
        env.write("states/a.sls", sls);
        show(&env, "lowstate")[0]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(""), "x\n\ny\n");
    assert_eq!(text("jinja_env: {trim_blocks: True, lstrip_blocks: True}"), "x\n\ny\n");
    assert_eq!(text("jinja_sls_env: {trim_blocks: True, lstrip_blocks: True}"), "x\ny\n");
    assert_eq!(text("jinja_trim_blocks: True\njinja_lstrip_blocks: True"), "x\ny\n");
}

#[test]
fn node_groups_are_known_to_top_files_templates_and_the_command_line() {
    let groups = "nodegroups:\n  web: 'alp* or N@db'\n  db: [beta, gamma]\n  both: N@web and not N@db";
    let env = checkout(groups);
    env.write("states/top.sls", "base:\n  web:\n    - match: nodegroup\n    - a\n  N@db:\n    - b\n");
    env.write("states/a.sls", "is-{{ salt['match.compound']('N@both') }}:\n  test.nop: []\n");
    assert_eq!(show(&env, "lowstate")[0]["__id__"], json!("is-True"));
    env.kstate(&["check", "-t", "N@both"]).exits(0);
    let told = env.kstate(&["check", "-t", "N@nobody"]).exits(64).all();
    assert!(told.contains("there is no node group `nobody`; the groups are: `both`, `db`, `web`"), "{told}");
    env.write("states/top.sls", "base:\n  N@nobody:\n    - a\n");
    let told = env.kstate(&["check"]).exits(1).all();
    assert!(told.contains("states/top.sls:2:3"), "{told}");
}

#[test]
fn the_top_file_the_roster_and_further_files_are_those_that_the_options_name() {
    let env = checkout(
        "state_top: salt://start.sls\ninclude: [more/*.conf]\nroster_defaults: {user: deploy, port: 2200}",
    );
    env.write("salt-config/more/a.conf", "pillar_merge_lists: True\n");
    env.write("salt-config/more/b.txt", "ext_pillar: [x: y]\n");
    env.remove("states/top.sls");
    env.write("states/start.sls", "base: {'*': [a]}\n");
    env.write("pillar/start.sls", "base: {'*': [one, two]}\n");
    env.write("pillar/one.sls", "list: [1]\n");
    env.write("pillar/two.sls", "list: [2]\n");
    assert_eq!(show(&env, "pillar"), json!({"list": [1, 2]}));
    assert_eq!(show(&env, "lowstate").as_array().unwrap().len(), 1);
}

#[test]
fn failhard_ends_a_run_at_the_first_failure_unless_a_state_says_otherwise() {
    let sls = "first:\n  test.fail_without_changes:\n    - failhard: False\nsecond:\n  test.fail_without_changes: []\n\
               third:\n  test.nop: []\n";
    for (options, count) in [("", 3), ("failhard: True", 2)] {
        let env = checkout(options);
        env.write("states/a.sls", sls);
        let words = ["--local", "apply", "a", "--yes", "--format", "json"];
        let report = env.kstate(&words).exits(1).json();
        let states = report["targets"].as_object().unwrap().values().next().unwrap()["states"].clone();
        let ran = states.as_array().unwrap().iter().filter(|state| state["outcome"] != json!("skipped"));
        assert_eq!(ran.count(), count, "{options}: {states}");
    }
}
