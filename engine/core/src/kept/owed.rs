//! What a change has asked for and what has not happened yet: the reload of a service whose configuration was changed
//! by a run that then failed or lost its connection. It is written down along with the change, and struck off when it
//! is done; the next run does what is left.

use super::{Errand, FOLDER, MAKE, Record};
use crate::words::quote;
use crate::{Chunk, Graph, Job, RequisiteKind, digest};

/// Prints what is owed.
pub(super) const LISTING: &str = "for f in \"$K\"/owed/*; do [ -f \"$f\" ] || continue; \
     echo \"@ owed ${f##*/}\"; head -c 4000 \"$f\" | tr -d @; done\n";

/// A refresh that a state owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The name of its record.
    pub file: String,
    /// The state that owes it.
    pub state: String,
    pub id: String,
    pub name: String,
    /// `None`: an earlier version wrote it.
    pub sls: Option<String>,
    /// The id of the state whose change asked for it.
    pub because: String,
    /// That state's function and name.
    pub because_of: Option<(String, String)>,
    /// The host's clock when that change was begun.
    pub since: u64,
}

/// The requisites by which a change asks something of a state.
const ASKING: [RequisiteKind; 5] = [
    RequisiteKind::Watch,
    RequisiteKind::WatchAny,
    RequisiteKind::Listen,
    RequisiteKind::Onchanges,
    RequisiteKind::OnchangesAny,
];

impl Owed {
    pub(super) fn read(file: &str, record: &Record) -> Option<Self> {
        let text = |name| record.get(name).map(str::to_owned);
        Some(Owed {
            file: file.to_owned(),
            state: text("state")?,
            id: text("id")?,
            name: text("name")?,
            sls: text("sls"),
            because: text("because")?,
            because_of: text("because-state").zip(text("because-name")),
            since: record.number("since")?,
        })
    }

    /// Returns true if it is this state that owes it.
    pub fn is_of(&self, chunk: &Chunk) -> bool {
        let is_sls = self.sls.as_ref().is_none_or(|sls| *sls == chunk.sls);
        is_sls && self.state == chunk.function() && self.id == chunk.id && self.name == chunk.name
    }

    /// Returns true if the tree has both the state and the one whose change asked for it: another tree of the same host may
    /// have a state of the same id and name.
    pub(crate) fn is_in(&self, graph: &Graph) -> bool {
        let asked = |chunk: &Chunk| {
            let is_same = self
                .because_of
                .as_ref()
                .is_none_or(|(state, name)| *state == chunk.function() && *name == chunk.name);
            is_same && chunk.id == self.because
        };
        let chunks = graph.chunks();
        let names = |index: usize| {
            ASKING
                .into_iter()
                .flat_map(move |kind| graph.targets(index, kind))
                .any(|target| asked(&chunks[target]))
        };
        (0..chunks.len()).any(|index| self.is_of(&chunks[index]) && names(index))
    }
}

/// Writes down that `chunk` owes a refresh because of a change of `because`. What is owed already stays as it is.
pub(crate) fn note(chunk: &Chunk, because: &Chunk) -> Job {
    let record = Record::default()
        .with("state", chunk.function())
        .with("id", &chunk.id)
        .with("name", &chunk.name)
        .with("sls", &chunk.sls)
        .with("because", &because.id)
        .with("because-state", because.function())
        .with("because-name", &because.name);
    let file = file(chunk, because);
    Job::new(format!(
        "{FOLDER}{MAKE}mkdir -p \"$K/owed\" || exit 1\nf=$K/owed/{file}\n\
         [ -e \"$f\" ] || {{ {} >\"$f.new\" && mv -f \"$f.new\" \"$f\"; }}",
        record.printing()
    ))
    .meant(Errand::Owe { file, fields: record.fields() })
}

/// Strikes a record off.
pub(crate) fn strike(file: &str) -> Job {
    let file = file.to_owned();
    Job::new(format!("{FOLDER}rm -f \"$K/owed/\"{}", quote(&file))).meant(Errand::Strike { file })
}

/// The name of the record of a state and of the one whose change asks for it.
pub(crate) fn file(chunk: &Chunk, because: &Chunk) -> String {
    let text = [chunk, because]
        .map(|chunk| format!("{}\0{}\0{}\0{}", chunk.sls, chunk.function(), chunk.id, chunk.name));
    digest(text.join("\0").as_bytes())[..16].to_owned()
}
