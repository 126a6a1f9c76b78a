//! A PostgreSQL server: its roles and databases, all by one `psql`.

use kstate_core::question::{Answer, Ended};
use kstate_core::{Change, Command, Facts, Operation, Question, Run, Step, Stop, Touch};

use super::password::Encryption;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    user: Option<String>,
    database: String,
    login: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    /// Which one it is, of all there are. Empty: it does not say.
    pub(crate) identity: String,
    pub(crate) encryption: Encryption,
    pub(crate) sees_passwords: bool,
    pub(crate) roles: Vec<Role>,
    pub(crate) databases: Vec<Database>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) superuser: bool,
    pub(crate) createrole: bool,
    pub(crate) createdb: bool,
    pub(crate) inherit: bool,
    pub(crate) login: bool,
    pub(crate) replication: bool,
    /// In UTC: `2030-01-01 00:00:00`.
    pub(crate) valid_until: Option<String>,
    pub(crate) groups: Vec<String>,
    /// As it is stored.
    pub(crate) password: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) encoding: String,
    pub(crate) collate: String,
    pub(crate) ctype: String,
    pub(crate) tablespace: String,
}

/// Who may not look into `pg_authid` sees all but the passwords.
const LOOK: &str = r"SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may \gset
\if :may
COPY (SELECT 'server', system_identifier, current_setting('password_encryption'), true FROM pg_control_system()) TO STDOUT;
\else
COPY (SELECT 'server', '', current_setting('password_encryption'), false) TO STDOUT;
\endif
\if :may
\set roles pg_authid
\set password rolpassword
\else
\set roles pg_roles
\set password NULL
\endif
SELECT 'COPY (SELECT ''role'', r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolinherit, r.rolcanlogin, r.rolreplication, CASE WHEN isfinite(r.rolvaliduntil) THEN to_char(r.rolvaliduntil, ''YYYY-MM-DD HH24:MI:SS'') ELSE r.rolvaliduntil::text END, (SELECT coalesce(array_agg(g.rolname ORDER BY g.rolname), ''{}'') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid), ' || :'password' || ' FROM ' || :'roles' || ' r WHERE r.rolname !~ ''^pg_'' ORDER BY r.rolname) TO STDOUT' \gexec
COPY (SELECT 'database', d.datname, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, t.spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace ORDER BY d.datname) TO STDOUT;
";

impl Connection {
    pub(crate) fn new(
        user: Option<String>,
        database: Option<String>,
        login: Option<String>,
        password: Option<String>,
        host: Option<String>,
        port: Option<u32>,
    ) -> Self {
        Connection {
            user: Some(user.unwrap_or_else(|| "postgres".into())).filter(|user| user != "root"),
            database: database.unwrap_or_else(|| "postgres".into()),
            login,
            password,
            host: host.filter(|host| !host.is_empty()),
            port,
        }
    }

    /// `psql` in a database of the server, with `sql` on its standard input.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Command {
        let mut words = vec!["psql".to_owned(), "-XAtqw".into(), "-v".into(), "ON_ERROR_STOP=1".into()];
        let mut option = |option: &str, value: Option<String>| {
            words.extend(value.map(|value| [option.to_owned(), value]).into_iter().flatten());
        };
        option("-h", self.host.clone());
        option("-p", self.port.map(|port| port.to_string()));
        option("-U", self.login.clone());
        option("-d", Some(database.to_owned()));
        let mut command = Command::words(words)
            .user(self.user.as_deref())
            .env("PGCONNECT_TIMEOUT", "30")
            .env("PGCLIENTENCODING", "UTF8")
            .input(sql);
        if let Some(password) = &self.password {
            command = command.env("PGPASSWORD", password);
        }
        command
    }

    pub(crate) fn named(&self) -> Touch {
        let host = self.host.as_deref().unwrap_or_default();
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        Touch::Named(format!("PostgreSQL {host}:{port}"))
    }

    pub(crate) fn depends(&self) -> Vec<Touch> {
        let service = Touch::Service("postgresql".into());
        vec![self.named(), Touch::Packages, Touch::Accounts, service]
    }

    pub(crate) fn question(&self) -> Question {
        Question::Run(Box::new(self.psql(&self.database, LOOK).depends(self.depends())))
    }

    /// What is on the server. Where packages come that may bring PostgreSQL, that is nothing.
    pub(crate) fn server(&self, facts: &Facts) -> Result<Server, Stop> {
        let Question::Run(look) = self.question() else { return Ok(Server::default()) };
        let ended = facts.run(&look)?;
        if ended.ok() {
            return Ok(Server::read(&ended.stdout));
        }
        let missing = ended.status == 127
            || ["does not exist or", "No passwd entry", "unknown user", "psql: not found"]
                .iter()
                .any(|words| ended.stderr.contains(words));
        if missing && facts.may_bring(&Touch::Packages) {
            return Ok(Server { sees_passwords: true, ..Server::default() });
        }
        Err(Stop::Failed(format!("the PostgreSQL server cannot be asked: {}", ended.tail(3))))
    }

    /// The step that runs `sql`, after which the server is as `after`.
    pub(crate) fn step(&self, changes: Vec<Change>, sql: String, after: &Server) -> Step {
        // What is hashed here shall not stand in the server's log either.
        let quiet = "SET timezone = 'UTC';\n\
                     SELECT rolsuper AS quiet FROM pg_roles WHERE rolname = current_user \\gset\n\
                     \\if :quiet\nSET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_error_statement = 'panic';\n\\endif\n";
        self.run(changes, &self.database, format!("{quiet}{sql}"), after)
    }

    pub(crate) fn run(&self, changes: Vec<Change>, database: &str, sql: String, after: &Server) -> Step {
        let ended = Ended { stdout: after.print(), ..Ended::default() };
        let run = Run::new(self.psql(database, &sql), [self.named()])
            .foretells(self.question(), Answer::Run(ended));
        Step::new(changes, Operation::Run(run))
    }
}

