//! What can be done to a host: effects as data, and their shell text.

use crate::question::{Answer, PathInfo, PathKind, Question};
use crate::words::{join, quote};
use crate::{Command, Facts, Job, Touch, digest, hands};

/// One effect on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A change that is only reported.
    Nothing,
    /// Puts a whole file in place: written beside its target, flushed, renamed.
    Write(Write),
    /// Mode and owner of what is there. What is `None` stays.
    Attributes {
        path: String,
        attributes: Attributes,
    },
    Directory {
        path: String,
        attributes: Attributes,
        parents: Parents,
    },
    /// A symbolic link; `replace` removes a file or link that stands there.
    Link {
        path: String,
        target: String,
        user: Option<String>,
        group: Option<String>,
        parents: Parents,
    },
    /// Whatever stands there, with all that is below.
    Remove {
        path: String,
    },
    Run(Run),
    /// Ends processes: TERM, and KILL after `timeout` seconds. One that is gone, or whose number now belongs to
    /// another process, is left alone.
    End {
        processes: Vec<(u32, String)>,
        timeout: u32,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub user: Option<String>,
    pub group: Option<String>,
}

/// What to do about missing directories above a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parents {
    #[default]
    MustExist,
    Make(Attributes),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub path: String,
    pub bytes: Vec<u8>,
    /// What is `None` stays as it is, or is the default of a new file.
    pub attributes: Attributes,
    pub parents: Parents,
    /// A command that must accept the new file, whose path is appended, before it replaces the old one.
    pub check: Option<String>,
    /// The old file is kept under its name and this ending.
    pub backup: Option<String>,
    /// Writes to what a link at `path` leads to.
    pub follow: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub command: Command,
    pub touches: Vec<Touch>,
    /// Answers that will hold afterwards.
    pub foretells: Vec<(Question, Answer)>,
    /// Exit statuses that mean success.
    pub success: Vec<i32>,
    /// What it prints is not shown to anybody.
    pub hide_output: bool,
    /// What it prints is a word about what it did, for the report.
    pub tells: bool,
    /// It runs apart from the connection, and goes on when that is lost.
    pub durable: Option<Durable>,
}

/// How a command runs apart from the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The name of a session of tmux that shows its log, where tmux is there.
    pub tmux: Option<String>,
}

impl Run {
    pub fn new(command: Command, touches: impl Into<Vec<Touch>>) -> Self {
        Run {
            command,
            touches: touches.into(),
            foretells: Vec::new(),
            success: vec![0],
            hide_output: false,
            tells: false,
            durable: None,
        }
    }

    #[must_use]
    pub fn foretells(mut self, question: Question, answer: Answer) -> Self {
        self.foretells.push((question, answer));
        self
    }
}

impl From<Run> for Operation {
    fn from(run: Run) -> Self {
        Operation::Run(run)
    }
}

impl Operation {
    /// The command, if it runs apart from the connection.
    pub fn durable(&self) -> Option<&Run> {
        match self {
            Operation::Run(run) if run.durable.is_some() => Some(run),
            _ => None,
        }
    }

    /// Returns true if it replaces what others may read.
    pub(crate) fn rewrites(&self) -> bool {
        matches!(self, Operation::Write(_) | Operation::Link { .. } | Operation::Remove { .. })
    }

    /// What it may change.
    pub fn touches(&self) -> Vec<Touch> {
        match self {
            Operation::Nothing => Vec::new(),
            Operation::Write(Write { path, parents, backup, .. }) => {
                let mut touches = parents.touches(path);
                touches.extend(backup.iter().map(|ending| Touch::Path(format!("{path}{ending}"))));
                touches
            }
            Operation::Directory { path, parents, .. } | Operation::Link { path, parents, .. } => {
                parents.touches(path)
            }
            Operation::Attributes { path, .. } | Operation::Remove { path } => {
                vec![Touch::Path(path.clone())]
            }
            Operation::Run(run) => run.touches.clone(),
            Operation::End { .. } => vec![Touch::Processes],
        }
    }

    pub fn succeeded(&self, status: i32) -> bool {
        match self {
            Operation::Run(run) => run.success.contains(&status),
            _ => status == 0,
        }
    }

    /// The shell text. `None`: there is nothing to do on the host.
    pub fn job(&self) -> Option<Job> {
        Some(self.text()?.meant(self))
    }

    fn text(&self) -> Option<Job> {
        let script = match self {
            Operation::Nothing => return None,
            Operation::Run(run) => return Some(Job { apart: true, ..run.command.job() }),
            Operation::Write(write) => return Some(hands::write(write)),
            Operation::Attributes { path, attributes } => hands::attributes(path, attributes),
            Operation::Directory { path, attributes, parents } => hands::directory(path, attributes, parents),
            Operation::Link { path, target, user, group, parents } => {
                let owner = Attributes { mode: None, user: user.clone(), group: group.clone() };
                hands::link(path, target, &owner, parents)
            }
            Operation::Remove { path } => hands::remove(path),
            Operation::End { processes, timeout } => end(processes, *timeout),
        };
        Some(Job::new(script))
    }

