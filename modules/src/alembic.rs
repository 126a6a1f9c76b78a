//! `alembic.upgraded`: a database at the newest revision of its application's code, by Alembic
//!
//! ```yaml
//! upgrade-database:
//!   alembic.upgraded:
//!     - user: ocdskfp
//!     - cwd: /home/ocdskfp/ocdskingfisherprocess
//!     - bin_env: /home/ocdskfp/ocdskingfisherprocess/.ve
//!     - config: mainalembic.ini
//!     - command: python ocdskingfisher-process-cli upgrade-database
//!     - lock_timeout: 10
//! ```
//!
//! The difference is the database's revision, the newest one, and the titles of the migrations between. If a state
//! `git.latest` is about to check other commits out, it is what these bring: their migrations are read from the objects
//! that have been fetched, and nothing of them is run. A database whose revision the code does not know is a failure,
//! and is never taken back.
//!
//! A migration waits for a lock no longer than `lock_timeout`, because everything else that needs the table waits behind
//! it, and no longer than a third of the server's `deadlock_timeout` (of PostgreSQL's second): a request that holds what the
//! migration needs, and waits for what it has, would be ended for the deadlock. Then it is undone, and tried again after a pause
//! in which the application goes on. PostgreSQL is told by `PGOPTIONS`.
//! All of that runs apart from the connection, as a durable command: see [`cmd.run`](cmd.md).

mod revisions;

use kstate_core::conditions::environment;
use kstate_core::question::Ended;
use kstate_core::words::{join, quote};
use kstate_core::{Change, Command, Durable, Facts, Operation, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::kinds::yes;
use crate::migrations::{Application, Checkout, Patience, Timeouts, Wait, change, lines};
use crate::{Context, State};
use revisions::Revisions;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Free text.
    #[expect(dead_code, reason = "it only names the state")]
    name: String,
    /// The directory of the application.
    cwd: String,
    /// The virtual environment. Default: the Python of the system.
    bin_env: Option<String>,
    /// The user to run it as. Default: root.
    user: Option<String>,
    /// Alembic's configuration, as seen from `cwd`. Default: `alembic.ini`.
    #[serde(default = "alembic_ini")]
    config: String,
    /// The application's own command line that migrates, run in the environment. Default: `alembic upgrade heads`.
    command: Option<String>,
    /// Environment variables: a mapping.
    #[expect(dead_code, reason = "read from the chunk, which keeps the order")]
    env: Option<IgnoredAny>,
    /// Seconds that a migration waits for a lock at most; 0: without end. Keep it below uWSGI's `harakiri`. Default: 5.
    #[serde(default = "Patience::lock_timeout")]
    lock_timeout: u32,
    /// How often it is tried again where a lock was not to be had. Default: 6.
    #[serde(default = "Patience::retries")]
    retries: u32,
    /// Seconds before it is tried again; they double up to a minute. Default: 2.
    #[serde(default = "Patience::interval")]
    interval: u32,
    /// Seconds after which all of it is ended.
    timeout: Option<u32>,
    /// It runs apart from the connection: it goes on when that is lost, and whoever comes back follows it to its end.
    /// Default: `True`.
    #[serde(default = "yes")]
    durable: bool,
    /// The name of a session of tmux that shows what a durable migration prints, where tmux is there.
    tmux: Option<String>,
}

fn alembic_ini() -> String {
    "alembic.ini".into()
}

#[derive(Debug)]
pub(crate) struct Upgraded {
    application: Application,
    config: String,
    command: Option<String>,
}

/// Run by the environment's Python.
const LOOK: &str = concat!(include_str!("migrations/common.py"), include_str!("alembic/look.py"));

/// The program of that name would not find the application in its directory.
const ALEMBIC: &str = "from alembic.config import main; main(prog='alembic')";

impl State for Upgraded {
    const NAME: &'static str = "alembic.upgraded";
    const SOURCE: &'static str = include_str!("alembic.rs");

    type Arguments = Arguments;

