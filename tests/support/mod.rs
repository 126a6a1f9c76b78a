//! What the end-to-end tests stand on: a tree of their own, the real program, and servers to point it at.

mod crawler;
mod host;
mod output;
mod relay;
mod sshd;
mod tree;

pub(crate) use crawler::{Post, crawl};
pub(crate) use host::Host;
pub(crate) use output::{Output, Running, run};
pub(crate) use relay::Relay;
pub(crate) use sshd::Sshd;
pub(crate) use tree::{Folder, TestEnv};

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until something is so, for a bounded time.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(Duration::from_secs(40), what, is_so);
}

#[track_caller]
pub(crate) fn until_within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A folder of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
