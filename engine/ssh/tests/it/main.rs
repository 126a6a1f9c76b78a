//! The ways to a host against the real thing: an OpenSSH server on a loopback port, and this machine's own shell.

#[cfg(test)]
mod access;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod held_shell;
#[cfg(test)]
mod support;
#[cfg(test)]
mod users;
