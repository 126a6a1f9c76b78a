//! The states of one host and what each asks of the others, in the order in which Salt 3008 runs them.
//!
//! ```
//! # use kstate_core::{Chunk, Data, Graph, Node, Position, RequisiteKind};
//! # let at = Position::new("a.sls", 1, 1);
//! # let chunk = |id: &str, arguments| Chunk {
//! #     state: "test".into(), fun: "nop".into(), id: id.into(), name: id.into(), sls: "a".into(),
//! #     included_from: vec![], order: 10000.0, arguments, places: Default::default(), at: at.clone(),
//! # };
//! // `b` is declared last, and `a` requires it.
//! let require = Node { data: Data::List(vec![Node::scalar("b", at.clone())]), at: at.clone() };
//! let graph = Graph::link(vec![chunk("a", vec![("require".into(), require)]), chunk("b", vec![])]).unwrap();
//! assert_eq!(graph.chunks()[0].id, "b");
//! assert_eq!(graph.targets(1, RequisiteKind::Require), [0]);
//! ```

mod cycle;
mod glob;
mod lookup;
mod nearest;
mod order;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::{Chunk, Data, Node, Position, Problem, Severity, Value};

pub use glob::fnmatch;
pub use nearest::{distance, nearest};

use lookup::{Lookup, Unresolved};

/// How a state depends on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequisiteKind {
    Require,
    RequireAny,
    Watch,
    WatchAny,
    Prereq,
    Onfail,
    OnfailAny,
    OnfailAll,
    Onchanges,
    OnchangesAny,
    Listen,
    /// kstate's own: it is entered before what it names acts, and left afterwards.
    Around,
}

impl RequisiteKind {
    /// All kinds, in the order in which Salt looks them up.
    pub const ALL: [RequisiteKind; 12] = [
        RequisiteKind::Require,
        RequisiteKind::RequireAny,
        RequisiteKind::Watch,
        RequisiteKind::WatchAny,
        RequisiteKind::Prereq,
        RequisiteKind::Onfail,
        RequisiteKind::OnfailAny,
        RequisiteKind::OnfailAll,
        RequisiteKind::Onchanges,
        RequisiteKind::OnchangesAny,
        RequisiteKind::Listen,
        RequisiteKind::Around,
    ];

    /// The argument's name.
    pub fn name(self) -> &'static str {
        match self {
            RequisiteKind::Require => "require",
            RequisiteKind::RequireAny => "require_any",
            RequisiteKind::Watch => "watch",
            RequisiteKind::WatchAny => "watch_any",
            RequisiteKind::Prereq => "prereq",
            RequisiteKind::Onfail => "onfail",
            RequisiteKind::OnfailAny => "onfail_any",
            RequisiteKind::OnfailAll => "onfail_all",
            RequisiteKind::Onchanges => "onchanges",
            RequisiteKind::OnchangesAny => "onchanges_any",
            RequisiteKind::Listen => "listen",
            RequisiteKind::Around => "around",
        }
    }

    /// Whether a state that has it runs only when the states it names ask for it.
    pub fn asks(self) -> bool {
        use RequisiteKind::{Onchanges, OnchangesAny, Onfail, OnfailAll, OnfailAny, Prereq};
        matches!(self, Onchanges | OnchangesAny | Onfail | OnfailAll | OnfailAny | Prereq)
    }

    /// Whether the state that has it comes after what it names, and hangs on what becomes of that.
    pub fn waits(self) -> bool {
        !matches!(self, RequisiteKind::Listen | RequisiteKind::Around)
    }

    /// The kind of an argument.
    pub fn named(name: &str) -> Option<Self> {
        RequisiteKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How many states the requisites of a host may name, each counted as often as it is named.
const TARGETS_LIMIT: usize = 2_000_000;
/// How many missing states are told with their neighbours, which takes a look at every name.
const HINTED_LIMIT: usize = 100;

/// One entry of a requisite list: `- file: /etc/x` under `require`.
#[derive(Clone, Debug, PartialEq)]
pub struct Requisite {
    pub kind: RequisiteKind,
    /// The chunks that it means, as places in [`Graph::chunks`], in rising order. A pattern may mean none.
    pub targets: Vec<usize>,
    /// Where the entry was written.
    pub at: Position,
}

/// A requisite that names no state.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmet {
    /// The module that it names: `id` stands for any, and `sls` for a file.
    pub module: String,
    pub name: String,
    /// A warning for a `listen`, which Salt looks up only when it runs it.
    pub problem: Problem,
}

/// What is wrong with the requisites of a run.
#[derive(Clone, Debug, Default)]
pub struct Flaws {
    /// Requisites that name nothing, a `listen` too.
    pub unmet: Vec<Unmet>,
    /// Requisites that cannot be read, and cycles of those that could be looked up.
    pub problems: Vec<Problem>,
}

