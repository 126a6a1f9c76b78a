//! Whether a run lives, and what it still does over a held shell that it has lost: nobody goes on beside that.
//!
//! The held shell knows its own number as `$kstate_shell`, and those of the other logins as `$kstate_beside`; who they are
//! (`PID STARTTIME BOOT`) is told with what is kept.

use super::{Errand, IDENTITY, TELL};
use crate::Job;
use crate::words::quote;

/// Functions that ask about the run that keeps `shell`, `parent` and `beat` in a folder. `heard DIR SECONDS`: it has been
/// heard of since then. `connected DIR`: its connection is there. `busy DIR`: something runs below one of its held shells.
pub(super) const ASK: &str = r#"heard() { [ $(($(date +%s) - $(stat -c %Y "$1/beat" 2>/dev/null || echo 0))) -lt "$2" ]; }
connected() { alive "$1/shell" && alive "$1/parent"; }
busy() { n=0; while [ $n -lt 20 ] && read -r who; do ! has_work $who || return 0; n=$((n + 1)); done 2>/dev/null <"$1/shell"; return 1; }
"#;

/// A function that says in a folder that the run lives, and over which held shells. The parent of the main one, which comes
/// first, is the connection.
pub(super) const BEAT: &str = r#"beat() { marks >"$1/shell"; read -r l <"/proc/$kstate_shell/stat"; mark "$(set -- ${l##*) }; echo "$2")" >"$1/parent"; : >"$1/beat"; }
"#;

/// Waits until nothing runs below held shells that were lost, and says who took their place.
pub(crate) fn await_end(shells: &str) -> Job {
    Job::new(format!(
        "{IDENTITY}printf %s {} | tr ';' '\\n' | while read -r who; do\n\
         case \" $kstate_shell $kstate_beside \" in *\" ${{who%% *}} \"*) continue ;; esac\n\
         while has_work $who; do sleep 0.2; done\ndone\n{TELL}",
        quote(shells)
    ))
    .meant(Errand::AwaitEnd)
}
