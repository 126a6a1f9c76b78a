//! Deployments with a migration of a real PostgreSQL, by real Alembic and real Django.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Host, TestEnv, until};

/// An application in a repository of its own, with a migration that makes the table `item` and a later one that widens it.
struct Application {
    name: &'static str,
    wheels: &'static str,
    /// Makes the files of the first commit, and of the second.
    start: &'static str,
    later: &'static str,
    /// The state, but for what both have in common.
    state: &'static str,
    first: &'static str,
    second: &'static str,
    /// The line of the difference that names the second migration.
    title: &'static str,
    /// Makes the database newer than the code, and what is said about that.
    ahead: &'static str,
    told: &'static str,
}

const ALEMBIC: Application = Application {
    name: "alembic",
    wheels: "alembic sqlalchemy mako markupsafe typing_extensions psycopg2_binary",
    start: r"
mkdir -p migrations/versions
cat >alembic.ini <<'E'
[alembic]
script_location = %(here)s/migrations
sqlalchemy.url = postgresql+psycopg2:///app
E
cat >migrations/env.py <<'E'
from alembic import context
from sqlalchemy import engine_from_config

engine = engine_from_config(context.config.get_section('alembic'))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
E
cat >migrations/versions/a1_start.py <<'E'
'''Start'''
from alembic import op

revision = 'a1'
down_revision = None


def upgrade():
    op.execute('CREATE TABLE item (id serial PRIMARY KEY)')
E
",
    later: r"
cat >migrations/versions/b2_price.py <<'E'
'''Give items a price

What they cost.
'''
from alembic import op

revision: str = 'b2'
down_revision: str = 'a1'


def upgrade():
    op.execute('ALTER TABLE item ADD COLUMN price integer')
E
",
    state: "  alembic.upgraded:\n    - cwd: /srv/app\n",
    first: "a1",
    second: "b2",
    title: "+b2 Give items a price\n",
    ahead: "UPDATE alembic_version SET version_num = 'c3'",
    told: "the database is at `c3`, which the code does not know",
};

const DJANGO: Application = Application {
    name: "django",
    wheels: "django asgiref sqlparse psycopg2_binary",
    start: r"
mkdir -p shop/migrations
touch shop/__init__.py shop/migrations/__init__.py
cat >settings.py <<'E'
DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'app'}}
INSTALLED_APPS = ['shop']
SECRET_KEY = 'none'
E
cat >manage.py <<'E'
from django.core.management import execute_from_command_line
execute_from_command_line()
E
cat >shop/migrations/0001_start.py <<'E'
from django.db import migrations


class Migration(migrations.Migration):
    operations = [migrations.RunSQL('CREATE TABLE item (id serial PRIMARY KEY)')]
E
",
    later: r"
cat >shop/migrations/0002_price.py <<'E'
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('shop', '0001_start')]
    operations = [migrations.RunSQL('ALTER TABLE item ADD COLUMN price integer')]
E
",
    state: "  django.migrated:\n    - name: /srv/app\n    - settings: settings\n",
    first: "0001_start",
    second: "0002_price",
    title: "+0002_price\n",
    ahead: "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0003_stock', now())",
    told: "the database has the migration `shop.0003_stock`, which the code does not know",
};

#[test]
#[ignore = "needs a sandbox host"]
fn alembic_migrations_are_shown_before_they_come_and_do_not_block_the_application() {
    deploy(&ALEMBIC);
}

#[test]
#[ignore = "needs a sandbox host"]
fn django_migrations_are_shown_before_they_come_and_do_not_block_the_application() {
    deploy(&DJANGO);
}

/// A request holds what the migration needs, and waits for what it has: PostgreSQL would end the one that has waited for a
/// second, which is the request.
#[test]
#[ignore = "needs a sandbox host"]
fn a_migration_gives_way_to_a_request_before_that_is_ended_for_a_deadlock() {
    const REQUEST: &str = "BEGIN; INSERT INTO note VALUES (1);
        DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active')
        LOOP PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); END LOOP; END $$;
        SELECT 'read ' || count(*) FROM item; COMMIT;";
    let host = Host::full("deadlock");
    let server = Server(&host);
    server.make(&ALEMBIC);
    let env = TestEnv::of(&host, &ALEMBIC.sls(3));
    env.apply().exits(0);
    server.psql("SET ROLE ann; CREATE TABLE note (id integer)");
    let slowly = "    op.execute('SELECT pg_sleep(0.3)')\n    op.execute('CREATE INDEX ON note (id)')\nE\n";
    server.commit(&ALEMBIC.later.replace("E\n", slowly));
    let output = thread::scope(|scope| {
        let request = scope.spawn(|| server.psql(REQUEST));
        let output = env.apply();
        assert_eq!(request.join().unwrap(), "read 0", "{output}");
        output
    });
    output.exits(0);
    assert_eq!(output.outcome("migrate"), "changed", "{output}");
    assert_eq!(server.columns(), "id price");
    let log = host.sh("cat /var/lib/kstate/jobs/*/log");
    assert!(log.contains("attempt 1 of 4: a lock was not to be had within 0.3 s"), "{log}");
}

