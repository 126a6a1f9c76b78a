//! Passwords as PostgreSQL stores them: SCRAM-SHA-256 (RFC 5802, RFC 7677) and MD5.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// As the server's `password_encryption` says.
    #[default]
    Server,
    Scram,
    Md5,
    Plain,
}

impl<'de> Deserialize<'de> for Encryption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Encryption;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`True`, `md5` or `scram-sha-256`")
            }

            fn visit_bool<E>(self, v: bool) -> Result<Encryption, E> {
                Ok(if v { Encryption::Server } else { Encryption::Plain })
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Encryption, E> {
                match v {
                    "md5" => Ok(Encryption::Md5),
                    "scram-sha-256" => Ok(Encryption::Scram),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// PostgreSQL's own number.
const ITERATIONS: u32 = 4096;

impl Encryption {
    /// Whether a password is stored in this way, or was given as it is stored.
    pub(super) fn stores(self, stored: &str, password: &str) -> bool {
        stored == password
            || match self {
                Encryption::Scram => stored.starts_with("SCRAM-SHA-256$"),
                Encryption::Md5 => stored.starts_with("md5"),
                Encryption::Server | Encryption::Plain => true,
            }
    }

    /// The password as it is stored. The salt is made of `seed`.
    pub(super) fn encrypt(self, password: &str, role: &str, seed: &str) -> String {
        if is_stored(password) {
            return password.to_owned();
        }
        match self {
            Encryption::Md5 => md5(password, role),
            _ => scram(password, &Sha256::digest(seed.as_bytes())[..16], ITERATIONS),
        }
    }
}

/// Whether a password is given as it is stored.
fn is_stored(password: &str) -> bool {
    let is_md5 = |hash: &str| hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    password.strip_prefix("md5").is_some_and(is_md5) || verifier(password).is_some()
}

/// Whether `stored` is of this password.
pub(super) fn matches(stored: &str, password: &str, role: &str) -> bool {
    if stored == password {
        return true;
    }
    match verifier(stored) {
        Some((iterations, salt)) => scram(password, &salt, iterations) == stored,
        None => stored == md5(password, role),
    }
}

/// The number of rounds and the salt of `SCRAM-SHA-256$rounds:salt$stored:server`.
fn verifier(stored: &str) -> Option<(u32, Vec<u8>)> {
    let (head, keys) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    keys.split_once(':')?;
    Some((iterations.parse().ok()?, BASE64.decode(salt.as_bytes()).ok()?))
}

fn scram(password: &str, salt: &[u8], iterations: u32) -> String {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted);
    let stored = Sha256::digest(key(&salted, b"Client Key"));
    let server = key(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(&stored),
        BASE64.encode(&server)
    )
}

fn key(salted: &[u8; 32], name: &[u8]) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(salted) {
        Ok(mac) => mac.chain_update(name).finalize().into_bytes().to_vec(),
        // A key of any length will do for HMAC.
        Err(_) => Vec::new(),
    }
}

fn md5(password: &str, role: &str) -> String {
    format!("md5{}", HEXLOWER.encode(&Md5::digest(format!("{password}{role}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored by a PostgreSQL 15.
    const STORED: &str = "SCRAM-SHA-256$4096:XLe+/bIcchC83pWyoXEZGQ==$lLAIC4nw985LxjwfttBEU3LFcX+ztiYQ8d0Ssyh1EwY=:7prU9yQLKzn/HspO/cntrooevqJ/ow6k15vdxpNanCg=";

    #[test]
    fn recognizes_what_a_server_has_stored() {
        assert!(matches(STORED, "hunter22", "ann"));
        assert!(!matches(STORED, "hunter23", "ann"));
        assert!(matches("md5cd1dc56153430b54d4d28ea5efe48213", "hunter22", "bob"));
    }

    #[test]
    fn takes_what_is_stored_already_as_it_is() {
        assert_eq!(Encryption::Server.encrypt(STORED, "ann", "x"), STORED);
        assert!(matches(STORED, STORED, "ann"));
    }
}