/// Chunks that make no graph, and why. One in whose place another stands is left out.
#[derive(Clone, Debug)]
pub struct Unlinked {
    pub chunks: Vec<Chunk>,
    pub flaws: Flaws,
}

/// The chunks of a host in the order of their run, with their requisites looked up.
#[derive(Clone, Debug)]
pub struct Graph {
    chunks: Vec<Chunk>,
    requisites: Vec<Vec<Requisite>>,
    flaws: Flaws,
}

impl Flaws {
    fn are_errors(&self) -> bool {
        let unmet = self.unmet.iter().map(|unmet| &unmet.problem);
        unmet.chain(&self.problems).any(Problem::is_error)
    }
}

impl Graph {
    /// Looks up all requisites, and puts the chunks into Salt's order.
    ///
    /// Of chunks with the same module, function, id and name the last one stands, in the place of the first and with
    /// the requisites of all of them (as in Salt, where that is one node of the graph).
    ///
    /// A chunk's own order number is its argument `order` where it has one, as Salt reads it, else [`Chunk::order`].
    /// The errors are all requisites that name nothing and all cycles.
    pub fn link(chunks: Vec<Chunk>) -> Result<Graph, Unlinked> {
        let (chunks, earlier) = collapse(chunks);
        let mut linking = Linking {
            lookup: Lookup::new(&chunks),
            chunks: &chunks,
            requisites: vec![Vec::new(); chunks.len()],
            named: 0,
            flaws: Flaws::default(),
        };
        let replaced = earlier.iter().map(|(place, chunk)| (*place, chunk));
        for (place, chunk) in replaced.chain(chunks.iter().enumerate()) {
            linking.requisites_of(place, chunk);
        }
        for (place, chunk) in chunks.iter().enumerate() {
            linking.listeners_of(place, chunk);
        }
        let Linking { requisites, named, mut flaws, .. } = linking;
        if named > TARGETS_LIMIT {
            return Err(Unlinked { chunks, flaws });
        }
        let sequence = order::sequence(&chunks, &requisites);
        if sequence.is_none() {
            flaws.problems.extend(cycle::explain(&chunks, &requisites));
        }
        match sequence {
            Some(sequence) if !flaws.are_errors() => {
                Ok(Graph::arranged(chunks, requisites, &sequence, flaws))
            }
            _ => Err(Unlinked { chunks, flaws }),
        }
    }

    /// The chunks in the order of their run. A chunk with `prereq` stands before the ones it names.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// The requisites of a chunk, kind by kind in the order of [`RequisiteKind::ALL`]; what came by `listen_in` last.
    pub fn requisites(&self, chunk: usize) -> &[Requisite] {
        &self.requisites[chunk]
    }

    /// All chunks that the requisites of one kind mean, in rising order, each once.
    pub fn targets(&self, chunk: usize, kind: RequisiteKind) -> Vec<usize> {
        let of_kind = self.requisites[chunk].iter().filter(|requisite| requisite.kind == kind);
        let mut targets: Vec<usize> =
            of_kind.flat_map(|requisite| requisite.targets.iter().copied()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The chunks that listen to others, in the order in which Salt has them react: that of the states in which this is
    /// declared, whether by `listen` or by `listen_in`.
    pub fn listeners(&self) -> Vec<usize> {
        let mut listeners = Vec::new();
        for (place, chunk) in self.chunks.iter().enumerate() {
            if chunk.argument("listen").is_some() && self.listens(place, |_| true) {
                listeners.push(place);
            }
            let made = chunk.argument("listen_in").is_some();
            listeners
                .extend((0..self.chunks.len()).filter(|other| made && self.listens(*other, |t| t == place)));
        }
        let mut seen = HashSet::new();
        listeners.retain(|listener| seen.insert(*listener));
        listeners
    }

    fn listens(&self, chunk: usize, to: impl Fn(usize) -> bool) -> bool {
        let listens = self.requisites[chunk].iter().filter(|one| one.kind == RequisiteKind::Listen);
        listens.flat_map(|one| &one.targets).any(|target| to(*target))
    }

    /// Whether a chunk is around others.
    pub fn is_bracket(&self, chunk: usize) -> bool {
        self.requisites[chunk].iter().any(|requisite| requisite.kind == RequisiteKind::Around)
    }

    /// Whether a chunk runs only when another one asks for it.
    pub fn is_asked_for(&self, chunk: usize) -> bool {
        self.requisites[chunk].iter().any(|requisite| requisite.kind.asks())
    }

    /// The chunks that name a chunk in a requisite of one of these kinds, in rising order.
    pub fn naming(&self, chunk: usize, kinds: &[RequisiteKind]) -> Vec<usize> {
        let names =
            |requisite: &Requisite| kinds.contains(&requisite.kind) && requisite.targets.contains(&chunk);
        (0..self.chunks.len()).filter(|other| self.requisites[*other].iter().any(names)).collect()
    }

    /// What is suspicious but no reason to refuse: a `listen` that names nothing.
    pub fn flaws(&self) -> &Flaws {
        &self.flaws
    }

    fn arranged(
        chunks: Vec<Chunk>,
        requisites: Vec<Vec<Requisite>>,
        sequence: &[usize],
        flaws: Flaws,
    ) -> Graph {
        let mut places = vec![0; chunks.len()];
        for (place, &chunk) in sequence.iter().enumerate() {
            places[chunk] = place;
        }
        let mut slots: Vec<Option<(Chunk, Vec<Requisite>)>> =
            chunks.into_iter().zip(requisites).map(Some).collect();
        let mut graph = Graph { chunks: Vec::new(), requisites: Vec::new(), flaws };
        for (chunk, mut requisites) in sequence.iter().filter_map(|&chunk| slots[chunk].take()) {
            for requisite in &mut requisites {
                for target in &mut requisite.targets {
                    *target = places[*target];
                }
                requisite.targets.sort_unstable();
            }
            graph.chunks.push(chunk);
            graph.requisites.push(requisites);
        }
        graph
    }
}

/// The look-up of all requisites of a run.
struct Linking<'a> {
    lookup: Lookup,
    chunks: &'a [Chunk],
    requisites: Vec<Vec<Requisite>>,
    /// How many states the requisites mean so far.
    named: usize,
    flaws: Flaws,
}

impl Linking<'_> {
    /// Looks up what a chunk asks of others; `place` is where it stands among the chunks.
    fn requisites_of(&mut self, place: usize, chunk: &Chunk) {
        for kind in RequisiteKind::ALL {
            for entry in entries(chunk.argument(kind.name())) {
                if let Some(targets) = self.targets(chunk, kind, entry) {
                    self.requisites[place].push(Requisite { kind, targets, at: entry.at.clone() });
                }
            }
        }
    }

