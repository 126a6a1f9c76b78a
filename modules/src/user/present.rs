//! `user.present`: a user with this home, shell, groups and password
//!
//! ```yaml
//! ocdskfp:
//!   user.present:
//!     - home: /home/ocdskfp
//!     - shell: /bin/bash
//!     - groups:
//!       - www-data
//!     - remove_groups: False
//! ```
//!
//! What is not declared stays. A password is a hash, never shown, and travels on standard input.

use kstate_core::question::{Account, Aging, Answer, Group, PathInfo, PathKind};
use kstate_core::{
    Attributes, Change, Claim, Command, Facts, Operation, Parents, Problem, Question, Resource, Run, Step,
    Stop, Touch, Value,
};
use serde::Deserialize;

use super::likely_home;
use super::shadow::{self, NONE, Password, Shadow};
use crate::group::{LOCAL, NO_MEMBER, NOT_YET, foretell_membership, membership, unfit_name};
use crate::kinds::{Texts, yes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The user's name.
    name: String,
    /// The user's number. Default: it stays, or is the next free one.
    uid: Option<u32>,
    /// The primary group, by name or number. Default: it stays, or is as the host makes users.
    gid: Option<String>,
    /// Makes a group of the user's name for a new user. Default: as the host makes users.
    usergroup: Option<bool>,
    /// The other groups. Default: they stay.
    groups: Option<Texts>,
    /// Further groups, as far as the host has them.
    optional_groups: Option<Texts>,
    /// `False`: groups that are not declared stay. Default: `True`.
    #[serde(default = "yes")]
    remove_groups: bool,
    /// The home. Default: it stays, or is as the host makes users.
    home: Option<String>,
    /// Makes the home if it is missing. Default: `True`.
    #[serde(default = "yes")]
    createhome: bool,
    /// Moves what is in the old home to the new one. Default: `False`.
    #[serde(default)]
    persist_home: bool,
    /// The hash of the password, as crypt(5) writes it.
    password: Option<String>,
    /// `False`: another password stays. Default: `True`.
    #[serde(default = "yes")]
    enforce_password: bool,
    /// Lets the user log in without a password; `password` is ignored then. Default: `False`.
    #[serde(default)]
    empty_password: bool,
    /// `True` locks the password, `False` unlocks it. Default: it stays.
    password_lock: Option<bool>,
    /// `True` is not supported: give the hash as `password`, which `openssl passwd -6` makes.
    #[serde(default)]
    hash_password: bool,
    /// The login shell. Default: it stays, or is as the host makes users.
    shell: Option<String>,
    /// `False`: the number may be another user's as well. Default: `True`.
    #[serde(default = "yes")]
    unique: bool,
    /// Takes the number of a new user from those for the system. Default: `False`.
    #[serde(default)]
    system: bool,
    /// The full name.
    fullname: Option<String>,
    /// The room.
    roomnumber: Option<String>,
    /// The telephone at work.
    workphone: Option<String>,
    /// The telephone at home.
    homephone: Option<String>,
    /// What else the description has.
    other: Option<String>,
    /// The day of the last change of the password, counted from 1970-01-01.
    date: Option<i64>,
    /// Days that a password must be kept.
    mindays: Option<i64>,
    /// Days after which a password must be changed.
    maxdays: Option<i64>,
    /// Days after which an account with an expired password is closed. -1: never.
    inactdays: Option<i64>,
    /// Days of warning before a password expires.
    warndays: Option<i64>,
    /// The day on which the account expires, counted from 1970-01-01. -1: never.
    expire: Option<i64>,
    /// Keeps a new user out of the lastlog and faillog databases. Default: `False`.
    #[serde(default)]
    nologinit: bool,
    /// Lets the number of a user change; the owner of files does not. Default: `False`.
    #[serde(default)]
    allow_uid_change: bool,
    /// Lets the primary group of a user change. Default: `False`.
    #[serde(default)]
    allow_gid_change: bool,
}

#[derive(Debug)]
pub(crate) struct Present {
    name: String,
    uid: Option<u32>,
    gid: Option<String>,
    user_group: Option<bool>,
    groups: Option<Vec<String>>,
    optional_groups: Vec<String>,
    remove_groups: bool,
    home: Option<String>,
    create_home: bool,
    move_home: bool,
    shell: Option<String>,
    unique: bool,
    system: bool,
    gecos: [Option<String>; 5],
    no_log: bool,
    allow_uid_change: bool,
    allow_gid_change: bool,
    shadow: Shadow,
}

