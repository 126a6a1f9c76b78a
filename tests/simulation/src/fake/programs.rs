//! The programs of the host in memory, with the refusals of the real ones.

use kstate_core::command::Program;
use kstate_core::{Attributes, Command, Operation, Parents, Reply, Run, Write};

use super::World;
use super::accounts::{Group, User};
use super::disk::{Kind, Refusal};
use super::world::Package;

/// What a program printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn failed(status: i32, text: &str) -> Self {
        Said { status, stderr: format!("{text}\n"), ..Said::default() }
    }

    pub(crate) fn printed(text: impl Into<String>) -> Self {
        Said { stdout: text.into(), ..Said::default() }
    }

    fn of(status: bool) -> Self {
        Said { status: i32::from(!status), ..Said::default() }
    }
}

impl From<Said> for Reply {
    fn from(said: Said) -> Self {
        Reply {
            status: said.status,
            stdout: said.stdout.into_bytes(),
            stderr: said.stderr.into_bytes(),
            ..Reply::default()
        }
    }
}

impl From<Result<(), Refusal>> for Said {
    fn from(outcome: Result<(), Refusal>) -> Self {
        match outcome {
            Ok(()) => Said::default(),
            Err(refusal) => Said::failed(1, refusal),
        }
    }
}

impl World {
    pub(crate) fn strange(&mut self, what: &str) -> Said {
        self.strange.insert(what.chars().take(300).collect());
        Said::failed(127, &format!("the host in memory does not know: {what}"))
    }

    /// Does what an operation says. `input` is what its job reads.
    pub(crate) fn act(&mut self, operation: &Operation, input: &[u8]) -> Said {
        match operation {
            Operation::Nothing => Said::default(),
            Operation::Write(write) => self.put(write, input).into(),
            Operation::Attributes { path, attributes, .. } => {
                let known = self.knows(attributes);
                known.and_then(|()| self.disk.set(path, attributes, true)).into()
            }
            Operation::Directory { path, attributes, parents, .. } => {
                let mut make = || {
                    self.knows(attributes)?;
                    self.make_parents(path, parents)?;
                    if !self.disk.is_directory(path) {
                        self.disk.make_directory(path)?;
                    }
                    self.disk.set(path, attributes, true)
                };
                make().into()
            }
            Operation::Link { path, target, user, group, parents, .. } => {
                let owner = Attributes { user: user.clone(), group: group.clone(), ..Attributes::default() };
                let mut make = || {
                    self.make_parents(path, parents)?;
                    self.disk.link(path, target)?;
                    self.knows(&owner)?;
                    self.disk.set(path, &owner, false)
                };
                make().into()
            }
            Operation::Remove { path, .. } => {
                self.disk.remove(path);
                Said::default()
            }
            Operation::Run(run) => self.run(run, input),
            Operation::End { .. } => Said::default(),
        }
    }

    /// A new file takes the place of the old one, whole; a refusal leaves the old one.
    fn put(&mut self, write: &Write, bytes: &[u8]) -> Result<(), Refusal> {
        self.make_parents(&write.path, &write.parents)?;
        self.knows(&write.attributes)?;
        if let Some(ending) = &write.backup
            && let Ok(old) = self.disk.read(&write.path).map(<[u8]>::to_vec)
        {
            self.disk.write(&format!("{}{ending}", write.path), &old, false)?;
        }
        self.disk.write(&write.path, bytes, write.follow)?;
        self.disk.set(&write.path, &write.attributes, write.follow)
    }

    fn knows(&self, attributes: &Attributes) -> Result<(), Refusal> {
        let known = |name: &Option<String>, is: &dyn Fn(&str) -> bool| {
            name.as_ref().is_none_or(|name| is(name) || name.parse::<u32>().is_ok())
        };
        if !known(&attributes.user, &|name| self.accounts.users.contains_key(name)) {
            return Err("chown: invalid user");
        }
        if !known(&attributes.group, &|name| self.accounts.groups.contains_key(name)) {
            return Err("chown: invalid group");
        }
        Ok(())
    }

    fn make_parents(&mut self, path: &str, parents: &Parents) -> Result<(), Refusal> {
        let Parents::Make(attributes) = parents else { return Ok(()) };
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends {
            if !self.disk.is_directory(&path[..end]) {
                self.disk.make_directory(&path[..end])?;
                self.knows(attributes)?;
                self.disk.set(&path[..end], attributes, false)?;
            }
        }
        Ok(())
    }

