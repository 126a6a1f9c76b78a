//! The markers in the streams of the held shell, and the replies between them.
//!
//! Behind `kstate:` and the secret of the exchange, `B` begins the exchange, `E<job> <status>` ends a job (and begins the
//! next), `W` says that the command of a job with pipes of its own has ended, and `D <user>` refuses the exchange.
//! Processes that earlier jobs left behind can print before `B` and between `W` and `E`: both are dropped. Behind
//! `kstate:` and the nonce of a job, `R` says that what the job has printed so far came from login files. Another user
//! knows the nonce of its own job, and no secret.

use kstate_core::{Gap, Job, Keep, Omitted, Output, Reply};

/// 128 random bits as hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl Secret {
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        // Fails only where the system has no source of random numbers; then nothing else of SSH works either.
        let filled = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
        debug_assert!(filled.is_ok());
        Secret::from_bytes(bytes)
    }

    pub(crate) fn halves(&self) -> (&str, &str) {
        self.0.split_at(16)
    }
}

/// The secret of one exchange, and the nonces of its jobs that run as other users.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    pub(crate) exchange: Secret,
    pub(crate) nonces: Vec<Option<Secret>>,
}

impl Secrets {
    pub(crate) fn random(jobs: &[Job]) -> Self {
        let nonce = |job: &Job| job.user.is_some().then(Secret::random);
        Secrets { exchange: Secret::random(), nonces: jobs.iter().map(nonce).collect() }
    }
}

/// The bytes before the secret of every marker, and before the nonce of a restart.
pub(crate) const MARK: &str = "kstate:";

/// The digits of a secret.
const DIGITS: usize = 32;

/// The bytes behind the secret of a marker that are never exceeded: a word, a number, a user.
const LONGEST: usize = 300;

