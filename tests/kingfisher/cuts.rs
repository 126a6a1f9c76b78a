//! Whatever becomes of the connection, of the controller and of the host: the migration runs once, what was taken away
//! comes back, and the report is true.

use std::collections::BTreeSet;

use super::{Before, DEPLOY, Kingfisher, LIMIT};
use crate::support::{Output, Relay, Running, until};

const CHANGED: [&str; 5] = [
    "/srv/git/kingfisher-process.git/home/ocdskfp/ocdskingfisherprocess/",
    MIGRATION_ID,
    "ocdskfp-workers-paused",
    "ocdskfp-workers-stopped",
    "uwsgi",
];
const MIGRATION_ID: &str = "createdatabase-/home/ocdskfp/ocdskingfisherprocess/";

/// A place of a deployment at which the host is made to stay for a while: shell texts.
struct Place {
    hold: &'static str,
    is_reached: &'static str,
    release: &'static str,
}

/// Jobs of cron are away, and a worker takes its time to end.
const ENTER: Place = Place {
    hold: "pkill -STOP -u ocdskfp -f '^python ocdskingfisher-process-cli'",
    is_reached: "crontab -u ocdskfp -l | grep -q '^#kstate-suspended' || exit 1
        for worker in $(pgrep -u ocdskfp -f '^python ocdskingfisher-process-cli'); do
        ! grep -q '^ShdPnd:.*4000$' /proc/$worker/status || exit 0; done; exit 1",
    release: "pkill -CONT -u ocdskfp -f '^python ocdskingfisher-process-cli'",
};

/// The migration waits for a lock.
const MIGRATION: Place = Place {
    hold: "cd /; psql='runuser -u postgres -- psql -XAtq ocdskingfisherprocess -c'
        setsid $psql 'BEGIN; LOCK TABLE collection IN ACCESS SHARE MODE; SELECT pg_sleep(600)' >/dev/null 2>&1 </dev/null &
        until $psql \"SELECT query FROM pg_stat_activity WHERE wait_event = 'PgSleep'\" | grep -q collection; do sleep 0.1; done",
    is_reached: "cd /; runuser -u postgres -- psql -XAtqc \"SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'\" |
        grep -q '^ALTER TABLE collection'",
    release: "cd /; runuser -u postgres -- psql -XAtqc \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'\"",
};

/// The first worker is about to come back, and the others and the crontab have to.
const LEAVE: Place = Place {
    hold: r#"cat >/usr/local/bin/systemd-run <<'END' && chmod +x /usr/local/bin/systemd-run
#!/bin/sh
case "$*" in *kstate-resumed-*) touch /run/leaving; while [ -e /run/held ]; do sleep 0.1; done ;; esac
exec /usr/bin/systemd-run "$@"
END
touch /run/held"#,
    is_reached: "test -e /run/leaving",
    release: "rm -f /run/held /run/leaving /usr/local/bin/systemd-run",
};

