//! Brackets: what a run takes away while other states act (jobs of cron, workers, a service), and brings back
//! afterwards whatever happens. Before anything is taken away, what brings it back is written down on the host, and a
//! watchdog is started there: it brings everything back when the run is dead and what it bracketed has ended.
//!
//! | in `brackets/RUN/` | is |
//! | --- | --- |
//! | `NN/about` | the state, in the order in which they were entered |
//! | `NN/restore` | the shell text that brings it back; it has the folder as `$kstate_bracket` |
//! | `shell`, `parent`, `beat` | the held shell of the run, its connection, and when the run was last heard of |
//! | `watch` | who the watchdog is |

use super::run::{ASK, BEAT};
use super::{Errand, FOLDER, IDENTITY, MAKE, Record};
use crate::words::quote;
use crate::{Chunk, Job, Operation};

/// A bracket that has not been left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBracket {
    pub run: String,
    pub number: u32,
    /// The id of its state.
    pub state: String,
    /// What it keeps away.
    pub about: String,
    /// The host's clock when it was entered.
    pub since: u64,
    /// The watchdog lives. It does not after a reboot.
    pub is_watched: bool,
}

impl OpenBracket {
    pub(super) fn read(name: &str, record: &Record) -> Option<Self> {
        let (run, number) = name.rsplit_once('/')?;
        Some(OpenBracket {
            run: run.to_owned(),
            number: number.parse().ok()?,
            state: record.get("state")?.to_owned(),
            about: record.get("about")?.to_owned(),
            since: record.number("since")?,
            is_watched: record.get("watched").is_some(),
        })
    }
}

/// Prints the brackets that are open.
pub(super) const LISTING: &str = "for d in \"$K\"/brackets/*/[0-9]*; do [ -f \"$d/about\" ] || continue; r=${d%/*}\n\
     echo \"@ bracket ${r##*/}/${d##*/}\"; cat \"$d/about\"; ! alive \"$r/watch\" || echo 'watched: 1'; done\n";

/// Seconds after which a run is dead that is not heard of: if its connection is gone, and if it is there and idle.
const GRACE: u32 = 20;
const SILENCE: u32 = 60;

/// `leave DIR FROM [UNLESS]` brings back what the brackets of a run have taken away, down from the last one to that number,
/// unless a function that is asked under the lock says no. Who else does so at the same time has to wait, and finds nothing
/// to do. What it says goes by way of a file: it must not be ended in the middle because nobody listens any more.
const LEAVE: &str = r#"leave() { (
flock 9 || exit 1
[ -z "${3-}" ] || ! "$3" || exit 0
for d in $(ls -d "$1"/[0-9]* 2>/dev/null | sort -r); do
[ "${d##*/}" -ge "$2" ] || break
kstate_bracket=$d sh "$d/restore" >"$1/told" 2>&1 9>&- </dev/null; s=$?
cat "$1/told"
[ $s = 0 ] && rm -rf "$d" || exit 1
done
) 9>>"$1/lock"; }
"#;

