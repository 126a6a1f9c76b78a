//! What the programs that answer questions would print on the host in memory.

use std::fmt::Write as _;

use kstate_core::{Question, Reply, digest};

use super::World;
use super::disk::{ABSENT, Kind, NO_DIRECTORY, Node};
use super::programs::Said;

fn print(status: i32, text: String) -> Reply {
    Reply { status, stdout: text.into_bytes(), ..Reply::default() }
}

impl World {
    /// Answers questions of one kind, as their job would.
    pub(crate) fn answer(&mut self, questions: &[Question]) -> Reply {
        let Some(first) = questions.first() else { return Reply::default() };
        match first {
            Question::Path(_) => self.stat(questions),
            Question::Digest(_) => self.sha256sum(questions),
            Question::Account(_) | Question::Group(_) => self.getent(questions),
            Question::Package(_) => self.dpkg_query(questions),
            Question::Candidate(_) => self.apt_cache(questions),
            Question::Service(_) => self.systemctl(questions),
            Question::Processes => print(0, String::new()),
            Question::Content(path) => match self.disk.get(path, true).map(|node| &node.kind) {
                Ok(Kind::File(bytes)) => Reply { stdout: bytes.to_vec(), ..Reply::default() },
                Ok(_) => print(45, String::new()),
                Err(ABSENT | NO_DIRECTORY) => print(44, String::new()),
                Err(_) => print(44, String::new()),
            },
            Question::Tree(path) => self.find(path),
            Question::Crontab(user) => {
                match (self.accounts.users.contains_key(user), self.crontabs.get(user)) {
                    (false, _) => print(44, String::new()),
                    (true, Some(tab)) => print(0, tab.clone()),
                    (true, None) => Said::failed(1, &format!("no crontab for {user}")).into(),
                }
            }
            Question::Kept => print(0, self.journal.listing(self.now)),
            Question::Run(command) => self.start(command, &command.input).into(),
        }
    }

    /// The fields of `stat -c '%f %u %g %s %U %G'`.
    fn fields(&self, node: &Node) -> String {
        let (kind, size) = match &node.kind {
            Kind::File(bytes) => (0o100_000, bytes.len()),
            Kind::Directory => (0o040_000, 4096),
            Kind::Link(target) => (0o120_000, target.len()),
            Kind::Fifo => (0o010_000, 0),
        };
        let (users, groups) = (&self.accounts.users, &self.accounts.groups);
        let uid = users.get(&node.user).map_or_else(|| node.user.parse().unwrap_or(4242), |user| user.uid);
        let gid =
            groups.get(&node.group).map_or_else(|| node.group.parse().unwrap_or(4242), |group| group.gid);
        let user = users.iter().find(|(_, user)| user.uid == uid).map_or("UNKNOWN", |(name, _)| name);
        format!("{:x} {uid} {gid} {size} {user} {}", kind | node.mode, self.accounts.group_name(gid))
    }

    fn stat(&self, questions: &[Question]) -> Reply {
        let (mut text, mut links) = (String::new(), String::new());
        for (number, path) in paths(questions).enumerate() {
            match self.disk.get(path, false) {
                Ok(node) => {
                    let _ = writeln!(text, "{} {path}", self.fields(node));
                    if let Kind::Link(target) = &node.kind {
                        let _ = writeln!(links, "> {number}\n{target}");
                        let _ = match self.disk.get(path, true) {
                            Ok(node) => writeln!(links, "{} .", self.fields(node)),
                            Err(_) => writeln!(links, "dangling"),
                        };
                    }
                }
                Err(refusal) => {
                    let _ = writeln!(text, "stat: cannot statx '{path}': {refusal}");
                }
            }
        }
        print(0, text + &links)
    }

    fn find(&self, root: &str) -> Reply {
        let Ok(real) = self.disk.resolve(root, true) else { return Reply::default() };
        if !self.disk.is_directory(root) || real != root {
            return Reply::default();
        }
        let (mut text, mut links) = (String::new(), String::new());
        for (path, node) in self.disk.below(&real) {
            let _ = write!(text, "{} {path}\0", self.fields(node));
            if let Kind::Link(target) = &node.kind {
                let leads_to = match self.disk.get(path, true) {
                    Ok(node) => format!("{} {path}", self.fields(node)),
                    Err(_) => "dangling".to_owned(),
                };
                let _ = write!(links, "> {path}\0{target}\0{leads_to}\0");
            }
        }
        print(0, text + &links)
    }

    fn sha256sum(&self, questions: &[Question]) -> Reply {
        let line = |path: &str| match self.disk.read(path) {
            Ok(bytes) => format!("{}  {path}\n", digest(bytes)),
            Err(refusal) => format!("sha256sum: {path}: {refusal}\n"),
        };
        print(0, paths(questions).map(line).collect())
    }

    fn getent(&self, questions: &[Question]) -> Reply {
        let (mut passwd, mut shadow, mut groups) = (String::new(), String::new(), String::new());
        for question in questions {
            if let Question::Account(name) = question
                && let Some(user) = self.accounts.users.get(name)
            {
                let _ = writeln!(
                    passwd,
                    "{name}:x:{}:{}:{}:{}:{}",
                    user.uid, user.gid, user.gecos, user.home, user.shell
                );
                let _ = writeln!(shadow, "{name}:{}:{}:", user.password, user.aging.join(":"));
            }
        }
        for (name, group) in &self.accounts.groups {
            let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
            let _ = writeln!(groups, "{name}:x:{}:{}", group.gid, members.join(","));
        }
        print(0, format!("{passwd}=\n{groups}=\n{shadow}=\n"))
    }

    fn dpkg_query(&self, questions: &[Question]) -> Reply {
        let line = |name: &str| {
            let package = self.installed.get(name)?;
            Some(format!("{name}\tall\t{}i \t{}\n", if package.held { 'h' } else { 'i' }, package.version))
        };
        print(0, paths(questions).filter_map(line).collect())
    }

    fn apt_cache(&self, questions: &[Question]) -> Reply {
        let line = |name: &str| {
            let installed = self.installed.get(name).map(|package| package.version.as_str());
            let offered = self.offered.get(name).map(|offer| offer.version.as_str());
            let candidate = offered.or(installed)?;
            Some(format!(
                "{name}:\n  Installed: {}\n  Candidate: {candidate}\n",
                installed.unwrap_or("(none)")
            ))
        };
        print(0, paths(questions).filter_map(line).collect())
    }

    fn systemctl(&self, questions: &[Question]) -> Reply {
        let block = |name: &str| match self.services.get(name) {
            Some(service) => {
                let (active, sub) =
                    if service.running { ("active", "running") } else { ("inactive", "dead") };
                let load = if service.masked { "masked" } else { "loaded" };
                let file = match (service.masked, service.enabled) {
                    (true, _) => "masked",
                    (_, Some(true)) => "enabled",
                    _ => "disabled",
                };
                format!(
                    "Id={name}.service\nLoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\nSourcePath=\nMainPID=0\n\n"
                )
            }
            None => format!(
                "Id={name}.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nSourcePath=\nMainPID=0\n\n"
            ),
        };
        print(0, paths(questions).map(block).collect::<String>() + "=\n")
    }
}

/// The names that questions of one kind ask about.
fn paths(questions: &[Question]) -> impl Iterator<Item = &str> {
    questions.iter().map(|question| match question {
        Question::Path(name)
        | Question::Digest(name)
        | Question::Content(name)
        | Question::Tree(name)
        | Question::Package(name)
        | Question::Candidate(name)
        | Question::Service(name) => name.as_str(),
        _ => "",
    })
}