#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The way between both is closed.
    Relay,
    /// The server ends the session.
    Session,
    /// The controller is killed.
    Controller,
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_deployment_is_whole_whatever_is_cut_while_workers_are_taken_away() {
    Cuts::start("enter").each_at(&ENTER);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_deployment_is_whole_whatever_is_cut_during_its_migration() {
    Cuts::start("migrating").each_at(&MIGRATION);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_deployment_is_whole_whatever_is_cut_while_workers_come_back() {
    Cuts::start("leave").each_at(&LEAVE);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_deployment_is_whole_when_the_host_is_rebooted_during_its_migration() {
    let cuts = Cuts::start("rebooted");
    let (server, before) = (&cuts.server, cuts.prepare());
    let running = cuts.deploy_to(&MIGRATION);
    server.host.reboot();
    let output = running.wait(LIMIT);
    output.exits(1).says("connected again");
    assert_eq!(output.ids("failed"), BTreeSet::from([MIGRATION_ID.to_owned()]), "{output}");
    assert_eq!(cuts.migrations(), "", "{output}");
    server.is_restored_since(&before, &output);
    let before = Before { uwsgi: server.uwsgi(), ..before };
    cuts.ends(&before, 2);
}

struct Cuts {
    server: Kingfisher,
    relay: Relay,
}

impl Cuts {
    /// A server behind a relay, whose database keeps which definitions were changed.
    fn start(name: &str) -> Self {
        let mut server = Kingfisher::start(name);
        let relay = Relay::to(&server.host.address());
        let direct = std::fs::read_to_string(server.host.ssh_config()).unwrap();
        let config = server.env.write("ssh_config", &(relay.ssh_config(&server.host.name) + &direct));
        server.env.reach(&config);
        server.psql(
            "CREATE SCHEMA watched;
            CREATE TABLE watched.ddl (id serial, tag text);
            CREATE FUNCTION watched.keep() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
            AS 'BEGIN INSERT INTO watched.ddl (tag) VALUES (tg_tag); END';
            CREATE EVENT TRIGGER keep ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX')
            EXECUTE FUNCTION watched.keep()",
        );
        Cuts { server, relay }
    }

    fn each_at(&self, place: &Place) {
        for cut in [Cut::Relay, Cut::Session, Cut::Controller] {
            let before = self.prepare();
            let mut running = self.deploy_to(place);
            match cut {
                Cut::Relay => self.relay.close(),
                Cut::Session => self.server.host.end_sessions(),
                Cut::Controller => running.child.kill().unwrap(),
            }
            self.server.host.sh(place.release);
            let output = running.wait(LIMIT);
            match cut {
                Cut::Controller => self.is_left_by_the_host(&output),
                Cut::Relay | Cut::Session => self.is_true(&output),
            }
            self.server.is_restored_since(&before, &output);
            self.ends(&before, 1);
        }
    }

    fn prepare(&self) -> Before {
        self.server.prepare();
        self.server.psql("TRUNCATE watched.ddl");
        self.server.host.sh("rm -rf /var/lib/kstate/jobs");
        self.server.before()
    }

    /// Starts a deployment, and waits until the host holds it there.
    fn deploy_to(&self, place: &Place) -> Running {
        self.server.host.sh(place.hold);
        let running = self.server.env.start(&DEPLOY);
        until("it is held", || self.server.host.try_sh(place.is_reached).status == Some(0));
        running
    }

    /// The controller has seen all of it to its end.
    #[track_caller]
    fn is_true(&self, output: &Output) {
        output.exits(0).says("connected again");
        assert_eq!(output.ids("changed"), CHANGED.map(str::to_owned).into(), "{output}");
        assert!(output.ids("failed").is_empty() && output.ids("skipped").is_empty(), "{output}");
    }

    #[track_caller]
    fn is_left_by_the_host(&self, output: &Output) {
        assert_eq!(output.status, None, "{output}");
        until("the host leaves the brackets", || {
            self.server.host.sh("ls /var/lib/kstate/brackets").is_empty()
        });
    }

    /// The next apply makes what is left, and the one after that nothing. All of them have begun so many migrations, of
    /// which one was made.
    #[track_caller]
    fn ends(&self, before: &Before, begun: usize) {
        let next = self.server.env.kstate(&DEPLOY);
        next.exits(0);
        self.server.is_deployed_since(before, &next);
        assert_eq!(self.migrations(), "ALTER TABLE CREATE INDEX", "{next}");
        let jobs =
            self.server.host.sh(&format!("grep -lxF 'state: {MIGRATION_ID}' /var/lib/kstate/jobs/*/about"));
        assert_eq!(jobs.lines().count(), begun, "{jobs}: {next}");
        let last = self.server.env.kstate(&DEPLOY);
        assert_eq!(last.exits(0).ids("changed"), BTreeSet::new(), "{last}");
    }

    /// What migrations have made.
    fn migrations(&self) -> String {
        self.server.psql("SELECT string_agg(tag, ' ' ORDER BY id) FROM watched.ddl")
    }
}
