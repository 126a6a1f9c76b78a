//! What a template may do, so that every template ends: one budget, the engine's fuel.
//!
//! The engine itself pays for its instructions and for what it prints. What our functions do within one instruction
//! (walk through a list, compare mappings, write text) is counted here and taken from the same fuel. Comparing and
//! hashing can hand neither an error nor a state on, so the thread keeps the count: where nothing is left, walks end
//! early with whatever they have, and the instruction they are part of fails.

use std::cell::Cell;

use minijinja::value::Value;
use minijinja::{Error, ErrorKind, State};

use super::fault::fault;
use crate::limits;

/// What a unit of fuel pays for: so many bytes of text.
const UNITS_PER_FUEL: u64 = 64;
/// What one item of a list or a mapping costs, in bytes of text.
const ITEM: usize = 32;

thread_local! {
    /// What is left for the instruction that runs. Outside of any, nothing is counted.
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Takes the cost of `bytes` of text; whether there was enough.
pub(super) fn bytes(bytes: usize) -> bool {
    let left = LEFT.get().saturating_sub(bytes as u64);
    LEFT.set(left);
    left > 0
}

/// Takes the cost of so many items; whether there was enough.
pub(super) fn items(count: usize) -> bool {
    bytes(count.saturating_mul(ITEM).saturating_add(1))
}

/// As [`items`], for who can hand an error on.
pub(super) fn visit(count: usize) -> Result<(), Error> {
    if items(count) { Ok(()) } else { Err(over()) }
}

/// The work is over.
pub(super) fn over() -> Error {
    ErrorKind::OutOfFuel.into()
}

/// Whether walks have to end.
pub(super) fn is_over() -> bool {
    LEFT.get() == 0
}

/// Pays for what is about to be added to a text, and refuses a text that is longer than any may be.
pub(super) fn grow(text: &str, by: usize) -> Result<(), Error> {
    if text.len().saturating_add(by) > limits::TEXT {
        return Err(text_too_long());
    }
    bytes(by);
    Ok(())
}

pub(super) fn text_too_long() -> Error {
    let message = format!("the text becomes longer than {} MiB", limits::TEXT >> 20);
    fault(ErrorKind::InvalidOperation, message, vec!["does a loop make it longer each time?".to_owned()])
}

/// Refuses a list that is longer than any may be.
pub(super) fn list_of(length: usize) -> Result<(), Error> {
    if length <= limits::LIST {
        return Ok(());
    }
    let message = format!("the list becomes longer than {} items", limits::LIST);
    Err(fault(ErrorKind::InvalidOperation, message, vec!["does a loop make it longer each time?".to_owned()]))
}

/// The work of one instruction.
pub(super) struct Work {
    allowed: u64,
    outer: u64,
}

impl Work {
    pub(super) fn begin(state: &State<'_, '_>) -> Self {
        let fuel = state.fuel_levels().map_or(0, |(_, left)| left);
        let allowed = fuel.saturating_mul(UNITS_PER_FUEL);
        Work { allowed, outer: LEFT.replace(allowed) }
    }

    /// Pays for it. Fails if that was more than there was.
    pub(super) fn pay(self, state: &State<'_, '_>) -> Result<(), Error> {
        let left = LEFT.replace(self.outer);
        state.consume_fuel((self.allowed - left).div_ceil(UNITS_PER_FUEL))
    }

    /// Pays for it, and gives what came of it.
    pub(super) fn end(self, state: &State<'_, '_>, result: Result<Value, Error>) -> Result<Value, Error> {
        self.pay(state)?;
        match &result {
            Ok(value) if value.as_str().is_some_and(|text| text.len() > limits::TEXT) => Err(text_too_long()),
            _ => result,
        }
    }
}
