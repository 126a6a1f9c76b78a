//! Random sets of states: files, links, accounts, packages, services, crontabs and commands, with requisites, guards, failures
//! and names that do not exist. Few names, so that states meet.

use std::fmt::Write as _;

use crate::fake::World;
use crate::random::Random;

/// One state of a set.
#[derive(Clone, Debug)]
pub struct Declared {
    pub id: String,
    pub function: &'static str,
    /// Lines of YAML.
    pub arguments: Vec<String>,
    /// The kind of a requisite, and the ids that it names.
    pub requisites: Vec<(&'static str, Vec<String>)>,
}

/// The text of an SLS with these states. A requisite that names nothing any more is left out.
pub fn sls(states: &[Declared]) -> String {
    let mut text = String::new();
    for state in states {
        let _ = writeln!(text, "{}:\n  {}:\n    - order: 1", state.id, state.function);
        for argument in &state.arguments {
            let _ = writeln!(text, "    - {argument}");
        }
        for (kind, targets) in &state.requisites {
            let found: Vec<String> = targets
                .iter()
                .filter_map(|id| states.iter().find(|other| other.id == *id))
                .map(|other| {
                    format!("{{{}: {}}}", other.function.split('.').next().unwrap_or_default(), other.id)
                })
                .collect();
            if !found.is_empty() {
                let _ = writeln!(text, "    - {kind}: [{}]", found.join(", "));
            }
        }
    }
    text.replace("    - order: 1\n", "")
}

const FILES: [&str; 8] = [
    "/srv/a",
    "/srv/b",
    "/srv/d/x",
    "/srv/d/y",
    "/srv/deep/er/f",
    "/etc/app/conf",
    "/etc/app/link",
    "/nowhere/f",
];
const FOLDERS: [&str; 4] = ["/srv/d", "/srv/deep", "/srv/deep/er", "/srv/new"];
const USERS: [&str; 4] = ["app", "root", "web", "nobody1"];
const GROUPS: [&str; 4] = ["adm", "app", "web", "crew"];
const PACKAGES: [&str; 5] = ["jq", "nginx", "nosuch", "redis", "tmux"];
const SERVICES: [&str; 6] = ["barred", "cron", "idle", "nginx", "nosuch", "redis"];
const KINDS: [&str; 9] = [
    "require",
    "require",
    "require",
    "watch",
    "onchanges",
    "onfail",
    "listen",
    "require_any",
    "onchanges_any",
];

/// A set of so many states at most.
pub fn any_set(random: &mut Random, most: usize) -> Vec<Declared> {
    let many = 3 + random.below(most - 2);
    let mut states: Vec<Declared> = Vec::new();
    for number in 0..many {
        let (function, mut arguments) = any_function(random, number);
        if random.once_in(8) {
            let path = random.pick(&FILES);
            arguments.push(match random.below(3) {
                0 => format!("unless: test -e {path}"),
                1 => format!("onlyif: test -e {path}"),
                _ => format!("creates: {path}"),
            });
        }
        let mut requisites: Vec<(&'static str, Vec<String>)> = Vec::new();
        while !states.is_empty() && random.once_in(2) && requisites.len() < 3 {
            let kind = random.pick(&KINDS);
            let targets = (0..1 + random.below(2)).map(|_| states[random.below(states.len())].id.clone());
            if requisites.iter().all(|(known, _)| *known != kind) {
                requisites.push((kind, targets.collect()));
            }
        }
        states.push(Declared { id: format!("s{number}"), function, arguments, requisites });
    }
    states
}

fn any_function(random: &mut Random, number: usize) -> (&'static str, Vec<String>) {
    let name = |name: &str| format!("name: {name}");
    let file = random.pick(&FILES);
    match random.below(22) {
        0..=3 => {
            let mut arguments = vec![name(file), format!("contents: text {}", random.below(3))];
            attributes(random, &mut arguments);
            ("file.managed", arguments)
        }
        4 | 5 => {
            let mut arguments = vec![name(random.pick(&FOLDERS))];
            attributes(random, &mut arguments);
            ("file.directory", arguments)
        }
        6 => ("file.absent", vec![name(if random.once_in(2) { file } else { random.pick(&FOLDERS) })]),
        7 | 8 => {
            let target = if random.once_in(3) { random.pick(&FOLDERS) } else { random.pick(&FILES) };
            let mut arguments = vec![name(file), format!("target: {target}")];
            if random.once_in(2) {
                arguments.push("force: True".into());
            }
            if random.once_in(2) {
                arguments.push("makedirs: True".into());
            }
            ("file.symlink", arguments)
        }
        9 => ("file.append", vec![name(file), format!("text: line {}", random.below(3))]),
        10 => {
            let mut arguments = vec![name(random.pick(&USERS[..3]))];
            match random.below(4) {
                0 => arguments.push(format!("uid: {}", [1000, 1500][random.below(2)])),
                1 => arguments.push(format!("groups: [{}]", random.pick(&GROUPS))),
                2 => arguments.push("shell: /bin/bash".into()),
                _ => {}
            }
            ("user.present", arguments)
        }
        11 => ("user.absent", vec![name("web")]),
        12 => {
            let mut arguments = vec![name(random.pick(&GROUPS))];
            if random.once_in(2) {
                arguments.push(format!("gid: {}", [4, 1600][random.below(2)]));
            }
            ("group.present", arguments)
        }
        13 => ("group.absent", vec![name(random.pick(&GROUPS))]),
        14 => ("pkg.installed", vec![name(random.pick(&PACKAGES))]),
        15 | 16 => {
            let mut arguments = vec![name(random.pick(&SERVICES))];
            if random.once_in(2) {
                arguments.push("enable: True".into());
            }
            ("service.running", arguments)
        }
        17 => ("service.dead", vec![name(random.pick(&SERVICES))]),
        18 => {
            let user = random.pick(&USERS[..3]);
            (
                "cron.present",
                vec![name("/usr/bin/ping"), format!("user: {user}"), format!("minute: {}", random.below(3))],
            )
        }
        19 => ("test.succeed_with_changes", Vec::new()),
        20 => ("test.fail_without_changes", Vec::new()),
        _ => ("cmd.run", vec![name(&line(random, number))]),
    }
}

/// A command that succeeds: how another one ends, nobody can foresee.
fn line(random: &mut Random, number: usize) -> String {
    match random.below(2) {
        0 => format!("count s{number}"),
        _ => format!("echo text {} > /srv/c{number}", random.below(3)),
    }
}

fn attributes(random: &mut Random, arguments: &mut Vec<String>) {
    if random.once_in(3) {
        arguments.push(format!("mode: '{}'", ["0600", "0644", "0755"][random.below(3)]));
    }
    if random.once_in(3) {
        arguments.push(format!("user: {}", random.pick(&USERS)));
    }
    if random.once_in(6) {
        arguments.push(format!("group: {}", random.pick(&GROUPS)));
    }
    if random.once_in(2) {
        arguments.push("makedirs: True".into());
    }
}

/// A host on which some of what the sets name is there already.
pub fn any_world(random: &mut Random) -> World {
    let mut world = World::new();
    for folder in ["/srv/d", "/srv/deep"] {
        if random.once_in(2) {
            let _ = world.disk.make_directory(folder);
        }
    }
    for file in FILES {
        match random.below(6) {
            0 | 1 => drop(world.disk.write(file, format!("text {}\n", random.below(3)).as_bytes(), false)),
            2 => drop(world.disk.link(file, random.pick(&FILES))),
            3 if random.once_in(4) => drop(world.disk.make_directory(file)),
            _ => {}
        }
    }
    world
}
