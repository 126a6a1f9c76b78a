use super::*;

struct Tree(Vec<Chunk>);

impl Tree {
    fn new() -> Self {
        Tree(Vec::new())
    }

    /// Adds `test.nop` with this id, order and requisites (`require: b`), one a line.
    fn state(mut self, id: &str, order: f64, requisites: &str) -> Self {
        let line = u32::try_from(self.0.len()).unwrap() + 1;
        let at = Position::new("a.sls", line, 1);
        let mut arguments: Vec<(String, Node)> = Vec::new();
        for requisite in requisites.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (kind, name) = requisite.split_once(": ").unwrap();
            let entry = match name.split_once('/') {
                None => Node::scalar(name, at.clone()),
                Some((module, name)) => Node {
                    data: Data::Map(vec![(Node::scalar(module, at.clone()), Node::scalar(name, at.clone()))]),
                    at: at.clone(),
                },
            };
            match arguments.iter_mut().find(|(n, _)| n == kind) {
                Some((_, Node { data: Data::List(items), .. })) => items.push(entry),
                _ => arguments.push((kind.into(), Node { data: Data::List(vec![entry]), at: at.clone() })),
            }
        }
        self.0.push(Chunk {
            state: "test".into(),
            fun: "nop".into(),
            id: id.into(),
            name: format!("name of {id}"),
            sls: "a".into(),
            places: Default::default(),
            included_from: vec!["b".into()],
            order,
            arguments,
            at,
        });
        self
    }

    fn order(self) -> String {
        let graph = Graph::link(self.0).unwrap();
        graph.chunks().iter().map(|chunk| chunk.id.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn problems(self) -> Vec<Problem> {
        let Flaws { unmet, problems } = Graph::link(self.0).unwrap_err().flaws;
        unmet.into_iter().map(|unmet| unmet.problem).chain(problems).collect()
    }
}

#[test]
fn without_requisites_the_order_numbers_decide() {
    assert_eq!(Tree::new().state("a", 3.0, "").state("b", 1.0, "").state("c", 2.0, "").order(), "b c a");
}

#[test]
fn a_dependency_is_pulled_forward_to_its_direct_dependent_only() {
    let tree = Tree::new()
        .state("early", 10.0, "")
        .state("z1", 10.0, "require: z2")
        .state("filler-1", 10000.0, "")
        .state("z2", 10001.0, "require: z3")
        .state("z3", 10003.0, "");
    assert_eq!(tree.order(), "early filler-1 z3 z2 z1");
}

#[test]
fn a_heavier_edge_that_comes_first_hides_a_lighter_one() {
    let tree = |kinds: [&str; 2]| {
        Tree::new()
            .state("late", 50.0, kinds[0])
            .state("soon", 5.0, kinds[1])
            .state("filler", 20.0, "")
            .state("x", 100.0, "")
            .order()
    };
    assert_eq!(tree(["watch: x", "require: x"]), "filler x soon late");
    assert_eq!(tree(["require: x", "require: x"]), "x soon filler late");
}

#[test]
fn a_prereq_runs_before_what_it_names() {
    let tree = Tree::new().state("b", 1.0, "require: c").state("a", 2.0, "prereq: b").state("c", 3.0, "");
    assert_eq!(tree.order(), "c a b");
}

#[test]
fn requisites_name_chunks_by_id_name_module_pattern_and_file() {
    let tree = Tree::new().state("a", 1.0, "").state("b", 2.0, "").state(
        "c",
        3.0,
        "require: test/a, watch: name of b, onfail: id/a, onchanges: test/name of [ab]",
    );
    let graph = Graph::link(tree.0).unwrap();
    let targets: Vec<_> = graph.requisites(2).iter().map(|r| (r.kind.name(), r.targets.clone())).collect();
    assert_eq!(
        targets,
        [("require", vec![0]), ("watch", vec![1]), ("onfail", vec![0]), ("onchanges", vec![0, 1])]
    );
}

#[test]
fn a_file_stands_for_what_it_included_too() {
    let mut tree = Tree::new().state("a", 1.0, "").state("c", 2.0, "require: sls/b");
    tree.0[1].included_from.clear();
    let graph = Graph::link(tree.0).unwrap();
    assert_eq!(graph.targets(1, RequisiteKind::Require), [0]);
}

#[test]
fn a_missing_state_is_named_with_its_neighbours() {
    let problems = Tree::new().state("apache", 1.0, "").state("b", 2.0, "require: test/apahce").problems();
    assert_eq!(
        problems[0].to_string(),
        "a.sls:2:1: `require` names `test: apahce`, which is no state of this run"
    );
    assert_eq!(problems[0].hints, ["did you mean `test: apache`?"]);
    let problems = Tree::new().state("a", 1.0, "").state("b", 2.0, "require: pkg/a").problems();
    assert_eq!(problems[0].hints, ["there is `test: a`"]);
}

#[test]
fn all_missing_states_are_reported_at_once() {
    let problems =
        Tree::new().state("a", 1.0, "require: x, require: y").state("b", 2.0, "watch: z").problems();
    assert_eq!(problems.len(), 3);
}

#[test]
fn a_missing_state_hides_no_cycle() {
    let problems =
        Tree::new().state("a", 1.0, "require: b, require: x").state("b", 2.0, "watch: a").problems();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert!(
        matches!(messages.as_slice(), [missing, cycle] if missing.contains("`x`") && cycle.contains("wait for each other")),
        "{messages:?}"
    );
}

#[test]
fn a_cycle_is_shown_edge_by_edge() {
    let tree = Tree::new()
        .state("a", 1.0, "require: b")
        .state("b", 2.0, "watch: c")
        .state("c", 3.0, "require: a")
        .state("d", 4.0, "require: a");
    let problems = tree.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "a.sls:1:1: these states wait for each other: `test: a` -> `test: b` -> `test: c` -> `test: a`"
    );
    let edges: Vec<String> = problems[0].related.iter().map(|(what, at)| format!("{at} {what}")).collect();
    assert_eq!(
        edges,
        [
            "a.sls:1:1 `test: a` waits for `test: b` (require)",
            "a.sls:2:1 `test: b` waits for `test: c` (watch)",
            "a.sls:3:1 `test: c` waits for `test: a` (require)"
        ]
    );
}

