//! `compare`: what changes in the states between two revisions of the tree? No host is contacted, and nothing is checked
//! out.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use kstate_core::{Interrupt, Planned, Problem, Secrets, nearest, side_by_side};
use kstate_sls::{Compiled, Disk, Root, Storage, Tree};

use crate::args::{Format, Global};
use crate::diagnostics::Diagnostics;
use crate::difference::{State, States, difference};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::git::{Commit, Repository};
use crate::report::comparison::{self, Compared, Comparison};
use crate::revision::{Revision, Untracked};
use crate::session::{Contact, Prepared, Session, root_folder};
use crate::ui::Ui;

/// What was typed.
#[derive(Debug)]
pub(super) struct Words<'a> {
    pub(super) revision: &'a str,
    /// A second revision, perhaps, and SLS.
    pub(super) rest: &'a [String],
    /// SLS, certainly.
    pub(super) sls: &'a [String],
}

/// One of the two revisions.
struct Side {
    /// `None`: the working tree.
    commit: Option<Commit>,
    storage: Arc<dyn Storage>,
    root: Root,
}

/// A target as one revision makes it.
struct Made {
    compiled: Compiled,
    /// What could be made of each chunk.
    planned: Vec<Option<Planned>>,
    problems: Vec<Problem>,
    stand_in: Option<String>,
}

pub(super) fn compare(
    options: &Global,
    ui: &Ui,
    interrupt: &Interrupt,
    words: &Words<'_>,
) -> Result<Exit, CommandError> {
    let dir = root_folder(options)?;
    let dir = dir
        .canonicalize()
        .map_err(|error| CommandError::failed(format!("`{}` cannot be looked at: {error}", dir.display())))?;
    let repository = Arc::new(Repository::of(&dir)?);
    let untracked = Arc::new(Untracked::of(&repository)?);
    let side = |commit| Side::open(commit, &dir, &repository, &untracked, ui);
    let (from, to) = range(&repository, words.revision)?;
    let mut before = side(Some(from))?;
    let (to, sls) = match to {
        Some(to) => (Some(to), words.rest),
        None => second(&repository, words.rest, &before, ui)?,
    };
    let mut after = side(to)?;
    let sls = [sls, words.sls].concat();
    // What one revision calls a secret is none the less secret in the other.
    let patterns = [before.root.secrets.as_slice(), &after.root.secrets].concat();
    before.root.secrets.clone_from(&patterns);
    after.root.secrets = patterns;
    let session = |side: &Side| {
        let session = Session::of(side.tree(), options, ui, interrupt.clone());
        session
            .and_then(|session| session.refuse_a_broken_roster().map(|()| session))
            .map_err(|error| told(error, side.commit.as_ref(), side.diagnostics(), ui))
    };
    let targets = targets(&mut [session(&before)?, session(&after)?], &sls)?;
    if interrupt.is_raised() {
        return Ok(Exit::Interrupted);
    }
    let mut diagnostics = [before.diagnostics(), after.diagnostics()];
    let read = untracked.read();
    let untracked = read.iter().map(|path| after.root.shown(&repository.top.join(path))).collect();
    let comparison = Comparison { from: before.commit, to: after.commit, untracked, targets };
    match options.format {
        Format::Text => ui.data(&comparison::text(&comparison, &mut diagnostics, options.verbose)),
        Format::Json => {
            let problems = comparison::problems(&comparison, &mut diagnostics, options.verbose);
            if !problems.is_empty() {
                ui.talk(problems.trim_end());
            }
            ui.document(&comparison::document(&comparison));
        }
    }
    Ok(exit(&comparison))
}

fn exit(comparison: &Comparison) -> Exit {
    let targets = &comparison.targets;
    if targets.iter().any(|target| comparison.is_broken(target)) {
        return Exit::Failed;
    }
    if targets.iter().any(Compared::differs) { Exit::Differs } else { Exit::Done }
}

