//! `postgres_database.present`, `postgres_database.absent`: databases of a PostgreSQL server
//!
//! ```yaml
//! ocdskingfisherprocess:
//!   postgres_database.present:
//!     - owner: ocdskfp
//!     - encoding: UTF8
//!     - template: template0
//! ```
//!
//! Owner and tablespace of a database can be changed. Encoding and locale are decided when it is made: where they
//! differ, the state fails and says so.

use kstate_core::{Change, Command, Facts, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;

use crate::postgres_user::server::{Connection, Database, Server, identifier, literal};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The database.
    name: String,
    /// The role that owns it.
    owner: Option<String>,
    /// Gives the owner the tables, views, sequences and schemas in it as well. Default: `False`.
    #[serde(default)]
    owner_recurse: bool,
    /// The database that it is made of. Default: `template1`.
    template: Option<String>,
    /// Its encoding, without a hyphen: `UTF8`.
    encoding: Option<String>,
    /// The locale of its order.
    lc_collate: Option<String>,
    /// The locale of its letters.
    lc_ctype: Option<String>,
    /// Where it is kept.
    tablespace: Option<String>,
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
pub(crate) struct Present {
    connection: Connection,
    arguments: Arguments,
}

impl State for Present {
    const NAME: &'static str = "postgres_database.present";
    const SOURCE: &'static str = include_str!("postgres_database.rs");

    type Arguments = Arguments;

    fn declare(a: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        if a.owner_recurse && a.owner.is_none() {
            return Err(vec![cx.error("owner_recurse", "`owner` has to be given beside it")]);
        }
        let connection = Connection::new(
            a.user.clone(),
            a.maintenance_db.clone(),
            a.db_user.clone(),
            a.db_password.clone(),
            a.db_host.clone(),
            a.db_port,
        );
        Ok(Present { connection, arguments: a })
    }
}

/// Schemas of people, and what is in them; a sequence goes with its table.
const FOREIGN: &str = "FROM (SELECT n.oid, 'SCHEMA' AS kind, quote_ident(n.nspname) AS name, n.nspowner AS owner FROM pg_namespace n \
    UNION ALL SELECT n.oid, 'TABLE', c.oid::regclass::text, c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i', 'e'))) x \
    JOIN pg_namespace s ON s.oid = x.oid WHERE s.nspname !~ '^pg_' AND s.nspname NOT IN ('information_schema', 'public')";

impl Resource for Present {
    fn questions(&self) -> Vec<Question> {
        vec![self.connection.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let server = self.connection.server(facts)?;
        let Some(there) = server.database(&self.arguments.name) else {
            self.check(&server)?;
            return Ok(vec![self.create(&server)]);
        };
        self.refuse(there)?;
        if let Some(owner) = a_new(&self.arguments.owner, &there.owner) {
            server.check_role(owner)?;
        }
        let mut steps: Vec<Step> = self.alter(&server, there).into_iter().collect();
        if self.arguments.owner_recurse {
            steps.extend(self.give(facts, &server)?);
        }
        Ok(steps)
    }
}

impl Present {
    fn create(&self, server: &Server) -> Step {
        let a = &self.arguments;
        let mut sql = format!("CREATE DATABASE {}", identifier(&a.name));
        let mut option = |name: &str, value: Option<String>| {
            sql.extend(value.map(|value| format!(" {name} = {value}")));
        };
        option("OWNER", a.owner.as_deref().map(identifier));
        option("TEMPLATE", a.template.as_deref().map(identifier));
        option("ENCODING", a.encoding.as_deref().map(literal));
        option("LC_COLLATE", a.lc_collate.as_deref().map(literal));
        option("LC_CTYPE", a.lc_ctype.as_deref().map(literal));
        option("TABLESPACE", a.tablespace.as_deref().map(identifier));
        sql.push_str(";\n");
        let mut changes = vec![Change::new(format!("database {}", a.name), Value::Null, "created")];
        for (subject, value) in [
            ("owner", &a.owner),
            ("encoding", &a.encoding),
            ("template", &a.template),
            ("lc_collate", &a.lc_collate),
            ("lc_ctype", &a.lc_ctype),
            ("tablespace", &a.tablespace),
        ] {
            changes.extend(value.as_deref().map(|value| Change::new(subject, Value::Null, value)));
        }
        let made = Database {
            name: a.name.clone(),
            owner: a.owner.clone().unwrap_or_default(),
            encoding: a.encoding.clone().unwrap_or_default(),
            collate: a.lc_collate.clone().unwrap_or_default(),
            ctype: a.lc_ctype.clone().unwrap_or_default(),
            tablespace: a.tablespace.clone().unwrap_or_default(),
        };
        let after = Server { databases: [server.databases.clone(), vec![made]].concat(), ..server.clone() };
        self.connection.step(changes, sql, &after)
    }

    /// Fails if what it is to be made of is not there, or does not fit.
    fn check(&self, server: &Server) -> Result<(), Stop> {
        let a = &self.arguments;
        if server.databases.is_empty() {
            return Ok(());
        }
        a.owner.as_deref().map_or(Ok(()), |owner| server.check_role(owner))?;
        let template = a.template.as_deref().unwrap_or("template1");
        let Some(of) = server.database(template) else {
            return Err(Stop::Failed(format!("the template `{template}` does not exist")));
        };
        for (subject, wanted, there) in [
            ("encoding", &a.encoding, &of.encoding),
            ("lc_collate", &a.lc_collate, &of.collate),
            ("lc_ctype", &a.lc_ctype, &of.ctype),
        ] {
            let differs = wanted.as_ref().is_some_and(|wanted| plain(wanted) != plain(there));
            if differs && template != "template0" {
                return Err(Stop::Failed(format!(
                    "`{subject}` of the template `{template}` is {there}; `template: template0` takes another one"
                )));
            }
        }
        Ok(())
    }

    fn refuse(&self, there: &Database) -> Result<(), Stop> {
        let a = &self.arguments;
        for (subject, wanted, there) in [
            ("encoding", &a.encoding, &there.encoding),
            ("lc_collate", &a.lc_collate, &there.collate),
            ("lc_ctype", &a.lc_ctype, &there.ctype),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| plain(wanted) != plain(there)) {
                return Err(Stop::Failed(format!(
                    "`{subject}` of the database `{}` is {there}, not {wanted}, and cannot be changed; the database would have to be made anew",
                    a.name
                )));
            }
        }
        Ok(())
    }

    fn alter(&self, server: &Server, there: &Database) -> Option<Step> {
        let a = &self.arguments;
        let name = identifier(&a.name);
        let (mut changes, mut sql, mut after) = (Vec::new(), String::new(), there.clone());
        if let Some(owner) = a.owner.as_ref().filter(|owner| **owner != there.owner) {
            changes.push(Change::new(format!("owner of {}", a.name), there.owner.as_str(), owner.as_str()));
            sql.push_str(&format!("ALTER DATABASE {name} OWNER TO {};\n", identifier(owner)));
            after.owner.clone_from(owner);
        }
        if let Some(space) = a.tablespace.as_ref().filter(|space| **space != there.tablespace) {
            let subject = format!("tablespace of {}", a.name);
            changes.push(Change::new(subject, there.tablespace.as_str(), space.as_str()));
            sql.push_str(&format!("ALTER DATABASE {name} SET TABLESPACE {};\n", identifier(space)));
            after.tablespace.clone_from(space);
        }
        if changes.is_empty() {
            return None;
        }
        let mut server = server.clone();
        server.databases.iter_mut().filter(|d| d.name == a.name).for_each(|d| *d = after.clone());
        Some(self.connection.step(changes, sql, &server))
    }

    fn look_inside(&self, owner: &str) -> Command {
        let sql = format!(
            "COPY (SELECT lower(kind) || ' ' || name {FOREIGN} AND pg_get_userbyid(owner) <> {} ORDER BY 1) TO STDOUT;\n",
            literal(owner)
        );
        self.connection.psql(&self.arguments.name, &sql).depends(self.connection.depends())
    }

    /// What is in the database and belongs to somebody else.
    fn give(&self, facts: &Facts, server: &Server) -> Result<Option<Step>, Stop> {
        let Some(owner) = self.arguments.owner.as_deref() else { return Ok(None) };
        let look = self.look_inside(owner);
        let ended = facts.run(&look)?;
        if !ended.ok() {
            return Err(Stop::Failed(format!(
                "`{}` cannot be looked into: {}",
                self.arguments.name,
                ended.tail(3)
            )));
        }
        let changes: Vec<Change> = ended
            .stdout
            .lines()
            .map(|what| Change::new(format!("owner of {what}"), Value::Null, owner))
            .collect();
        if changes.is_empty() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT format('ALTER %s %s OWNER TO %I', kind, name, {0}) {FOREIGN} AND pg_get_userbyid(owner) <> {0} \\gexec\n",
            literal(owner)
        );
        let mut step = self.connection.run(changes, &self.arguments.name, sql, server);
        if let kstate_core::Operation::Run(run) = &mut step.operation {
            let none = kstate_core::question::Answer::Run(kstate_core::question::Ended::default());
            run.foretells.push((Question::Run(Box::new(look)), none));
        }
        Ok(Some(step))
    }
}

