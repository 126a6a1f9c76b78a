//! A host in memory: files, accounts, packages, services, crontabs, processes and the records of the engine. It acts by the
//! purpose of each job ([`kstate_core::Purpose`]) and never reads shell text of the engine.
//!
//! It models: paths with links, owners and modes, as the kernel resolves them for root; the programs that modules call for
//! accounts, packages, services and crontabs, with their refusals; the lines of `cmd.run` in a small shell (`shell.rs`); a
//! full disk; a reboot; and a clock that costs no time.
//!
//! It does not model: permissions of anybody but root, hard links, mounts, the content of packages, the processes of
//! services, Git, Python and PostgreSQL. A job that it does not know ends with status 127 and is counted, so that no test passes
//! by what the host does not know.

pub mod accounts;
mod answers;
pub mod disk;
pub mod journal;
mod programs;
mod shell;
pub mod world;

pub mod host;
pub mod run;
pub mod tree;

pub use disk::Kind;
pub use host::{FakeHost, FakeTime};
pub use world::World;
