//! The algorithms that the configuration of OpenSSH allows: `Ciphers`, `KexAlgorithms`, `MACs` and
//! `PubkeyAcceptedAlgorithms`, as `ssh -G` has resolved them.

use std::borrow::Cow;

use russh::Preferred;
use russh::keys::{Algorithm, HashAlg};
use russh::{cipher, kex, mac};
use thiserror::Error;

/// The lists of one host. An empty list restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Algorithms {
    pub(crate) ciphers: Vec<String>,
    pub(crate) kex: Vec<String>,
    pub(crate) macs: Vec<String>,
    /// The keys to log in with.
    pub(crate) keys: Vec<String>,
}

/// The configuration allows only what kstate does not have.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{option}` of the configuration allows nothing that kstate has: {}", wanted.join(","))]
pub(crate) struct Unsupported {
    pub(crate) option: &'static str,
    wanted: Vec<String>,
}

impl Algorithms {
    /// Puts what both the configuration and kstate know into its order.
    pub(crate) fn prefer(&self, preferred: &mut Preferred) -> Result<(), Unsupported> {
        if let Some(ciphers) = chosen("Ciphers", &self.ciphers, |name| cipher::Name::try_from(name).ok())? {
            preferred.cipher = Cow::Owned(ciphers);
        }
        if let Some(macs) = chosen("MACs", &self.macs, |name| mac::Name::try_from(name).ok())? {
            preferred.mac = Cow::Owned(macs);
        }
        if let Some(mut all) = chosen("KexAlgorithms", &self.kex, |name| kex::Name::try_from(name).ok())? {
            // What belongs to the protocol, and is no method of its own.
            let is_extension = |name: &str| name.starts_with("ext-info-") || name.starts_with("kex-strict-");
            all.extend(preferred.kex.iter().filter(|name| is_extension(name.as_ref())));
            preferred.kex = Cow::Owned(all);
        }
        Ok(())
    }

    /// Returns true if a key, or the certificate over it, may be used for the login.
    pub(crate) fn accept(&self, key: &Algorithm, is_certificate: bool) -> bool {
        let name = |algorithm: &Algorithm| match is_certificate {
            true => algorithm.to_certificate_type(),
            false => algorithm.as_str().to_owned(),
        };
        let names = match key {
            Algorithm::Rsa { .. } => self.rsa().iter().map(|hash| name(&rsa(*hash))).collect(),
            key => vec![name(key)],
        };
        self.keys.is_empty() || names.iter().any(|name| self.keys.contains(name))
    }

    /// The hashes that RSA keys may sign with; never SHA-1.
    pub(crate) fn rsa(&self) -> Vec<HashAlg> {
        let both = [HashAlg::Sha512, HashAlg::Sha256];
        let allowed = |hash: &HashAlg| {
            let algorithm = rsa(*hash);
            let names = [algorithm.as_str().to_owned(), algorithm.to_certificate_type()];
            self.keys.is_empty() || names.iter().any(|name| self.keys.contains(name))
        };
        both.into_iter().filter(allowed).collect()
    }
}

fn rsa(hash: HashAlg) -> Algorithm {
    Algorithm::Rsa { hash: Some(hash) }
}

/// The names of a list that are known. `None`: the list restricts nothing.
fn chosen<T>(
    option: &'static str,
    names: &[String],
    known: impl Fn(&str) -> Option<T>,
) -> Result<Option<Vec<T>>, Unsupported> {
    if names.is_empty() {
        return Ok(None);
    }
    let found: Vec<T> = names.iter().filter(|name| *name != "none").filter_map(|name| known(name)).collect();
    if found.is_empty() { Err(Unsupported { option, wanted: names.to_vec() }) } else { Ok(Some(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn names<T: AsRef<str>>(list: &[T]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn the_order_of_the_configuration_is_kept() {
        let allowed = Algorithms {
            ciphers: words("aes256-ctr unheard-of aes128-ctr"),
            kex: words("sntrup761x25519-sha512 curve25519-sha256"),
            macs: words("hmac-sha2-256"),
            keys: Vec::new(),
        };
        let mut preferred = Preferred::DEFAULT;
        allowed.prefer(&mut preferred).unwrap();
        assert_eq!(names(&preferred.cipher), ["aes256-ctr", "aes128-ctr"]);
        assert_eq!(names(&preferred.mac), ["hmac-sha2-256"]);
        assert_eq!(names(&preferred.kex)[..2], ["curve25519-sha256", "ext-info-c"]);
        assert!(names(&preferred.kex).contains(&"kex-strict-c-v00@openssh.com"));
    }

    #[test]
    fn an_empty_list_restricts_nothing() {
        let mut preferred = Preferred::DEFAULT;
        Algorithms::default().prefer(&mut preferred).unwrap();
        assert_eq!(names(&preferred.cipher), names(&Preferred::DEFAULT.cipher));
        assert!(Algorithms::default().accept(&Algorithm::Ed25519, true));
    }

    #[test]
    fn a_list_of_strangers_is_refused_by_its_name() {
        let allowed = Algorithms { ciphers: words("none unheard-of"), ..Algorithms::default() };
        let error = allowed.prefer(&mut Preferred::DEFAULT.clone()).unwrap_err();
        assert_eq!(error.option, "Ciphers");
        assert!(error.to_string().contains("unheard-of"), "{error}");
    }

    #[test]
    fn keys_are_accepted_by_name() {
        let allowed = Algorithms {
            keys: words("rsa-sha2-256 ssh-ed25519-cert-v01@openssh.com"),
            ..Algorithms::default()
        };
        let plain = Algorithm::Rsa { hash: None };
        assert!(allowed.accept(&plain, false) && !allowed.accept(&plain, true));
        assert!(!allowed.accept(&Algorithm::Ed25519, false) && allowed.accept(&Algorithm::Ed25519, true));
        assert_eq!(allowed.rsa(), [HashAlg::Sha256]);
    }
}
