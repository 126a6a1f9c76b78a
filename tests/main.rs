//! The integration tests: one binary, so that it is linked once.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod book;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod requisites;
#[cfg(test)]
mod support;
#[cfg(test)]
mod terminal;