impl Side {
    fn open(
        commit: Option<Commit>,
        dir: &Path,
        repository: &Arc<Repository>,
        untracked: &Arc<Untracked>,
        ui: &Ui,
    ) -> Result<Self, CommandError> {
        let storage: Arc<dyn Storage> = match &commit {
            Some(commit) => Arc::new(Revision::new(repository.clone(), commit, untracked.clone())?),
            None => Arc::new(Disk),
        };
        match Root::stored(dir, &*storage) {
            Ok(root) => Ok(Side { commit, storage, root }),
            Err(problems) => {
                let diagnostics = Diagnostics::stored(dir, storage);
                Err(told(CommandError::problems(dir, problems), commit.as_ref(), diagnostics, ui))
            }
        }
    }

    fn tree(&self) -> Tree {
        Tree::stored(self.root.clone(), self.storage.clone())
    }

    fn diagnostics(&self) -> Diagnostics {
        Diagnostics::stored(&self.root.dir, self.storage.clone())
    }
}

/// Tells what is wrong with the settings or the roster of a revision, with excerpts of it.
fn told(error: CommandError, commit: Option<&Commit>, mut diagnostics: Diagnostics, ui: &Ui) -> CommandError {
    if error.problems.is_empty() {
        return error;
    }
    for problem in &error.problems {
        ui.talk(&diagnostics.show(problem));
    }
    let revision = commit.map_or("the working tree", |commit| &commit.short);
    CommandError::failed(format!("the tree of {revision} cannot be read"))
}

/// The revisions that one word names: `A`, `A..B`, or `A...B` for what B brings since it left A.
fn range(repository: &Repository, word: &str) -> Result<(Commit, Option<Commit>), CommandError> {
    // Git: what is left out is `HEAD`.
    let commit = |name: &str| repository.commit(if name.is_empty() { "HEAD" } else { name });
    if let Some((one, other)) = word.split_once("...") {
        let (one, other) = (commit(one)?, commit(other)?);
        return Ok((repository.merge_base(&one, &other)?, Some(other)));
    }
    match word.split_once("..") {
        Some((one, other)) => Ok((commit(one)?, Some(commit(other)?))),
        None => Ok((commit(word)?, None)),
    }
}

/// Tells a second revision apart from SLS. An SLS of the first revision or of the working tree is meant as such, also if
/// a branch is called like it.
fn second<'w>(
    repository: &Repository,
    words: &'w [String],
    before: &Side,
    ui: &Ui,
) -> Result<(Option<Commit>, &'w [String]), CommandError> {
    let [word, rest @ ..] = words else { return Ok((None, words)) };
    let working = Root::open(&before.root.dir).map(Tree::new);
    let trees: Vec<Tree> = std::iter::once(before.tree()).chain(working).collect();
    match (trees.iter().any(|tree| has(tree, word)), repository.find(word)?) {
        (true, Some(_)) => {
            ui.talk(&format!("note: `{word}` is taken for the SLS; the revision is meant by `REV..{word}`"));
            Ok((None, words))
        }
        (true, None) => Ok((None, words)),
        (false, Some(commit)) => Ok((Some(commit), rest)),
        (false, None) => {
            let names = repository.names()?;
            let sls = trees.iter().flat_map(|tree| tree.files().sls_names());
            let known: BTreeSet<&str> = names.iter().chain(sls).map(String::as_str).collect();
            let error = CommandError::usage(format!("`{word}` is neither a revision nor an SLS"));
            let near = nearest(word, known, 2);
            Err(near.iter().fold(error, |error, name| error.hint(format!("did you mean `{name}`?"))))
        }
    }
}

/// Whether a tree has an SLS of this name, or some that fit the pattern.
fn has(tree: &Tree, sls: &str) -> bool {
    !tree.files().sls_matching(sls).is_empty() || matches!(tree.files().sls(sls), Ok(Some(_)))
}

