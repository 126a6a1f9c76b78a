//! The integration tests: one binary, so that it is linked once.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod book;
#[cfg(test)]
mod brackets;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deployments;
#[cfg(test)]
mod files;
#[cfg(test)]
mod functions;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod kingfisher;
#[cfg(test)]
mod master;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod on_the_host;
#[cfg(test)]
mod output;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod requisites;
#[cfg(test)]
mod salt;
#[cfg(test)]
mod salt_runs;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod services;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod support;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod token;