/// Returns what is wanted if it is not there.
fn a_new<'a>(wanted: &'a Option<String>, there: &str) -> Option<&'a str> {
    wanted.as_deref().filter(|wanted| *wanted != there)
}

/// Encodings and locales are written in several ways.
fn plain(text: &str) -> String {
    text.to_lowercase().replace(['-', '_'], "")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AbsentArguments {
    /// The database.
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
pub(crate) struct Absent {
    connection: Connection,
    name: String,
}

impl State for Absent {
    const NAME: &'static str = "postgres_database.absent";
    const SOURCE: &'static str = include_str!("postgres_database.rs");

    type Arguments = AbsentArguments;

    fn declare(a: AbsentArguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let connection =
            Connection::new(a.user, a.maintenance_db, a.db_user, a.db_password, a.db_host, a.db_port);
        Ok(Absent { connection, name: a.name })
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        vec![self.connection.question()]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let mut server = self.connection.server(facts)?;
        let Some(there) = server.database(&self.name) else { return Ok(Vec::new()) };
        let before = format!("of {}", there.owner);
        let change = Change::new(format!("database {}", self.name), before, Value::Null);
        server.databases.retain(|database| database.name != self.name);
        let sql = format!("DROP DATABASE {};\n", identifier(&self.name));
        Ok(vec![self.connection.step(vec![change], sql, &server)])
    }
}

#[cfg(test)]
mod tests {
    use kstate_core::question::{Answer, Ended};

    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    const APP: &str = "app:\n  postgres_database.present:\n    - owner: ann\n    - encoding: utf-8\n";

    fn facts(resource: &dyn Resource, databases: &str) -> Facts {
        let mut facts = Facts::default();
        let stdout = format!("server\t7001\tscram-sha-256\tt\n{databases}");
        let ended = Ended { stdout, ..Ended::default() };
        facts.learn(resource.questions()[0].clone(), Ok(Answer::Run(ended)));
        facts
    }

    fn changes(steps: &[Step]) -> Vec<String> {
        steps.iter().flat_map(|step| &step.changes).map(ToString::to_string).collect()
    }

    #[test]
    fn a_database_as_declared_needs_nothing() {
        let resource = declare(APP, &Tree::default());
        let facts = facts(&*resource, "database\tapp\tann\tUTF8\ten_US.UTF-8\ten_US.UTF-8\tpg_default\n");
        assert_eq!(resource.diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn a_missing_one_is_made() {
        let resource = declare(APP, &Tree::default());
        let mut facts = facts(&*resource, "");
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["database app: created", "owner: ann", "encoding: utf-8"]);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn what_the_server_would_refuse_is_told_before() {
        let one = "database\ttemplate1\tpostgres\tUTF8\tC\tC\tpg_default\n";
        let failed = |more: &str| {
            let resource = declare(&format!("app:\n  postgres_database.present:\n{more}"), &Tree::default());
            let rows = format!("role\tpostgres\tt\tt\tt\tt\tt\tt\t\\N\t{{}}\t\\N\n{one}");
            match resource.diff(&facts(&*resource, &rows)) {
                Err(Stop::Failed(reason)) => reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(failed("    - owner: ann\n"), "role `ann` does not exist");
        assert_eq!(failed("    - template: mine\n"), "the template `mine` does not exist");
        assert!(failed("    - encoding: LATIN1\n").contains("`template: template0` takes another one"));
    }

    #[test]
    fn another_owner_is_changed_and_another_encoding_is_not() {
        let resource = declare(APP, &Tree::default());
        let row = "database\tapp\tpostgres\tUTF8\tC\tC\tpg_default\n";
        let mut owned = facts(&*resource, row);
        assert_eq!(changes(&resource.diff(&owned).unwrap()), ["owner of app: postgres -> ann"]);
        settles(&*resource, &mut owned);
        let Err(Stop::Failed(reason)) = resource.diff(&facts(&*resource, &row.replace("UTF8", "LATIN1")))
        else {
            panic!()
        };
        assert!(reason.starts_with("`encoding` of the database `app` is LATIN1, not utf-8"), "{reason}");
    }

    #[test]
    fn what_is_inside_is_given_to_the_owner_too() {
        let resource = declare(&format!("{APP}    - owner_recurse: True\n"), &Tree::default());
        let mut facts = facts(&*resource, "database\tapp\tann\tUTF8\tC\tC\tpg_default\n");
        let Err(Stop::Ask(questions)) = resource.diff(&facts) else { panic!() };
        let ended = Ended { stdout: "table public.items\n".into(), ..Ended::default() };
        facts.learn(questions[0].clone(), Ok(Answer::Run(ended)));
        assert_eq!(changes(&resource.diff(&facts).unwrap()), ["owner of table public.items: ann"]);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn an_unwanted_one_is_dropped() {
        let resource = declare("app:\n  postgres_database.absent: []\n", &Tree::default());
        let mut facts = facts(&*resource, "database\tapp\tann\tUTF8\tC\tC\tpg_default\n");
        assert_eq!(changes(&resource.diff(&facts).unwrap()), ["database app: of ann -> absent"]);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn recursion_needs_an_owner() {
        let text = "app:\n  postgres_database.present:\n    - owner_recurse: True\n";
        assert!(declare_error(text, &Tree::default()).contains("`owner` has to be given"));
    }
}
