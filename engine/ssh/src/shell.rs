//! The held shell: the loop that runs on the host, and the text that one exchange sends to it.
//!
//! The loop reads a line with a length, then shell text of that length, and evaluates it. The text carries the
//! scripts of all jobs as quoted words; their inputs follow it raw. Markers around the output of each job say where it
//! ends and how. A marker holds a secret made for one exchange. The text holds the secret only in two halves, so that
//! not even a job that prints all of its shell's variables and functions can print a marker.
//!
//! A question prints to the channel's own streams. A command, and every job of another user, gets two pipes of its own
//! (`kstate_apart`), and nothing else that is open in the held shell. For each pipe a relay passes on what comes, until
//! the command has ended; processes that the command leaves behind keep pipes that nobody reads any more. The relay
//! knows the end by a descriptor that the shell above the command holds open meanwhile, which it looks for in `/proc`:
//! nobody but that shell's user can open or close it. The mark `W` wakes a relay that waits for output.
//!
//! Jobs with a time limit have a watcher (`kstate_watch`), which ends them when the time is up. It closes its descriptor 9
//! then. A shell loses a signal that arrives just after its start, hence `kstate_unwatch` sends it until that
//! descriptor is gone.

use std::ops::Range;
use std::time::Duration;

use kstate_core::Job;

use crate::frames::{MARK, Secret, Secrets};

/// The word that says that the held shell is there; its process number follows.
const READY: &str = "kstate-ready ";

/// The loop, in one line and without a single quote, so that every login shell can start it. It holds no secret: it
/// stands in the host's process list.
const LOOP: &str = concat!(
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}; LC_ALL=C; ",
    "export PATH LC_ALL; unset LANGUAGE ENV BASH_ENV CDPATH; umask 022; cd \"${HOME:-/}\" 2>/dev/null || cd /; ",
    "trap \"exit 143\" TERM; kstate_shell=$$; ",
    "command -v dd >/dev/null || { echo \"there is no program dd, which kstate needs\" >&2; exit 127; }; ",
    "echo kstate-ready $kstate_shell; while IFS= read -r kstate_n; do ",
    "eval \"$(dd bs=\"$kstate_n\" count=1 iflag=fullblock 2>/dev/null || dd bs=1 count=\"$kstate_n\" 2>/dev/null)\"; ",
    "done"
);

/// Ends the process `$0` and all below it: TERM, and KILL to what is there after two seconds. Looks them up itself,
/// because `su` gives its command another process group, and because OpenSSH passes no signals on when root is logged in.
const END_ALL: &str = concat!(
    "all=\" $0 \"; more=1; while [ $more = 1 ]; do more=0; for file in /proc/[0-9]*/stat; do ",
    "read -r line 2>/dev/null <$file || continue; pid=${line%% *}; set -- ${line##*) }; ",
    "case $all in *\" $pid \"*) continue ;; esac; ",
    "case $all in *\" $2 \"*) all=\"$all$pid \"; more=1 ;; esac; done; done; ",
    "kill -TERM $all 2>/dev/null; kill -CONT $all 2>/dev/null; n=0; while [ $n -lt 20 ]; do n=$((n+1)); left=; for pid in $all; do ",
    "read -r line 2>/dev/null </proc/$pid/stat || continue; case ${line##*) } in Z*) ;; *) left=1 ;; esac; done; ",
    "[ -n \"$left\" ] || exit 0; sleep 0.1; done; kill -KILL $all 2>/dev/null"
);