impl Server {
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Fails if a role does not exist. Of roles that the server itself has nothing is asked.
    pub(crate) fn check_role(&self, name: &str) -> Result<(), Stop> {
        let is_known = self.roles.is_empty() || name.starts_with("pg_") || self.role(name).is_some();
        if is_known { Ok(()) } else { Err(Stop::Failed(format!("role `{name}` does not exist"))) }
    }

    pub(crate) fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// Reads what `COPY … TO STDOUT` prints.
    pub(crate) fn read(text: &str) -> Self {
        let mut server = Server::default();
        for line in text.lines() {
            let fields: Vec<Option<String>> = line.split('\t').map(field).collect();
            let text = |i: usize| fields.get(i).cloned().flatten().unwrap_or_default();
            let flag = |i: usize| text(i) == "t";
            match text(0).as_str() {
                "server" => {
                    server.identity = text(1);
                    server.encryption = match text(2).as_str() {
                        "scram-sha-256" => Encryption::Scram,
                        _ => Encryption::Md5,
                    };
                    server.sees_passwords = flag(3);
                }
                "role" => server.roles.push(Role {
                    name: text(1),
                    superuser: flag(2),
                    createrole: flag(3),
                    createdb: flag(4),
                    inherit: flag(5),
                    login: flag(6),
                    replication: flag(7),
                    valid_until: fields.get(8).cloned().flatten(),
                    groups: array(&text(9)),
                    password: fields.get(10).cloned().flatten(),
                }),
                "database" => server.databases.push(Database {
                    name: text(1),
                    owner: text(2),
                    encoding: text(3),
                    collate: text(4),
                    ctype: text(5),
                    tablespace: text(6),
                }),
                _ => {}
            }
        }
        server
    }

    /// The text that `read` reads.
    fn print(&self) -> String {
        let mut text = String::new();
        let mut line = |fields: &[Option<&str>]| {
            let fields: Vec<String> = fields.iter().map(|field| field.map_or("\\N".into(), escape)).collect();
            text.push_str(&fields.join("\t"));
            text.push('\n');
        };
        let bit = |flag: bool| Some(if flag { "t" } else { "f" });
        let encryption = if self.encryption == Encryption::Md5 { "md5" } else { "scram-sha-256" };
        line(&[Some("server"), Some(&self.identity), Some(encryption), bit(self.sees_passwords)]);
        for role in &self.roles {
            let quoted: Vec<String> = role.groups.iter().map(|group| format!("\"{group}\"")).collect();
            line(&[
                Some("role"),
                Some(&role.name),
                bit(role.superuser),
                bit(role.createrole),
                bit(role.createdb),
                bit(role.inherit),
                bit(role.login),
                bit(role.replication),
                role.valid_until.as_deref(),
                Some(&format!("{{{}}}", quoted.join(","))),
                role.password.as_deref(),
            ]);
        }
        for d in &self.databases {
            let fields = ["database", &d.name, &d.owner, &d.encoding, &d.collate, &d.ctype, &d.tablespace];
            line(&fields.map(Some));
        }
        text
    }
}

fn field(text: &str) -> Option<String> {
    if text == "\\N" {
        return None;
    }
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => out.push(match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            }),
            (letter, false) => out.push(letter),
        }
    }
    Some(out)
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// The members of `{a,"b c"}`.
fn array(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
    let (mut items, mut item, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => item.extend(letters.next()),
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            other => item.push(other),
        }
    }
    if !inner.is_empty() {
        items.push(item);
    }
    items
}

pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a PostgreSQL 15 prints.
    const TEXT: &str = "server\t7512345678901234567\tscram-sha-256\tt\n\
        role\tocdskfp\tf\tf\tt\tt\tt\tf\t2030-01-01 00:00:00\t{readers,\"odd, one\"}\tmd5abc\n\
        role\tpostgres\tt\tt\tt\tt\tt\tt\t\\N\t{}\t\\N\n\
        database\tpostgres\tpostgres\tUTF8\ten_US.UTF-8\ten_US.UTF-8\tpg_default\n";

    #[test]
    fn reads_roles_and_databases() {
        let server = Server::read(TEXT);
        assert_eq!(server.encryption, Encryption::Scram);
        let role = server.role("ocdskfp").unwrap();
        assert!(role.createdb && role.login && !role.superuser);
        assert_eq!(role.groups, ["readers", "odd, one"]);
        assert_eq!(role.valid_until.as_deref(), Some("2030-01-01 00:00:00"));
        assert_eq!(server.role("postgres").unwrap().password, None);
        assert_eq!(server.database("postgres").unwrap().encoding, "UTF8");
    }

    #[test]
    fn what_is_foretold_reads_as_what_was_meant() {
        let server = Server::read(TEXT);
        assert_eq!(Server::read(&server.print()), server);
    }

    #[test]
    fn quotes_names_and_texts() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
    }
}
