//! The deployment that is disturbed: files, a package, a service, a checkout, commands of every kind, brackets, a retry and a
//! state that fails.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use kstate_core::{Bracket, Change, Command, Facts, Plan, Question, Resource, Run, Step, Stop, Touch, Value};

use crate::disturb::Victim;
use crate::fake::{FakeHost, Kind, World, tree};

pub const CONF: &str = "/etc/app/app.conf";
const JOBS: &str = "/etc/app/jobs";
const AWAY: &str = "/etc/app/jobs.away";

const SLS: &str = r#"
package:
  pkg.installed:
    - name: nginx

user:
  user.present:
    - name: web
    - home: /home/web

conf:
  file.managed:
    - name: /etc/app/app.conf
    - source: salt://app.conf
    - user: app
    - mode: 640
    - require: [{pkg: package}]

extra:
  file.managed:
    - name: /srv/app/deep/extra.conf
    - contents: extra
    - makedirs: True
    - user: web
    - require: [{user: user}]

old:
  file.absent:
    - name: /etc/app/old.conf

link:
  file.symlink:
    - name: /etc/app/current
    - target: /srv/app

service:
  service.running:
    - name: nginx
    - enable: True
    - reload: True
    - watch: [{file: conf}]

checkout:
  cmd.run:
    - name: count checkout && mkdir -p /srv/app/code && echo v2 > /srv/app/code/revision
    - unless: grep -q v2 /srv/app/code/revision
    - require: [{file: extra}]

away:
  cron.suspended:
    - user: app
    - match: .
    - around:
      - cmd: migrate

migrate:
  cmd.run:
    - name: sleep 7; count migrate && echo v2 > /srv/app/schema
    - unless: grep -q v2 /srv/app/schema
    - durable: True
    - require: [{cmd: checkout}]

build:
  cmd.run:
    - name: count build
    - onchanges: [{file: conf}]

ping:
  cmd.run:
    - name: count ping

tab:
  cron.present:
    - name: /usr/bin/ping
    - minute: 5
    - user: web
    - require: [{user: user}]

flaky:
  cmd.run:
    - name: test -e /srv/twice && touch /srv/done; test -e /srv/done && exit 0; test -e /srv/once && touch /srv/twice; touch /srv/once; false
    - creates: /srv/done
    - retry: {attempts: 4, interval: 3}

broken:
  cmd.run:
    - name: count broken; false
    - unless: test -e /tmp/never

after:
  cmd.run:
    - name: count after
    - require: [{cmd: broken}]
"#;

/// What the run takes away while the migration runs.
#[derive(Debug)]
struct Away;

impl Away {
    fn there(facts: &Facts) -> Result<bool, Stop> {
        Ok(facts.path(JOBS)?.is_some())
    }
}

impl Resource for Away {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Path(JOBS.into())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if !Away::there(facts)? {
            return Ok(Vec::new());
        }
        let touches = [JOBS, AWAY].map(|path| Touch::Path(path.into()));
        let run = Run::new(Command::words(["mv", "-T", "--", JOBS, AWAY]), touches);
        Ok(vec![Step::new([Change::new("jobs", Value::Null, "away")], run.into())])
    }

    fn is_bracket(&self) -> bool {
        true
    }

    fn bracket(&self, facts: &Facts) -> Result<Bracket, Stop> {
        let restore = format!("test ! -e {AWAY} || mv {AWAY} {JOBS}");
        Ok(Bracket { steps: self.diff(facts)?, restore })
    }
}

pub fn plan() -> Plan {
    let mut plan =
        tree::plan(SLS, &[("app.conf", "listen 80\n")]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let away = plan.graph.chunks().iter().position(|chunk| chunk.id == "away").unwrap();
    plan.states[away].resource = Box::new(Away);
    plan
}

pub fn world() -> World {
    let mut world = World::new();
    world.reads.insert("nginx".into(), CONF.into());
    world.disk.write(CONF, b"listen 8080\n", false).unwrap();
    world.disk.write("/etc/app/old.conf", b"old\n", false).unwrap();
    world.disk.write(JOBS, b"5 * * * * job\n", false).unwrap();
    world
}

/// What a state is, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// A command that counts its runs under the id of its state.
    Command,
    Other,
}

pub fn kind(id: &str) -> Kinds {
    match id {
        "checkout" | "migrate" | "build" | "ping" => Kinds::Command,
        _ => Kinds::Other,
    }
}

/// Whether a state is as declared. `None`: nobody can say by the host alone.
pub fn holds(id: &str, world: &World) -> Option<bool> {
    let has = |path: &str, text: &[u8]| world.disk.read(path) == Ok(text);
    let has_mode =
        |path: &str, mode, user| world.disk.get(path, true).is_ok_and(|n| n.mode == mode && n.user == user);
    Some(match id {
        "package" => world.installed.contains_key("nginx"),
        "user" => world.accounts.users.contains_key("web"),
        "conf" => has(CONF, b"listen 80\n") && has_mode(CONF, 0o640, "app"),
        "extra" => {
            has("/srv/app/deep/extra.conf", b"extra\n") && has_mode("/srv/app/deep/extra.conf", 0o644, "web")
        }
        "old" => world.disk.get("/etc/app/old.conf", false).is_err(),
        "link" => {
            world.disk.get("/etc/app/current", false).is_ok_and(|n| n.kind == Kind::Link("/srv/app".into()))
        }
        "service" => world.services.get("nginx").is_some_and(|s| s.running && s.enabled == Some(true)),
        "checkout" => has("/srv/app/code/revision", b"v2\n"),
        "migrate" => has("/srv/app/schema", b"v2\n"),
        "tab" => world.crontabs.get("web").is_some_and(|tab| tab.contains("5 * * * * /usr/bin/ping")),
        "flaky" => world.disk.get("/srv/done", true).is_ok(),
        _ => return None,
    })
}

/// What is not as declared at the end, and what was left open.
pub fn differs(world: &World) -> Vec<String> {
    let ids =
        ["package", "user", "conf", "extra", "old", "link", "service", "checkout", "migrate", "tab", "flaky"];
    let mut wrong: Vec<String> = ids
        .iter()
        .filter(|id| holds(id, world) != Some(true))
        .map(|id| format!("`{id}` is not as declared"))
        .collect();
    let jobs = world.disk.read(JOBS).ok();
    if jobs != Some(b"5 * * * * job\n") || world.disk.get(AWAY, false).is_ok() {
        wrong.push(format!("the bracket did not bring back what it took away: {jobs:?}"));
    }
    let journal = &world.journal;
    if !journal.brackets.is_empty() {
        wrong.push("a bracket is open".into());
    }
    if let Some((_, (fields, _))) = journal.owed.first_key_value() {
        wrong.push(format!("a refresh is still pending: {fields:?}"));
    }
    if journal.token.is_some() {
        wrong.push("the lock is not free".into());
    }
    // A service serves what it has read.
    if world.served.get("nginx").and_then(|served| served.read.as_deref()) != world.disk.read(CONF).ok() {
        wrong.push("the service was not reloaded after its configuration changed".into());
    }
    wrong
}

impl Victim for FakeHost {
    fn reboot(&self) {
        self.world().reboot();
    }

    fn fill(&self, full: bool) {
        self.world().disk.is_full = full;
    }

    fn edit(&self) {
        let _ = self.world().disk.write(CONF, b"by hand\n", false);
    }

    fn pass(&self, seconds: u64) {
        self.world().pass(seconds);
    }
}
