//! The way to a host: keys, faults, rights, several hosts, and what it costs.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::support::{Host, Sshd, TestEnv, until};

const NOTHING: &str = "nothing:\n  test.nop: []\n";

#[test]
fn an_unknown_host_key_is_refused_with_its_fingerprint_and_what_to_do() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, NOTHING);
    sshd.know_nobody();
    let output = env.kstate(&["diff", "it"]);
    output.exits(4).within(5).says(&sshd.fingerprint()).says("ssh-keyscan").says("known_hosts");
}

#[test]
fn a_changed_host_key_is_refused_with_its_fingerprint_and_what_to_do() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, NOTHING);
    sshd.know("strange_key.pub");
    let output = env.kstate(&["diff", "it"]);
    output.exits(4).within(5).says(&sshd.fingerprint()).says("ssh-keygen").says("-R");
}

#[test]
fn a_key_that_the_host_does_not_take_is_told() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, NOTHING);
    env.write("roster", &sshd.roster_with("here", "strange_key"));
    env.kstate(&["diff", "it"]).exits(4).within(10).says("strange_key");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let env = TestEnv::new();
    let port = silent.local_addr().unwrap().port();
    env.write("roster", &format!("silent:\n  host: 127.0.0.1\n  port: {port}\n  timeout: 2\n"));
    env.write("states/top.sls", "base:\n  '*':\n    - it\n");
    env.sls("it", NOTHING);
    env.kstate(&["diff", "it"]).exits(4).within(15).says("not reached");
}

#[test]
fn a_command_that_lost_its_connection_is_awaited_over_another_one_and_not_taken_for_done() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    let (pid, file) = (env.scratch("pid"), env.scratch("file"));
    env.sls(
        "it",
        &format!(
            "{}:\n  file.managed:\n    - contents: x\n\
             long:\n  cmd.run:\n    - name: echo $$ >{1}.new; mv {1}.new {1}; sleep 6; echo x >{1}.done\n\
             after:\n  cmd.run:\n    - name: 'true'\n    - require:\n      - cmd: long\n",
            file.display(),
            pid.display()
        ),
    );
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("the command runs", || pid.exists());
    sshd.end_sessions();
    let output = running.wait(Duration::from_secs(40));
    output.exits(1).says("connected again");
    assert!(env.scratch("pid.done").exists(), "the run went on beside the command: {output}");
    assert_eq!(output.outcome(&file.display().to_string()), "changed");
    assert_eq!(output.outcome("long"), "failed");
    assert!(output.reason("long").contains("running"), "{output}");
    assert_eq!(output.outcome("after"), "skipped");
    assert_eq!(output.report()["logins"], 2, "{output}");
}

/// In the first look at the host, and in the look at a state after a change.
#[test]
fn a_host_that_lost_its_connection_while_it_was_asked_is_asked_over_another_one() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, "");
    let [first, second, asked] = ["first", "second", "asked"].map(|name| env.scratch(name));
    env.sls(
        "it",
        &format!(
            "first:\n  cmd.run:\n    - name: touch {0}\n    - creates: {0}\n\
             second:\n  cmd.run:\n    - name: touch {1}\n    - unless: echo x >>{2}; sleep 2; test -e {1}\n    - require:\n      - cmd: first\n",
            first.display(),
            second.display(),
            asked.display()
        ),
    );
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    for times in [1, 3] {
        until("it is asked", || fs::read_to_string(&asked).is_ok_and(|text| text.lines().count() == times));
        sshd.end_sessions();
    }
    let output = running.wait(Duration::from_secs(40));
    output.exits(0).says("connected again");
    assert_eq!((output.outcome("first"), output.outcome("second")), ("changed".into(), "changed".into()));
    assert_eq!(output.report()["logins"], 3, "{output}");
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_link_that_goes_silent_is_noticed_within_30_seconds() {
    let host = Host::pristine("silent");
    let env = TestEnv::of(
        &host,
        "/srv/done:\n  file.managed:\n    - contents: x\n\
         long:\n  cmd.run:\n    - name: touch /run/runs; sleep 600\n",
    );
    env.write(
        "kstate.yaml",
        "file_roots: [states]\npillar_roots: [pillar]\nroster: roster\nssh: {reconnect: 0}\n",
    );
    let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
    until("the command runs", || host.try_sh("test -e /run/runs").status == Some(0));
    host.cut();
    let cut = std::time::Instant::now();
    let output = running.wait(Duration::from_secs(90));
    let noticed = cut.elapsed();
    host.mend();
    assert!(noticed < Duration::from_secs(31), "noticed after {noticed:?}: {output}");
    output.exits(4);
    assert_eq!(output.outcome("/srv/done"), "changed");
    assert_eq!(output.outcome("long"), "failed");
    assert_eq!(host.sh("cat /srv/done"), "x");
}

