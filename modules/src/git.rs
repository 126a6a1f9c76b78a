//! Git repositories.

mod commit;
mod latest;
mod log;
mod seen;
mod trust;

pub(crate) use commit::{checked_out, commit_of, inside};
pub(crate) use latest::Latest;
pub(crate) use trust::TRUST;
