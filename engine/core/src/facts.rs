//! What is known of a host at one moment of a run.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use crate::kept::Kept;
use crate::question::{
    Account, Answer, Answered, Candidate, CannotTell, Ended, Group, Package, PathInfo, PathKind, Process,
    Question, Service,
};
use crate::touch::is_below;
use crate::ways::{Link, Ways};
use crate::{Command, Lack, Operation, Touch};

/// The answers of a host. A module reads them through typed look-ups; what is not known yet stops it with the question.
#[derive(Debug, Default)]
pub struct Facts {
    answers: HashMap<Question, Answered>,
    /// The login that cannot be had.
    pub(crate) lack: Option<Lack>,
    /// What operations that are under way may change: such answers wait until these are done.
    under_way: Vec<Touch>,
    /// What changes that are only predicted may change, with the state that would make them.
    unsettled: Vec<(Touch, String)>,
    /// What predicted changes rewrite: the answers of commands that read it are unsettled, unless foretold.
    rewritten: Vec<(Touch, String)>,
    /// The answers of commands that were foretold after the last change that unsettled them.
    foretold: HashSet<Question>,
    /// What predicted changes touch.
    predicted: Vec<Touch>,
    /// The links on the ways to paths: files are known by their real paths.
    ways: Ways,
}

/// Why a resource cannot say what differs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Stop {
    /// These have to be asked first.
    #[error("not asked yet")]
    Ask(Vec<Question>),
    /// The answer is being changed right now; ask when that is done.
    #[error("being changed")]
    UnderWay,
    /// It hangs on a change that has not been made.
    #[error("{0}")]
    Unknown(String),
    /// The host could not tell, or what was declared cannot be reached from what is there.
    #[error("{0}")]
    Failed(String),
}

impl From<CannotTell> for Stop {
    fn from(reason: CannotTell) -> Self {
        Stop::Failed(reason.0)
    }
}

impl Facts {
    /// Nothing is known yet but the login that cannot be had.
    pub(crate) fn without(lack: Option<Lack>) -> Self {
        Facts { lack, ..Facts::default() }
    }

    pub fn learn(&mut self, question: Question, answer: Answered) {
        let question = self.named(&question);
        self.answers.insert(question, answer);
    }

    pub(crate) fn learn_links(&mut self, links: Vec<(String, Link)>) {
        self.ways.learn(links);
    }

    /// Returns the question by the real path of what it asks about. A link that is not followed stays in it.
    fn named(&self, question: &Question) -> Question {
        let real = |path: &String| self.ways.real(path).unwrap_or_else(|_| path.clone());
        match question {
            Question::Path(path) => Question::Path(self.ways.entry(path).unwrap_or_else(|_| path.clone())),
            Question::Digest(path) => Question::Digest(real(path)),
            Question::Content(path) => Question::Content(real(path)),
            other => other.clone(),
        }
    }

    /// Returns a touch by all names that are known of what it touches.
    fn names(&self, touch: Touch) -> Vec<Touch> {
        match touch {
            Touch::Path(path) => self.ways.names(&path).into_iter().map(Touch::Path).collect(),
            Touch::Above(path) => self.ways.names(&path).into_iter().map(Touch::Above).collect(),
            other => vec![other],
        }
    }

    /// Returns the real path of a path, or of what stands at it. Fails at a link that is not followed.
    pub(crate) fn real_path(&self, path: &str, follow: bool) -> Result<String, Stop> {
        Ok(if follow { self.ways.real(path)? } else { self.ways.entry(path)? })
    }

    fn check_way(&self, question: &Question) -> Result<(), Stop> {
        match question {
            Question::Path(path) => self.real_path(path, false).map(|_| ()),
            Question::Digest(path) | Question::Content(path) => self.real_path(path, true).map(|_| ()),
            _ => Ok(()),
        }
    }

    pub fn knows(&self, question: &Question) -> bool {
        self.answers.contains_key(&self.named(question))
    }

    /// Drops an answer, so that it is asked again.
    pub fn unlearn(&mut self, question: &Question) {
        let named = self.named(question);
        if let Question::Path(path) = &named {
            self.ways.forget(path);
        }
        self.answers.remove(&named);
    }

