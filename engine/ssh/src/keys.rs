//! The keys to log in with: from the agent, from files, with and without certificates, in the order in which to try.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, signature};
use thiserror::Error;

use crate::config::{AgentAt, HostConfig};
use crate::host_key::describe;
use crate::login::AskPassphrase;

pub(crate) type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

/// Why a key cannot be used.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    #[error("cannot read {}: {source}", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{} can be read by others (mode {mode:03o}), so it is not used", file.display())]
    TooOpen { file: PathBuf, mode: u32 },
    #[error("{} is not a private key that can be read: {reason}", file.display())]
    Format { file: PathBuf, reason: String },
    #[error("{} has a passphrase, and there is no terminal to ask for it", file.display())]
    NobodyToAsk { file: PathBuf },
    #[error("the passphrase of {} was not given or is wrong", file.display())]
    Passphrase { file: PathBuf },
    #[error("`PubkeyAcceptedAlgorithms` of the configuration does not accept {key}")]
    NotAccepted { key: String },
    #[error("the agent does not sign with {key}: {reason}")]
    Agent { key: String, reason: String },
    #[error("cannot sign with {key}: {reason}")]
    Sign { key: String, reason: String },
    #[error("the connection was closed")]
    Closed,
}

impl KeyError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            KeyError::TooOpen { file, .. } => Some(format!("chmod 600 {}", file.display())),
            KeyError::NobodyToAsk { file } => {
                Some(format!("put the key into an agent before: ssh-add {}", file.display()))
            }
            _ => None,
        }
    }
}

impl From<russh::SendError> for KeyError {
    fn from(_: russh::SendError) -> Self {
        KeyError::Closed
    }
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Agent,
    File(PathBuf),
}

/// One key, or one certificate over it, to offer to the server.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) public: PublicKey,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) holder: Holder,
    /// Whether the agent lists the certificate itself, and not only its key.
    certificate_in_agent: bool,
}

impl fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&describe(self.public.key_data()))?;
        match &self.holder {
            Holder::Agent => formatter.write_str(" of the agent")?,
            Holder::File(file) => write!(formatter, " of {}", file.display())?,
        }
        if let Some(certificate) = &self.certificate {
            write!(formatter, " with certificate `{}`", certificate.key_id())?;
        }
        Ok(())
    }
}

/// Keys that were opened once are open for every host of the run.
pub(crate) struct Keyring {
    ask: Option<AskPassphrase>,
    opened: Mutex<HashMap<PathBuf, Arc<PrivateKey>>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keyring")
    }
}

impl Keyring {
    pub(crate) fn new(ask: Option<AskPassphrase>) -> Self {
        Keyring { ask, opened: Mutex::default() }
    }

    /// Opens a key file, with its passphrase if it has one. Two hosts that want the same key ask once.
    fn open(&self, file: &Path, asked: &dyn Fn()) -> Result<Arc<PrivateKey>, KeyError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = opened.get(file) {
            return Ok(key.clone());
        }
        let text = read(file)?;
        let key = match decode(&text, None) {
            Ok(key) if !key.is_encrypted() => key,
            Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {
                let file_name = || file.to_owned();
                let ask = self.ask.as_ref().ok_or_else(|| KeyError::NobodyToAsk { file: file_name() })?;
                let passphrase = ask(file);
                asked();
                let wrong = || KeyError::Passphrase { file: file_name() };
                decode(&text, Some(&passphrase.ok_or_else(wrong)?)).map_err(|_| wrong())?
            }
            Err(error) => return Err(format_error(file, &error)),
        };
        let key = Arc::new(key);
        opened.insert(file.to_owned(), key.clone());
        Ok(key)
    }
}

fn decode(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, russh::keys::Error> {
    russh::keys::decode_secret_key(text, passphrase)
}

fn format_error(file: &Path, error: &russh::keys::Error) -> KeyError {
    KeyError::Format { file: file.to_owned(), reason: error.to_string() }
}

fn read(file: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(file).map_err(|source| KeyError::Read { file: file.to_owned(), source })
}

/// Whether this process runs as the user with this number.
pub(crate) fn is_own_user(user: u32) -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == user)
}

