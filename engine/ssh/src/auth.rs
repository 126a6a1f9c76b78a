//! Logging in by public key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::{Algorithm, HashAlg};
use russh::{MethodKind, MethodSet};
use thiserror::Error;

use crate::config::HostConfig;
use crate::dial::Client;
use crate::keys::{Candidate, KeyError, Keyring, Signing, agent, candidates};

#[derive(Debug, Error)]
pub(crate) enum AuthError {
    #[error("there is no key to log in with as `{user}`{}", because(problems))]
    NoKey { user: String, problems: Vec<KeyError> },
    #[error("refused to let `{user}` in with {}{}; it offers {offers}", list(tried), because(problems))]
    Refused { user: String, tried: Vec<String>, offers: String, problems: Vec<KeyError> },
    #[error("took the key of `{user}` and wants {offers} as well, which kstate does not do")]
    MoreWanted { user: String, offers: String },
    #[error("did not answer the login within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    #[error("waits for us, but the agent did not answer within {} s", .0.as_secs_f32())]
    Agent(Duration),
    #[error("ended the connection while `{user}` logged in, after {}", list(tried))]
    Ended { user: String, tried: Vec<String> },
}

impl AuthError {
    pub(crate) fn hints(&self) -> Vec<String> {
        let (user, problems) = match self {
            AuthError::NoKey { user, problems } | AuthError::Refused { user, problems, .. } => {
                (user, problems)
            }
            _ => return Vec::new(),
        };
        let mut hints: Vec<String> = problems.iter().filter_map(KeyError::hint).collect();
        hints.push(match self {
            AuthError::NoKey { .. } => {
                "name a key by `priv` in the roster or `IdentityFile` in ~/.ssh/config, or start an agent"
                    .to_owned()
            }
            _ => format!("put the public key into ~/.ssh/authorized_keys of `{user}` on the host"),
        });
        hints
    }
}

fn list(tried: &[String]) -> String {
    if tried.is_empty() { "no key".to_owned() } else { tried.join(", ") }
}

fn because(problems: &[KeyError]) -> String {
    problems.iter().map(|problem| format!("; {problem}")).collect()
}

/// Offers one key after the other. A person is asked for a passphrase only when the server wants the key.
pub(crate) async fn log_in(
    session: &mut Handle<Client>,
    config: &HostConfig,
    keyring: &Keyring,
    limit: Duration,
) -> Result<(), AuthError> {
    let user = &config.user;
    let listing = async {
        let mut agent = agent(config).await;
        if let (Some(agent), Some(binding)) = (&mut agent, session.agent_session_binding()) {
            // Only agents that restrict keys to hosts know this; the others refuse it, which means nothing.
            let _ = agent.bind_session(binding, false).await;
        }
        let found = candidates(config, agent.as_mut()).await;
        (agent, found)
    };
    let listed = tokio::time::timeout(limit, listing).await;
    let (mut agent, (candidates, mut problems)) = listed.map_err(|_| AuthError::Agent(limit))?;
    let is_accepted = |candidate: &Candidate| {
        config.algorithms.accept(&candidate.public.algorithm(), candidate.certificate.is_some())
    };
    let (candidates, left_out): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_accepted);
    problems.extend(left_out.iter().map(|candidate| KeyError::NotAccepted { key: candidate.to_string() }));
    if candidates.is_empty() {
        return Err(AuthError::NoKey { user: user.clone(), problems });
    }
    let mut tried = Vec::new();
    let mut offers = MethodSet::empty();
    for candidate in &candidates {
        tried.push(candidate.to_string());
        let signing = Signing { candidate, agent: agent.as_mut(), keyring, asked: &|| () };
        match attempt(session, config, candidate, signing, limit).await? {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if session.is_closed() {
                    return Err(AuthError::Ended { user: user.clone(), tried });
                }
                if partial_success {
                    return Err(AuthError::MoreWanted {
                        user: user.clone(),
                        offers: names(&remaining_methods),
                    });
                }
                let over = !remaining_methods.contains(&MethodKind::PublicKey);
                offers = remaining_methods;
                if over {
                    break;
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    Err(AuthError::Refused { user: user.clone(), tried, offers: names(&offers), problems })
}

fn names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    if names.is_empty() { "nothing else".to_owned() } else { names.join(", ") }
}

async fn attempt(
    session: &mut Handle<Client>,
    config: &HostConfig,
    candidate: &Candidate,
    signing: Signing<'_>,
    limit: Duration,
) -> Result<Result<AuthResult, KeyError>, AuthError> {
    let asked = AtomicBool::new(false);
    let note = || asked.store(true, Ordering::Relaxed);
    let mut signing = Signing { asked: &note, ..signing };
    let user = &config.user;
    let offer = async {
        let hash = match candidate.public.algorithm() {
            Algorithm::Rsa { .. } => Some(rsa_hash(session, &config.algorithms.rsa()).await),
            _ => None,
        };
        match &candidate.certificate {
            Some(certificate) => {
                session.authenticate_certificate_with(user, certificate.clone(), hash, &mut signing).await
            }
            None => {
                let key = candidate.public.clone();
                session.authenticate_publickey_with(user, key, hash, &mut signing).await
            }
        }
    };
    tokio::pin!(offer);
    loop {
        match tokio::time::timeout(limit, &mut offer).await {
            Ok(result) => return Ok(result),
            // The time went by while somebody was typing a passphrase.
            Err(_) if asked.swap(false, Ordering::Relaxed) => {}
            Err(_) => return Err(AuthError::Timeout(limit)),
        }
    }
}

/// SHA-2 always. A server that names neither is offered the one that every server since OpenSSH 7.2 knows.
async fn rsa_hash(session: &Handle<Client>, allowed: &[HashAlg]) -> HashAlg {
    match session.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) if allowed.contains(&hash) => hash,
        _ => allowed.first().copied().unwrap_or(HashAlg::Sha512),
    }
}
