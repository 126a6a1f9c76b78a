//! `postgres_user.present`, `postgres_user.absent`, `postgres_group.present`, `postgres_group.absent`: roles of a
//! PostgreSQL server
//!
//! ```yaml
//! ocdskfp:
//!   postgres_user.present:
//!     - password: of-the-private-pillar
//!     - createdb: False
//!     - groups: readers
//! ```
//!
//! A password is compared with what the server has stored, whether as SCRAM or as MD5, and is stored as the server's
//! `password_encryption` says. It never stands in a command line, in the server's log or in a report. All roles and
//! databases of a server are looked up by one `psql`.

mod password;
pub(crate) mod server;

use kstate_core::{Change, Facts, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;

use crate::kinds::Texts;
use crate::{Context, State};
use password::Encryption;
use server::{Connection, Role, Server, identifier, literal};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The role.
    name: String,
    /// Its password: plain, or as the server stores it (`md5…`, `SCRAM-SHA-256$…`).
    password: Option<String>,
    /// The password that it gets when it is made, if `password` is not given.
    default_password: Option<String>,
    /// How the password is stored: `scram-sha-256` or `md5`. Default: as the server does.
    encrypted: Option<Encryption>,
    /// Sets the password without a comparison where the server does not let us see what is stored. Default: `False`.
    #[serde(default)]
    refresh_password: bool,
    /// May make databases.
    createdb: Option<bool>,
    /// May make roles.
    createroles: Option<bool>,
    /// An older name of `createroles`.
    createuser: Option<bool>,
    /// May do anything.
    superuser: Option<bool>,
    /// Has the rights of the roles that it is a member of.
    inherit: Option<bool>,
    /// May log in. Default when it is made: `True` for a user, `False` for a group.
    login: Option<bool>,
    /// May stream replicas.
    replication: Option<bool>,
    /// When its password ends: `2030-01-01`, `2030-01-01 12:00:00`, `infinity`.
    valid_until: Option<String>,
    /// Roles that it is a member of: a list, or text with commas.
    groups: Option<Texts>,
    /// The user to run `psql` as. Default: `postgres`.
    user: Option<String>,
    /// The database to connect to. Default: `postgres`.
    maintenance_db: Option<String>,
    /// The role to log in as.
    db_user: Option<String>,
    /// Its password.
    db_password: Option<String>,
    /// The server. Default: the local one.
    db_host: Option<String>,
    /// The port of the server.
    db_port: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct User(Wanted);

#[derive(Debug)]
pub(crate) struct Group(Wanted);

#[derive(Debug)]
struct Wanted {
    connection: Connection,
    name: String,
    password: Option<String>,
    default_password: Option<String>,
    encryption: Option<Encryption>,
    refresh_password: bool,
    flags: Vec<Flag>,
    /// Whether it may log in when it is made and nothing is said about that.
    logs_in: bool,
    valid_until: Option<String>,
    groups: Vec<String>,
}

/// A property that a role has or has not.
#[derive(Debug)]
struct Flag {
    /// `CREATEDB`; with `NO` in front it is taken away.
    word: &'static str,
    subject: &'static str,
    wanted: bool,
    of: fn(&mut Role) -> &mut bool,
}

impl Wanted {
    fn new(a: Arguments, logs_in: bool, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        if a.encrypted == Some(Encryption::Plain) && a.password.is_some() {
            let problem = cx.error("encrypted", "no supported server stores plain passwords");
            return Err(vec![problem.hint("leave it out")]);
        }
        if let Some(until) = a.valid_until.as_deref().filter(|until| !is_moment(&moment(until))) {
            let problem = cx.error("valid_until", format!("`{until}` is not a time in UTC"));
            return Err(vec![problem.hint("write it as `2030-01-01`, `2030-01-01 12:00:00` or `infinity`")]);
        }
        let mut flags = Vec::new();
        let mut flag = |wanted: Option<bool>, word, subject, of: fn(&mut Role) -> &mut bool| {
            flags.extend(wanted.map(|wanted| Flag { word, subject, wanted, of }));
        };
        flag(a.superuser, "SUPERUSER", "may do anything", |role| &mut role.superuser);
        flag(a.createdb, "CREATEDB", "may make databases", |role| &mut role.createdb);
        flag(a.createroles.or(a.createuser), "CREATEROLE", "may make roles", |role| &mut role.createrole);
        flag(a.inherit, "INHERIT", "inherits", |role| &mut role.inherit);
        flag(a.login, "LOGIN", "may log in", |role| &mut role.login);
        flag(a.replication, "REPLICATION", "may replicate", |role| &mut role.replication);
        let Texts(groups) = a.groups.unwrap_or_default();
        Ok(Wanted {
            connection: Connection::new(
                a.user,
                a.maintenance_db,
                a.db_user,
                a.db_password,
                a.db_host,
                a.db_port,
            ),
            name: a.name,
            password: a.password,
            default_password: a.default_password,
            encryption: a.encrypted,
            refresh_password: a.refresh_password,
            flags,
            logs_in,
            valid_until: a.valid_until,
            groups: groups
                .iter()
                .flat_map(|group| group.split(','))
                .map(|group| group.trim().to_owned())
                .filter(|group| !group.is_empty())
                .collect(),
        })
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let server = self.connection.server(facts)?;
        for group in &self.groups {
            server.check_role(group)?;
        }
        match server.role(&self.name) {
            None => Ok(vec![self.create(&server)?]),
            Some(role) => self.alter(&server, role),
        }
    }

    fn create(&self, server: &Server) -> Result<Step, Stop> {
        let mut role =
            Role { name: self.name.clone(), login: self.logs_in, inherit: true, ..Role::default() };
        let mut options = vec![if self.logs_in { "LOGIN" } else { "NOLOGIN" }.to_owned()];
        for flag in &self.flags {
            *(flag.of)(&mut role) = flag.wanted;
            options.retain(|option| option.trim_start_matches("NO") != flag.word);
            options.push(flag.option());
        }
        let mut changes = vec![Change::new(format!("role {}", self.name), Value::Null, "created")];
        for flag in &self.flags {
            changes.push(Change::new(flag.word.to_lowercase(), Value::Null, flag.wanted));
        }
        if let Some(password) = self.password.as_ref().or(self.default_password.as_ref()) {
            let stored = self.stored(server, password, None);
            options.push(format!("PASSWORD {}", literal(&stored)));
            role.password = Some(stored);
            changes.push(Change::new("password", Value::Null, "set"));
        }
        if let Some(until) = &self.valid_until {
            options.push(format!("VALID UNTIL {}", literal(until)));
            role.valid_until = Some(moment(until));
            changes.push(Change::new("valid until", Value::Null, until.as_str()));
        }
        let name = identifier(&self.name);
        let mut sql = format!("CREATE ROLE {name} WITH {};\n", options.join(" "));
        for group in &self.groups {
            sql.push_str(&format!("GRANT {} TO {name};\n", identifier(group)));
            changes.push(Change::new("member of", Value::Null, group.as_str()));
        }
        role.groups = self.groups.clone();
        let after = Server { roles: [server.roles.clone(), vec![role]].concat(), ..server.clone() };
        Ok(self.connection.step(changes, sql, &after))
    }

    fn alter(&self, server: &Server, role: &Role) -> Result<Vec<Step>, Stop> {
        let mut after = role.clone();
        let (mut changes, mut options) = (Vec::new(), Vec::new());
        for flag in &self.flags {
            let there = (flag.of)(&mut after);
            if *there != flag.wanted {
                changes.push(Change::new(format!("{} {}", self.name, flag.subject), *there, flag.wanted));
                options.push(flag.option());
                *there = flag.wanted;
            }
        }
        let mut always = false;
        if let Some(password) = &self.password {
            let is_right = match (&role.password, server.sees_passwords) {
                (_, false) if !self.refresh_password => {
                    return Err(Stop::Failed(format!(
                        "the server does not let us compare the password of `{}`; `refresh_password: True` sets it each time",
                        self.name
                    )));
                }
                (_, false) => {
                    always = changes.is_empty();
                    false
                }
                (None, true) => false,
                (Some(stored), true) => {
                    password::matches(stored, password, &self.name)
                        && self.encryption.is_none_or(|wanted| wanted.stores(stored, password))
                }
            };
            if !is_right {
                let stored = self.stored(server, password, role.password.as_deref());
                options.push(format!("PASSWORD {}", literal(&stored)));
                after.password = Some(stored);
                changes.push(Change::new(format!("{} password", self.name), Value::Null, "changed"));
            }
        }
        if let Some(until) = self.valid_until.as_ref().filter(|u| Some(moment(u)) != role.valid_until) {
            let before = role.valid_until.as_deref().map_or(Value::Null, Value::from);
            changes.push(Change::new(format!("{} valid until", self.name), before, until.as_str()));
            options.push(format!("VALID UNTIL {}", literal(until)));
            after.valid_until = Some(moment(until));
        }
        let name = identifier(&self.name);
        let mut sql = String::new();
        if !options.is_empty() {
            sql.push_str(&format!("ALTER ROLE {name} WITH {};\n", options.join(" ")));
        }
        for group in self.groups.iter().filter(|group| !role.groups.contains(group)) {
            sql.push_str(&format!("GRANT {} TO {name};\n", identifier(group)));
            changes.push(Change::new(format!("{} member of", self.name), Value::Null, group.as_str()));
            after.groups.push(group.clone());
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut server = server.clone();
        server.roles.iter_mut().filter(|role| role.name == self.name).for_each(|role| *role = after.clone());
        Ok(vec![Step { always, ..self.connection.step(changes, sql, &server) }])
    }

    /// The password as it is stored.
    fn stored(&self, server: &Server, password: &str, old: Option<&str>) -> String {
        let encryption = self.encryption.filter(|e| *e != Encryption::Server).unwrap_or(server.encryption);
        // The salt need not be secret, but another one for each server, role and password that is replaced.
        let seed = format!("{}\0{}\0{}", server.identity, self.name, old.unwrap_or_default());
        encryption.encrypt(password, &self.name, &seed)
    }
}

impl Flag {
    fn option(&self) -> String {
        format!("{}{}", if self.wanted { "" } else { "NO" }, self.word)
    }
}

/// Returns true for `2030-01-01 00:00:00` and `infinity`.
fn is_moment(text: &str) -> bool {
    let is_as = |(c, form): (char, char)| if form == '0' { c.is_ascii_digit() } else { c == form };
    let form = "0000-00-00 00:00:00";
    text == "infinity" || (text.len() == form.len() && text.chars().zip(form.chars()).all(is_as))
}

/// A time as the server prints it in UTC.
fn moment(text: &str) -> String {
    let text = text.trim();
    if text.eq_ignore_ascii_case("infinity") {
        return "infinity".to_owned();
    }
    let text = text.replace('T', " ");
    let text = text.trim_end_matches('Z').trim_end_matches("+00").trim_end_matches(" UTC").trim();
    match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    }
}

impl State for User {
    const NAME: &'static str = "postgres_user.present";
    const SOURCE: &'static str = include_str!("postgres_user.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Wanted::new(arguments, true, cx).map(User)
    }
}