    /// Drops every answer that a change may have made stale.
    pub fn forget(&mut self, touch: &Touch) {
        // A directory that is there stays as it is when something below it is made.
        let is_there = |answer: &Answered| matches!(answer, Ok(Answer::Path(Some(_))));
        let stays = |answer: &Answered| matches!(touch, Touch::Above(_)) && is_there(answer);
        let names = self.names(touch.clone());
        self.answers.retain(|question, answer| {
            stays(answer) || !names.iter().any(|touch| question.is_touched_by(touch))
        });
        for touch in &names {
            match touch {
                Touch::Path(path) => self.ways.forget(path),
                Touch::Anything => self.ways.clear(),
                _ => {}
            }
        }
    }

    /// Marks changes as under way until `settle`.
    pub fn begin(&mut self, touches: impl IntoIterator<Item = Touch>) {
        for touch in touches {
            let names = self.names(touch);
            self.under_way.extend(names);
        }
    }

    /// All changes under way are done: what they touched has to be asked again.
    pub fn settle(&mut self) {
        for touch in std::mem::take(&mut self.under_way) {
            self.forget(&touch);
        }
    }

    /// Pretends that an operation has been done by the state `by`: answers that it foretells are replaced, others that
    /// it changes are unsettled. What a shell command or a package may change besides is taken to stay as it is.
    pub fn predict(&mut self, operation: &Operation, by: &str) {
        let mut foretold = operation.foretells(self);
        if let Operation::Remove { path } = operation {
            let path = self.ways.entry(path).unwrap_or_else(|_| path.clone());
            foretold.extend(self.below(&path));
        }
        for touch in operation.touches() {
            if touch == Touch::Anything {
                continue;
            }
            let covered = foretold.iter().any(|(question, _)| question.is_touched_by(&touch));
            if !covered {
                let names = self.names(touch);
                self.unsettled.extend(names.into_iter().map(|touch| (touch, by.to_owned())));
            } else if operation.rewrites() {
                self.foretold.retain(|question| !question.is_touched_by(&touch));
                self.rewritten.push((touch, by.to_owned()));
            }
        }
        self.predicted.extend(operation.touches());
        for (question, answer) in foretold {
            if let (Question::Path(path), Answer::Path(info)) = (&question, &answer)
                && let Ok(path) = self.ways.entry(path)
            {
                self.ways.pretend(&path, info.as_ref());
            }
            let question = self.named(&question);
            // Only what says what it depends on settles anything but itself.
            if !is_open(&question) {
                self.unsettled.retain(|(touch, _)| !question.is_touched_by(touch));
            }
            if matches!(question, Question::Run(_)) {
                self.foretold.insert(question.clone());
            }
            if let (Question::Path(path), Answer::Path(info)) = (&question, &answer) {
                self.replant(path, info.as_ref());
            }
            self.answers.insert(question, Ok(answer));
        }
    }

    /// Enters what will stand at a path into what is known to lie below the directories above it.
    fn replant(&mut self, path: &str, info: Option<&PathInfo>) {
        let is_folder = info.is_some_and(|info| info.kind == PathKind::Directory);
        for (question, answer) in &mut self.answers {
            let (Question::Tree(root), Ok(Answer::Tree(tree))) = (question, answer) else { continue };
            if !is_below(path, root) || is_below(root, path) {
                continue;
            }
            tree.retain(|(known, _)| known != path && (is_folder || !is_below(known, path)));
            if let Some(info) = info {
                let at = tree.partition_point(|(known, _)| known.as_str() < path);
                tree.insert(at, (path.to_owned(), info.clone()));
            }
        }
    }

    /// Returns true if a predicted change touches exactly this: packages that will be there may bring what is missing.
    pub fn may_bring(&self, touch: &Touch) -> bool {
        self.predicted.contains(touch)
    }

    /// What is known of anything below a path, as it will be when all of that is gone.
    fn below(&self, root: &str) -> Vec<(Question, Answer)> {
        let gone = |question: &Question| match question {
            Question::Path(path) if is_below(path, root) => Some(Answer::Path(None)),
            Question::Digest(path) if is_below(path, root) => Some(Answer::Digest(None)),
            Question::Content(path) if is_below(path, root) => Some(Answer::Content(None)),
            Question::Tree(path) if is_below(path, root) => Some(Answer::Tree(Vec::new())),
            _ => None,
        };
        self.answers.keys().filter_map(|question| Some((question.clone(), gone(question)?))).collect()
    }

