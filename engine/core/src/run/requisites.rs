//! The answer of a state's requisites: whether it runs, is not asked for, or may not run
//! (Salt: `State._check_requisites`).

use super::records::{Changed, Standing};
use crate::RequisiteKind;

/// A state that a requisite names, as it ended, or as it would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) index: usize,
    pub(super) standing: Standing,
    pub(super) changed: Changed,
    /// False for a state that no requisite asked for, or whose requirement was not met.
    pub(super) ran: bool,
    /// It is due in every run, so that its change is no difference of the host.
    pub(super) always: bool,
}

/// Returns whether each change that asks for the state comes in every run: then so does the state.
pub(super) fn is_asked_always(requisites: &[(RequisiteKind, Vec<Target>)]) -> bool {
    let asking = requisites.iter().filter(|(kind, _)| kind.asks()).flat_map(|(_, targets)| targets);
    let mut changed = asking.filter(|target| target.changed == Changed::Yes).peekable();
    changed.peek().is_some() && changed.all(|target| target.always)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Run,
    /// Nothing of what this requisite names asks for the state.
    NotAsked(RequisiteKind),
    /// What this requisite names is broken: the first such state.
    Unmet(RequisiteKind, usize),
    /// The answer depends on a state of which nobody can tell what becomes of it.
    Open(RequisiteKind, usize),
}

/// Returns what the requisites say together. Each kind that the state has comes with what it names, which may be nothing.
pub(super) fn verdict(requisites: &[(RequisiteKind, Vec<Target>)]) -> Verdict {
    let said = |worst, changed| {
        let signs = requisites.iter().map(|(kind, targets)| {
            let settled: Vec<Target> = targets.iter().map(|t| settle(*kind, *t, worst, changed)).collect();
            Signs::of(*kind, &settled)
        });
        signs.fold(Signs::default(), Signs::and).verdict()
    };
    let first = said(false, false);
    let is_same = [(false, true), (true, false), (true, true)].into_iter().all(|(w, c)| said(w, c) == first);
    match open(requisites).filter(|_| !is_same) {
        Some((kind, index)) => Verdict::Open(kind, index),
        None => first,
    }
}

/// Decides what cannot be told. A state that is only required is taken to succeed: its dependents can be shown.
fn settle(kind: RequisiteKind, target: Target, fails: bool, changes: bool) -> Target {
    let standing = match target.standing {
        Standing::Open if fails && kind.is_onfail() => Standing::Broken,
        Standing::Open => Standing::Met,
        known => known,
    };
    let changed = match target.changed {
        Changed::Maybe if changes => Changed::Yes,
        Changed::Maybe => Changed::No,
        known => known,
    };
    Target { standing, changed, ..target }
}

fn open(requisites: &[(RequisiteKind, Vec<Target>)]) -> Option<(RequisiteKind, usize)> {
    let all = requisites.iter().flat_map(|(kind, targets)| targets.iter().map(move |target| (*kind, target)));
    let mut open = all.filter(|(kind, target)| {
        if kind.is_onfail() { target.standing == Standing::Open } else { target.changed == Changed::Maybe }
    });
    open.find(|(kind, _)| kind.asks() || kind.is_watch()).map(|(kind, target)| (kind, target.index))
}

/// What the states that requisites name have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// One that had to succeed is broken.
    broken: Option<(RequisiteKind, usize)>,
    /// One ran and succeeded, or, under `onfail`, ran and failed.
    ran: bool,
    watched_change: bool,
    /// Under `onchanges`.
    change: bool,
    no_change: Option<RequisiteKind>,
    /// Under `prereq`.
    will_change: bool,
    will_not_change: bool,
    /// Under `onfail`.
    success: Option<RequisiteKind>,
}

impl Signs {
    fn of(kind: RequisiteKind, targets: &[Target]) -> Self {
        use RequisiteKind::{
            Onchanges, OnchangesAny, Onfail, OnfailAll, OnfailAny, Prereq, RequireAny, Watch, WatchAny,
        };
        let mut signs = Signs::default();
        for target in targets {
            let (is_met, changed) = (target.standing != Standing::Broken, target.changed == Changed::Yes);
            match kind {
                Onfail | OnfailAny | OnfailAll if is_met => signs.success = Some(kind),
                Onfail | OnfailAny | OnfailAll => signs.ran |= target.ran,
                Onchanges | OnchangesAny if is_met && changed => signs.change = true,
                Onchanges | OnchangesAny => signs.no_change = Some(kind),
                _ if !is_met => signs.broken = signs.broken.or(Some((kind, target.index))),
                Prereq if changed => signs.will_change = true,
                Prereq => signs.will_not_change = true,
                Watch | WatchAny if changed => signs.watched_change = true,
                _ => signs.ran |= target.ran,
            }
        }
        // Where one is enough, the others do not count.
        match kind {
            RequireAny | WatchAny if signs.ran || signs.watched_change => signs.broken = None,
            Onfail | OnfailAny if signs.ran => signs.success = None,
            _ => {}
        }
        signs
    }

    fn and(self, other: Self) -> Self {
        Signs {
            broken: self.broken.or(other.broken),
            ran: self.ran || other.ran,
            watched_change: self.watched_change || other.watched_change,
            change: self.change || other.change,
            no_change: self.no_change.or(other.no_change),
            will_change: self.will_change || other.will_change,
            will_not_change: self.will_not_change || other.will_not_change,
            success: self.success.or(other.success),
        }
    }

