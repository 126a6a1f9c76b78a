//! A saved plan: what `diff` has found, so that `apply` does exactly that or nothing. It holds no secrets: reports are masked,
//! and what would be done is told by digests. A digest of something short can be guessed, so these are made with a key that stays on
//! this machine: who reads a plan learns nothing from them.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use kstate_core::{Change, HostReport, Outcome, Plan, Position, Problem, StateReport, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::Sha256;

use crate::args::Global;
use crate::error::CommandError;
use crate::report::json;
use crate::session::Session;
use crate::state_folder;

const KIND: &str = "kstate plan";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// What the file is.
    kind: String,
    version: String,
    /// Names the key of its digests.
    key: String,
    /// The run of `diff`.
    run: String,
    asked: Asked,
    targets: Vec<SavedTarget>,
    #[serde(skip)]
    secret: Key,
}

/// The key of digests.
#[derive(Default)]
struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Returns the key of this user and machine, and makes one if there is none.
    fn own() -> io::Result<Self> {
        let path = state_folder::folder("plans")?.join("key");
        if !path.exists() {
            let mut bytes = [0; 32];
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            whole(&path, &bytes)?;
        }
        let key = fs::read(&path)?;
        if key.len() == 32 {
            Ok(Key(key))
        } else {
            Err(io::Error::other(format!("`{}` is broken", path.display())))
        }
    }

    fn get() -> Result<Self, CommandError> {
        Key::own().map_err(|error| CommandError::failed(format!("the key of plans cannot be had: {error}")))
    }

    fn name(&self) -> String {
        self.digest("the name of the key")[..16].to_owned()
    }

    /// HMAC-SHA256.
    fn digest(&self, text: &str) -> String {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        let digest = mac.chain_update(text).finalize().into_bytes();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What was typed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sls: Vec<String>,
    target: Option<String>,
    list: bool,
    local: bool,
    /// `--pillar` may hold secrets: only that it was given is kept.
    pillar: bool,
    accept: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTarget {
    name: String,
    states: Vec<SavedState>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedState {
    id: String,
    sls: String,
    function: String,
    name: String,
    outcome: String,
    reason: Option<String>,
    changes: Vec<Json>,
    /// The revision to which it is pinned.
    revision: Option<String>,
    /// A digest of what was found and would be done.
    steps: Option<String>,
    /// A digest of what is declared.
    declared: String,
}

/// A host as it was looked at.
pub(crate) struct Looked {
    pub(crate) report: HostReport,
    /// Digests of what is declared, state by state.
    pub(crate) declared: Vec<String>,
}

impl Looked {
    /// A host that could not be looked at.
    pub(crate) fn lost(report: HostReport) -> Self {
        Looked { report, declared: Vec::new() }
    }

    /// Whether all of it was seen.
    pub(crate) fn is_whole(&self) -> bool {
        let HostReport { reachable, error, problems, interrupted, .. } = &self.report;
        *reachable && error.is_none() && !interrupted && !problems.iter().any(Problem::is_error)
    }
}

/// Digests of what is declared for a host, state by state, with all that it refers to.
pub(crate) fn declared(plan: &Plan) -> Vec<String> {
    let of = |index: usize| {
        let state = &plan.states[index];
        let requisites: Vec<_> = plan
            .graph
            .requisites(index)
            .iter()
            .map(|requisite| (requisite.kind, &requisite.targets))
            .collect();
        digest(format!("{:?} {:?} {requisites:?}", state.resource, state.conditions).as_bytes())
    };
    (0..plan.states.len()).map(of).collect()
}

/// Refuses a file that would be lost by it, before anything is done.
pub(crate) fn may_be_written(path: &Path) -> Result<(), CommandError> {
    if path.as_os_str() == "-" {
        return Err(CommandError::usage("`--out` takes the name of a file"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(CommandError::usage(format!("there is no folder `{}`", folder.display())));
    }
    match content(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CommandError::usage(format!("`--out {}`: {error}", path.display()))),
        Ok(bytes) => match parse(&bytes) {
            Some(_) => Ok(()),
            None => Err(CommandError::usage(format!(
                "`{}` is there and is no plan of kstate; it is not overwritten",
                path.display()
            ))),
        },
    }
}

/// More bytes than any plan has.
const MOST: u64 = 256 << 20;

/// The bytes of a file that may be a plan. Devices and pipes are not opened.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if about.len() > MOST {
        return Err(io::Error::other(format!("it has more than {} MB, and is no plan", MOST >> 20)));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The document in a file, if it is a plan, of whichever version.
fn parse(bytes: &[u8]) -> Option<Json> {
    let json: Json = serde_json::from_slice(bytes).ok()?;
    (json["kind"] == KIND).then_some(json)
}

impl Saved {
    /// A plan is of all hosts that are meant, so all have to have been seen; and of what can be done.
    pub(crate) fn new(
        options: &Global,
        sls: &[String],
        session: &Session<'_>,
        looked: &[Looked],
    ) -> Result<Self, CommandError> {
        if let Some(host) = looked.iter().find(|host| !host.is_whole()) {
            let message = format!("no plan is saved: `{}` could not be looked at", host.report.target);
            return Err(CommandError::failed(message).hint("leave it out by `-t`"));
        }
        for HostReport { target, states, .. } in looked.iter().map(|host| &host.report) {
            if let Some(state) = states.iter().find(|state| state.outcome == Outcome::Failed) {
                let message = format!("no plan is saved: `{}` fails on `{target}`", state.id);
                return Err(CommandError::failed(message).hint("mend it, or name the SLS that are sound"));
            }
        }
        let asked = Asked {
            sls: sls.to_vec(),
            target: options.target.clone(),
            list: options.list,
            local: options.local,
            pillar: options.pillar.is_some(),
            accept: session.accepted.clone(),
        };
        let secret = Key::get()?;
        let target = |Looked { report, declared }: &Looked| SavedTarget {
            name: report.target.clone(),
            states: report
                .states
                .iter()
                .zip(declared)
                .map(|(state, digest)| saved(state, digest, &secret))
                .collect(),
        };
        let targets = looked.iter().map(target).collect();
        let (run, key) = (session.run.clone(), secret.name());
        Ok(Saved { kind: KIND.into(), version: VERSION.into(), key, run, asked, targets, secret })
    }

    /// Writes it as a whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        whole(path, format!("{text}\n").as_bytes()).map_err(|error| {
            CommandError::failed(format!("the plan cannot be saved in `{}`: {error}", path.display()))
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let file = path.display();
        let bytes =
            content(path).map_err(|error| CommandError::usage(format!("`--plan {file}`: {error}")))?;
        let useless = |why: String| {
            CommandError::failed(format!("`{file}` {why}"))
                .hint("make a new plan by `kstate diff --out FILE`")
        };
        let Some(json) = parse(&bytes) else {
            return Err(useless("is not a plan of kstate, or is broken".to_owned()));
        };
        match json["version"].as_str() {
            Some(VERSION) => {}
            Some(other) => return Err(useless(format!("was made by kstate {other}, and this is {VERSION}"))),
            None => return Err(useless("is a broken plan: it does not say which kstate made it".to_owned())),
        }
        let plan: Saved =
            serde_json::from_value(json).map_err(|error| useless(format!("is a broken plan: {error}")))?;
        let secret = Key::get()?;
        if plan.key != secret.name() {
            return Err(useless(
                "was made by another user or on another machine, where its key is".to_owned(),
            ));
        }
        Ok(Saved { secret, ..plan })
    }

    /// The options under which it holds.
    pub(crate) fn options(&self, typed: &Global) -> Result<Global, CommandError> {
        if typed.target.is_some() || (typed.local && !self.asked.local) {
            return Err(CommandError::usage("a plan names its hosts itself; `--plan` goes with no others"));
        }
        if self.asked.pillar && typed.pillar.is_none() {
            let error = CommandError::usage("the plan was made with `--pillar`, which is not kept in it");
            return Err(error.hint("give the same `--pillar` again"));
        }
        let Asked { target, list, local, .. } = &self.asked;
        Ok(Global { target: target.clone(), list: *list, local: *local, ..typed.clone() })
    }

    pub(crate) fn sls(&self) -> &[String] {
        &self.asked.sls
    }

    /// What it lets pass.
    pub(crate) fn accepted(&self) -> &[String] {
        &self.asked.accept
    }

    /// What has moved on a host since it was made.
    pub(crate) fn moved(&self, host: &Looked) -> Vec<Problem> {
        match self.target(&host.report.target) {
            Some(target) => target.moved(host, &self.secret),
            None => vec![Problem::error(format!("the plan does not have the host `{}`", host.report.target))],
        }
    }

    /// A host that is not there any more.
    pub(crate) fn gone(&self, looked: &[Looked]) -> Option<&str> {
        let is_there = |target: &SavedTarget| looked.iter().any(|host| host.report.target == target.name);
        self.targets.iter().find(|target| !is_there(target)).map(|target| target.name.as_str())
    }

    /// Whether it was to change something, and nothing differs any more.
    pub(crate) fn is_done(&self, looked: &[Looked]) -> bool {
        let mut planned = self.targets.iter().flat_map(|target| &target.states);
        let mut now = looked.iter().flat_map(|host| &host.report.states);
        let differs = |state: &StateReport| !matches!(state.outcome, Outcome::InSync | Outcome::Always);
        planned.any(|state| state.outcome == Outcome::Drift.name()) && !now.any(differs)
    }

    fn target(&self, name: &str) -> Option<&SavedTarget> {
        self.targets.iter().find(|target| target.name == name)
    }
}

impl SavedTarget {
    fn moved(&self, host: &Looked, key: &Key) -> Vec<Problem> {
        let states = &host.report.states;
        let mut moved: Vec<Problem> = Vec::new();
        for (now, declared) in states.iter().zip(&host.declared) {
            let at = Position::new(now.file.as_str(), now.line, 1);
            let message = match self.states.iter().find(|planned| planned.is(now)) {
                None => Some(format!("`{}` is not in the plan", now.id)),
                Some(planned) => planned.difference(now, &saved(now, declared, key)),
            };
            moved.extend(message.map(|message| Problem::error(message).at(&at).of(now.id.as_str())));
        }
        for planned in self.states.iter().filter(|planned| !states.iter().any(|now| planned.is(now))) {
            let message = format!("`{}` is in the plan, and is not declared any more", planned.id);
            moved.push(Problem::error(message).of(planned.id.as_str()));
        }
        let in_order = || self.states.iter().zip(states).all(|(planned, now)| planned.is(now));
        if moved.is_empty() && !in_order() {
            moved.push(Problem::error("the states come in another order than in the plan"));
        }
        moved
    }
}

impl SavedState {
    fn is(&self, now: &StateReport) -> bool {
        self.id == now.id && self.function == now.function && self.name == now.name && self.sls == now.sls
    }

    /// What is no longer as it was planned.
    fn difference(&self, now: &StateReport, found: &SavedState) -> Option<String> {
        let is_settled = |outcome: &str| {
            [Outcome::InSync, Outcome::Drift, Outcome::Always].iter().any(|o| o.name() == outcome)
        };
        // Which processes run at the moment is no part of a plan.
        let is_fleeting = now.is_fleeting && is_settled(&self.outcome) && is_settled(now.outcome.name());
        let is_same = is_fleeting || (self.outcome == now.outcome.name() && self.steps == found.steps);
        let is_declared = self.declared == found.declared;
        let (planned, found) = (told(self), told(found));
        match (is_same && self.revision == now.revision, is_declared) {
            (true, true) => None,
            (true, false) => Some(format!("`{}` is declared otherwise than in the plan", self.id)),
            _ if planned == found => {
                Some(format!("`{}` would do something else than planned: {found}", self.id))
            }
            _ => Some(format!("`{}`: planned: {planned}; now: {found}", self.id)),
        }
    }
}

fn saved(state: &StateReport, declared: &str, key: &Key) -> SavedState {
    SavedState {
        id: state.id.clone(),
        sls: state.sls.clone(),
        function: state.function.clone(),
        name: state.name.clone(),
        outcome: state.outcome.name().to_owned(),
        reason: state.reason.clone(),
        changes: state.changes.iter().map(json::change).collect(),
        revision: state.revision.clone(),
        steps: state.steps.as_deref().map(|steps| key.digest(steps)),
        declared: key.digest(declared),
    }
}

/// What a state would do, for people.
fn told(state: &SavedState) -> String {
    let changes: Vec<String> = state.changes.iter().map(change).collect();
    let what = match (changes.is_empty(), &state.reason) {
        (false, _) => changes.join(", "),
        (true, Some(reason)) => format!("{} ({reason})", state.outcome.replace('_', " ")),
        (true, None) if state.outcome == Outcome::InSync.name() => "as declared".to_owned(),
        (true, None) => state.outcome.replace('_', " "),
    };
    match &state.revision {
        Some(revision) if changes.is_empty() => {
            format!("{what}, at {}", revision.get(..7).unwrap_or(revision))
        }
        _ => what,
    }
}

fn change(json: &Json) -> String {
    let value = |name: &str| json::to_value(json[name].clone());
    Change::new(json["subject"].as_str().unwrap_or_default(), value("before"), value("after")).to_string()
}

/// Writes a file beside its place, for its owner alone, and puts it there.
fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}
