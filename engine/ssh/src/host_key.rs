//! Whether a host is the one it says it is: strictly by known_hosts, never by asking and never by trusting the first.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::Preferred;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use thiserror::Error;

use crate::config::HostConfig;
use crate::known_hosts::{Entry, Marker, entries, glob, unreadable};

/// Why a host is not let in. Each names the key that it showed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum HostKeyError {
    #[error("the host key of `{name}` is not known: it shows {key}")]
    Unknown { name: String, key: String, changes: Remedy },
    #[error("the host key of `{name}` cannot be checked: {} cannot be read: {reason}", file.display())]
    Unreadable { name: String, file: PathBuf, reason: String },
    #[error("the host key of `{name}` has CHANGED: it shows {key}, but {}:{line} knows {known}", file.display())]
    Changed { name: String, key: String, known: String, file: PathBuf, line: usize, changes: Remedy },
    #[error("the host key of `{name}` is REVOKED by {}:{line}: {key}", file.display())]
    Revoked { name: String, key: String, file: PathBuf, line: usize },
    #[error("cannot look whether the host key of `{name}` is revoked: {} is no list of public keys", file.display())]
    RevocationList { name: String, file: PathBuf },
    #[error("the host certificate of `{name}` is not valid: {reason} ({key})")]
    Certificate { name: String, key: String, reason: String },
}

/// What the commands that put a key right need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    name: String,
    host: String,
    port: u16,
    alias: bool,
    kind: &'static str,
    file: PathBuf,
    /// The host to ask from, when this machine does not reach it itself.
    through: Option<String>,
}

impl Remedy {
    /// The command that fetches the host's key and keeps it.
    fn keep(&self) -> String {
        let port = if self.port == 22 { String::new() } else { format!(" -p {}", self.port) };
        let through = self.through.as_ref().map_or(String::new(), |hop| format!("ssh {} ", word(hop)));
        let rename = if self.alias { format!(" | sed 's/^[^ ]*/{}/'", self.name) } else { String::new() };
        format!(
            "{through}ssh-keyscan -t {}{port} {}{rename} >> {}",
            self.kind,
            word(&self.host),
            word(&self.file.display().to_string())
        )
    }
}

fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@~+%".contains(c);
    if text.chars().all(plain) && !text.is_empty() { text.to_owned() } else { format!("'{text}'") }
}

impl HostKeyError {
    /// What to do, each on a line of its own.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            HostKeyError::Unknown { changes, .. } => vec![
                format!(
                    "compare the fingerprint with what the host itself says: ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub",
                    changes.kind
                ),
                format!("if it is the same: {}", changes.keep()),
            ],
            HostKeyError::Changed { file, changes, .. } => vec![
                "somebody may stand between you and the host; go on only if you know why its key is new"
                    .to_owned(),
                format!(
                    "if the host was installed anew: ssh-keygen -R {} -f {}",
                    word_name(&changes.name),
                    word(&file.display().to_string())
                ),
                format!("then, with the fingerprint compared on the host: {}", changes.keep()),
            ],
            HostKeyError::Unreadable { file, .. } => {
                vec![format!("make it readable for you: chmod u+r {}", word(&file.display().to_string()))]
            }
            HostKeyError::Revoked { .. } => {
                vec!["do not connect: whoever holds this key is not to be trusted".to_owned()]
            }
            HostKeyError::RevocationList { .. } => {
                vec!["`RevokedHostKeys` may name a text file with one public key on a line; a binary KRL is not understood".to_owned()]
            }
            HostKeyError::Certificate { .. } => {
                vec!["have the host's certificate signed anew by its certificate authority".to_owned()]
            }
        }
    }
}

/// Brackets mean something to a shell.
fn word_name(name: &str) -> String {
    if name.contains(['[', '*', '|']) { format!("'{name}'") } else { word(name) }
}

/// What is known about one host.
#[derive(Clone, Debug)]
pub(crate) struct HostKeys {
    name: String,
    /// The name without its port: `ssh` takes a key that is known for the host on any port.
    bare: Option<String>,
    entries: Vec<Entry>,
    bare_entries: Vec<Entry>,
    revoked: Option<PathBuf>,
    /// A known_hosts file that is there and cannot be read, and why.
    unreadable: Option<(PathBuf, String)>,
    allowed: Vec<String>,
    remedy: Remedy,
}

impl HostKeys {
    pub(crate) fn of(config: &HostConfig, through: Option<&HostConfig>) -> Self {
        let (name, files) = (config.known_name(), config.known_hosts());
        let bare = (name.starts_with('[') && config.host_key_alias.is_none())
            .then(|| config.host_name.to_lowercase());
        let fallback = || PathBuf::from("~/.ssh/known_hosts");
        let remedy = Remedy {
            name: name.clone(),
            host: config.host_name.clone(),
            port: config.port,
            alias: config.host_key_alias.is_some(),
            kind: "ed25519",
            file: config.user_known_hosts.first().cloned().unwrap_or_else(fallback),
            through: through.map(|hop| hop.given.clone()),
        };
        HostKeys {
            entries: entries(&files, &name),
            bare_entries: bare.as_ref().map_or_else(Vec::new, |bare| entries(&files, bare)),
            bare,
            name,
            revoked: config.revoked_host_keys.clone(),
            unreadable: unreadable(&files),
            allowed: config.host_key_algorithms.clone(),
            remedy,
        }
    }

