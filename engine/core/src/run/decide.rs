//! What is to be done about one state, given what is known and what has become of the states before it.

use super::HostRun;
use super::pending::Pending;
use super::records::{Changed, Record, Records, Standing};
use super::requisites::{Target, Verdict, is_asked_always, verdict};
use crate::RequisiteKind::{Onchanges, OnchangesAny, Prereq, RequireAny, WatchAny};
use crate::{Facts, Hold, Lack, Outcome, RequisiteKind, Step, Stop, needs, ways};

type Requisites = Vec<(RequisiteKind, Vec<Target>)>;

#[derive(Debug)]
pub(super) enum Decision {
    /// As declared; or a condition keeps it back, with the reason.
    Rest(Option<String>),
    /// `onchanges`, `onfail` or `prereq` do not ask for it.
    NotAsked(String),
    /// Something that it requires is broken.
    Unmet(String),
    /// It needs a login that cannot be had.
    Barred(String),
    Act(Vec<Step>),
    /// It would act, but somebody has to let it pass first.
    Held(Vec<Step>, Vec<Hold>),
}

/// Decides on the state at `index`. Pure: stops where something has to be asked or awaited first. `pending` are the changes
/// that are only predicted; with none of them every failure is one.
pub(super) fn decide(
    run: &HostRun<'_>,
    index: usize,
    facts: &Facts,
    records: &Records,
    pending: Option<&Pending>,
) -> Result<Decision, Stop> {
    Decider { run, facts, records, pending }.decide(index, 0)
}

/// What a listener does at the end of a run.
pub(super) enum Reaction {
    /// Nothing that it listens to has changed, or it is broken itself.
    None,
    /// A guard keeps it back, with the reason.
    Guarded(String),
    Act(Vec<Step>),
}

/// Decides what a state does after a run because it listens to others that have changed: one reaction for all of them.
/// `changed` are the states that have changed when the first listener reacts: no listener reacts to another (Salt). One that
/// failed after it had changed something counts.
pub(super) fn listened(
    run: &HostRun<'_>,
    index: usize,
    facts: &Facts,
    records: &Records,
    changed: &[bool],
) -> Result<Reaction, Stop> {
    let decider = Decider { run, facts, records, pending: None };
    let targets = run.plan.graph.targets(index, RequisiteKind::Listen);
    let changed: Vec<usize> = targets.into_iter().filter(|target| changed[*target]).collect();
    let is_met = records.get(index).is_some_and(|record| record.standing == Standing::Met);
    if !is_met || changed.is_empty() {
        return Ok(Reaction::None);
    }
    if let Some(reason) = run.plan.states[index].conditions.hold(facts)? {
        return Ok(Reaction::Guarded(reason));
    }
    let ids: Vec<String> = changed.iter().map(|target| format!("`{}`", decider.id(*target))).collect();
    let is_always =
        |target: &usize| records.get(*target).is_some_and(|record| record.report.outcome == Outcome::Always);
    let steps = run.plan.states[index].resource.refresh(facts)?;
    let reason = format!("because of {}", ids.join(", "));
    let steps = refreshing(steps, &reason, changed.iter().all(is_always));
    Ok(if steps.is_empty() { Reaction::None } else { Reaction::Act(steps) })
}

struct Decider<'a> {
    run: &'a HostRun<'a>,
    facts: &'a Facts,
    records: &'a Records,
    pending: Option<&'a Pending>,
}

/// Prospects of prospects: no tree needs as many.
const DEPTH: usize = 40;