/// Ends all below the process `$0`, but not that and not `$1`: TERM, and KILL to what is there after a second.
const END_BELOW: &str = r#"me=$1 all=" $0 "; more=1
while [ $more = 1 ]; do more=0; for file in /proc/[0-9]*/stat; do
read -r line 2>/dev/null <$file || continue; pid=${line%% *}; set -- ${line##*) }
[ $pid != $me ] || continue
case $all in *" $pid "*) continue ;; esac
case $all in *" $2 "*) all="$all$pid "; more=1 ;; esac; done; done
all=${all#" $0 "}; kill -TERM $all; kill -CONT $all; sleep 1; kill -KILL $all"#;

/// Prints the state of the process `$0` as the kernel has it, and the number of its children.
const PROBE: &str = concat!(
    "read -r line 2>/dev/null </proc/$0/stat || { echo gone; exit; }; set -- ${line##*) }; state=$1; n=0; ",
    "for file in /proc/[0-9]*/stat; do read -r line 2>/dev/null <$file || continue; set -- ${line##*) }; ",
    "case $2 in $0) n=$((n+1)) ;; esac; done; echo \"$state $n\""
);

/// Runs a script as another user: reads it from its own standard input, because the command line of a process is
/// public. The marker `R` says where the output of the login's own files ends.
const INNER: &str = concat!(
    "IFS=\" \" read -r kstate_a kstate_b kstate_n kstate_i; ",
    "kstate_s=$(dd bs=\"$kstate_n\" count=1 iflag=fullblock 2>/dev/null || dd bs=1 count=\"$kstate_n\" 2>/dev/null); ",
    "LC_ALL=C; export LC_ALL; unset LANGUAGE; umask 022; printf \"kstate:%s%sR\\n\" \"$kstate_a\" \"$kstate_b\"; ",
    "printf \"kstate:%s%sR\\n\" \"$kstate_a\" \"$kstate_b\" >&2; ",
    "unset kstate_a kstate_b kstate_n; case $kstate_i in 0) exec </dev/null ;; esac; ",
    "eval \"unset kstate_s kstate_i; $kstate_s\""
);

/// The functions that the text of an exchange uses.
const FUNCTIONS: &str = r#"kstate_take() {
[ "$1" -lt 65536 ] || dd bs=65536 count=$(($1/65536)) iflag=fullblock 2>/dev/null || dd bs=1 count=$(($1/65536*65536)) 2>/dev/null
[ $(($1%65536)) -eq 0 ] || dd bs=$(($1%65536)) count=1 iflag=fullblock 2>/dev/null || dd bs=1 count=$(($1%65536)) 2>/dev/null
}
kstate_rest() { cat >/dev/null; }
kstate_own() { { printf %s "$1" | sh -c 'kstate_s=$(cat <&3); exec 3<&-; eval "unset kstate_s; $kstate_s"' 3<&0 <&4 4<&-; } 4<&0; }
kstate_as() {
if [ "$kstate_uid" = 0 ]; then
kstate_s=$(getent passwd "$1" 2>/dev/null || grep "^$1:" /etc/passwd)
case $kstate_s in
*/nologin | */false) su -s /bin/sh - "$1" -c "exec sh -c '$kstate_inner'" ;;
*) su - "$1" -c "exec sh -c '$kstate_inner'" ;;
esac
else
kstate_s=${SHELL:-/bin/sh}
case $kstate_s in *csh | */nologin | */false) kstate_s=/bin/sh ;; esac
cd "$HOME" 2>/dev/null || cd /
env -i HOME="$HOME" USER="$1" LOGNAME="$1" SHELL="$kstate_s" PATH=/usr/local/bin:/usr/bin:/bin "$kstate_s" -l -c "exec sh -c '$kstate_inner'"
fi
}
kstate_parent() { read -r kstate_q <"/proc/$kstate_shell/stat" && set -- ${kstate_q##*) } && kstate_q=$2; }
kstate_watch() {
exec 9</dev/null
( trap exit TERM
kstate_n=$1; kstate_parent; kstate_s=$kstate_q
while [ "$kstate_n" -gt 0 ] && kstate_parent && [ "$kstate_q" = "$kstate_s" ]; do kstate_n=$((kstate_n-1)); sleep 1 & trap 'kill $! 2>/dev/null; exit' TERM; wait $!; done
read -r kstate_p kstate_s </proc/self/stat; exec 9<&-; sh -c "$kstate_over" "$kstate_shell" "$kstate_p" ) >/dev/null 2>&1 </dev/null &
kstate_w=$!
exec 9<&-
}
kstate_on() { [ -e "/proc/$kstate_w/fd/9" ]; }
kstate_unwatch() {
kstate_n=0
while kstate_on; do kstate_n=$((kstate_n+1)); if [ "$kstate_n" -lt 2000 ]; then kill "$kstate_w"; else kill -KILL "$kstate_w"; fi; done 2>/dev/null
wait "$kstate_w" 2>/dev/null
}
kstate_end() { if kstate_on; then kstate_mark "E$1 $2"; else kstate_mark "E$1 $2 late"; fi; }
kstate_apart() {
(
exec 3>&1 4>&2
kstate_s=$(exec 6>&1; (exec 5>&1; (exec 2>&1 >&5; kstate_above "$@") | (exec >&4 5>&- 6>&-; kstate_relay)) | (exec >&3 6>&-; kstate_relay))
exit "${kstate_s:-143}"
)
}
kstate_above() {
exec 9</dev/null
read -r kstate_p kstate_s </proc/self/stat
echo "$kstate_p"; echo "$kstate_p" >&2
( exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; "$@" ); kstate_s=$?
kstate_rest
echo "$kstate_s" >&6
trap '' PIPE
exec 9>&-
kstate_mark W 2>/dev/null
}
kstate_relay() {
IFS= read -r kstate_p || return
while [ -e "/proc/$kstate_p/fd/9" ]; do dd bs=65536 count=1 2>/dev/null; done
if [ "$kstate_nb" = 0 ]; then dd bs=65536 count=32 iflag=nonblock 2>/dev/null; else kstate_brief; fi
}
kstate_brief() {
dd bs=65536 count=32 2>/dev/null <&0 &
kstate_p=$!
(sleep 1; kill "$kstate_p") >/dev/null 2>&1 &
wait "$kstate_p"; kill $! 2>/dev/null
}
"#;

/// How the held shell is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// As the user who logs in.
    Login,
    /// As root, by `sudo` without a question.
    Sudo,
}

/// The script of the held shell, for `sh -c`.
pub(crate) fn bootstrap() -> &'static str {
    LOOP
}

