//! The deploy token as a command has it: on every host that is meant or, where `kstate.yaml` names a place for it, there.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use kstate_core::kept::{Claim, Taken};
use kstate_core::{Connect, ExchangeError, Interrupt, Job, Problem, Reply, Transport};

/// How often the place of the token is told that the run lives, and for how long it is tried again when it is lost.
const BEAT: Duration = Duration::from_secs(5);
const PATIENCE: u32 = 12;

/// Who asks for a token: the user of this machine.
pub(crate) fn owner() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    format!("{}@{host}", user.as_deref().unwrap_or("somebody"))
}

/// Runs one job whatever is pressed.
pub(crate) fn surely(transport: &mut (dyn Transport + '_), job: Job) -> Result<Reply, ExchangeError> {
    transport.heed_interrupt(false);
    let reply = transport.run(job);
    transport.heed_interrupt(true);
    reply
}

/// Why the token of a host cannot be had.
pub(crate) fn refusal(target: &str, taken: &Taken) -> Option<Problem> {
    match taken {
        Taken::Yes | Taken::Sibling(_) => None,
        Taken::No(kept) => {
            let message = format!("{target}: the token is {}", kept.token.holders(kept).join("; and "));
            let hint = "wait for its end; `kstate token release --force` takes it away from whoever has it";
            Some(Problem::error(message).hint(hint))
        }
        Taken::CannotTell(reason) => Some(Problem::error(format!("{target}: {reason}"))),
    }
}

/// The token at its place, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease {
    /// What is dropped ends the keeper.
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<Result<(), String>>>,
}

/// What keeps a token.
pub(crate) struct Keeper {
    pub(crate) place: String,
    pub(crate) claim: Claim,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) interrupt: Interrupt,
}

impl Lease {
    /// Keeps a token that was taken.
    pub(crate) fn keep(keeper: Keeper) -> Self {
        let (stop, stopped) = mpsc::channel();
        let keeper = std::thread::spawn(move || keeper.keep(&stopped));
        Lease { stop: Some(stop), keeper: Some(keeper) }
    }

    /// Gives it back. The error says that it was taken away meanwhile.
    pub(crate) fn end(mut self) -> Result<(), String> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), String> {
        drop(self.stop.take());
        self.keeper.take().map_or(Ok(()), |keeper| keeper.join().unwrap_or(Ok(())))
    }
}

impl Drop for Lease {
    /// Whichever way a run ends, the token is given back before.
    fn drop(&mut self) {
        let _ = self.give_back();
    }
}

impl Keeper {
    fn keep(mut self, stopped: &Receiver<()>) -> Result<(), String> {
        let mut losses = 0;
        loop {
            if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                // Where that fails, the host knows that the run is over.
                let _ = surely(self.transport.as_mut(), self.claim.give_back());
                return Ok(());
            }
            let taken = match surely(self.transport.as_mut(), self.claim.take_over()) {
                Ok(reply) => Taken::read(&reply),
                Err(_) if losses < PATIENCE => {
                    losses += 1;
                    if let Ok(transport) = self.connect.connect(&self.place) {
                        self.transport = transport;
                    }
                    continue;
                }
                Err(error) => Taken::CannotTell(error.to_string()),
            };
            losses = 0;
            if let Some(problem) = refusal(&self.place, &taken) {
                self.interrupt.raise();
                return Err(format!("the run has lost its token: {}", problem.message));
            }
        }
    }
}
