//! Regular expressions of limited size and effort, each read once.

use std::cell::RefCell;
use std::collections::HashMap;

use fancy_regex::{Regex, RegexBuilder};

/// How large an expression may become when it is read: in bytes for what an automaton matches, in instructions for what
/// backtracks.
const SIZE_LIMIT: usize = 1 << 20;
const PROGRAM_LIMIT: usize = 50_000;
/// How many expressions a thread remembers.
const KNOWN_LIMIT: usize = 100;

thread_local! {
    static KNOWN: RefCell<HashMap<(String, usize), Regex>> = RefCell::default();
}

/// The expression, and whether it was read just now. A match gives up after `backtracks` steps back.
pub(crate) fn compiled(pattern: &str, backtracks: usize) -> Result<(Regex, bool), fancy_regex::Error> {
    let key = (pattern.to_owned(), backtracks);
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).cloned()) {
        return Ok((known, false));
    }
    let regex = RegexBuilder::new(pattern)
        .backtrack_limit(backtracks)
        .delegate_size_limit(SIZE_LIMIT)
        .max_prog_size(PROGRAM_LIMIT)
        .build()?;
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= KNOWN_LIMIT {
            known.clear();
        }
        known.insert(key, regex.clone());
    });
    Ok((regex, true))
}
