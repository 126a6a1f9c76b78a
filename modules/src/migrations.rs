//! What `alembic.upgraded` and `django.migrated` share: an application in its environment, the commit that it is about
//! to be at, and attempts that do not block whoever uses the database.

use kstate_core::question::{Answer, Ended};
use kstate_core::words::quote;
use kstate_core::{Change, Command, Durable, Facts, Operation, Problem, Question, Run, Stop, Touch, Value};

use crate::Context;
use crate::git::{TRUST, checked_out, commit_of, inside};

/// An application that brings migrations of its database.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) user: Option<String>,
    pub(crate) dir: String,
    /// Its virtual environment. `None`: the Python of the system.
    pub(crate) bin_env: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) patience: Patience,
    pub(crate) durable: Option<Durable>,
}

/// How long a migration waits for locks, and how often it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Seconds. 0: without end.
    pub(crate) lock_timeout: u32,
    pub(crate) retries: u32,
    /// Seconds before the second attempt. They double with each.
    pub(crate) interval: u32,
    /// Seconds for all attempts together.
    pub(crate) timeout: Option<u32>,
}

impl Patience {
    pub(crate) fn lock_timeout() -> u32 {
        5
    }

    pub(crate) fn retries() -> u32 {
        6
    }

    pub(crate) fn interval() -> u32 {
        2
    }
}

/// What Git says about the directory of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// Empty: it is not in a repository.
    pub(crate) commit: String,
    /// Where it is within the repository.
    pub(crate) prefix: String,
}

/// Seconds after which a database that does not answer is given up.
const LOOK_TIMEOUT: u32 = 60;

