//! What a run still does over a held shell that it has lost: it does not go on beside that.
//!
//! The held shell knows its own number as `$kstate_shell`; who it is (`PID STARTTIME BOOT`) is told with what is kept.

use super::IDENTITY;
use crate::Job;
use crate::words::quote;

/// Waits until nothing runs below a held shell that was lost, and says who took its place.
pub(crate) fn await_end(shell: &str) -> Job {
    Job::new(format!(
        "{IDENTITY}old={}\n\
         while is $old && [ \"${{old%% *}}\" != \"$kstate_shell\" ] && [ -n \"$(ps -o pid= --ppid \"${{old%% *}}\")\" ]; do sleep 0.2; done\n\
         mark \"$kstate_shell\"",
        quote(shell)
    ))
}
