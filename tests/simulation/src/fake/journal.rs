//! What the engine keeps on the host in memory: token, refreshes, brackets with their watchdog, jobs.

use std::collections::{BTreeMap, BTreeSet};

use kstate_core::command::Program;
use kstate_core::kept::Errand;
use kstate_core::{Reply, Run};

use super::World;
use super::disk::FULL;
use super::programs::Said;

/// Seconds as the scripts of the engine have them.
const BRACKET_GRACE: u64 = 20;
const BRACKET_SILENCE: u64 = 60;
const TOKEN_GRACE: u64 = 10;
const TOKEN_SILENCE: u64 = 300;

/// When a run was last heard of, and over which connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    at: u64,
    session: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub run: String,
    owner: String,
    fields: String,
    since: u64,
    beat: Beat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    fields: String,
    restore: String,
    since: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    fields: String,
    run: Run,
    input: Vec<u8>,
    since: u64,
    /// When it is over.
    ends: u64,
    log: String,
    status: Option<(i32, u64)>,
    is_gone: bool,
    is_seen: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    pub owed: BTreeMap<String, (String, u64)>,
    pub brackets: BTreeMap<(String, u32), Bracket>,
    pub jobs: BTreeMap<String, Job>,
    pub token: Option<Token>,
    /// When the runs with brackets were last heard of. Their watchdogs live as long as these.
    watched: BTreeMap<String, Beat>,
    /// The connections that are there.
    pub sessions: BTreeSet<u32>,
}

impl Journal {
    pub fn reboot(&mut self) {
        self.watched.clear();
        self.sessions.clear();
        for job in self.jobs.values_mut().filter(|job| job.status.is_none()) {
            job.is_gone = true;
        }
    }

    fn lives(&self, beat: Beat, grace: u64, silence: u64, now: u64) -> bool {
        let age = now.saturating_sub(beat.at);
        age < grace || (self.sessions.contains(&beat.session) && age < silence)
    }

    /// What the question about the records prints.
    pub fn listing(&self, now: u64) -> String {
        let mut text = format!("@ shells 1 1 boot;\n@ now {now}\n");
        if let Some(token) = &self.token
            && self.lives(token.beat, TOKEN_GRACE, TOKEN_SILENCE, now)
        {
            text.push_str(&format!("@ run x\n{}since: {}\n", token.fields, token.since));
        }
        for (id, job) in self.jobs.iter().filter(|(_, job)| !job.is_seen) {
            text.push_str(&format!("@ job {id}\n{}since: {}\n", job.fields, job.since));
            match job.status {
                Some((status, at)) => text.push_str(&format!("ended: {status} {at}\n")),
                None if !job.is_gone => text.push_str("running: 1\n"),
                None => {}
            }
        }
        for ((run, number), bracket) in &self.brackets {
            text.push_str(&format!(
                "@ bracket {run}/{number:02}\n{}since: {}\n",
                bracket.fields, bracket.since
            ));
            if self.watched.contains_key(run) {
                text.push_str("watched: 1\n");
            }
        }
        for (file, (fields, since)) in &self.owed {
            text.push_str(&format!("@ owed {file}\n{fields}since: {since}\n"));
        }
        text
    }

    fn is_busy(&self, run: &str) -> bool {
        let line = format!("run: {run}\n");
        self.jobs.values().any(|job| job.status.is_none() && !job.is_gone && job.fields.contains(&line))
    }
}

impl World {
    /// Lets time pass: jobs end, and watchdogs leave the brackets of runs that are dead.
    pub fn pass(&mut self, seconds: u64) {
        let until = self.now + seconds;
        while let Some(next) = self
            .journal
            .jobs
            .values()
            .filter(|job| job.status.is_none() && !job.is_gone)
            .map(|job| job.ends)
            .filter(|ends| *ends <= until)
            .min()
        {
            self.now = self.now.max(next);
            self.end_jobs();
        }
        self.now = until;
        let dead = |(run, beat): (&String, &Beat)| {
            let lives =
                self.journal.lives(*beat, BRACKET_GRACE, BRACKET_SILENCE, until) || self.journal.is_busy(run);
            (!lives).then(|| run.clone())
        };
        for run in self.journal.watched.iter().filter_map(dead).collect::<Vec<_>>() {
            if self.leave(&run, 0).status == 0 {
                self.journal.watched.remove(&run);
            }
        }
    }

    fn end_jobs(&mut self) {
        let over: Vec<String> = self
            .journal
            .jobs
            .iter()
            .filter(|(_, job)| job.status.is_none() && !job.is_gone && job.ends <= self.now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            let job = self.journal.jobs[&id].clone();
            let said = self.run(&job.run, &job.input);
            if let Some(job) = self.journal.jobs.get_mut(&id) {
                job.log = said.stdout + &said.stderr;
                job.status = Some((said.status, self.now));
            }
        }
    }

    fn leave(&mut self, run: &str, from: u32) -> Said {
        let mut said = Said::default();
        let last = |world: &World| {
            let of_run = |(name, number): &&(String, u32)| name == run && *number >= from;
            world.journal.brackets.keys().rfind(of_run).cloned()
        };
        while let Some(key) = last(self) {
            let restore = self.journal.brackets[&key].restore.clone();
            let own = self.shell(&restore);
            said.stdout.push_str(&own.stdout);
            if own.status != 0 {
                return own;
            }
            self.journal.brackets.remove(&key);
        }
        if !self.journal.brackets.keys().any(|(name, _)| name == run) {
            self.journal.watched.remove(run);
        }
        said
    }