impl Decider<'_> {
    fn decide(&self, index: usize, depth: usize) -> Result<Decision, Stop> {
        if depth > DEPTH {
            return Err(Stop::Failed("its `prereq` leads too far".into()));
        }
        let requisites = self.requisites(index, depth)?;
        match self.verdict(index, &requisites)? {
            Verdict::Run => {}
            Verdict::NotAsked(kind) => return Ok(Decision::NotAsked(not_asked(kind))),
            Verdict::Unmet(kind, target) => return Ok(Decision::Unmet(self.unmet(kind, target))),
            Verdict::Open(kind, target) => return Err(self.open(kind, target)),
        }
        match &self.facts.lack {
            Some(lack) => self.with(lack, index, depth, &requisites),
            None => self.difference(index, depth, &requisites),
        }
    }

    /// What is to be done with the logins that there are.
    fn with(
        &self,
        lack: &Lack,
        index: usize,
        depth: usize,
        requisites: &Requisites,
    ) -> Result<Decision, Stop> {
        let chunk = &self.run.plan.graph.chunks()[index];
        if lack.bars_asking(&self.run.plan.states[index]) {
            return Ok(Decision::Barred(lack.reason()));
        }
        match self.difference(index, depth, requisites) {
            Ok(Decision::Act(steps)) if lack.bars_making(chunk, &steps) => {
                Ok(Decision::Barred(lack.reason()))
            }
            Err(Stop::Failed(reason)) if !lack.owns(chunk) => {
                Ok(Decision::Barred(format!("{} ({reason})", lack.reason())))
            }
            decided => decided,
        }
    }

    fn difference(&self, index: usize, depth: usize, requisites: &Requisites) -> Result<Decision, Stop> {
        let state = &self.run.plan.states[index];
        if let Some(reason) = state.conditions.hold(self.facts)? {
            return Ok(Decision::Rest(Some(reason)));
        }
        let mut steps = state.resource.diff(self.facts)?;
        // What a guard or others decide is not due every time, unless what asks for it is.
        let is_asked = self.run.plan.graph.is_asked_for(index) && !is_asked_always(requisites);
        if state.conditions.is_guarded() || is_asked {
            for step in &mut steps {
                step.always = false;
            }
        }
        if (self.has(index, Onchanges) || self.has(index, OnchangesAny))
            && let Some(owed) = self.owed(index)?
        {
            steps = with_reason(steps, &owed);
        }
        let refresh = self.refresh(index, depth, !steps.is_empty())?;
        steps.extend(refresh);
        if steps.is_empty() {
            return Ok(Decision::Rest(None));
        }
        if let Some(first) = self.broken_before(index)? {
            let reason = format!("`{}`, which has it under `prereq`, did not succeed", self.id(first));
            return Ok(Decision::Unmet(reason));
        }
        ways::check(&steps, self.facts)?;
        needs::check(&steps, self.facts)?;
        ways::show(&mut steps, self.facts);
        let holds = self.run.holds(index, self.facts);
        let is_held = holds.iter().any(|hold| !hold.accepted);
        Ok(if is_held { Decision::Held(steps, holds) } else { Decision::Act(steps) })
    }

    /// Returns what a watched change asks for: the refresh of a state that is as declared, or what `acts` leaves undone
    /// of it where the state changes in another way.
    fn refresh(&self, index: usize, depth: usize, acts: bool) -> Result<Vec<Step>, Stop> {
        let resource = &self.run.plan.states[index].resource;
        let steps = || if acts { resource.refresh_beside(self.facts) } else { resource.refresh(self.facts) };
        let mut watched = self.run.plan.graph.targets(index, RequisiteKind::Watch);
        watched.extend(self.run.plan.graph.targets(index, RequisiteKind::WatchAny));
        let is_asked = !watched.is_empty() || self.has(index, RequisiteKind::Listen);
        if is_asked && let Some(owed) = self.owed(index)? {
            return Ok(refreshing(steps()?, &owed, false));
        }
        let (mut open, mut asking) = (None, Vec::new());
        for target in watched {
            let target = self.prospect(target, depth)?;
            match target.changed {
                Changed::Yes if target.standing != Standing::Broken => asking.push(target),
                Changed::Maybe => open = Some(target.index),
                Changed::Yes | Changed::No => {}
            }
        }
        if let Some(first) = asking.iter().find(|target| !target.always).or(asking.first()) {
            return Ok(refreshing(steps()?, &self.because(first.index), first.always));
        }
        match open {
            Some(target) if !acts && !steps()?.is_empty() => {
                Err(Stop::Unknown(format!("watches `{}`, which cannot be told yet", self.id(target))))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A state that has `index` under `prereq`, and is broken: the change for which it had to act does not come.
    fn broken_before(&self, index: usize) -> Result<Option<usize>, Stop> {
        let first = self.run.plan.graph.naming(index, &[Prereq]);
        if first.iter().any(|state| self.records.is_under_way(*state)) {
            return Err(Stop::UnderWay);
        }
        let is_broken = |state: &usize| self.records.get(*state).is_some_and(Record::is_broken);
        Ok(first.into_iter().find(is_broken))
    }

    /// The reason for a refresh that an earlier run has left undone.
    fn owed(&self, index: usize) -> Result<Option<String>, Stop> {
        let kept = self.facts.kept()?;
        let chunk = &self.run.plan.graph.chunks()[index];
        let owed = kept.owed.iter().find(|owed| owed.is_of(chunk));
        Ok(owed.map(|owed| format!("owed for {}, because of `{}`", kept.ago(owed.since), owed.because)))
    }

    fn because(&self, target: usize) -> String {
        format!("because of `{}`", self.id(target))
    }

    /// What has become of a state, or would, if it has not been its turn.
    fn prospect(&self, target: usize, depth: usize) -> Result<Target, Stop> {
        if self.records.is_under_way(target) {
            return Err(Stop::UnderWay);
        }
        if let Some(record) = self.records.get(target) {
            let (standing, changed) = (record.standing, record.changed);
            let always = record.report.outcome == Outcome::Always;
            return Ok(Target { index: target, standing, changed, ran: record.ran(), always });
        }
        let mut always = false;
        let (standing, changed) = match self.decide(target, depth + 1) {
            Ok(Decision::Act(steps)) => {
                always = steps.iter().all(|step| step.always);
                (Standing::Met, Changed::Yes)
            }
            Ok(Decision::Rest(_) | Decision::NotAsked(_)) => (Standing::Met, Changed::No),
            Ok(_) => (Standing::Broken, Changed::No),
            Err(stop @ (Stop::Ask(_) | Stop::UnderWay)) => return Err(stop),
            Err(Stop::Failed(_)) if self.is_certain(target) => (Standing::Broken, Changed::No),
            Err(_) => (Standing::Open, Changed::Maybe),
        };
        Ok(Target { index: target, standing, changed, ran: true, always })
    }

    /// Whether no change that is only predicted can keep a state from failing.
    fn is_certain(&self, index: usize) -> bool {
        self.pending.is_none_or(|pending| pending.before(self.run, index, self.records).is_none())
    }

    /// What the state names, by kind, as it ended, or as it would.
    fn requisites(&self, index: usize, depth: usize) -> Result<Requisites, Stop> {
        let mut requisites = Vec::new();
        for kind in RequisiteKind::ALL.into_iter().filter(|kind| kind.waits() && self.has(index, *kind)) {
            let targets = self.run.plan.graph.targets(index, kind);
            let prospects = targets.into_iter().map(|target| self.prospect(target, depth));
            requisites.push((kind, prospects.collect::<Result<Vec<_>, Stop>>()?));
        }
        Ok(requisites)
    }

    fn verdict(&self, index: usize, requisites: &Requisites) -> Result<Verdict, Stop> {
        Ok(match verdict(requisites) {
            Verdict::NotAsked(Onchanges | OnchangesAny) if self.is_owed(index, requisites)? => Verdict::Run,
            said => said,
        })
    }

    /// Whether an earlier run has left undone what a change asked of a state under `onchanges`. While something that the
    /// state names is broken, that has to wait.
    fn is_owed(&self, index: usize, requisites: &Requisites) -> Result<bool, Stop> {
        let mut targets = requisites.iter().flat_map(|(_, targets)| targets);
        Ok(!targets.any(|target| target.standing == Standing::Broken) && self.owed(index)?.is_some())
    }

    fn has(&self, index: usize, kind: RequisiteKind) -> bool {
        self.run.plan.graph.requisites(index).iter().any(|requisite| requisite.kind == kind)
    }

    fn id(&self, index: usize) -> &str {
        &self.run.plan.graph.chunks()[index].id
    }

    fn open(&self, kind: RequisiteKind, target: usize) -> Stop {
        let (kind, id) = (kind.name(), self.id(target));
        Stop::Unknown(format!("`{kind}` names `{id}`, which cannot be told yet"))
    }

    fn unmet(&self, kind: RequisiteKind, target: usize) -> String {
        match kind {
            RequireAny | WatchAny => format!("`{}`: none of what it names is met", kind.name()),
            _ => format!("`{}` of `{}` is not met", kind.name(), self.id(target)),
        }
    }
}

fn not_asked(kind: RequisiteKind) -> String {
    let what = match kind {
        Prereq => "is going to change",
        Onchanges | OnchangesAny => "has changed",
        _ => "has failed",
    };
    format!("nothing that it names under `{}` {what}", kind.name())
}

/// The steps of a refresh, with the reason for it. `always`: it comes in every run.
fn refreshing(mut steps: Vec<Step>, reason: &str, always: bool) -> Vec<Step> {
    for step in &mut steps {
        step.refresh = true;
        step.always = always;
    }
    with_reason(steps, reason)
}

fn with_reason(mut steps: Vec<Step>, reason: &str) -> Vec<Step> {
    for change in steps.iter_mut().flat_map(|step| &mut step.changes) {
        change.subject = format!("{} ({reason})", change.subject);
    }
    steps
}