    fn declare(a: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let env = cx.chunk.argument("env").map(environment).unwrap_or_default();
        let Arguments { lock_timeout, retries, interval, timeout, .. } = a;
        let patience = Patience { lock_timeout, retries, interval, timeout };
        let durable = a.durable.then_some(Durable { tmux: a.tmux });
        let application =
            Application { user: a.user, dir: a.cwd, bin_env: a.bin_env, env, patience, durable };
        application.check(cx)?;
        Ok(Upgraded { application, config: a.config, command: a.command })
    }
}

impl Resource for Upgraded {
    fn questions(&self) -> Vec<Question> {
        self.application.questions(self.look())
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let mut seen = Seen::read(facts.run(&self.look())?)?;
        if seen.settled {
            return Ok(Vec::new());
        }
        if let Some(commit) = self.application.incoming(facts, &seen.checkout)? {
            seen.revisions = Seen::read(facts.run(&self.look_ahead(&commit, &seen.folders))?)?.revisions;
        }
        let changes = seen.changes()?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let wait = self.application.wait(seen.timeouts)?;
        Ok(vec![Step::new(changes, self.upgrade(wait))])
    }
}

impl Upgraded {
    fn ask(&self, words: &[&str]) -> String {
        format!("exec {} -c {} {}", self.application.python(), quote(LOOK), join(words))
    }

    fn look(&self) -> Command {
        let missing = quote(&format!("there is no `{}` in `{}`", self.config, self.application.dir));
        let ask = self.ask(&["now", &self.config]);
        self.application
            .look(&format!("[ -f {} ] || lacks {missing}\n{ask}", quote(&self.config)))
            .told(format!("alembic --config {} current", self.config))
    }

    /// What a commit brings, in the folders where its migrations are now.
    fn look_ahead(&self, commit: &str, folders: &[Folder]) -> Command {
        let recursive = folders.iter().any(|folder| folder.recursive);
        let mut words = vec!["later", commit, if recursive { "1" } else { "0" }];
        words.extend(folders.iter().map(|folder| folder.path.as_str()));
        self.application.look_ahead(&self.ask(&words)).told(format!("the migrations of {commit}"))
    }

    fn upgrade(&self, wait: Wait) -> Operation {
        let arguments = join(["--config", self.config.as_str(), "upgrade", "heads"]);
        let (line, told) = match &self.command {
            Some(command) => (command.clone(), command.clone()),
            None => (
                format!("{} -c {} {arguments}", self.application.python(), quote(ALEMBIC)),
                format!("alembic {arguments}"),
            ),
        };
        self.application.migrate(&line, told, &self.ask(&["holders", &self.config]), wait, self.look())
    }
}

/// What the host says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Foretold: as declared.
    settled: bool,
    checkout: Checkout,
    /// The revisions at which each database is: most applications have one.
    databases: Vec<Vec<String>>,
    timeouts: Timeouts,
    folders: Vec<Folder>,
    revisions: Revisions,
}

/// Where migrations are, as seen from the application's directory.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    path: String,
    recursive: bool,
}

