//! What a host keeps between runs, in one folder: what must outlive a lost connection, and what the next run has to
//! know. Everything here is shell text for the host and the pure reading of what comes back.
//!
//! | below the folder | is |
//! | --- | --- |
//! | `owed/` | reloads and restarts that a change has asked for and that have not happened yet |

pub mod owed;
mod record;

pub use owed::Owed;
pub(crate) use record::Record;

use crate::question::{Answer, Answered, CannotTell};
use crate::{Chunk, Job, Reply};

/// Sets `$K` to the folder: root's is the host's, anybody else has one of their own.
pub(crate) const FOLDER: &str =
    "K=/var/lib/kstate; [ \"$(id -u)\" = 0 ] || K=${XDG_STATE_HOME:-$HOME/.local/state}/kstate\n";

/// Makes `$K`, where nobody but its owner may look.
pub(crate) const MAKE: &str = "[ -d \"$K\" ] || (umask 077; mkdir -p \"$K\") || exit 1\n";

/// All that a host keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The host's clock when it was asked, in seconds since 1970.
    pub now: u64,
    pub owed: Vec<Owed>,
}

impl Kept {
    /// What is left when a state has done what it owes.
    pub(crate) fn without(&self, chunk: &Chunk) -> Kept {
        let owed = self.owed.iter().filter(|owed| !owed.is_of(chunk)).cloned().collect();
        Kept { owed, ..self.clone() }
    }
}

/// Prints every record: a line `@ KIND NAME`, then its fields.
pub(crate) fn job() -> Job {
    Job::new(format!(
        "{FOLDER}[ -d \"$K\" ] || exit 0\necho \"@ now $(date +%s)\"\n\
         for f in \"$K\"/owed/*; do [ -f \"$f\" ] || continue; echo \"@ owed ${{f##*/}}\"; cat \"$f\"; done"
    ))
}

pub(crate) fn read(reply: &Reply) -> Answered {
    if !reply.ok() {
        return Err(CannotTell(format!(
            "what the host keeps cannot be read: {}",
            crate::question::Ended::of(reply).tail(3)
        )));
    }
    let text = String::from_utf8_lossy(&reply.stdout);
    let mut kept = Kept::default();
    for block in text.split("@ ").skip(1) {
        let (head, fields) = block.split_once('\n').unwrap_or((block, ""));
        let (kind, name) = head.split_once(' ').unwrap_or((head, ""));
        let record = Record::parse(fields);
        match kind {
            "now" => kept.now = name.parse().unwrap_or_default(),
            "owed" => kept.owed.extend(Owed::read(&record)),
            _ => {}
        }
    }
    Ok(Answer::Kept(Box::new(kept)))
}

/// A length of time for a message: `40 s`, `12 min`, `3 h`, `2 d`.
pub fn ago(seconds: u64) -> String {
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        5400..=129_599 => format!("{} h", (seconds + 1800) / 3600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}
