//! What a change has asked for and what has not happened yet: the reload of a service whose configuration was changed
//! by a run that then failed or lost its connection. It is written down along with the change, and struck off when it
//! is done; the next run does what is left.

use super::{Errand, FOLDER, MAKE, Record};
use crate::{Chunk, Job, digest};

/// Prints what is owed.
pub(super) const LISTING: &str = "for f in \"$K\"/owed/*; do [ -f \"$f\" ] || continue; \
     echo \"@ owed ${f##*/}\"; head -c 4000 \"$f\" | tr -d @; done\n";

/// A refresh that a state owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The state that owes it.
    pub state: String,
    pub id: String,
    pub name: String,
    /// The id of the state whose change asked for it.
    pub because: String,
    /// The host's clock when that change was begun.
    pub since: u64,
}

impl Owed {
    pub(super) fn read(record: &Record) -> Option<Self> {
        let text = |name| record.get(name).map(str::to_owned);
        Some(Owed {
            state: text("state")?,
            id: text("id")?,
            name: text("name")?,
            because: text("because")?,
            since: record.number("since")?,
        })
    }

    /// Whether it is this state that owes it.
    pub fn is_of(&self, chunk: &Chunk) -> bool {
        self.state == chunk.function() && self.id == chunk.id && self.name == chunk.name
    }
}

/// Writes down that `chunk` owes a refresh because of a change of `because`. What is owed already stays as it is.
pub(crate) fn note(chunk: &Chunk, because: &Chunk) -> Job {
    let record = Record::default()
        .with("state", chunk.function())
        .with("id", &chunk.id)
        .with("name", &chunk.name)
        .with("because", &because.id);
    Job::new(format!(
        "{FOLDER}{MAKE}mkdir -p \"$K/owed\" || exit 1\nf=$K/owed/{}\n\
         [ -e \"$f\" ] || {{ {} >\"$f.new\" && mv -f \"$f.new\" \"$f\"; }}",
        name(chunk),
        record.printing()
    ))
    .meant(Errand::Owe { file: name(chunk), fields: record.fields() })
}

/// Strikes off what a state owes.
pub(crate) fn strike(chunk: &Chunk) -> Job {
    let file = name(chunk);
    Job::new(format!("{FOLDER}rm -f \"$K/owed/{file}\"")).meant(Errand::Strike { file })
}

/// The name of the record of a state.
fn name(chunk: &Chunk) -> String {
    digest(format!("{}\0{}\0{}", chunk.function(), chunk.id, chunk.name).as_bytes())[..16].to_owned()
}