/// A key file of the configuration.
struct Identity {
    file: PathBuf,
    public: PublicKey,
    /// Whether the file holds the private key, and not only the public one.
    private: bool,
    certificates: Vec<Certificate>,
}

/// What there is to try, best first, and what could not be used and why.
pub(crate) async fn candidates(
    config: &HostConfig,
    agent: Option<&mut Agent>,
) -> (Vec<Candidate>, Vec<KeyError>) {
    let mut problems = Vec::new();
    let mut identities = Vec::new();
    let mut own = 0;
    for (index, file) in config.identity_files.iter().enumerate() {
        let wanted = index < config.own_keys;
        match identity(file, config) {
            Ok(identity) => {
                identities.push(identity);
                own += usize::from(wanted);
            }
            Err(KeyError::Read { source, .. }) if !wanted && source.kind() == io::ErrorKind::NotFound => {}
            Err(problem) => problems.push(problem),
        }
    }
    let held = match agent {
        Some(agent) => agent.request_identities().await.unwrap_or_default(),
        None => Vec::new(),
    };
    (order(&identities, own, &held, config), problems)
}

fn order(identities: &[Identity], own: usize, held: &[AgentIdentity], config: &HostConfig) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut add = |candidate: Candidate| {
        let same = |other: &Candidate| {
            other.public.key_data() == candidate.public.key_data()
                && other.certificate.as_ref().map(Certificate::signature)
                    == candidate.certificate.as_ref().map(Certificate::signature)
        };
        if !found.iter().any(same) {
            found.push(candidate);
        }
    };
    let holds = |public: &PublicKey| {
        held.iter().any(|identity| identity.public_key().key_data() == public.key_data())
    };
    let (roster, configured) = identities.split_at(own);
    for identity in roster {
        offer(identity, holds(&identity.public), held, &mut add);
    }
    for identity in configured.iter().filter(|identity| holds(&identity.public)) {
        offer(identity, true, held, &mut add);
    }
    if !config.identities_only {
        for identity in held {
            let public = identity.public_key().into_owned();
            let certificate = match identity {
                AgentIdentity::Certificate { certificate, .. } => Some(certificate.clone()),
                AgentIdentity::PublicKey { .. } => None,
            };
            let certificate_in_agent = certificate.is_some();
            for file in &config.certificate_files {
                if let Some(certificate) = certificate_of(file, &public) {
                    add(Candidate {
                        public: public.clone(),
                        certificate: Some(certificate),
                        holder: Holder::Agent,
                        certificate_in_agent: false,
                    });
                }
            }
            add(Candidate { public, certificate, holder: Holder::Agent, certificate_in_agent });
        }
    }
    for identity in configured.iter().filter(|identity| !holds(&identity.public)) {
        offer(identity, false, held, &mut add);
    }
    found
}

/// The certificates of a key before the key itself.
fn offer(identity: &Identity, in_agent: bool, held: &[AgentIdentity], add: &mut dyn FnMut(Candidate)) {
    if !in_agent && !identity.private {
        return;
    }
    let holder = if in_agent { Holder::Agent } else { Holder::File(identity.file.clone()) };
    let public = identity.public.clone();
    for certificate in &identity.certificates {
        add(Candidate {
            public: public.clone(),
            certificate: Some(certificate.clone()),
            holder: holder.clone(),
            certificate_in_agent: false,
        });
    }
    for certificate in held.iter().filter_map(|identity| match identity {
        AgentIdentity::Certificate { certificate, .. } if certificate.public_key() == public.key_data() => {
            Some(certificate)
        }
        _ => None,
    }) {
        add(Candidate {
            public: public.clone(),
            certificate: Some(certificate.clone()),
            holder: Holder::Agent,
            certificate_in_agent: true,
        });
    }
    add(Candidate { public, certificate: None, holder, certificate_in_agent: false });
}

