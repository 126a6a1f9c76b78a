//! Secrets in public pillar: texts under names such as `password`, keys and tokens whose form gives them away, and
//! addresses with a password in them. They stand in the repository for everybody who can read it.

use kstate_core::{Data, Node, Position, Problem, Value};

use crate::tree::SourceFile;

/// How a name ends whose value is secret.
const NAMES: &[&str] = &[
    "access_key",
    "api_key",
    "apikey",
    "auth_key",
    "encryption_key",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "secret_key",
    "secret_key_base",
    "signing_key",
    "token",
];

/// Names that end in this way and mean something else: directives of web servers.
const OTHERS: &[&str] =
    &["fastcgi_pass", "grpc_pass", "proxy_pass", "scgi_pass", "server_tokens", "uwsgi_pass"];

/// The forms of keys and tokens: how they begin, the length that they have at least, and what they are.
const TOKENS: &[(&str, usize, &str)] = &[
    ("AIza", 39, "a key of Google"),
    ("AKIA", 20, "an access key of AWS"),
    ("ASIA", 20, "an access key of AWS"),
    ("ghp_", 40, "a token of GitHub"),
    ("ghs_", 40, "a token of GitHub"),
    ("github_pat_", 40, "a token of GitHub"),
    ("glpat-", 26, "a token of GitLab"),
    ("npm_", 40, "a token of npm"),
    ("sk_live_", 24, "a key of Stripe"),
    ("xoxb-", 24, "a token of Slack"),
    ("xoxp-", 24, "a token of Slack"),
];

/// How a text begins that stands where a secret will be, without what is neither letter nor digit.
const PLACEHOLDERS: &[&str] =
    &["changeme", "dummy", "example", "fixme", "placeholder", "redacted", "replace", "todo", "your"];

/// How a text begins that is no secret itself: a hash, something encrypted, a path or an address where it is kept.
const HARMLESS: &[&str] = &[
    "-----BEGIN CERTIFICATE",
    "-----BEGIN PGP MESSAGE",
    "-----BEGIN PUBLIC KEY",
    "./",
    "/",
    "<",
    "ENC[",
    "MD5:",
    "SCRAM-SHA-256$",
    "[md5]",
    "http://",
    "https://",
    "pbkdf2_",
    "salt://",
    "sdb://",
    "ssh-",
    "vault:",
    "{",
    "~/",
];

/// A secret that everybody can read.
#[derive(Debug)]
pub(crate) struct Leak {
    pub(crate) secret: String,
    pub(crate) problem: Problem,
}

/// The secrets that are written in a pillar file.
pub(crate) fn leaks(node: &Node, file: &SourceFile) -> Vec<Leak> {
    let mut search = Search { file, leaks: Vec::new() };
    search.node(node, &node.at, "", false);
    search.leaks
}

struct Search<'a> {
    file: &'a SourceFile,
    leaks: Vec<Leak>,
}

impl Search<'_> {
    /// `at`: where its name stands. `named`: the name says that it is secret.
    fn node(&mut self, node: &Node, at: &Position, path: &str, named: bool) {
        match &node.data {
            Data::Map(entries) => {
                for (key, value) in entries {
                    let (at, key) = (&key.at, key.value().to_string());
                    let named = match names(&key) {
                        Names::Secrets => true,
                        Names::Secret => value.map().is_none(),
                        Names::Other => named && value.map().is_none(),
                    };
                    self.node(value, at, &below(path, &key), named);
                }
            }
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &item.at, &below(path, &index.to_string()), named);
                }
            }
            Data::Scalar(value) => self.scalar(value, at, path, named),
        }
    }

    fn scalar(&mut self, value: &Value, at: &Position, path: &str, named: bool) {
        let text = match value {
            Value::Text(text) => text.clone(),
            Value::Int(number) if named => number.to_string(),
            _ => return,
        };
        let what = form(&text).or_else(|| (named && !is_harmless(&text)).then_some("a secret"));
        if let Some(what) = what.filter(|_| is_written_in(&text, self.file)) {
            let problem = Problem::warning(format!("`{path}` is {what} in public pillar"))
                .at(at)
                .hidden()
                .hint("change it, and keep the new one below a folder `private` that is not published");
            self.leaks.push(Leak { secret: text, problem });
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}:{key}") }
}

/// What a name says of its value.
enum Names {
    Secret,
    /// A mapping or a list of them.
    Secrets,
    Other,
}

fn names(key: &str) -> Names {
    let key = snake(key);
    let ends = |key: &str| {
        NAMES
            .iter()
            .any(|name| key.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
    };
    match key.strip_suffix('s') {
        _ if OTHERS.contains(&key.as_str()) => Names::Other,
        _ if ends(&key) => Names::Secret,
        Some(one) if ends(one) => Names::Secrets,
        _ => Names::Other,
    }
}

/// `apiKey`, `API-KEY`: `api_key`.
fn snake(key: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for c in key.chars() {
        if c.is_uppercase() && (before.is_lowercase() || before.is_numeric()) {
            out.push('_');
        }
        out.extend(if c.is_alphanumeric() { c.to_lowercase().next() } else { Some('_') });
        before = c;
    }
    out
}

/// What the form of a text says that it is.
fn form(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    let token = |word: &str| {
        TOKENS.iter().find(|(start, length, _)| word.starts_with(start) && word.len() >= *length)
    };
    let token = words.filter_map(token).map(|(_, _, what)| *what).next();
    token.or_else(|| has_login(text).then_some("an address with a password"))
}

/// Whether a text holds `scheme://user:password@host`.
fn has_login(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority =
            rest.split(|c: char| "/?#\"'".contains(c) || c.is_whitespace()).next().unwrap_or_default();
        let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(_, password)| !is_harmless(password))
    })
}

