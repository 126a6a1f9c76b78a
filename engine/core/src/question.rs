//! What can be asked of a host, and what it answers. Each kind has a file of its own: the shell text for any number of
//! questions of that kind, and the pure reading of what comes back.

mod account;
mod digest;
mod limit;
mod package;
mod path;
mod process;
mod run;
mod service;
mod text;

pub use account::{Account, Aging, Group};
pub use package::{Candidate, Package};
pub use path::{PathInfo, PathKind};
pub use process::Process;
pub use run::Ended;
pub use service::Service;

use thiserror::Error;

use crate::kept::{self, Kept};
use crate::{Command, Job, Purpose, Reply, Touch};

/// A question to a host. Equal questions are asked once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// What stands at a path, without following a link.
    Path(String),
    /// The SHA-256 of a regular file (of what a link leads to).
    Digest(String),
    /// The content of a regular file.
    Content(String),
    /// Every path below a directory.
    Tree(String),
    /// A user, by name or number.
    Account(String),
    /// A group, by name or number.
    Group(String),
    /// An installed package, by name or by what it provides.
    Package(String),
    /// What the package sources offer.
    Candidate(String),
    /// The crontab of a user.
    Crontab(String),
    Service(String),
    /// All processes of the host.
    Processes,
    /// What the host keeps between runs.
    Kept,
    /// The outcome of a command that changes nothing.
    Run(Box<Command>),
}

/// What a host answers. Absent is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Path(Option<PathInfo>),
    Digest(Option<String>),
    Content(Option<Vec<u8>>),
    Tree(Vec<(String, PathInfo)>),
    Account(Option<Account>),
    Group(Option<Group>),
    Package(Option<Package>),
    Candidate(Option<Candidate>),
    Crontab(Option<String>),
    Service(Service),
    Processes(Vec<Process>),
    Kept(Box<Kept>),
    Run(Ended),
}

/// The host could not tell, with the reason in its own words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct CannotTell(pub String);

pub type Answered = Result<Answer, CannotTell>;

/// One job of a batch and the questions that it answers.
#[derive(Debug)]
pub struct Inquiry {
    pub job: Job,
    pub questions: Vec<Question>,
}

impl Question {
    /// Whether a change of `touch` may change the answer.
    pub fn is_touched_by(&self, touch: &Touch) -> bool {
        let meets = |own: &Touch| own.meets(touch);
        match self {
            Question::Path(path)
            | Question::Digest(path)
            | Question::Content(path)
            | Question::Tree(path) => {
                match touch {
                    Touch::Above(_) => Touch::Path(path.clone()).meets(touch),
                    // What lies below a path does not change what stands at it.
                    Touch::Path(changed) if !matches!(self, Question::Tree(_)) => {
                        crate::touch::is_below(path, changed)
                    }
                    _ => meets(&Touch::Path(path.clone())),
                }
            }
            Question::Account(_) | Question::Group(_) => meets(&Touch::Accounts),
            Question::Package(_) | Question::Candidate(_) => meets(&Touch::Packages),
            Question::Crontab(user) => meets(&Touch::Crontab(user.clone())) || meets(&Touch::Accounts),
            Question::Service(name) => {
                meets(&Touch::Service(name.clone())) || meets(&Touch::Path("/etc/systemd/system".into()))
            }
            Question::Processes => meets(&Touch::Processes),
            // Only kstate writes there, and knows what it wrote.
            Question::Kept => false,
            Question::Run(command) => match &command.depends {
                Some(depends) => depends.iter().any(meets),
                None => true,
            },
        }
    }

    /// Whether the answer hangs on the processes that run.
    pub(crate) fn is_fleeting(&self) -> bool {
        match self {
            Question::Processes => true,
            Question::Run(command) => {
                command.depends.as_ref().is_some_and(|depends| depends.contains(&Touch::Processes))
            }
            _ => false,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Question::Path(_) => 0,
            Question::Digest(_) => 1,
            Question::Account(_) | Question::Group(_) => 2,
            Question::Package(_) => 3,
            Question::Candidate(_) => 4,
            Question::Service(_) => 5,
            Question::Processes => 6,
            Question::Content(_)
            | Question::Tree(_)
            | Question::Crontab(_)
            | Question::Kept
            | Question::Run(_) => 7,
        }
    }
}

/// How many questions of one kind share a process: argument lists stay well below the kernel's limit.
const PER_PROCESS: usize = 1000;

