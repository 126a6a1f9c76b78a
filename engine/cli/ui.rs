//! The one owner of the streams: data on standard output, talk on standard error.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use kstate_core::{Event, Outcome, Sink, StateReport};

use crate::runlog::RunLog;
use crate::signals::Signals;
use crate::visible::{plain, styled};

pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// Foreign text in a style. Whether the style is seen is decided where the text is written.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{}{style:#}", plain(&text.to_string()))
}

/// Returns a text without the escape sequences of its colours.
pub(crate) fn without_colours(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

pub(crate) struct Ui {
    /// One line for each host at work; nothing where standard error is no terminal.
    progress: MultiProgress,
    hosts: Mutex<BTreeMap<String, Host>>,
    live: bool,
    started: Instant,
    pub(crate) signals: Arc<Signals>,
    /// Why standard output could not be written.
    unwritten: Mutex<Option<io::Error>>,
    log: RunLog,
}

struct Host {
    /// Tells by itself for how long this has been done.
    bar: ProgressBar,
    doing: String,
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Ui {
    /// `live`: progress is wanted, if there is a terminal to show it on.
    pub(crate) fn new(live: bool, signals: Arc<Signals>) -> Self {
        let live = live && io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Ui {
            progress: MultiProgress::with_draw_target(target),
            hosts: Mutex::default(),
            live,
            started: Instant::now(),
            signals,
            unwritten: Mutex::default(),
            log: RunLog::default(),
        }
    }

    /// Data for people. A reader that has gone away (`| head`) is no error.
    pub(crate) fn data(&self, text: &str) {
        self.raw(styled(text).as_bytes());
    }

    /// A document for programs.
    pub(crate) fn document(&self, json: &serde_json::Value) {
        self.raw(format!("{json:#}\n").as_bytes());
    }

    /// Data as it is.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.progress.suspend(|| {
            let mut out = anstream::stdout().lock();
            if let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
    }

    /// Why something that belongs on standard output is not there.
    pub(crate) fn unwritten(&self) -> Option<io::Error> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn log(&self) -> &RunLog {
        &self.log
    }

    /// Talk: a line for people.
    pub(crate) fn talk(&self, text: &str) {
        self.progress.suspend(|| {
            let mut err = anstream::stderr().lock();
            let _ = writeln!(err, "{}", styled(text));
        });
    }

    pub(crate) fn error(&self, message: &str, hints: &[String]) {
        self.talk(&format!("{}: {message}", paint(RED, "error")));
        for hint in hints {
            self.talk(&format!("{}: {hint}", paint(CYAN, "hint")));
        }
    }

    pub(crate) fn is_interactive() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question that is answered by yes or no. No answer is no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        let mut answer = String::new();
        self.signals.asking(|| {
            let mut err = anstream::stderr();
            let _ = write!(err, "{question} [y/N] ");
            let _ = err.flush();
            let _ = io::stdin().lock().read_line(&mut answer);
        });
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// A line for a host that is being looked at, until `ended`.
    fn doing(&self, target: &str, doing: &str) {
        if !self.live {
            return;
        }
        let doing = &*plain(doing);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(target.to_owned()).or_insert_with(|| {
            let bar = self.progress.add(ProgressBar::new_spinner());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix}{since}: {wide_msg}")
                    .unwrap_or(ProgressStyle::default_spinner())
                    .with_key("since", since),
            );
            bar.set_prefix(target.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            Host { bar, doing: String::new() }
        });
        doing.clone_into(&mut host.doing);
        host.bar.reset_elapsed();
        host.bar.set_message(doing.to_owned());
    }

    fn said(&self, target: &str, line: &str) {
        if !self.live {
            return;
        }
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(target) {
            host.bar.set_message(format!("{}: {}", host.doing, plain(line.trim())));
        }
    }

    pub(crate) fn ended(&self, target: &str) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.remove(target) {
            host.bar.finish_and_clear();
            self.progress.remove(&host.bar);
        }
    }

    /// What is done is told at once; what is only found waits for the report.
    fn finished(&self, target: &str, state: &StateReport) {
        let (word, style) = match state.outcome {
            Outcome::Changed => ("changed", YELLOW),
            Outcome::Failed => ("failed", RED),
            _ => return,
        };
        let took = if state.duration < Duration::from_secs(1) {
            String::new()
        } else {
            format!(" ({})", elapsed(state.duration))
        };
        self.talk(&format!("{target}: {} {} {}{took}", paint(style, word), state.function, state.id));
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Sink for Ui {
    fn event(&self, target: &str, event: Event) {
        self.log.event(target, &event);
        match event {
            Event::Connecting => self.doing(target, "connecting"),
            Event::Connected => self.doing(target, "connected"),
            Event::Asking { questions } => {
                self.doing(target, &format!("looking ({})", count(questions, "question")))
            }
            Event::Making { states } => {
                let more = states.len().saturating_sub(1);
                let first = states.first().cloned().unwrap_or_default();
                let rest = if more == 0 { String::new() } else { format!(" and {}", count(more, "other")) };
                self.doing(target, &format!("making {first}{rest}"));
            }
            Event::Waiting { what } => self.said(target, &format!("waiting for {what}")),
            Event::Output { line } => self.said(target, &line),
            Event::Finished(state) => self.finished(target, &state),
            Event::Retrying { state, attempt, of, reason } => {
                self.talk(&format!("{target}: {state}: {reason}; attempt {attempt} of {of}"));
            }
            Event::Deferred { state, reason } => {
                let reason = reason.lines().next().unwrap_or_default();
                self.talk(&format!(
                    "{target}: {state}: {reason}; to be tried again when what comes after it is made"
                ));
            }
            Event::Following { state, job, since } => {
                let since = match since {
                    0 => String::new(),
                    since => format!(", running for {}", elapsed(Duration::from_secs(since))),
                };
                self.talk(&format!(
                    "{target}: {state} runs as job {job}{since}; `kstate attach {job}` follows it"
                ));
                self.doing(target, &format!("making {state}"));
            }
            Event::Reconnecting { reason, pause, left } => {
                self.talk(&format!(
                    "{}: {target}: {reason}; kstate tries again for up to {} s",
                    paint(YELLOW, "warning"),
                    left.as_secs_f64().ceil()
                ));
                self.doing(target, &format!("connecting again in {}", elapsed(pause)));
            }
            Event::Reconnected => self.talk(&format!("{target}: connected again")),
            Event::Warning(text) => self.talk(&format!("{}: {target}: {text}", paint(YELLOW, "warning"))),
        }
    }
}

/// `1 state`, `2 states`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// For how long a host has been at the same thing, once that is worth telling.
fn since(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    if state.elapsed() >= Duration::from_secs(1) {
        let _ = write!(out, " ({})", elapsed(state.elapsed()));
    }
}

/// Asks for the passphrase of a key file on the terminal; nothing that is typed shows.
pub(crate) fn passphrase(key: &std::path::Path) -> Option<String> {
    let prompt = format!("Passphrase of {}: ", key.display());
    rpassword::prompt_password(prompt).ok().filter(|answer| !answer.is_empty())
}
