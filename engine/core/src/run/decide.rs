//! What is to be done about one state, given what is known and what has become of the states before it.

use super::HostRun;
use super::records::{Changed, Records, Standing};
use crate::{Facts, Hold, Lack, RequisiteKind, Step, Stop, needs, ways};

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

/// Decides on the state at `index`. Pure: stops where something has to be asked or awaited first.
pub(super) fn decide(
    run: &HostRun<'_>,
    index: usize,
    facts: &Facts,
    records: &Records,
) -> Result<Decision, Stop> {
    Decider { run, facts, records }.decide(index, 0)
}

/// What is to be done after a run because a state listens to one that has changed.
pub(super) fn listened(
    run: &HostRun<'_>,
    index: usize,
    facts: &Facts,
    records: &Records,
) -> Result<Vec<Step>, Stop> {
    let targets = run.plan.graph.targets(index, RequisiteKind::Listen);
    if !records.get(index).is_some_and(|record| record.standing == Standing::Met) {
        return Ok(Vec::new());
    }
    let decider = Decider { run, facts, records };
    let changed =
        |target: &&usize| records.get(**target).is_some_and(|record| record.changed == Changed::Yes);
    match targets.iter().find(changed) {
        Some(target) => decider.refresh_steps(index, &decider.because(*target)),
        None => Ok(Vec::new()),
    }
}

struct Decider<'a> {
    run: &'a HostRun<'a>,
    facts: &'a Facts,
    records: &'a Records,
}

/// What one requisite list says.
enum Verdict {
    Run,
    NotAsked(String),
    Unmet(String),
}

/// Prospects of prospects: no tree needs as many.
const DEPTH: usize = 40;