    pub fn get(&self, question: &Question) -> Result<&Answer, Stop> {
        self.check_way(question)?;
        let question = &self.named(question);
        if self.under_way.iter().any(|touch| self.is_unsettled_by(question, touch)) {
            return Err(Stop::UnderWay);
        }
        // A command's answer may hang on anything; only what was foretold for it unsettles it.
        if !is_open(question)
            && let Some((_, by)) =
                self.unsettled.iter().find(|(touch, _)| self.is_unsettled_by(question, touch))
        {
            return Err(Stop::Unknown(format!("hangs on `{by}`")));
        }
        if let Some(by) = self.rewriter(question) {
            return Err(Stop::Unknown(format!("hangs on `{by}`, which changes what it reads")));
        }
        match self.answers.get(question) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(reason)) => Err(reason.clone().into()),
            None => Err(Stop::Ask(vec![question.clone()])),
        }
    }

    /// Returns the predicted change of a file that the answer of a command depends on.
    fn rewriter(&self, question: &Question) -> Option<&str> {
        let is_look = matches!(question, Question::Run(_)) && !is_open(question);
        let touched = self.rewritten.iter().rfind(|(touch, _)| is_look && question.is_touched_by(touch))?;
        (!self.foretold.contains(question)).then_some(touched.1.as_str())
    }

    /// A directory that is there stays as it is when one below it is made.
    fn is_unsettled_by(&self, question: &Question, touch: &Touch) -> bool {
        let is_absent = || matches!(self.answers.get(question), Some(Ok(Answer::Path(None))));
        question.is_touched_by(touch) && (!matches!(touch, Touch::Above(_)) || is_absent())
    }

    /// Stops with all of `questions` that are not known yet, so that they are asked together.
    pub fn need(&self, questions: impl IntoIterator<Item = Question>) -> Result<(), Stop> {
        let missing: Vec<Question> =
            questions.into_iter().filter(|q| matches!(self.get(q), Err(Stop::Ask(_)))).collect();
        if missing.is_empty() { Ok(()) } else { Err(Stop::Ask(missing)) }
    }
}