fn identity(file: &Path, config: &HostConfig) -> Result<Identity, KeyError> {
    let text = read(file)?;
    let (public, private) = match public_part(&text, file) {
        Some(public) => (public, true),
        None => match PublicKey::from_openssh(text.trim()) {
            // A public key alone says which key of the agent is meant.
            Ok(public) => (public, false),
            Err(_) => {
                let reason = decode(&text, None).err().map_or_else(String::new, |error| error.to_string());
                return Err(KeyError::Format { file: file.to_owned(), reason });
            }
        },
    };
    if private {
        refuse_open(file)?;
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push("-cert.pub");
    let files = config.certificate_files.iter().cloned().chain([PathBuf::from(beside)]);
    let certificates = files.filter_map(|file| certificate_of(&file, &public)).collect();
    Ok(Identity { file: file.to_owned(), public, private, certificates })
}

/// The public half of a private key, without its passphrase. The older formats hide it: there it stands beside.
fn public_part(text: &str, file: &Path) -> Option<PublicKey> {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return Some(key.public_key().clone());
    }
    match decode(text, None) {
        Ok(key) => Some(key.public_key().clone()),
        Err(russh::keys::Error::KeyIsEncrypted) => {
            let mut beside = file.as_os_str().to_owned();
            beside.push(".pub");
            PublicKey::read_openssh_file(Path::new(&beside)).ok()
        }
        Err(_) => None,
    }
}

/// As `ssh`: a private key of ours that others can read is not used.
fn refuse_open(file: &Path) -> Result<(), KeyError> {
    let metadata =
        std::fs::metadata(file).map_err(|source| KeyError::Read { file: file.to_owned(), source })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 && is_own_user(metadata.uid()) {
        return Err(KeyError::TooOpen { file: file.to_owned(), mode });
    }
    Ok(())
}

fn certificate_of(file: &Path, public: &PublicKey) -> Option<Certificate> {
    let text = std::fs::read_to_string(file).ok()?;
    let certificate = Certificate::from_openssh(text.trim()).ok()?;
    (certificate.public_key() == public.key_data()).then_some(certificate)
}

/// Connects to the agent that the configuration means. No agent is not an error.
pub(crate) async fn agent(config: &HostConfig) -> Option<Agent> {
    let path = match &config.agent {
        AgentAt::Nowhere => return None,
        AgentAt::Path(path) => path.clone(),
        AgentAt::Environment => PathBuf::from(std::env::var_os("SSH_AUTH_SOCK")?),
    };
    AgentClient::connect_uds(path).await.ok().map(AgentClient::dynamic)
}

/// Signs for one candidate, and opens its file only when the server wants the key.
pub(crate) struct Signing<'a> {
    pub(crate) candidate: &'a Candidate,
    pub(crate) agent: Option<&'a mut Agent>,
    pub(crate) keyring: &'a Keyring,
    /// Called when a person was asked, so that the time it took counts for nobody.
    pub(crate) asked: &'a (dyn Fn() + Sync),
}

impl russh::Signer for Signing<'_> {
    type Error = KeyError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, KeyError> {
        let candidate = self.candidate;
        match (&candidate.holder, &mut self.agent) {
            (Holder::File(file), _) => {
                let key = self.keyring.open(file, &|| (self.asked)())?;
                sign(&key, hash, data)
            }
            (Holder::Agent, Some(agent)) => {
                let identity = match &candidate.certificate {
                    Some(certificate) if candidate.certificate_in_agent => certificate.clone().into(),
                    _ => candidate.public.clone().into(),
                };
                let refused = |error: russh::keys::Error| KeyError::Agent {
                    key: describe(candidate.public.key_data()),
                    reason: error.to_string(),
                };
                agent.sign_request(&identity, hash, data).await.map_err(refused)
            }
            (Holder::Agent, None) => Err(KeyError::Closed),
        }
    }
}

/// Appends the signature to what is signed, as russh wants it.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    let failed = |reason: String| KeyError::Sign { key: describe(key.public_key().key_data()), reason };
    let signed: Result<russh::keys::ssh_key::Signature, signature::Error> = match key.key_data() {
        KeypairData::Rsa(pair) => signature::Signer::try_sign(&(pair, hash), &data),
        pair => signature::Signer::try_sign(pair, &data),
    };
    let mut blob = Vec::new();
    signed
        .map_err(|error| failed(error.to_string()))?
        .encode(&mut blob)
        .map_err(|error| failed(error.to_string()))?;
    blob.as_slice().encode(&mut data).map_err(|error| failed(error.to_string()))?;
    Ok(data)
}
