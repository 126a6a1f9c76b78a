//! Which commit a directory has checked out: what `git.latest` foretells, so that others can look at what is to come.

use kstate_core::words::quote;
use kstate_core::{Command, Touch};

/// Asks for the commit. It says nothing where there is no repository.
pub(crate) fn commit_of(dir: &str) -> Command {
    let git =
        format!("git -c safe.directory='*' -C {} rev-parse -q --verify", quote(dir.trim_end_matches('/')));
    Command::shell(format!("{git} 'HEAD^{{commit}}' 2>/dev/null || true"))
        .dir(Some("/"))
        .depends([checked_out(dir), inside(dir)])
}

/// The checkout in a directory.
pub(crate) fn checked_out(dir: &str) -> Touch {
    Touch::Named(format!("checkout {}", dir.trim_end_matches('/')))
}

/// What git keeps of it.
pub(crate) fn inside(dir: &str) -> Touch {
    Touch::Path(format!("{}/.git", dir.trim_end_matches('/')))
}
