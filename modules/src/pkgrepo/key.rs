//! The key that a source of packages is signed with.

use data_encoding::BASE64;
use kstate_core::question::{Answer, PathInfo, PathKind};
use kstate_core::words::quote;
use kstate_core::{
    Attributes, Change, Command, Content, Facts, Operation, Parents, Question, Run, Step, Stop, Touch, Value,
    Write, digest,
};

#[derive(Debug)]
pub(super) enum Key {
    Given {
        path: String,
        bytes: Vec<u8>,
    },
    /// Fetched by the host where there is none yet.
    Fetched {
        path: String,
        urls: Vec<String>,
    },
}

impl Key {
    /// A key of the tree. Apt reads armored keys from `.asc` and binary ones from `.gpg`.
    pub(super) fn given(bytes: Vec<u8>, name: &str, signed_by: Option<&str>) -> Self {
        let armored = is_armored(&bytes);
        let ending = if armored { "asc" } else { "gpg" };
        let path = signed_by.map_or_else(|| trusted(name, ending), str::to_owned);
        let bytes = if armored && !path.ends_with(".asc") { dearmor(&bytes) } else { bytes };
        Key::Given { path, bytes }
    }

    pub(super) fn fetched(urls: Vec<String>, name: &str, signed_by: Option<&str>) -> Self {
        let ending = if name.ends_with(".gpg") { "gpg" } else { "asc" };
        let path = signed_by.map_or_else(|| trusted(name, ending), str::to_owned);
        Key::Fetched { path, urls }
    }

    pub(super) fn of_server(server: &str, ids: &[String], signed_by: Option<&str>) -> Self {
        let address = match server.split_once("://") {
            Some(("hkp", host)) if host.contains(':') => format!("http://{host}"),
            Some(("hkp", host)) => format!("http://{host}:11371"),
            Some(("hkps", host)) => format!("https://{host}"),
            Some(_) => server.to_owned(),
            None => format!("https://{server}"),
        };
        let url = |id: &String| {
            let id = id.trim_start_matches("0x");
            format!("{address}/pks/lookup?op=get&options=mr&search=0x{id}")
        };
        let name = ids.first().map(String::as_str).unwrap_or_default();
        Key::fetched(ids.iter().map(url).collect(), name, signed_by)
    }

    fn path(&self) -> &str {
        match self {
            Key::Given { path, .. } | Key::Fetched { path, .. } => path,
        }
    }

    pub(super) fn question(&self) -> Question {
        match self {
            Key::Given { path, .. } => Question::Digest(path.clone()),
            Key::Fetched { path, .. } => Question::Path(path.clone()),
        }
    }

    /// The key itself, if the tree has it.
    pub(super) fn content(&self) -> Option<Content> {
        match self {
            Key::Given { path, bytes } => {
                Some(Content::new(format!("key {path}"), path.as_str(), bytes.as_slice()))
            }
            Key::Fetched { .. } => None,
        }
    }

    pub(super) fn step(&self, facts: &Facts) -> Result<Option<Step>, Stop> {
        let subject = format!("key {}", self.path());
        match self {
            Key::Given { path, bytes } => {
                let there = facts.digest(path)?;
                if there == Some(&digest(bytes)) {
                    return Ok(None);
                }
                let before = if there.is_some() { Value::from("another") } else { Value::Null };
                let write = Write {
                    path: path.clone(),
                    bytes: bytes.clone(),
                    attributes: Attributes { mode: Some(0o644), ..Attributes::default() },
                    parents: Parents::Make(Attributes { mode: Some(0o755), ..Attributes::default() }),
                    check: None,
                    backup: None,
                    follow: true,
                };
                Ok(Some(Step::new([Change::new(subject, before, "of the tree")], Operation::Write(write))))
            }
            Key::Fetched { path, urls } => {
                if facts.path(path)?.is_some() {
                    return Ok(None);
                }
                let info = PathInfo {
                    kind: PathKind::File,
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                    user: "root".into(),
                    group: "root".into(),
                    size: 0,
                };
                let told = format!("fetch {}", urls.join(" "));
                let touches = [Touch::Path(path.clone()), Touch::Above(path.clone())];
                let run = Run::new(Command::shell(fetch(path, urls)).told(told).timeout(120), touches)
                    .foretells(Question::Path(path.clone()), Answer::Path(Some(info)));
                let change = Change::new(subject, Value::Null, format!("of {}", urls.join(" ")));
                Ok(Some(Step::new([change], Operation::Run(run))))
            }
        }
    }
}