#[test]
#[ignore = "needs a sandbox host"]
fn sudo_makes_another_user_root_where_it_is_allowed() {
    let host = Host::with("sudo", &["--pristine", "--sudo-user", "robin", "--user", "kim"]);
    let env = TestEnv::of(
        &host,
        "/etc/by-sudo:\n  file.managed:\n    - contents: x\n    - mode: '0600'\n\
         as kim:\n  cmd.run:\n    - name: id -un >/home/kim/who; echo $HOME >>/home/kim/who\n    \
         - runas: kim\n    - creates: /home/kim/who\n",
    );
    let roster = |user: &str, sudo: bool| {
        env.write(
            "roster",
            &format!(
                "{0}:\n  host: {0}\n  user: {user}\n  sudo: {1}\n",
                host.name,
                if sudo { "True" } else { "False" }
            ),
        );
    };

    roster("kim", true);
    env.kstate(&["diff", "it"]).exits(4).within(20).says("sudo").says("kim");

    roster("kim", false);
    let output = env.apply();
    output.exits(1);
    assert!(output.reason("/etc/by-sudo").contains("ermission denied"), "{output}");
    assert_eq!(
        host.sh("ls /etc/by-sudo 2>&1 || :"),
        "ls: cannot access '/etc/by-sudo': No such file or directory"
    );

    roster("robin", true);
    let output = env.apply();
    output.exits(0);
    assert_eq!(host.sh("stat -c '%U %a' /etc/by-sudo; cat /home/kim/who"), "root 600\nkim\n/home/kim");
    env.diff().exits(0);
}

#[test]
#[ignore = "needs a sandbox host"]
fn three_hosts_are_worked_on_at_a_time_and_one_that_dies_keeps_none_of_them() {
    let names = ["many1", "many2", "many3"];
    let hosts: Vec<Host> = std::thread::scope(|scope| {
        let started = names.map(|name| scope.spawn(move || Host::pristine(name)));
        started.map(|host| host.join().unwrap()).into_iter().collect()
    });
    let mut env = TestEnv::of(&hosts[0], "");
    let (mut roster, mut config) = (String::new(), String::new());
    for host in &hosts {
        roster += &format!("{0}:\n  host: {0}\n  timeout: 5\n", host.name);
        config += &fs::read_to_string(host.ssh_config()).unwrap();
    }
    env.write("roster", &roster);
    env.reach(&env.write("ssh_config", &config));
    env.sls(
        "it",
        "/srv/{{ grains.id }}:\n  file.managed:\n    - contents: {{ grains.fqdn }}\n\
         busy:\n  cmd.run:\n    - name: date +%s%N >/run/from; sleep 3; date +%s%N >/run/to\n",
    );
    let overlap = |words: &[&str]| {
        let output = env.kstate(&[&["apply", "it", "--yes", "--format", "json"], words].concat());
        output.exits(0);
        let number = |host: &Host, file| host.sh(&format!("cat {file}")).parse::<u64>().unwrap();
        let last_begin = hosts.iter().map(|host| number(host, "/run/from")).max().unwrap();
        let first_end = hosts.iter().map(|host| number(host, "/run/to")).min().unwrap();
        (last_begin < first_end, output)
    };
    let (at_a_time, output) = overlap(&[]);
    assert!(at_a_time, "{output}");
    for host in &hosts {
        assert_eq!(host.sh(&format!("cat /srv/{}", host.name)), host.name);
        let report = &output.json()["targets"][&host.name];
        assert_eq!(report["logins"], 1, "{output}");
        assert_eq!(report["summary"]["changed"], 2, "{output}");
    }
    let (at_a_time, output) = overlap(&["--jobs", "1"]);
    assert!(!at_a_time, "{output}");

    hosts[1].cut();
    let output = env.kstate(&["apply", "it", "--yes", "--format", "json"]);
    hosts[1].mend();
    output.exits(4).within(60);
    let targets = &output.json()["targets"];
    assert_eq!(targets[&hosts[1].name]["reachable"], false, "{output}");
    for alive in [&hosts[0], &hosts[2]] {
        assert_eq!(targets[&alive.name]["summary"]["changed"], 1, "{output}");
    }
}

