//! The state of the host in memory.

use std::collections::{BTreeMap, BTreeSet};

use kstate_core::question::Service;

use super::accounts::Accounts;
use super::disk::Disk;
use super::journal::Journal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub version: String,
    pub held: bool,
}

/// What the sources offer of a package, and the service that comes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub version: String,
    pub service: Option<String>,
}

/// What happened to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub starts: u32,
    pub reloads: u32,
    /// The configuration that it has read.
    pub read: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub disk: Disk,
    pub accounts: Accounts,
    pub installed: BTreeMap<String, Package>,
    pub offered: BTreeMap<String, Offer>,
    pub services: BTreeMap<String, Service>,
    pub served: BTreeMap<String, Served>,
    /// The configuration of services.
    pub reads: BTreeMap<String, String>,
    pub crontabs: BTreeMap<String, String>,
    pub journal: Journal,
    /// Seconds since 1970.
    pub now: u64,
    pub boots: u32,
    /// How many connections there have been.
    pub logins: u32,
    /// How often each command of `count NAME` has run.
    pub counts: BTreeMap<String, u32>,
    /// Jobs that nothing here knows.
    pub strange: BTreeSet<String>,
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

impl World {
    /// A small host: its usual directories, a few accounts, packages and services.
    pub fn new() -> Self {
        let directories = [
            "/etc",
            "/etc/app",
            "/home",
            "/home/app",
            "/opt",
            "/root",
            "/run",
            "/srv",
            "/tmp",
            "/usr",
            "/usr/bin",
            "/var",
            "/var/lib",
            "/var/log",
            "/var/tmp",
        ];
        let mut world = World {
            disk: Disk::with(&directories),
            accounts: Accounts::usual(),
            installed: BTreeMap::new(),
            offered: BTreeMap::new(),
            services: BTreeMap::new(),
            served: BTreeMap::new(),
            reads: BTreeMap::new(),
            crontabs: BTreeMap::new(),
            journal: Journal::default(),
            now: 1_750_000_000,
            boots: 1,
            logins: 0,
            counts: BTreeMap::new(),
            strange: BTreeSet::new(),
        };
        for (name, version, service) in [
            ("nginx", "1.22", Some("nginx")),
            ("redis", "7.0", Some("redis")),
            ("jq", "1.6", None),
            ("rsync", "3.2", None),
        ] {
            let service = service.map(str::to_owned);
            world.offered.insert(name.into(), Offer { version: version.into(), service });
        }
        world.installed.insert("jq".into(), Package { version: "1.6".into(), held: false });
        world.installed.insert("tmux".into(), Package { version: "3.3".into(), held: true });
        for (name, running, enabled, masked) in [
            ("cron", true, true, false),
            ("ssh", true, true, false),
            ("idle", false, false, false),
            ("barred", false, false, true),
        ] {
            world.add_service(name, running, enabled, masked);
        }
        let _ = world.disk.write("/usr/bin/sh", b"#!", false);
        world
    }

    pub fn add_service(&mut self, name: &str, running: bool, enabled: bool, masked: bool) {
        let state = if running { "active (running)" } else { "inactive (dead)" };
        let service = Service {
            known: true,
            running,
            enabled: Some(enabled),
            masked,
            state: state.into(),
            ..Service::default()
        };
        self.services.insert(name.to_owned(), service);
        if running {
            self.read_configuration(name);
        }
    }

    /// The power goes and comes back: what is volatile is gone.
    pub fn reboot(&mut self) {
        self.boots += 1;
        self.now += 30;
        let volatile: Vec<String> = ["/run", "/tmp"]
            .iter()
            .flat_map(|root| self.disk.below(root))
            .map(|(path, _)| path.to_owned())
            .collect();
        volatile.iter().for_each(|path| self.disk.remove(path));
        for service in self.services.values_mut() {
            service.running = service.enabled == Some(true) && !service.masked;
            service.state = if service.running { "active (running)" } else { "inactive (dead)" }.into();
        }
        self.journal.reboot();
        let running: Vec<String> = self
            .services
            .iter()
            .filter(|(_, service)| service.running)
            .map(|(name, _)| name.clone())
            .collect();
        running.iter().for_each(|name| self.read_configuration(name));
    }

    /// A service starts, or reads its configuration again.
    pub fn read_configuration(&mut self, name: &str) {
        let read = self.reads.get(name).and_then(|path| self.disk.read(path).ok()).map(<[u8]>::to_vec);
        self.served.entry(name.to_owned()).or_default().read = read;
    }

    /// What a run must not change by looking.
    pub fn unchanged_by_a_look(&self) -> World {
        World { now: 0, logins: 0, strange: BTreeSet::new(), ..self.clone() }
    }
}