/// The watchdog of a run. It gives up on what cannot be brought back after ten tries.
const WATCH: &str = r#"r=$1; PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C; export PATH LC_ALL
K=${r%/brackets/*}; run=${r##*/}; tries=0
mark "$(sh -c 'echo $PPID')" >"$r/watch"
lives() {
heard "$r" GRACE && return 0
connected "$r" && heard "$r" SILENCE && return 0
busy "$r" && return 0
for j in "$K"/jobs/*; do [ ! -e "$j/status" ] && grep -qxF "run: $run" "$j/about" 2>/dev/null && alive "$j/process" && return 0; done
return 1; }
while :; do
sleep 1
[ -n "$(ls -d "$r"/[0-9]* 2>/dev/null)" ] || { rm -rf "$r"; exit 0; }
lives && continue
leave "$r" 0 lives && continue
tries=$((tries + 1)); [ $tries -lt 10 ] || exit 1
sleep 10
done
"#;

/// A bracket that is about to be entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enter<'a> {
    pub(crate) run: &'a str,
    pub(crate) number: u32,
    pub(crate) chunk: &'a Chunk,
    /// What it keeps away, without secrets.
    pub(crate) about: &'a str,
    pub(crate) restore: &'a str,
}

impl Enter<'_> {
    /// Writes down what brings it back, and starts the watchdog. Said again it does nothing.
    pub(crate) fn job(&self) -> Job {
        let record = Record::default().with("state", &self.chunk.id).with("about", self.about);
        let about = record.printing();
        let watch = WATCH.replace("GRACE", &GRACE.to_string()).replace("SILENCE", &SILENCE.to_string());
        let script = format!(
            "{FOLDER}{MAKE}{IDENTITY}r=$K/brackets/{run}; d=$r/{number:02}\n\
             mkdir -p \"$r\" || exit 1\n{BEAT}beat \"$r\"\n\
             [ ! -d \"$d\" ] || exit 0\n\
             rm -rf \"$r/new\"; mkdir \"$r/new\" && {about} >\"$r/new/about\" && printf %s {restore} >\"$r/new/restore\" || exit 1\n\
             printf %s {watch} >\"$r/watchdog\" && mv \"$r/new\" \"$d\" || exit 1\n\
             ! alive \"$r/watch\" || exit 0\n\
             if [ -d /run/systemd/system ] && [ \"$(id -u)\" = 0 ] && command -v systemd-run >/dev/null && \
             systemd-run -q --collect --unit=kstate-bracket-{run} sh \"$r/watchdog\" \"$r\" </dev/null; then :\n\
             else setsid sh \"$r/watchdog\" \"$r\" </dev/null >/dev/null 2>&1 & fi\n\
             n=0; while [ ! -e \"$r/watch\" ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done\n[ -e \"$r/watch\" ]",
            run = quote(self.run),
            number = self.number,
            restore = quote(self.restore),
            watch = quote(&format!("{IDENTITY}{ASK}{LEAVE}{watch}")),
        );
        Job::new(script).meant(Errand::Enter {
            run: self.run.to_owned(),
            number: self.number,
            fields: record.fields(),
            restore: self.restore.to_owned(),
        })
    }
}

/// Says that a run lives which has brackets open.
pub(crate) fn beat(run: &str) -> Job {
    Job::new(format!("{FOLDER}{IDENTITY}{BEAT}r=$K/brackets/{}; [ ! -d \"$r\" ] || beat \"$r\"", quote(run)))
        .meant(Errand::BeatBrackets { run: run.to_owned() })
}

/// The exit status of a job that finds its bracket left.
const LEFT: &str =
    "echo 'the host has left the bracket: it had not heard of this run for too long' >&2; exit 75";

/// A job that takes something away in a bracket; `$kstate_bracket` is where it may keep things. It first says that the run
/// lives, under the lock of the watchdog. Nothing is taken away in a bracket that the watchdog has left, because nobody would
/// bring it back.
pub(crate) fn take_away(run: &str, number: u32, operation: &Operation) -> Option<Job> {
    let job = operation.job()?;
    let script = format!(
        "{FOLDER}{IDENTITY}{BEAT}r=$K/brackets/{run}; export kstate_bracket=\"$r/{number:02}\"\n\
         [ -d \"$r\" ] && exec 9>>\"$r/lock\" && flock 9 && [ -d \"$kstate_bracket\" ] || {{ {LEFT}; }}\n\
         beat \"$r\"; exec 9>&-\n{script}",
        run = quote(run),
        script = job.script,
    );
    let errand = Errand::TakeAway { run: run.to_owned(), number, operation: Box::new(operation.clone()) };
    Some(Job { script, ..job }.meant(errand))
}

/// Brings back what the brackets of a run have taken away, down from the last one to the number `from`.
pub(crate) fn leave(run: &str, from: u32) -> Job {
    Job::new(format!(
        "{FOLDER}{LEAVE}r=$K/brackets/{}; [ -d \"$r\" ] || exit 0\nleave \"$r\" {from} || exit 1\n\
         ls -d \"$r\"/[0-9]* >/dev/null 2>&1 || rm -rf \"$r\"",
        quote(run)
    ))
    .meant(Errand::Leave { run: run.to_owned(), from })
}