/// What a stream says next.
#[derive(Debug, PartialEq, Eq)]
enum Event<'a> {
    Begin,
    Bytes(&'a [u8]),
    End {
        job: usize,
        status: i32,
        overdue: bool,
    },
    Restart,
    Denied(&'a str),
    /// A marker of ours with words that are not.
    Garbled,
}

/// Finds the markers in one stream, wherever the pieces it arrives in are cut.
#[derive(Debug)]
struct Stream {
    secret: Secret,
    /// The nonce of each job that has login files.
    nonces: Vec<Option<Secret>>,
    /// The beginning of what may become a marker; never longer than one.
    held: Vec<u8>,
    begun: bool,
    /// The job whose output is coming.
    job: usize,
    /// Whether what comes is the script's, and not that of the login files before it.
    own: bool,
    /// The job has ended; what comes is of processes that it left behind.
    closed: bool,
}

/// What is found in a piece of a stream.
enum Found {
    /// So many bytes of output, and perhaps the beginning of a marker.
    Output(usize),
    Marker {
        at: usize,
        kind: Kind,
    },
}

enum Kind {
    /// Of the exchange: the words, and the length of the marker.
    Words(std::ops::Range<usize>),
    /// Of the job itself: the length of the marker.
    Restart(usize),
    Endless,
}

impl Stream {
    fn new(secret: &Secret, nonces: &[Option<Secret>]) -> Self {
        let mut stream = Stream {
            secret: secret.clone(),
            nonces: nonces.to_vec(),
            held: Vec::new(),
            begun: false,
            job: 0,
            own: true,
            closed: false,
        };
        stream.own = stream.nonce().is_none();
        stream
    }

    fn nonce(&self) -> Option<&Secret> {
        self.nonces.get(self.job).and_then(Option::as_ref)
    }

    fn feed(&mut self, bytes: &[u8], see: &mut dyn FnMut(usize, bool, Event<'_>)) {
        let held = std::mem::take(&mut self.held);
        let joined;
        let mut rest = if held.is_empty() {
            bytes
        } else {
            joined = [&held, bytes].concat();
            &joined
        };
        loop {
            let (at, kind) = match self.find(rest) {
                Found::Output(plain) => {
                    self.pass(&rest[..plain], see);
                    self.held = rest[plain..].to_vec();
                    return;
                }
                Found::Marker { at, kind } => (at, kind),
            };
            self.pass(&rest[..at], see);
            let (event, end) = match kind {
                Kind::Words(words) => (parse(&rest[words.clone()]), words.end + 1),
                Kind::Restart(end) => (Some(Event::Restart), end),
                Kind::Endless => (Some(Event::Garbled), rest.len()),
            };
            self.take(event, see);
            rest = &rest[end..];
        }
    }

    fn take(&mut self, event: Option<Event<'_>>, see: &mut dyn FnMut(usize, bool, Event<'_>)) {
        let Some(event) = event else {
            self.closed = true;
            return;
        };
        let (job, own) = (self.job, self.own);
        match event {
            Event::Begin => self.begun = true,
            Event::Restart if self.closed => return,
            Event::Restart => self.own = true,
            Event::End { job: ended, .. } if ended == job => {
                self.job += 1;
                self.closed = false;
                self.own = self.nonce().is_none();
            }
            _ => {}
        }
        see(job, own, event);
    }

    fn find(&self, bytes: &[u8]) -> Found {
        let mark = MARK.as_bytes();
        let mut from = 0;
        while let Some(step) = find(&bytes[from..], mark) {
            let at = from + step;
            let key = at + mark.len();
            let Some(digits) = bytes.get(key..key + DIGITS) else { return Found::Output(at) };
            if let Some(kind) = self.kind(digits, &bytes[key + DIGITS..], key + DIGITS) {
                return kind.map_or(Found::Output(at), |kind| Found::Marker { at, kind });
            }
            from = at + 1;
        }
        Found::Output(bytes.len() - cut(&bytes[from..], mark))
    }

    /// The marker with this key, whose words begin at `words`. `Some(None)`: its end has not arrived.
    fn kind(&self, key: &[u8], rest: &[u8], words: usize) -> Option<Option<Kind>> {
        let end = rest.iter().take(LONGEST).position(|byte| *byte == b'\n');
        if key == self.secret.0.as_bytes() {
            return Some(match end {
                Some(end) => Some(Kind::Words(words..words + end)),
                None => (rest.len() >= LONGEST).then_some(Kind::Endless),
            });
        }
        if self.nonce().is_none_or(|nonce| key != nonce.0.as_bytes()) {
            return None;
        }
        match rest {
            [] | [b'R'] => Some(None),
            [b'R', b'\n', ..] => Some(Some(Kind::Restart(words + 2))),
            _ => None,
        }
    }

    fn pass(&self, bytes: &[u8], see: &mut dyn FnMut(usize, bool, Event<'_>)) {
        if self.begun && !self.closed && !bytes.is_empty() {
            see(self.job, self.own, Event::Bytes(bytes));
        }
    }
}

/// The event of a marker; `None` closes the job's own pipe.
fn parse(words: &[u8]) -> Option<Event<'_>> {
    let Ok(words) = std::str::from_utf8(words) else { return Some(Event::Garbled) };
    if words == "B" {
        return Some(Event::Begin);
    }
    if words == "W" {
        return None;
    }
    if let Some(user) = words.strip_prefix("D ") {
        return Some(Event::Denied(user));
    }
    Some(ended(words).unwrap_or(Event::Garbled))
}

/// `E<job> <status>`, with ` late` behind it where the time limit ended the job.
fn ended(words: &str) -> Option<Event<'_>> {
    let (job, rest) = words.strip_prefix('E')?.split_once(' ')?;
    let (status, overdue) = match rest.split_once(' ') {
        Some((status, "late")) => (status, true),
        Some(_) => return None,
        None => (rest, false),
    };
    Some(Event::End { job: job.parse().ok()?, status: status.parse().ok()?, overdue })
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == mark[0]) {
        if bytes[from + at..].starts_with(mark) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// The bytes at the end that may be the beginning of a marker.
fn cut(bytes: &[u8], mark: &[u8]) -> usize {
    let most = bytes.len().min(mark.len() - 1);
    (1..=most).rev().find(|length| mark.starts_with(&bytes[bytes.len() - length..])).unwrap_or(0)
}

/// Why an exchange cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The shell works as this user, who cannot become the one that a job asks for.
    Denied(String),
    Garbled,
}

/// What a job printed on one stream, within bounds.
#[derive(Debug)]
struct Printed {
    keep: Keep,
    head: Vec<u8>,
    tail: Vec<u8>,
    omitted: u64,
}

