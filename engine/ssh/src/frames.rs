//! The markers in the streams of the held shell, and the replies between them.
//!
//! `SECRET B` begins an exchange, `SECRET E<job> <status>` ends a job (and begins the next), `SECRET R<job>` says that
//! what the job has printed so far came from login files, `SECRET D <user>` refuses the exchange. What stands before
//! `B` came from processes that earlier jobs left behind.

use kstate_core::{Job, Output, Reply};

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

/// What a stream says next.
#[derive(Debug, PartialEq, Eq)]
enum Event<'a> {
    Begin,
    Bytes(&'a [u8]),
    End {
        job: usize,
        status: i32,
    },
    Restart,
    Denied(&'a str),
    /// A marker of ours with words that are not.
    Garbled,
}

/// Finds the markers in one stream, wherever the pieces it arrives in are cut.
#[derive(Debug)]
struct Frames {
    secret: Vec<u8>,
    held: Vec<u8>,
    begun: bool,
}

impl Frames {
    fn new(secret: &Secret) -> Self {
        Frames { secret: secret.0.as_bytes().to_vec(), held: Vec::new(), begun: false }
    }

    fn feed(&mut self, bytes: &[u8], see: &mut dyn FnMut(Event<'_>)) {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut from = 0;
        loop {
            let rest = &all[from..];
            let Some(at) = find(rest, &self.secret) else {
                let plain = rest.len() - cut_marker(rest, &self.secret);
                self.pass(&rest[..plain], see);
                self.held = rest[plain..].to_vec();
                return;
            };
            let words = at + self.secret.len();
            let Some(end) = rest[words..].iter().position(|byte| *byte == b'\n') else {
                self.pass(&rest[..at], see);
                self.held = rest[at..].to_vec();
                return;
            };
            self.pass(&rest[..at], see);
            let event = parse(&rest[words..words + end]);
            self.begun |= event == Event::Begin;
            see(event);
            from += words + end + 1;
        }
    }

    fn pass(&self, bytes: &[u8], see: &mut dyn FnMut(Event<'_>)) {
        if self.begun && !bytes.is_empty() {
            see(Event::Bytes(bytes));
        }
    }
}

fn parse(words: &[u8]) -> Event<'_> {
    let Ok(words) = std::str::from_utf8(words) else { return Event::Garbled };
    if words == "B" {
        return Event::Begin;
    }
    if let Some(user) = words.strip_prefix("D ") {
        return Event::Denied(user);
    }
    if words.starts_with('R') {
        return Event::Restart;
    }
    let end = words.strip_prefix('E').and_then(|words| words.split_once(' '));
    match end.map(|(job, status)| (job.parse(), status.parse())) {
        Some((Ok(job), Ok(status))) => Event::End { job, status },
        _ => Event::Garbled,
    }
}

fn find(bytes: &[u8], secret: &[u8]) -> Option<usize> {
    let first = secret[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(secret) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// How many bytes at the end may be the beginning of a marker.
fn cut_marker(bytes: &[u8], secret: &[u8]) -> usize {
    let most = bytes.len().min(secret.len() - 1);
    (1..=most).rev().find(|length| secret.starts_with(&bytes[bytes.len() - length..])).unwrap_or(0)
}

/// Why an exchange cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The shell works as this user, who cannot become the one that a job asks for.
    Denied(String),
    Garbled,
}

#[derive(Debug)]
struct Stream {
    frames: Frames,
    /// The job whose output is coming.
    job: usize,
    /// Whether what comes is the script's, and not that of the login files before it.
    own: bool,
}

/// The replies of one exchange, as they grow.
#[derive(Debug)]
pub(crate) struct Replies {
    stdout: Stream,
    stderr: Stream,
    replies: Vec<Reply>,
    becomes: Vec<bool>,
}

impl Replies {
    pub(crate) fn new(jobs: &[Job], secret: &Secret) -> Self {
        let becomes: Vec<bool> = jobs.iter().map(|job| job.user.is_some()).collect();
        let own = !becomes.first().copied().unwrap_or(false);
        let stream = || Stream { frames: Frames::new(secret), job: 0, own };
        Replies { stdout: stream(), stderr: stream(), replies: vec![Reply::default(); jobs.len()], becomes }
    }

    /// Takes what arrived on one of the two streams.
    pub(crate) fn feed(
        &mut self,
        stderr: bool,
        bytes: &[u8],
        watch: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), Broken> {
        let Replies { stdout, stderr: errors, replies, becomes } = self;
        let Stream { frames, job, own } = if stderr { errors } else { stdout };
        let mut broken = None;
        frames.feed(bytes, &mut |event| match event {
            Event::Begin => {}
            Event::Bytes(bytes) => {
                let Some(reply) = replies.get_mut(*job) else { return };
                if stderr { &mut reply.stderr } else { &mut reply.stdout }.extend_from_slice(bytes);
                if *own {
                    watch(Output { job: *job, stderr, bytes });
                }
            }
            Event::Restart => {
                let Some(reply) = replies.get_mut(*job) else { return };
                if stderr { &mut reply.stderr } else { &mut reply.stdout }.clear();
                *own = true;
            }
            Event::End { job: ended, status } => {
                let Some(reply) = replies.get_mut(*job).filter(|_| ended == *job) else {
                    broken = Some(Broken::Garbled);
                    return;
                };
                reply.status = status;
                if !*own {
                    let bytes = if stderr { &reply.stderr } else { &reply.stdout };
                    if !bytes.is_empty() {
                        watch(Output { job: *job, stderr, bytes });
                    }
                }
                *job += 1;
                *own = !becomes.get(*job).copied().unwrap_or(false);
            }
            Event::Denied(user) => broken = Some(Broken::Denied(user.to_owned())),
            Event::Garbled => broken = Some(Broken::Garbled),
        });
        broken.map_or(Ok(()), Err)
    }

    pub(crate) fn complete(&self) -> bool {
        self.stdout.job == self.replies.len() && self.stderr.job == self.replies.len()
    }

    pub(crate) fn into_replies(self) -> Vec<Reply> {
        self.replies
    }

    /// The replies of the jobs that came to their end, and the job that was running.
    pub(crate) fn into_partial(mut self) -> (Vec<Reply>, Option<usize>) {
        let done = self.stdout.job;
        let running = (self.stdout.frames.begun && done < self.replies.len()).then_some(done);
        self.replies.truncate(done);
        (self.replies, running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: [u8; 16] = *b"0123456789abcdef";

    fn mark(words: &str) -> Vec<u8> {
        format!("{}{words}\n", Secret::from_bytes(BITS).0).into_bytes()
    }

    fn jobs(users: &[Option<&str>]) -> Vec<Job> {
        users.iter().map(|user| Job { user: user.map(str::to_owned), ..Job::new("x") }).collect()
    }

    fn read(jobs: &[Job], pieces: &[&[u8]]) -> (Replies, Vec<u8>) {
        let mut replies = Replies::new(jobs, &Secret::from_bytes(BITS));
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
            assert_eq!(replies.replies[0].stdout, binary, "cut at {cut}");
            assert_eq!(replies.replies[0].status, 3);
            assert_eq!(replies.replies[1].stdout, b"two\n");
            assert_eq!(replies.replies[1].status, 137);
            assert_eq!(seen, [binary.clone(), b"two\n".to_vec()].concat());
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(&jobs(&[None, None]), &bytes).0.replies[0].stdout, binary);
    }

    #[test]
    fn the_beginning_of_a_secret_is_output_when_it_ends_otherwise() {
        let almost = &mark("")[..20];
        let whole = [mark("B"), almost.to_vec(), almost.to_vec(), b"!".to_vec(), mark("E0 0")].concat();
        for cut in 0..whole.len() {
            let (replies, _) = read(&jobs(&[None]), &[&whole[..cut], &whole[cut..]]);
            assert_eq!(replies.replies[0].stdout, [almost, almost, b"!"].concat(), "cut at {cut}");
        }
    }

    #[test]
    fn what_login_files_print_is_dropped_and_never_watched() {
        let whole = [mark("B"), b"Welcome!\n".to_vec(), mark("R0"), b"mine".to_vec(), mark("E0 0")].concat();
        let (replies, seen) = read(&jobs(&[Some("alice")]), &[&whole]);
        assert_eq!(replies.replies[0].stdout, b"mine");
        assert_eq!(seen, b"mine");
    }

    #[test]
    fn what_su_says_is_kept_when_the_script_never_began() {
        let whole = [mark("B"), b"su: no such user\n".to_vec(), mark("E0 1")].concat();
        let (replies, seen) = read(&jobs(&[Some("nobody-here")]), &[&whole]);
        assert_eq!(replies.replies[0].stdout, b"su: no such user\n");
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
        let mut replies = Replies::new(&jobs(&[Some("root")]), &Secret::from_bytes(BITS));
        assert_eq!(
            replies.feed(false, &mark("D alice"), &mut |_| {}),
            Err(Broken::Denied("alice".to_owned()))
        );
    }

    #[test]
    fn jobs_that_end_out_of_turn_break_the_exchange() {
        let mut replies = Replies::new(&jobs(&[None, None]), &Secret::from_bytes(BITS));
        let whole = [mark("B"), mark("E1 0")].concat();
        assert_eq!(replies.feed(false, &whole, &mut |_| {}), Err(Broken::Garbled));
    }
}
