//! Getting targets ready: grains, then compiling and answering what templates ask, until nothing is open.

use std::sync::Arc;

use kstate_core::kept::{self, Claim, Kept, Taken};
use kstate_core::suspicion::{self, States};
use kstate_core::{
    Call, Connect, Event, HostReport, Job, Map, Output, Plan, Planned, Problem, Reply, Sink, StateReport,
    Transport, Value, side_by_side,
};
use kstate_sls::{Answers, Below, Compiled, Minion, Request, Target, names};

use super::Session;
use super::connect::{lost, unreachable};
use crate::answers::{Host, refuse_endless};
use crate::error::CommandError;
use crate::{remembered, token};

/// A target whose states are ready to run.
pub(crate) struct Ready {
    pub(crate) target: String,
    pub(crate) transport: Option<Box<dyn Transport>>,
    /// Opens another connection when that one is lost.
    pub(crate) connect: Option<Arc<dyn Connect>>,
    pub(crate) grains: Map,
    pub(crate) compiled: Compiled,
    /// `None`: it does not compile, see the problems.
    pub(crate) plan: Option<Plan>,
    /// What was shown of it before it is changed.
    pub(crate) shown: Option<Vec<StateReport>>,
    /// It has to be as it was shown, or nothing is changed.
    pub(crate) is_planned: bool,
    /// Without a plan: what could be made of each chunk.
    pub(crate) loose: Vec<Option<Planned>>,
    pub(crate) problems: Vec<Problem>,
    /// What is not wrong, and hardly meant. Looked for only where no host is contacted.
    pub(crate) suspicions: Vec<Problem>,
    /// Where the grains come from, if not from the host or a file.
    pub(crate) stand_in: Option<String>,
    /// What came of the host's token. `None`: nobody has asked for it.
    pub(crate) token: Option<Taken>,
    /// What the token is asked for.
    pub(crate) claim: Claim,
    /// What tells the machine from others. `None`: it was not asked.
    pub(crate) machine: Option<String>,
}

/// What came of getting a target ready.
pub(crate) enum Prepared {
    Ready(Box<Ready>),
    /// The expression or the top file does not mean this host.
    NotMeant,
    /// It could not be reached, or could not tell what was asked.
    Lost(Box<HostReport>),
}

/// Whether a target is meant.
enum Meant {
    Yes,
    No,
    /// It hangs on what the host answers.
    HangsOn(Vec<Call>),
}

impl Meant {
    /// What hangs on calls, unless one was refused.
    fn hangs_on(calls: Vec<Call>, answers: &Answers) -> Meant {
        let is_open = calls.iter().any(|call| answers.get(&call.to_string()).is_none());
        if is_open { Meant::HangsOn(calls) } else { Meant::Yes }
    }
}

/// Where grains come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contact {
    /// From the host.
    Host,
    /// From the host, whose token is taken along with them.
    Work,
    /// From the host, unless `--grains` stands for it.
    IfNeeded,
    /// Never from the host: a file, what is remembered, or a stand-in.
    Never,
    /// Likewise; and what templates ask of the host has to be answered in its stead.
    StoodFor,
}

