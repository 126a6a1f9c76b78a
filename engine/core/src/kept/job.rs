//! Commands that run apart from the connection: each in a folder of its own, which holds what it says and how it ended.
//! Whoever comes back follows it, or takes up its result.
//!
//! | in `jobs/ID/` | is |
//! | --- | --- |
//! | `about` | which state it belongs to, and its command line |
//! | `script`, `input` | what it runs and reads; gone when it has ended |
//! | `process` | who it is, as `PID STARTTIME BOOT` |
//! | `log` | all that it prints |
//! | `status` | its exit status, and when it ended |
//! | `seen` | a run has reported the result |

use super::{Errand, FOLDER, IDENTITY, MAKE, Record};
use crate::words::quote;
use crate::{Chunk, Job, Reply, Run, digest};

/// A command that runs, or ran, apart from any connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptJob {
    pub id: String,
    /// What makes two of them the same: state, command, user and directory.
    pub key: String,
    /// The id of its state.
    pub state: String,
    /// What a person would type.
    pub command: String,
    pub user: Option<String>,
    /// The run that started it.
    pub run: String,
    /// The host's clock when it was started.
    pub since: u64,
    pub stage: Stage,
    /// A run has reported how it ended.
    pub seen: bool,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Running,
    Ended {
        status: i32,
        /// The host's clock.
        at: u64,
    },
    /// Its process is gone, and nobody saw it end: the host went down, or it was killed.
    Gone,
}

impl KeptJob {
    pub(super) fn read(id: &str, record: &Record) -> Option<Self> {
        let text = |name| record.get(name).map(str::to_owned);
        let ended = record.get("ended").and_then(|ended| ended.split_once(' '));
        let stage = match ended {
            Some((status, at)) => Stage::Ended { status: status.parse().ok()?, at: at.parse().ok()? },
            None if record.get("running").is_some() => Stage::Running,
            None => Stage::Gone,
        };
        Some(KeptJob {
            id: id.to_owned(),
            key: text("key")?,
            state: text("state")?,
            command: text("command")?,
            user: text("user"),
            run: text("run")?,
            since: record.number("since")?,
            stage,
            seen: record.get("seen").is_some(),
        })
    }
}

/// Prints the jobs; `all` or only those whose result nobody has reported.
pub(super) fn listing(all: bool) -> String {
    let skip = if all { "" } else { "[ ! -e \"$d/seen\" ] || continue; " };
    format!(
        "for d in \"$K\"/jobs/*; do [ -f \"$d/about\" ] || continue; {skip}echo \"@ job ${{d##*/}}\"; cat \"$d/about\"\n\
         if [ -f \"$d/status\" ]; then echo \"ended: $(cat \"$d/status\")\"; elif alive \"$d/process\"; then echo 'running: 1'; fi\n\
         [ ! -e \"$d/seen\" ] || echo 'seen: 1'; done\n"
    )
}

/// What makes two commands of a state the same.
pub(crate) fn key(chunk: &Chunk, run: &Run) -> String {
    let job = run.command.job();
    let user = job.user.as_deref().unwrap_or_default();
    let text = [chunk.function().as_str(), &chunk.id, user, &job.script].join("\0");
    digest(text.as_bytes())[..16].to_owned()
}

/// A job that is to be started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) id: &'a str,
    pub(crate) chunk: &'a Chunk,
    /// The id of its state, without secrets.
    pub(crate) state: &'a str,
    pub(crate) run: &'a Run,
    /// The name of the run.
    pub(crate) by: &'a str,
    /// What a person would type, without secrets.
    pub(crate) shown: &'a str,
}

/// Ended jobs beyond these are forgotten, the oldest first.
const REMEMBERED: usize = 50;

/// What runs as the job: it says who it is, runs the script, and says how that ended.
const RUN: &str = r#"d=$1 user=$2; PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C; export PATH LC_ALL
cd /
mark $$ >"$d/process.new" && mv "$d/process.new" "$d/process"
inner='kstate_s=$(cat <&3); exec 3<&-; umask 022; LC_ALL=C; export LC_ALL; eval "unset kstate_s; $kstate_s"'
shell=
case $(getent passwd "$user" 2>/dev/null) in */nologin | */false) shell='-s /bin/sh' ;; esac
if [ -z "$user" ] || [ "$(id -un)" = "$user" ]; then sh -c "$inner"; else su $shell - "$user" -c "exec sh -c '$inner'"; fi 3<"$d/script" <"$d/input" >>"$d/log" 2>&1
s=$?
rm -f "$d/script" "$d/input"
echo "$s $(date +%s)" >"$d/status.new" && mv "$d/status.new" "$d/status"
"#;