/// The command of the `exec` request, as the login shell of the host reads it.
pub(crate) fn command(rights: Rights) -> String {
    format!("{} -c '{LOOP}'", shell(rights))
}

/// The command that ends a held shell, whatever it is doing.
pub(crate) fn end_command(rights: Rights, process: u32) -> String {
    format!("{} -c '{END_ALL}' {process}", shell(rights))
}

/// The script of the same command, for `sh -c SCRIPT PROCESS`.
pub(crate) fn end_script() -> &'static str {
    END_ALL
}

/// The script of [`probe_command`], for `sh -c SCRIPT PROCESS`.
pub(crate) fn probe_script() -> &'static str {
    PROBE
}

/// The command that looks what a held shell is doing.
pub(crate) fn probe_command(rights: Rights, process: u32) -> String {
    format!("{} -c '{PROBE}' {process}", shell(rights))
}

/// The command that has a stopped held shell go on, and end when its job has ended.
pub(crate) fn continue_command(rights: Rights, process: u32) -> String {
    format!("{} -c 'kill -TERM $0; kill -CONT $0' {process}", shell(rights))
}

/// What a held shell is doing while nothing is heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Work,
    Nothing,
    /// Somebody has stopped it.
    Stopped,
    Gone,
}

impl Doing {
    /// Reads what [`probe_command`] prints. `None`: it could not look.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        match (words.next()?, words.next()) {
            ("gone" | "Z" | "X", _) => Some(Doing::Gone),
            ("T" | "t", _) => Some(Doing::Stopped),
            (_, Some("0")) => Some(Doing::Nothing),
            (_, Some(_)) => Some(Doing::Work),
            _ => None,
        }
    }
}

fn shell(rights: Rights) -> &'static str {
    match rights {
        Rights::Login => "exec sh",
        Rights::Sudo => "exec sudo -n -H -- sh",
    }
}

