//! Deployments of Kingfisher Process, as the example declares it, on a real host.

mod cuts;
mod load;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Host, Output, TestEnv, repository, until};

const LIMIT: Duration = Duration::from_secs(300);

const DEPLOY: [&str; 5] = ["apply", "ocdskingfisherprocess", "--yes", "--format", "json"];

const OLD_SCHEMA: &str = "3f0c2a9d41b7";
const NEW_SCHEMA: &str = "8b6d5e27fa90";

const OLD_VERSION: &str = r#""version": "1.0.0""#;
const NEW_VERSION: &str = r#""version": "1.1.0""#;

const KINDS: [&str; 2] = ["process-redis-queue", "process-redis-queue-collection-store-finished"];

/// What was there before a deployment.
struct Before {
    crontab: String,
    uwsgi: String,
    workers: Vec<BTreeSet<String>>,
}

/// The server of the example, with the old code deployed.
struct Kingfisher {
    host: Host,
    env: TestEnv,
    old_commit: String,
    new_commit: String,
}

impl Kingfisher {
    fn start(name: &str) -> Self {
        let host = Host::full(name);
        for part in ["app", "make-repositories.sh"] {
            host.plant(&repository().join("examples/kingfisher").join(part), "srv/kingfisher");
        }
        host.sh("make() { /srv/kingfisher/make-repositories.sh /srv/git $1; }; make && make new-commits &&
            for name in process views; do git config --system --add safe.directory /srv/git/kingfisher-$name.git; done");
        let commit =
            |back| host.sh(&format!("git --git-dir /srv/git/kingfisher-process.git rev-parse master~{back}"));
        let (old_commit, new_commit) = (commit(5), commit(0));
        let env = TestEnv::kingfisher(&host);
        let server = Kingfisher { host, env, old_commit, new_commit };
        server.offer(&server.old_commit);
        server.env.start(&DEPLOY).wait(LIMIT).exits(0);
        server
    }

    /// The old code at work, with the new commits to be had.
    fn prepare(&self) {
        self.offer(&self.old_commit);
        if self.schema() != OLD_SCHEMA {
            self.as_user(&format!(
                "alembic -c mainalembic.ini downgrade {OLD_SCHEMA}; git reset -q --hard {}",
                self.old_commit
            ));
            self.host.sh("service uwsgi reload");
        }
        until("the old code serves", || self.version().contains(OLD_VERSION));
        KINDS.iter().for_each(|kind| self.work(kind));
        self.offer(&self.new_commit);
    }

    /// Starts a worker as a person does, in place of those that are there.
    fn work(&self, kind: &str) {
        self.host.sh(&format!(
            "cd /; pkill -KILL -u ocdskfp -f ' {kind} --runforseconds 3000$'; setsid runuser -u ocdskfp -- sh -c 'cd ~/ocdskingfisherprocess/; . .ve/bin/activate; \
             python ocdskingfisher-process-cli {kind} --runforseconds 3000' >/dev/null 2>&1 </dev/null &"
        ));
        until("it works", || self.workers(kind).len() == 1);
    }

    /// The processes of workers of this kind which the test has started, or which came back for them.
    fn workers(&self, kind: &str) -> BTreeSet<String> {
        let pattern = format!("^python ocdskingfisher-process-cli {kind} --runforseconds 3000$");
        let found = self.host.sh(&format!("pgrep -u ocdskfp -f '{pattern}' || true"));
        found.lines().map(str::to_owned).collect()
    }

    fn before(&self) -> Before {
        Before {
            crontab: self.crontab(),
            uwsgi: self.uwsgi(),
            workers: KINDS.map(|kind| self.workers(kind)).into(),
        }
    }

    /// The new code is at work, and all else is as it was.
    #[track_caller]
    fn is_deployed_since(&self, before: &Before, output: &Output) {
        assert_eq!(self.schema(), NEW_SCHEMA, "{output}");
        assert!(self.version().contains(NEW_VERSION), "{output}");
        assert_eq!(self.uwsgi(), before.uwsgi, "uWSGI was restarted: {output}");
        self.is_restored_since(before, output);
    }

    /// The crontab is the same, and instead of each worker there is a new one.
    #[track_caller]
    fn is_restored_since(&self, before: &Before, output: &Output) {
        assert_eq!(self.crontab(), before.crontab, "{output}");
        for (kind, before) in KINDS.iter().zip(&before.workers) {
            until("a worker of each kind works again", || !self.workers(kind).is_empty());
            let workers = self.workers(kind);
            assert!(
                workers.len() == 1 && workers.is_disjoint(before),
                "{kind}: {workers:?}, {before:?}: {output}"
            );
        }
    }

    /// What the application says of itself, through Apache.
    fn version(&self) -> String {
        self.host.sh("curl -s -H 'Host: process.kingfisher.open-contracting.org' localhost")
    }

    /// What the repository has to give.
    fn offer(&self, commit: &str) {
        let repository = "/srv/git/kingfisher-process.git";
        self.host.sh(&format!("git --git-dir {repository} update-ref refs/heads/master {commit}"));
    }

    fn crontab(&self) -> String {
        self.host.sh("crontab -u ocdskfp -l | sha256sum")
    }

    fn uwsgi(&self) -> String {
        self.host.sh("cat /run/uwsgi/app/ocdskingfisherprocess/pid")
    }

    fn schema(&self) -> String {
        self.psql("SELECT version_num FROM alembic_version")
    }

    /// The numbers of the items that are in the database, from `first` on.
    fn stored(&self, first: u32) -> BTreeSet<u32> {
        let items = "item JOIN collection ON collection.id = collection_id";
        let condition = format!("source_id = 'load' AND number >= {first}");
        let found = self.psql(&format!("SELECT number FROM {items} WHERE {condition}"));
        found.lines().map(|number| number.parse().unwrap()).collect()
    }

    fn psql(&self, statement: &str) -> String {
        self.host.sh(&format!(
            "cd /; runuser -u postgres -- psql -XAtq ocdskingfisherprocess <<'END'\n{statement}\nEND"
        ))
    }

    /// Runs a script in the application's folder and environment.
    fn as_user(&self, script: &str) -> String {
        let script = format!("set -e; cd ~/ocdskingfisherprocess; . .ve/bin/activate; {script}");
        self.host.sh(&format!("cd /; runuser -u ocdskfp -- sh <<'END'\n{script}\nEND"))
    }
}
