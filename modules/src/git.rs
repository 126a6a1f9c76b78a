//! Git repositories.

mod latest;
mod seen;

pub(crate) use latest::Latest;