impl State for Group {
    const NAME: &'static str = "postgres_group.present";
    const SOURCE: &'static str = include_str!("postgres_user.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Wanted::new(arguments, false, cx).map(Group)
    }
}

impl Resource for User {
    fn questions(&self) -> Vec<Question> {
        vec![self.0.connection.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.diff(facts)
    }
}

impl Resource for Group {
    fn questions(&self) -> Vec<Question> {
        vec![self.0.connection.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.diff(facts)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AbsentArguments {
    /// The role.
    name: String,
    /// The user to run `psql` as. Default: `postgres`.
    user: Option<String>,
    /// The database to connect to. Default: `postgres`.
    maintenance_db: Option<String>,
    /// The role to log in as.
    db_user: Option<String>,
    /// Its password.
    db_password: Option<String>,
    /// The server. Default: the local one.
    db_host: Option<String>,
    /// The port of the server.
    db_port: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct UserAbsent(Unwanted);

#[derive(Debug)]
pub(crate) struct GroupAbsent(Unwanted);

#[derive(Debug)]
struct Unwanted {
    connection: Connection,
    name: String,
}

impl Unwanted {
    fn new(a: AbsentArguments) -> Self {
        let connection =
            Connection::new(a.user, a.maintenance_db, a.db_user, a.db_password, a.db_host, a.db_port);
        Unwanted { connection, name: a.name }
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let mut server = self.connection.server(facts)?;
        if server.role(&self.name).is_none() {
            return Ok(Vec::new());
        }
        if let Some(database) = server.databases.iter().find(|database| database.owner == self.name) {
            let (name, database) = (&self.name, &database.name);
            return Err(Stop::Failed(format!(
                "role `{name}` owns the database `{database}`; give that to another role by `owner`, or drop it first"
            )));
        }
        server.roles.retain(|role| role.name != self.name);
        let change = Change::new(format!("role {}", self.name), "there", Value::Null);
        let sql = format!("DROP ROLE {};\n", identifier(&self.name));
        Ok(vec![self.connection.step(vec![change], sql, &server)])
    }
}

impl State for UserAbsent {
    const NAME: &'static str = "postgres_user.absent";
    const SOURCE: &'static str = include_str!("postgres_user.rs");

    type Arguments = AbsentArguments;

    fn declare(arguments: AbsentArguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(UserAbsent(Unwanted::new(arguments)))
    }
}

impl State for GroupAbsent {
    const NAME: &'static str = "postgres_group.absent";
    const SOURCE: &'static str = include_str!("postgres_user.rs");

    type Arguments = AbsentArguments;

    fn declare(arguments: AbsentArguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(GroupAbsent(Unwanted::new(arguments)))
    }
}

impl Resource for UserAbsent {
    fn questions(&self) -> Vec<Question> {
        vec![self.0.connection.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.diff(facts)
    }
}

impl Resource for GroupAbsent {
    fn questions(&self) -> Vec<Question> {
        vec![self.0.connection.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        self.0.diff(facts)
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::{Answer, Ended};

    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    const ANN: &str = "ann:\n  postgres_user.present:\n    - password: hunter22\n";

    fn facts(resource: &dyn Resource, roles: &str) -> Facts {
        let mut facts = Facts::default();
        let stdout = format!("server\t7001\tscram-sha-256\tt\n{roles}");
        let ended = Ended { stdout, ..Ended::default() };
        facts.learn(resource.questions()[0].clone(), Ok(Answer::Run(ended)));
        facts
    }

    fn role(password: &str) -> String {
        format!("role\tann\tf\tf\tf\tt\tt\tf\t\\N\t{{}}\t{password}\n")
    }

    fn changes(steps: &[Step]) -> Vec<String> {
        steps.iter().flat_map(|step| &step.changes).map(ToString::to_string).collect()
    }

    #[test]
    fn a_role_is_made_with_a_password_that_is_nowhere_to_be_seen() {
        let resource = declare(ANN, &Tree::default());
        let mut facts = facts(&*resource, "");
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["role ann: created", "password: set"]);
        let job = steps[0].operation.job().unwrap();
        assert!(!job.script.contains("hunter22") && !job.script.contains("SCRAM"), "{}", job.script);
        let sql = String::from_utf8_lossy(&job.input).into_owned();
        assert!(sql.contains("CREATE ROLE \"ann\" WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:"), "{sql}");
        assert!(!sql.contains("hunter22"));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_stored_password_is_recognized_and_another_is_changed() {
        let resource = declare(ANN, &Tree::default());
        let stored = Encryption::Scram.encrypt("hunter22", "ann", "x");
        assert_eq!(resource.diff(&facts(&*resource, &role(&stored))), Ok(Vec::new()));
        let md5 = Encryption::Md5.encrypt("hunter22", "ann", "");
        assert_eq!(resource.diff(&facts(&*resource, &role(&md5))), Ok(Vec::new()));
        let mut other = facts(&*resource, &role(&Encryption::Scram.encrypt("old", "ann", "x")));
        assert_eq!(changes(&resource.diff(&other).unwrap()), ["ann password: changed"]);
        settles(&*resource, &mut other);
    }

    #[test]
    fn flags_and_groups_are_set_where_they_differ() {
        let text = "ann:\n  postgres_user.present:\n    - createdb: True\n    - login: True\n    - groups: readers,writers\n    - valid_until: '2030-01-01'\n";
        let resource = declare(text, &Tree::default());
        let others = ["readers", "writers"].map(|name| role("\\N").replace("ann", name)).concat();
        let mut facts = facts(&*resource, &(role("\\N").replace("{}", "{readers}") + &others));
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(
            changes(&steps),
            [
                "ann may make databases: False -> True",
                "ann valid until: 2030-01-01",
                "ann member of: writers"
            ]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_password_that_cannot_be_compared_is_told() {
        let resource = declare(ANN, &Tree::default());
        let mut facts = Facts::default();
        let stdout = format!("server\t\tscram-sha-256\tf\n{}", role("\\N"));
        let answer = Answer::Run(Ended { stdout, ..Ended::default() });
        facts.learn(resource.questions()[0].clone(), Ok(answer.clone()));
        assert!(matches!(resource.diff(&facts), Err(Stop::Failed(_))));
        let resource = declare(&format!("{ANN}    - refresh_password: True\n"), &Tree::default());
        assert!(resource.diff(&facts).unwrap()[0].always);
    }

    #[test]
    fn without_a_server_a_role_can_still_be_told() {
        let resource = declare(ANN, &Tree::default());
        let mut facts = Facts::default();
        let ended = Ended { status: 127, stderr: "sh: 1: psql: not found\n".into(), ..Ended::default() };
        let question = resource.questions()[0].clone();
        facts.learn(question.clone(), Ok(Answer::Run(ended.clone())));
        assert!(matches!(resource.diff(&facts), Err(Stop::Failed(why)) if why.contains("psql: not found")));
        let package =
            kstate_core::Run::new(kstate_core::Command::words(["apt-get"]), [kstate_core::Touch::Packages]);
        let there = Answer::Package(None);
        let package = package.foretells(Question::Package("postgresql".into()), there);
        facts.predict(&package.into(), "postgresql");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_new_role_shows_all_that_is_given_superuser_first() {
        let text = "boss:\n  postgres_user.present:\n    - login: False\n    - replication: True\n    - superuser: True\n    - valid_until: '2030-01-01'\n";
        let resource = declare(text, &Tree::default());
        let mut facts = facts(&*resource, "");
        assert_eq!(
            changes(&resource.diff(&facts).unwrap()),
            [
                "role boss: created",
                "superuser: True",
                "login: False",
                "replication: True",
                "valid until: 2030-01-01"
            ]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn what_the_server_would_refuse_is_told_before() {
        let resource = declare(&format!("{ANN}    - groups: readers\n"), &Tree::default());
        let known = role("\\N").replace("ann", "postgres");
        let refused = resource.diff(&facts(&*resource, &known));
        assert_eq!(refused, Err(Stop::Failed("role `readers` does not exist".into())));
        let absent = declare("ann:\n  postgres_user.absent: []\n", &Tree::default());
        let owner = format!("{}database\tapp\tann\tUTF8\tC\tC\tpg_default\n", role("\\N"));
        assert!(
            matches!(absent.diff(&facts(&*absent, &owner)), Err(Stop::Failed(why)) if why.contains("owns the database `app`"))
        );
        let error = declare_error(&format!("{ANN}    - valid_until: tomorrow\n"), &Tree::default());
        assert!(error.contains("`tomorrow` is not a time in UTC"), "{error}");
    }

    #[test]
    fn two_roles_share_a_question_and_do_not_disturb_each_other() {
        let ann = declare(ANN, &Tree::default());
        let bob = declare("bob:\n  postgres_group.present: []\n", &Tree::default());
        assert_eq!(ann.questions(), bob.questions());
        let mut facts = facts(&*ann, "");
        settles(&*ann, &mut facts);
        settles(&*bob, &mut facts);
        assert_eq!(ann.diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn an_unwanted_role_is_dropped() {
        let resource = declare("ann:\n  postgres_user.absent: []\n", &Tree::default());
        let mut facts = facts(&*resource, &role("\\N"));
        assert_eq!(changes(&resource.diff(&facts).unwrap()), ["role ann: there -> absent"]);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn plain_storage_is_refused() {
        let error = declare_error(&format!("{ANN}    - encrypted: False\n"), &Tree::default());
        assert!(error.contains("no supported server stores plain passwords"), "{error}");
    }
}