fn is_harmless(text: &str) -> bool {
    let text = text.trim();
    let letters: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let is_one_letter = text.chars().all(|c| text.starts_with(c));
    is_one_letter
        || ["false", "no", "none", "null", "off", "on", "true", "yes"].contains(&letters.as_str())
        || PLACEHOLDERS.iter().any(|start| letters.starts_with(start))
        || HARMLESS.iter().any(|start| text.starts_with(start))
        || letters.contains("xxxx")
        || is_file_name(text)
        || is_hash(text)
}

/// `server.key`, `secrets.conf`.
fn is_file_name(text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let endings = ["cfg", "conf", "crt", "env", "ini", "jinja", "json", "key", "pem", "txt", "yaml", "yml"];
    is_plain
        && text.rsplit_once('.').is_some_and(|(name, ending)| !name.is_empty() && endings.contains(&ending))
}

/// `$6$…` of crypt(3), a variable (`$NAME`, `${NAME}`), a hash of MySQL or PostgreSQL.
fn is_hash(text: &str) -> bool {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    if let Some(rest) = text.strip_prefix('$') {
        return rest.contains('$') || rest.starts_with('{') || !rest.chars().any(|c| c.is_lowercase());
    }
    text.strip_prefix('*').is_some_and(|rest| rest.len() == 40 && is_hex(rest))
        || text.strip_prefix("md5").is_some_and(|rest| rest.len() == 32 && is_hex(rest))
}

/// Whether the file itself has it: it may come from elsewhere by way of its template.
fn is_written_in(text: &str, file: &SourceFile) -> bool {
    let pieces = text.split(|c: char| !c.is_alphanumeric());
    pieces.max_by_key(|piece| piece.len()).is_some_and(|piece| file.text.contains(piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    /// The messages and lines about a pillar file.
    fn found(text: &str) -> Vec<String> {
        let path = std::path::PathBuf::from("a.sls");
        let file = SourceFile {
            name: "a.sls".into(),
            shown: "a.sls".into(),
            path,
            text: text.into(),
            readings: Default::default(),
        };
        let node = yaml::load(text, &|line| file.at(line)).unwrap();
        leaks(&node, &file)
            .into_iter()
            .map(|leak| {
                assert!(leak.problem.hidden, "{:?}", leak.problem);
                assert!(!format!("{:?}", leak.problem).contains(&leak.secret), "{:?}", leak.problem);
                format!("{}: {}", leak.problem.at.unwrap().line, leak.problem.message)
            })
            .collect()
    }

    #[test]
    fn names_give_secrets_away() {
        for line in [
            "password: hunter2",
            "db_passwd: hunter2",
            "smtpPassword: hunter2",
            "DJANGO_SECRET_KEY: k9-x",
            "api-key: a1b2",
            "token: abc",
            "password: 12345",
            "passwords: [hunter2]",
            "tokens: {ci: abc}",
            "key_passphrase: correct horse",
        ] {
            let key = line.split(':').next().unwrap();
            let found = found(line);
            assert_eq!(found.len(), 1, "{line}");
            assert!(found[0].starts_with(&format!("1: `{key}")), "{found:?}");
        }
    }

    #[test]
    fn other_names_and_harmless_values_do_not() {
        for line in [
            "password: ''",
            "password:",
            "password: CHANGE_ME",
            "password: '********'",
            "password: xxx",
            "password: <your password>",
            "password: ${DB_PASSWORD}",
            "password: $6$salt$hash",
            "password: md5d41d8cd98f00b204e9800998ecf8427e",
            "password_hash: abcdef",
            "password_min_length: 8",
            "password: true",
            "allow_empty_password: 'yes'",
            "private_key: /etc/ssl/private/key.pem",
            "api_key: salt://private/key",
            "token: sdb://vault/token",
            "secret: {name: app, namespace: web}",
            "tokens: {ci: {url: 'example.org/x'}}",
            "tokenizer: words",
            "keyboard: us",
            "proxy_pass: backend",
            "ServerTokens: Prod",
            "secrets: [ipsec.secrets.jinja]",
            "password: '[md5]abfc1f5292616091194dd851bee2aaf7'",
            "token: xoxp-XXXXX-XXXXXXX",
            "public_key: ssh-rsa AAAA",
            "compass: north",
        ] {
            assert_eq!(found(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn forms_give_secrets_away_under_any_name() {
        for (value, what) in [
            ("AKIAIOSFODNN7EXAMPLE", "an access key of AWS"),
            ("'Bearer ghp_0123456789abcdefghijABCDEFGHIJ012345'", "a token of GitHub"),
            ("postgresql://app:hunter2@db.example.org/app", "an address with a password"),
        ] {
            assert_eq!(
                found(&format!("a:\n- b: {value}\n")),
                [format!("2: `a:0:b` is {what} in public pillar")]
            );
        }
        let pem = "a:\n  b: |\n    -----BEGIN RSA PRIVATE KEY-----\n    MIIEabc\n    -----END RSA PRIVATE KEY-----\n";
        assert_eq!(found(pem), ["2: `a:b` is a private key in public pillar"]);
    }

    #[test]
    fn similar_forms_do_not() {
        for value in [
            "AKIA",
            "postgresql://app@db.example.org/app",
            "postgresql://app:${PASSWORD}@db.example.org/app",
            "'http://example.org:8080/a@b'",
            "'-----BEGIN CERTIFICATE----- abc'",
        ] {
            assert_eq!(found(&format!("a: {value}\n")), Vec::<String>::new(), "{value}");
        }
    }
}
