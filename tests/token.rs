//! The deploy token: one person at a time changes a host, on all hosts that are meant or on none.

use std::fs;
use std::time::Duration;

use crate::support::{Host, Output, Running, Sshd, TestEnv, until};

const LIMIT: Duration = Duration::from_secs(60);
const APPLY: [&str; 3] = ["apply", "it", "--yes"];

/// Says that it begins, and waits until it may go on.
fn waits(env: &TestEnv) -> String {
    let (begun, go) = (env.scratch("begun"), env.scratch("go"));
    format!(
        "waits:\n  cmd.run:\n    - name: echo x >>{}; until [ -e {} ]; do sleep 0.05; done\n",
        begun.display(),
        go.display()
    )
}

/// Starts it as somebody else.
fn start_as(env: &TestEnv, user: &str, words: &[&str]) -> Running {
    Running::start(env.command(words).env("USER", user), "")
}

fn run_as(env: &TestEnv, user: &str, words: &[&str]) -> Output {
    start_as(env, user, words).wait(LIMIT)
}

#[test]
fn of_two_applies_at_once_exactly_one_works() {
    const TIMES: usize = 100;
    let race = |times: usize| {
        let env = TestEnv::local("");
        env.sls("it", &waits(&env));
        for n in 1..=times {
            let mut runs = [start_as(&env, "ada", &APPLY), start_as(&env, "bob", &APPLY)];
            let mut ended = None;
            until("one of them is refused", || {
                ended = runs.iter_mut().position(|run| run.child.try_wait().unwrap().is_some());
                ended.is_some()
            });
            fs::write(env.scratch("go"), "").unwrap();
            let [ada, bob] = runs.map(|run| run.wait(LIMIT));
            let (refused, winner, name) =
                if ended == Some(0) { (ada, bob, "bob") } else { (bob, ada, "ada") };
            refused.exits(1).says(&format!("the token is in use by {name}@")).says("apply it");
            winner.exits(0);
            assert_eq!(fs::read_to_string(env.scratch("begun")).unwrap().lines().count(), n);
            fs::remove_file(env.scratch("go")).unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| race(TIMES / 2));
        race(TIMES / 2);
    });
}

#[test]
fn a_token_that_is_held_keeps_others_out_and_not_its_holder() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "it:\n  test.succeed_with_changes: []\n");
    let ada = |words: &[&str]| run_as(&env, "ada", words);
    let bob = |words: &[&str]| run_as(&env, "bob", words);
    ada(&["token", "show"]).exits(0).says("  free");
    ada(&["token", "hold", "-m", "a new disk\u{1b}[31m", "--for", "30min"]).exits(0).says("for 30m");
    ada(&APPLY).exits(0);
    for words in [&APPLY[..], &["token", "hold"], &["token", "release"]] {
        let refused = bob(words);
        refused.exits(1).says("the token is held by ada@").says(": a new disk").says("30 min more");
        refused.does_not_say("\u{1b}[31m").says("kstate token release --force");
    }
    bob(&["diff", "it"]).exits(0).says("note: the token is held by ada@");
    bob(&["show", "lowstate"]).exits(0).says("the token is held by ada@");
    let shown = bob(&["token", "show", "--format", "json"]);
    let hold = &shown.json()["here"]["hold"];
    let time = |name: &str| hold[name].as_u64().unwrap();
    assert_eq!(time("until") - time("since"), 30 * 60, "{shown}");
    ada(&["token", "release"]).exits(0).says("given back");
    ada(&["token", "release"]).exits(0).says("you did not hold the token");
    bob(&APPLY).exits(0);

    ada(&["token", "hold", "--for", "1s"]).exits(0);
    until("the hold is over", || bob(&["token", "show"]).all().contains("  free"));
    bob(&APPLY).exits(0);
    ada(&["token", "hold"]).exits(0);
    bob(&["token", "release", "--force"]).exits(0).says("ada@");
    bob(&APPLY).exits(0);
    bob(&["token", "hold", "--for", "long"]).exits(64).says("--for");
}