fn deploy(application: &Application) {
    let host = Host::full(application.name);
    let server = Server(&host);
    server.make(application);
    let env = TestEnv::of(&host, &application.sls(1));

    let output = env.diff();
    output.exits(2);
    assert_eq!(output.outcome("migrate"), "unknown", "{output}");
    let output = env.apply();
    output.exits(0);
    let change = &output.state("migrate")["changes"][0];
    assert!(change["before"].is_null() && change["after"] == application.first, "{output}");
    assert_eq!(env.apply().exits(0).outcome("migrate"), "unchanged");
    env.diff().exits(0);

    server.commit(application.later);
    let before = server.commit_of_checkout();
    let output = env.diff();
    output.exits(2);
    let change = &output.state("migrate")["changes"][0];
    assert!(change["before"] == application.first && change["after"] == application.second, "{output}");
    assert!(change["diff"].as_str().unwrap().contains(application.title), "{output}");
    assert_eq!(server.commit_of_checkout(), before, "the difference has checked something out");

    server.hold();
    let done = AtomicBool::new(false);
    let (output, slowest) = thread::scope(|scope| {
        let user = scope.spawn(|| server.use_until(&done));
        let output = env.apply();
        done.store(true, Ordering::Relaxed);
        (output, user.join().unwrap())
    });
    output.exits(1);
    let reason = output.reason("migrate");
    assert!(reason.contains("gave up after 2 attempts: a lock was not to be had within 0.3 s"), "{reason}");
    assert!(reason.contains("held by process") && reason.contains("idle in transaction"), "{reason}");
    assert!(slowest < Duration::from_secs(10), "the application was blocked for {slowest:?}");
    assert_eq!(server.columns(), "id", "the schema was touched");

    env.sls("it", &application.sls(30));
    let applying = env.start(&["apply", "it", "--yes", "--format", "json"]);
    server.sees("the migration waits", "> 0");
    server.sees("the migration waits no more", "= 0");
    server.release();
    let output = applying.wait(Duration::from_secs(120));
    output.exits(0);
    assert_eq!(output.outcome("migrate"), "changed", "{output}");
    assert_eq!(server.columns(), "id price");
    env.diff().exits(0);

    server.psql(application.ahead);
    let output = env.diff();
    output.exits(1);
    assert!(output.reason("migrate").contains(application.told), "{output}");
    host.sh("systemctl stop postgresql");
    let output = env.diff();
    output.exits(1);
    assert!(output.reason("migrate").contains("its migrations cannot be told: OperationalError"), "{output}");
}

impl Application {
    fn sls(&self, retries: u32) -> String {
        format!(
            "/srv/app.git:\n  git.latest:\n    - target: /srv/app\n    - user: ann\n    - rev: main\n    - branch: main\n\
             migrate:\n{}    - user: ann\n    - bin_env: /srv/ve\n    - lock_timeout: 1\n    - retries: {retries}\n    - interval: 1\n\
             \x20   - require:\n      - git: /srv/app.git\n",
            self.state
        )
    }
}

struct Server<'a>(&'a Host);

impl Server<'_> {
    fn make(&self, application: &Application) {
        self.0.sh(&format!(
            "set -e
            useradd -m ann
            cd / && runuser -u postgres -- psql -qc 'CREATE ROLE ann LOGIN' -c 'CREATE DATABASE app OWNER ann'
            python3 -m venv --without-pip /srv/ve
            for wheel in {}; do python3 -m zipfile -e /srv/wheels/$wheel-*.whl /srv/ve/lib/python3*/site-packages; done
            install -d -o ann /srv/app.git /srv/app /srv/work
            runuser -u ann -- git init -q --bare -b main /srv/app.git
            runuser -u ann -- git -C /srv/work init -q -b main",
            application.wheels
        ));
        self.commit(application.start);
    }

    fn commit(&self, files: &str) {
        self.0.sh(&format!(
            "exec runuser -u ann -- sh -eu <<'END'
cd /srv/work
{files}
git add .
git -c user.name=Ann -c user.email=ann@example.org commit -q -m 'Go on'
git push -q /srv/app.git main
END"
        ));
    }

    fn commit_of_checkout(&self) -> String {
        self.0.sh("git -c safe.directory='*' -C /srv/app rev-parse HEAD")
    }

    fn psql(&self, statement: &str) -> String {
        self.0.sh(&format!("cd / && runuser -u postgres -- psql -XAtq app <<'END'\n{statement}\nEND"))
    }

    fn columns(&self) -> String {
        self.psql(
            "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'item'",
        )
    }

    /// A session that has read the table, and does not end.
    fn hold(&self) {
        self.0.sh("cd / && mkfifo /srv/held && chown ann /srv/held
            (sleep 600 >/srv/held & runuser -u ann -- psql -q app </srv/held >/dev/null 2>&1 &
            echo 'BEGIN; SELECT count(*) FROM item;' >/srv/held) >/dev/null 2>&1");
        until("the table is held", || {
            let held = "SELECT count(*) FROM pg_locks WHERE relation = 'item'::regclass AND granted";
            self.psql(held) != "0"
        });
    }

    fn release(&self) {
        self.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ann' AND state = 'idle in transaction' AND query LIKE '%count%'");
    }

    /// Waits until the migration waits for a lock, or until it does not.
    fn sees(&self, what: &str, waiters: &str) {
        let waiting = format!(
            "SELECT count(*) {waiters} FROM pg_stat_activity WHERE datname = 'app' AND wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
        );
        until(what, || self.psql(&waiting) == "t");
    }

    /// Uses the table as the application does, again and again. How long that took at most.
    fn use_until(&self, done: &AtomicBool) -> Duration {
        let mut slowest = Duration::ZERO;
        while !done.load(Ordering::Relaxed) {
            let started = Instant::now();
            self.psql("SELECT count(*) FROM item");
            slowest = slowest.max(started.elapsed());
        }
        slowest
    }
}
