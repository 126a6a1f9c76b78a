//! What a module makes of a state: the seam between the engine and `modules`.

use std::fmt;

use crate::{Content, Facts, Hold, Place, Question, Step, Stop, fnmatch};

/// One state with typed arguments. Pure: it never holds a connection, never prints, and never knows whether the
/// engine is about to show its steps or to make them.
pub trait Resource: fmt::Debug + Send + Sync {
    /// What it asks in any case. Further questions may follow from the answers: a look-up in `diff` that finds no
    /// answer stops with the question, and `diff` is called again.
    fn questions(&self) -> Vec<Question>;

    /// What differs, as steps that mend it. Empty: as declared.
    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop>;

    /// When it has something to do.
    fn due(&self) -> Due {
        Due::Different
    }

    /// What it alone decides about the host.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// Returns the paths that it manages.
    fn places(&self) -> Vec<Place> {
        Vec::new()
    }

    /// Returns true if it removes what it does not know, except the places of the states that it requires.
    fn cleans(&self) -> bool {
        false
    }

    /// Takes the places of the states that it requires.
    fn keep(&mut self, _places: Vec<Place>) {}

    /// What it brings to the host of files of the tree and of texts, as far as the arguments alone do not tell it. Two
    /// revisions of a tree are compared by it.
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    /// Whether a failure may mend itself by states that come later: a service that serves a checkout which is declared
    /// after it. Such a state is tried once more before states of `order: last`, and at the end.
    fn may_hold_later(&self) -> bool {
        false
    }

    /// What to do when a watched state has changed and `diff` is empty.
    fn refresh(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    /// What a watched change asks for beside the steps of `diff`, where these are not empty: a service that is only enabled
    /// has to be restarted as well, one that is started has not.
    fn refresh_beside(&self, _facts: &Facts) -> Result<Vec<Step>, Stop> {
        Ok(Vec::new())
    }

    /// What is worth saying of the host when it is as declared.
    fn remark(&self, _facts: &Facts) -> Option<String> {
        None
    }

    /// What somebody has to let pass before it acts.
    fn holds(&self, _facts: &Facts) -> Result<Vec<Hold>, Stop> {
        Ok(Vec::new())
    }

    /// The revision that it would bring or keep, of what changes elsewhere. `None`: there is none, or it cannot be told.
    fn revision(&self, _facts: &Facts) -> Result<Option<String>, Stop> {
        Ok(None)
    }

    /// From now on it brings this revision, or fails.
    fn pin(&mut self, _revision: &str) {}

    /// Whether it can be `around` other states.
    fn is_bracket(&self) -> bool {
        false
    }

    /// What it takes away while the states that it is `around` act, and how that comes back.
    fn bracket(&self, _facts: &Facts) -> Result<Bracket, Stop> {
        Ok(Bracket::default())
    }
}

/// When a state has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// When the host differs from what is declared.
    Different,
    /// Every time, whatever the host looks like: a command. It wants a guard.
    Always,
    /// Only when a watched state has changed.
    Watched,
}

/// What one thing of a host shall be. Two states that claim the same thing differently undo each other in every run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// `/etc/motd`, `service apache2`.
    pub thing: String,
    /// `absent`, `a link to /srv/app`.
    pub shape: String,
    /// The thing is a pattern, and these are not meant: the state decides about all the others.
    pub except: Option<Vec<String>>,
}

impl Claim {
    pub fn new(thing: impl Into<String>, shape: impl Into<String>) -> Self {
        Claim { thing: thing.into(), shape: shape.into(), except: None }
    }

    /// Claims everything that matches a pattern, such as all members of a group, but not `except`.
    pub fn rest(pattern: impl Into<String>, shape: impl Into<String>, except: Vec<String>) -> Self {
        Claim { except: Some(except), ..Claim::new(pattern, shape) }
    }

    /// Returns true if it decides about `thing` without naming it.
    pub fn includes(&self, thing: &str) -> bool {
        let is_meant = |except: &Vec<String>| !except.iter().any(|name| name == thing);
        self.except.as_ref().is_some_and(is_meant) && fnmatch(thing, &self.thing)
    }
}

/// What a bracket does.
#[derive(Debug, Default)]
pub struct Bracket {
    /// What takes away what is there. None: nothing has to be taken away (any more).
    pub steps: Vec<Step>,
    /// Shell text that brings it back, as root, and prints a line about what it brought back. The host may run it by
    /// itself, and again if it was broken off. `$kstate_bracket` is a folder in which the steps may have kept things.
    pub restore: String,
}
