//! `jobs` and `attach`: commands that run apart from the connection.

use std::time::Duration;

use kstate_core::kept::job::{follow, followed};
use kstate_core::kept::{self, Kept, KeptJob, Stage};
use kstate_core::{Job, Transport};
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::args::{Format, Global};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::session::{Reached, Session};
use crate::ui::{BOLD, DIM, GREEN, RED, YELLOW, elapsed, paint};

/// Lists what runs and ran.
pub(super) fn jobs(session: &Session<'_>, options: &Global) -> Result<Exit, CommandError> {
    let text = |target: &str, kept: &Kept| {
        let head = format!("{}\n", paint(BOLD, target));
        let lines: String = kept.jobs.iter().map(|job| line(job, kept)).collect();
        if lines.is_empty() { lines } else { head + &lines }
    };
    let listing = Listing {
        ask: &|_| kept::everything(),
        text: &text,
        json: &|kept| kept.jobs.iter().map(as_json).collect(),
    };
    listing.tell(session, options, "No jobs.")
}

/// A part of what hosts keep, as it is told.
pub(super) struct Listing<'a> {
    pub(super) ask: &'a (dyn Fn(&Reached) -> Job + Sync),
    pub(super) text: &'a dyn Fn(&str, &Kept) -> String,
    pub(super) json: &'a dyn Fn(&Kept) -> Json,
}

impl Listing<'_> {
    /// Asks all hosts; `nothing` is said where they have nothing to tell.
    pub(super) fn tell(
        &self,
        session: &Session<'_>,
        options: &Global,
        nothing: &str,
    ) -> Result<Exit, CommandError> {
        let ask = self.ask;
        let asked = session.with_hosts(|host| {
            let ask = ask(host);
            kept_of(host.transport.as_mut(), ask).map(|kept| (host.target.clone(), kept))
        })?;
        let mut exit = Exit::Done;
        let mut document = JsonMap::new();
        let mut text = String::new();
        for host in asked {
            match host {
                Ok((target, kept)) => {
                    text.push_str(&(self.text)(&target, &kept));
                    document.insert(target, (self.json)(&kept));
                }
                Err(lost) => exit = exit.worst(session.tell_lost(&lost)),
            }
        }
        match options.format {
            Format::Json => session.ui.document(&Json::Object(document)),
            Format::Text if text.is_empty() => session.ui.talk(nothing),
            Format::Text => session.ui.data(&text),
        }
        Ok(exit)
    }
}

/// Prints what a job says, until it ends; the exit code says how.
pub(super) fn attach(session: &Session<'_>, name: &str) -> Result<Exit, CommandError> {
    let asked = session.with_hosts(|host| match kept_of(host.transport.as_mut(), kept::everything()) {
        Ok(kept) => {
            let found: Vec<KeptJob> = kept.jobs.into_iter().filter(|job| is_meant(job, name)).collect();
            match found.as_slice() {
                [job] => Ok(Some(Ok((job.id.clone(), to_its_end(session, host, job))))),
                [] => Ok(None),
                several => Ok(Some(Err(several.iter().map(|job| job.id.clone()).collect::<Vec<_>>()))),
            }
        }
        Err(error) => Err(error),
    })?;
    let (mut exit, mut found) = (Exit::Done, false);
    for host in asked {
        match host {
            Ok(None) => {}
            Ok(Some(Ok((_, ended)))) => {
                found = true;
                exit = exit.worst(ended?);
            }
            Ok(Some(Err(several))) => {
                return Err(CommandError::usage(format!("`{name}` may mean: {}", several.join(", "))));
            }
            Err(lost) => exit = exit.worst(session.tell_lost(&lost)),
        }
    }
    if found || exit != Exit::Done {
        return Ok(exit);
    }
    Err(CommandError::usage(format!("no host that is meant has a job `{name}`"))
        .hint("`kstate jobs` lists them"))
}

/// A job is meant by its name or by the beginning of it; or by its state, if that is running.
fn is_meant(job: &KeptJob, name: &str) -> bool {
    job.id.starts_with(name) || (job.state == name && job.stage == Stage::Running)
}

fn kept_of(transport: &mut (dyn Transport + '_), ask: Job) -> Result<Kept, String> {
    let reply = transport.run(ask).map_err(|error| error.to_string())?;
    kept::read(&reply).map_err(|error| error.to_string())
}

fn to_its_end(session: &Session<'_>, host: &mut Reached, job: &KeptJob) -> Result<Exit, CommandError> {
    const NEWS: u32 = 2;
    let failed =
        |message: String| CommandError::failed(format!("{}: job {}: {message}", host.target, job.id));
    let mut offset = 0;
    loop {
        let reply = match host.transport.run(follow(&job.id, offset, NEWS)) {
            Ok(reply) => reply,
            Err(error) if session.interrupt.is_raised() => {
                session.ui.talk(&format!("{}: job {} goes on ({error})", host.target, job.id));
                return Ok(Exit::Interrupted);
            }
            Err(error) => return Err(failed(error.to_string()).hint("it goes on; attach again")),
        };
        let news = followed(&reply).map_err(failed)?;
        offset += news.log.len() as u64;
        session.ui.raw(&news.log);
        match news.stage {
            Stage::Running => {}
            Stage::Ended { status: 0, .. } => return Ok(Exit::Done),
            Stage::Ended { status, .. } => {
                session.ui.error(&format!("{}: job {} ended with status {status}", host.target, job.id), &[]);
                return Ok(Exit::Failed);
            }
            Stage::Gone => {
                session.ui.error(&format!("{}: job {} did not come to its end", host.target, job.id), &[]);
                return Ok(Exit::Failed);
            }
        }
    }
}

fn line(job: &KeptJob, kept: &Kept) -> String {
    let took = |until: u64| elapsed(Duration::from_secs(until.saturating_sub(job.since)));
    let stage = match job.stage {
        Stage::Running => paint(YELLOW, format!("running for {}", took(kept.now))),
        Stage::Ended { status: 0, at } => paint(GREEN, format!("done in {}", took(at))),
        Stage::Ended { status, at } => paint(RED, format!("ended with status {status} after {}", took(at))),
        Stage::Gone => paint(RED, "did not come to its end"),
    };
    let when = paint(DIM, format!("started {} ago", kept.ago(job.since)));
    let user = job.user.as_deref().map(|user| format!(" as {user}")).unwrap_or_default();
    format!("  {}  {}  {stage}, {when}{user}\n      {}\n", job.id, job.state, paint(DIM, &job.command))
}

fn as_json(job: &KeptJob) -> Json {
    let (stage, status, ended) = match job.stage {
        Stage::Running => ("running", None, None),
        Stage::Ended { status, at } => ("ended", Some(status), Some(at)),
        Stage::Gone => ("gone", None, None),
    };
    json!({
        "job": job.id, "id": job.state, "command": job.command, "user": job.user, "run": job.run, "stage": stage,
        "status": status, "started": job.since, "ended": ended, "reported": job.seen,
    })
}