    /// Asks for the kinds of keys that are known first, so that a host with several keys shows one that can be checked.
    pub(crate) fn prefer(&self, preferred: &mut Preferred) {
        let known: Vec<&KeyData> = self
            .entries
            .iter()
            .chain(&self.bare_entries)
            .filter(|entry| entry.marker == Marker::None)
            .map(|entry| &entry.key)
            .collect();
        let may = |name: &str| self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == name);
        let mut keys: Vec<Algorithm> =
            algorithms().into_iter().filter(|algorithm| may(algorithm.as_str())).collect();
        keys.sort_by_key(|algorithm| !known.iter().any(|key| same_kind(&key.algorithm(), algorithm)));
        let authorities = self.entries.iter().any(|entry| entry.marker == Marker::CertAuthority);
        if authorities {
            let certificates: Vec<Algorithm> =
                algorithms().into_iter().filter(|algorithm| may(&algorithm.to_certificate_type())).collect();
            preferred.host_key_certificates = Cow::Owned(certificates);
        }
        preferred.key = Cow::Owned(keys);
    }

    pub(crate) fn check(&self, shown: &PublicKeyOrCertificate) -> Result<(), HostKeyError> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.check_key(key.key_data()),
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.check_certificate(certificate, SystemTime::now())
            }
        }
    }

    fn check_key(&self, key: &KeyData) -> Result<(), HostKeyError> {
        self.refuse_revoked(key)?;
        let plain = || self.entries.iter().filter(|entry| entry.marker == Marker::None);
        if plain().any(|entry| entry.key == *key) {
            return Ok(());
        }
        if self.bare_entries.iter().any(|entry| entry.marker == Marker::None && entry.key == *key) {
            return Ok(());
        }
        let changes = Remedy { kind: kind(&key.algorithm()), ..self.remedy.clone() };
        let name = self.name.clone();
        let same = plain().find(|entry| same_kind(&entry.key.algorithm(), &key.algorithm()));
        match same.or_else(|| plain().next()) {
            Some(entry) => Err(HostKeyError::Changed {
                name,
                key: describe(key),
                known: describe(&entry.key),
                file: entry.file.clone(),
                line: entry.line,
                changes,
            }),
            None => match self.unreadable.clone() {
                Some((file, reason)) => Err(HostKeyError::Unreadable { name, file, reason }),
                None => Err(HostKeyError::Unknown { name, key: describe(key), changes }),
            },
        }
    }

    fn check_certificate(&self, certificate: &Certificate, now: SystemTime) -> Result<(), HostKeyError> {
        let authority = certificate.signature_key();
        self.refuse_revoked(certificate.public_key())?;
        self.refuse_revoked(authority)?;
        let known = |entry: &Entry| entry.marker == Marker::CertAuthority && entry.key == *authority;
        if !self.entries.iter().chain(&self.bare_entries).any(known) {
            // A host that some authority unknown to us has certified may still be known by its own key.
            return self.check_key(certificate.public_key());
        }
        let wrong = |reason: String| HostKeyError::Certificate {
            name: self.name.clone(),
            key: describe(certificate.public_key()),
            reason,
        };
        if certificate.cert_type() != CertType::Host {
            return Err(wrong("it is not a host certificate".to_owned()));
        }
        if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
            return Err(wrong("it is signed with SHA-1".to_owned()));
        }
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if now < certificate.valid_after() {
            return Err(wrong("it is not valid yet".to_owned()));
        }
        if now >= certificate.valid_before() {
            return Err(wrong("it has expired".to_owned()));
        }
        if certificate.validate_at(now, [&authority.fingerprint(HashAlg::Sha256)]).is_err() {
            return Err(wrong("its signature is wrong".to_owned()));
        }
        if !certificate.critical_options().is_empty() {
            return Err(wrong("it has a critical option that is not understood".to_owned()));
        }
        // A certificate names hosts, without a port.
        let host = self.bare.as_deref().unwrap_or(&self.name);
        let named = |name: &String| glob(name.to_lowercase().as_bytes(), host.as_bytes());
        if !certificate.valid_principals().iter().any(named) {
            return Err(wrong(format!("it is for {}", certificate.valid_principals().join(", "))));
        }
        Ok(())
    }

    fn refuse_revoked(&self, key: &KeyData) -> Result<(), HostKeyError> {
        let refuse = |file: &Path, line| HostKeyError::Revoked {
            name: self.name.clone(),
            key: describe(key),
            file: file.to_owned(),
            line,
        };
        let revoked = |entry: &&Entry| entry.marker == Marker::Revoked && entry.key == *key;
        if let Some(entry) = self.entries.iter().chain(&self.bare_entries).find(revoked) {
            return Err(refuse(&entry.file, entry.line));
        }
        let Some(file) = &self.revoked else { return Ok(()) };
        // A list that cannot be read must not let anybody in.
        let Ok(text) = std::fs::read_to_string(file) else {
            return Err(HostKeyError::RevocationList { name: self.name.clone(), file: file.clone() });
        };
        let same =
            |line: &str| PublicKey::from_openssh(line.trim()).is_ok_and(|known| known.key_data() == key);
        match text.lines().position(same) {
            Some(index) => Err(refuse(file, index + 1)),
            None => Ok(()),
        }
    }
}

/// `ED25519 SHA256:…`, as `ssh` shows it.
pub(crate) fn describe(key: &KeyData) -> String {
    format!("{} {}", kind(&key.algorithm()).to_uppercase(), key.fingerprint(HashAlg::Sha256))
}

fn kind(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rsa { .. } => "rsa",
        Algorithm::Ecdsa { .. } => "ecdsa",
        Algorithm::Dsa => "dsa",
        Algorithm::SkEcdsaSha2NistP256 => "ecdsa-sk",
        Algorithm::SkEd25519 => "ed25519-sk",
        _ => "ed25519",
    }
}

fn same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    one == other || matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

/// The host key algorithms that are good enough, in the order of OpenSSH. RSA only with SHA-2.
fn algorithms() -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ]
}