    /// Looks up those that a chunk makes listen to it.
    fn listeners_of(&mut self, place: usize, chunk: &Chunk) {
        for entry in entries(chunk.argument("listen_in")) {
            for listener in self.targets(chunk, RequisiteKind::Listen, entry).unwrap_or_default() {
                let (kind, at) = (RequisiteKind::Listen, entry.at.clone());
                self.requisites[listener].push(Requisite { kind, targets: vec![place], at });
            }
        }
    }

    fn targets(&mut self, chunk: &Chunk, kind: RequisiteKind, entry: &Node) -> Option<Vec<usize>> {
        if self.named > TARGETS_LIMIT {
            return None;
        }
        let hinted = self.flaws.unmet.len() < HINTED_LIMIT;
        let mut unresolved = match self.lookup.resolve(self.chunks, chunk, kind, entry, hinted) {
            Ok(targets) => {
                self.named += targets.as_ref().map_or(0, Vec::len);
                if self.named > TARGETS_LIMIT {
                    self.flaws.problems.push(too_many(chunk, entry));
                    return None;
                }
                return targets;
            }
            Err(unresolved) => unresolved,
        };
        if kind == RequisiteKind::Listen {
            unresolved.problem_mut().severity = Severity::Warning;
        }
        match unresolved {
            Unresolved::Unreadable(problem) => self.flaws.problems.push(problem),
            Unresolved::Unmet(unmet) => self.flaws.unmet.push(unmet),
        }
        None
    }
}

fn too_many(chunk: &Chunk, entry: &Node) -> Problem {
    Problem::error(format!("the requisites of this run name more than {TARGETS_LIMIT} states"))
        .at(&entry.at)
        .of(&chunk.id)
        .hint("name single states in place of `sls:` and patterns that mean thousands of them")
}

/// One chunk for each module, function, id and name, and the replaced ones with the places of those that stand for them.
fn collapse(all: Vec<Chunk>) -> (Vec<Chunk>, Vec<(usize, Chunk)>) {
    let mut places: HashMap<[String; 4], usize> = HashMap::new();
    let (mut chunks, mut earlier) = (Vec::with_capacity(all.len()), Vec::new());
    for chunk in all {
        let tag = [&chunk.state, &chunk.fun, &chunk.id, &chunk.name].map(Clone::clone);
        match places.entry(tag) {
            Entry::Occupied(place) => {
                let place = *place.get();
                earlier.push((place, std::mem::replace(&mut chunks[place], chunk)));
            }
            Entry::Vacant(place) => {
                place.insert(chunks.len());
                chunks.push(chunk);
            }
        }
    }
    (chunks, earlier)
}

/// The entries of a requisite argument. Salt takes a mapping in place of a list for the `_in` forms.
pub(crate) fn entries(argument: Option<&Node>) -> Vec<&Node> {
    match argument {
        Some(node) => match &node.data {
            Data::List(items) => items.iter().collect(),
            Data::Map(entries) if entries.len() == 1 => vec![node],
            Data::Scalar(Value::Text(_)) => vec![node],
            _ => Vec::new(),
        },
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
