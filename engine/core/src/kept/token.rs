//! The deploy token: only one person changes a host at a time. A run takes it by itself and gives it back; a person may
//! hold it for longer. All users have to see it, whatever login they have, so it does not stand in the folder of one of
//! them but in `/var/tmp`, or in the folder that the host has in `$KSTATE_TOKENS`.
//!
//! | below that folder | is |
//! | --- | --- |
//! | `kstate-hold.UID/about` | who holds the token, why, and until when |
//! | `kstate-run.UID/about` | the run that has it |
//! | `kstate-run.UID/{shell,parent,beat}` | by which that run is known to live |
//!
//! Who takes it or gives it back has a lock on the folder. Root does not trust what others write there: it is shown, and
//! nothing else is done with it.

use super::run::{ASK, BEAT};
use super::{Errand, IDENTITY, Kept, Record, read};
use crate::words::quote;
use crate::{Job, Reply};

/// Who has a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who it is, and where they sit.
    pub owner: String,
    pub reason: String,
    /// The run that has it. `None`: it is held.
    pub run: Option<String>,
    /// The host's clock.
    pub since: Option<u64>,
    /// When a hold ends, by the host's clock.
    pub until: Option<u64>,
}

/// The token of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub hold: Option<Holder>,
    /// The run that lives.
    pub run: Option<Holder>,
}

impl Holder {
    /// Whatever is missing: who holds a token keeps others out all the same.
    pub(super) fn read(record: &Record) -> Self {
        let text = |name| record.get(name).map(in_a_line);
        Holder {
            owner: text("owner").unwrap_or_else(|| "somebody unknown".into()),
            reason: text("reason").unwrap_or_default(),
            run: text("run"),
            since: record.number("since"),
            until: record.number("until"),
        }
    }
}

fn in_a_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Token {
    /// Who has it: `held by ada@desk, since 3 min ago, …`.
    pub fn holders(&self, kept: &Kept) -> Vec<String> {
        let holders = self.hold.iter().chain(&self.run);
        holders.map(|holder| holder.line(kept)).collect()
    }
}

impl Holder {
    fn line(&self, kept: &Kept) -> String {
        let Holder { owner, reason, run, since, until } = self;
        let verb = if run.is_some() { "in use by" } else { "held by" };
        let mut line = format!("{verb} {owner}");
        if let Some(since) = since {
            line.push_str(&format!(", since {} ago", kept.ago(*since)));
        }
        if let Some(until) = until {
            line.push_str(&format!(", for {} more", super::ago(until.saturating_sub(kept.now))));
        }
        if let Some(run) = run {
            line.push_str(&format!(", run {run}"));
        }
        if !reason.is_empty() {
            line.push_str(&format!(": {reason}"));
        }
        line
    }
}

/// Who wants a token, and what for.
#[derive(Clone, Debug)]
pub struct Claim {
    pub owner: String,
    pub reason: String,
    pub run: String,
}

/// What came of a try to have a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// Somebody else has it.
    No(Box<Kept>),
    /// The host could not tell, and why.
    CannotTell(String),
}

impl Taken {
    pub fn read(reply: &Reply) -> Self {
        match reply.status {
            0 => Taken::Yes,
            REFUSED => {
                let listed = Reply { status: 0, ..reply.clone() };
                read(&listed).map_or_else(
                    |error| Taken::CannotTell(error.to_string()),
                    |kept| Taken::No(Box::new(kept)),
                )
            }
            _ => Taken::CannotTell(format!(
                "the token cannot be taken: {}",
                crate::question::Ended::of(reply).tail(3)
            )),
        }
    }
}

/// The exit status of who does not get it, and of a run that has it no more.
const REFUSED: i32 = 75;
pub(crate) const OUSTED: i32 = 9;

/// Seconds for which a run is waited for that has lost its connection, and after which one is dead that has it and does
/// nothing.
const GRACE: u32 = 10;
const SILENCE: u32 = 300;

/// How many characters of a reason are kept.
const LONGEST_REASON: usize = 300;

/// Functions: `each COMMAND` has it look at each token as `$k`; `lives` asks whether the run of `$k` does, or may
/// connect again, or has left something running; `list` prints the records; `says FIELD VALUE` asks what `$k` says.
const TOKENS: &str = r#"T=${KSTATE_TOKENS:-/var/tmp} M=$(id -u)
each() { for k in "$T"/kstate-hold.* "$T"/kstate-run.*; do if [ -d "$k" ] && [ ! -L "$k" ] && [ -f "$k/about" ] && [ ! -L "$k/about" ]; then "$@"; fi; done; }
says() { grep -qxF "$1: $2" "$k/about"; }
is_hold() { case $k in */kstate-hold.*) return 0 ;; esac; return 1; }
holds() { u=$(sed -n 's/^until: \([0-9]*\)$/\1/p' "$k/about" | head -n 1); [ "${u:-0}" -gt "$(date +%s)" ]; }
works() { connected "$k" && { heard "$k" SILENCE || busy "$k"; }; }
ends() { heard "$k" GRACE || busy "$k"; }
print() { if is_hold; then holds || return 0; else works || ends || return 0; fi
is_hold && echo "@ hold x" || echo "@ run x"
head -c 4000 "$k/about" | tr -d '@\000-\010\013-\037\177'; }
list() { echo "@ now $(date +%s)"; each print; }
drop() { rm -rf "$k" 2>/dev/null; [ ! -e "$k" ] || { echo "$k belongs to $(stat -c %U "$k"): only they or root can remove it" >&2; exit 1; }; }
make() { k=$T/kstate-$1.$M; drop; mkdir -m 755 "$k" || exit 1; }
lock() { exec 9<"$T" && flock -w 30 9 || { echo "$T cannot be locked" >&2; exit 1; }; }
"#;

