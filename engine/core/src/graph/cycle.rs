//! What to say about states that wait for each other.

use std::collections::{HashMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Requisite, RequisiteKind};
use crate::{Chunk, Position, Problem};

/// One error for each knot of states that wait for each other, with the shortest way around it, edge by edge.
pub(super) fn explain(chunks: &[Chunk], requisites: &[Vec<Requisite>]) -> Vec<Problem> {
    // An edge goes from a state to the one it waits for.
    let mut graph: DiGraph<(), (RequisiteKind, &Position)> = DiGraph::new();
    let nodes: Vec<NodeIndex> = chunks.iter().map(|_| graph.add_node(())).collect();
    for (index, requisites) in requisites.iter().enumerate() {
        for requisite in requisites.iter().filter(|requisite| requisite.kind != RequisiteKind::Listen) {
            for &target in &requisite.targets {
                let (from, to) = if comes_first(requisite.kind) { (target, index) } else { (index, target) };
                graph.add_edge(nodes[from], nodes[to], (requisite.kind, &requisite.at));
            }
        }
    }
    // Not Tarjan's algorithm: petgraph's calls itself for every state of a chain.
    let mut knots: Vec<Vec<NodeIndex>> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|knot| knot.len() > 1 || knot.iter().any(|&node| graph.contains_edge(node, node)))
        .collect();
    for knot in &mut knots {
        knot.sort_unstable();
    }
    knots.sort_unstable();
    let problems: Vec<Problem> =
        knots.iter().filter_map(|knot| Some(describe(chunks, &graph, &around(&graph, knot)?))).collect();
    if problems.is_empty() {
        // Only the trial runs of `prereq` make it.
        let mut problem = Problem::error("the `prereq` requisites of this run wait for each other");
        let first = requisites.iter().flatten().find(|requisite| requisite.kind == RequisiteKind::Prereq);
        problem.at = first.map(|requisite| requisite.at.clone());
        return vec![problem];
    }
    problems
}

/// Whether the state that has it runs before what it names.
fn comes_first(kind: RequisiteKind) -> bool {
    matches!(kind, RequisiteKind::Prereq | RequisiteKind::Around)
}

type Waits<'a> = DiGraph<(), (RequisiteKind, &'a Position)>;

/// The shortest way from the first state of a knot, which is sorted, back to itself.
fn around(graph: &Waits<'_>, knot: &[NodeIndex]) -> Option<Vec<NodeIndex>> {
    let start = *knot.first()?;
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<NodeIndex> =
            graph.neighbors(node).filter(|next| knot.binary_search(next).is_ok()).collect();
        next.sort_unstable();
        for next in next {
            if next == start {
                let mut way = vec![start, node];
                let mut at = node;
                while at != start {
                    at = came_from[&at];
                    way.push(at);
                }
                way.reverse();
                return Some(way);
            }
            if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(node);
                queue.push_back(next);
            }
        }
    }
    None
}

fn describe(chunks: &[Chunk], graph: &Waits<'_>, way: &[NodeIndex]) -> Problem {
    let name = |node: NodeIndex| format!("`{}`", chunks[node.index()]);
    let mut places = Vec::new();
    for pair in way.windows(2) {
        let Some((kind, at)) = graph.find_edge(pair[0], pair[1]).map(|edge| graph[edge]) else { continue };
        let what = if comes_first(kind) {
            format!("{} must run before {} ({})", name(pair[1]), name(pair[0]), kind.name())
        } else {
            format!("{} waits for {} ({})", name(pair[0]), name(pair[1]), kind.name())
        };
        places.push((what, at.clone()));
    }
    let states: Vec<String> = way.iter().map(|&node| name(node)).collect();
    let message = if way.len() == 2 {
        format!("{} waits for itself", states[0])
    } else {
        format!("these states wait for each other: {}", states.join(" -> "))
    };
    let mut problem = Problem::error(message).of(&chunks[way[0].index()].id);
    problem.at = places.first().map(|(_, at)| at.clone());
    if way.len() > 2 {
        problem.related = places;
    }
    problem
}