impl Decider<'_> {
    fn decide(&self, index: usize, depth: usize) -> Result<Decision, Stop> {
        if depth > DEPTH {
            return Err(Stop::Failed("its `prereq` leads too far".into()));
        }
        match self.requisites(index, depth)? {
            Verdict::Run => {}
            Verdict::NotAsked(reason) => return Ok(Decision::NotAsked(reason)),
            Verdict::Unmet(reason) => return Ok(Decision::Unmet(reason)),
        }
        match &self.facts.lack {
            Some(lack) => self.with(lack, index, depth),
            None => self.difference(index, depth),
        }
    }

    /// What is to be done with the logins that there are.
    fn with(&self, lack: &Lack, index: usize, depth: usize) -> Result<Decision, Stop> {
        let chunk = &self.run.plan.graph.chunks()[index];
        if lack.bars_asking(&self.run.plan.states[index]) {
            return Ok(Decision::Barred(lack.reason()));
        }
        match self.difference(index, depth) {
            Ok(Decision::Act(steps)) if lack.bars_making(chunk, &steps) => {
                Ok(Decision::Barred(lack.reason()))
            }
            Err(Stop::Failed(reason)) if !lack.owns(chunk) => {
                Ok(Decision::Barred(format!("{} ({reason})", lack.reason())))
            }
            decided => decided,
        }
    }

    fn difference(&self, index: usize, depth: usize) -> Result<Decision, Stop> {
        let state = &self.run.plan.states[index];
        if let Some(reason) = state.conditions.hold(self.facts)? {
            return Ok(Decision::Rest(Some(reason)));
        }
        let mut steps = state.resource.diff(self.facts)?;
        // What others ask for is no more due every time.
        if state.conditions.is_guarded() || self.run.plan.graph.is_asked_for(index) {
            for step in &mut steps {
                step.always = false;
            }
        }
        if steps.is_empty() {
            steps = self.refresh(index, depth)?;
        }
        if steps.is_empty() {
            return Ok(Decision::Rest(None));
        }
        ways::check(&steps, self.facts)?;
        needs::check(&steps, self.facts)?;
        ways::show(&mut steps, self.facts);
        let holds = self.run.holds(index, self.facts);
        let is_held = holds.iter().any(|hold| !hold.accepted);
        Ok(if is_held { Decision::Held(steps, holds) } else { Decision::Act(steps) })
    }

    /// A watched change has an effect of its own only on a state that is as declared.
    fn refresh(&self, index: usize, depth: usize) -> Result<Vec<Step>, Stop> {
        let mut watched = self.run.plan.graph.targets(index, RequisiteKind::Watch);
        watched.extend(self.run.plan.graph.targets(index, RequisiteKind::WatchAny));
        let is_asked = !watched.is_empty() || self.has(index, RequisiteKind::Listen);
        if is_asked && let Some(owed) = self.owed(index)? {
            return self.refresh_steps(index, &owed);
        }
        let mut open = None;
        for target in watched {
            match self.prospect(target, depth)?.1 {
                Changed::Yes => return self.refresh_steps(index, &self.because(target)),
                Changed::Maybe => open = Some(target),
                Changed::No => {}
            }
        }
        match open {
            Some(target) if !self.run.plan.states[index].resource.refresh(self.facts)?.is_empty() => {
                Err(Stop::Unknown(format!("watches `{}`, which cannot be told yet", self.id(target))))
            }
            _ => Ok(Vec::new()),
        }
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

    fn refresh_steps(&self, index: usize, reason: &str) -> Result<Vec<Step>, Stop> {
        let mut steps = self.run.plan.states[index].resource.refresh(self.facts)?;
        for step in &mut steps {
            step.refresh = true;
            for change in &mut step.changes {
                change.subject = format!("{} ({reason})", change.subject);
            }
        }
        Ok(steps)
    }

    /// What has become of a state, or would, if it has not been its turn.
    fn prospect(&self, target: usize, depth: usize) -> Result<(Standing, Changed), Stop> {
        if self.records.is_under_way(target) {
            return Err(Stop::UnderWay);
        }
        if let Some(record) = self.records.get(target) {
            return Ok((record.standing, record.changed));
        }
        Ok(match self.decide(target, depth + 1)? {
            Decision::Act(_) => (Standing::Met, Changed::Yes),
            Decision::Rest(_) | Decision::NotAsked(_) => (Standing::Met, Changed::No),
            Decision::Unmet(_) | Decision::Barred(_) | Decision::Held(..) => (Standing::Broken, Changed::No),
        })
    }

    fn requisites(&self, index: usize, depth: usize) -> Result<Verdict, Stop> {
        use RequisiteKind::{
            Around, Listen, Onchanges, OnchangesAny, Onfail, OnfailAll, OnfailAny, Prereq, Require,
            RequireAny, Watch, WatchAny,
        };
        let mut verdict = Verdict::Run;
        for kind in RequisiteKind::ALL.into_iter().filter(|kind| kind.waits()) {
            let targets = self.run.plan.graph.targets(index, kind);
            if !self.has(index, kind) {
                continue;
            }
            let mut prospects = Vec::with_capacity(targets.len());
            for target in targets {
                let (standing, changed) = self.prospect(target, depth)?;
                prospects.push(Prospect { target, standing, changed });
            }
            let one = match kind {
                Require | Watch => self.all_met(kind, &prospects)?,
                RequireAny | WatchAny => self.any_met(kind, &prospects)?,
                Onchanges | OnchangesAny => self.any_changed(kind, &prospects)?,
                Prereq => self.any_will_change(&prospects)?,
                Onfail | OnfailAny => self.failed(kind, &prospects, false)?,
                OnfailAll => self.failed(kind, &prospects, true)?,
                // A listener reacts after the run, whatever has become of the others; a bracket does what its states do.
                Listen | Around => Verdict::Run,
            };
            match one {
                Verdict::Unmet(reason) => return Ok(Verdict::Unmet(reason)),
                Verdict::NotAsked(reason) => verdict = Verdict::NotAsked(reason),
                Verdict::Run => {}
            }
        }
        Ok(verdict)
    }

    fn has(&self, index: usize, kind: RequisiteKind) -> bool {
        self.run.plan.graph.requisites(index).iter().any(|requisite| requisite.kind == kind)
    }

    fn id(&self, index: usize) -> &str {
        &self.run.plan.graph.chunks()[index].id
    }

    fn open(&self, kind: RequisiteKind, prospect: &Prospect) -> Stop {
        Stop::Unknown(format!(
            "`{}` names `{}`, which cannot be told yet",
            kind.name(),
            self.id(prospect.target)
        ))
    }

    fn all_met(&self, kind: RequisiteKind, prospects: &[Prospect]) -> Result<Verdict, Stop> {
        match prospects.iter().find(|p| p.standing == Standing::Broken) {
            Some(broken) => {
                Ok(Verdict::Unmet(format!("`{}` of `{}` is not met", kind.name(), self.id(broken.target))))
            }
            // What is required and cannot be told yet hinders nothing: the change itself can be told.
            None => Ok(Verdict::Run),
        }
    }

    fn any_met(&self, kind: RequisiteKind, prospects: &[Prospect]) -> Result<Verdict, Stop> {
        if prospects.is_empty() || prospects.iter().any(|p| p.standing != Standing::Broken) {
            return Ok(Verdict::Run);
        }
        Ok(Verdict::Unmet(format!("`{}`: none of what it names is met", kind.name())))
    }

    fn any_changed(&self, kind: RequisiteKind, prospects: &[Prospect]) -> Result<Verdict, Stop> {
        if let Some(broken) = prospects.iter().find(|p| p.standing == Standing::Broken) {
            return Ok(Verdict::Unmet(format!(
                "`{}` of `{}` is not met",
                kind.name(),
                self.id(broken.target)
            )));
        }
        if prospects.iter().any(|p| p.changed == Changed::Yes) {
            return Ok(Verdict::Run);
        }
        match prospects.iter().find(|p| p.changed == Changed::Maybe) {
            Some(open) => Err(self.open(kind, open)),
            None => Ok(Verdict::NotAsked("nothing that it names under `onchanges` has changed".into())),
        }
    }

    fn any_will_change(&self, prospects: &[Prospect]) -> Result<Verdict, Stop> {
        if prospects.iter().any(|p| p.changed == Changed::Yes) {
            return Ok(Verdict::Run);
        }
        match prospects.iter().find(|p| p.changed == Changed::Maybe) {
            Some(open) => Err(self.open(RequisiteKind::Prereq, open)),
            None => Ok(Verdict::NotAsked("nothing that it names under `prereq` is going to change".into())),
        }
    }

    fn failed(&self, kind: RequisiteKind, prospects: &[Prospect], all: bool) -> Result<Verdict, Stop> {
        if let Some(open) = prospects.iter().find(|p| p.standing == Standing::Open) {
            return Err(self.open(kind, open));
        }
        let mut failures = prospects.iter().map(|p| p.standing == Standing::Broken);
        let asked = if all { failures.all(|failed| failed) } else { failures.any(|failed| failed) };
        Ok(if asked {
            Verdict::Run
        } else {
            Verdict::NotAsked("nothing that it names under `onfail` has failed".into())
        })
    }
}

struct Prospect {
    target: usize,
    standing: Standing,
    changed: Changed,
}