impl Session<'_> {
    /// Gets all targets ready, side by side, and does `work` with each while it is connected.
    pub(crate) fn with_each<R: Send>(
        &self,
        sls: &[String],
        contact: Contact,
        work: impl Fn(Prepared) -> R + Sync,
    ) -> Result<Vec<R>, CommandError> {
        let targets = self.targets(sls)?;
        let connect: Arc<dyn Connect> = self.connector(&targets)?.into();
        let jobs = if self.asks_host(contact) { self.jobs() } else { self.jobs_without_hosts() };
        let results = side_by_side(jobs, targets, |target| {
            let prepared = self.prepare(&target, sls, contact, &connect);
            let result = work(prepared);
            self.ui.ended(&target.name);
            result
        });
        Ok(results)
    }

    fn asks_host(&self, contact: Contact) -> bool {
        match contact {
            Contact::Host | Contact::Work => true,
            Contact::IfNeeded => self.grains.is_none(),
            Contact::Never | Contact::StoodFor => false,
        }
    }

    fn prepare(
        &self,
        target: &Target,
        sls: &[String],
        contact: Contact,
        connect: &Arc<dyn Connect>,
    ) -> Prepared {
        let name = target.name.as_str();
        let asks_host = self.asks_host(contact);
        if !asks_host && self.interrupt.is_raised() {
            return self.lost(lost(name, "interrupted".into(), None));
        }
        let mut transport = None;
        if asks_host {
            self.ui.event(name, Event::Connecting);
            match connect.connect(name) {
                Ok(connection) => transport = Some(connection),
                Err(error) => return self.lost(unreachable(name, error)),
            }
            self.ui.event(name, Event::Connected);
        }
        let compile = |request: &Request<'_>| match self.meant(request) {
            Meant::Yes => Ok(self.tree.compile(request)),
            other => Err(other),
        };
        let mut prepared = self.rounds(target, sls, contact, transport, &compile);
        if let Prepared::Ready(ready) = &mut prepared {
            ready.connect = Some(connect.clone());
        }
        prepared
    }

    /// Compiles one SLS for a target, whatever the top file says, below a pillar that has been compiled. No host is
    /// contacted.
    pub(crate) fn alone(&self, target: &Target, sls: &str, below: &Below) -> Prepared {
        let compile = |request: &Request<'_>| Ok(self.tree.compile_below(request, below));
        self.rounds(target, &[sls.to_owned()], Contact::Never, None, &compile)
    }

    /// Compiles, answers what the templates ask, and compiles again, until nothing is open.
    fn rounds(
        &self,
        target: &Target,
        sls: &[String],
        contact: Contact,
        mut transport: Option<Box<dyn Transport>>,
        compile: &dyn Fn(&Request<'_>) -> Result<Compiled, Meant>,
    ) -> Prepared {
        let name = target.name.as_str();
        let claim = self.claim(target, sls);
        let takes = contact == Contact::Work && self.place().is_none();
        let rider = match contact {
            Contact::Work if takes => Some(claim.take()),
            Contact::IfNeeded => Some(kept::token::look(&claim.logins)),
            // It goes along with the grains, and costs no round trip of its own.
            Contact::Host | Contact::Work if self.grains.is_none() => Some(kept::token::machine()),
            _ => None,
        };
        let known = match self.known_of(target, transport.as_deref_mut(), rider) {
            Ok(known) => known,
            Err(reason) => return self.lost(lost(name, reason, transport.as_deref())),
        };
        let Known { grains, stand_in, reply } = known;
        let token = reply.as_ref().filter(|_| takes).map(Taken::read);
        let whole = |reply: &Reply| kept::read(&Reply { status: 0, ..reply.clone() }).ok();
        let kept = reply.as_ref().and_then(whole).unwrap_or_default();
        self.tell_token(name, contact, &kept);
        let pillar = merged(&target.pillar, &self.pillar);
        let mut answers = self.answering.answers();
        let mut rounds = 0;
        loop {
            let request = Request { target: name, grains: &grains, pillar: &pillar, sls, answers: &answers };
            let declared = self.ui.signals.compiling(&mut transport, takes.then_some(&claim), || {
                compile(&request).map(|compiled| self.declare(&request, compiled, contact))
            });
            let (ready, calls) = match declared {
                Ok(declared) => declared,
                Err(Meant::HangsOn(calls)) => (None, calls),
                Err(_) => {
                    // It was taken before that was known.
                    give_back(transport, &claim, token.as_ref());
                    return Prepared::NotMeant;
                }
            };
            let open: Vec<Call> =
                calls.into_iter().filter(|call| answers.get(&call.to_string()).is_none()).collect();
            if let Some(ready) = ready
                && (open.is_empty() || answers.has_errors())
            {
                let (grains, machine) = (grains.clone(), kept.machine);
                let ready = Ready { transport, grains, stand_in, token, claim, machine, ..ready };
                return Prepared::Ready(Box::new(ready));
            }
            // Each round may bring templates further, and so to new questions.
            const ROUNDS: usize = 20;
            if rounds == ROUNDS {
                refuse_endless(&open, ROUNDS, &mut answers);
                continue;
            }
            rounds += 1;
            let host = match (transport.as_deref_mut(), contact) {
                (Some(transport), _) => Host::Connected(transport),
                (None, Contact::Never) => Host::NotWanted,
                (None, _) => Host::StoodFor,
            };
            if let Err(error) = self.answering.answer(&open, host, &mut answers) {
                let report = lost(name, error.to_string(), transport.as_deref());
                give_back(transport, &claim, token.as_ref());
                return self.lost(report);
            }
        }
    }

    /// Tells who has the token, where nothing else will, and which claims are not heeded.
    fn tell_token(&self, target: &str, contact: Contact, kept: &Kept) {
        if contact == Contact::IfNeeded {
            let holders = kept.token.holders(kept);
            holders.iter().for_each(|holder| self.ui.talk(&format!("{target}: the token is {holder}")));
        }
        kept.token.unheeded(kept).iter().for_each(|note| self.ui.talk(&format!("note: {target}: {note}")));
    }

    fn lost(&self, report: HostReport) -> Prepared {
        Prepared::Lost(Box::new(HostReport { interrupted: self.interrupt.is_raised(), ..report }))
    }

    /// Whether grains and pillar say that the host is meant, where the name alone could not. A call that was refused
    /// does not speak against it, nor does a pillar that is broken: the compiler tells of it.
    fn meant(&self, request: &Request<'_>) -> Meant {
        let by_top_file = self.expression.is_none() && !request.sls.is_empty();
        let expression = self.expression.as_ref().filter(|expression| expression.asks_for_data());
        if self.options.local || (expression.is_none() && !by_top_file) {
            return Meant::Yes;
        }
        let Compiled { pillar, calls, pillar_is_partial, .. } = self.tree.pillar(request);
        if !calls.is_empty() {
            return Meant::hangs_on(calls, request.answers);
        }
        let Some(expression) = expression else {
            let top = self.tree.top(request, &pillar);
            if !top.calls.is_empty() {
                return Meant::hangs_on(top.calls, request.answers);
            }
            let is_named = top.entries.iter().any(|entry| names(&entry.name, request.sls));
            let is_certain = !pillar_is_partial && top.problems.is_empty();
            return if is_named || !is_certain { Meant::Yes } else { Meant::No };
        };
        let minion = Minion { id: request.target, grains: request.grains, pillar: &pillar };
        let is_meant = pillar_is_partial || expression.matches(&minion).unwrap_or(true);
        if is_meant { Meant::Yes } else { Meant::No }
    }

    /// Compiles, and makes resources of the chunks; with what the templates ask the host.
    fn declare(
        &self,
        request: &Request<'_>,
        mut compiled: Compiled,
        contact: Contact,
    ) -> (Option<Ready>, Vec<Call>) {
        let secrets = self.secrets(compiled.secrets.iter().cloned());
        compiled.problems = compiled.problems.iter().map(|problem| secrets.mask_problem(problem)).collect();
        let mut problems = compiled.problems.clone();
        let mut calls = compiled.calls.clone();
        let sources = self.tree.sources(request, &compiled);
        let mut states: Vec<Option<Planned>> = Vec::new();
        let fails_hard = self.tree.root().options.failhard;
        for chunk in compiled.chunks() {
            states.push(match kstate_modules::declare(chunk, &sources) {
                // What the pillar lacks may stand in the part of it that could not be read.
                Err(_) if sources.missed() => None,
                Ok(declared) => {
                    problems.extend(declared.warnings.iter().map(|problem| secrets.mask_problem(problem)));
                    let mut conditions = declared.conditions;
                    conditions.failhard |= fails_hard && chunk.argument("failhard").is_none();
                    Some(Planned { resource: declared.resource, conditions })
                }
                Err(more) => {
                    problems.extend(more.iter().map(|problem| secrets.mask_problem(problem)));
                    None
                }
            });
        }
        let mut suspicions = Vec::new();
        if contact == Contact::Never {
            let (chunks, graph) = (compiled.chunks(), compiled.graph.as_deref());
            suspicions = suspicion::look(&States { chunks, planned: &states, graph });
            suspicions.append(&mut compiled.suspicions);
            suspicions = suspicions.iter().map(|problem| secrets.mask_problem(problem)).collect();
        }
        calls.extend(sources.calls());
        Problem::tidy(&mut problems);
        self.ignored.apply(&mut problems);
        self.ignored.apply(&mut suspicions);
        let is_whole = states.iter().all(Option::is_some);
        let (plan, loose) = match compiled.graph.clone().filter(|_| is_whole) {
            Some(graph) => {
                let states = states.into_iter().flatten().collect();
                (Some(Plan::new(graph, states, secrets)), Vec::new())
            }
            None => (None, states),
        };
        let ready = Ready {
            target: request.target.to_owned(),
            transport: None,
            connect: None,
            grains: Map::new(),
            compiled,
            plan,
            shown: None,
            is_planned: false,
            loose,
            problems,
            suspicions,
            stand_in: None,
            token: None,
            claim: Claim::default(),
            machine: None,
        };
        (Some(ready), calls)
    }

    /// The grains of a target. `rider` goes along where the host is asked.
    fn known_of(
        &self,
        target: &Target,
        transport: Option<&mut (dyn Transport + '_)>,
        rider: Option<Job>,
    ) -> Result<Known, String> {
        let mut jobs = Vec::new();
        if self.grains.is_none() {
            jobs.push(kstate_modules::grains::job());
        }
        let before = jobs.len();
        jobs.extend(rider);
        let mut said = String::new();
        let mut waits = |output: Output<'_>| {
            if output.bytes.is_empty() {
                let what = jobs[output.job].limit.as_ref().map(|limit| limit.waiting_for.clone());
                let what = what.unwrap_or_else(|| "the token".to_owned());
                self.ui.event(&target.name, Event::Waiting { what });
            }
            if output.job == before && output.stderr {
                said.push_str(&String::from_utf8_lossy(output.bytes));
                while let Some((line, rest)) = said.split_once('\n') {
                    self.ui.talk(&format!("{}: {line}", target.name));
                    said = rest.to_owned();
                }
            }
        };
        let is_asked = transport.is_some();
        let mut replies = match transport {
            Some(transport) if !jobs.is_empty() => {
                transport.exchange(&jobs, &mut waits).map_err(|e| e.to_string())?
            }
            _ => Vec::new(),
        };
        let reply = (replies.len() > before).then(|| replies.pop()).flatten();
        let (own, stand_in) = match &self.grains {
            Some(given) => (given.clone(), None),
            None if is_asked => (self.own_grains(target, &replies.pop().unwrap_or_default())?, None),
            None => remembered::load(&self.tree.root().dir, &target.name),
        };
        let mut grains = merged(&own, &target.grains);
        grains.insert("id", target.name.as_str());
        Ok(Known { grains, stand_in, reply })
    }

    /// What the host itself has told, which is remembered.
    fn own_grains(&self, target: &Target, reply: &Reply) -> Result<Map, String> {
        match kstate_modules::grains::read(reply).map_err(|error| error.to_string())? {
            Value::Map(grains) => {
                remembered::store(&self.tree.root().dir, &target.name, &grains);
                Ok(grains)
            }
            other => Err(format!("the grains are {}", other.kind())),
        }
    }
}

/// Gives a token back that was taken for nothing. Where that fails, the host knows that the run is over.
fn give_back(transport: Option<Box<dyn Transport>>, claim: &Claim, token: Option<&Taken>) {
    if let (Some(Taken::Yes), Some(mut transport)) = (token, transport) {
        let _ = token::surely(transport.as_mut(), claim.give_back());
    }
}

/// What is known of a target before anything is compiled for it.
struct Known {
    grains: Map,
    /// What the grains stand in for, if they are not the target's own.
    stand_in: Option<String>,
    /// What the host said to the job that went along.
    reply: Option<Reply>,
}

/// `over` merged over `under`, mappings into mappings.
fn merged(under: &Map, over: &Map) -> Map {
    let mut all = under.clone();
    for (key, value) in over.iter() {
        let value = match (all.get_key(key), value) {
            (Some(Value::Map(below)), Value::Map(above)) => Value::Map(merged(below, above)),
            _ => value.clone(),
        };
        all.insert(key.clone(), value);
    }
    all
}
