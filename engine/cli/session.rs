//! From what was typed to hosts that are ready to run: tree, roster, targets, connections, compiled plans.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kstate_core::kept::{self, Claim, Taken};
use kstate_core::suspicion::{self, States};
use kstate_core::{
    Call, Connect, ConnectError, Event, HostReport, Interrupt, Job, Map, Output, Plan, Planned, Problem,
    Reply, Secrets, Sink, StateReport, Transport, Value, nearest, side_by_side,
};
use kstate_sls::{
    Answers, Below, Compiled, Expression, Minion, NamedLogin, Request, Root, Target, Tree, find_root, names,
};
use kstate_ssh::{Local, Login, Logins, Ssh, SshSettings};

use crate::answers::{Answering, Host, refuse_endless};
use crate::args::Global;
use crate::diagnostics::Diagnostics;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ignored::Ignored;
use crate::remembered;
use crate::token::{self, Keeper, Lease};
use crate::ui::{Ui, count};

/// Everything that all targets share.
pub(crate) struct Session<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) tree: Tree,
    pub(crate) interrupt: Interrupt,
    /// The name of this run: when, and which process.
    pub(crate) run: String,
    /// Paths for which no change is held.
    pub(crate) accepted: Vec<String>,
    targets: Vec<Target>,
    /// What is wrong with the roster.
    pub(crate) problems: Vec<Problem>,
    options: &'a Global,
    expression: Option<Expression>,
    /// Grains that stand for the hosts'.
    grains: Option<Map>,
    pillar: Map,
    answering: Answering,
    ignored: Ignored,
    /// Names that everybody knows.
    public: OnceLock<Arc<BTreeSet<String>>>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("tree", &self.tree).finish_non_exhaustive()
    }
}

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
}

/// A host that is connected, and nothing more.
pub(crate) struct Reached {
    pub(crate) target: String,
    pub(crate) transport: Box<dyn Transport>,
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

impl<'a> Session<'a> {
    pub(crate) fn open(options: &'a Global, ui: &'a Ui, interrupt: Interrupt) -> Result<Self, CommandError> {
        let folder = root_folder(options)?;
        let root = Root::open(&folder).map_err(|problems| CommandError::problems(&folder, problems))?;
        Session::of(Tree::new(root), options, ui, interrupt)
    }

    pub(crate) fn of(
        tree: Tree,
        options: &'a Global,
        ui: &'a Ui,
        interrupt: Interrupt,
    ) -> Result<Self, CommandError> {
        let ignored = Ignored::new(&tree.root().dir);
        let (targets, problems) =
            if options.local { (vec![this_machine()], Vec::new()) } else { tree.roster() };
        let expression = match &options.target {
            Some(text) if options.list => Some(Expression::list(text)),
            Some(text) => Some(Expression::compound(text)),
            None => None,
        };
        let pillar = match &options.pillar {
            Some(text) => pillar(text)?,
            None => Map::new(),
        };
        let grains = options.grains.as_deref().map(grains_file).transpose()?;
        let answering = Answering::new(options.exec_fixture.as_deref())?;
        Ok(Session {
            ui,
            tree,
            interrupt,
            run: run_name(),
            accepted: Vec::new(),
            targets,
            problems,
            options,
            expression,
            grains,
            pillar,
            answering,
            ignored,
            public: OnceLock::new(),
        })
    }

    /// Holds no change for these paths.
    #[must_use]
    pub(crate) fn accepting(self, paths: &[String]) -> Self {
        Session { accepted: paths.to_vec(), ..self }
    }

    /// Whether the roster has a host of this name.
    pub(crate) fn knows(&self, target: &str) -> bool {
        self.targets.iter().any(|known| known.name == target)
    }

    /// The names of the roster, in its order.
    pub(crate) fn roster(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.name.as_str())
    }

    /// Whether only grains or pillar tell which hosts are meant.
    pub(crate) fn is_chosen_by_data(&self) -> bool {
        self.expression.as_ref().is_some_and(Expression::asks_for_data)
    }