/// Compiles all targets in both revisions, and compares them.
fn targets(sessions: &mut [Session<'_>; 2], sls: &[String]) -> Result<Vec<Compared>, CommandError> {
    let mut made = both(sessions, sls)?;
    if sessions[1].is_chosen_by_data() {
        // Whom the data of one revision means, is meant in both.
        let names: BTreeSet<String> = made.iter().flat_map(HashMap::keys).cloned().collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        sessions.iter_mut().for_each(|session| session.choose(&names));
        made = both(sessions, sls)?;
    }
    let [before, after] = sessions;
    let [mut old, mut new] = made;
    let gone = before.roster().filter(|name| !after.knows(name));
    let pairs = after.roster().chain(gone).map(|name| (name, [old.remove(name), new.remove(name)]));
    let pairs: Vec<_> = pairs.filter(|(_, pair)| pair.iter().any(Option::is_some)).collect();
    Ok(side_by_side(after.jobs_without_hosts(), pairs, |(name, pair)| {
        let secrets = pair.iter().flatten().flat_map(|made| made.compiled.secrets.iter().cloned());
        let secrets = after.secrets(secrets);
        compared(name, [before.knows(name), after.knows(name)], &pair, &secrets)
    }))
}

/// What both revisions make of their targets, by name.
fn both(
    [before, after]: &[Session<'_>; 2],
    sls: &[String],
) -> Result<[HashMap<String, Made>; 2], CommandError> {
    // An SLS that only the other revision has is no mistake in this one.
    let own = |session: &Session<'_>, other: &Session<'_>| -> Vec<String> {
        sls.iter().filter(|sls| has(&session.tree, sls) || !has(&other.tree, sls)).cloned().collect()
    };
    let make = |session: &Session<'_>, own: &[String]| {
        if own.is_empty() && !sls.is_empty() { Ok(HashMap::new()) } else { make(session, own) }
    };
    match (make(before, &own(before, after)), make(after, &own(after, before))) {
        (Err(error), Err(_)) => Err(error),
        // Whom only one revision knows is new or gone.
        (old, new) => Ok([old, new].map(Result::unwrap_or_default)),
    }
}

fn make(session: &Session<'_>, sls: &[String]) -> Result<HashMap<String, Made>, CommandError> {
    let made = session.with_each(sls, Contact::StoodFor, |prepared| match prepared {
        Prepared::Ready(ready) => {
            let planned = match ready.plan {
                Some(plan) => plan.states.into_iter().map(Some).collect(),
                None => ready.loose,
            };
            let (compiled, problems, stand_in) = (ready.compiled, ready.problems, ready.stand_in);
            Some((ready.target, Made { compiled, planned, problems, stand_in }))
        }
        Prepared::NotMeant | Prepared::Lost(_) => None,
    })?;
    Ok(made.into_iter().flatten().collect())
}

fn compared(target: &str, is_known: [bool; 2], made: &[Option<Made>; 2], secrets: &Secrets) -> Compared {
    let errors = |made: &Option<Made>| -> Vec<Problem> {
        let problems = made.iter().flat_map(|made| &made.problems);
        problems.filter(|problem| problem.is_error()).map(|problem| secrets.mask_problem(problem)).collect()
    };
    let [old, new] = made;
    // Of states that cannot be read whole nobody knows what they lack.
    let is_whole = made.iter().flatten().all(|made| !made.compiled.has_errors());
    Compared {
        target: target.to_owned(),
        is_known,
        is_whole,
        differing: if is_whole { difference(&states(old), &states(new), secrets) } else { Vec::new() },
        errors: [errors(old), errors(new)],
        stand_in: made.iter().flatten().find_map(|made| made.stand_in.clone()),
    }
}

fn states(made: &Option<Made>) -> States<'_> {
    let Some(made) = made else { return States::default() };
    let state = |(chunk, planned): (_, &Option<Planned>)| {
        let contents = planned.as_ref().map(|planned| planned.resource.contents());
        State { chunk, contents }
    };
    States {
        states: made.compiled.chunks().iter().zip(&made.planned).map(state).collect(),
        is_ordered: made.compiled.graph.is_some(),
    }
}
