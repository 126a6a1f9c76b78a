//! Where something stands in a file that a person edits.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A place in a source file. Lines and columns count from 1; a column counts characters.
///
/// Places are the same by whatever way rendering came to them.
#[derive(Clone, Debug)]
pub struct Position {
    /// The file as it is named to people: relative to the root where it lies below it.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
    /// The last step to it, for a place to which a macro, an `include` or a loop led.
    pub way: Option<Arc<Via>>,
}

/// Where rendering went on to another place.
#[derive(Debug)]
pub struct Via {
    /// What stands there, and has a way in turn.
    pub at: Position,
    /// What led on, as it is told beside the line: "in the macro `site`". Nothing is told of a loop.
    pub what: Arc<str>,
    /// Of a loop, which pass it was, from 1; 0 where it had none.
    pub pass: Option<u32>,
}

impl Position {
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Position { file: file.into(), line, column, way: None }
    }

    /// The steps that led here, the last one first.
    pub fn steps(&self) -> impl Iterator<Item = &Via> {
        std::iter::successors(self.way.as_deref(), |step| step.at.way.as_deref())
    }

    /// The same place, where the way to it began with another one.
    #[must_use]
    pub fn after(&self, first: &Arc<Via>) -> Self {
        let way = match &self.way {
            None => first.clone(),
            Some(step) => {
                Arc::new(Via { at: step.at.after(first), what: step.what.clone(), pass: step.pass })
            }
        };
        Position { way: Some(way), ..self.clone() }
    }

    /// The same place, where what is called `text` is no file, and stands at another place.
    #[must_use]
    pub fn within(&self, text: &str, at: &Position) -> Self {
        if *self.file == *text {
            return at.clone();
        }
        let within = |step: &Arc<Via>| {
            Arc::new(Via { at: step.at.within(text, at), what: step.what.clone(), pass: step.pass })
        };
        Position { way: self.way.as_ref().map(within), ..self.clone() }
    }

    /// Where the way to the same place parts from that of another: their steps, this one's first.
    pub fn parting<'a>(&'a self, other: &'a Position) -> Option<(&'a Via, &'a Via)> {
        self.steps().zip(other.steps()).find(|(a, b)| (&a.at, a.pass) != (&b.at, b.pass))
    }

    /// The same place, with other words for the way to it.
    #[must_use]
    pub fn reworded(&self, words: &dyn Fn(&str) -> String) -> Self {
        let reword = |step: &Arc<Via>| {
            Arc::new(Via { at: step.at.reworded(words), what: words(&step.what).into(), pass: step.pass })
        };
        Position { way: self.way.as_ref().map(reword), ..self.clone() }
    }

    fn key(&self) -> (&str, u32, u32) {
        (&self.file, self.line, self.column)
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Position {}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: Position, what: &str) -> Arc<Via> {
        Arc::new(Via { at, what: what.into(), pass: None })
    }

    #[test]
    fn a_way_that_began_elsewhere_goes_on_as_before() {
        let inner =
            Position { way: Some(step(Position::new("b", 2, 1), "macro")), ..Position::new("c", 3, 1) };
        let whole = inner.after(&step(Position::new("a", 1, 1), "state"));
        let told: Vec<String> = whole.steps().map(|step| format!("{} {}", step.at, step.what)).collect();
        assert_eq!(told, ["b:2:1 macro", "a:1:1 state"]);
        assert_eq!(whole, inner);
    }

    #[test]
    fn ways_part_at_the_first_step_that_differs() {
        let call = |line| Position {
            way: Some(step(Position::new("a", line, 1), "macro")),
            ..Position::new("b", 2, 1)
        };
        let deeper = |line| Position { way: Some(step(call(line), "macro")), ..Position::new("c", 3, 1) };
        let (one, other) = (deeper(1), deeper(2));
        let parting = one.parting(&other).map(|(one, other)| (one.at.line, other.at.line));
        assert_eq!(parting, Some((1, 2)));
        assert!(one.parting(&deeper(1)).is_none());
    }

    #[test]
    fn what_is_no_file_stands_where_it_was_written() {
        let at =
            Position { way: Some(step(Position::new("text", 2, 1), "macro")), ..Position::new("c", 3, 1) };
        let within = at.within("text", &Position::new("a", 7, 5));
        assert_eq!(within.steps().map(|step| step.at.to_string()).collect::<Vec<_>>(), ["a:7:5"]);
        assert_eq!(
            Position::new("text", 1, 1).within("text", &Position::new("a", 7, 5)).to_string(),
            "a:7:5"
        );
    }
}