    pub(crate) fn run(&mut self, run: &Run, input: &[u8]) -> Said {
        self.start(&run.command, input)
    }

    /// Runs a command of a module, a guard or a check.
    pub(crate) fn start(&mut self, command: &Command, input: &[u8]) -> Said {
        if let Some(user) = &command.user
            && !self.accounts.users.contains_key(user)
        {
            return Said::failed(1, &format!("su: user {user} does not exist"));
        }
        if let Some(dir) = command.dir.as_ref().filter(|dir| !self.disk.is_directory(dir)) {
            return Said::failed(1, &format!("cd: can't cd to {dir}"));
        }
        let told: Vec<&str> = command.told.as_deref().unwrap_or_default().split(' ').collect();
        match (told.as_slice(), &command.program) {
            (["service", name, verb], _) => self.service(name, verb),
            (["apt-get", "--simulate", words @ ..], _) => match self.clone().apt(words, "") {
                Said { status: 0, .. } => Said::default(),
                said => Said { status: 1, ..Said::printed(format!("lists 60 no\n{}", said.stderr)) },
            },
            (["apt-get", words @ ..], Program::Shell { line, .. }) => self.apt(words, line),
            (["apt-mark", verb @ ("hold" | "unhold"), "--", names @ ..], _) => {
                self.hold(names, *verb == "hold")
            }
            (["crontab", "-u", user, "-"], _) => self.crontab(user, input),
            (_, Program::Words(words)) => {
                self.program(&words.iter().map(String::as_str).collect::<Vec<_>>(), input)
            }
            (_, Program::Shell { line, .. }) if line == "getent passwd | cut -d: -f1,4" => {
                let line = |(name, user): (&String, &User)| format!("{name}:{}\n", user.gid);
                Said::printed(self.accounts.users.iter().map(line).collect::<String>())
            }
            (_, Program::Shell { line, .. }) => self.shell(line),
        }
    }

    fn service(&mut self, name: &str, verb: &str) -> Said {
        let Some(service) = self.services.get_mut(name) else {
            return Said::failed(
                5,
                &format!("Failed to {verb} {name}.service: Unit {name}.service not found."),
            );
        };
        let served = self.served.entry(name.to_owned()).or_default();
        match verb {
            "start" | "restart" | "reload" if service.masked => {
                return Said::failed(
                    1,
                    &format!("Failed to {verb} {name}.service: Unit {name}.service is masked."),
                );
            }
            "reload" if service.running => served.reloads += 1,
            "start" if service.running => return Said::default(),
            "start" | "restart" | "reload" => {
                served.starts += 1;
                service.running = true;
            }
            "stop" => service.running = false,
            "enable" if service.masked => return Said::failed(1, "Unit is masked"),
            "enable" | "disable" => service.enabled = Some(verb == "enable"),
            "mask" => {
                service.masked = true;
                service.enabled = Some(false);
            }
            "unmask" => service.masked = false,
            _ => return self.strange(&format!("service {name} {verb}")),
        }
        service.state = if service.running { "active (running)" } else { "inactive (dead)" }.into();
        if service.running && matches!(verb, "start" | "restart" | "reload") {
            self.read_configuration(name);
        }
        Said::default()
    }

    fn apt(&mut self, words: &[&str], script: &str) -> Said {
        let names = words.iter().skip(1).filter(|word| !word.starts_with('-'));
        if self.disk.is_full {
            return Said::failed(100, "E: You don't have enough free space in /var/cache/apt/archives/.");
        }
        for name in names {
            let (name, version) = name.split_once('=').map_or((*name, None), |(name, v)| (name, Some(v)));
            match words[0] {
                "install" => {
                    let Some(offer) = self.offered.get(name).cloned() else {
                        if self.installed.contains_key(name) {
                            continue;
                        }
                        return Said::failed(100, &format!("E: Unable to locate package {name}"));
                    };
                    if version.is_some_and(|version| version != offer.version) {
                        return Said::failed(
                            100,
                            &format!(
                                "E: Version '{}' for '{name}' was not found",
                                version.unwrap_or_default()
                            ),
                        );
                    }
                    let held = self.installed.get(name).is_some_and(|package| package.held);
                    self.installed.insert(name.to_owned(), Package { version: offer.version, held });
                    if let Some(service) =
                        offer.service.filter(|service| !self.services.contains_key(service))
                    {
                        self.add_service(&service, true, true, false);
                    }
                }
                "remove" | "purge" => {
                    self.installed.remove(name);
                    if let Some(service) = self.offered.get(name).and_then(|offer| offer.service.clone()) {
                        self.services.remove(&service);
                    }
                }
                _ => return self.strange(&words.join(" ")),
            }
        }
        match script.lines().last().and_then(|line| line.strip_prefix("apt-mark ")) {
            Some(mark) => self.shell(&format!("apt-mark {mark}")),
            None => Said::default(),
        }
    }