#[test]
fn a_token_is_told_in_a_line_whatever_stands_in_it() {
    let env = TestEnv::local("it:\n  test.nop: []\n");
    let ada = |words: &[&str]| run_as(&env, "ada", words);
    let bob = |words: &[&str]| run_as(&env, "bob", words);
    for (time, why) in [
        ("0s", "a second at least and a year at most"),
        ("99999999999y", "a second at least and a year at most"),
        ("long", "write `30min`, `2h` or `1day`"),
    ] {
        ada(&["token", "hold", "--for", time]).exits(64).says(why);
    }
    ada(&["token", "show"]).exits(0).says("  free");

    ada(&["token", "hold", "-m", "a\r\nb:\tc\n@ run x\u{1b}]0;t\u{7}\u{9b}2J"]).exits(0);
    bob(&APPLY).exits(1).says("2 h more: a b: c @ run x]0;t\u{fffd}2J\n");
    ada(&["token", "hold", "-m", &"long".repeat(2000)]).exits(0);
    bob(&["token", "show"]).exits(0).says("held by ada@").says("longlong…\n");
    bob(&APPLY).exits(1).says("held by ada@").says("longlong…\n");

    // Whoever has written something else there keeps others out, and is told.
    let hold = env.path("..").join("hold");
    let write = |text: &str| {
        let _ = fs::remove_file(&hold);
        std::os::unix::fs::symlink(text, &hold).unwrap();
    };
    let about = fs::read_link(&hold).unwrap().display().to_string();
    let until = about.lines().find(|line| line.starts_with("until: ")).unwrap();
    write(&format!("{until}\nrubbish\u{1}"));
    bob(&["token", "show"]).exits(0).says("held by somebody unknown, for 2 h more\n");
    bob(&APPLY).exits(1).says("held by somebody unknown, for ").says("`kstate token release --force`");
    bob(&["token", "release", "--force"]).exits(0).says("given back; it was held by somebody unknown");
    bob(&APPLY).exits(0);
    bob(&["token", "hold"]).exits(0);
    write("rubbish");
    ada(&["token", "show"]).exits(0).says("  free");
    ada(&APPLY).exits(0);
}

#[test]
fn the_token_is_taken_on_all_hosts_or_on_none() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let env = TestEnv::over(&one, "");
    let made = env.scratch("made");
    env.sls("it", &format!("{}:\n  file.managed:\n    - contents: x\n", made.display()));
    let known = |sshd: &Sshd| fs::read_to_string(sshd.ssh_config().with_file_name("known_hosts")).unwrap();
    fs::write(one.ssh_config().with_file_name("known_hosts"), known(&one) + &known(&two)).unwrap();
    env.write("roster", &(one.roster("one") + &two.roster("two")));

    run_as(&env, "ada", &["token", "hold", "-t", "two"]).exits(0);
    let refused = run_as(&env, "bob", &APPLY);
    refused.exits(1).says("held by ada@").says("on no host: the token of two cannot be had");
    assert!(!made.exists());
    run_as(&env, "bob", &["token", "hold"]).exits(1).says("held nowhere");
    run_as(&env, "bob", &["token", "show", "-t", "one"]).exits(0).says("  free");
    // Where the tree is broken, nothing is kept either.
    run_as(&env, "ada", &["token", "release"]).exits(0);
    env.sls("it", "it:\n  file.nothing: []\n");
    run_as(&env, "bob", &APPLY).exits(1);
    run_as(&env, "ada", &["token", "hold"]).exits(0);
    run_as(&env, "ada", &["token", "release"]).exits(0);

    // One host has it for all.
    env.write(
        "kstate.yaml",
        "file_roots: [states]\npillar_roots: [pillar]\nroster: roster\ntoken: {host: two}\n",
    );
    env.sls("it", &waits(&env));
    let ada = start_as(&env, "ada", &[&APPLY[..], &["-t", "one"]].concat());
    until("it works", || env.scratch("begun").exists());
    let shown = run_as(&env, "bob", &["token", "show"]);
    shown.exits(0).says("in use by ada@").does_not_say("one");
    run_as(&env, "bob", &[&APPLY[..], &["-t", "one"]].concat()).exits(1).says("in use by ada@");
    fs::write(env.scratch("go"), "").unwrap();
    ada.wait(LIMIT).exits(0);
    run_as(&env, "bob", &APPLY).exits(0);
    // It is given back at once by a run that ends before it has begun, or that reaches no host.
    for (target, exit) in [("nobody", 1), ("nobody", 1), ("nobody", 1), ("gone", 4)] {
        env.write("roster", &(one.roster("one") + &two.roster("two") + "gone: {host: 127.0.0.1, port: 1}\n"));
        run_as(&env, "ada", &[&APPLY[..], &["-t", target]].concat()).exits(exit);
        run_as(&env, "bob", &["token", "show"]).exits(0).says("  free");
    }
    env.write("kstate.yaml", "file_roots: [states]\nroster: roster\ntoken: {host: three}\n");
    run_as(&env, "bob", &APPLY).exits(1).says("no host `three`");
    run_as(&env, "bob", &["token", "show"]).exits(1).says("no host `three`");
}

