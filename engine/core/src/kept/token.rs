//! The deploy token: only one person changes a host at a time. A run takes it by itself and gives it back; a person may
//! hold it for longer. Users of a host see each other's records and cannot write them for one another: a record counts as
//! that of the user who owns it, and a run heeds those of root, its own, and those of the logins that the roster names for
//! the host. Others are shown.
//!
//! | record | is |
//! | --- | --- |
//! | `/run/kstate/run` | the run of root that has the token |
//! | `/var/lib/kstate/hold` | that root holds it, until when and why |
//! | `/var/tmp/kstate-run.UID.UUID`, `kstate-hold.UID.UUID` | the same of any other user |
//!
//! A record is the text of a symbolic link, so that reading what a user wrote opens nothing and waits for nothing. Runs of
//! one user take turns by a lock on a file that only they can open; runs of several write down that they want the token,
//! look again, and leave it to the lower user id. `$KSTATE_TOKENS` names a folder that stands for all three places.

use super::{Errand, FOLDER, IDENTITY, Kept, MAKE, Record, read};
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
    /// The user of the host who wrote it down.
    pub user: String,
}

/// The token of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub hold: Option<Holder>,
    /// The run that lives.
    pub run: Option<Holder>,
    /// What users of the host claim who are no logins of the roster.
    pub others: Vec<Holder>,
}