const GECOS: [&str; 5] = ["fullname", "roomnumber", "workphone", "homephone", "other"];

impl State for Present {
    const NAME: &'static str = "user.present";
    const SOURCE: &'static str = include_str!("present.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("local", LOCAL),
        ("loginclass", "there are no BSD hosts"),
        ("win_description", crate::file::WINDOWS),
        ("win_homedrive", crate::file::WINDOWS),
        ("win_logonscript", crate::file::WINDOWS),
        ("win_profile", crate::file::WINDOWS),
    ];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems: Vec<Problem> =
            unfit_name(&arguments.name).map(|why| cx.error("name", why)).into_iter().collect();
        problems.extend(unfit_password(&arguments, cx).filter(|_| !arguments.hash_password));
        if arguments.hash_password {
            problems.push(
                cx.error("hash_password", "it is not supported")
                    .hint("give the hash itself as `password`: `openssl passwd -6` makes one"),
            );
        }
        let gecos = [
            arguments.fullname,
            arguments.roomnumber,
            arguments.workphone,
            arguments.homephone,
            arguments.other,
        ];
        for (name, field) in GECOS.into_iter().zip(&gecos) {
            let bad = |c| c == ':' || c == '\n' || (c == ',' && name != "other");
            if let Some(c) = field.as_deref().unwrap_or_default().chars().find(|c| bad(*c)) {
                problems.push(cx.error(name, format!("{c:?} cannot stand in it")));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let password = match arguments.password.filter(|hash| !hash.is_empty()) {
            _ if arguments.empty_password => Some(Password::Empty),
            Some(hash) => Some(Password::Hash { hash, enforce: arguments.enforce_password }),
            None => None,
        };
        Ok(Present {
            name: arguments.name,
            uid: arguments.uid,
            gid: arguments.gid,
            user_group: arguments.usergroup,
            groups: arguments.groups.map(|Texts(groups)| groups),
            optional_groups: arguments.optional_groups.unwrap_or_default().0,
            remove_groups: arguments.remove_groups,
            home: arguments.home,
            create_home: arguments.createhome,
            move_home: arguments.persist_home,
            shell: arguments.shell,
            unique: arguments.unique,
            system: arguments.system,
            gecos,
            no_log: arguments.nologinit,
            allow_uid_change: arguments.allow_uid_change,
            allow_gid_change: arguments.allow_gid_change,
            shadow: Shadow {
                password,
                lock: arguments.password_lock,
                aging: Aging {
                    changed: arguments.date,
                    min: arguments.mindays,
                    max: arguments.maxdays,
                    inactive: arguments.inactdays,
                    warn: arguments.warndays,
                    // Salt: 0 says nothing.
                    expires: arguments.expire.filter(|day| *day != 0),
                },
            },
        })
    }
}

/// Returns what is wrong with the password. What is said of it never shows it.
fn unfit_password(arguments: &Arguments, cx: &Context<'_>) -> Option<Problem> {
    let hash = arguments.password.as_deref().filter(|hash| !hash.is_empty() && !arguments.empty_password);
    if hash.is_some_and(|hash| !shadow::is_hash(hash)) {
        let problem = cx.error("password", "it is not a hash as crypt(5) writes it, and would never fit");
        return Some(problem.hint("give the hash of the password, which `openssl passwd -6` prints"));
    }
    let is_locked = hash.is_some_and(|hash| hash.starts_with('!'));
    let message = match arguments.password_lock {
        Some(true) if arguments.empty_password => "an empty password cannot be locked",
        Some(false) if is_locked => "the hash that is declared is locked: it begins with `!`",
        _ => return None,
    };
    Some(cx.error("password_lock", message))
}

/// A primary group, as far as it is known.
struct Primary {
    name: String,
    gid: u32,
}

