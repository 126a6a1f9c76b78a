//! The bounds of an answer: the time that a host has for it, and its length.

use std::time::Duration;

use super::{CannotTell, Inquiry, Question};
use crate::command::Program;
use crate::{Job, Keep, Limit, Reply};

/// Bounds the job that answers `questions`, which are all of one kind.
pub(super) fn bounded(job: Job, questions: &[Question]) -> Job {
    let limit = match questions {
        [Question::Run(command)] => {
            let limit = Limit::of_command(waiting_for(questions));
            let own = command.timeout.map(|seconds| Duration::from_secs(u64::from(seconds) + 60));
            Limit { time: limit.time.max(own.unwrap_or_default()), ..limit }
        }
        _ => Limit::of_answers(questions.len(), waiting_for(questions)),
    };
    Job { limit: Some(limit), keep: keep(questions), ..job }
}

/// What a person writes as a guard may print anything; the engine reads everything else.
fn keep(questions: &[Question]) -> Keep {
    match questions {
        [Question::Run(command)] if matches!(command.program, Program::Shell { .. }) => Keep::Ends,
        _ => Keep::Whole,
    }
}

/// The reason why a reply holds no answers: it came too late, or is too long.
pub(super) fn exceeded(inquiry: &Inquiry, reply: &Reply) -> Option<CannotTell> {
    let limit = inquiry.job.limit.as_ref()?;
    if reply.overdue {
        let (seconds, what) = (limit.time.as_secs(), &limit.waiting_for);
        return Some(CannotTell(format!("the host did not answer within {seconds} s: {what}")));
    }
    let is_cut = inquiry.job.keep == Keep::Whole && reply.omitted.stdout.is_some();
    let most = Keep::WHOLE >> 20;
    is_cut.then(|| CannotTell(format!("the answer is longer than {most} MiB: {}", limit.waiting_for)))
}

/// The words for questions of one kind: `the state of /etc/motd and of 3 other paths`.
fn waiting_for(questions: &[Question]) -> String {
    let (Some(first), others) = (questions.first(), questions.len().saturating_sub(1)) else {
        return String::new();
    };
    let (what, name, noun) = match first {
        Question::Path(path) => ("the state of", path.as_str(), "paths"),
        Question::Digest(path) => ("the digest of", path.as_str(), "files"),
        Question::Content(path) => ("the content of", path.as_str(), "files"),
        Question::Tree(path) => ("the list of", path.as_str(), "directories"),
        Question::Account(name) => ("user", name.as_str(), "accounts"),
        Question::Group(name) => ("group", name.as_str(), "accounts"),
        Question::Package(name) => ("package", name.as_str(), "packages"),
        Question::Candidate(name) => ("the sources of package", name.as_str(), "packages"),
        Question::Crontab(user) => ("the crontab of", user.as_str(), "users"),
        Question::Service(name) => ("service", name.as_str(), "services"),
        Question::Processes => return "the list of processes".into(),
        Question::Kept => return "the records of kstate".into(),
        Question::Run(command) => return format!("`{command}`"),
    };
    match others {
        0 => format!("{what} `{name}`"),
        _ => format!("{what} `{name}` and of {others} other {noun}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Answered;
    use super::*;
    use crate::question::{inquire, read};
    use crate::{Command, Gap, Omitted};

    fn answers(question: Question, reply: &Reply) -> Vec<Answered> {
        read(&inquire(vec![question])[0], reply)
    }

    #[test]
    fn an_answer_that_comes_too_late_names_its_question() {
        let reply = Reply { status: 143, overdue: true, ..Reply::default() };
        let cases = [
            (Question::Content("/srv/pipe".into()), "within 121 s: the content of `/srv/pipe`"),
            (Question::Kept, "within 121 s: the records of kstate"),
            (Question::Run(Box::new(Command::shell("sleep 1d"))), "within 3600 s: `sleep 1d`"),
        ];
        for (question, expected) in cases {
            let answer = answers(question, &reply).remove(0).unwrap_err();
            assert!(answer.0.contains(expected), "{answer}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_is_none() {
        let omitted = Omitted { stdout: Some(Gap { at: 0, bytes: 1 }), stderr: None };
        let reply = Reply { omitted, ..Reply::default() };
        assert!(answers(Question::Content("/x".into()), &reply)[0].is_err());
        let guard = Question::Run(Box::new(Command::shell("yes | head -n 9999999")));
        assert!(answers(guard, &reply)[0].is_ok());
    }

    #[test]
    fn many_questions_are_named_by_the_first() {
        let paths = ["/a", "/b", "/c"].map(|path| Question::Path(path.into()));
        assert_eq!(waiting_for(&paths), "the state of `/a` and of 2 other paths");
    }
}
