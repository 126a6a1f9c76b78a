//! What an ordinary account of a host tries to gain by the runs of root there.

mod git;
mod journal;
mod links;
mod python;
mod races;
mod secrets;
mod streams;