impl Start<'_> {
    /// Starts it, once: said again it does nothing. Exit status 75: another one of the same key is running.
    pub(crate) fn job(&self) -> Job {
        let command = self.run.command.job();
        let mut about = Record::default()
            .with("key", key(self.chunk, self.run))
            .with("state", self.state)
            .with("command", self.shown)
            .with("run", self.by);
        if let Some(user) = &command.user {
            about = about.with("user", user);
        }
        let user = quote(command.user.as_deref().unwrap_or_default());
        let fields = about.fields();
        let (id, about) = (quote(self.id), about.printing());
        let script = command.script.as_bytes();
        let launch = "if [ -d /run/systemd/system ] && [ \"$(id -u)\" = 0 ] && command -v systemd-run >/dev/null && \
             systemd-run -q --collect --unit=\"kstate-job-$id\" sh \"$d/run\" \"$d\" \"$user\" </dev/null; then :\n\
             else setsid sh \"$d/run\" \"$d\" \"$user\" </dev/null >/dev/null 2>&1 9>&- & fi\n";
        let mut text = format!(
            "{FOLDER}{MAKE}{IDENTITY}id={id} user={user}\nd=$K/jobs/$id\n[ ! -d \"$d\" ] || exit 0\n"
        );
        text.push_str(
            "(umask 066; mkdir -p \"$K/jobs\") || exit 1\nexec 9>>\"$K/lock\"; flock 9 || exit 1\n",
        );
        text.push_str(&format!(
            "for o in \"$K\"/jobs/*; do\n\
             if grep -qxF 'key: {}' \"$o/about\" 2>/dev/null && [ ! -e \"$o/status\" ] && alive \"$o/process\"; then exit 75; fi\ndone\n",
            key(self.chunk, self.run)
        ));
        text.push_str(&format!(
            "n=0; for o in $(ls -1t \"$K/jobs\"); do n=$((n + 1)); [ $n -le {REMEMBERED} ] || [ ! -e \"$K/jobs/$o/status\" ] || rm -rf \"$K/jobs/$o\"; done\n"
        ));
        text.push_str(&format!(
            "rm -rf \"$d.new\"; (umask 066; mkdir \"$d.new\") || exit 1\n{about} >\"$d.new/about\" || exit 1\n\
             : >\"$d.new/log\"; [ -z \"$user\" ] || {{ chown \"$user\" \"$d.new/log\"; chmod 600 \"$d.new/log\"; }}\n\
             head -c {} >\"$d.new/script\" && cat >\"$d.new/input\" || exit 1\n\
             [ \"$(wc -c <\"$d.new/script\")\" -eq {} ] || exit 1\n\
             printf %s {} >\"$d.new/run\" && mv \"$d.new\" \"$d\" || exit 1\n",
            script.len(),
            script.len(),
            quote(&format!("{IDENTITY}{RUN}")),
        ));
        text.push_str(launch);
        text.push_str(
            "n=0; while [ ! -e \"$d/process\" ] && [ ! -e \"$d/status\" ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done\n",
        );
        text.push_str(&self.terminal());
        text.push_str("[ -e \"$d/process\" ]");
        Job { input: [script, &command.input].concat(), ..Job::new(text) }.meant(Errand::Start {
            id: self.id.to_owned(),
            fields,
            run: Box::new(self.run.clone()),
        })
    }

    /// Shows its log in a session of tmux, for whoever looks there. It is a convenience: that it fails hinders nothing, and
    /// the login files of the user have 10 s and read nothing of the job.
    fn terminal(&self) -> String {
        let tmux = self.run.durable.as_ref().and_then(|durable| durable.tmux.as_deref());
        tmux.map_or_else(String::new, |name| {
            format!(
                "if command -v tmux >/dev/null; then\n\
                 t=\"tmux new-session -d -s {} \\\"tail -n +1 -F --pid=$(cut -d' ' -f1 \"$d/process\") '$d/log'\\\"\"\n\
                 if [ -z \"$user\" ]; then timeout 10 sh -c \"$t\"; else timeout 10 su -s /bin/sh - \"$user\" -c \"$t\"; fi </dev/null >/dev/null 2>&1 9>&-; fi\n",
                quote(name)
            )
        })
    }
}

/// Says that the result has been reported.
pub(crate) fn see(id: &str) -> Job {
    Job::new(format!("{FOLDER}: >\"$K/jobs/\"{}/seen", quote(id))).meant(Errand::See { id: id.to_owned() })
}

/// What a job has printed since, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    pub stage: Stage,
    /// The bytes of its log behind those that were known.
    pub log: Vec<u8>,
}

/// What one answer brings of a log at most.
const PIECE: usize = 1 << 20;

/// Waits for news of a job, at most `wait` seconds: for bytes of its log behind `offset`, or its end.
pub fn follow(id: &str, offset: u64, wait: u32) -> Job {
    Job::new(format!(
        "{FOLDER}{IDENTITY}d=$K/jobs/{}; o={offset} n=0 g=0\n\
         [ -d \"$d\" ] || {{ echo 'there is no such job' >&2; exit 1; }}\n\
         while :; do\n\
         e=; [ ! -e \"$d/status\" ] || e=1\n\
         r=$(($(wc -c <\"$d/log\") - o))\n\
         [ $r -le {PIECE} ] || {{ e= r={PIECE}; }}\n\
         [ $r -le 0 ] || tail -c +$((o + 1)) \"$d/log\" | head -c $r\n\
         if [ -n \"$e\" ]; then echo \"ended $(cat \"$d/status\")\" >&2; exit 0; fi\n\
         [ $r -le 0 ] || break\n\
         if alive \"$d/process\"; then g=0; else g=$((g + 1)); [ $g -lt 5 ] || {{ echo gone >&2; exit 0; }}; fi\n\
         [ $n -lt {} ] || break\n\
         n=$((n + 1)); sleep 0.2\n\
         done\necho running >&2",
        quote(id),
        wait * 5
    ))
    .meant(Errand::Follow { id: id.to_owned(), offset, wait })
}

/// Reads what [`follow`] brought.
pub fn followed(reply: &Reply) -> Result<Followed, String> {
    let said = String::from_utf8_lossy(&reply.stderr);
    let words: Vec<&str> = said.split_whitespace().collect();
    let stage = match (reply.ok(), words.as_slice()) {
        (true, ["running"]) => Some(Stage::Running),
        (true, ["gone"]) => Some(Stage::Gone),
        (true, ["ended", status, at]) => {
            status.parse().ok().zip(at.parse().ok()).map(|(status, at)| Stage::Ended { status, at })
        }
        _ => None,
    };
    match stage {
        Some(stage) => Ok(Followed { stage, log: reply.stdout.clone() }),
        None => Err(said.trim().to_owned()),
    }
}
