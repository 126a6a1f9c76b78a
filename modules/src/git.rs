//! Git repositories.

mod commit;
mod latest;
mod seen;

pub(crate) use latest::Latest;