/// Sets `$top` to the repository of the directory, if nobody else can change what git reads there. Root runs no Python that
/// others can change: `lacks` says so.
const TRUSTED: &str = r#"if [ "$me" = 0 ]; then
x=$(pwd -P) bad=$(above "$x"; foreign "$x" ${VIRTUAL_ENV:+"$VIRTUAL_ENV/"}; [ -z "$VIRTUAL_ENV" ] || above "$(readlink -f "$VIRTUAL_ENV")/x")
bad=${bad%%"$nl"*}
[ -z "$bad" ] || lacks "$(whose) can change $bad, and root would run the Python there; declare the user of the application (user: …)"
fi
top=$(pwd -P)
while [ "$top" != / ] && [ ! -e "$top/.git" ] && [ ! -L "$top/.git" ]; do top=${top%/*}; top=${top:-/}; done
guard "$top"
if [ -n "$bad" ]; then top=; else export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$top"; fi
"#;

const ATTEMPTS: &str = include_str!("migrations/attempts.sh");

impl Application {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<(), Vec<Problem>> {
        let paths = [("cwd", Some(&self.dir)), ("bin_env", self.bin_env.as_ref())];
        let problems: Vec<Problem> = paths
            .into_iter()
            .filter_map(|(argument, path)| path.map(|path| (argument, path)))
            .filter(|(_, path)| !path.starts_with('/'))
            .map(|(argument, path)| cx.error(argument, format!("`{path}` is not an absolute path")))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Its Python, as it is called in its environment.
    pub(crate) fn python(&self) -> &'static str {
        if self.bin_env.is_some() { "python" } else { "python3" }
    }

    /// What is asked of the host as it is.
    pub(crate) fn look(&self, ask: &str) -> Command {
        let script = format!(
            "lacks() {{ printf 'absent\\t%s\\n' \"$1\"; exit 0; }}\n{}\
             git() {{ [ -n \"$top\" ] && command git rev-parse -q \"$@\" 2>/dev/null; }}\n\
             printf 'checkout\\t%s\\t%s\\n' \"$(git --verify 'HEAD^{{commit}}')\" \"$(git --show-prefix)\"\n\
             export PGCONNECT_TIMEOUT=\"${{PGCONNECT_TIMEOUT:-10}}\"\n{ask} </dev/null",
            self.enter(self.declared())
        );
        self.command(script).timeout(LOOK_TIMEOUT)
    }

    /// What is asked of a commit that is not checked out. Nothing of it is run.
    pub(crate) fn look_ahead(&self, ask: &str) -> Command {
        let script = format!(
            "lacks() {{ printf 'absent\\t%s\\n' \"$1\"; exit 0; }}\n{}{ask} </dev/null",
            self.enter(self.declared())
        );
        self.command(script).timeout(LOOK_TIMEOUT).depends([checked_out(&self.dir), inside(&self.dir)])
    }

    /// Migrates: `line` is run, and again where a lock was not to be had within `wait`. `holders` tells who holds it. `look` is
    /// settled by that.
    pub(crate) fn migrate(
        &self,
        line: &str,
        told: String,
        holders: &str,
        wait: Wait,
        look: Command,
    ) -> Operation {
        let Patience { retries, interval, timeout, .. } = self.patience;
        let within = match wait.0 {
            0 => String::new(),
            milliseconds => format!(" within {} s", (milliseconds as f64 / 100.0).round() / 10.0),
        };
        let script = format!(
            "lacks() {{ printf '%s\\n' \"$1\" >&2; exit 1; }}\n{}export PYTHONUNBUFFERED=1\n\
             holders() {{ {holders}; }}\nline={} attempts={} pause={interval} within={}\n{ATTEMPTS}",
            self.enter(wait),
            quote(line),
            u64::from(retries) + 1,
            quote(&within),
        );
        let command = Command { timeout, ..self.command(script).told(told) };
        let schema = Touch::Named(format!("schema of {}", self.dir.trim_end_matches('/')));
        let settled = Ended { stdout: "settled\n".into(), ..Ended::default() };
        let run = Run { durable: self.durable.clone(), ..Run::new(command, [schema]) };
        run.foretells(Question::Run(Box::new(look)), Answer::Run(settled)).into()
    }

    /// The lines that lead into its directory and its environment. `lacks` says what is not there.
    fn enter(&self, wait: Wait) -> String {
        let dir = quote(&self.dir);
        let mut script =
            format!("cd -- {dir} 2>/dev/null || lacks {}\n", quote(&format!("there is no `{}`", self.dir)));
        match &self.bin_env {
            Some(path) => script.push_str(&format!(
                "VIRTUAL_ENV={}\n[ -x \"$VIRTUAL_ENV/bin/python\" ] || lacks {}\n\
                 PATH=$VIRTUAL_ENV/bin:$PATH\nexport VIRTUAL_ENV PATH\nunset PYTHONHOME\n",
                quote(path.trim_end_matches('/')),
                quote(&format!("there is no Python in `{path}`")),
            )),
            None => script.push_str("command -v python3 >/dev/null || lacks 'there is no Python'\n"),
        }
        script.push_str(TRUST);
        script.push_str(TRUSTED);
        if wait.0 > 0 {
            script.push_str(&format!(
                "export PGOPTIONS=\"${{PGOPTIONS:+$PGOPTIONS }}-c lock_timeout={}ms\"\n",
                wait.0
            ));
        }
        script
    }

    fn command(&self, script: String) -> Command {
        let mut command =
            Command::shell(script).user(self.user.as_deref().filter(|user| *user != "root")).dir(Some("/"));
        command.env = self.env.clone();
        command
    }

    /// What it asks in any case, beside `look`.
    pub(crate) fn questions(&self, look: Command) -> Vec<Question> {
        vec![Question::Run(Box::new(look)), Question::Run(Box::new(commit_of(&self.dir)))]
    }

    /// The commit that a change which has not been made yet is going to check out.
    pub(crate) fn incoming(&self, facts: &Facts, seen: &Checkout) -> Result<Option<String>, Stop> {
        if seen.commit.is_empty() {
            return Ok(None);
        }
        let top = self.dir.trim_end_matches('/');
        let top = top.strip_suffix(seen.prefix.trim_end_matches('/')).unwrap_or(top);
        let commit = facts.run(&commit_of(top))?.stdout.trim();
        Ok((!commit.is_empty() && commit != seen.commit).then(|| commit.to_owned()))
    }

    fn declared(&self) -> Wait {
        Wait(u64::from(self.patience.lock_timeout) * 1000)
    }

    /// For how long a migration waits for a lock: as declared, and no longer than a third of the time after which
    /// PostgreSQL looks for a deadlock. It then gives up before a request is ended that holds what it needs and waits for
    /// what it has. A `lock_timeout` that the application's own options keep from the database is refused.
    pub(crate) fn wait(&self, there: Timeouts) -> Result<Wait, Stop> {
        let declared = self.declared();
        match there.lock {
            Some(lock) if declared.0 > 0 && (lock == 0 || lock > declared.0) => Err(Stop::Failed(
                "`lock_timeout` does not reach the database, because the application sets options of its connection itself; set it there, and `lock_timeout: 0` here".into(),
            )),
            _ => Ok(Wait(there.deadlock.map_or(declared.0, |deadlock| declared.0.min(deadlock.div_ceil(3))))),
        }
    }
}

/// Milliseconds. 0: without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(u64);

/// What the application's own connection to PostgreSQL says, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timeouts {
    lock: Option<u64>,
    deadlock: Option<u64>,
}

impl Timeouts {
    /// Takes the setting of a name.
    pub(crate) fn take(&mut self, name: &str, milliseconds: &str) {
        let setting = milliseconds.parse().ok();
        match name {
            "lock_timeout" => self.lock = setting,
            "deadlock_timeout" => self.deadlock = setting,
            _ => {}
        }
    }
}

/// The lines of an answer, each as its words. What is missing and what went wrong is a reason to stop.
pub(crate) fn lines(ended: &Ended) -> Result<Vec<Vec<&str>>, Stop> {
    let lines: Vec<Vec<&str>> = ended.stdout.lines().map(|line| line.split('\t').collect()).collect();
    for line in &lines {
        match line[..] {
            ["absent", what] => return Err(Stop::Failed(what.to_owned())),
            ["error", reason] => {
                return Err(Stop::Failed(format!("its migrations cannot be told: {reason}")));
            }
            _ => {}
        }
    }
    match ended.status {
        0 => Ok(lines),
        124 => Err(Stop::Failed(format!("its migrations cannot be told: no answer within {LOOK_TIMEOUT} s"))),
        _ => Err(Stop::Failed(format!("its migrations cannot be told: {}", ended.tail(1)))),
    }
}

/// From revision to revision, with the titles of what lies between. `before` is empty where nothing has been migrated.
pub(crate) fn change(
    subject: &str,
    before: &str,
    after: &str,
    titles: impl ExactSizeIterator<Item = String>,
) -> Change {
    let count = match titles.len() {
        1 => "1 migration".to_owned(),
        many => format!("{many} migrations"),
    };
    let told = if before.is_empty() { "absent" } else { before };
    let lines: String = titles.map(|title| format!("+{title}\n")).collect();
    let before = if before.is_empty() { Value::Null } else { before.into() };
    Change::new(subject, before, after).diff(format!(" {told} -> {after} ({count})\n{lines}"))
}

/// What the tests of both functions have in common.
#[cfg(test)]
pub(crate) mod tests {
    use kstate_core::question::{Answer, Answered, Ended};
    use kstate_core::{Facts, Question, Resource, Step, Stop};

    use crate::git::commit_of;

    pub(crate) const OLD: &str = "1111111111111111111111111111111111111111";
    pub(crate) const NEW: &str = "2222222222222222222222222222222222222222";

    pub(crate) fn answer(stdout: &str) -> Answered {
        Ok(Answer::Run(Ended { stdout: stdout.into(), ..Ended::default() }))
    }

    /// What is known where the state's look says `said` and `commit` is going to be checked out into `dir`.
    pub(crate) fn facts(resource: &dyn Resource, said: &str, dir: &str, commit: &str) -> Facts {
        let mut facts = Facts::default();
        facts.learn(resource.questions()[0].clone(), answer(said));
        facts.learn(Question::Run(Box::new(commit_of(dir))), answer(&format!("{commit}\n")));
        facts
    }

    pub(crate) fn failure(diff: Result<Vec<Step>, Stop>) -> String {
        match diff {
            Err(Stop::Failed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}
