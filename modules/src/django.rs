//! `django.migrated`: a database with every migration of its Django application
//!
//! ```yaml
//! /home/cove/cove/:
//!   django.migrated:
//!     - user: cove
//!     - bin_env: /home/cove/cove/.ve/
//!     - settings: cove_project.settings
//!     - lock_timeout: 10
//! ```
//!
//! The difference names the migrations that are due, for each app of the project. If a state `git.latest` is about to check
//! other commits out, it counts those that these bring: they are read from the objects that have been fetched, and
//! nothing of them is run. A database with a migration that is newer than the code is a failure, and is never taken back.
//!
//! A migration waits for a lock no longer than `lock_timeout`, because everything else that needs the table waits behind
//! it, and no longer than a third of the server's `deadlock_timeout` (of PostgreSQL's second): a request that holds what the
//! migration needs, and waits for what it has, would be ended for the deadlock. Then it is undone, and tried again after a pause
//! in which the application goes on. PostgreSQL is told by `PGOPTIONS`.
//! All of that runs apart from the connection, as a durable command: see [`cmd.run`](cmd.md).

mod plan;

use kstate_core::conditions::environment;
use kstate_core::question::Ended;
use kstate_core::words::{join, quote};
use kstate_core::{Change, Command, Durable, Facts, Operation, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::kinds::yes;
use crate::migrations::{Application, Checkout, Patience, Timeouts, Wait, change, lines};
use crate::{Context, State};
use plan::{Incoming, Name, Plan};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The directory of the application, in which `manage.py` is, unless `cwd` is given.
    name: String,
    /// The directory of the application.
    cwd: Option<String>,
    /// The virtual environment. Default: the Python of the system.
    bin_env: Option<String>,
    /// The user to run it as. Default: root.
    user: Option<String>,
    /// The module of its settings. Default: as `manage.py` says.
    settings: Option<String>,
    /// The database, by its name in the settings. Default: `default`.
    #[serde(default = "default_database")]
    database: String,
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

fn default_database() -> String {
    "default".into()
}

#[derive(Debug)]
pub(crate) struct Migrated {
    application: Application,
    database: String,
}

/// Run by the environment's Python.
const LOOK: &str = concat!(include_str!("migrations/common.py"), include_str!("django/look.py"));

/// Run by `manage.py shell`, which knows the settings. Older versions run it where functions do not see each other.
const RUN_LOOK: &str = "import os; exec(os.environ['KSTATE_LOOK'], {})";

impl State for Migrated {
    const NAME: &'static str = "django.migrated";
    const SOURCE: &'static str = include_str!("django.rs");

    type Arguments = Arguments;

    fn declare(a: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let mut env = cx.chunk.argument("env").map(environment).unwrap_or_default();
        env.extend(a.settings.map(|module| ("DJANGO_SETTINGS_MODULE".to_owned(), module)));
        let Arguments { lock_timeout, retries, interval, timeout, .. } = a;
        let patience = Patience { lock_timeout, retries, interval, timeout };
        let dir = a.cwd.unwrap_or(a.name);
        let durable = a.durable.then_some(Durable { tmux: a.tmux });
        let application = Application { user: a.user, dir, bin_env: a.bin_env, env, patience, durable };
        application.check(cx)?;
        Ok(Migrated { application, database: a.database })
    }
}

impl Resource for Migrated {
    fn questions(&self) -> Vec<Question> {
        self.application.questions(self.look())
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let mut seen = Seen::read(facts.run(&self.look())?)?;
        if seen.settled {
            return Ok(Vec::new());
        }
        if let Some(commit) = self.application.incoming(facts, &seen.checkout)? {
            let incoming = Seen::read(facts.run(&self.look_ahead(&seen, &commit))?)?.incoming;
            seen.plan.take(incoming).map_err(Stop::Failed)?;
        }
        let due = seen.plan.due().map_err(Stop::Failed)?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let wait = self.application.wait(seen.timeouts)?;
        Ok(vec![Step::new(seen.changes(&due), self.migrate(wait))])
    }
}

impl Migrated {
    fn manage(&self, words: &[&str]) -> String {
        format!("{} manage.py {}", self.application.python(), join(words))
    }

    /// Asks the application itself. Nobody reads the lines that it prints beside.
    fn ask(&self, what: &str) -> String {
        let run = self.manage(&["shell", "--verbosity", "0", "--command", RUN_LOOK]);
        let database = quote(&self.database);
        format!("exec env KSTATE_ASK={what} KSTATE_DATABASE={database} KSTATE_LOOK={} {run}", quote(LOOK))
    }

    fn look(&self) -> Command {
        let missing = quote(&format!("there is no `manage.py` in `{}`", self.application.dir));
        self.application
            .look(&format!("[ -f manage.py ] || lacks {missing}\n{}", self.ask("now")))
            .told("python manage.py showmigrations --plan")
    }

    /// What a commit brings, for apps where their folders are now, or for new ones.
    fn look_ahead(&self, seen: &Seen, commit: &str) -> Command {
        let mut words = vec!["later", &seen.checkout.commit, commit];
        words.extend(seen.folders.iter().map(String::as_str));
        let ask = format!("exec {} -c {} {}", self.application.python(), quote(LOOK), join(&words));
        self.application.look_ahead(&ask).told(format!("the migrations of {commit}"))
    }

    fn migrate(&self, wait: Wait) -> Operation {
        let mut words = vec!["migrate", "--noinput"];
        if self.database != default_database() {
            words.extend(["--database", &self.database]);
        }
        let line = self.manage(&words);
        self.application.migrate(&line, line.clone(), &self.ask("holders"), wait, self.look())
    }
}

/// What the host says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Foretold: as declared.
    settled: bool,
    checkout: Checkout,
    timeouts: Timeouts,
    /// `app:folder`, as seen from the application's directory.
    folders: Vec<String>,
    plan: Plan,
    incoming: Incoming,
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
                ["timeout", name, milliseconds] => seen.timeouts.take(name, milliseconds),
                ["folder", app, path] => seen.folders.push(format!("{app}:{path}")),
                ["conflict", app, names] => {
                    return Err(Stop::Failed(format!(
                        "the app `{app}` has several last migrations ({names}), and one that merges them is missing"
                    )));
                }
                ["applied", app, name] => seen.plan.applied.push(Name::new(app, name)),
                ["due", app, name] => seen.plan.due.push(Name::new(app, name)),
                ["stray", app, name, newer] => seen.plan.strays.push((Name::new(app, name), newer == "1")),
                ["brings", app, name, follows, replaces] => {
                    seen.incoming.brings(Name::new(app, name), follows, replaces);
                }
                ["drops", app, name] => seen.incoming.drops.push(Name::new(app, name)),
                ["loses", app, name] => seen.incoming.loses.push(Name::new(app, name)),
                _ => {}
            }
        }
        Ok(seen)
    }

    /// One for each app.
    fn changes(&self, due: &[Name]) -> Vec<Change> {
        let mut apps: Vec<&str> = Vec::new();
        for name in due {
            if !apps.contains(&name.app.as_str()) {
                apps.push(&name.app);
            }
        }
        let of = |names: &[Name], app: &str| -> Vec<String> {
            names.iter().filter(|name| name.app == app).map(|name| name.name.clone()).collect()
        };
        let one = |app: &str| {
            let before = of(&self.plan.applied, app).pop().unwrap_or_default();
            let names = of(due, app);
            let after = names.last().cloned().unwrap_or_default();
            change(&format!("schema of {app}"), &before, &after, names.into_iter())
        };
        apps.into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::tests::{self, NEW, OLD, answer};
    use crate::testing::{Tree, declare, declare_error, settles};
    use kstate_core::Value;

    const STATE: &str = "/srv/shop:\n  django.migrated:\n    - user: ann\n    - bin_env: /srv/ve\n    - settings: site.live\n";

    /// As Django 5.2 and 2.2 tell it.
    const MIGRATED: &str = "checkout\t1111111111111111111111111111111111111111\t\ndatabase\tpostgresql\ntimeout\tlock_timeout\t5000\ntimeout\tdeadlock_timeout\t1000\nfolder\tshop\tshop/migrations\napplied\tcontenttypes\t0001_initial\napplied\tshop\t0001_initial\nstray\tshop\t0000_old\t0\n";

    fn facts(resource: &dyn Resource, said: &str, commit: &str) -> Facts {
        tests::facts(resource, said, "/srv/shop", commit)
    }

    fn diff_of(said: &str) -> Result<Vec<Step>, Stop> {
        let resource = declare(STATE, &Tree::default());
        resource.diff(&facts(&*resource, said, OLD))
    }

    fn failure(said: &str) -> String {
        tests::failure(diff_of(said))
    }

    #[test]
    fn a_migrated_database_is_as_declared() {
        assert_eq!(diff_of(MIGRATED), Ok(Vec::new()));
    }

    #[test]
    fn names_what_is_due_in_each_app_and_settles() {
        let resource = declare(STATE, &Tree::default());
        let due = "due\tshop\t0002_price\ndue\tnews\t0001_initial\ndue\tshop\t0003_stock\n";
        let mut facts = facts(&*resource, &format!("{MIGRATED}{due}"), OLD);
        let steps = resource.diff(&facts).unwrap();
        let told: Vec<String> = steps[0].changes.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["schema of shop: 0001_initial -> 0003_stock", "schema of news: 0001_initial"]);
        assert_eq!(
            steps[0].changes[0].diff.as_deref(),
            Some(" 0001_initial -> 0003_stock (2 migrations)\n+0002_price\n+0003_stock\n")
        );
        assert_eq!(steps[0].changes[1].before, Value::Null);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn migrations_of_commits_that_are_to_come_count() {
        let resource = declare(STATE, &Tree::default());
        let mut facts = facts(&*resource, MIGRATED, NEW);
        let Err(Stop::Ask(questions)) = resource.diff(&facts) else { panic!() };
        let Question::Run(look) = &questions[0] else { panic!() };
        let script = look.job().script;
        assert!(script.contains(&format!("later {OLD} {NEW} shop:shop/migrations")), "{script}");
        facts.learn(questions[0].clone(), answer("brings\tshop\t0002_price\tshop.0001_initial\t\n"));
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(steps[0].changes[0].to_string(), "schema of shop: 0001_initial -> 0002_price");
    }

    #[test]
    fn what_hinders_is_told() {
        assert_eq!(
            failure(&format!("{MIGRATED}conflict\tshop\t0002_a, 0002_b\n")),
            "the app `shop` has several last migrations (0002_a, 0002_b), and one that merges them is missing"
        );
        assert!(failure(&format!("{MIGRATED}stray\tshop\t0002_price\t1\n")).contains("`shop.0002_price`"));
        let deaf = MIGRATED.replace("\t5000", "\t0");
        assert!(failure(&format!("{deaf}due\tshop\t0002_price\n")).starts_with("`lock_timeout` does not"));
    }

    #[test]
    fn migrates_by_manage_py_with_its_settings() {
        let text = format!("{STATE}    - database: archive\n    - cwd: /srv/shop\n");
        let resource = declare(&text, &Tree::default());
        let facts = facts(&*resource, &format!("{MIGRATED}due\tshop\t0002_price\n"), OLD);
        let Operation::Run(run) = &resource.diff(&facts).unwrap()[0].operation else { panic!() };
        assert_eq!(run.command.to_string(), "python manage.py migrate --noinput --database archive");
        let script = run.command.job().script;
        assert!(script.contains("export DJANGO_SETTINGS_MODULE=site.live"), "{script}");
        assert!(script.contains("KSTATE_DATABASE=archive"), "{script}");
    }

    #[test]
    fn its_directory_has_to_be_absolute() {
        let error = declare_error("shop:\n  django.migrated: []\n", &Tree::default());
        assert_eq!(error, "a.sls:2: django.migrated: `cwd`: `shop` is not an absolute path");
    }
}
