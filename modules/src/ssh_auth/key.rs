//! A line of sshd(8)'s `authorized_keys`.

use thiserror::Error;

use crate::file::pattern::text_of;

/// A public key with what stands around it. Its texts have a character for each byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) options: String,
    enc: String,
    /// The key itself, in base64.
    pub(super) key: String,
    comment: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum KeyError {
    #[error("`{0}` is not a type of key")]
    Type(String),
    #[error("`{0}` is not a public key")]
    NotAKey(String),
}

const TYPES: [&str; 21] = [
    "ssh-rsa",
    "ssh-dss",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The type that Salt means by a short name.
fn long_type(enc: &str) -> Result<&str, KeyError> {
    Ok(match enc {
        "r" | "rsa" => "ssh-rsa",
        "d" | "dsa" | "dss" => "ssh-dss",
        "e" | "ecdsa" => "ecdsa-sha2-nistp256",
        "ed25519" => "ssh-ed25519",
        enc if TYPES.contains(&enc) => enc,
        _ => return Err(KeyError::Type(enc.to_owned())),
    })
}

impl Key {
    /// Of a state's name: a whole line, or a key and perhaps a comment.
    pub(super) fn of_name(
        name: &str,
        enc: &str,
        comment: &str,
        options: Option<String>,
    ) -> Result<Self, KeyError> {
        let name = text_of(name.as_bytes());
        if let Some(mut key) = Key::of_line(&name) {
            if key.options.is_empty() {
                key.options = options.unwrap_or_default();
            }
            if key.comment.is_empty() {
                key.comment = comment.to_owned();
            }
            return Ok(key);
        }
        let mut words = name.split_whitespace();
        let key = words.next().unwrap_or_default();
        if !is_base64(key) {
            return Err(KeyError::NotAKey(shortened(&name)));
        }
        let own: Vec<&str> = words.collect();
        let comment = if own.is_empty() { text_of(comment.as_bytes()) } else { own.join(" ") };
        Ok(Key {
            options: options.unwrap_or_default(),
            enc: long_type(enc)?.to_owned(),
            key: key.to_owned(),
            comment,
        })
    }

    /// `None`: a comment, or nothing that sshd takes for a key.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let is_type = |rest: &str| TYPES.contains(&rest.split_whitespace().next().unwrap_or_default());
        let (options, rest) = if is_type(line) { ("", line) } else { line.split_at(options_end(line)) };
        if !is_type(rest) {
            return None;
        }
        let mut words = rest.split_whitespace();
        let (enc, key) = (words.next()?, words.next()?);
        let comment: Vec<&str> = words.collect();
        is_base64(key).then(|| Key {
            options: options.to_owned(),
            enc: enc.to_owned(),
            key: key.to_owned(),
            comment: comment.join(" "),
        })
    }

    pub(super) fn line(&self) -> String {
        let words = [&self.options, &self.enc, &self.key, &self.comment];
        let words: Vec<&str> =
            words.into_iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
        format!("{}\n", words.join(" "))
    }

    /// `lines` with this key: in the place of its own line if it stands there otherwise, else at the end.
    pub(super) fn put(&self, lines: &str) -> String {
        let mut found = false;
        let mut out = String::new();
        for line in lines.split_inclusive('\n') {
            match Key::of_line(line).filter(|there| there.key == self.key) {
                None => out.push_str(line),
                Some(there) => {
                    found = true;
                    out.push_str(&if there == *self { line.to_owned() } else { self.line() });
                }
            }
        }
        if !found {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            out.push_str(&self.line());
        }
        out
    }
}

/// `lines` without the keys that are not to stay.
pub(super) fn retain(lines: &str, stays: impl Fn(&str) -> bool) -> String {
    let kept = |line: &&str| Key::of_line(line).is_none_or(|there| stays(&there.key));
    lines.split_inclusive('\n').filter(kept).collect()
}

/// Where the options end: at the first white space that is not in quotes.
fn options_end(line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            c if c.is_whitespace() && !quoted => return at,
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    line.len()
}

fn is_base64(word: &str) -> bool {
    let body = word.trim_end_matches('=');
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    !body.is_empty()
        && word.len().is_multiple_of(4)
        && word.len() - body.len() <= 2
        && body.chars().all(plain)
}

fn shortened(name: &str) -> String {
    let start: String = name.chars().take(40).collect();
    if start.len() < name.len() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(line: &str) -> Key {
        Key::of_line(line).unwrap_or_else(|| panic!("{line}"))
    }

    #[test]
    fn reads_what_sshd_reads() {
        let plain = key("ssh-ed25519 AAAA ann of here\n");
        assert_eq!(
            (plain.options.as_str(), plain.key.as_str(), plain.comment.as_str()),
            ("", "AAAA", "ann of here")
        );
        let with = key("no-pty,command=\"ssh-x \\\"y z\\\"\"  ssh-rsa AAAA");
        assert_eq!(with.options, "no-pty,command=\"ssh-x \\\"y z\\\"\"");
        for line in ["", "# ssh-rsa AAAA", "ssh-rsa", "ssh-rsa AAA", "foo AAAA", "ssh-rsa AA!A x"] {
            assert_eq!(Key::of_line(line), None, "{line}");
        }
    }

    #[test]
    fn takes_every_form_of_a_name() {
        let of = |name: &str| Key::of_name(name, "ed25519", "c", Some("no-pty".into())).unwrap().line();
        assert_eq!(of("AAAA"), "no-pty ssh-ed25519 AAAA c\n");
        assert_eq!(of("AAAA ann\n"), "no-pty ssh-ed25519 AAAA ann\n");
        assert_eq!(of("ssh-rsa AAAA ann x"), "no-pty ssh-rsa AAAA ann x\n");
        assert_eq!(of("from=\"1.2.3.4\" ssh-rsa AAAA"), "from=\"1.2.3.4\" ssh-rsa AAAA c\n");
        let error = |name: &str, enc: &str| Key::of_name(name, enc, "", None).unwrap_err();
        assert_eq!(error("AAAA", "x"), KeyError::Type("x".into()));
        assert_eq!(error("not a key", "rsa"), KeyError::NotAKey("not a key".into()));
    }

    #[test]
    fn leaves_other_lines_as_they_are() {
        let lines = "# mine\n\n  ssh-rsa  BBBB  bob \nssh-rsa AAAA old";
        let ann = key("ssh-rsa AAAA ann");
        assert_eq!(ann.put(lines), "# mine\n\n  ssh-rsa  BBBB  bob \nssh-rsa AAAA ann\n");
        assert_eq!(ann.put(&ann.put(lines)), ann.put(lines));
        assert_eq!(key("ssh-rsa CCCC").put(lines), format!("{lines}\nssh-rsa CCCC\n"));
        assert_eq!(retain(lines, |key| key != "BBBB"), "# mine\n\nssh-rsa AAAA old");
    }
}