impl Resource for Present {
    fn questions(&self) -> Vec<Question> {
        let groups = self.groups.iter().flatten().chain(&self.optional_groups).chain(&self.gid);
        let mut questions: Vec<Question> =
            groups.chain([&self.name]).map(|group| Question::Group(group.clone())).collect();
        questions.push(Question::Account(self.name.clone()));
        let number = self.uid.filter(|_| self.unique);
        questions.extend(number.map(|uid| Question::Account(uid.to_string())));
        if self.create_home {
            let home = self.home.clone().unwrap_or_else(|| likely_home(&self.name));
            questions.push(Question::Path(home));
        }
        questions
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        for group in self.groups.iter().flatten() {
            if facts.group(group)?.is_none() {
                return Err(Stop::Failed(format!("group `{group}` does not exist")));
            }
        }
        let Some(account) = facts.account(&self.name)? else {
            let (step, account) = self.make(facts)?;
            let mut steps = vec![step];
            steps.extend(self.shadow.steps_for_new(&account)?);
            return Ok(steps);
        };
        let (step, after) = self.modify(account, facts)?;
        let is_moved = self.move_home && after.home != account.home && step.is_some();
        let mut steps: Vec<Step> = step.into_iter().collect();
        steps.extend(self.home(&after, is_moved, facts)?);
        steps.extend(self.shadow.steps(&after)?);
        Ok(steps)
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![Claim::new(format!("user {}", self.name), "present")];
        let named = self.groups.iter().flatten().chain(&self.optional_groups);
        claims.extend(named.map(|group| membership(&self.name, group, true)));
        let is_whole = self.groups.is_some() || !self.optional_groups.is_empty();
        if is_whole && self.remove_groups {
            let own = self.gid.iter().chain([&self.name]);
            let own = own.map(|group| membership(&self.name, group, true).thing);
            let except = claims.iter().map(|claim| claim.thing.clone()).chain(own).collect();
            claims.push(Claim::rest(format!("{} in group *", self.name), NO_MEMBER, except));
        }
        claims
    }
}

impl Present {
    /// Fails if another user has the number.
    fn check_number(&self, facts: &Facts) -> Result<(), Stop> {
        let Some(uid) = self.uid.filter(|_| self.unique) else { return Ok(()) };
        match facts.account(&uid.to_string())? {
            Some(other) if other.uid == uid && other.name != self.name => Err(Stop::Failed(format!(
                "uid {uid} belongs to user `{}`; choose another one, or allow both by `unique: False`",
                other.name
            ))),
            _ => Ok(()),
        }
    }

    /// The user is known by name, and by the number that is declared.
    fn foretell(&self, run: Run, account: &Account) -> Run {
        let answer = || Answer::Account(Some(account.clone()));
        let run = run.foretells(Question::Account(self.name.clone()), answer());
        match self.uid {
            Some(uid) => run.foretells(Question::Account(uid.to_string()), answer()),
            None => run,
        }
    }

    /// The declared groups that the host has, without the primary one.
    fn other_groups(&self, primary: Option<&str>, facts: &Facts) -> Result<Vec<String>, Stop> {
        let mut groups = self.groups.clone().unwrap_or_default();
        for group in &self.optional_groups {
            if facts.group(group)?.is_some() {
                groups.push(group.clone());
            }
        }
        groups.retain(|group| Some(group.as_str()) != primary);
        groups.sort();
        groups.dedup();
        Ok(groups)
    }

    /// The primary group that is declared.
    fn primary(&self, facts: &Facts) -> Result<Option<Primary>, Stop> {
        let of = |group: &Group| Primary { name: group.name.clone(), gid: group.gid };
        if self.user_group == Some(true)
            && let Some(group) = facts.group(&self.name)?
        {
            return Ok(Some(of(group)));
        }
        let Some(gid) = &self.gid else { return Ok(None) };
        match facts.group(gid)? {
            Some(group) => Ok(Some(of(group))),
            None => Err(Stop::Failed(format!("group `{gid}` does not exist"))),
        }
    }

    fn gecos(&self, now: &str) -> String {
        let mut now = now.splitn(5, ',');
        let fields = self.gecos.iter().map(|wanted| {
            let now = now.next().unwrap_or_default();
            wanted.as_deref().unwrap_or(now)
        });
        fields.collect::<Vec<_>>().join(",").trim_end_matches(',').to_owned()
    }

