//! The log of a run of `apply`: all that its commands print, and its report. Secrets are masked.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use kstate_core::Event;
use serde_json::Value as Json;

use crate::state_folder;
use crate::ui::without_colours;
use crate::visible::plain;

/// How many runs are kept.
const RUNS: usize = 50;

/// The bytes that a log holds at most.
const MOST: u64 = 16 << 20;

/// The log of this run, once there is one.
#[derive(Debug, Default)]
pub(crate) struct RunLog(Mutex<Option<Open>>);

#[derive(Debug)]
struct Open {
    file: File,
    folder: PathBuf,
    written: u64,
}

impl RunLog {
    /// Begins the log of a run.
    pub(crate) fn begin(&self, run: &str, command: &str) -> io::Result<()> {
        let runs = state_folder::folder("runs")?;
        forget_old(&runs)?;
        let folder = runs.join(run);
        DirBuilder::new().mode(0o700).create(&folder)?;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(folder.join("log"))?;
        let started = humantime::format_rfc3339_seconds(SystemTime::now());
        *self.lock() = Some(Open { file, folder, written: 0 });
        self.line(&format!("{started} kstate {command}"));
        Ok(())
    }

    /// Adds what happens.
    pub(crate) fn event(&self, target: &str, event: &Event) {
        match event {
            Event::Making { states } => self.line(&format!("{target}: making {}", states.join(", "))),
            Event::Output { line } => self.line(&format!("{target}: | {line}")),
            Event::Warning(text) => self.line(&format!("{target}: warning: {text}")),
            Event::Reconnecting { reason, .. } => self.line(&format!("{target}: {reason}")),
            Event::Retrying { state, reason, .. } => self.line(&format!("{target}: {state}: {reason}")),
            _ => {}
        }
    }

    /// Adds the report of a host, with all output.
    pub(crate) fn report(&self, text: &str) {
        without_colours(text).lines().for_each(|line| self.line(line));
    }

    /// Keeps the report for programs.
    pub(crate) fn document(&self, json: &Json) {
        let Some(folder) = self.lock().as_ref().map(|open| open.folder.clone()) else { return };
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("report.json"));
        // A log that cannot be written is no reason to end a run.
        let _ = file.and_then(|mut file| file.write_all(format!("{json:#}\n").as_bytes()));
    }

    fn line(&self, line: &str) {
        let mut lock = self.lock();
        let Some(open) = lock.as_mut().filter(|open| open.written < MOST) else { return };
        let mut line = format!("{}\n", plain(line));
        open.written += line.len() as u64;
        if open.written >= MOST {
            line = format!("… the log ends here: it has {} MB\n", MOST >> 20);
        }
        let _ = open.file.write_all(line.as_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that has a log.
pub(crate) struct Logged {
    pub(crate) run: String,
    pub(crate) folder: PathBuf,
    /// When it was started, and what was typed.
    pub(crate) head: String,
}

impl Logged {
    pub(crate) fn text(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.join("log"))?).into_owned())
    }

    pub(crate) fn report(&self) -> Option<Json> {
        serde_json::from_slice(&fs::read(self.folder.join("report.json")).ok()?).ok()
    }
}

/// The runs that have logs, the oldest first.
pub(crate) fn logged() -> io::Result<Vec<Logged>> {
    let mut runs = names(&state_folder::folder("runs")?)?;
    runs.sort_by_key(|(started, run, _)| (*started, run.clone()));
    let logged = |(_, run, folder): (u64, String, PathBuf)| {
        let text = fs::read(folder.join("log")).unwrap_or_default();
        let head = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
        Logged { run, folder, head }
    };
    Ok(runs.into_iter().map(logged).collect())
}

/// The folders of runs, which are named `SECONDS-PROCESS`.
fn names(runs: &Path) -> io::Result<Vec<(u64, String, PathBuf)>> {
    let entries = fs::read_dir(runs)?.filter_map(Result::ok);
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let started = name.split_once('-')?.0.parse().ok()?;
        Some((started, name, entry.path()))
    };
    Ok(entries.filter_map(read).collect())
}

/// Makes room for one more.
fn forget_old(runs: &Path) -> io::Result<()> {
    let mut known = names(runs)?;
    known.sort();
    let excess = (known.len() + 1).saturating_sub(RUNS);
    known.into_iter().take(excess).try_for_each(|(_, _, folder)| fs::remove_dir_all(folder))
}