/// The process number of the held shell, once it has said it. Login files may have printed something before.
pub(crate) fn ready(stdout: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(stdout);
    let (_, rest) = text.rsplit_once(READY)?;
    rest.split_once('\n')?.0.trim().parse().ok()
}

/// What one exchange writes to the held shell: a line with the length of the text, the text, the inputs.
pub(crate) fn request(jobs: &[Job], secrets: &Secrets) -> Vec<u8> {
    let text = text(jobs, secrets);
    let inputs: usize = jobs.iter().map(|job| job.input.len()).sum();
    let mut bytes = Vec::with_capacity(text.len() + inputs + 16);
    bytes.extend_from_slice(format!("{}\n", text.len()).as_bytes());
    bytes.extend_from_slice(text.as_bytes());
    for job in jobs {
        bytes.extend_from_slice(&job.input);
    }
    bytes
}

fn text(jobs: &[Job], secrets: &Secrets) -> String {
    let (a, b) = secrets.exchange.halves();
    let mut text = String::from(FUNCTIONS);
    text.push_str(&format!(
        "kstate_mark() {{ printf '{MARK}%s%s%s\\n' {a} {b} \"$1\"; printf '{MARK}%s%s%s\\n' {a} {b} \"$1\" >&2; }}\n"
    ));
    if jobs.iter().any(is_apart) {
        text.push_str("[ -n \"$kstate_nb\" ] || { dd if=/dev/null iflag=nonblock count=0 2>/dev/null; kstate_nb=$?; }\n");
    }
    let users: Vec<&str> = jobs.iter().filter_map(|job| job.user.as_deref()).collect();
    if users.is_empty() {
        text.push_str("kstate_mark B\n");
        push_jobs(&mut text, jobs, secrets);
        return text;
    }
    text.push_str(&format!("kstate_inner={}\n", quote(INNER)));
    text.push_str("kstate_uid=$(id -u) kstate_who=\n[ \"$kstate_uid\" = 0 ] || kstate_who=$(id -un)\n");
    text.push_str("kstate_may() { for kstate_u; do case $kstate_who in '' | \"$kstate_u\") ;; *) return 1 ;; esac; done; }\n");
    text.push_str("if kstate_may");
    for user in users {
        text.push(' ');
        text.push_str(&quote(user));
    }
    text.push_str("; then\nkstate_mark B\n");
    push_jobs(&mut text, jobs, secrets);
    let inputs: usize = jobs.iter().map(|job| job.input.len()).sum();
    text.push_str(&format!("else\nkstate_take {inputs} >/dev/null\nkstate_mark \"D $kstate_who\"\nfi\n"));
    text
}

fn push_jobs(text: &mut String, jobs: &[Job], secrets: &Secrets) {
    if jobs.iter().any(|job| job.limit.is_some()) {
        text.push_str(&format!("kstate_over={}\n", quote(END_BELOW)));
    }
    for group in groups(jobs) {
        let limit = limit(&jobs[group.clone()]);
        if let Some(limit) = limit {
            text.push_str(&format!("kstate_watch {}\n", limit.as_secs().max(1)));
        }
        for index in group {
            push_job(text, &jobs[index], secrets.nonces.get(index).and_then(Option::as_ref));
            text.push_str(&match limit {
                Some(_) => format!("kstate_end {index} $?\n"),
                None => format!("kstate_mark \"E{index} $?\"\n"),
            });
        }
        if limit.is_some() {
            text.push_str("kstate_unwatch\n");
        }
    }
}

/// The jobs that share a time limit: questions beside each other, commands that look beside each other, and each other
/// job alone.
pub(crate) fn groups(jobs: &[Job]) -> Vec<Range<usize>> {
    let of_command = |job: &Job| job.limit.as_ref().map(|limit| limit.of_command);
    let mut start = 0;
    let parts = jobs.chunk_by(|a, b| of_command(a).is_some() && of_command(a) == of_command(b));
    parts
        .map(|part| {
            let range = start..start + part.len();
            start = range.end;
            range
        })
        .collect()
}