    /// useradd(8), and the account that it makes.
    fn make(&self, facts: &Facts) -> Result<(Step, Account), Stop> {
        self.check_number(facts)?;
        let mut primary = self.primary(facts)?;
        let own_group = facts.group(&self.name)?;
        if primary.is_none() && self.user_group != Some(false) {
            // useradd(8) refuses to make a group that is there.
            primary = own_group.map(|group| Primary { name: group.name.clone(), gid: group.gid });
        }
        let groups = self.other_groups(primary.as_ref().map(|group| group.name.as_str()), facts)?;
        let gecos = self.gecos("");
        let mut words: Vec<String> = vec!["useradd".into()];
        let mut changes = vec![Change::new("user", Value::Null, self.name.as_str())];
        let mut set = |option: &str, subject: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([option.to_owned(), value.clone()]);
                changes.push(Change::new(subject, Value::Null, value));
            }
        };
        set("-s", "shell", self.shell.clone());
        set("-u", "uid", self.uid.map(|uid| uid.to_string()));
        set("-g", "gid", primary.as_ref().map(|group| group.name.clone()));
        set("-G", "groups", Some(groups.join(",")).filter(|groups| !groups.is_empty()));
        set("-d", "home", self.home.clone());
        set("-c", "gecos", Some(gecos.clone()).filter(|gecos| !gecos.is_empty()));
        let has_own = primary.is_none() && self.user_group != Some(false);
        let flags = [
            ("-U", primary.is_none() && self.user_group == Some(true)),
            ("-N", self.user_group == Some(false)),
            ("-m", self.create_home),
            ("-M", !self.create_home),
            ("-l", self.no_log),
            ("-o", !self.unique && self.uid.is_some()),
            ("-r", self.system),
        ];
        words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned()));
        words.extend(["--".to_owned(), self.name.clone()]);
        let home = self.home.clone().unwrap_or_else(|| likely_home(&self.name));
        let own = Group { name: self.name.clone(), gid: NOT_YET, members: Vec::new() };
        let account = Account {
            name: self.name.clone(),
            uid: self.uid.unwrap_or(NOT_YET),
            gid: primary.as_ref().map_or(NOT_YET, |group| group.gid),
            gecos,
            home: home.clone(),
            shell: self.shell.clone().unwrap_or_default(),
            group: primary.map_or_else(|| self.name.clone(), |group| group.name),
            groups: groups.clone(),
            password: Some(NONE.into()),
            aging: Aging::default(),
        };
        let mut run = Run::new(Command::words(words), [Touch::Accounts, Touch::Path(home.clone())]);
        for group in &groups {
            run = foretell_membership(run, facts, &self.name, group, true);
        }
        if has_own {
            run = run.foretells(Question::Group(self.name.clone()), Answer::Group(Some(own)));
        }
        if self.create_home {
            let info = facts.path(&home)?.cloned().unwrap_or_else(|| new_home(&account));
            run = run.foretells(Question::Path(home.clone()), Answer::Path(Some(info)));
        } else {
            run.touches.truncate(1);
        }
        run = self.foretell(run, &account);
        Ok((Step::new(changes, run.into()), account))
    }

    /// usermod(8), if anything differs, and the account afterwards.
    fn modify(&self, account: &Account, facts: &Facts) -> Result<(Option<Step>, Account), Stop> {
        let mut after = account.clone();
        let mut words: Vec<String> = vec!["usermod".into()];
        let mut changes = Vec::new();
        if let Some(uid) = self.uid.filter(|uid| *uid != account.uid) {
            if !self.allow_uid_change {
                let (name, old) = (&self.name, account.uid);
                return Err(not_allowed(
                    &format!("the uid of `{name}` is {old}, not {uid}"),
                    "allow_uid_change",
                ));
            }
            self.check_number(facts)?;
            changes.push(Change::new("uid", i64::from(account.uid), i64::from(uid)));
            words.extend(["-u".to_owned(), uid.to_string()]);
            words.extend(Some("-o".to_owned()).filter(|_| !self.unique));
            after.uid = uid;
        }
        if let Some(primary) = self.primary(facts)?.filter(|primary| primary.gid != account.gid) {
            if !self.allow_gid_change {
                let (name, old, new) = (&self.name, &account.group, &primary.name);
                let message = format!("the primary group of `{name}` is `{old}`, not `{new}`");
                return Err(not_allowed(&message, "allow_gid_change"));
            }
            changes.push(Change::new("gid", account.group.as_str(), primary.name.as_str()));
            words.extend(["-g".to_owned(), primary.name.clone()]);
            (after.gid, after.group) = (primary.gid, primary.name);
        }
        let mut set = |option: &str, subject: &str, now: &mut String, wanted: Option<String>| {
            if let Some(wanted) = wanted.filter(|wanted| wanted != now) {
                changes.push(Change::new(subject, now.as_str(), wanted.as_str()));
                words.extend([option.to_owned(), wanted.clone()]);
                *now = wanted;
            }
        };
        set("-d", "home", &mut after.home, self.home.clone());
        set("-s", "shell", &mut after.shell, self.shell.clone());
        let gecos = self.gecos.iter().any(Option::is_some).then(|| self.gecos(&account.gecos));
        set("-c", "gecos", &mut after.gecos, gecos);
        let is_moved = self.move_home && after.home != account.home;
        words.extend(Some("-m".to_owned()).filter(|_| is_moved));
        let groups = self.changed_groups(&after, facts)?;
        if let Some((option, given, now)) = &groups {
            changes.push(Change::new("groups", after.groups.join(","), now.join(",")));
            words.extend(option.iter().map(|word| (*word).to_owned()));
            words.push(given.join(","));
        }
        if changes.is_empty() {
            return Ok((None, after));
        }
        words.extend(["--".to_owned(), self.name.clone()]);
        let mut touches = vec![Touch::Accounts];
        if is_moved {
            touches.extend([Touch::Path(account.home.clone()), Touch::Path(after.home.clone())]);
        }
        let mut run = Run::new(Command::words(words), touches);
        if let Some((_, _, now)) = groups {
            for group in &now {
                run = foretell_membership(run, facts, &self.name, group, true);
            }
            for group in after.groups.iter().filter(|group| !now.contains(group)) {
                run = foretell_membership(run, facts, &self.name, group, false);
            }
            after.groups = now;
        }
        run = self.foretell(run, &after);
        Ok((Some(Step::new(changes, run.into())), after))
    }

    /// The options of usermod(8) for the groups, what is given to them, and the groups afterwards.
    #[expect(clippy::type_complexity, reason = "one caller, which takes it apart at once")]
    fn changed_groups(
        &self,
        account: &Account,
        facts: &Facts,
    ) -> Result<Option<(Vec<&'static str>, Vec<String>, Vec<String>)>, Stop> {
        let wanted = self.other_groups(Some(&account.group), facts)?;
        let mut has_optional = false;
        for group in &self.optional_groups {
            has_optional |= facts.group(group)?.is_some();
        }
        let says_nothing = self.groups.is_none() && !has_optional;
        let missing: Vec<String> =
            wanted.iter().filter(|group| !account.groups.contains(group)).cloned().collect();
        // Salt: a group of the user's own name may stay.
        let surplus = account
            .groups
            .iter()
            .any(|group| !wanted.contains(group) && *group != self.name && *group != account.group);
        if says_nothing || (missing.is_empty() && !(self.remove_groups && surplus)) {
            return Ok(None);
        }
        if self.remove_groups {
            return Ok(Some((vec!["-G"], wanted.clone(), wanted)));
        }
        let mut now = [account.groups.as_slice(), &missing].concat();
        now.sort();
        Ok(Some((vec!["-a", "-G"], missing, now)))
    }

    /// The home of a user that is there.
    fn home(&self, account: &Account, is_moved: bool, facts: &Facts) -> Result<Option<Step>, Stop> {
        if !self.create_home || is_moved || facts.path(&account.home)?.is_some_and(PathInfo::is_directory) {
            return Ok(None);
        }
        let path = account.home.clone();
        let info = new_home(account);
        let attributes = Attributes { mode: Some(info.mode), user: Some(info.user), group: Some(info.group) };
        let change = Change::new("home", Value::Null, path.as_str());
        let operation = Operation::Directory { path, attributes, parents: Parents::MustExist };
        Ok(Some(Step::new([change], operation)))
    }
}

