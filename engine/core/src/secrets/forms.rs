//! What counts as a secret, and the forms in which it may be written.

use std::collections::BTreeSet;

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER};

/// Fewer letters than that and nothing else make a word, as sentences have them.
const WORD_LIMIT: usize = 8;

/// Fewer digits than that and nothing else may stand inside other numbers.
const NUMBER_LIMIT: usize = 12;

/// Texts of fewer characters are not masked: they would blot out everything.
const SHORTEST: usize = 4;

/// Texts of fewer bytes are not looked for in base64 and the like.
const SHORTEST_ENCODED: usize = 6;

/// The longest text of several lines that is also looked for as a whole.
const LONGEST_WHOLE: usize = 4096;

/// Values that keep nothing secret, because everybody would try them, or knows them.
const COMMON: &[&str] = &[
    "127.0.0.1",
    "0.0.0.0",
    "administrator",
    "admin",
    "apache",
    "changeme",
    "data",
    "database",
    "debian",
    "default",
    "development",
    "disabled",
    "enabled",
    "example.com",
    "example.org",
    "false",
    "guest",
    "host",
    "http",
    "https",
    "info",
    "local",
    "localhost",
    "mail",
    "main",
    "master",
    "mysql",
    "name",
    "nginx",
    "nobody",
    "none",
    "null",
    "password",
    "port",
    "postgres",
    "postgresql",
    "prod",
    "production",
    "public",
    "redis",
    "root",
    "secret",
    "server",
    "service",
    "staging",
    "test",
    "token",
    "true",
    "ubuntu",
    "user",
    "username",
    "value",
    "www-data",
];

/// How sure it is that a text is the secret, and not a word that looks like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A few letters: masked where it is a word of its own.
    Word,
    /// Digits: masked where no other digits are beside it.
    Number,
    /// Fewer than eight characters of different kinds.
    Short,
    Long,
}

/// One way to write a secret.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// In lower case; without white space if it is long.
    pub(super) bytes: Vec<u8>,
    pub(super) kind: Kind,
    /// Letters alone, which may be a part of names.
    pub(super) is_letters: bool,
    /// The least length of a piece that gives it away.
    pub(super) piece: Piece,
}

/// Which pieces of a long form give it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Only the whole.
    None,
    /// Its beginning or end, of so many bytes.
    Edge(usize),
    /// The same, and from the middle whatever has both letters and digits.
    Any(usize),
}

/// The forms of texts that must not be shown. One that is also a name that everybody knows is masked as a few letters are.
pub(super) fn forms(texts: &[String], public: &BTreeSet<String>) -> Vec<Form> {
    let parts: BTreeSet<&str> = texts.iter().flat_map(|text| parts(text)).collect();
    let is_secret = |part: &&&str| part.chars().count() >= SHORTEST && !is_common(part);
    let kind = |part: &str| if public.contains(part) { Kind::Word } else { kind(part) };
    parts.iter().filter(is_secret).flat_map(|part| written(part, kind(part))).collect()
}

fn is_common(text: &str) -> bool {
    COMMON.contains(&text.to_ascii_lowercase().as_str())
        || text.starts_with("-----BEGIN ")
        || text.starts_with("-----END ")
}

/// A text, its lines (a key shows line by line in a diff), and the password of an address.
fn parts(text: &str) -> Vec<&str> {
    let text = text.trim();
    let mut parts: Vec<&str> = text.lines().map(str::trim).collect();
    parts.extend(parts.clone().into_iter().filter_map(password));
    if text.len() <= LONGEST_WHOLE {
        parts.push(text);
    }
    parts
}

/// `scheme://user:PASSWORD@host`.
fn password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#', ' ']).next()?;
    authority.rsplit_once('@')?.0.split_once(':').map(|(_, password)| password)
}

/// All forms of one secret.
fn written(text: &str, kind: Kind) -> Vec<Form> {
    let is_letters = text.chars().all(char::is_alphabetic);
    let mut spellings = BTreeSet::from([folded(text.as_bytes(), kind)]);
    if !text.is_ascii() {
        spellings
            .extend([text.to_lowercase(), text.to_uppercase()].map(|text| folded(text.as_bytes(), kind)));
        // As Python's `ascii` writes it: one byte for each character.
        let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        spellings.extend(latin.ok().map(|latin| folded(&latin, kind)));
    }
    let spell = |bytes: Vec<u8>| Form { piece: piece(text, kind, bytes.len()), bytes, kind, is_letters };
    let mut forms: Vec<Form> = spellings.into_iter().map(spell).collect();
    if text.len() >= SHORTEST_ENCODED {
        forms.extend(encoded(text.as_bytes()).into_iter().map(|text| Form {
            piece: if text.len() < 16 { Piece::None } else { Piece::Edge(12) },
            bytes: folded(text.as_bytes(), Kind::Long),
            kind: Kind::Long,
            is_letters: false,
        }));
    }
    forms
}