/// The time for all jobs of a group.
pub(crate) fn limit(group: &[Job]) -> Option<Duration> {
    let times = group.iter().map(|job| job.limit.as_ref().map(|limit| limit.time));
    let longest = times.collect::<Option<Vec<_>>>()?.into_iter().max()?;
    Some(longest + Duration::from_secs(group.len() as u64 - 1))
}

/// Whether a job gets pipes of its own.
fn is_apart(job: &Job) -> bool {
    job.apart || job.user.is_some()
}

/// One command whose status is the job's. Some shells run the end of a pipe themselves, hence the parentheses there.
fn push_job(text: &mut String, job: &Job, nonce: Option<&Secret>) {
    let length = job.input.len();
    let (feed, run) = match (&job.user, nonce) {
        (Some(user), Some(nonce)) => as_user(job, user, nonce),
        _ => (format!("kstate_take {length}"), as_itself(job)),
    };
    let on = if job.limit.is_some() { "kstate_on && " } else { "" };
    if length == 0 && job.user.is_none() {
        text.push_str(&format!("{on}{run} </dev/null\n"));
    } else {
        text.push_str(&format!("{{ {feed}; }} | ({on}{run}; kstate_s=$?; kstate_rest; exit $kstate_s)\n"));
    }
}

/// What feeds a job of another user, and what runs it.
fn as_user(job: &Job, user: &str, nonce: &Secret) -> (String, String) {
    let (a, b) = nonce.halves();
    let (script, length) = (&job.script, job.input.len());
    let has_input = u8::from(length > 0);
    let head = format!("'{a} {b} {} {has_input}' {}", script.len(), quote(script));
    (
        format!("printf '%s\\n%s' {head}; kstate_take {length}"),
        format!("kstate_apart kstate_as {}", quote(user)),
    )
}

/// What runs a job of the held shell's own user. A script that names its own process (`$$`) gets a shell of its own, so
/// that it cannot mean the held one; so does one with pipes of its own, because a shell that is not started anew keeps
/// copies of descriptors that it has replaced. The others are spared the start of a program.
fn as_itself(job: &Job) -> String {
    let script = quote(&job.script);
    if job.apart {
        format!("kstate_apart kstate_own {script}")
    } else if job.script.contains("$$") || job.script.contains("${$") {
        format!("kstate_own {script}")
    } else {
        format!("(eval {script})")
    }
}

