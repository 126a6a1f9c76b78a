//! The ways to a host: over SSH, and this machine itself. Both hold one shell for the whole run and send it jobs.
//!
//! This is the only crate that uses russh and tokio; its callers see the blocking traits of `kstate-core`.

mod algorithms;
mod auth;
mod config;
mod dial;
mod frames;
mod host_key;
mod keys;
mod known_hosts;
mod local;
mod login;
mod patience;
mod several;
mod shell;
mod ssh;
mod wire;

pub use local::Local;
pub use login::{AskPassphrase, Login, Logins, SshSettings};
pub use ssh::Ssh;
