//! The ways to a host against the real thing: an OpenSSH server on a loopback port, and this machine's own shell.

mod held_shell;
mod support;