macro_rules! lookups {
    ($($(#[$doc:meta])* $name:ident -> $variant:ident: $answer:ty;)*) => {
        impl Facts {$(
            $(#[$doc])*
            pub fn $name(&self, name: &str) -> Result<$answer, Stop> {
                match self.get(&Question::$variant(name.to_owned()))? {
                    Answer::$variant(answer) => Ok(answer.as_ref()),
                    other => Err(mismatch(other)),
                }
            }
        )*}
    };
}

lookups! {
    /// What stands at a path, without following a link.
    path -> Path: Option<&PathInfo>;
    digest -> Digest: Option<&String>;
    content -> Content: Option<&Vec<u8>>;
    account -> Account: Option<&Account>;
    group -> Group: Option<&Group>;
    package -> Package: Option<&Package>;
    candidate -> Candidate: Option<&Candidate>;
    crontab -> Crontab: Option<&String>;
}

impl Facts {
    /// Everything below a directory, sorted by path.
    pub fn tree(&self, path: &str) -> Result<&[(String, PathInfo)], Stop> {
        match self.get(&Question::Tree(path.to_owned()))? {
            Answer::Tree(entries) => Ok(entries),
            other => Err(mismatch(other)),
        }
    }

    pub fn service(&self, name: &str) -> Result<&Service, Stop> {
        match self.get(&Question::Service(name.to_owned()))? {
            Answer::Service(service) => Ok(service),
            other => Err(mismatch(other)),
        }
    }

    pub fn processes(&self) -> Result<&[Process], Stop> {
        match self.get(&Question::Processes)? {
            Answer::Processes(processes) => Ok(processes),
            other => Err(mismatch(other)),
        }
    }

    /// What the host keeps between runs.
    pub fn kept(&self) -> Result<&Kept, Stop> {
        match self.get(&Question::Kept)? {
            Answer::Kept(kept) => Ok(kept),
            other => Err(mismatch(other)),
        }
    }

    /// How a command that changes nothing ended.
    pub fn run(&self, command: &Command) -> Result<&Ended, Stop> {
        match self.get(&Question::Run(Box::new(command.clone())))? {
            Answer::Run(ended) => Ok(ended),
            other => Err(mismatch(other)),
        }
    }
}

/// Whether the answer may hang on anything: that of a command which does not say what it depends on.
fn is_open(question: &Question) -> bool {
    matches!(question, Question::Run(command) if command.depends.is_none())
}

fn mismatch(answer: &Answer) -> Stop {
    Stop::Failed(format!("an answer of another kind: {answer:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attributes, Parents};

    #[test]
    fn a_directory_made_on_the_way_is_foretold_and_others_stay() {
        let path = |path: &str| Question::Path(path.to_owned());
        let srv = PathInfo {
            kind: crate::question::PathKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            user: "root".into(),
            group: "root".into(),
            size: 0,
        };
        let mut facts = Facts::default();
        facts.learn(path("/srv"), Ok(Answer::Path(Some(srv.clone()))));
        facts.learn(path("/srv/a"), Ok(Answer::Path(None)));
        let made = Operation::Directory {
            path: "/srv/a/b/c".into(),
            attributes: Attributes::default(),
            parents: Parents::Make(Attributes { user: Some("ann".into()), ..Attributes::default() }),
        };
        facts.predict(&made, "c");
        assert_eq!(facts.path("/srv"), Ok(Some(&srv)));
        assert_eq!(facts.path("/srv/a").unwrap().unwrap().user, "ann");
        // Nobody has asked about this one; if it turns out to be missing, it hangs on the change.
        assert_eq!(facts.path("/srv/a/b"), Err(Stop::Ask(vec![path("/srv/a/b")])));
    }

    #[test]
    fn what_will_lie_below_a_directory_is_known_there() {
        let tree = Question::Tree("/srv".into());
        let mut facts = Facts::default();
        facts.learn(tree.clone(), Ok(Answer::Tree(Vec::new())));
        let names = |facts: &Facts| -> Vec<String> {
            facts.tree("/srv").unwrap().iter().map(|(path, _)| path.clone()).collect()
        };
        for path in ["/srv/d", "/srv/d/e", "/srv/c"] {
            let attributes = Attributes::default();
            let parents = Parents::MustExist;
            facts.predict(&Operation::Directory { path: path.into(), attributes, parents }, "it");
        }
        assert_eq!(names(&facts), ["/srv/c", "/srv/d", "/srv/d/e"]);
        facts.predict(&Operation::Remove { path: "/srv/d".into() }, "it");
        assert_eq!(names(&facts), ["/srv/c"]);
    }

    #[test]
    fn a_file_that_will_be_rewritten_unsettles_what_reads_it() {
        let look = Command::words(["look"]).depends([Touch::Path("/srv/r.txt".into())]);
        let other = Command::words(["other"]).depends([Touch::Path("/srv/b.txt".into())]);
        let mut facts = Facts::default();
        for command in [&look, &other] {
            facts.learn(Question::Run(Box::new(command.clone())), Ok(Answer::Run(Ended::default())));
        }
        let write = Operation::Write(crate::Write {
            path: "/srv/r.txt".into(),
            bytes: b"six".to_vec(),
            attributes: Attributes::default(),
            parents: Parents::MustExist,
            check: None,
            backup: None,
            follow: true,
        });
        facts.predict(&write, "r.txt");
        let reason = "hangs on `r.txt`, which changes what it reads";
        assert_eq!(facts.run(&look), Err(Stop::Unknown(reason.into())));
        assert_eq!(facts.run(&other), Ok(&Ended::default()));
        let settled = crate::Run::new(Command::words(["install"]), [Touch::Path("/srv/ve".into())])
            .foretells(Question::Run(Box::new(look.clone())), Answer::Run(Ended::default()));
        facts.predict(&settled.into(), "ve");
        assert_eq!(facts.run(&look), Ok(&Ended::default()));
        facts.predict(&write, "again");
        assert!(facts.run(&look).is_err());
    }

    #[test]
    fn an_answer_that_may_hang_on_anything_settles_nothing_but_itself() {
        let path = |path: &str| Question::Path(path.to_owned());
        let open = Command::words(["true"]);
        let mut facts = Facts::default();
        facts.learn(path("/srv/a"), Ok(Answer::Path(None)));
        facts
            .predict(&crate::Run::new(Command::words(["make"]), [Touch::Path("/srv".into())]).into(), "make");
        let run = crate::Run::new(Command::words(["migrate"]), [Touch::Named("schema".into())]);
        let done = Answer::Run(Ended::default());
        facts.predict(&run.foretells(Question::Run(Box::new(open.clone())), done).into(), "migrate");
        assert_eq!(facts.run(&open), Ok(&Ended::default()));
        assert_eq!(facts.path("/srv/a"), Err(Stop::Unknown("hangs on `make`".into())));
    }
}