impl Printed {
    fn new(keep: Keep) -> Self {
        Printed { keep, head: Vec::new(), tail: Vec::new(), omitted: 0 }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let (head, tail) = self.keep.ends();
        let (first, rest) = bytes.split_at(bytes.len().min(head - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > tail.saturating_mul(2) {
            self.shorten(tail);
        }
    }

    fn shorten(&mut self, most: usize) {
        let left_out = self.tail.len().saturating_sub(most);
        self.tail.drain(..left_out);
        self.omitted += left_out as u64;
    }

    fn clear(&mut self) {
        *self = Printed::new(self.keep);
    }

    fn finish(mut self) -> (Vec<u8>, Option<Gap>) {
        self.shorten(self.keep.ends().1);
        let gap = (self.omitted > 0).then_some(Gap { at: self.head.len(), bytes: self.omitted });
        self.head.append(&mut self.tail);
        (self.head, gap)
    }
}

/// A reply as it grows.
#[derive(Debug)]
struct Growing {
    stdout: Printed,
    stderr: Printed,
    status: i32,
    overdue: bool,
}

impl Growing {
    fn new(job: &Job) -> Self {
        Growing { stdout: Printed::new(job.keep), stderr: Printed::new(job.keep), status: 0, overdue: false }
    }

    fn on(&mut self, stderr: bool) -> &mut Printed {
        if stderr { &mut self.stderr } else { &mut self.stdout }
    }

    fn finish(self) -> Reply {
        let ((stdout, out), (stderr, err)) = (self.stdout.finish(), self.stderr.finish());
        let omitted = Omitted { stdout: out, stderr: err };
        Reply { status: self.status, stdout, stderr, omitted, overdue: self.overdue }
    }
}

/// The replies of one exchange, as they grow.
#[derive(Debug)]
pub(crate) struct Replies {
    stdout: Stream,
    stderr: Stream,
    replies: Vec<Growing>,
}

impl Replies {
    pub(crate) fn new(jobs: &[Job], secrets: &Secrets) -> Self {
        let stream = || Stream::new(&secrets.exchange, &secrets.nonces);
        Replies { stdout: stream(), stderr: stream(), replies: jobs.iter().map(Growing::new).collect() }
    }

    /// Takes what arrived on one of the two streams.
    pub(crate) fn feed(
        &mut self,
        stderr: bool,
        bytes: &[u8],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), Broken> {
        let Replies { stdout, stderr: errors, replies } = self;
        let stream = if stderr { errors } else { stdout };
        let mut broken = None;
        stream.feed(bytes, &mut |job, own, event| {
            let reply = replies.get_mut(job);
            match (event, reply) {
                (Event::Begin, _) => {}
                (Event::Bytes(bytes), Some(reply)) => {
                    reply.on(stderr).extend(bytes);
                    if own {
                        watch(Output { job, stderr, bytes });
                    }
                }
                (Event::Restart, Some(reply)) => reply.on(stderr).clear(),
                (Event::End { job: ended, status, overdue }, Some(reply)) if ended == job => {
                    (reply.status, reply.overdue) = (status, overdue);
                    let printed = &reply.on(stderr).head;
                    if !own && !printed.is_empty() {
                        watch(Output { job, stderr, bytes: printed });
                    }
                }
                (Event::Denied(user), _) => broken = Some(Broken::Denied(user.to_owned())),
                (Event::Bytes(_) | Event::Restart, None) => {}
                (Event::Garbled | Event::End { .. }, _) => broken = Some(Broken::Garbled),
            }
        });
        broken.map_or(Ok(()), Err)
    }

    pub(crate) fn complete(&self) -> bool {
        self.stdout.job == self.replies.len() && self.stderr.job == self.replies.len()
    }

    /// The job whose end is awaited.
    pub(crate) fn running(&self) -> usize {
        self.stdout.job.min(self.stderr.job)
    }

    pub(crate) fn into_replies(self) -> Vec<Reply> {
        self.replies.into_iter().map(Growing::finish).collect()
    }

    /// The replies of the jobs that came to their end, and the job that was running.
    pub(crate) fn into_partial(mut self) -> (Vec<Reply>, Option<usize>) {
        let done = self.stdout.job;
        let running = (self.stdout.begun && done < self.replies.len()).then_some(done);
        self.replies.truncate(done);
        (self.into_replies(), running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: [u8; 16] = *b"0123456789abcdef";

    fn mark(words: &str) -> Vec<u8> {
        format!("{MARK}{}{words}\n", Secret::from_bytes(BITS).0).into_bytes()
    }

    /// The restart marker of the job with this number.
    fn restart(job: u8) -> Vec<u8> {
        format!("{MARK}{}R\n", Secret::from_bytes([job; 16]).0).into_bytes()
    }

    fn secrets(jobs: &[Job]) -> Secrets {
        let nonces = (0..).zip(jobs).map(|(n, job)| job.user.as_ref().map(|_| Secret::from_bytes([n; 16])));
        Secrets { exchange: Secret::from_bytes(BITS), nonces: nonces.collect() }
    }

    fn reply(replies: &Replies, job: usize) -> Vec<u8> {
        let Printed { head, tail, .. } = &replies.replies[job].stdout;
        [head.as_slice(), tail].concat()
    }

    fn jobs(users: &[Option<&str>]) -> Vec<Job> {
        users.iter().map(|user| Job { user: user.map(str::to_owned), ..Job::new("x") }).collect()
    }

    fn read(jobs: &[Job], pieces: &[&[u8]]) -> (Replies, Vec<u8>) {
        let mut replies = Replies::new(jobs, &secrets(jobs));
        let mut seen = Vec::new();
        for piece in pieces {
            replies.feed(false, piece, &mut |output| seen.extend_from_slice(output.bytes)).unwrap();
        }
        (replies, seen)
    }

    #[test]
    fn markers_are_found_wherever_the_stream_is_cut() {
        let binary: Vec<u8> = (0..=255).collect();
        let whole =
            [b"stray ".to_vec(), mark("B"), binary.clone(), mark("E0 3"), b"two\n".to_vec(), mark("E1 137")]
                .concat();
        for cut in 0..whole.len() {
            let (replies, seen) = read(&jobs(&[None, None]), &[&whole[..cut], &whole[cut..]]);
            assert_eq!(replies.stdout.job, 2, "cut at {cut}");
            assert_eq!(reply(&replies, 0), binary, "cut at {cut}");
            assert_eq!(replies.replies[0].status, 3);
            assert_eq!(reply(&replies, 1), b"two\n");
            assert_eq!(replies.replies[1].status, 137);
            assert_eq!(seen, [binary.clone(), b"two\n".to_vec()].concat());
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(reply(&read(&jobs(&[None, None]), &bytes).0, 0), binary);
    }

    #[test]
    fn the_beginning_of_a_secret_is_output_when_it_ends_otherwise() {
        let almost = &mark("")[..20];
        let whole = [mark("B"), almost.to_vec(), almost.to_vec(), b"!".to_vec(), mark("E0 0")].concat();
        for cut in 0..whole.len() {
            let (replies, _) = read(&jobs(&[None]), &[&whole[..cut], &whole[cut..]]);
            assert_eq!(reply(&replies, 0), [almost, almost, b"!"].concat(), "cut at {cut}");
        }
    }

    #[test]
    fn what_login_files_print_is_dropped_and_never_watched() {
        let whole = [mark("B"), b"Welcome!\n".to_vec(), restart(0), b"mine".to_vec(), mark("E0 0")].concat();
        let (replies, seen) = read(&jobs(&[Some("alice")]), &[&whole]);
        assert_eq!(reply(&replies, 0), b"mine");
        assert_eq!(seen, b"mine");
    }

    #[test]
    fn what_su_says_is_kept_when_the_script_never_began() {
        let whole = [mark("B"), b"su: no such user\n".to_vec(), mark("E0 1")].concat();
        let (replies, seen) = read(&jobs(&[Some("nobody-here")]), &[&whole]);
        assert_eq!(reply(&replies, 0), b"su: no such user\n");
        assert_eq!(seen, b"su: no such user\n");
    }

    #[test]
    fn an_exchange_is_complete_when_both_streams_are() {
        let whole = [mark("B"), mark("E0 0")].concat();
        let (mut replies, _) = read(&jobs(&[None]), &[&whole]);
        assert!(!replies.complete());
        replies.feed(true, &whole, &mut |_| {}).unwrap();
        assert!(replies.complete());
    }

    #[test]
    fn a_broken_exchange_tells_what_was_done_and_what_was_running() {
        let begun = [mark("B"), b"one".to_vec(), mark("E0 0"), b"tw".to_vec()].concat();
        let (replies, _) = read(&jobs(&[None, None]), &[&begun]);
        let (done, running) = replies.into_partial();
        assert_eq!(done.len(), 1);
        assert_eq!(done[0].stdout, b"one");
        assert_eq!(running, Some(1));
        assert_eq!(read(&jobs(&[None]), &[b"x"]).0.into_partial(), (vec![], None));
    }

    #[test]
    fn a_refusal_names_the_user_of_the_shell() {
        let jobs = jobs(&[Some("root")]);
        let mut replies = Replies::new(&jobs, &secrets(&jobs));
        assert_eq!(
            replies.feed(false, &mark("D alice"), &mut |_| {}),
            Err(Broken::Denied("alice".to_owned()))
        );
    }

    #[test]
    fn jobs_that_end_out_of_turn_break_the_exchange() {
        let jobs = jobs(&[None, None]);
        let mut replies = Replies::new(&jobs, &secrets(&jobs));
        let whole = [mark("B"), mark("E1 0")].concat();
        assert_eq!(replies.feed(false, &whole, &mut |_| {}), Err(Broken::Garbled));
    }

    #[test]
    fn a_restart_counts_for_its_own_job_alone() {
        let users = [Some("alice"), None, Some("bob")];
        let whole = [
            mark("B"),
            b"a".to_vec(),
            restart(2),
            mark("E0 0"),
            b"root".to_vec(),
            restart(0),
            restart(2),
            mark("E1 0"),
            b"b".to_vec(),
            restart(0),
            mark("E2 0"),
        ]
        .concat();
        for cut in 0..whole.len() {
            let (replies, _) = read(&jobs(&users), &[&whole[..cut], &whole[cut..]]);
            assert_eq!(reply(&replies, 0), [b"a".to_vec(), restart(2)].concat(), "cut at {cut}");
            assert_eq!(reply(&replies, 1), [b"root".to_vec(), restart(0), restart(2)].concat());
            assert_eq!(reply(&replies, 2), [b"b".to_vec(), restart(0)].concat());
        }
    }

    #[test]
    fn what_comes_after_the_end_of_a_command_is_dropped() {
        let whole = [
            mark("B"),
            restart(0),
            b"mine".to_vec(),
            mark("W"),
            b"stray".to_vec(),
            restart(0),
            mark("E0 0"),
            b"next".to_vec(),
            mark("E1 0"),
        ]
        .concat();
        for cut in 0..whole.len() {
            let (replies, seen) = read(&jobs(&[Some("alice"), None]), &[&whole[..cut], &whole[cut..]]);
            assert_eq!((reply(&replies, 0), reply(&replies, 1)), (b"mine".to_vec(), b"next".to_vec()));
            assert_eq!(seen, b"minenext", "cut at {cut}");
        }
    }

    #[test]
    fn a_job_that_was_ended_by_its_limit_says_so() {
        let whole = [mark("B"), mark("E0 143 late"), mark("E1 0")].concat();
        let (replies, _) = read(&jobs(&[None, None]), &[&whole]);
        let replies = replies.into_replies();
        assert_eq!(
            replies.iter().map(|reply| (reply.status, reply.overdue)).collect::<Vec<_>>(),
            [(143, true), (0, false)]
        );
    }

    #[test]
    fn a_marker_without_end_breaks_the_exchange() {
        let jobs = jobs(&[None]);
        let mut replies = Replies::new(&jobs, &secrets(&jobs));
        let mut whole = [mark("B"), mark("E0")].concat();
        whole.pop();
        whole.extend(vec![b'x'; LONGEST + 1]);
        assert_eq!(replies.feed(false, &whole, &mut |_| {}), Err(Broken::Garbled));
    }

    #[test]
    fn of_long_output_the_beginning_and_the_end_are_kept() {
        let mut replies = Replies::new(&jobs(&[None]), &secrets(&jobs(&[None])));
        replies.feed(false, &mark("B"), &mut |_| {}).unwrap();
        let line: Vec<u8> = (0..9_973_u32).map(|n| (n % 251) as u8).collect();
        let times = 3_000;
        for _ in 0..times {
            replies.feed(false, &line, &mut |_| {}).unwrap();
        }
        assert!(replies.replies[0].stdout.tail.capacity() < 4 * Keep::END, "it grows");
        replies.feed(false, &mark("E0 0"), &mut |_| {}).unwrap();
        let reply = replies.into_replies().remove(0);
        let gap = reply.omitted.stdout.unwrap();
        let all = line.repeat(times);
        assert_eq!((gap.at, reply.stdout.len()), (Keep::END, 2 * Keep::END));
        assert_eq!(gap.bytes as usize, all.len() - 2 * Keep::END);
        assert!(reply.stdout[..gap.at] == all[..Keep::END]);
        assert!(reply.stdout[gap.at..] == all[all.len() - Keep::END..]);
        assert_eq!(reply.omitted.stderr, None);
    }

    #[test]
    fn an_answer_is_kept_whole() {
        let jobs = [Job { keep: Keep::Whole, ..Job::new("x") }];
        let mut replies = Replies::new(&jobs, &secrets(&jobs));
        replies.feed(false, &[mark("B"), vec![b'x'; 3_000_000], mark("E0 0")].concat(), &mut |_| {}).unwrap();
        let reply = replies.into_replies().remove(0);
        assert_eq!((reply.stdout.len(), reply.omitted), (3_000_000, Omitted::default()));
    }
}
