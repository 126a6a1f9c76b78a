//! Users of the host.

mod absent;
mod present;
mod shadow;

pub(crate) use absent::Absent;
pub(crate) use present::Present;

/// Where a user's home is as a rule; a question about it can then go out before anybody has been asked.
pub(crate) fn likely_home(user: &str) -> String {
    if user == "root" { "/root".to_owned() } else { format!("/home/{user}") }
}
