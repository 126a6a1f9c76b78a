//! The known_hosts format of sshd(8): which keys are known for a host, which are revoked, whom it may be certified by.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use russh::keys::{PublicKey, ssh_key::public::KeyData};

/// What a line says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The host has this key.
    None,
    /// Certificates by this key are good for the host.
    CertAuthority,
    Revoked,
}

/// A line that speaks about the host in question.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) marker: Marker,
    pub(crate) key: KeyData,
    pub(crate) file: PathBuf,
    /// From 1.
    pub(crate) line: usize,
}

/// Every line of every file that speaks about `name` (`host` or `[host]:port`). A missing file is an empty one.
pub(crate) fn entries(files: &[PathBuf], name: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for file in files {
        if let Ok(bytes) = std::fs::read(file) {
            found.extend(read(&String::from_utf8_lossy(&bytes), file, name));
        }
    }
    found
}

/// The first file that is there and cannot be read, and why.
pub(crate) fn unreadable(files: &[PathBuf]) -> Option<(PathBuf, String)> {
    files.iter().find_map(|file| match std::fs::File::open(file) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Some((file.clone(), "permission denied".into()))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Some((file.clone(), error.to_string())),
        _ => None,
    })
}

fn read<'a>(text: &'a str, file: &'a Path, name: &'a str) -> impl Iterator<Item = Entry> + 'a {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let (marker, key) = parse(line, name)?;
        Some(Entry { marker, key, file: file.to_owned(), line: index + 1 })
    })
}

/// `[@marker] names type base64 [comment]`. The key is decoded only when the names fit: files have thousands of lines.
fn parse(line: &str, name: &str) -> Option<(Marker, KeyData)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let mut names = words.next()?;
    let marker = match names {
        "@cert-authority" => Marker::CertAuthority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => return None,
        _ => Marker::None,
    };
    if marker != Marker::None {
        names = words.next()?;
    }
    if !fits(names, name) {
        return None;
    }
    let (algorithm, base64) = (words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&format!("{algorithm} {base64}")).ok()?;
    Some((marker, key.key_data().clone()))
}

/// Whether a list of names or a hashed name means the host.
fn fits(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return fits_hash(hashed, name).unwrap_or(false);
    }
    let mut fits = false;
    for pattern in names.split(',') {
        let pattern = pattern.to_lowercase();
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => fits |= glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
    fits
}

/// `salt|hash`, both base64: HMAC-SHA1 of the name.
fn fits_hash(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let decode = |text: &str| data_encoding::BASE64.decode(text.as_bytes()).ok();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &decode(salt)?);
    Some(ring::hmac::verify(&key, name.as_bytes(), &decode(hash)?).is_ok())
}

/// `*` stands for any characters, `?` for one.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((back, skipped)) = star else { return false };
                star = Some((back, skipped + 1));
                at = back + 1;
                from = skipped + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn matches(names: &str, host: &str) -> bool {
        parse(&format!("{names} {ONE} a comment"), host).is_some()
    }

    #[test]
    fn names_match_as_openssh_does() {
        let cases = [
            ("web", "web", true),
            ("WEB", "web", true),
            ("web", "web2", false),
            ("db,web", "web", true),
            ("*.example.org", "web.example.org", true),
            ("*.example.org", "example.org", false),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("*.example.org,!bad.example.org", "good.example.org", true),
            ("*.example.org,!bad.example.org", "bad.example.org", false),
            ("!bad.example.org", "good.example.org", false),
            ("[web]:2222", "[web]:2222", true),
            ("web", "[web]:2222", false),
            ("[*]:2222", "[web]:2222", true),
            ("*", "anything", true),
            ("2001:db8::1", "2001:db8::1", true),
        ];
        for (names, host, expected) in cases {
            assert_eq!(matches(names, host), expected, "{names} {host}");
        }
    }

    #[test]
    fn hashed_names_match_their_own_host_only() {
        // Made by `ssh-keygen -H` from the plain names.
        let hashed = hash(b"0123456789abcdefghij", "[127.0.0.1]:2222");
        assert!(matches(&hashed, "[127.0.0.1]:2222"));
        assert!(!matches(&hashed, "127.0.0.1"));
        assert!(!matches("|1|not base64|x", "127.0.0.1"));
        assert!(!matches("|1|onlysalt", "127.0.0.1"));
    }

    fn hash(salt: &[u8], name: &str) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
        let tag = ring::hmac::sign(&key, name.as_bytes());
        let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
        format!("|1|{}|{}", encode(salt), encode(tag.as_ref()))
    }

    #[test]
    fn markers_comments_and_broken_lines_are_told_apart() {
        let cases = [
            (format!("@revoked * {ONE}"), Some(Marker::Revoked)),
            (format!("@cert-authority *.org,web {ONE}"), Some(Marker::CertAuthority)),
            (format!("@something web {ONE}"), None),
            (format!("  web\t{ONE}"), Some(Marker::None)),
            (format!("# web {ONE}"), None),
            ("web ssh-ed25519".to_owned(), None),
            ("web ssh-ed25519 AAAA".to_owned(), None),
            ("@revoked".to_owned(), None),
            (String::new(), None),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(&line, "web").map(|found| found.0), expected, "{line}");
        }
    }

    #[test]
    fn lines_are_counted_from_one_and_files_may_be_missing() {
        let text = format!("# first\n\nweb {ONE}\nother {ONE}\n@revoked web {ONE}\n");
        let found: Vec<_> =
            read(&text, Path::new("k"), "web").map(|entry| (entry.line, entry.marker)).collect();
        assert_eq!(found, [(3, Marker::None), (5, Marker::Revoked)]);
        assert!(entries(&["/nonexistent/known_hosts".into()], "web").is_empty());
    }

    #[test]
    fn a_file_that_is_there_and_cannot_be_read_is_told_and_one_that_is_not_is_none() {
        let link = std::env::temp_dir().join(format!("kstate-known-hosts-{}", std::process::id()));
        std::os::unix::fs::symlink(&link, &link).unwrap();
        let found = unreadable(&["/nonexistent/known_hosts".into(), link.clone()]);
        std::fs::remove_file(&link).unwrap();
        assert_eq!(found.map(|(file, _)| file), Some(link));
        assert_eq!(unreadable(&["/nonexistent/known_hosts".into(), "/proc/self/stat".into()]), None);
    }

    #[test]
    fn globs_are_linear_enough() {
        let text = "a".repeat(2000);
        assert!(!glob(b"*a*a*a*a*a*b", text.as_bytes()));
        assert!(glob(b"**", b""));
    }
}