    fn hold(&mut self, names: &[&str], held: bool) -> Said {
        for name in names {
            match self.installed.get_mut(*name) {
                Some(package) => package.held = held,
                None => {
                    return Said::failed(
                        1,
                        &format!("E: can't select installed nor candidate version from package {name}"),
                    );
                }
            }
        }
        Said::default()
    }

    fn crontab(&mut self, user: &str, input: &[u8]) -> Said {
        if !self.accounts.users.contains_key(user) {
            return Said::failed(1, &format!("crontab:  user `{user}' unknown"));
        }
        if self.disk.is_full {
            return Said::failed(1, "crontab: No space left on device");
        }
        self.crontabs.insert(user.to_owned(), String::from_utf8_lossy(input).into_owned());
        Said::default()
    }

    /// Runs a program by its words.
    pub(crate) fn program(&mut self, words: &[&str], input: &[u8]) -> Said {
        let [name, rest @ ..] = words else { return Said::default() };
        let plain: Vec<&str> = rest.iter().copied().filter(|word| !word.starts_with('-')).collect();
        match (*name, rest) {
            ("true" | ":" | "sleep" | "sync", _) => Said::default(),
            ("false", _) => Said::of(false),
            ("exit", [status]) => Said { status: status.parse().unwrap_or(2), ..Said::default() },
            ("echo", words) => Said::printed(format!("{}\n", words.join(" "))),
            ("count", [name]) => {
                *self.counts.entry((*name).to_owned()).or_default() += 1;
                Said::default()
            }
            ("sh" | "/bin/sh", ["-c", line]) => self.shell(line),
            ("xargs", ["-0", "-r", words @ ..]) => {
                let text = String::from_utf8_lossy(input).into_owned();
                let names: Vec<&str> = text.split('\0').filter(|name| !name.is_empty()).collect();
                if names.is_empty() { Said::default() } else { self.program(&[words, &names].concat(), &[]) }
            }
            ("apt-mark", [verb @ ("hold" | "unhold"), "--", names @ ..]) => self.hold(names, *verb == "hold"),
            ("test", words) => self.test(words),
            ("[", [words @ .., "]"]) => self.test(words),
            ("cat", [path]) => match self.disk.read(path) {
                Ok(bytes) => Said::printed(String::from_utf8_lossy(bytes)),
                Err(refusal) => Said::failed(1, &format!("cat: {path}: {refusal}")),
            },
            ("grep", ["-q", text, path]) => match self.disk.read(path) {
                Ok(bytes) => Said::of(String::from_utf8_lossy(bytes).lines().any(|line| line.contains(text))),
                Err(refusal) => Said::failed(2, &format!("grep: {path}: {refusal}")),
            },
            ("touch", [path]) => match self.disk.get(path, true) {
                Ok(_) => Said::default(),
                Err(_) => self.disk.write(path, b"", true).into(),
            },
            ("mkdir", _) => {
                let parents = if rest.contains(&"-p") {
                    Parents::Make(Attributes::default())
                } else {
                    Parents::MustExist
                };
                let mut made = Said::default();
                for path in plain {
                    let outcome =
                        self.make_parents(path, &parents).and_then(|()| match self.disk.is_directory(path) {
                            true if rest.contains(&"-p") => Ok(()),
                            _ => self.disk.make_directory(path),
                        });
                    made = if made.status == 0 { outcome.into() } else { made };
                }
                made
            }
            ("rm", _) => self.remove(
                &plain,
                rest.iter().any(|word| word.contains('r') && word.starts_with('-')),
                rest.iter().any(|word| word.contains('f') && word.starts_with('-')),
            ),
            ("mv", _) if plain.len() == 2 => self.disk.rename(plain[0], plain[1]).into(),
            ("cp", _) if plain.len() == 2 => match self.disk.read(plain[0]).map(<[u8]>::to_vec) {
                Ok(bytes) => self.disk.write(plain[1], &bytes, true).into(),
                Err(refusal) => Said::failed(1, &format!("cp: {}: {refusal}", plain[0])),
            },
            ("ln", ["-s", target, path]) => match self.disk.get(path, false) {
                Ok(_) => Said::failed(1, "ln: File exists"),
                Err(_) => self.disk.link(path, target).into(),
            },
            ("chmod", _) if !plain.is_empty() => {
                let mode = u32::from_str_radix(plain[0], 8).ok();
                self.each(&plain[1..], &Attributes { mode, ..Attributes::default() }, true)
            }
            ("chown", _) if !plain.is_empty() => {
                let (user, group) = plain[0].split_once(':').unwrap_or((plain[0], ""));
                let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
                let owner = Attributes { user: named(user), group: named(group), ..Attributes::default() };
                match self.knows(&owner) {
                    Ok(()) => self.each(&plain[1..], &owner, !rest.contains(&"-h")),
                    Err(refusal) => Said::failed(1, refusal),
                }
            }
            (
                "useradd" | "usermod" | "userdel" | "groupadd" | "groupmod" | "groupdel" | "gpasswd"
                | "chpasswd" | "passwd" | "chage",
                _,
            ) if self.disk.is_full => {
                Said::failed(1, &format!("{name}: failure while writing changes to /etc/passwd"))
            }
            ("useradd", _) => self.useradd(rest),
            ("usermod", _) => self.usermod(rest),
            ("userdel", _) => self.userdel(rest),
            ("groupadd", _) => self.groupadd(rest),
            ("groupmod", ["-g", gid, options @ .., "--", name]) => {
                let gid = gid.parse().unwrap_or_default();
                if self.accounts.has_gid(gid) && !options.contains(&"-o") {
                    return Said::failed(4, &format!("groupmod: GID '{gid}' already exists"));
                }
                if let Some(group) = self.accounts.groups.get_mut(*name) {
                    group.gid = gid;
                }
                Said::default()
            }
            ("groupdel", ["--", name]) => self.groupdel(name),
            ("gpasswd", [option @ ("-a" | "-d"), user, group]) => self.member(*option == "-a", user, group),
            ("chage", [options @ .., "--", name]) => {
                let Some(user) = self.accounts.users.get_mut(*name) else {
                    return Said::failed(1, "no such user");
                };
                for pair in options.chunks(2) {
                    let place = ["-d", "-m", "-M", "-W", "-I", "-E"].iter().position(|o| *o == pair[0]);
                    let value = if pair[1] == "-1" { "" } else { pair[1] };
                    if let Some(place) = place {
                        user.aging[place] = value.to_owned();
                    }
                }
                Said::default()
            }
            ("chpasswd", ["-e"]) => {
                let text = String::from_utf8_lossy(input).into_owned();
                if let Some((name, hash)) = text.trim_end().split_once(':')
                    && let Some(user) = self.accounts.users.get_mut(name)
                {
                    user.password = hash.to_owned();
                }
                Said::default()
            }
            _ => self.strange(&words.join(" ")),
        }
    }