fn tokens() -> String {
    TOKENS.replace("SILENCE", &SILENCE.to_string()).replace("GRACE", &GRACE.to_string())
}

fn functions() -> String {
    format!("umask 022\n{IDENTITY}{ASK}{BEAT}{}", tokens())
}

/// Prints who has the token, where `IDENTITY` is there.
pub(super) fn listing() -> String {
    format!("({ASK}{}each print)\n", tokens())
}

/// Prints who has the token, and nothing else of what the host keeps.
pub fn look() -> Job {
    Job::new(format!("{}list", functions()))
}

impl Claim {
    fn record(&self) -> Record {
        let mut reason = in_a_line(&self.reason);
        if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        Record::default().with("owner", &self.owner).with("reason", reason)
    }

    /// The beginning of each script: who asks.
    fn ask(&self) -> String {
        let field = |value: &str| quote(&Record::field(value));
        format!("{}owner={} run={}\n", functions(), field(&self.owner), field(&self.run))
    }

    /// Takes the token for the run. Waits for a run that has lost its connection, or has left something running, to end.
    /// Said again it says that the run lives.
    pub fn take(&self) -> Job {
        let record = self.record().with("run", &self.run);
        let (fields, about) = (record.fields(), record.printing());
        Job::new(format!(
            "{}look() {{ if is_hold; then says owner \"$owner\" || ! holds || refused=1\n\
             elif says run \"$run\"; then own=$k\nelif works; then refused=1\nelif ends; then wait=1; fi; }}\n\
             lock; told=\n\
             while refused= wait= own=; each look; [ -z \"$refused\" ] || {{ list; exit {REFUSED}; }}; [ -n \"$wait\" ]; do\n\
             [ -n \"$told\" ] || {{ told=1; echo 'waiting for what a run has left behind that lost its connection' >&2; }}\n\
             flock -u 9; sleep 0.5; flock -w 30 9 || exit 1\ndone\n\
             if [ -n \"$own\" ]; then k=$own; else make run; {about} >\"$k/about\" || exit 1; fi\nbeat \"$k\"",
            self.ask()
        ))
        .meant(Errand::TakeToken { owner: self.owner.clone(), run: self.run.clone(), fields })
    }

    /// Says that the run lives which has the token.
    pub(crate) fn beat(&self) -> Job {
        Job::new(format!(
            "{}k=$T/kstate-run.$M; says run \"$run\" 2>/dev/null || exit {OUSTED}\nbeat \"$k\"",
            self.ask()
        ))
        .meant(Errand::BeatToken { run: self.run.clone() })
    }

    /// Gives back what the run has taken.
    pub fn give_back(&self) -> Job {
        Job::new(format!("{}lock; k=$T/kstate-run.$M; ! says run \"$run\" 2>/dev/null || drop", self.ask()))
            .meant(Errand::GiveBackToken { run: self.run.clone() })
    }

    /// Holds the token for so many seconds, whatever runs meanwhile. Said again it holds it from now on.
    pub fn hold(&self, seconds: u64) -> Job {
        let about = self.record().printing();
        Job::new(format!(
            "{}look() {{ says owner \"$owner\" && return 0\n\
             if is_hold; then ! holds || refused=1; elif works || ends; then refused=1; fi; }}\n\
             lock; refused=; each look; [ -z \"$refused\" ] || {{ list; exit {REFUSED}; }}\n\
             make hold; {{ {about}; echo \"until: $(($(date +%s) + {seconds}))\"; }} >\"$k/about\"",
            self.ask()
        ))
    }

    /// Gives back what the owner holds; with `force`, what anybody holds or uses. Prints what was given back.
    pub fn release(&self, force: bool) -> Job {
        let whose =
            if force { "print; drop" } else { "! is_hold || ! says owner \"$owner\" || { print; drop; }" };
        Job::new(format!(
            "{}look() {{ {whose}; }}\nothers() {{ ! is_hold || ! holds || refused=1; }}\n\
             lock; echo \"@ now $(date +%s)\"; each look || exit 1\nrefused=; each others\n\
             [ -z \"$refused\" ] || {{ list; exit {REFUSED}; }}",
            self.ask()
        ))
    }
}
