//! Whether a run lives, and what it still does over a held shell that it has lost: nobody goes on beside that.
//!
//! The held shell knows its own number as `$kstate_shell`; who it is (`PID STARTTIME BOOT`) is told with what is kept.

use super::IDENTITY;
use crate::Job;
use crate::words::quote;

/// Functions that ask about the run that keeps `shell`, `parent` and `beat` in a folder. `heard DIR SECONDS`: it has been
/// heard of since then. `connected DIR`: its connection is there. `busy DIR`: something runs below its held shell.
pub(super) const ASK: &str = r#"heard() { [ $(($(date +%s) - $(stat -c %Y "$1/beat" 2>/dev/null || echo 0))) -lt "$2" ]; }
connected() { alive "$1/shell" && alive "$1/parent"; }
busy() { alive "$1/shell" && read -r p t b <"$1/shell" && [ -n "$(ps -o pid= --ppid "$p")" ]; }
"#;

/// A function that says in a folder that the run lives, and over which held shell. Its parent is the connection.
pub(super) const BEAT: &str = r#"beat() { mark "$kstate_shell" >"$1/shell"; read -r l <"/proc/$kstate_shell/stat"; mark "$(set -- ${l##*) }; echo "$2")" >"$1/parent"; : >"$1/beat"; }
"#;

/// Waits until nothing runs below a held shell that was lost, and says who took its place.
pub(crate) fn await_end(shell: &str) -> Job {
    Job::new(format!(
        "{IDENTITY}old={}\n\
         while is $old && [ \"${{old%% *}}\" != \"$kstate_shell\" ] && [ -n \"$(ps -o pid= --ppid \"${{old%% *}}\")\" ]; do sleep 0.2; done\n\
         mark \"$kstate_shell\"",
        quote(shell)
    ))
}