#[test]
fn a_state_that_waits_for_itself_is_a_cycle() {
    let problems = Tree::new().state("a", 1.0, "require: a").problems();
    assert_eq!(problems[0].to_string(), "a.sls:1:1: `test: a` waits for itself");
}

/// A run of a size that no tree has, whose states each require the next one.
fn chain(length: usize, last: &str) -> Tree {
    (0..length).fold(Tree::new(), |tree, n| {
        let next = if n + 1 == length { last.to_owned() } else { format!("require: s{}", n + 1) };
        tree.state(&format!("s{n}"), n as f64, &next)
    })
}

#[test]
fn fifty_thousand_states_in_a_row_find_their_order() {
    let graph = Graph::link(chain(50_000, "").0).unwrap();
    assert_eq!(graph.chunks()[0].id, "s49999");
}

#[test]
fn fifty_thousand_states_in_a_circle_are_a_cycle() {
    let problems = chain(50_000, "require: s0").problems();
    assert_eq!(problems[0].related.len(), 50_000);
}

#[test]
fn of_very_many_missing_states_the_first_ones_are_explained() {
    let tree = (0..150)
        .fold(Tree::new(), |tree, n| tree.state(&format!("state{n}"), 1.0, &format!("require: stats{n}")));
    let problems = tree.problems();
    assert_eq!(problems.len(), 150);
    assert!(!problems[0].hints.is_empty() && problems[149].hints.is_empty());
}

#[test]
fn requisites_that_name_everything_are_limited() {
    let tree = (0..1_500).fold(Tree::new(), |tree, n| tree.state(&format!("s{n}"), 1.0, "require: sls/b"));
    assert!(tree.problems()[0].message.contains("more than 2000000 states"));
}

#[test]
fn listeners_are_found_from_both_sides_and_a_missing_one_only_warns() {
    let tree = Tree::new().state("a", 1.0, "listen_in: c").state("b", 2.0, "listen: gone").state(
        "c",
        3.0,
        "listen: b",
    );
    let graph = Graph::link(tree.0).unwrap();
    assert_eq!(graph.targets(2, RequisiteKind::Listen), [0, 1]);
    let [unmet] = graph.flaws().unmet.as_slice() else { panic!("{:?}", graph.flaws()) };
    assert!(!unmet.problem.is_error());
}

#[test]
fn every_kind_has_its_name() {
    for kind in RequisiteKind::ALL {
        assert_eq!(RequisiteKind::named(kind.name()), Some(kind));
    }
}
