//! Texts of one file that were rendered and read before: most hosts share them, and are spared the reading.

use std::sync::{Arc, Mutex, PoisonError};

use kstate_core::{Node, digest};

/// How many different texts of a file are known at a time; the oldest goes first.
const KNOWN: usize = 8;

/// The data of the texts that came up more than once, so that a single host pays nothing for it.
#[derive(Debug, Default)]
pub(crate) struct Readings(Mutex<Vec<Reading>>);

#[derive(Debug)]
struct Reading {
    digest: String,
    /// `None`: it came up once.
    node: Option<Arc<Node>>,
}

/// Two files are equal if their texts are.
impl PartialEq for Readings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Readings {}

impl Readings {
    /// Returns the data of a text, which `read` makes of it unless it is known. Errors are never kept.
    pub(crate) fn read<E>(&self, text: &str, read: impl FnOnce(&str) -> Result<Node, E>) -> Result<Node, E> {
        let digest = digest(text.as_bytes());
        let known = self.known(&digest);
        if let Some(Some(node)) = known {
            return Ok(Node::clone(&node));
        }
        let node = read(text)?;
        self.keep(digest, known.is_some().then(|| Arc::new(node.clone())));
        Ok(node)
    }

    fn known(&self, digest: &str) -> Option<Option<Arc<Node>>> {
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings.iter().find(|reading| reading.digest == digest).map(|reading| reading.node.clone())
    }

    fn keep(&self, digest: String, node: Option<Arc<Node>>) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings.retain(|reading| reading.digest != digest);
        if readings.len() == KNOWN {
            readings.remove(0);
        }
        readings.push(Reading { digest, node });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kstate_core::{Data, Position, Value};

    use super::*;

    #[test]
    fn a_text_is_read_twice_and_then_known() {
        let (readings, count) = (Readings::default(), Cell::new(0));
        let read = |text: &str| {
            count.set(count.get() + 1);
            let data = Data::Scalar(Value::Text(text.to_owned()));
            Ok::<_, ()>(Node { data, at: Position::new("a", 1, 1) })
        };
        for _ in 0..5 {
            assert_eq!(readings.read("a", read).unwrap().text(), Some("a"));
        }
        assert_eq!(count.get(), 2);
        for text in 0..9 {
            readings.read(&text.to_string(), read).unwrap();
        }
        readings.read("a", read).unwrap();
        assert_eq!(count.get(), 12, "the oldest text is forgotten");
    }

    #[test]
    fn an_error_is_made_each_time() {
        let readings = Readings::default();
        for _ in 0..3 {
            assert_eq!(readings.read("a", |_| Err(1)), Err(1));
        }
    }
}