fn trusted(name: &str, ending: &str) -> String {
    let stem = name.rsplit('/').next().unwrap_or(name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '-' };
    format!("/etc/apt/trusted.gpg.d/{}.{ending}", stem.chars().map(plain).collect::<String>())
}

fn is_armored(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"-----BEGIN PGP")
}

/// The bytes of an armored key (RFC 9580, section 6.2). Empty: it cannot be read.
fn dearmor(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::new();
    let mut body: Option<String> = None;
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN PGP") {
            inside = true;
        } else if line.starts_with("-----END PGP") {
            inside = false;
            out.extend(BASE64.decode(body.take().unwrap_or_default().as_bytes()).unwrap_or_default());
        } else if inside && line.is_empty() {
            body.get_or_insert_default();
        } else if inside
            && !line.starts_with('=')
            && let Some(body) = &mut body
        {
            body.push_str(line);
        }
    }
    out
}

/// Fetches keys by what the host has for that, and writes them as the file's ending says.
fn fetch(path: &str, urls: &[String]) -> String {
    let mut script = String::from(
        "get() { if command -v curl >/dev/null; then curl -fsSL -- \"$1\"; elif command -v wget >/dev/null; then wget -qO- -- \"$1\"; else /usr/lib/apt/apt-helper download-file \"$1\" \"$d/x\" >&2 && cat \"$d/x\" && rm -f \"$d/x\"; fi; }\n\
         bare() { if head -c 14 \"$1\" | grep -q -e '-----BEGIN PGP'; then sed -n '/^-----BEGIN/,/^-----END/p' \"$1\" | sed '1,/^[[:space:]]*$/d;/^=/,$d' | base64 -d; else cat \"$1\"; fi; }\n\
         d=$(mktemp -d) || exit\ntrap 'rm -rf -- \"$d\"' EXIT\n",
    );
    let path = quote(path);
    script.push_str(&format!("p={path}\n"));
    for url in urls {
        script.push_str(&format!(
            "get {} >\"$d/key\" && [ -s \"$d/key\" ] || {{ echo 'the key could not be fetched' >&2; exit 1; }}\n\
             case $p in *.asc) cat \"$d/key\" ;; *) bare \"$d/key\" ;; esac >>\"$d/all\" || exit\n",
            quote(url)
        ));
    }
    script.push_str(
        "mkdir -p -- \"$(dirname -- \"$p\")\" && chmod 644 \"$d/all\" && cp -- \"$d/all\" \"$p.kstate-new\" && mv -f -- \"$p.kstate-new\" \"$p\"",
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keys_by_their_address() {
        assert_eq!(
            trusted("https://example.org/keys/ACCC4CF8.asc", "asc"),
            "/etc/apt/trusted.gpg.d/ACCC4CF8.asc"
        );
        assert_eq!(trusted("B97B0AFCAA1A47F0", "asc"), "/etc/apt/trusted.gpg.d/B97B0AFCAA1A47F0.asc");
    }

    #[test]
    fn asks_a_server_of_keys_over_https() {
        let key = Key::of_server("keyserver.ubuntu.com", &["0xABCD".into()], None);
        let Key::Fetched { urls, .. } = key else { panic!() };
        assert_eq!(urls, ["https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0xABCD"]);
    }

    #[test]
    fn what_is_no_armor_has_no_bytes() {
        assert_eq!(
            dearmor(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!\n-----END PGP PUBLIC KEY BLOCK-----\n"),
            b""
        );
    }
}