/// One word of `sh`.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_can_stand_in_single_quotes_of_any_login_shell() {
        for text in [LOOP, INNER, END_ALL, PROBE] {
            assert!(!text.contains(['\'', '\n', '!']), "{text}");
            assert!(!text.contains("\\\\"), "{text}");
        }
        assert!(LOOP.contains(READY));
    }

    #[test]
    fn the_shell_is_ready_when_its_whole_line_is_there() {
        let cases: [(&str, Option<u32>); 5] = [
            ("", None),
            ("kstate-ready 12", None),
            ("kstate-ready 12\n", Some(12)),
            ("Welcome to web!\n> kstate-ready 12\n", Some(12)),
            ("This account is closed.\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(ready(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn the_text_never_holds_the_whole_secret() {
        let secret = Secret::from_bytes([7; 16]);
        let mut job = Job::new("echo 'it''s'");
        job.user = Some("alice".into());
        let nonces = vec![Some(Secret::from_bytes([8; 16])), None];
        let secrets = Secrets { exchange: secret, nonces };
        let text = text(&[job, Job::new("set")], &secrets);
        for secret in [Some(&secrets.exchange), secrets.nonces[0].as_ref()].into_iter().flatten() {
            let (a, b) = secret.halves();
            assert!(text.contains(a) && text.contains(b));
            assert!(!text.contains(&format!("{a}{b}")));
        }
    }

    #[test]
    fn a_request_is_a_length_and_the_text_and_the_inputs() {
        let secrets = Secrets { exchange: Secret::from_bytes([1; 16]), nonces: vec![None] };
        let job = Job { input: b"\0\xff\n".to_vec(), ..Job::new("cat") };
        let bytes = request(&[job], &secrets);
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..end]).unwrap().parse().unwrap();
        assert_eq!(&bytes[end + 1 + length..], b"\0\xff\n");
    }

    /// Runs the loop in a shell of this machine and feeds it one exchange.
    fn exchange(shell: &[&str], jobs: &[Job]) -> Option<Vec<kstate_core::Reply>> {
        use std::io::Write as _;
        use std::process::{Command, Stdio};

        let secrets = Secrets::random(jobs);
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", LOOP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take().unwrap().write_all(&request(jobs, &secrets)).unwrap();
        let output = child.wait_with_output().unwrap();
        let mut replies = crate::frames::Replies::new(jobs, &secrets);
        replies.feed(false, &output.stdout, &mut |_| {}).unwrap();
        replies.feed(true, &output.stderr, &mut |_| {}).unwrap();
        assert!(replies.complete(), "{shell:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(replies.into_replies())
    }

    const SHELLS: [&[&str]; 6] = [
        &["dash"],
        &["bash"],
        &["bash", "--posix"],
        &["busybox", "sh"],
        &["mksh"],
        &["zsh", "--emulate", "sh"],
    ];

    /// A job that leaves behind a process that goes on printing, for some seconds at most.
    fn leaving_a_writer(before: &str) -> Job {
        let script = format!(
            "{before}(trap '' PIPE; n=0; while [ $n -lt 400 ]; do n=$((n + 1)); echo stray; echo stray >&2; sleep 0.01; done) 2>&1 &\n\
             sleep 0.1; echo mine"
        );
        Job { apart: true, ..Job::new(script) }
    }

    #[test]
    fn what_a_job_leaves_behind_prints_into_no_other_job() {
        let jobs = [leaving_a_writer(""), Job::new("sleep 0.3; echo own; echo error >&2")];
        for shell in SHELLS {
            let begun = std::time::Instant::now();
            let Some(replies) = exchange(shell, &jobs) else { continue };
            assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{shell:?} waits for it");
            let first = String::from_utf8_lossy(&replies[0].stdout);
            assert!(first.contains("mine") && first.contains("stray"), "{shell:?}: {first}");
            assert_eq!(replies[1].stdout, b"own\n", "{shell:?}");
            assert_eq!(replies[1].stderr, b"error\n", "{shell:?}");
        }
    }

    #[test]
    fn a_job_of_its_own_inherits_no_descriptor_of_the_held_shell() {
        use std::collections::BTreeSet;

        let list = "ls /proc/self/fd";
        let numbers = |text: Vec<u8>| -> BTreeSet<String> {
            String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
        };
        // What this test was given by whoever runs it.
        let given = numbers(std::process::Command::new("sh").args(["-c", list]).output().unwrap().stdout);
        for shell in SHELLS {
            for script in [list.to_owned(), format!("{list}; : $$")] {
                let job = Job { apart: true, input: b"x".to_vec(), ..Job::new(script) };
                let Some(mut replies) = exchange(shell, &[job]) else { continue };
                let open = numbers(replies.remove(0).stdout);
                assert!(open.contains("2") && open.is_subset(&given), "{shell:?}: {open:?}, {given:?}");
            }
        }
    }

    #[test]
    fn what_is_late_is_ended_and_named_and_the_rest_goes_on() {
        let limited = |script: &str| {
            let limit = kstate_core::Limit {
                time: std::time::Duration::from_secs(1),
                ..kstate_core::Limit::of_answers(1, "it")
            };
            Job { limit: Some(limit), ..Job::new(script) }
        };
        let jobs = [
            limited("echo begun; sleep 30; echo never"),
            limited("sleep 30"),
            Job::new("echo after"),
            limited("echo fresh"),
            Job { input: b"fed".to_vec(), ..limited("cat") },
        ];
        for shell in SHELLS {
            let begun = std::time::Instant::now();
            let Some(replies) = exchange(shell, &jobs) else { continue };
            assert!(begun.elapsed() < std::time::Duration::from_secs(15), "{shell:?}: {:?}", begun.elapsed());
            let overdue: Vec<bool> = replies.iter().map(|reply| reply.overdue).collect();
            assert_eq!(overdue, [true, true, false, false, false], "{shell:?}");
            let said: Vec<&[u8]> = replies.iter().map(|reply| reply.stdout.as_slice()).collect();
            assert_eq!(said, [&b"begun\n"[..], b"", b"after\n", b"fresh\n", b"fed"], "{shell:?}");
            assert!(!replies[0].ok() && !replies[1].ok(), "{shell:?}");
        }
    }

    /// The watcher of a quick job is ended before it has begun to watch.
    #[test]
    fn nothing_waits_for_the_time_limit_of_what_has_ended() {
        let jobs: Vec<Job> = (0..120)
            .map(|number| {
                let mut limit = kstate_core::Limit::of_answers(1, "it");
                limit.time = std::time::Duration::from_secs(100);
                limit.of_command = number % 2 == 0;
                Job { limit: Some(limit), ..Job::new(if number % 3 == 0 { ":" } else { "(:)" }) }
            })
            .collect();
        for shell in SHELLS {
            let begun = std::time::Instant::now();
            let Some(replies) = exchange(shell, &jobs) else { continue };
            assert!(begun.elapsed() < std::time::Duration::from_secs(50), "{shell:?}: {:?}", begun.elapsed());
            assert!(replies.iter().all(|reply| reply.ok() && !reply.overdue), "{shell:?}");
        }
    }

    #[test]
    fn much_output_arrives_whole_and_in_order() {
        let job =
            Job { apart: true, keep: kstate_core::Keep::Whole, ..Job::new("seq 1 200000; seq 1 200000 >&2") };
        let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
        for shell in SHELLS {
            let Some(replies) = exchange(shell, std::slice::from_ref(&job)) else { continue };
            assert!(replies[0].stdout == expected.as_bytes(), "{shell:?}");
            assert!(replies[0].stderr == expected.as_bytes(), "{shell:?}");
        }
    }

    #[test]
    fn every_shell_of_this_machine_runs_the_loop() {
        let binary: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let with = |script: &str| Job { input: binary.clone(), ..Job::new(script) };
        let jobs = [
            Job::new("echo \"it's\" $((1 + 1)); echo e >&2; exit 7"),
            with("cat"),
            with("true"),
            Job::new("kill -9 $$"),
            with("head -c 2 >/dev/null; kill -TERM $$"),
            Job::new("cat; pwd >/dev/null; umask | tail -c 3"),
            Job::new("fi"),
            Job::new("set; typeset -f 2>/dev/null; true"),
        ];
        let mut found = 0;
        for shell in SHELLS {
            let Some(replies) = exchange(shell, &jobs) else { continue };
            found += 1;
            let apart: Vec<Job> = jobs[..6].iter().map(|job| Job { apart: true, ..job.clone() }).collect();
            let apart = exchange(shell, &apart).unwrap();
            for (apart, reply) in apart.iter().zip(&replies) {
                // Some shells tell on standard error which process was killed.
                assert_eq!((apart.status, &apart.stdout), (reply.status, &reply.stdout), "{shell:?}");
            }
            assert_eq!(
                (&replies[0].stdout[..], &replies[0].stderr[..]),
                (&b"it's 2\n"[..], &b"e\n"[..]),
                "{shell:?}"
            );
            assert!(replies[1].stdout == binary, "{shell:?}");
            let statuses: Vec<i32> = replies[..6].iter().map(|reply| reply.status).collect();
            assert_eq!(statuses, [7, 0, 0, 137, 143, 0], "{shell:?}");
            assert_eq!(replies[5].stdout, b"22\n", "{shell:?}");
            assert!(!replies[6].ok() && !replies[6].stderr.is_empty(), "{shell:?}");
            assert!(replies[7].ok(), "{shell:?}");
        }
        assert!(found > 0);
    }
}
