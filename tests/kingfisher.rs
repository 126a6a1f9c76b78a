//! Deployments of Kingfisher Process, as the example declares it, on a real host: no request is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Host, Output, Post, TestEnv, crawl, repository, until};

const LIMIT: Duration = Duration::from_secs(300);

const DEPLOY: [&str; 5] = ["apply", "ocdskingfisherprocess", "--yes", "--format", "json"];

const OLD_SCHEMA: &str = "3f0c2a9d41b7";
const NEW_SCHEMA: &str = "8b6d5e27fa90";

const KINDS: [&str; 2] = ["process-redis-queue", "process-redis-queue-collection-store-finished"];

#[test]
#[ignore = "needs a sandbox host"]
#[expect(clippy::print_stdout, reason = "it says how much was posted")]
fn no_request_is_lost_while_commits_with_a_migration_are_deployed() {
    let server = Kingfisher::start("load");
    let runs = std::env::var("KSTATE_LOAD_RUNS").map_or(1, |runs| runs.parse().unwrap());
    let mut first = 1;
    for order in ["before_migration", "after_migration"] {
        for run in 1..=runs {
            server.prepare();
            let before = server.before();
            let pillar = format!(r#"{{"deploy": {{"reload": "{order}"}}}}"#);
            let (posts, output) = crawl(&server.host.address(), first, || {
                server.env.start(&[&DEPLOY[..], &["--pillar", &pillar]].concat()).wait(LIMIT)
            });
            let load = Load::of(&posts, &server.stored(first));
            println!(
                "{order}, run {run}: {load}, {:.1} s, exit {:?}",
                output.took.as_secs_f32(),
                output.status
            );
            output.exits(0);
            server.is_deployed_since(&before, &output);
            assert!(load.failed.is_empty() && load.lost.is_empty(), "{load}: {output}");
            assert!(load.during > 50, "too few to say anything: {load}");
            first += u32::try_from(posts.len()).unwrap();
        }
    }
}

/// What became of posts.
struct Load<'p> {
    posts: usize,
    during: usize,
    failed: Vec<(u32, &'p str)>,
    /// Acknowledged, but not in the database.
    lost: Vec<u32>,
}

impl<'p> Load<'p> {
    fn of(posts: &'p [Post], stored: &BTreeSet<u32>) -> Self {
        let failure = |post: &'p Post| Some((post.number, post.answer.as_ref().err()?.as_str()));
        let is_lost = |post: &&Post| post.answer.is_ok() && !stored.contains(&post.number);
        Load {
            posts: posts.len(),
            during: posts.iter().filter(|post| post.is_during).count(),
            failed: posts.iter().filter_map(failure).collect(),
            lost: posts.iter().filter(is_lost).map(|post| post.number).collect(),
        }
    }
}

impl std::fmt::Display for Load<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Load { posts, during, failed, lost } = self;
        write!(f, "{posts} posts, {during} of them during the deployment, {} failed", failed.len())?;
        write!(f, " {:?}, {} lost", failed.iter().take(3).collect::<Vec<_>>(), lost.len())
    }
}

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
        let version = "curl -s -H 'Host: process.kingfisher.open-contracting.org' localhost";
        until("the old code serves", || self.host.sh(version).contains("1.0.0"));
        for kind in KINDS {
            if self.workers(kind).is_empty() {
                self.work(kind);
            }
        }
        self.offer(&self.new_commit);
    }

    /// Starts a worker as cron does.
    fn work(&self, kind: &str) {
        self.host.sh(&format!(
            "cd /; setsid runuser -u ocdskfp -- sh -c 'cd ~/ocdskingfisherprocess/; . .ve/bin/activate; \
             python ocdskingfisher-process-cli {kind} --runforseconds 3000' >/dev/null 2>&1 </dev/null &"
        ));
        until("it works", || !self.workers(kind).is_empty());
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
        assert_eq!(self.crontab(), before.crontab, "{output}");
        assert_eq!(self.uwsgi(), before.uwsgi, "uWSGI was restarted: {output}");
        for (kind, before) in KINDS.iter().zip(&before.workers) {
            until("a worker of each kind works again", || !self.workers(kind).is_empty());
            let workers = self.workers(kind);
            assert!(
                workers.len() == 1 && workers.is_disjoint(before),
                "{kind}: {workers:?}, {before:?}: {output}"
            );
        }
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