impl Holder {
    /// Whatever is missing: who holds a token keeps others out all the same.
    pub(super) fn read(record: &Record, user: &str) -> Self {
        let text = |name| record.get(name).map(in_a_line);
        Holder {
            owner: text("owner").unwrap_or_else(|| "somebody unknown".into()),
            reason: text("reason").unwrap_or_default(),
            run: text("run"),
            since: record.number("since"),
            until: record.number("until"),
            user: in_a_line(user),
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

    /// Tells which claims a run does not heed.
    pub fn unheeded(&self, kept: &Kept) -> Vec<String> {
        let line = |other: &Holder| {
            let (user, claim) = (&other.user, other.line(kept));
            format!(
                "the user `{user}` of the host says that the token is {claim}; this is not heeded, because the roster has no such login"
            )
        };
        self.others.iter().map(line).collect()
    }
}

impl Holder {
    fn line(&self, kept: &Kept) -> String {
        let Holder { owner, reason, run, since, until, .. } = self;
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
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub owner: String,
    pub reason: String,
    pub run: String,
    /// The roster's name of the host.
    pub target: String,
    /// The users whose records count beside those of root: the logins that the roster names for this host.
    pub logins: Vec<String>,
    /// The run goes on with another name of the same machine: it keeps the token until that has ended.
    pub is_passed_on: bool,
}

/// What came of a try to have a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// This run has it already, under another name of the same machine.
    Sibling(String),
    /// Somebody else has it.
    No(Box<Kept>),
    /// The host could not tell, and why.
    CannotTell(String),
}

impl Taken {
    pub fn read(reply: &Reply) -> Self {
        if !matches!(reply.status, 0 | SIBLING | REFUSED) {
            let why = crate::question::Ended::of(reply).tail(3);
            return Taken::CannotTell(format!("the token cannot be taken: {why}"));
        }
        let listed = Reply { status: 0, ..reply.clone() };
        match (reply.status, read(&listed)) {
            (0, _) => Taken::Yes,
            (SIBLING, Ok(kept)) => Taken::Sibling(kept.sibling.unwrap_or_default()),
            (_, Ok(kept)) => Taken::No(Box::new(kept)),
            (_, Err(error)) => Taken::CannotTell(error.to_string()),
        }
    }
}

/// The exit status of who does not get it, of who has it by another name, and of a run that has it no more.
const REFUSED: i32 = 75;
const SIBLING: i32 = 76;
pub(crate) const OUSTED: i32 = 9;

/// Seconds for which a run is waited for that has lost its connection, and after which one is dead that has it and does
/// nothing.
const GRACE: u32 = 10;
const SILENCE: u32 = 300;

/// The bytes of a reason that are kept, and of other texts: the text of a link is limited, on XFS to 1,024 bytes.
const LONGEST_REASON: usize = 300;
const LONGEST_NAME: usize = 80;

fn functions() -> String {
    let tokens = include_str!("token.sh").lines().filter(|line| !line.starts_with('#'));
    let text: String = tokens.flat_map(|line| [line, "\n"]).collect();
    text.replace("SILENCE", &SILENCE.to_string()).replace("GRACE", &GRACE.to_string())
}

fn script() -> String {
    format!("{IDENTITY}{FOLDER}{}", functions())
}

/// Prints who has the token, where `IDENTITY` and `FOLDER` are there.
pub(super) fn listing() -> String {
    format!("({}machine; each print ''; others print other-)\n", functions())
}

/// Prints who has the token, and nothing else of what the host keeps.
pub fn look(logins: &[String]) -> Job {
    Job::new(format!("{}{}tell", script(), heeding(logins)))
}

/// Prints what tells the machine from others.
pub fn machine() -> Job {
    Job::new(format!("{}machine", script()))
}

/// Has the records of these users count.
fn heeding(logins: &[String]) -> String {
    let others = logins.iter().filter(|login| *login != "root");
    others.map(|login| format!("A=\"$A $(id -u -- {} 2>/dev/null)\"\n", quote(login))).collect()
}

/// A field of a record, which is no longer than so many bytes as it stands there.
fn bounded(text: &str, most: usize) -> String {
    let text = in_a_line(text);
    let mut length = 0;
    let end = text.char_indices().find(|(_, c)| {
        length += Record::field(&c.to_string()).len();
        length > most
    });
    match end {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Claim {
    fn record(&self) -> Record {
        let owner = bounded(&self.owner, LONGEST_NAME);
        Record::default().with("owner", owner).with("reason", bounded(&self.reason, LONGEST_REASON))
    }

    /// The beginning of each script: who asks.
    fn ask(&self) -> String {
        let field = |value: &str| quote(&Record::field(&bounded(value, LONGEST_NAME)));
        let (owner, run, target) = (field(&self.owner), field(&self.run), field(&self.target));
        format!("{}{}owner={owner} run={run} target={target}\n", script(), heeding(&self.logins))
    }

    /// Takes the token for the run. Waits for a run that has lost its connection, or has left something running, to end.
    pub fn take(&self) -> Job {
        self.taking("")
    }

    /// Takes it over from the connection that the run had before, or from another name of the same machine.
    pub fn take_over(&self) -> Job {
        self.taking("1")
    }

    fn taking(&self, over: &str) -> Job {
        let record = self.record().with("run", &self.run).with("target", bounded(&self.target, LONGEST_NAME));
        let (fields, about) = (record.fields(), record.words());
        Job::new(format!(
            "{}over={over}\n{MAKE}{}text() {{ printf '%s\\n' {about}; echo \"since: ${{since:-$(date +%s)}}\"; life; $1; }}\n{}",
            self.ask(),
            LOOK,
            TAKE
        ))
        .meant(Errand::TakeToken { owner: self.owner.clone(), run: self.run.clone(), fields })
    }

    /// Says that the run lives which has the token.
    pub(crate) fn beat(&self) -> Job {
        Job::new(format!("{}at_own || exit {OUSTED}\ntouch -h \"$k\"", self.ask()))
            .meant(Errand::BeatToken { run: self.run.clone() })
    }

    /// Gives back what the run has taken.
    pub fn give_back(&self) -> Job {
        Job::new(format!("{}{MAKE}lock; ! at_own || drop", self.ask()))
            .meant(Errand::GiveBackToken { run: self.run.clone() })
    }

    /// Holds the token for so many seconds, whatever runs meanwhile. Said again it holds it from now on.
    pub fn hold(&self, seconds: u64) -> Job {
        let about = self.record().words();
        Job::new(format!(
            "{}{MAKE}look() {{ says owner \"$owner\" && return 0\n\
             if is_hold; then ! holds || refused=1; elif works || ends; then refused=1; fi; }}\n\
             refuse() {{ refused=; each look; [ -z \"$refused\" ] || {{ \"$@\"; tell; exit {REFUSED}; }}; }}\n\
             withdraw() {{ own hold; drop; }}\n\
             lock; refuse :\n\
             s=$(date +%s); put hold \"$(printf '%s\\n' {about} \"since: $s\" \"until: $((s + {seconds}))\")\"\n\
             refuse withdraw",
            self.ask()
        ))
    }

    /// Gives back what the owner holds; with `force`, what anybody holds or uses. Prints what was given back.
    pub fn release(&self, force: bool) -> Job {
        let (whose, strangers) = if force {
            ("print ''; drop", "[ \"$M\" != 0 ] || others look\n")
        } else {
            ("! is_hold || ! says owner \"$owner\" || { print ''; drop; }", "")
        };
        Job::new(format!(
            "{}{MAKE}look() {{ {whose}; }}\nothers_of() {{ ! is_hold || ! holds || refused=1; }}\n\
             lock; echo \"@ now $(date +%s)\"; each look || exit 1\n{strangers}refused=; each others_of\n\
             [ -z \"$refused\" ] || {{ tell; exit {REFUSED}; }}",
            self.ask()
        ))
    }
}

/// What a record means to a run that wants the token.
const LOOK: &str = r#"look() { if is_hold; then says owner "$owner" || ! holds || refused=1
elif [ "$u" = "$M" ] && says run "$run"; then own=1; get since; since=$v; linked || ! at_work || wait=left
[ -n "$over" ] || says target "$target" || ! { works || ends; } || { get target; sibling=$v; }
elif works; then if says claim 1 && [ "$u" -gt "$M" ]; then wait=turn; else refused=1; fi
elif ends; then wait=left; fi; }
"#;

/// Takes the token. Where other users count, it is first claimed and then looked at again.
const TAKE: &str = r#"lock; told= claimed=
while :; do
refused= wait= own= sibling= since=; each look
[ -z "$refused" ] || { [ -z "$claimed" ] || { at_own && drop; }; tell; exit 75; }
[ -z "$sibling" ] || { tell; printf '@ sibling %s\n' "$sibling" | tr -d '\000-\011\013-\037\177'; exit 76; }
if [ -n "$wait" ]; then
[ $wait != left ] || [ -n "$told" ] || { told=1; echo 'waiting for an earlier, disconnected run to finish' >&2; }
[ -z "$claimed" ] || { at_own && touch -h "$k"; }
flock -u 9; sleep 0.5; flock -w 30 9 || exit 1; continue
fi
[ "$A" != '0 0' ] && [ -z "$claimed$own" ] || break
put run "$(text 'echo claim: 1')"; claimed=1
done
put run "$(text :)"; echo "@ now $(date +%s)"; machine; others print other-
"#;
