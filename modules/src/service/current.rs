//! `service.current`: a service none of whose workers is older than the code it runs
//!
//! ```yaml
//! uwsgi-current:
//!   service.current:
//!     - service: uwsgi
//!     - code:
//!       - /home/ocdskfp/ocdskingfisherprocess
//!       - /home/ocdskfp/ocdskingfisherprocess/.ve
//!     - require:
//!       - service: uwsgi
//! ```
//!
//! A worker that began before the code came serves what was there before: after a deployment that somebody made by hand, or one
//! that was broken off. The service is then reloaded, never restarted. Workers are all of its processes but the topmost, as
//! those of uWSGI, Gunicorn and Apache are. Beside `service.running`, which reloads on a watched change, this looks at what
//! runs; a service that does not run is as declared.
//!
//! A checkout of git came when its HEAD moved last, a file when it was written, and a folder with its latest file (apart from
//! what Python compiles). Salt has no such function.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;

use super::{Manner, Verb, known, step, with_processes};
use crate::age::Code;
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Stands for `service` if that is not given.
    name: String,
    /// The service, as systemd or `/etc/init.d` call it. Requisites find a state by its name, too: if this were the name, then
    /// `watch_in: [{service: uwsgi}]` would mean this state as well as `service.running`.
    service: Option<String>,
    /// What it runs: checkouts, files and folders.
    code: Texts,
    /// Seconds for which a reload waits until the workers are gone that it replaces. Default: 60.
    #[serde(default = "a_minute")]
    old_workers: u32,
}

fn a_minute() -> u32 {
    60
}

#[derive(Debug)]
pub(crate) struct Current {
    name: String,
    code: Code,
    manner: Manner,
}

impl State for Current {
    const NAME: &'static str = "service.current";
    const SOURCE: &'static str = include_str!("current.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let Arguments { name, service, code, old_workers } = arguments;
        let name = service.unwrap_or(name);
        let code = Code::new(cx, "code", code, Some(&name)).map_err(|problem| vec![problem])?;
        Ok(Current { name, code, manner: Manner { old_workers, ..Manner::default() } })
    }
}

impl Resource for Current {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Service(self.name.clone()), self.code.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let service = known(facts, &self.name)?;
        let ages = self.code.ages(facts)?;
        let older = ages.workers.iter().filter(|pid| ages.is_older(**pid)).count();
        if older == 0 || !service.running {
            return Ok(Vec::new());
        }
        let mut step = step(&self.name, service, Verb::Reload, self.manner)?;
        for change in &mut step.changes {
            let of = ages.workers.len();
            change.subject =
                format!("{}, {older} of whose {of} workers are older than {}", change.subject, ages.code());
        }
        Ok(with_processes(vec![step], facts))
    }

    fn remark(&self, facts: &Facts) -> Option<String> {
        self.code.ages(facts).ok().map(|ages| ages.remark(ages.workers.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, script, unit};
    use crate::age::tests::learn;
    use crate::testing::{Tree, declare};

    const UWSGI: &str = "u:\n  service.current:\n    - service: uwsgi\n    - code: /srv/app\n";

    #[test]
    fn reloads_a_service_with_workers_that_are_older_than_their_code() {
        let resource = declare(UWSGI, &Tree::default());
        let look = resource.questions().remove(1);
        let mut old = facts("uwsgi", unit(true, true));
        learn(&mut old, look.clone(), "worker 8 40010\nworker 9 39000\n");
        let steps = resource.diff(&old).unwrap();
        assert_eq!(
            steps[0].changes[0].to_string(),
            "service uwsgi, 1 of whose 2 workers are older than the code of 2026-11-26 10:00:00 (`/srv/app`): reloaded"
        );
        assert!(script(&steps[0]).contains("reload"), "{}", script(&steps[0]));

        let mut new = facts("uwsgi", unit(true, true));
        learn(&mut new, look, "worker 8 40010\n");
        assert_eq!(resource.diff(&new), Ok(Vec::new()));
        assert!(resource.remark(&new).is_some_and(|told| told.contains("is not older than")));
    }
}