#[test]
fn two_names_of_one_machine_take_turns_under_one_token() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    env.write("roster", &(sshd.roster("web") + &sshd.roster("db")));
    env.write("states/top.sls", "base:\n  web: [web]\n  db: [db]\n");
    let log = env.scratch("log");
    for name in ["web", "db"] {
        let work = format!("echo {name} begins >>{0}; sleep 1; echo {name} ends >>{0}", log.display());
        env.sls(name, &format!("{name}-one:\n  cmd.run:\n    - name: {work}\n{name}-two:\n  test.nop: []\n"));
    }
    let told = "`web` and `db` are names of one machine";
    for words in [&["apply", "--yes"][..], &["apply", "--yes", "--grains", "grains"]] {
        env.write("grains", "{}");
        let applied = env.kstate(words);
        applied.exits(0).says(told).says("cmd.run web-one  ").says("cmd.run db-one  ").says("2 hosts in ");
        let lines = std::mem::take(&mut fs::read_to_string(&log).unwrap());
        assert_eq!(lines, "web begins\nweb ends\ndb begins\ndb ends\n");
        fs::remove_file(&log).unwrap();
        env.kstate(&["token", "show"]).exits(0).says("free").does_not_say("in use");
    }
    env.kstate(&["diff"]).exits(0).says(told).says("web-one").says("db-one");
    // One that fails, or is meant for neither, leaves the other its turn.
    env.sls("web", "web-one:\n  cmd.run:\n    - name: exit 1\n");
    env.kstate(&["apply", "--yes"]).exits(1).says("web-one").says("changed cmd.run db-one");
    env.kstate(&["apply", "db", "--yes"]).exits(0).does_not_say(told).says("changed cmd.run db-one");
    env.kstate(&["token", "show"]).exits(0).says("free").does_not_say("in use");
}

#[test]
fn a_run_that_is_dead_has_no_token_and_one_whose_token_was_taken_away_changes_nothing_more() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    let after = env.scratch("after");
    env.sls("it", &format!("{}{}:\n  file.managed:\n    - contents: x\n", waits(&env), after.display()));

    // What it has left running is waited for: never two of the same beside each other.
    let mut killed = start_as(&env, "ada", &APPLY);
    until("it works", || env.scratch("begun").exists());
    killed.child.kill().unwrap();
    killed.wait(LIMIT);
    let next = start_as(&env, "bob", &APPLY);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(fs::read_to_string(env.scratch("begun")).unwrap(), "x\n");
    fs::write(env.scratch("go"), "").unwrap();
    next.wait(LIMIT).exits(0).says("waiting for an earlier, disconnected run");
    assert!(after.exists());

    for file in ["begun", "go", "after"] {
        fs::remove_file(env.scratch(file)).unwrap();
    }
    let ousted = start_as(&env, "ada", &APPLY);
    until("it works", || env.scratch("begun").exists());
    run_as(&env, "bob", &["token", "release", "--force"]).exits(0).says("ada@");
    // It says that it lives every few seconds, and learns of it then.
    std::thread::sleep(Duration::from_secs(6));
    fs::write(env.scratch("go"), "").unwrap();
    let ousted = ousted.wait(LIMIT);
    ousted.exits(1).says("the token of the host was taken away from this run").says("cmd.run waits  ");
    assert!(!after.exists());
}

#[test]
#[ignore = "needs a sandbox host"]
fn the_token_is_the_same_whatever_login_is_used() {
    let host = Host::pristine("token");
    host.sh("useradd -m -s /bin/sh deployer && mkdir -p ~deployer/.ssh && cp ~/.ssh/authorized_keys ~deployer/.ssh/ && chown -R deployer: ~deployer/.ssh");
    let env = TestEnv::of(&host, "it:\n  test.succeed_with_changes: []\n");
    let roster = |user: &str| env.write("roster", &format!("{0}:\n  host: {0}\n  user: {user}\n", host.name));
    roster("root");
    run_as(&env, "ada", &["token", "hold"]).exits(0);
    roster("deployer");
    run_as(&env, "bob", &APPLY).exits(1).says("held by ada@");
    run_as(&env, "bob", &["token", "release", "--force"]).exits(1).says("belongs to root");
    run_as(&env, "ada", &APPLY).exits(0);
    roster("root");
    run_as(&env, "ada", &["token", "release"]).exits(0);
    // What another login of the roster holds keeps root's run out as well, and root can take it away.
    roster("deployer");
    run_as(&env, "ada", &["token", "hold"]).exits(0);
    let both = format!("{0}: {0}\nother: {{host: {0}, user: deployer}}\n", host.name);
    env.write("roster", &both);
    let meant = [&APPLY[..], &["-t", &host.name]].concat();
    run_as(&env, "bob", &meant).exits(1).says("held by ada@");
    run_as(&env, "bob", &["token", "release", "--force", "-t", &host.name]).exits(0).says("ada@");
    run_as(&env, "bob", &meant).exits(0);
    // Of two users of the host who want it at the same time one gets it.
    env.sls("it", "it:\n  cmd.run:\n    - name: sleep 2\n");
    for _ in 0..5 {
        let users = [("ada", host.name.as_str()), ("bob", "other")];
        let runs = users.map(|(user, target)| start_as(&env, user, &[&APPLY[..], &["-t", target]].concat()));
        let codes = runs.map(|run| run.wait(LIMIT).status);
        assert!(codes == [Some(0), Some(1)] || codes == [Some(1), Some(0)], "{codes:?}");
    }
    assert_eq!(host.sh("ls /var/tmp | grep -c kstate- || true"), "0");
}
