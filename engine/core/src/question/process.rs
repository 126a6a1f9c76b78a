//! Processes: `ps(1)`.

use super::{Answer, Answered, complaint};
use crate::{Job, Reply};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub user: String,
    /// As `ps -o lstart` prints it: `Sun Nov 22 17:00:03 2026`.
    pub started: String,
    /// The command line.
    pub command: String,
}

pub(super) fn job() -> Job {
    Job::new("ps -ww -eo pid=,ppid=,user:32=,lstart=,args=")
}

pub(super) fn read(reply: &Reply) -> Answered {
    if !reply.ok() {
        return Err(complaint(reply));
    }
    let text = String::from_utf8_lossy(&reply.stdout);
    Ok(Answer::Processes(text.lines().filter_map(process).collect()))
}

fn process(line: &str) -> Option<Process> {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_start();
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        rest = tail;
        word
    };
    let (pid, parent, user) = (word().parse().ok()?, word().parse().ok()?, word().to_owned());
    let started = [word(), word(), word(), word(), word()].join(" ");
    Some(Process { pid, parent, user, started, command: rest.trim_start_matches(' ').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_blanks_within_the_command_line() {
        let line = "    7     1 ocdskfp  Sun Nov  2 17:00:03 2026 sh -c  a  b";
        let Some(process) = process(line) else { panic!("not read") };
        assert_eq!((process.pid, process.user.as_str()), (7, "ocdskfp"));
        assert_eq!(process.started, "Sun Nov 2 17:00:03 2026");
        assert_eq!(process.command, "sh -c  a  b");
    }
}
