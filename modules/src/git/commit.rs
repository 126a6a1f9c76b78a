//! Which commit a directory has checked out: what `git.latest` foretells, so that others can look at what is to come.

use kstate_core::words::quote;
use kstate_core::{Command, Touch};

use super::trust::TRUST;

/// Asks for the commit. It says nothing where there is no repository, or one that others can change.
pub(crate) fn commit_of(dir: &str) -> Command {
    let dir = dir.trim_end_matches('/');
    let ask = "git -c safe.directory=\"$at\" -C \"$at\" rev-parse -q --verify 'HEAD^{commit}' 2>/dev/null";
    Command::shell(format!("{TRUST}guard {}; [ -n \"$bad\" ] || {ask} || true", quote(dir)))
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