    /// Does an errand of the engine over a connection.
    pub fn keep(&mut self, errand: &Errand, input: &[u8], session: u32) -> Reply {
        let beat = Beat { at: self.now, session };
        let full = Said::failed(1, FULL);
        match errand {
            Errand::Owe { file, fields } if !self.journal.owed.contains_key(file) => {
                if self.disk.is_full {
                    return full.into();
                }
                self.journal.owed.insert(file.clone(), (fields.clone(), self.now));
            }
            Errand::Owe { .. } => {}
            Errand::Strike { file } => drop(self.journal.owed.remove(file)),
            Errand::Enter { run, number, fields, restore } => {
                if self.disk.is_full {
                    return full.into();
                }
                let bracket = Bracket { fields: fields.clone(), restore: restore.clone(), since: self.now };
                self.journal.brackets.entry((run.clone(), *number)).or_insert(bracket);
                self.journal.watched.insert(run.clone(), beat);
            }
            Errand::TakeAway { run, number, operation } => {
                if !self.journal.brackets.contains_key(&(run.clone(), *number)) {
                    return Said::failed(75, "the host has left the bracket").into();
                }
                self.journal.watched.insert(run.clone(), beat);
                return self.act(operation, input).into();
            }
            Errand::BeatBrackets { run } => {
                if let Some(watched) = self.journal.watched.get_mut(run) {
                    *watched = beat;
                }
            }
            Errand::Leave { run, from } => return self.leave(run, *from).into(),
            Errand::Start { id, fields, run } => return self.start_job(id, fields, run, input),
            Errand::See { id } => {
                if let Some(job) = self.journal.jobs.get_mut(id) {
                    job.is_seen = true;
                }
            }
            Errand::Follow { id, offset, wait } => return self.follow(id, *offset, *wait),
            Errand::AwaitEnd => return Said::printed("1 1 boot;").into(),
            Errand::TakeToken { owner, run, fields } => return self.take_token(owner, run, fields, beat),
            Errand::BeatToken { run } => match &mut self.journal.token {
                Some(token) if token.run == *run => token.beat = beat,
                _ => return Said { status: 9, ..Said::default() }.into(),
            },
            Errand::GiveBackToken { run } => {
                self.journal.token.take_if(|token| token.run == *run);
            }
            #[expect(unreachable_patterns, reason = "errands that come later")]
            other => return self.strange(&format!("{other:?}")).into(),
        }
        Reply::default()
    }

    fn take_token(&mut self, owner: &str, run: &str, fields: &str, beat: Beat) -> Reply {
        if let Some(token) = &mut self.journal.token
            && token.run == run
        {
            token.beat = beat;
            return Reply::default();
        }
        // A run that is dead, or about to be known as such, is waited for.
        if let Some(token) = &self.journal.token
            && self.journal.lives(token.beat, TOKEN_GRACE, TOKEN_SILENCE, self.now)
        {
            if self.journal.sessions.contains(&token.beat.session) {
                return Reply { status: 75, ..Said::printed(self.journal.listing(self.now)).into() };
            }
            self.pass(TOKEN_GRACE);
        }
        let (owner, run, fields) = (owner.to_owned(), run.to_owned(), fields.to_owned());
        let beat = Beat { at: self.now, ..beat };
        self.journal.token = Some(Token { run, owner, fields, since: self.now, beat });
        Reply::default()
    }

    fn start_job(&mut self, id: &str, fields: &str, run: &Run, input: &[u8]) -> Reply {
        let key = fields.lines().next().unwrap_or_default().to_owned();
        if self.journal.jobs.contains_key(id) {
            return Reply::default();
        }
        let is_same =
            |job: &Job| job.status.is_none() && !job.is_gone && job.fields.lines().next() == Some(&key);
        if self.journal.jobs.values().any(is_same) {
            return Said { status: 75, ..Said::default() }.into();
        }
        if self.disk.is_full {
            return Said::failed(1, FULL).into();
        }
        let length = run.command.job().script.len();
        let (since, ends) = (self.now, self.now + seconds(run));
        let job = Job {
            fields: fields.to_owned(),
            run: run.clone(),
            input: input.get(length..).unwrap_or_default().to_vec(),
            since,
            ends,
            log: String::new(),
            status: None,
            is_gone: false,
            is_seen: false,
        };
        self.journal.jobs.insert(id.to_owned(), job);
        self.end_jobs();
        Reply::default()
    }

    fn follow(&mut self, id: &str, offset: u64, wait: u32) -> Reply {
        let is_running = |world: &World| {
            world.journal.jobs.get(id).is_some_and(|job| job.status.is_none() && !job.is_gone)
        };
        for _ in 0..wait {
            if is_running(self) {
                self.pass(1);
            }
        }
        let Some(job) = self.journal.jobs.get(id) else {
            return Said::failed(1, "there is no such job").into();
        };
        let stderr = match job.status {
            Some((status, at)) => format!("ended {status} {at}\n"),
            None if job.is_gone => "gone\n".to_owned(),
            None => "running\n".to_owned(),
        };
        let stdout = job.log.get(offset as usize..).unwrap_or_default().to_owned();
        Said { status: 0, stdout, stderr }.into()
    }
}

/// For how long a command runs: the seconds that it sleeps.
fn seconds(run: &Run) -> u64 {
    let Program::Shell { line, .. } = &run.command.program else { return 0 };
    line.split(['\n', ';', '&'])
        .filter_map(|part| part.trim().strip_prefix("sleep ")?.parse::<u64>().ok())
        .sum()
}
