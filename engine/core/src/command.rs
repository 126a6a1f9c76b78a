//! A command to run on the host: words, never a line pasted together from parts.

use std::fmt;

use crate::words::{join, quote, with_script};
use crate::{Job, Touch};

/// What to run, as whom, where, and with which environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Command {
    pub program: Program,
    /// `None`: the user that kstate works as.
    pub user: Option<String>,
    /// `None`: the home of `user`, or what `at_home` says.
    pub dir: Option<String>,
    /// Without `user` and `dir` it runs in the home of the login, and not in `/`.
    pub at_home: bool,
    pub env: Vec<(String, String)>,
    pub input: Vec<u8>,
    /// Seconds after which it is ended (exit status 124).
    pub timeout: Option<u32>,
    pub umask: Option<String>,
    /// What its answer depends on when it is asked as a question. `None`: on anything.
    pub depends: Option<Vec<Touch>>,
    /// What it does, in place of a script that nobody would want to read in a message.
    pub told: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    Words(Vec<String>),
    /// A line for a shell, as a person wrote it in `cmd.run`.
    Shell {
        shell: String,
        line: String,
    },
}

impl Command {
    pub fn words<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Command::of(Program::Words(words.into_iter().map(Into::into).collect()))
    }

    pub fn shell(line: impl Into<String>) -> Self {
        Command::of(Program::Shell { shell: "/bin/sh".into(), line: line.into() })
    }

    fn of(program: Program) -> Self {
        Command {
            program,
            user: None,
            dir: None,
            at_home: false,
            env: Vec::new(),
            input: Vec::new(),
            timeout: None,
            umask: None,
            depends: None,
            told: None,
        }
    }

    #[must_use]
    pub fn user(mut self, user: Option<&str>) -> Self {
        self.user = user.map(str::to_owned);
        self
    }

    #[must_use]
    pub fn dir(mut self, dir: Option<&str>) -> Self {
        self.dir = dir.map(str::to_owned);
        self
    }

    /// Runs in the home of whoever it runs as, unless a directory is given. Salt runs commands there.
    #[must_use]
    pub fn at_home(mut self) -> Self {
        self.at_home = true;
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = Some(seconds);
        self
    }

    /// Says what the answer depends on, so that it is not asked again after every change.
    #[must_use]
    pub fn depends(mut self, touches: impl Into<Vec<Touch>>) -> Self {
        self.depends = Some(touches.into());
        self
    }

    /// Says in messages what it does, in place of the script.
    #[must_use]
    pub fn told(mut self, told: impl Into<String>) -> Self {
        self.told = Some(told.into());
        self
    }

    /// The command as the shell text of a job. A directory that cannot be entered ends it with status 1.
    pub fn job(&self) -> Job {
        let mut script = String::new();
        if let Some(dir) = &self.dir {
            script.push_str(&format!("cd {} || exit 1\n", quote(dir)));
        } else if self.user.is_none() {
            script.push_str(if self.at_home { "cd ~ 2>/dev/null || cd /\n" } else { "cd /\n" });
        }
        if let Some(umask) = &self.umask {
            script.push_str(&format!("umask {}\n", quote(umask)));
        }
        for (name, value) in &self.env {
            script.push_str(&format!("export {}={}\n", name, quote(value)));
        }
        let limit = self.timeout.map(|seconds| format!("timeout -k 5 {seconds} ")).unwrap_or_default();
        script.push_str(&match &self.program {
            Program::Words(words) => limit + &join(words),
            Program::Shell { shell, line } => with_script(&limit, shell, line),
        });
        // A line of a person may start anything, and leave it running.
        let apart = matches!(self.program, Program::Shell { .. });
        Job { script, input: self.input.clone(), user: self.user.clone(), apart, ..Job::default() }
            .meant(self)
    }
}

/// The line that a person would type.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(told) = &self.told {
            return f.write_str(told);
        }
        match &self.program {
            Program::Words(words) => f.write_str(&join(words)),
            Program::Shell { line, .. } => f.write_str(line),
        }
    }
}
