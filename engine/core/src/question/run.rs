//! How a command ended.

use crate::Reply;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(reply: &Reply) -> Self {
        Ended {
            status: reply.status,
            stdout: String::from_utf8_lossy(&reply.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&reply.stderr).into_owned(),
        }
    }

    pub fn ok(&self) -> bool {
        self.status == 0
    }

    /// The last lines of what it said, for a message.
    pub fn tail(&self, lines: usize) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let all: Vec<&str> = text.trim().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
