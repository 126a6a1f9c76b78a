//! Reloads and restarts of real services, by their processes.

use crate::support::{Host, TestEnv};

const UWSGI_APP: &str = "printf '[uwsgi]\\nplugins = python3\\nmaster = true\\nprocesses = 1\\n' >/etc/uwsgi/apps-enabled/t.ini; service uwsgi restart";

fn main_process(host: &Host, service: &str) -> String {
    host.sh(match service {
        "uwsgi" => "cat /run/uwsgi/app/t/pid",
        "apache2" => "cat /run/apache2/apache2.pid",
        _ => "systemctl show -p MainPID --value cron",
    })
}

/// When the service last read its configuration anew, or began.
fn workers(host: &Host, process: &str) -> String {
    host.sh(&format!("pgrep -P {process} | sort | tr '\\n' ' '"))
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_watching_service_is_reloaded_and_not_restarted_if_it_says_so() {
    let host = Host::full("reload");
    host.sh(UWSGI_APP);
    let sls = |text: &str| {
        format!(
            "/srv/settings:\n  file.managed:\n    - contents: {text}\n\
             uwsgi:\n  service.running:\n    - reload: True\n    - old_workers: 30\n    - watch:\n      - file: /srv/settings\n\
             apache2:\n  service.running:\n    - reload: True\n    - old_workers: 30\n    - watch:\n      - file: /srv/settings\n\
             cron:\n  service.running:\n    - watch:\n      - file: /srv/settings\n"
        )
    };
    let env = TestEnv::of(&host, &sls("one"));
    env.apply().exits(0);
    let services = ["uwsgi", "apache2", "cron"];
    let before = services.map(|service| main_process(&host, service));
    let workers_before = workers(&host, &before[1]);

    env.apply().exits(0);
    assert_eq!(services.map(|service| main_process(&host, service)), before, "nothing changed");

    env.sls("it", &sls("two"));
    let output = env.diff();
    output.exits(2);
    for service in services {
        assert_eq!(output.outcome(service), "drift", "{service}: {output}");
    }
    let output = env.apply();
    output.exits(0);
    let after = services.map(|service| main_process(&host, service));
    assert_eq!(after[0], before[0], "uwsgi was restarted: {output}");
    assert_eq!(after[1], before[1], "apache2 was restarted: {output}");
    assert_ne!(after[2], before[2], "cron was not restarted: {output}");
    assert_ne!(workers(&host, &after[1]), workers_before, "apache2 was not reloaded: {output}");
    for service in services {
        assert_eq!(output.outcome(service), "changed", "{service}: {output}");
    }
    for service in ["uwsgi", "apache2"] {
        assert!(output.reason(service).contains("workers of before were gone after"), "{output}");
    }
    assert_eq!(output.json()["targets"][&host.name]["states"][3]["reason"], serde_json::Value::Null);
    env.diff().exits(0);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_service_whose_processes_are_dead_is_not_running_whatever_systemd_says() {
    let host = Host::full("exited");
    host.sh(UWSGI_APP);
    let sls = |text: &str| {
        format!(
            "uwsgi:\n  service.running:\n    - reload: True\n    - watch:\n      - file: /srv/settings\n\
             /srv/settings:\n  file.managed:\n    - contents: {text}\n"
        )
    };
    let env = TestEnv::of(&host, &sls("one"));
    env.apply().exits(0);
    let kill = || {
        host.sh("pkill -KILL uwsgi; sleep 0.3; ! pgrep uwsgi >&2; systemctl is-active uwsgi; systemctl show -p SubState --value uwsgi")
    };
    assert_eq!(kill(), "active\nexited");
    let output = env.diff();
    output.exits(2);
    assert_eq!(output.outcome("uwsgi"), "drift", "{output}");
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.outcome("uwsgi"), "changed", "{output}");
    host.sh("pgrep uwsgi");
    env.diff().exits(0);

    // Dead when it is to be reloaded: it is started.
    kill();
    env.sls("it", &sls("two"));
    env.apply().exits(0);
    host.sh("pgrep uwsgi");
    env.diff().exits(0);
}

#[test]
#[ignore = "needs a sandbox host"]
fn functions_of_services_can_be_called() {
    let host = Host::full("called");
    let sls = |text: &str| {
        format!(
            "/srv/settings:\n  file.managed:\n    - contents: {text}\n\
             restart cron:\n  module.wait:\n    - name: service.restart\n    - m_name: cron\n    - watch:\n      - file: /srv/settings\n\
             reload apache:\n  module.run:\n    - name: service.reload\n    - m_name: apache2\n    - onchanges:\n      - file: /srv/settings\n"
        )
    };
    let env = TestEnv::of(&host, &sls("one"));
    env.apply().exits(0);
    let before = [main_process(&host, "apache2"), main_process(&host, "cron")];
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.ids("changed").len(), 0, "{output}");
    assert_eq!(main_process(&host, "cron"), before[1]);
    env.sls("it", &sls("two"));
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.ids("changed").len(), 3, "{output}");
    assert_eq!(main_process(&host, "apache2"), before[0], "apache2 was restarted");
    assert_ne!(main_process(&host, "cron"), before[1], "cron was not restarted");
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_service_that_does_not_exist_or_does_not_start_fails_with_its_reason() {
    let host = Host::pristine("noservice");
    host.sh("printf '[Service]\\nExecStart=/bin/sh -c \"echo it has no socket >&2; exit 7\"\\n' >/etc/systemd/system/kt-broken.service; systemctl daemon-reload");
    let env = TestEnv::of(&host, "nowhere:\n  service.running: []\nkt-broken:\n  service.running: []\n");
    let output = env.apply();
    output.exits(1).within(60);
    assert_eq!(output.outcome("nowhere"), "failed");
    assert!(output.reason("nowhere").contains("nowhere"), "{output}");
    assert_eq!(output.outcome("kt-broken"), "failed", "{output}");
}