fn kind(text: &str) -> Kind {
    let length = text.chars().count();
    if text.chars().all(char::is_alphabetic) && length < WORD_LIMIT {
        Kind::Word
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) && length < NUMBER_LIMIT {
        Kind::Number
    } else if folded(text.as_bytes(), Kind::Long).len() < WORD_LIMIT {
        Kind::Short
    } else {
        Kind::Long
    }
}

fn folded(bytes: &[u8], kind: Kind) -> Vec<u8> {
    let keep_space = kind != Kind::Long;
    let kept = bytes.iter().filter(|byte| keep_space || !byte.is_ascii_whitespace());
    kept.map(u8::to_ascii_lowercase).collect()
}

fn piece(text: &str, kind: Kind, length: usize) -> Piece {
    let is_address =
        text.contains("://") || ["ssh-", "ecdsa-", "sk-"].iter().any(|start| text.starts_with(start));
    match length {
        _ if kind != Kind::Long || is_address => Piece::None,
        0..=8 => Piece::None,
        9..=11 if is_plain(text) => Piece::None,
        9..=11 => Piece::Edge(length - 3),
        // Names and phrases have words in common with others.
        _ if is_plain(text) => Piece::Edge((length * 3 / 4).max(12)),
        _ => Piece::Any(8),
    }
}

/// Whether it is made of words as names are: `db1.example.org`, `correct-horse`.
pub fn is_plain(text: &str) -> bool {
    let is_name =
        |word: &str| word.trim_end_matches(|c: char| c.is_ascii_digit()).chars().all(char::is_alphabetic);
    let is_sign = |c: char| "_-./@: ".contains(c);
    let has = |is: fn(char) -> bool| text.chars().any(is);
    let is_mixed = has(char::is_lowercase) && has(char::is_uppercase) && has(char::is_numeric);
    !is_mixed && text.split(is_sign).all(is_name)
}

/// What stands for these bytes in a longer text of each encoding, wherever they begin in it.
fn encoded(bytes: &[u8]) -> BTreeSet<String> {
    let aligned = |encoding: &Encoding, bits: usize, group: usize| -> Vec<String> {
        let at = |before: usize| {
            let text = encoding.encode(&[&vec![0; before], bytes].concat());
            // The signs that no neighbour has a part in.
            text[(before * 8).div_ceil(bits)..(before + bytes.len()) * 8 / bits].to_owned()
        };
        (0..group).map(at).collect()
    };
    let mut all: BTreeSet<String> = BTreeSet::from([HEXLOWER.encode(bytes)]);
    all.extend(aligned(&BASE64_NOPAD, 6, 3));
    all.extend(aligned(&BASE64URL_NOPAD, 6, 3));
    all.extend(aligned(&BASE32_NOPAD, 5, 5));
    all.retain(|text| text.len() >= 7);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_length_and_by_what_it_is_made_of() {
        for (text, expected) in [
            ("manage", Kind::Word),
            ("manages1", Kind::Long),
            ("hunter2", Kind::Short),
            ("493817", Kind::Number),
            ("4111111111111111", Kind::Long),
            ("a b c d e", Kind::Short),
            ("correct horse", Kind::Long),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn what_everybody_knows_is_no_secret() {
        let texts = ["root", "User", "true", "abc", "-----BEGIN RSA PRIVATE KEY-----", ""];
        assert!(forms(&texts.map(str::to_owned), &BTreeSet::new()).is_empty());
        let public = BTreeSet::from(["file.managed".to_owned()]);
        let forms = forms(&["file.managed".to_owned()], &public);
        assert!(forms.iter().any(|form| form.kind == Kind::Word && form.bytes == b"file.managed"));
    }

    #[test]
    fn names_and_phrases_are_plain_and_passwords_are_not() {
        for text in
            ["db1.example.org", "kingfisher_views", "correct-horse-battery", "/var/lib/app2", "API_KEY"]
        {
            assert!(is_plain(text), "{text}");
        }
        for text in ["pw-Zx81-correct-horse", "a1b2c3d4", "hunter2!x", "s3cr3t-k3y"] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let secret = b"pw-Zx81-correct";
        let known = encoded(secret);
        for before in 0..7 {
            let text = [&vec![b'u'; before], &secret[..], b"!!"].concat();
            let text = BASE64_NOPAD.encode(&text);
            assert!(known.iter().any(|known| text.contains(known.as_str())), "{text}");
        }
    }

    #[test]
    fn the_password_of_an_address_is_a_secret_of_its_own() {
        assert_eq!(password("postgresql://app:pw-1@db/app"), Some("pw-1"));
        assert_eq!(password("https://example.org/a:b@c"), None);
    }
}
