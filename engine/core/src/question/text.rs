//! Texts: the content of a file, the crontab of a user.

use super::{Answer, Answered, CannotTell, complaint};
use crate::words::quote;
use crate::{Job, Reply, hands};

/// Exit status of our own scripts for "it is not there".
const ABSENT: i32 = 44;

/// A file of more bytes is compared by its digest alone.
const CONTENT: usize = 16 << 20;

pub(super) fn content_job(path: &str) -> Job {
    Job::new(hands::read(path, CONTENT + 1))
}

pub(super) fn read_content(path: &str, reply: &Reply) -> Answered {
    match reply.status {
        0 if reply.stdout.len() > CONTENT => Err(CannotTell(format!(
            "`{path}` is too large to be read: it has more than {} MiB",
            CONTENT >> 20
        ))),
        0 => Ok(Answer::Content(Some(reply.stdout.clone()))),
        ABSENT => Ok(Answer::Content(None)),
        45 => Err(CannotTell(format!("`{path}` is not a regular file"))),
        _ => Err(complaint(reply)),
    }
}

/// `crontab -l` for another user needs root; for oneself `-u` is refused on some systems.
pub(super) fn crontab_job(user: &str) -> Job {
    let user = quote(user);
    Job::new(format!(
        "command -v crontab >/dev/null || {{ echo 'there is no crontab program on the host' >&2; exit 46; }}\n\
         id -u {user} >/dev/null 2>&1 || exit {ABSENT}\n\
         if [ \"$(id -un)\" = {user} ]; then crontab -l; else crontab -u {user} -l; fi"
    ))
}

pub(super) fn read_crontab(user: &str, reply: &Reply) -> Answered {
    if reply.ok() {
        return Ok(Answer::Crontab(Some(String::from_utf8_lossy(&reply.stdout).into_owned())));
    }
    let said = String::from_utf8_lossy(&reply.stderr);
    if reply.status == ABSENT || said.contains("no crontab for") {
        return Ok(Answer::Crontab(None));
    }
    Err(CannotTell(format!("crontab of `{user}`: {}", complaint(reply))))
}