    fn each(&mut self, paths: &[&str], attributes: &Attributes, follow: bool) -> Said {
        let outcomes: Vec<_> = paths.iter().map(|path| self.disk.set(path, attributes, follow)).collect();
        outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(())).into()
    }

    fn remove(&mut self, paths: &[&str], all: bool, force: bool) -> Said {
        for path in paths {
            match self.disk.get(path, false).map(|node| node.kind == Kind::Directory) {
                Ok(true) if !all => {
                    return Said::failed(1, &format!("rm: cannot remove '{path}': Is a directory"));
                }
                Ok(_) => self.disk.remove(path),
                Err(refusal) if !force => {
                    return Said::failed(1, &format!("rm: cannot remove '{path}': {refusal}"));
                }
                Err(_) => {}
            }
        }
        Said::default()
    }

    fn test(&self, words: &[&str]) -> Said {
        let node = |path: &str| self.disk.get(path, true);
        Said::of(match words {
            ["!", rest @ ..] => self.test(rest).status != 0,
            ["-e", path] => node(path).is_ok(),
            ["-f", path] => node(path).is_ok_and(|node| matches!(node.kind, Kind::File(_))),
            ["-d", path] => self.disk.is_directory(path),
            ["-L" | "-h", path] => {
                self.disk.get(path, false).is_ok_and(|node| matches!(node.kind, Kind::Link(_)))
            }
            ["-s", path] => self.disk.read(path).is_ok_and(|bytes| !bytes.is_empty()),
            [a, "=", b] => a == b,
            [text] => !text.is_empty(),
            _ => false,
        })
    }

    fn useradd(&mut self, words: &[&str]) -> Said {
        let name = words.last().copied().unwrap_or_default();
        let option = |flag: &str| {
            words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied()
        };
        if self.accounts.users.contains_key(name) {
            return Said::failed(9, &format!("useradd: user '{name}' already exists"));
        }
        let own = option("-g").is_none() && !words.contains(&"-N");
        if own && self.accounts.groups.contains_key(name) {
            return Said::failed(
                9,
                &format!(
                    "useradd: group {name} exists - if you want to add this user to that group, use -g."
                ),
            );
        }
        let uid = match option("-u").and_then(|uid| uid.parse().ok()) {
            Some(uid) if self.accounts.has_uid(uid) && !words.contains(&"-o") => {
                return Said::failed(4, &format!("useradd: UID {uid} is not unique"));
            }
            Some(uid) => uid,
            None => self.accounts.free_uid(if words.contains(&"-r") { 100 } else { 1000 }),
        };
        let gid = match option("-g").map(|group| (group, self.accounts.gid(group))) {
            Some((group, None)) => {
                return Said::failed(6, &format!("useradd: group '{group}' does not exist"));
            }
            Some((_, Some(gid))) => gid,
            None if own => self.accounts.free_gid(uid),
            None => 100,
        };
        let groups: Vec<&str> = option("-G").map(|list| list.split(',').collect()).unwrap_or_default();
        if let Some(missing) = groups.iter().find(|group| !self.accounts.groups.contains_key(**group)) {
            return Said::failed(6, &format!("useradd: group '{missing}' does not exist"));
        }
        if own {
            self.accounts.groups.insert(name.to_owned(), Group { gid, ..Group::default() });
        }
        for group in groups {
            self.accounts.groups.get_mut(group).map(|group| group.members.insert(name.to_owned()));
        }
        let home = option("-d").map_or_else(|| format!("/home/{name}"), str::to_owned);
        let mut user = User::new(uid, gid, &home);
        user.shell = option("-s").unwrap_or("/bin/sh").to_owned();
        user.gecos = option("-c").unwrap_or_default().to_owned();
        self.accounts.users.insert(name.to_owned(), user);
        if words.contains(&"-m") && self.disk.get(&home, true).is_err() {
            let _ = self.make_parents(&home, &Parents::Make(Attributes::default()));
            let _ = self.disk.make_directory(&home);
            let group = self.accounts.group_name(gid).to_owned();
            let owner = Attributes { user: Some(name.into()), group: Some(group), mode: Some(0o700) };
            let _ = self.disk.set(&home, &owner, true);
        }
        Said::default()
    }

    fn usermod(&mut self, words: &[&str]) -> Said {
        let name = words.last().copied().unwrap_or_default();
        let option = |flag: &str| {
            words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied()
        };
        if !self.accounts.users.contains_key(name) {
            return Said::failed(6, &format!("usermod: user '{name}' does not exist"));
        }
        let uid: Option<u32> = option("-u").and_then(|uid| uid.parse().ok());
        if let Some(uid) = uid.filter(|uid| self.accounts.has_uid(*uid) && !words.contains(&"-o")) {
            return Said::failed(4, &format!("usermod: UID '{uid}' already exists"));
        }
        let gid = match option("-g").map(|group| (group, self.accounts.gid(group))) {
            Some((group, None)) => {
                return Said::failed(6, &format!("usermod: group '{group}' does not exist"));
            }
            Some((_, gid)) => gid,
            None => None,
        };
        if let Some(list) = option("-G").or_else(|| option("-aG")) {
            let groups: Vec<&str> = list.split(',').filter(|group| !group.is_empty()).collect();
            if let Some(missing) = groups.iter().find(|group| !self.accounts.groups.contains_key(**group)) {
                return Said::failed(6, &format!("usermod: group '{missing}' does not exist"));
            }
            let appends = words.contains(&"-a") || words.contains(&"-aG");
            for (own, group) in &mut self.accounts.groups {
                if groups.contains(&own.as_str()) {
                    group.members.insert(name.to_owned());
                } else if !appends {
                    group.members.remove(name);
                }
            }
        }
        let home = option("-d").map(str::to_owned);
        let Some(user) = self.accounts.users.get_mut(name) else { return Said::default() };
        user.uid = uid.unwrap_or(user.uid);
        user.gid = gid.unwrap_or(user.gid);
        user.shell = option("-s").map_or_else(|| user.shell.clone(), str::to_owned);
        user.gecos = option("-c").map_or_else(|| user.gecos.clone(), str::to_owned);
        if words.contains(&"-L") && !user.password.starts_with('!') {
            user.password.insert(0, '!');
        }
        if words.contains(&"-U") {
            user.password = user.password.trim_start_matches('!').to_owned();
        }
        if let Some(home) = home {
            let old = std::mem::replace(&mut user.home, home.clone());
            if words.contains(&"-m") {
                let _ = self.disk.rename(&old, &home);
            }
        }
        Said::default()
    }

    fn userdel(&mut self, words: &[&str]) -> Said {
        let name = words.last().copied().unwrap_or_default();
        let Some(user) = self.accounts.users.remove(name) else {
            return Said::failed(6, &format!("userdel: user '{name}' does not exist"));
        };
        for group in self.accounts.groups.values_mut() {
            group.members.remove(name);
        }
        let is_own = self.accounts.groups.get(name).is_some_and(|group| {
            group.gid == user.gid && !self.accounts.users.values().any(|other| other.gid == group.gid)
        });
        if is_own {
            self.accounts.groups.remove(name);
        }
        self.crontabs.remove(name);
        if words.contains(&"-r") {
            self.disk.remove(&user.home);
        }
        Said::default()
    }

    fn groupadd(&mut self, words: &[&str]) -> Said {
        let name = words.last().copied().unwrap_or_default();
        if self.accounts.groups.contains_key(name) {
            return Said::failed(9, &format!("groupadd: group '{name}' already exists"));
        }
        let given =
            words.iter().position(|word| *word == "-g").and_then(|at| words.get(at + 1)?.parse().ok());
        if let Some(gid) = given.filter(|gid| self.accounts.has_gid(*gid) && !words.contains(&"-o")) {
            return Said::failed(4, &format!("groupadd: GID '{gid}' already exists"));
        }
        let gid =
            given.unwrap_or_else(|| self.accounts.free_gid(if words.contains(&"-r") { 100 } else { 1001 }));
        self.accounts.groups.insert(name.to_owned(), Group { gid, ..Group::default() });
        Said::default()
    }

    fn groupdel(&mut self, name: &str) -> Said {
        let Some(group) = self.accounts.groups.get(name) else {
            return Said::failed(6, &format!("groupdel: group '{name}' does not exist"));
        };
        if let Some((user, _)) = self.accounts.users.iter().find(|(_, user)| user.gid == group.gid) {
            return Said::failed(8, &format!("groupdel: cannot remove the primary group of user '{user}'"));
        }
        self.accounts.groups.remove(name);
        Said::default()
    }

    fn member(&mut self, add: bool, user: &str, group: &str) -> Said {
        let has_user = self.accounts.users.contains_key(user);
        let Some(group) = self.accounts.groups.get_mut(group) else {
            return Said::failed(3, &format!("gpasswd: group '{group}' does not exist in /etc/group"));
        };
        if add && !has_user {
            return Said::failed(3, &format!("gpasswd: user '{user}' does not exist"));
        }
        if add {
            group.members.insert(user.to_owned())
        } else {
            group.members.remove(user)
        };
        Said::default()
    }
}
