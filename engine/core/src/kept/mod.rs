//! What a host keeps between runs, in one folder: what must outlive a lost connection, and what the next run has to
//! know. Everything here is shell text for the host and the pure reading of what comes back.
//!
//! | below the folder | is |
//! | --- | --- |
//! | `brackets/` | what brings back what a run has taken away for a while |
//! | `jobs/` | commands that run apart from the connection, with what they say and how they ended |
//! | `owed/` | reloads and restarts that a change has asked for and that have not happened yet |
//!
//! The deploy token ([`token`]) is kept where all users see it. Root reads nothing that others wrote, but for its text in a link.

pub(crate) mod bracket;
mod errand;
pub mod job;
pub mod owed;
mod place;
mod record;
pub(crate) mod run;
pub mod token;

pub use bracket::OpenBracket;
pub use errand::Errand;
pub use job::{KeptJob, Stage};
pub use owed::Owed;
pub(crate) use place::{FOLDER, MAKE};
pub(crate) use record::Record;
pub use token::{Claim, Holder, Taken, Token};

use crate::question::CannotTell;
use crate::{Chunk, Graph, Job, Reply};

/// Functions that know a process for good, because a number alone may come again: `mark PID` prints who it is, `is PID
/// STARTTIME BOOT` and `alive FILE` ask whether it still is, and `has_work PID STARTTIME BOOT` whether it has something running
/// below it. `marks` prints who the held shells of the run are, the main one first.
pub(crate) const IDENTITY: &str = r#"mark() { m=$1; read -r l 2>/dev/null <"/proc/$m/stat" || return; read -r b </proc/sys/kernel/random/boot_id; set -- ${l##*) }; echo "$m ${20} $b"; }
is() { case $1 in '' | *[!0-9]*) return 1 ;; esac; t=$2; read -r b </proc/sys/kernel/random/boot_id; [ "$b" = "$3" ] && read -r l 2>/dev/null <"/proc/$1/stat" || return 1; set -- ${l##*) }; [ "${20}" = "$t" ] && [ "$1" != Z ]; }
alive() { read -r p 2>/dev/null <"$1" && is $p; }
has_work() { is "$@" && [ -n "$(ps -o pid= --ppid "$1")" ]; }
marks() { for h in $kstate_shell $kstate_beside; do mark "$h"; done; }
"#;

/// Prints on one line who the held shells of the run are.
const TELL: &str = "marks | tr '\\n' ';'";

/// All that a host keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The host's clock when it was asked, in seconds since 1970.
    pub now: u64,
    /// Who the held shells are: `PID STARTTIME BOOT;` for each.
    pub shells: String,
    pub owed: Vec<Owed>,
    pub jobs: Vec<KeptJob>,
    pub brackets: Vec<OpenBracket>,
    pub token: Token,
    /// What tells this machine from others, whatever it is called.
    pub machine: Option<String>,
    /// The name under which the run has the token of this machine already.
    pub(crate) sibling: Option<String>,
}

impl Kept {
    /// For how long something has been so, in words.
    pub fn ago(&self, since: u64) -> String {
        ago(self.now.saturating_sub(since))
    }

    /// What a person has to know before the next apply.
    pub(crate) fn notes(&self) -> Vec<String> {
        let open = self.brackets.iter().map(|bracket| {
            let who = if bracket.is_watched {
                "the host leaves it when its run has ended"
            } else {
                "an apply leaves it first"
            };
            format!(
                "`{}` has been open for {}, of run {}; {who}",
                bracket.state,
                self.ago(bracket.since),
                bracket.run
            )
        });
        let running = self
            .jobs
            .iter()
            .filter(|job| job.stage == Stage::Running)
            .map(|job| format!("job {} is running for {}: `{}`", job.id, self.ago(job.since), job.state));
        let token = self.token.holders(self).into_iter().map(|holder| format!("the token is {holder}"));
        token.chain(self.token.unheeded(self)).chain(open).chain(running).collect()
    }

    /// What is known when a job has come that far.
    pub(crate) fn with_stage(&self, id: &str, stage: Stage) -> Kept {
        let mut kept = self.clone();
        kept.jobs.iter_mut().filter(|job| job.id == id).for_each(|job| job.stage = stage);
        kept
    }

    /// Without what other trees owe.
    pub(crate) fn of(&self, graph: &Graph) -> Kept {
        let owed = self.owed.iter().filter(|owed| owed.is_in(graph)).cloned().collect();
        Kept { owed, ..self.clone() }
    }

    /// What is left when a state has done what it owes.
    pub(crate) fn without(&self, chunk: &Chunk) -> Kept {
        let owed = self.owed.iter().filter(|owed| !owed.is_of(chunk)).cloned().collect();
        Kept { owed, ..self.clone() }
    }
}

/// Prints what a run has to know: for each record a line `@ KIND NAME`, then its fields.
pub(crate) fn job() -> Job {
    listing(false)
}

/// Prints every record, also of what is over.
pub fn everything() -> Job {
    listing(true)
}

fn listing(all: bool) -> Job {
    let (token, jobs, brackets) = (token::listing(), job::listing(all), bracket::LISTING);
    let owed = owed::LISTING;
    Job::new(format!(
        "{IDENTITY}{FOLDER}echo \"@ shells $({TELL})\"\necho \"@ now $(date +%s)\"\n{token}{jobs}{brackets}{owed}:"
    ))
}

/// Reads what [`everything`] prints.
pub fn read(reply: &Reply) -> Result<Kept, CannotTell> {
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
            "shells" => kept.shells = name.to_owned(),
            "now" => kept.now = name.parse().unwrap_or_default(),
            "bracket" => kept.brackets.extend(OpenBracket::read(name, &record)),
            "job" => kept.jobs.extend(KeptJob::read(name, &record)),
            "machine" => kept.machine = Some(name.to_owned()),
            "sibling" => kept.sibling = Some(name.to_owned()),
            "hold" => kept.token.hold = Some(Holder::read(&record, name)),
            "run" => kept.token.run = Some(Holder::read(&record, name)),
            "other-hold" | "other-run" => kept.token.others.push(Holder::read(&record, name)),
            "owed" => kept.owed.extend(Owed::read(name, &record)),
            _ => {}
        }
    }
    Ok(kept)
}

/// A length of time for a message: `40 s`, `12 min`, `3 h`, `2 d`.
fn ago(seconds: u64) -> String {
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        5400..=129_599 => format!("{} h", (seconds + 1800) / 3600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}
