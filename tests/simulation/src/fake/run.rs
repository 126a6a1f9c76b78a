//! Runs of a plan on the host in memory.

use std::time::Duration;

use kstate_core::kept::{Claim, Taken};
use kstate_core::{Again, Connect, Event, HostReport, HostRun, Interrupt, Plan, Sink};

use super::{FakeHost, FakeTime};

/// For how long a lost host is tried again.
pub const PATIENCE: Duration = Duration::from_secs(120);

struct Silent;

impl Sink for Silent {
    fn event(&self, _: &str, _: Event) {}
}

/// What a run came to, and for how long it waited.
#[derive(Debug)]
pub struct Ran {
    pub report: HostReport,
    pub waited: Duration,
}

/// Looks at the host.
pub fn diff(plan: &Plan, host: &FakeHost) -> HostReport {
    let (interrupt, clock) = (Interrupt::default(), FakeTime::new(host));
    host_run(plan, "look", &interrupt, &clock, None, None).diff(&mut host.session())
}

/// Applies the plan without a disturbance.
pub fn apply(plan: &Plan, host: &FakeHost, name: &str) -> Ran {
    apply_by(plan, host, name, host)
}

/// Applies the plan over connections that `connect` makes, with the token of the host. Without the first connection or the
/// token it reports an error and no states.
pub fn apply_by(plan: &Plan, host: &FakeHost, name: &str, connect: &dyn Connect) -> Ran {
    let (interrupt, clock) = (Interrupt::default(), FakeTime::new(host));
    let claim = Claim {
        owner: "ada@desk".into(),
        reason: "apply".into(),
        run: name.to_owned(),
        target: "host".into(),
        logins: Vec::new(),
        is_passed_on: false,
    };
    let again = Again { connect, patience: PATIENCE };
    let failed = |reason: String| HostReport { error: Some(reason), ..HostReport::default() };
    let report = match connect.connect("host") {
        Err(error) => failed(error.message),
        Ok(mut transport) => match transport.run(claim.take()) {
            Err(error) => failed(error.to_string()),
            Ok(reply) => match Taken::read(&reply) {
                Taken::Yes => host_run(plan, name, &interrupt, &clock, Some(&claim), Some(again))
                    .apply(transport.as_mut()),
                other => failed(format!("{other:?}")),
            },
        },
    };
    Ran { report, waited: clock.passed() }
}

fn host_run<'a>(
    plan: &'a Plan,
    name: &'a str,
    interrupt: &'a Interrupt,
    clock: &'a FakeTime,
    claim: Option<&'a Claim>,
    again: Option<Again<'a>>,
) -> HostRun<'a> {
    HostRun {
        target: "host",
        name,
        plan,
        sink: &Silent,
        interrupt,
        clock,
        claim,
        again,
        accepted: &[],
        planned: None,
    }
}
