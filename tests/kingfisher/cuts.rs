//! Whatever becomes of the connection, of the controller and of the host: the migration runs once, what was taken away
//! comes back, and the report is true.

use std::collections::BTreeSet;

use super::{Before, DEPLOY, Kingfisher, LIMIT};
use crate::support::{Output, Relay, until_within};

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
    /// The host is started again.
    Host,
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_deployment_is_whole_wherever_its_connection_is_cut() {
    let cuts = Cuts::start("cut");
    for place in [&ENTER, &MIGRATION, &LEAVE] {
        for cut in [Cut::Relay, Cut::Session] {
            let (before, output) = cuts.deploy(place, cut);
            output.exits(0).says("connected again");
            assert_eq!(output.ids("changed"), CHANGED.map(str::to_owned).into(), "{cut:?}: {output}");
            assert!(output.ids("failed").is_empty() && output.ids("skipped").is_empty(), "{output}");
            cuts.are_over_since(&before, 1, &output);
        }
    }
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_deployment_is_whole_wherever_its_controller_is_killed_and_when_the_host_is_rebooted() {
    let cuts = Cuts::start("killed");
    let host = &cuts.server.host;
    for place in [&ENTER, &MIGRATION, &LEAVE] {
        let (before, output) = cuts.deploy(place, Cut::Controller);
        assert_eq!(output.status, None, "{output}");
        until_within(LIMIT, "the host leaves the brackets", || {
            host.sh("ls /var/lib/kstate/brackets").is_empty()
        });
        cuts.server.is_restored_since(&before, &output);
        let next = cuts.server.env.kstate(&DEPLOY);
        next.exits(0);
        cuts.are_over_since(&before, 1, &next);
    }

    let (before, output) = cuts.deploy(&MIGRATION, Cut::Host);
    output.exits(1).says("connected again");
    assert_eq!(output.ids("failed"), BTreeSet::from([MIGRATION_ID.to_owned()]), "{output}");
    assert_eq!(cuts.migrations(), "", "{output}");
    cuts.server.is_restored_since(&before, &output);
    let next = cuts.server.env.kstate(&DEPLOY);
    next.exits(0);
    let before = Before { uwsgi: cuts.server.uwsgi(), ..before };
    cuts.are_over_since(&before, 2, &next);
}

struct Cuts {
    server: Kingfisher,
    relay: Relay,
}

impl Cuts {
    /// A server behind a relay, whose database keeps which definitions were changed, and lets a migration wait for a lock.
    fn start(name: &str) -> Self {
        let mut server = Kingfisher::start(name);
        let relay = Relay::to(&server.host.address());
        let direct = std::fs::read_to_string(server.host.ssh_config()).unwrap();
        let config = server.env.write("ssh_config", &(relay.ssh_config(&server.host.name) + &direct));
        server.env.reach(&config);
        server.psql(
            "ALTER DATABASE ocdskingfisherprocess SET deadlock_timeout = '1min';
            CREATE SCHEMA watched;
            CREATE TABLE watched.ddl (id serial, tag text);
            CREATE FUNCTION watched.keep() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
            AS 'BEGIN INSERT INTO watched.ddl (tag) VALUES (tg_tag); END';
            CREATE EVENT TRIGGER keep ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX')
            EXECUTE FUNCTION watched.keep()",
        );
        Cuts { server, relay }
    }

    /// A deployment that is cut while the host is held at a place, to its end. And what was there before.
    fn deploy(&self, place: &Place, cut: Cut) -> (Before, Output) {
        let host = &self.server.host;
        self.server.prepare();
        self.server.psql("TRUNCATE watched.ddl");
        host.sh("rm -rf /var/lib/kstate/jobs");
        let before = self.server.before();
        host.sh(place.hold);
        let mut running = self.server.env.start(&DEPLOY);
        until_within(LIMIT, "the host is held", || host.try_sh(place.is_reached).status == Some(0));
        match cut {
            Cut::Relay => self.relay.close(),
            Cut::Session => host.end_sessions(),
            Cut::Controller => running.child.kill().unwrap(),
            Cut::Host => host.reboot(),
        }
        host.sh(place.release);
        (before, running.wait(LIMIT))
    }

    /// All is deployed, and another apply changes nothing. So many migrations were begun, and one was made.
    #[track_caller]
    fn are_over_since(&self, before: &Before, begun: usize, output: &Output) {
        self.server.is_deployed_since(before, output);
        assert_eq!(self.migrations(), "ALTER TABLE CREATE INDEX", "{output}");
        let begin = format!("grep -lxF 'state: {MIGRATION_ID}' /var/lib/kstate/jobs/*/about");
        assert_eq!(self.server.host.sh(&begin).lines().count(), begun, "{output}");
        let last = self.server.env.kstate(&DEPLOY);
        assert_eq!(last.exits(0).ids("changed"), BTreeSet::new(), "{last}");
    }

    /// What migrations have made.
    fn migrations(&self) -> String {
        self.server.psql("SELECT string_agg(tag, ' ' ORDER BY id) FROM watched.ddl")
    }
}
