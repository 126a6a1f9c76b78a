//! `token`: who may change the servers.

use std::time::Duration;

use kstate_core::kept::token::look;
use kstate_core::kept::{self, Claim, Holder, Kept, Taken};
use kstate_core::{Job, Problem, Transport};
use serde_json::{Value as Json, json};

use super::jobs::Listing;
use crate::args::{Global, TokenCommand};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::session::{Session, unknown_place};
use crate::token::{refusal, surely};
use crate::ui::{BOLD, GREEN, YELLOW, paint};

pub(super) fn token(
    session: &mut Session<'_>,
    options: &Global,
    command: &TokenCommand,
) -> Result<Exit, CommandError> {
    if let Some(place) = session.place().map(str::to_owned) {
        if !session.knows(&place) {
            return Err(unknown_place(&place));
        }
        session.choose(&[&place]);
    }
    match command {
        TokenCommand::Show => show(session, options),
        TokenCommand::Hold { message, duration } => hold(session, message, *duration),
        TokenCommand::Release { force } => release(session, *force),
    }
}

fn show(session: &Session<'_>, options: &Global) -> Result<Exit, CommandError> {
    let text = |target: &str, kept: &Kept| {
        let mut text = format!("{}\n", paint(BOLD, target));
        let holders = kept.token.holders(kept);
        let unheeded = kept.token.unheeded(kept);
        holders.iter().for_each(|holder| text.push_str(&format!("  {}\n", paint(YELLOW, holder))));
        if holders.is_empty() {
            text.push_str(&format!("  {}\n", paint(GREEN, "free")));
        }
        unheeded.iter().for_each(|note| text.push_str(&format!("  note: {note}\n")));
        text
    };
    Listing { ask: &|host| look(&host.claim.logins), text: &text, json: &as_json }
        .tell(session, options, "No host.")
}

/// Holds the token of all hosts, or of none.
fn hold(session: &Session<'_>, message: &str, duration: Duration) -> Result<Exit, CommandError> {
    let seconds = duration.as_secs();
    let asked = session.with_hosts(|host| {
        let claim = Claim { reason: message.to_owned(), ..host.claim.clone() };
        let reply = run(host.transport.as_mut(), claim.hold(seconds))?;
        Ok((host.target.clone(), Taken::read(&reply)))
    })?;
    let (mut held, mut exit) = (Vec::new(), Exit::Done);
    for host in asked {
        match host {
            Ok((target, taken)) => match refusal(&target, &taken) {
                None => held.push(target),
                Some(problem) => exit = exit.worst(refused(session, &problem)),
            },
            Err(lost) => exit = exit.worst(session.tell_lost(&lost)),
        }
    }
    if exit == Exit::Done {
        let time = humantime::format_duration(Duration::from_secs(seconds));
        session.ui.talk(&format!("You hold the token of {} for {time}.", held.join(", ")));
        return Ok(exit);
    }
    session.with_hosts(|host| {
        let is_held = held.contains(&host.target);
        if is_held { run(host.transport.as_mut(), host.claim.release(false)).map(|_| ()) } else { Ok(()) }
    })?;
    session.ui.talk("The token is held nowhere.");
    Ok(exit)
}

fn release(session: &Session<'_>, force: bool) -> Result<Exit, CommandError> {
    let asked = session.with_hosts(|host| {
        let reply = run(host.transport.as_mut(), host.claim.release(force))?;
        let given = (reply.status == 0).then(|| kept::read(&reply).map(|kept| kept.token.holders(&kept)));
        Ok((host.target.clone(), Taken::read(&reply), given.and_then(Result::ok).unwrap_or_default()))
    })?;
    let mut exit = Exit::Done;
    for host in asked {
        match host {
            Ok((target, taken, given)) => match refusal(&target, &taken) {
                None if given.is_empty() => session.ui.talk(&format!("{target}: you did not hold the token")),
                None => given.iter().for_each(|holder| {
                    session.ui.talk(&format!("{target}: given back; it was {holder}"));
                }),
                Some(problem) => exit = exit.worst(refused(session, &problem)),
            },
            Err(lost) => exit = exit.worst(session.tell_lost(&lost)),
        }
    }
    Ok(exit)
}

fn refused(session: &Session<'_>, problem: &Problem) -> Exit {
    session.ui.error(&problem.message, &problem.hints);
    Exit::Failed
}

fn run(transport: &mut (dyn Transport + '_), job: Job) -> Result<kstate_core::Reply, String> {
    surely(transport, job).map_err(|error| error.to_string())
}

fn as_json(kept: &Kept) -> Json {
    let holder = |holder: &Holder| {
        json!({
            "owner": holder.owner, "reason": holder.reason, "run": holder.run, "since": holder.since,
            "until": holder.until,
        })
    };
    json!({ "hold": kept.token.hold.as_ref().map(holder), "run": kept.token.run.as_ref().map(holder) })
}
