//! Salt's order: Kahn's algorithm over the requisites, the ready state with the smallest key first
//! (Salt: `DependencyGraph.aggregate_and_order_chunks`).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::{Requisite, RequisiteKind};
use crate::{Chunk, Data, Value};

/// What an edge stands for, and its weight: of the edges to a state's direct dependents only those count for its place
/// that weigh at least as much as all before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Weight {
    Onfail,
    OnfailAny,
    OnfailAll,
    Require,
    RequireAny,
    Onchanges,
    OnchangesAny,
    Watch,
    WatchAny,
    Prereq,
}

fn weight(kind: RequisiteKind) -> Option<Weight> {
    Some(match kind {
        RequisiteKind::Onfail => Weight::Onfail,
        RequisiteKind::OnfailAny => Weight::OnfailAny,
        RequisiteKind::OnfailAll => Weight::OnfailAll,
        RequisiteKind::Require => Weight::Require,
        RequisiteKind::RequireAny => Weight::RequireAny,
        RequisiteKind::Onchanges => Weight::Onchanges,
        RequisiteKind::OnchangesAny => Weight::OnchangesAny,
        RequisiteKind::Watch => Weight::Watch,
        RequisiteKind::WatchAny => Weight::WatchAny,
        RequisiteKind::Prereq => Weight::Prereq,
        // A listener runs after everything else.
        RequisiteKind::Listen | RequisiteKind::Around => return None,
    })
}

/// The order of the run, or none if there is a cycle.
pub(super) fn sequence(chunks: &[Chunk], requisites: &[Vec<Requisite>]) -> Option<Vec<usize>> {
    let edges = Edges::new(chunks.len(), requisites);
    let mut numbers = Numbers { chunks, settled: vec![false; chunks.len()] };
    let mut waiting = edges.incoming_counts();
    let mut ready = BinaryHeap::new();
    for (node, _) in waiting.iter().enumerate().filter(|(_, count)| **count == 0) {
        ready.push(numbers.key(&edges, node));
    }
    let mut nodes_done = 0;
    let mut sequence = Vec::new();
    while let Some(key) = ready.pop() {
        nodes_done += 1;
        if key.node < chunks.len() {
            sequence.push(key.node);
        }
        for (target, weights) in &edges.out[key.node] {
            waiting[*target] -= weights.len();
            if waiting[*target] == 0 {
                ready.push(numbers.key(&edges, *target));
            }
        }
    }
    (nodes_done == edges.chunk_of.len()).then_some(sequence)
}

/// Edges from a dependency to its dependents. Beside each chunk that a `prereq` names there is a node for its trial run.
struct Edges {
    /// The chunk of each node; the trial nodes stand behind the chunks.
    chunk_of: Vec<usize>,
    trials: HashMap<usize, usize>,
    /// For each node its dependents in the order of their first edge.
    out: Vec<Vec<(usize, Vec<Weight>)>>,
    known: HashSet<(usize, usize, Weight)>,
    place: HashMap<(usize, usize), usize>,
    /// For each node what it depends on.
    incoming: Vec<Vec<(usize, Weight)>>,
}

impl Edges {
    fn new(count: usize, requisites: &[Vec<Requisite>]) -> Self {
        let mut edges = Edges {
            chunk_of: (0..count).collect(),
            trials: HashMap::new(),
            out: vec![Vec::new(); count],
            known: HashSet::new(),
            place: HashMap::new(),
            incoming: vec![Vec::new(); count],
        };
        for (node, requisites) in requisites.iter().enumerate() {
            // Salt looks at this once for each entry, before it adds its edges.
            for requisite in requisites {
                if requisite.kind == RequisiteKind::Around {
                    // What it is around waits for it, and for nothing more.
                    requisite.targets.iter().for_each(|target| edges.add(node, *target, Weight::Require));
                }
                let Some(weight) = weight(requisite.kind) else { continue };
                let trial = edges.trials.get(&node).copied();
                for &target in &requisite.targets {
                    if weight == Weight::Prereq {
                        edges.add_prereq(node, target);
                        continue;
                    }
                    if let Some(trial) = trial {
                        edges.add(target, trial, weight);
                    }
                    edges.add(target, node, weight);
                }
            }
        }
        edges
    }

