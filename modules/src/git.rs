//! Git repositories.

mod commit;
mod latest;
mod log;
mod seen;

pub(crate) use commit::{checked_out, commit_of, inside};
pub(crate) use latest::Latest;