fn not_allowed(message: &str, argument: &str) -> Stop {
    Stop::Failed(format!("{message}; `{argument}: True` changes it, but not the owner of files"))
}

fn new_home(account: &Account) -> PathInfo {
    let group = if account.group.is_empty() { account.gid.to_string() } else { account.group.clone() };
    PathInfo {
        kind: PathKind::Directory,
        mode: 0o755,
        uid: account.uid,
        gid: account.gid,
        user: account.name.clone(),
        group,
        size: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles, stands};

    fn group(name: &str, gid: u32) -> Answer {
        Answer::Group(Some(Group { name: name.into(), gid, members: Vec::new() }))
    }

    fn facts(account: Option<Account>) -> Facts {
        let mut facts = Facts::default();
        facts.learn(Question::Group("adm".into()), Ok(group("adm", 4)));
        facts.learn(Question::Group("web".into()), Ok(group("web", 33)));
        facts.learn(Question::Group("none".into()), Ok(Answer::Group(None)));
        facts.learn(Question::Account("7".into()), Ok(Answer::Account(None)));
        facts.learn(Question::Account("1000".into()), Ok(Answer::Account(account.clone())));
        let own = if account.is_some() { group("ann", 1000) } else { Answer::Group(None) };
        facts.learn(Question::Group("ann".into()), Ok(own));
        for home in ["/home/ann", "/srv/ann"] {
            facts.learn(Question::Path(home.into()), Ok(Answer::Path(None)));
        }
        if account.is_some() {
            stands(&mut facts, "/home/ann", PathKind::Directory, 0o755, "ann");
        }
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(account)));
        facts
    }

    fn ann() -> Account {
        Account {
            name: "ann".into(),
            uid: 1000,
            gid: 1000,
            gecos: "Ann,,1".into(),
            home: "/home/ann".into(),
            shell: "/bin/sh".into(),
            group: "ann".into(),
            groups: vec!["adm".into()],
            password: Some("!".into()),
            aging: Aging::default(),
        }
    }

    fn commands(arguments: &str, mut facts: Facts) -> Vec<String> {
        let present = declare(&format!("ann:\n  user.present:\n{arguments}"), &Tree::default());
        let steps = present.diff(&facts).unwrap_or_else(|stop| panic!("{stop:?}"));
        if !steps.is_empty() {
            settles(&*present, &mut facts);
        }
        let text = |operation: &Operation| match operation {
            Operation::Directory { path, attributes, .. } => format!("directory {path} {attributes:?}"),
            other => other.job().unwrap().script.replace("cd /\n", ""),
        };
        steps.iter().map(|step| text(&step.operation)).collect()
    }

    #[test]
    fn makes_a_user_at_one_stroke() {
        let rows: [(&str, &[&str]); 5] = [
            ("    - system: True\n", &["useradd -m -r -- ann"]),
            (
                "    - home: /srv/ann\n    - shell: /bin/bash\n    - uid: 7\n    - gid: web\n    - groups: [adm, web]\n",
                &["useradd -s /bin/bash -u 7 -g web -G adm -d /srv/ann -m -- ann"],
            ),
            (
                "    - fullname: Ann B\n    - workphone: 5\n    - createhome: False\n    - usergroup: False\n",
                &["useradd -c 'Ann B,,5' -N -M -- ann"],
            ),
            ("    - optional_groups: [none, web]\n", &["useradd -G web -m -- ann"]),
            (
                "    - password: $6$salt$hash\n    - maxdays: 9\n",
                &["useradd -m -- ann", "chpasswd -e", "chage -M 9 -- ann"],
            ),
        ];
        for (arguments, expected) in rows {
            assert_eq!(commands(arguments, facts(None)), expected, "{arguments}");
        }
    }

    #[test]
    fn joins_a_group_of_its_name_that_is_there() {
        let mut facts = facts(None);
        facts.learn(Question::Group("ann".into()), Ok(group("ann", 77)));
        assert_eq!(commands("    - system: False\n", facts), ["useradd -g ann -m -- ann"]);
    }

    #[test]
    fn changes_only_what_is_declared_and_differs() {
        let rows: [(&str, &[&str]); 12] = [
            ("    - uid: 1000\n    - gid: ann\n    - home: /home/ann\n    - shell: /bin/sh\n", &[]),
            ("    - fullname: Ann\n    - workphone: 1\n    - groups: [adm]\n", &[]),
            ("    - shell: /bin/bash\n    - fullname: Bea\n", &["usermod -s /bin/bash -c Bea,,1 -- ann"]),
            ("    - groups: [web]\n", &["usermod -G web -- ann"]),
            ("    - groups: []\n", &["usermod -G '' -- ann"]),
            ("    - groups: [web, ann]\n    - remove_groups: False\n", &["usermod -a -G web -- ann"]),
            ("    - optional_groups: [adm, none]\n", &[]),
            ("    - optional_groups: [ann]\n", &["usermod -G '' -- ann"]),
            ("    - optional_groups: [none]\n", &[]),
            (
                "    - home: /srv/ann\n",
                &[
                    "usermod -d /srv/ann -- ann",
                    "directory /srv/ann Attributes { mode: Some(493), user: Some(\"ann\"), group: Some(\"ann\") }",
                ],
            ),
            ("    - home: /srv/ann\n    - persist_home: True\n", &["usermod -d /srv/ann -m -- ann"]),
            (
                "    - uid: 7\n    - allow_uid_change: True\n    - gid: web\n    - allow_gid_change: True\n",
                &["usermod -u 7 -g web -- ann"],
            ),
        ];
        for (arguments, expected) in rows {
            assert_eq!(commands(arguments, facts(Some(ann()))), expected, "{arguments}");
        }
    }

    #[test]
    fn refuses_what_must_be_allowed_or_made_first() {
        let failed = |arguments: &str| {
            let present = declare(&format!("ann:\n  user.present:\n{arguments}"), &Tree::default());
            match present.diff(&facts(Some(ann()))) {
                Err(Stop::Failed(message)) => message,
                other => panic!("{other:?}"),
            }
        };
        assert!(
            failed("    - uid: 7\n").starts_with("the uid of `ann` is 1000, not 7; `allow_uid_change: True`")
        );
        assert!(failed("    - gid: web\n").starts_with("the primary group of `ann` is `ann`, not `web`"));
        assert_eq!(failed("    - groups: [none]\n"), "group `none` does not exist");
        assert_eq!(failed("    - gid: none\n"), "group `none` does not exist");
        assert!(
            failed("    - password_lock: False\n")
                .starts_with("`ann` has no password that could be unlocked")
        );
    }

    #[test]
    fn a_number_of_another_user_is_refused_unless_allowed() {
        let present = declare("ann:\n  user.present:\n    - uid: '7'\n", &Tree::default());
        let mut facts = facts(None);
        let bob = Account { name: "bob".into(), uid: 7, ..Account::default() };
        facts.learn(Question::Account("7".into()), Ok(Answer::Account(Some(bob))));
        let Err(Stop::Failed(reason)) = present.diff(&facts) else { panic!() };
        assert!(reason.starts_with("uid 7 belongs to user `bob`"), "{reason}");
        let shared = "ann:\n  user.present:\n    - uid: 7\n    - unique: False\n";
        settles(&*declare(shared, &Tree::default()), &mut facts);
    }

    #[test]
    fn a_password_that_is_no_hash_is_refused_and_not_shown() {
        for password in ["secret", "abcdefghijklm", "$6$", "$secret"] {
            let text = format!("ann:\n  user.present:\n    - password: '{password}'\n");
            let error = declare_error(&text, &Tree::default());
            assert!(error.starts_with("a.sls:3: user.present: `password`: it is not a hash"), "{error}");
            assert!(!error.contains(password), "{error}");
        }
        for hash in ["$6$salt$hash", "$y$j9T$salt$hash", "!$1$salt$hash", "*", "!", "!!", "!*"] {
            declare(&format!("ann:\n  user.present:\n    - password: '{hash}'\n"), &Tree::default());
        }
    }

    #[test]
    fn a_clear_text_password_is_refused_with_a_way_out() {
        let text = "ann:\n  user.present:\n    - password: x\n    - hash_password: True\n";
        let error = declare_error(text, &Tree::default());
        assert_eq!(error, "a.sls:4: user.present: `hash_password`: it is not supported");
    }

    #[test]
    fn a_new_user_is_foretold_to_those_that_come_after() {
        let present = declare("ann:\n  user.present: []\n", &Tree::default());
        let mut facts = facts(None);
        settles(&*present, &mut facts);
        assert_eq!(facts.account("ann").unwrap().unwrap().home, "/home/ann");
        assert!(facts.path("/home/ann").unwrap().unwrap().is_directory());
    }
}
