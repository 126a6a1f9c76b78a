//! Ctrl-C and SIGTERM: the first one ends what is in hand in order, a later one ends the program at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kstate_core::kept::Claim;
use kstate_core::{Interrupt, Transport};

use crate::exit::Exit;
use crate::token;

/// Signals that come within this time are one: `timeout` sends two, and a hand may slip.
const ONE: Duration = Duration::from_secs(1);

/// How long a host may go on with its templates after a signal.
const MOMENT: Duration = Duration::from_millis(250);

/// What a signal finds, and what it does with that.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) interrupt: Interrupt,
    first: Mutex<Option<Instant>>,
    /// A person is asked, and nothing else is in hand.
    is_asking: AtomicBool,
    compiling: Mutex<Compiling>,
}

/// The hosts whose templates are compiled, which nothing can interrupt, and what has to be done for them before the end.
#[derive(Default)]
struct Compiling {
    next: usize,
    hosts: BTreeMap<usize, Host>,
}

struct Host {
    transport: Option<Box<dyn Transport>>,
    claim: Option<Claim>,
}

impl std::fmt::Debug for Compiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiling").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl Signals {
    /// Takes a signal. `say` tells people that the program ends at a question.
    pub(crate) fn take(self: &Arc<Self>, has_hosts: bool, say: impl FnOnce()) {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        match first {
            Some(first) if first.elapsed() < ONE => return,
            Some(_) => at_once(),
            None => self.interrupt.raise(),
        }
        if self.is_asking.load(Ordering::SeqCst) {
            say();
            at_once();
        }
        if !has_hosts {
            at_once();
        }
        let signals = self.clone();
        thread::spawn(move || {
            thread::sleep(MOMENT);
            signals.leave_templates();
        });
    }

    /// Asks a person, whom a signal answers for.
    pub(crate) fn asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.is_asking.store(true, Ordering::SeqCst);
        let answer = ask();
        self.is_asking.store(false, Ordering::SeqCst);
        answer
    }

    /// Compiles for a host. A signal meanwhile gives the token of the host back, which the run has taken by `claim`.
    pub(crate) fn compiling<T>(
        &self,
        transport: &mut Option<Box<dyn Transport>>,
        claim: Option<&Claim>,
        compile: impl FnOnce() -> T,
    ) -> T {
        let number = {
            let mut compiling = self.lock();
            compiling.next += 1;
            let number = compiling.next;
            let host = Host { transport: transport.take(), claim: claim.cloned() };
            compiling.hosts.insert(number, host);
            number
        };
        let compiled = compile();
        // At the end of the program it waits here.
        *transport = self.lock().hosts.remove(&number).and_then(|host| host.transport);
        compiled
    }

    fn lock(&self) -> MutexGuard<'_, Compiling> {
        self.compiling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the program if templates are still compiled.
    fn leave_templates(&self) {
        let mut compiling = self.lock();
        if compiling.hosts.is_empty() {
            return;
        }
        for host in compiling.hosts.values_mut() {
            if let (Some(transport), Some(claim)) = (&mut host.transport, &host.claim) {
                // Where that fails, the host knows that the run is over.
                let _ = token::surely(transport.as_mut(), claim.give_back());
            }
        }
        at_once();
    }
}

/// Ends the program without waiting for a step in hand.
#[expect(clippy::exit, reason = "the threads that wait for hosts cannot be asked to return")]
fn at_once() -> ! {
    std::process::exit(Exit::Interrupted.code().into())
}