/// `n` managed files below /srv/many.
fn files(n: usize) -> String {
    let mut sls = String::new();
    for i in 0..n {
        write!(
            sls,
            "/srv/many/{i}:\n  file.managed:\n    - contents: this is file {i}\n    - makedirs: True\n    - mode: '0640'\n"
        )
        .unwrap();
    }
    sls
}

#[test]
#[ignore = "needs a sandbox host"]
fn round_trips_do_not_grow_with_the_number_of_files() {
    let host = Host::pristine("trips");
    let env = TestEnv::of(&host, &files(500));
    let first = env.apply();
    first.exits(0);
    assert_eq!(first.report()["summary"]["changed"], 500, "{first}");
    let mut costs = Vec::new();
    for n in [10, 500] {
        env.sls("it", &files(n));
        for output in [env.diff(), env.apply()] {
            output.exits(0);
            let report = output.report();
            assert_eq!(report["logins"], 1);
            costs.push(report["round_trips"].as_u64().unwrap());
        }
    }
    assert_eq!(costs[..2], costs[2..]);
    assert!(costs.iter().all(|cost| *cost <= 4), "{costs:?}");
}

// --- more than one login

/// A second user whom the same key lets in.
fn add_deployer(host: &Host) {
    host.sh(
        "useradd -m -s /bin/bash deployer && mkdir -p ~deployer/.ssh && cp ~/.ssh/authorized_keys ~deployer/.ssh/ && \
         chown -R deployer: ~deployer/.ssh && passwd -d deployer >/dev/null",
    );
}

fn enlist(env: &TestEnv, host: &Host, logins: &str) {
    env.write("roster", &format!("{0}:\n  host: {0}\n  logins: {{{logins}}}\n", host.name));
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_is_of_a_user_goes_by_the_login_of_that_user_and_the_rest_is_told_where_there_is_no_other() {
    let host = Host::pristine("logins");
    add_deployer(&host);
    let env = TestEnv::of(
        &host,
        "code:\n  cmd.run:\n    - name: (id -un; p=$PPID; until [ $p -le 1 ]; do ps -o comm= -p $p; p=$(ps -o ppid= -p $p); done) >>~/who; touch ~/code\n    - runas: deployer\n    - creates: /home/deployer/code\n\
         service:\n  test.succeed_with_changes: []\n\
         reload:\n  cmd.wait:\n    - name: id -un >/srv/reloaded\n    - watch:\n      - cmd: code\n\
         /srv/file:\n  file.managed:\n    - contents: x\n\
         /home/deployer/file:\n  file.managed:\n    - contents: x\n    - user: deployer\n",
    );
    let roster = |logins: &str| enlist(&env, &host, logins);
    let clean = || host.sh("rm -f ~deployer/code ~deployer/file ~deployer/who /srv/reloaded /srv/file");

    roster("root: , deployer: ");
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.json()["targets"][&host.name]["logins"], 2, "{output}");
    assert_eq!(host.sh("cat /srv/reloaded; head -n 1 ~deployer/who"), "root\ndeployer");
    assert!(!host.sh("cat ~deployer/who").lines().any(|line| line == "su"), "{output}");
    env.diff().exits(0);

    // A login that cannot be had is stood for by root, who becomes that user.
    clean();
    roster("root: , deployer: {port: 1}");
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.json()["targets"][&host.name]["logins"], 1, "{output}");
    assert_eq!(host.sh("head -n 1 ~deployer/who"), "deployer");
    assert!(host.sh("cat ~deployer/who").lines().any(|line| line == "su"), "{output}");

    clean();
    roster("root: {port: 1}, deployer: ");
    let output = env.diff();
    output.exits(2);
    assert_eq!(output.outcome("code"), "drift", "{output}");
    assert_eq!(output.outcome("/home/deployer/file"), "drift", "{output}");
    assert_eq!(output.outcome("/srv/file"), "unknown", "{output}");
    assert!(output.reason("/srv/file").contains("needs the login `root`"), "{output}");
    let output = env.kstate(&["apply", "it", "--yes"]);
    output.exits(1).says("without the login `root` these states are left alone").says("`/srv/file`");
    let told = output.stderr.find("are left alone").unwrap();
    let made = output.stderr.find("changed cmd.run code").unwrap();
    assert!(told < made, "{output}");
    assert_eq!(host.sh("cat ~deployer/file; ls /srv/file /srv/reloaded 2>&- || true"), "x");
    assert_eq!(host.sh("head -n 1 ~deployer/who"), "deployer");
    // Whoever has the login does the rest. Root trusts no record of another user: what that run owes stays with its login.
    roster("root: ");
    let output = env.diff();
    output.exits(2);
    output.does_not_say("owed for");
    env.apply().exits(0);
    assert_eq!(host.sh("cat /srv/file"), "x");
}

