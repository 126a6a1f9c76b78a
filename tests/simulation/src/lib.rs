//! Simulated runs: a host in memory, a deployment, the faults that disturb it, and what must hold after them. Tests use it;
//! nothing that is shipped does.

pub mod deployment;
pub mod disturb;
pub mod fake;
pub mod laws;
pub mod random;
pub mod sets;
