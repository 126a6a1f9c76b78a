//! Users and groups of the host in memory, and the programs that change them.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
    pub password: String,
    /// The fields of shadow(5) from the third on.
    pub aging: [String; 6],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub gid: u32,
    pub members: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    pub users: BTreeMap<String, User>,
    pub groups: BTreeMap<String, Group>,
}

impl Accounts {
    pub fn usual() -> Self {
        let mut accounts = Accounts::default();
        for (name, gid) in [("root", 0), ("adm", 4), ("app", 1000), ("staff", 50), ("www-data", 33)] {
            accounts.groups.insert(name.into(), Group { gid, members: BTreeSet::new() });
        }
        for (name, uid, home) in
            [("root", 0, "/root"), ("app", 1000, "/home/app"), ("www-data", 33, "/var/www")]
        {
            accounts.users.insert(name.into(), User::new(uid, uid, home));
        }
        accounts
    }

    pub fn group_name(&self, gid: u32) -> &str {
        self.groups.iter().find(|(_, group)| group.gid == gid).map_or("UNKNOWN", |(name, _)| name.as_str())
    }

    pub fn has_gid(&self, gid: u32) -> bool {
        self.groups.values().any(|group| group.gid == gid)
    }

    pub fn has_uid(&self, uid: u32) -> bool {
        self.users.values().any(|user| user.uid == uid)
    }

    /// The gid of a group given by name or number.
    pub fn gid(&self, group: &str) -> Option<u32> {
        let by_name = self.groups.get(group).map(|group| group.gid);
        by_name.or_else(|| group.parse().ok().filter(|gid| self.has_gid(*gid)))
    }

    pub fn free_uid(&self, from: u32) -> u32 {
        (from..).find(|uid| !self.has_uid(*uid)).unwrap_or(from)
    }

    pub fn free_gid(&self, from: u32) -> u32 {
        (from..).find(|gid| !self.has_gid(*gid)).unwrap_or(from)
    }
}

impl User {
    pub fn new(uid: u32, gid: u32, home: &str) -> Self {
        let aging = ["19000", "0", "99999", "7", "", ""].map(str::to_owned);
        let [gecos, home, shell] = ["", home, "/bin/sh"].map(str::to_owned);
        User { uid, gid, gecos, home, shell, password: "!".into(), aging }
    }
}