/// The jobs that answer `questions`, few however many they are.
pub fn inquire(mut questions: Vec<Question>) -> Vec<Inquiry> {
    questions.sort_by(|a, b| (a.kind(), a).cmp(&(b.kind(), b)));
    questions.dedup();
    let mut inquiries = Vec::new();
    for group in questions.chunk_by(|a, b| a.kind() == b.kind()) {
        if group[0].kind() == 7 {
            inquiries.extend(
                group.iter().map(|question| inquiry(alone(question), std::slice::from_ref(question))),
            );
            continue;
        }
        for part in group.chunks(PER_PROCESS) {
            inquiries.push(inquiry(together(part), part));
        }
    }
    inquiries
}

fn inquiry(job: Job, questions: &[Question]) -> Inquiry {
    let job = limit::bounded(job, questions).meant(Purpose::Ask(questions.to_vec()));
    Inquiry { job, questions: questions.to_vec() }
}

/// Reads the reply of an inquiry: an answer for each of its questions, in order.
pub fn read(inquiry: &Inquiry, reply: &Reply) -> Vec<Answered> {
    let questions = &inquiry.questions;
    if let Some(reason) = limit::exceeded(inquiry, reply) {
        return questions.iter().map(|_| Err(reason.clone())).collect();
    }
    let first = match questions.first() {
        Some(first) => first,
        None => return Vec::new(),
    };
    match first {
        Question::Path(_) => path::read(&names(questions), reply),
        Question::Digest(_) => digest::read(&names(questions), reply),
        Question::Account(_) | Question::Group(_) => account::read(questions, reply),
        Question::Package(_) => package::read(&names(questions), reply),
        Question::Candidate(_) => package::read_candidates(&names(questions), reply),
        Question::Service(_) => service::read(&names(questions), reply),
        Question::Processes => vec![process::read(reply)],
        Question::Content(path) => vec![text::read_content(path, reply)],
        Question::Crontab(user) => vec![text::read_crontab(user, reply)],
        Question::Tree(path) => vec![path::read_tree(path, reply)],
        Question::Kept => vec![kept::read(reply).map(|kept| Answer::Kept(Box::new(kept)))],
        Question::Run(_) => vec![Ok(Answer::Run(Ended::of(reply)))],
    }
}

/// Reads which links lie on the ways to the paths that an inquiry asks about.
pub(crate) fn links(inquiry: &Inquiry, reply: &Reply) -> Vec<(String, crate::ways::Link)> {
    match inquiry.questions.first() {
        Some(Question::Path(_)) => path::links(reply),
        _ => Vec::new(),
    }
}

fn together(questions: &[Question]) -> Job {
    let names = names(questions);
    match &questions[0] {
        Question::Path(_) => path::job(&names),
        Question::Digest(_) => digest::job(&names),
        Question::Package(_) => package::job(&names),
        Question::Candidate(_) => package::candidates_job(&names),
        Question::Service(_) => service::job(&names),
        Question::Processes => process::job(),
        _ => account::job(questions),
    }
}

fn alone(question: &Question) -> Job {
    match question {
        Question::Content(path) => text::content_job(path),
        Question::Crontab(user) => text::crontab_job(user),
        Question::Tree(path) => path::tree_job(path),
        Question::Kept => kept::job(),
        Question::Run(command) => command.job(),
        other => together(std::slice::from_ref(other)),
    }
}

fn names(questions: &[Question]) -> Vec<&str> {
    questions
        .iter()
        .map(|question| match question {
            Question::Path(name)
            | Question::Digest(name)
            | Question::Content(name)
            | Question::Tree(name)
            | Question::Account(name)
            | Question::Group(name)
            | Question::Package(name)
            | Question::Candidate(name)
            | Question::Crontab(name)
            | Question::Service(name) => name.as_str(),
            Question::Processes | Question::Kept | Question::Run(_) => "",
        })
        .collect()
}

/// What is left of a reply for a person: its last lines of standard error, else of standard output.
fn complaint(reply: &Reply) -> CannotTell {
    let text = if reply.stderr.trim_ascii().is_empty() { &reply.stdout } else { &reply.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.trim().lines().collect();
    let tail = lines[lines.len().saturating_sub(3)..].join("; ");
    CannotTell(if tail.is_empty() { format!("exit status {}", reply.status) } else { tail })
}