    /// Answers that will hold once it is done, as far as they follow from what is known.
    pub fn foretells(&self, facts: &Facts) -> Vec<(Question, Answer)> {
        let path_answer =
            |path: &str, info: PathInfo| (Question::Path(path.to_owned()), Answer::Path(Some(info)));
        match self {
            Operation::Nothing => Vec::new(),
            Operation::Run(run) => run.foretells.clone(),
            Operation::Write(write) => {
                let old = facts.path(&write.path).ok().flatten().and_then(PathInfo::followed).cloned();
                let mut info = write.attributes.over(old, PathKind::File, 0o644);
                info.size = write.bytes.len() as u64;
                let mut foretold = write.parents.foretells(&write.path, facts);
                if let Some(link) = facts.path(&write.path).ok().flatten().filter(|_| write.follow)
                    && let PathKind::Symlink { target, .. } = &link.kind
                    && let Ok(real) = facts.real_path(&write.path, true)
                {
                    let (target, leads_to) = (target.clone(), Some(Box::new(info.clone())));
                    let kind = PathKind::Symlink { target, leads_to };
                    foretold.push(path_answer(&real, info));
                    info = PathInfo { kind, ..link.clone() };
                }
                foretold.extend([
                    path_answer(&write.path, info),
                    (Question::Digest(write.path.clone()), Answer::Digest(Some(digest(&write.bytes)))),
                    (Question::Content(write.path.clone()), Answer::Content(Some(write.bytes.clone()))),
                ]);
                foretold
            }
            Operation::Attributes { path, attributes } => match facts.path(path).ok().flatten() {
                Some(old) => {
                    vec![path_answer(path, attributes.over(Some(old.clone()), old.kind.clone(), old.mode))]
                }
                None => Vec::new(),
            },
            Operation::Directory { path, attributes, parents } => {
                let old = facts.path(path).ok().flatten().filter(|old| old.is_directory()).cloned();
                let mut foretold = parents.foretells(path, facts);
                foretold.push(path_answer(path, attributes.over(old, PathKind::Directory, 0o755)));
                foretold
            }
            Operation::Link { path, target, user, group, parents } => {
                let owner = Attributes { mode: None, user: user.clone(), group: group.clone() };
                let leads_to = facts.path(target).ok().flatten().cloned().map(Box::new);
                let kind = PathKind::Symlink { target: target.clone(), leads_to };
                let mut foretold = parents.foretells(path, facts);
                foretold.push(path_answer(path, owner.over(None, kind, 0o777)));
                foretold
            }
            Operation::Remove { path } => vec![
                (Question::Path(path.clone()), Answer::Path(None)),
                (Question::Digest(path.clone()), Answer::Digest(None)),
                (Question::Content(path.clone()), Answer::Content(None)),
                (Question::Tree(path.clone()), Answer::Tree(Vec::new())),
            ],
            Operation::End { processes, .. } => match facts.processes() {
                Ok(all) => {
                    let left = all.iter().filter(|p| !processes.iter().any(|(pid, _)| *pid == p.pid));
                    vec![(Question::Processes, Answer::Processes(left.cloned().collect()))]
                }
                Err(_) => Vec::new(),
            },
        }
    }
}

impl Attributes {
    /// `user:group` as chown(1) takes it.
    pub(crate) fn owner(&self) -> Option<String> {
        match (&self.user, &self.group) {
            (None, None) => None,
            (Some(user), None) => Some(quote(user)),
            (user, Some(group)) => Some(quote(&format!("{}:{group}", user.as_deref().unwrap_or_default()))),
        }
    }

    fn over(&self, old: Option<PathInfo>, kind: PathKind, mode: u32) -> PathInfo {
        let old = old.unwrap_or(PathInfo {
            kind: kind.clone(),
            mode,
            uid: 0,
            gid: 0,
            user: "root".into(),
            group: "root".into(),
            size: 0,
        });
        PathInfo {
            kind,
            mode: self.mode.unwrap_or(old.mode),
            user: self.user.clone().unwrap_or(old.user),
            group: self.group.clone().unwrap_or(old.group),
            ..old
        }
    }
}

impl Parents {
    fn touches(&self, path: &str) -> Vec<Touch> {
        match self {
            Parents::MustExist => vec![Touch::Path(path.to_owned())],
            Parents::Make(_) => vec![Touch::Path(path.to_owned()), Touch::Above(path.to_owned())],
        }
    }

    /// The directories above `path` of which it is known that they are missing.
    fn foretells(&self, path: &str, facts: &Facts) -> Vec<(Question, Answer)> {
        let Parents::Make(attributes) = self else { return Vec::new() };
        let above = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|above| !above.is_empty());
        above
            .filter(|above| matches!(facts.path(above), Ok(None)))
            .map(|above| {
                let made = attributes.over(None, PathKind::Directory, 0o755);
                (Question::Path(above.to_owned()), Answer::Path(Some(made)))
            })
            .collect()
    }
}

fn end(processes: &[(u32, String)], timeout: u32) -> String {
    let same = "same() { [ \"$(ps -o lstart= -p \"$1\" 2>/dev/null | tr -s ' ' | sed 's/^ //;s/ $//')\" = \"$2\" ]; }\n";
    let each = |then: &str| {
        let calls = processes.iter().map(|(pid, started)| {
            let (pid, started) = (pid.to_string(), join([started]));
            format!("same {pid} {started} && {}\n", then.replace("PID", &pid))
        });
        calls.collect::<String>()
    };
    format!(
        "{same}{}n=0\nwhile :; do\nleft=\n{}[ -n \"$left\" ] || exit 0\n[ $n -lt {} ] || break\nn=$((n+1)); sleep 0.2\ndone\n{}sleep 0.2\nleft=\n{}[ -z \"$left\" ]",
        each("kill -TERM PID"),
        each("left=1"),
        u64::from(timeout) * 5,
        each("kill -KILL PID"),
        each("left=1"),
    )
}
