//! No request is lost while it is deployed.

use std::collections::BTreeSet;

use super::{DEPLOY, Kingfisher, LIMIT};
use crate::support::{Post, crawl};

/// The first attempt to migrate takes its time between its two statements, so that it likely meets a request there which has
/// locked what it is about to change, and waits for what it has changed.
const COLLIDES: &str = "CREATE SCHEMA collides; CREATE SEQUENCE collides.times;
    CREATE FUNCTION collides.once() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    AS 'BEGIN IF nextval(''collides.times'') = 1 THEN PERFORM pg_sleep(0.2); END IF; END';
    CREATE EVENT TRIGGER once ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION collides.once()";

#[test]
#[ignore = "needs a sandbox host"]
#[expect(clippy::print_stdout, reason = "it says how much was posted")]
fn no_request_is_lost_while_commits_with_a_migration_are_deployed() {
    let server = Kingfisher::start("load");
    server.psql(COLLIDES);
    let runs = std::env::var("KSTATE_LOAD_RUNS").map_or(1, |runs| runs.parse().unwrap());
    let mut first = 1;
    for order in ["before_migration", "after_migration"] {
        for run in 1..=runs {
            server.prepare();
            server.psql("SELECT setval('collides.times', 1, false)");
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
            assert!(load.failed.is_empty() && load.lost.is_empty(), "{load}: {output}");
            assert!(load.during > 50, "too few to say anything: {load}");
            server.is_deployed_since(&before, &output);
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