    /// `node` has `target` under `prereq`: first the trial of the target, which needs all that the target needs, then
    /// the node, then the target.
    fn add_prereq(&mut self, node: usize, target: usize) {
        let trial = match self.trials.get(&target) {
            Some(trial) => *trial,
            None => {
                let trial = self.chunk_of.len();
                self.chunk_of.push(target);
                self.out.push(Vec::new());
                self.incoming.push(Vec::new());
                self.trials.insert(target, trial);
                for (dependency, weight) in self.incoming[target].clone() {
                    if weight != Weight::Prereq {
                        self.add(dependency, trial, weight);
                    }
                }
                trial
            }
        };
        self.add(trial, node, Weight::Prereq);
        self.add(node, target, Weight::Require);
        if let Some(&own) = self.trials.get(&node) {
            self.add(trial, own, Weight::Prereq);
        }
    }

    fn add(&mut self, dependency: usize, dependent: usize, weight: Weight) {
        if !self.known.insert((dependency, dependent, weight)) {
            return;
        }
        self.incoming[dependent].push((dependency, weight));
        let targets = &mut self.out[dependency];
        match self.place.get(&(dependency, dependent)) {
            Some(&place) => targets[place].1.push(weight),
            None => {
                self.place.insert((dependency, dependent), targets.len());
                targets.push((dependent, vec![weight]));
            }
        }
    }

    fn incoming_counts(&self) -> Vec<usize> {
        self.incoming.iter().map(Vec::len).collect()
    }
}

/// The order numbers of the chunks while they come up. Salt resolves a number (`last`, a negative one, the fraction of
/// `names`) when the chunk becomes ready, and a chunk that looks at its dependents before sees them unresolved.
struct Numbers<'a> {
    chunks: &'a [Chunk],
    settled: Vec<bool>,
}

impl Numbers<'_> {
    fn key(&mut self, edges: &Edges, node: usize) -> Key {
        let index = edges.chunk_of[node];
        let chunk = &self.chunks[index];
        self.settled[index] = true;
        let mut best = None;
        let mut earliest = f64::INFINITY;
        for (dependent, weights) in &edges.out[node] {
            for weight in weights {
                if best <= Some(*weight) {
                    best = Some(*weight);
                    earliest = earliest.min(self.seen(edges.chunk_of[*dependent]));
                }
            }
        }
        let trial = if node < self.chunks.len() { "" } else { "_|-__prereq_test__" };
        Key {
            pulled: chunk.order.min(earliest),
            own: chunk.order,
            label: format!("{}{}{}", chunk.state, chunk.name, chunk.fun),
            tag: format!("{}_|-{}_|-{}_|-{}{trial}", chunk.state, chunk.id, chunk.name, chunk.fun),
            node,
        }
    }

    /// The order number of a dependent as Salt sees it.
    fn seen(&self, index: usize) -> f64 {
        let chunk = &self.chunks[index];
        if self.settled[index] {
            return chunk.order;
        }
        // `last`, `first` and what is no number are whole; the rest is the fraction of `names`.
        let whole = chunk.order.floor();
        match chunk.argument("order").map(|node| &node.data) {
            Some(Data::Scalar(Value::Bool(truth))) => f64::from(u8::from(*truth)),
            Some(Data::Scalar(value)) => value.as_f64().unwrap_or(whole),
            Some(_) => whole,
            None => chunk.order,
        }
    }
}

/// What the heap compares; the smallest comes first.
struct Key {
    pulled: f64,
    own: f64,
    label: String,
    tag: String,
    node: usize,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // Reversed, for `BinaryHeap` gives the greatest.
        other
            .pulled
            .total_cmp(&self.pulled)
            .then_with(|| other.own.total_cmp(&self.own))
            .then_with(|| other.label.cmp(&self.label))
            .then_with(|| other.tag.cmp(&self.tag))
            .then_with(|| other.node.cmp(&self.node))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}