/// A service that runs code from a checkout.
#[test]
#[ignore = "needs a sandbox host"]
fn workers_that_are_older_than_their_code_are_found_and_replaced() {
    let host = Host::full("current");
    host.sh(UWSGI_APP);
    host.sh("cd /srv && git init -q app && git config --global user.email ann@example.org && git config --global user.name Ann");
    let commit = || host.sh("cd /srv/app && date +%N >part && git add part && git commit -qm 'Change it'");
    commit();
    host.sh("service uwsgi reload; setsid sleep 87654 >/dev/null 2>&1 </dev/null & sleep 1");
    let env = TestEnv::of(
        &host,
        "served:\n  service.current:\n    - service: uwsgi\n    - code: [/srv/app, /etc/uwsgi/apps-enabled]\n\
         run:\n  process.current:\n    - pattern: ^sleep 87654\n    - code: /srv/app\n",
    );
    let output = env.apply();
    output.exits(0);
    for id in ["served", "run"] {
        assert_eq!(output.outcome(id), "unchanged", "{output}");
        let remark = output.state(id)["remark"].to_string();
        assert!(
            remark.contains("is not older than the code of ") && remark.contains("(`/srv/app`)"),
            "{remark}"
        );
    }

    commit();
    let uwsgi = main_process(&host, "uwsgi");
    let before = workers(&host, &uwsgi);
    let output = env.diff();
    output
        .exits(2)
        .says("1 of whose 1 workers are older than the code of ")
        .says(", older than the code of ");
    let output = env.apply();
    output.exits(0);
    for id in ["served", "run"] {
        assert_eq!(output.outcome(id), "changed", "{output}");
    }
    assert_eq!(main_process(&host, "uwsgi"), uwsgi, "it was restarted: {output}");
    assert_ne!(workers(&host, &uwsgi), before, "{output}");
    assert_eq!(host.sh("pgrep -fc '^sleep 87654' || true"), "0", "{output}");
    env.apply().exits(0);
    let output = env.diff();
    output.exits(0);
    assert_eq!(output.state("run")["remark"].as_str().unwrap().find("no process runs the code of "), Some(0));

    host.sh("mv /srv/app /srv/other");
    env.apply().exits(1).says("there is no `/srv/app`, the age of which is asked");
}