    /// Salt's order of precedence: first a failure, then `prereq`, `onfail`, `onchanges`, `watch`.
    fn verdict(self) -> Verdict {
        if let Some((kind, index)) = self.broken {
            return Verdict::Unmet(kind, index);
        }
        if self.will_not_change {
            return if self.will_change { Verdict::Run } else { Verdict::NotAsked(RequisiteKind::Prereq) };
        }
        match (self.success, self.no_change) {
            (Some(kind), _) if !self.change => Verdict::NotAsked(kind),
            (_, Some(kind)) if !self.change => Verdict::NotAsked(kind),
            (Some(kind), _) if !self.watched_change => Verdict::NotAsked(kind),
            _ => Verdict::Run,
        }
    }
}

impl RequisiteKind {
    fn is_watch(self) -> bool {
        matches!(self, RequisiteKind::Watch | RequisiteKind::WatchAny)
    }

    fn is_onfail(self) -> bool {
        matches!(self, RequisiteKind::Onfail | RequisiteKind::OnfailAny | RequisiteKind::OnfailAll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state that a requisite names: `+` has changed, `=` has run without a change, `-` was not asked for, `!` has failed,
    /// `/` was skipped for a failure, `?` cannot be told.
    fn target(sign: char) -> Target {
        let (standing, changed, ran) = match sign {
            '+' => (Standing::Met, Changed::Yes, true),
            '=' => (Standing::Met, Changed::No, true),
            '-' => (Standing::Met, Changed::No, false),
            '!' => (Standing::Broken, Changed::Yes, true),
            '/' => (Standing::Broken, Changed::No, false),
            '?' => (Standing::Open, Changed::Maybe, true),
            _ => panic!("no sign: {sign}"),
        };
        Target { index: 0, standing, changed, ran, always: false }
    }

    /// `run`, `skip` (not asked for), `unmet` or `open`, for requisites as `require:+= onchanges:-`.
    fn said(text: &str) -> &'static str {
        let of = |word: &str| {
            let (kind, signs) = word.split_once(':').unwrap();
            (RequisiteKind::named(kind).unwrap(), signs.chars().map(target).collect())
        };
        match verdict(&text.split(' ').map(of).collect::<Vec<_>>()) {
            Verdict::Run => "run",
            Verdict::NotAsked(_) => "skip",
            Verdict::Unmet(..) => "unmet",
            Verdict::Open(..) => "open",
        }
    }

    #[test]
    fn each_form_says_what_salt_says() {
        let table = [
            ("run", "require:+ require:= require:- require:? watch:+ watch:= watch:- require:+=- watch:="),
            ("unmet", "require:! require:/ require:+! watch:! watch:+/"),
            ("run", "require_any:!+ require_any:=! watch_any:!+ watch_any:/= require_any:- watch_any:+"),
            ("unmet", "require_any:! require_any:!/ watch_any:!! require_any:!- watch_any:/-"),
            ("run", "prereq:+ prereq:+= prereq:++"),
            ("skip", "prereq:= prereq:- prereq:=-"),
            ("unmet", "prereq:! prereq:+! prereq:=/"),
            ("run", "onfail:! onfail:!= onfail:/ onfail_any:!+ onfail_any:! onfail_all:! onfail_all:!/"),
            ("skip", "onfail:= onfail:+ onfail:- onfail:/= onfail_any:/+ onfail_all:!= onfail_all:+"),
            (
                "run",
                "onchanges:+ onchanges:+= onchanges:+! onchanges_any:+! onchanges_any:!+ onchanges_any:+-/",
            ),
            ("skip", "onchanges:= onchanges:! onchanges:/ onchanges:- onchanges_any:!= onchanges_any:!"),
            (
                "open",
                "onchanges:? onchanges:?= onfail:? onfail:?= onfail_all:? onfail_any:?= prereq:? prereq:?=",
            ),
            ("run", "onchanges:?+ onfail:?! prereq:?+ require:? watch:? watch_any:!?"),
            ("skip", "onfail_all:?="),
            ("unmet", "prereq:?! require:?!"),
        ];
        for (right, forms) in table {
            for form in forms.split(' ') {
                assert_eq!(said(form), right, "{form}");
            }
        }
    }

    #[test]
    fn kinds_together_follow_the_precedence_of_salt() {
        let table = [
            ("require:! onfail:!", "unmet"),
            ("require:= onchanges:=", "skip"),
            ("onfail:= onchanges:+", "skip"),
            ("onfail:! onchanges:=", "skip"),
            ("onfail:= onchanges:+ watch:+", "run"),
            ("onchanges:= onchanges_any:+", "run"),
            ("prereq:+ onchanges:=", "skip"),
            ("prereq:+= onchanges:=", "run"),
            ("prereq:= onchanges:+", "skip"),
            ("watch:+ onchanges:=", "skip"),
            ("require:! onchanges:?", "unmet"),
            ("onchanges:? onfail:=", "skip"),
        ];
        for (form, right) in table {
            assert_eq!(said(form), right, "{form}");
        }
    }

    #[test]
    fn a_requisite_that_names_nothing_keeps_nothing_back() {
        for kind in RequisiteKind::ALL {
            assert_eq!(verdict(&[(kind, Vec::new())]), Verdict::Run, "{}", kind.name());
        }
    }
}