impl Seen {
    fn read(ended: &Ended) -> Result<Self, Stop> {
        let mut seen = Seen::default();
        for line in lines(ended)? {
            match line[..] {
                ["settled"] => seen.settled = true,
                ["checkout", commit, prefix] => {
                    seen.checkout = Checkout { commit: commit.into(), prefix: prefix.into() };
                }
                ["database", _] => seen.databases.push(Vec::new()),
                ["at", revision] => {
                    seen.databases.iter_mut().next_back().into_iter().for_each(|at| at.push(revision.into()));
                }
                ["timeout", name, milliseconds] => seen.timeouts.take(name, milliseconds),
                ["folder", path, recursive] => {
                    seen.folders.push(Folder { path: path.into(), recursive: recursive == "1" });
                }
                ["revision", id, down, depends, labels, title] => {
                    seen.revisions.add(id, [down, depends, labels], title);
                }
                ["unreadable", path, why] => {
                    return Err(Stop::Failed(format!("the migration `{path}` cannot be read: {why}")));
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    fn changes(&self) -> Result<Vec<Change>, Stop> {
        if self.databases.is_empty() {
            return Err(Stop::Failed("its `env.py` does not run migrations".into()));
        }
        let changes = self.databases.iter().map(|at| self.change(at)).collect::<Result<Vec<_>, _>>()?;
        Ok(changes.into_iter().flatten().collect())
    }

    /// What one database lacks.
    fn change(&self, at: &[String]) -> Result<Option<Change>, Stop> {
        let due = self.revisions.due(at).map_err(Stop::Failed)?;
        if due.is_empty() {
            return Ok(None);
        }
        let titles = due.iter().map(|(id, title)| format!("{id} {title}").trim_end().to_owned());
        Ok(Some(change("schema", &at.join(", "), &self.revisions.heads().join(", "), titles)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::commit_of;
    use crate::migrations::tests::{self, NEW, OLD, answer};
    use crate::testing::{Tree, declare, declare_error, settles};
    use kstate_core::{Touch, Value};

    const STATE: &str = "upgrade:\n  alembic.upgraded:\n    - user: ann\n    - cwd: /srv/app/\n    - bin_env: /srv/app/.ve/\n    - config: main.ini\n    - env:\n      - STAGE: live\n";

    /// As alembic 1.20 and 1.3 tell it of a PostgreSQL 15.
    const REACHED: &str = "checkout\t1111111111111111111111111111111111111111\t\ndatabase\tpostgresql\nat\t3f0c2a9d41b7\ntimeout\tlock_timeout\t5000\ntimeout\tdeadlock_timeout\t1000\nfolder\tapp/versions\t0\nrevision\t3f0c2a9d41b7\t\t\t\tstart\n";
    const LATER: &str =
        "revision\t3f0c2a9d41b7\t\t\t\tstart\nrevision\t8b6d5e27fa90\t3f0c2a9d41b7\t\t\tcached items count\n";

    fn facts(resource: &dyn Resource, said: &str, commit: &str) -> Facts {
        tests::facts(resource, said, "/srv/app", commit)
    }

    fn diff_of(said: &str) -> Result<Vec<Step>, Stop> {
        let resource = declare(STATE, &Tree::default());
        resource.diff(&facts(&*resource, said, OLD))
    }

    fn failure(said: &str) -> String {
        tests::failure(diff_of(said))
    }

    #[test]
    fn a_database_at_the_newest_revision_is_as_declared() {
        assert_eq!(diff_of(REACHED), Ok(Vec::new()));
    }

    #[test]
    fn names_the_revisions_and_the_titles_between_and_settles() {
        let resource = declare(STATE, &Tree::default());
        let mut facts = facts(&*resource, &format!("{REACHED}{LATER}"), OLD);
        let steps = resource.diff(&facts).unwrap();
        let change = &steps[0].changes[0];
        assert_eq!(change.to_string(), "schema: 3f0c2a9d41b7 -> 8b6d5e27fa90");
        assert_eq!(
            change.diff.as_deref(),
            Some(" 3f0c2a9d41b7 -> 8b6d5e27fa90 (1 migration)\n+8b6d5e27fa90 cached items count\n")
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_database_that_was_never_migrated_gets_all() {
        let empty = format!("{REACHED}{LATER}").replace("at\t3f0c2a9d41b7\n", "");
        let change = diff_of(&empty).unwrap().remove(0).changes.remove(0);
        assert_eq!((change.before, change.after), (Value::Null, "8b6d5e27fa90".into()));
        assert_eq!(
            change.diff.as_deref(),
            Some(
                " absent -> 8b6d5e27fa90 (2 migrations)\n+3f0c2a9d41b7 start\n+8b6d5e27fa90 cached items count\n"
            )
        );
    }

    #[test]
    fn migrations_of_commits_that_are_to_come_are_read_before_they_are_checked_out() {
        let resource = declare(STATE, &Tree::default());
        let mut facts = facts(&*resource, REACHED, NEW);
        let Err(Stop::Ask(questions)) = resource.diff(&facts) else { panic!() };
        let Question::Run(look) = &questions[0] else { panic!() };
        let job = look.job();
        assert!(job.script.contains(NEW) && job.script.contains("app/versions"), "{}", job.script);
        // The checkout that is to come does not make its own objects uncertain.
        assert!(!questions[0].is_touched_by(&Touch::Path("/srv/app/app/versions/8b6d.py".into())));
        facts.learn(questions[0].clone(), answer(LATER));
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(steps[0].changes[0].to_string(), "schema: 3f0c2a9d41b7 -> 8b6d5e27fa90");
        facts.learn(questions[0].clone(), answer(&format!("absent\tcommit {NEW} is not fetched yet\n")));
        assert_eq!(resource.diff(&facts), Err(Stop::Failed(format!("commit {NEW} is not fetched yet"))));
    }

    #[test]
    fn an_application_below_the_top_of_its_repository_follows_that() {
        let text = STATE.replace("/srv/app/\n", "/srv/app/back/end/\n");
        let resource = declare(&text, &Tree::default());
        let said = REACHED.replace(&format!("{OLD}\t"), &format!("{OLD}\tback/end/"));
        let mut facts = Facts::default();
        facts.learn(resource.questions()[0].clone(), answer(&said));
        let top = Question::Run(Box::new(commit_of("/srv/app")));
        assert_eq!(resource.diff(&facts), Err(Stop::Ask(vec![top.clone()])));
        facts.learn(top, answer(OLD));
        assert_eq!(resource.diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn each_of_several_databases_is_told() {
        let two =
            format!("{REACHED}{LATER}").replace("folder", "database\tpostgresql\nat\t8b6d5e27fa90\nfolder");
        let steps = diff_of(&two).unwrap();
        assert_eq!(steps[0].changes.len(), 1);
    }

    #[test]
    fn what_hinders_is_told() {
        assert_eq!(
            failure(&REACHED.replace("at\t3f0c2a9d41b7", "at\tf8593a57e002")),
            "the database is at `f8593a57e002`, which the code does not know: newer code has migrated it"
        );
        assert_eq!(
            failure("checkout\t\t\nerror\tOperationalError: connection refused\n"),
            "its migrations cannot be told: OperationalError: connection refused"
        );
        assert_eq!(failure("absent\tthere is no `/srv/app`\n"), "there is no `/srv/app`");
        assert_eq!(
            failure(&format!("{REACHED}unreadable\ta.py\tit names no revision\n")),
            "the migration `a.py` cannot be read: it names no revision"
        );
        assert!(failure("checkout\t\t\nfolder\tversions\t0\n").contains("env.py"));
    }

    #[test]
    fn a_lock_timeout_that_does_not_arrive_hinders_only_what_is_due() {
        let deaf = REACHED.replace("\t5000", "\t0");
        assert_eq!(diff_of(&deaf), Ok(Vec::new()));
        assert!(failure(&format!("{deaf}{LATER}")).starts_with("`lock_timeout` does not reach the database"));
    }

    #[test]
    fn migrates_in_the_environment_with_a_lock_timeout() {
        let steps = diff_of(&format!("{REACHED}{LATER}")).unwrap();
        assert!(steps[0].operation.durable().is_some());
        let job = steps[0].operation.job().unwrap();
        assert_eq!(job.user.as_deref(), Some("ann"));
        for part in
            ["export STAGE=live", "VIRTUAL_ENV=/srv/app/.ve", "-c lock_timeout=334ms", "attempts=7 pause=2"]
        {
            assert!(job.script.contains(part), "{part}: {}", job.script);
        }
        let text = format!(
            "{STATE}    - command: ./manage up\n    - lock_timeout: 0\n    - timeout: 600\n    - durable: False\n"
        );
        let resource = declare(&text, &Tree::default());
        let facts = facts(&*resource, &format!("{REACHED}{LATER}"), OLD);
        let steps = resource.diff(&facts).unwrap();
        let Operation::Run(run) = &steps[0].operation else { panic!() };
        assert_eq!((run.command.to_string().as_str(), run.command.timeout), ("./manage up", Some(600)));
        assert!(!run.command.job().script.contains("PGOPTIONS") && run.durable.is_none());
    }

    #[test]
    fn paths_have_to_be_absolute() {
        let error = declare_error(&STATE.replace("/srv/app/.ve/", ".ve"), &Tree::default());
        assert_eq!(error, "a.sls:5: alembic.upgraded: `bin_env`: `.ve` is not an absolute path");
    }
}