    /// Means these hosts from now on.
    pub(crate) fn choose(&mut self, names: &[&str]) {
        self.expression = Some(Expression::list(names.join(",")));
    }

    /// The targets that may be meant, as far as that can be told without asking them.
    pub(crate) fn targets(&self, sls: &[String]) -> Result<Vec<Target>, CommandError> {
        if self.options.local {
            return Ok(self.targets.clone());
        }
        let mut meant = Vec::new();
        for target in &self.targets {
            let is_meant = match &self.expression {
                Some(expression) => {
                    let map = Map::new();
                    let minion = Minion { id: &target.name, grains: &map, pillar: &map };
                    let fits = expression.matches(&minion);
                    // What is not well formed shows without the data, too.
                    fits.map_err(|error| CommandError::usage(error.to_string()))?
                        || expression.asks_for_data()
                }
                None => sls.is_empty() || self.tree.may_name(&target.name, sls),
            };
            if is_meant {
                meant.push(target.clone());
            }
        }
        if meant.is_empty() { Err(self.nothing_meant(sls)) } else { Ok(meant) }
    }

    /// Whether only some of the hosts are meant.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.options.local || self.expression.is_some()
    }

    /// What must not be shown; names that the tree and kstate itself give to things are no secrets.
    pub(crate) fn secrets(&self, texts: impl IntoIterator<Item = String>) -> Secrets {
        let secrets = Secrets::new(texts);
        if secrets.is_empty() {
            secrets
        } else {
            secrets.sparing(self.public.get_or_init(|| public(&self.tree)).clone())
        }
    }

    /// Tells what is suspicious in the roster; a mistake in it is an error.
    pub(crate) fn refuse_a_broken_roster(&self) -> Result<(), CommandError> {
        let dir = &self.tree.root().dir;
        if self.problems.iter().any(Problem::is_error) {
            return Err(CommandError::problems(dir, self.problems.clone()));
        }
        let mut diagnostics = Diagnostics::stored(dir, self.tree.storage().clone());
        self.problems.iter().for_each(|problem| self.ui.talk(&diagnostics.show(problem)));
        Ok(())
    }

    fn nothing_meant(&self, sls: &[String]) -> CommandError {
        if self.problems.iter().any(Problem::is_error) {
            return CommandError::problems(&self.tree.root().dir, self.problems.clone());
        }
        let roster: Vec<&str> = self.targets.iter().map(|target| target.name.as_str()).collect();
        let known = format!("the roster has: {}", roster.join(", "));
        match &self.options.target {
            Some(text) => {
                let error = CommandError::failed(format!("no host of the roster is `{text}`"));
                match nearest(text, roster.iter().copied(), 1).first() {
                    Some(near) => error.hint(format!("did you mean `{near}`?")).hint(known),
                    None => error.hint(known),
                }
            }
            None if roster.is_empty() => {
                CommandError::failed("the roster is empty").hint("write a line `name: address` for each host")
            }
            None => CommandError::failed(format!(
                "the top file names `{}` for no host of the roster",
                sls.join(" ")
            ))
            .hint("name hosts by `-t`, or the SLS in the top file")
            .hint(known),
        }
    }

    /// Grains, pillar and the top file leave nobody.
    pub(crate) fn nobody_fits(&self) -> CommandError {
        match &self.options.target {
            Some(text) => CommandError::failed(format!("`{text}` fits no host of the roster")),
            None => CommandError::failed("the top file gives this to no host of the roster"),
        }
    }

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

    /// Connects to all targets, side by side, and does `work` with each. A host that cannot be used has a report.
    pub(crate) fn with_hosts<R: Send>(
        &self,
        work: impl Fn(&mut Reached) -> Result<R, String> + Sync,
    ) -> Result<Vec<Result<R, Box<HostReport>>>, CommandError> {
        let targets = self.targets(&[])?;
        let connect: Arc<dyn Connect> = self.connector(&targets)?.into();
        Ok(side_by_side(self.jobs(), targets, |target| {
            let name = target.name;
            self.ui.event(&name, Event::Connecting);
            let result = match connect.connect(&name) {
                Ok(transport) => {
                    let mut host = Reached { target: name.clone(), transport };
                    work(&mut host).map_err(|reason| lost(&name, reason, Some(host.transport.as_ref())))
                }
                Err(error) => Err(unreachable(&name, error)),
            };
            self.ui.ended(&name);
            result
                .map_err(|report| Box::new(HostReport { interrupted: self.interrupt.is_raised(), ..report }))
        }))
    }

    /// Tells of a host that could not be used, and what that makes of the exit code.
    pub(crate) fn tell_lost(&self, report: &HostReport) -> Exit {
        let error = report.error.as_deref().unwrap_or_default();
        self.ui.error(&format!("{}: {error}", report.target), &report.hints);
        if report.interrupted { Exit::Interrupted } else { Exit::Unreachable }
    }

    /// For how long a host is tried again to which the connection was lost.
    pub(crate) fn patience(&self) -> Duration {
        const FIVE_MINUTES: Duration = Duration::from_secs(300);
        self.tree.root().ssh.reconnect.unwrap_or(FIVE_MINUTES)
    }

    /// How many hosts are worked on at a time.
    pub(crate) fn jobs(&self) -> usize {
        self.options.jobs.map(usize::from).or(self.tree.root().ssh.jobs).unwrap_or(32)
    }

    /// How many are worked on at a time where no host is waited for. More than there are processors would only take memory.
    pub(crate) fn jobs_without_hosts(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs().min(processors)
    }

    fn asks_host(&self, contact: Contact) -> bool {
        match contact {
            Contact::Host | Contact::Work => true,
            Contact::IfNeeded => self.grains.is_none(),
            Contact::Never | Contact::StoodFor => false,
        }
    }

    fn connector(&self, targets: &[Target]) -> Result<Box<dyn Connect>, CommandError> {
        if self.options.local {
            return Ok(Box::new(Local::new(self.interrupt.clone())));
        }
        let ssh = &self.tree.root().ssh;
        let logins: BTreeMap<String, Logins> =
            targets.iter().map(|target| (target.name.clone(), logins(target, ssh))).collect();
        let defaults = SshSettings::default();
        let settings = SshSettings {
            ssh_config: self.options.ssh_config.clone().or_else(|| ssh.config.clone()),
            connect_timeout: ssh.timeout.unwrap_or(defaults.connect_timeout),
            silence: ssh.keepalive.map_or(defaults.silence, |keepalive| keepalive * 3),
            passphrase: Ui::is_interactive().then(|| {
                let ask: kstate_ssh::AskPassphrase = std::sync::Arc::new(crate::ui::passphrase);
                ask
            }),
        };
        match Ssh::new(logins, settings, self.interrupt.clone()) {
            Ok(ssh) => Ok(Box::new(ssh)),
            Err(error) => {
                Err(CommandError::failed(format!("cannot start the threads of the connections: {error}")))
            }
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
        let claim = (contact == Contact::Work && self.place().is_none()).then(|| self.claim(sls));
        let rider = match (&claim, contact) {
            (Some(claim), _) => Some(claim.take()),
            (None, Contact::IfNeeded) => Some(kept::token::look()),
            _ => None,
        };
        let known = match self.known_of(target, transport.as_deref_mut(), rider) {
            Ok(known) => known,
            Err(reason) => return self.lost(lost(name, reason, transport.as_deref())),
        };
        let Known { grains, stand_in, reply } = known;
        let token = claim.as_ref().and(reply.as_ref()).map(Taken::read);
        if let (Contact::IfNeeded, Some(Ok(kept))) = (contact, reply.as_ref().map(kept::read)) {
            let holders = kept.token.holders(&kept);
            holders.iter().for_each(|holder| self.ui.talk(&format!("{name}: the token is {holder}")));
        }
        let pillar = merged(&target.pillar, &self.pillar);
        let mut answers = self.answering.answers();
        let mut rounds = 0;
        loop {
            let request = Request { target: name, grains: &grains, pillar: &pillar, sls, answers: &answers };
            let (ready, calls) = match compile(&request) {
                Ok(compiled) => self.declare(&request, compiled, contact),
                Err(Meant::HangsOn(calls)) => (None, calls),
                Err(_) => {
                    if let (Some(claim), Some(transport)) = (&claim, transport.as_deref_mut()) {
                        // It was taken before that was known.
                        let _ = token::surely(transport, claim.give_back());
                    }
                    return Prepared::NotMeant;
                }
            };
            let open: Vec<Call> =
                calls.into_iter().filter(|call| answers.get(&call.to_string()).is_none()).collect();
            if let Some(ready) = ready
                && (open.is_empty() || answers.has_errors())
            {
                let ready = Ready { transport, grains: grains.clone(), stand_in, token, ..ready };
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
                return self.lost(lost(name, error.to_string(), transport.as_deref()));
            }
        }
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
        for chunk in compiled.chunks() {
            states.push(match kstate_modules::declare(chunk, &sources) {
                // What the pillar lacks may stand in the part of it that could not be read.
                Err(_) if sources.missed() => None,
                Ok(declared) => {
                    problems.extend(declared.warnings.iter().map(|problem| secrets.mask_problem(problem)));
                    Some(Planned { resource: declared.resource, conditions: declared.conditions })
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
                (Some(Plan { graph, states, secrets }), Vec::new())
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

    /// What this run asks a host's token for.
    pub(crate) fn claim(&self, sls: &[String]) -> Claim {
        let words: Vec<&str> = ["apply"].into_iter().chain(sls.iter().map(String::as_str)).collect();
        Claim { owner: token::owner(), reason: words.join(" "), run: self.run.clone() }
    }

    /// The host that has the token for all, if there is one.
    pub(crate) fn place(&self) -> Option<&str> {
        self.tree.root().token_host.as_deref().filter(|_| !self.options.local)
    }

    /// Takes the token at its place, where it has one, for as long as the lease lives.
    pub(crate) fn lease(&self, sls: &[String]) -> Result<Option<Lease>, CommandError> {
        let Some(place) = self.place() else { return Ok(None) };
        let target =
            self.targets.iter().find(|target| target.name == place).ok_or_else(|| unknown_place(place))?;
        let connect: Arc<dyn Connect> = self.connector(std::slice::from_ref(target))?.into();
        let unreachable = |message: String| CommandError {
            exit: Exit::Unreachable,
            ..CommandError::failed(format!("the token cannot be taken on {place}: {message}"))
        };
        let mut transport = connect.connect(place).map_err(|error| unreachable(error.message))?;
        let claim = self.claim(sls);
        let reply = token::surely(transport.as_mut(), claim.take())
            .map_err(|error| unreachable(error.to_string()))?;
        if let Some(problem) = token::refusal(place, &Taken::read(&reply)) {
            let refused = CommandError::failed(format!("nothing is changed: {}", problem.message));
            return Err(problem.hints.into_iter().fold(refused, CommandError::hint));
        }
        let interrupt = self.interrupt.clone();
        Ok(Some(Lease::keep(Keeper { place: place.to_owned(), claim, transport, connect, interrupt })))
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

pub(crate) fn unknown_place(place: &str) -> CommandError {
    CommandError::failed(format!("the roster has no host `{place}`, which is to have the token"))
        .hint("`token: host:` in kstate.yaml names it")
}

/// The names of state functions, of their arguments and of SLS.
fn public(tree: &Tree) -> Arc<BTreeSet<String>> {
    let functions = kstate_modules::FUNCTIONS.iter();
    let names = functions.flat_map(|function| function.arguments().iter().copied().chain([function.name]));
    let sls = tree.files().sls_names().iter().cloned();
    Arc::new(names.map(str::to_owned).chain(sls).collect())
}

fn run_name() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", since.as_secs(), std::process::id())
}

pub(crate) fn root_folder(options: &Global) -> Result<PathBuf, CommandError> {
    if let Some(root) = &options.root {
        if root.is_dir() {
            return Ok(root.clone());
        }
        return Err(CommandError::usage(format!("`{}` is not a folder", root.display())));
    }
    let here = std::env::current_dir()
        .map_err(|error| CommandError::failed(format!("the current folder: {error}")))?;
    find_root(&here).ok_or_else(|| {
        CommandError::usage(format!(
            "there is no `kstate.yaml` or `Saltfile` in `{}` or above it",
            here.display()
        ))
        .hint("name the folder of the tree by `--root DIR` or in `$KSTATE_ROOT`")
    })
}

/// The only target of `--local`, called as this machine is.
fn this_machine() -> Target {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "localhost".into());
    Target {
        name: name.trim().to_owned(),
        host: "localhost".into(),
        user: None,
        port: None,
        key: None,
        sudo: false,
        timeout: None,
        logins: Vec::new(),
        grains: Map::new(),
        pillar: Map::new(),
        at: kstate_core::Position::new("--local", 1, 1),
    }
}

fn logins(target: &Target, ssh: &kstate_sls::SshSettings) -> Logins {
    let host = login(target, ssh);
    let named = |named: &NamedLogin| Login {
        user: Some(named.user.clone()),
        port: named.port.or(host.port),
        keys: named.key.iter().chain(&host.keys).cloned().collect(),
        sudo: named.sudo,
        timeout: named.timeout.or(host.timeout),
        ..host.clone()
    };
    match target.logins.split_first() {
        None => host.into(),
        Some((main, others)) => Logins { main: named(main), others: others.iter().map(named).collect() },
    }
}

fn login(target: &Target, ssh: &kstate_sls::SshSettings) -> Login {
    Login {
        host: target.host.clone(),
        port: target.port.or(ssh.port),
        user: target.user.clone().or_else(|| ssh.user.clone()),
        keys: target.key.iter().chain(&ssh.key).cloned().collect(),
        sudo: target.sudo,
        timeout: target.timeout,
        options: Vec::new(),
    }
}

fn pillar(text: &str) -> Result<Map, CommandError> {
    match serde_json::from_str(text).map(crate::report::json::to_value) {
        Ok(Value::Map(map)) => Ok(map),
        Ok(other) => {
            Err(CommandError::usage(format!("`--pillar` takes a JSON object, not {}", other.kind())))
        }
        Err(error) => Err(CommandError::usage(format!("`--pillar` is not JSON: {error}"))),
    }
}

fn grains_file(path: &Path) -> Result<Map, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("`--grains {}`: {error}", path.display())))?;
    let file: std::sync::Arc<str> = path.display().to_string().into();
    let node = kstate_sls::yaml::load(&text, &|line| kstate_core::Position::new(file.clone(), line, 1))
        .map_err(|problem| CommandError::problems(Path::new("."), vec![problem]))?;
    match node.value() {
        Value::Map(map) => Ok(map),
        other => Err(CommandError::usage(format!("`{}` holds {}, not grains", path.display(), other.kind()))),
    }
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

fn unreachable(target: &str, error: ConnectError) -> HostReport {
    HostReport {
        target: target.to_owned(),
        reachable: false,
        error: Some(error.message),
        hints: error.hints,
        ..HostReport::default()
    }
}

fn lost(target: &str, reason: String, transport: Option<&(dyn Transport + '_)>) -> HostReport {
    HostReport {
        target: target.to_owned(),
        reachable: false,
        error: Some(reason),
        traffic: transport.map(Transport::traffic).unwrap_or_default(),
        ..HostReport::default()
    }
}

/// `3 hosts`, for messages.
pub(crate) fn hosts(n: usize) -> String {
    count(n, "host")
}