/// What runs over the second login is awaited like what runs over the first, by this run and by the next one.
#[test]
#[ignore = "needs a sandbox host"]
fn a_command_of_a_second_login_runs_once_whatever_becomes_of_the_connections() {
    let host = Host::pristine("second");
    add_deployer(&host);
    let env = TestEnv::of(
        &host,
        "code:\n  cmd.run:\n    - name: date >>~/begun; sleep 14; touch ~/ended\n    - runas: deployer\n    - creates: /home/deployer/ended\n",
    );
    enlist(&env, &host, "root: , deployer: ");
    let begin = || {
        host.sh("rm -f ~deployer/begun ~deployer/ended");
        let running = env.start(&["apply", "it", "--yes", "--format", "json"]);
        until("it runs", || host.try_sh("test -e ~deployer/begun").status == Some(0));
        running
    };
    let running = begin();
    host.end_sessions();
    let output = running.wait(Duration::from_secs(60));
    output.exits(0).says("connected again");
    assert_eq!(output.outcome("code"), "changed", "{output}");
    assert_eq!(host.sh("wc -l <~deployer/begun"), "1", "{output}");

    let mut running = begin();
    running.child.kill().unwrap();
    running.wait(Duration::from_secs(60));
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.outcome("code"), "unchanged", "{output}");
    assert_eq!(host.sh("wc -l <~deployer/begun"), "1", "{output}");
}

#[test]
fn mistakes_in_logins_are_told_at_their_place() {
    let env = TestEnv::new();
    env.write(
        "roster",
        "web1:\n  host: 192.0.2.1\n  user: ada\n  logins:\n    root: {prive: x}\n    deployer: {port: many}\nweb2:\n  host: 192.0.2.2\n  logins: [root]\n",
    );
    let output = env.kstate(&["check"]);
    output
        .exits(1)
        .says("roster:5:12")
        .says("`prive: x` means nothing")
        .says("roster:6:16")
        .says("roster:9:11");
    output.says("who is not among its `logins`");
}

#[test]
fn a_key_of_the_roster_that_does_not_exist_is_an_error_at_its_line() {
    let sshd = Sshd::start();
    let env = TestEnv::over(&sshd, NOTHING);
    env.write("roster", &sshd.roster_with("here", "no_such_key"));
    env.kstate(&["diff", "it"])
        .exits(1)
        .within(10)
        .says("no_such_key")
        .says("does not exist")
        .says("roster:1");
}
