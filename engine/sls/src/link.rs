//! From all declarations of a run to its chunks in order.

use kstate_core::{Chunk, Flaws, Graph, Problem, Unlinked, Unmet};

use crate::elsewhere::Elsewhere;
use crate::files::Files;
use crate::gaps::Gaps;
use crate::high::effort::Effort;
use crate::high::extend::{Finding, reconcile};
use crate::high::{HighState, requisite_in, verify};
use crate::low;

/// How many requisites that name nothing are looked for elsewhere.
const EXPLAINED_LIMIT: usize = 100;

/// What came of it.
pub(crate) struct Linked {
    pub(crate) high: HighState,
    /// Or else the chunks that are sound.
    pub(crate) graph: Result<Graph, Vec<Chunk>>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) suspicions: Vec<Problem>,
}

/// Goes through all stages with what is sound, so that each tells its own mistakes.
pub(crate) fn link(mut high: HighState, files: Files<'_>, elsewhere: &Elsewhere<'_>) -> Linked {
    let Files { mut gaps, mut problems, .. } = files;
    let mut unmet = Vec::new();
    let extensions = std::mem::take(&mut high.extensions);
    let mut effort = Effort::default();
    reconcile(&mut high, extensions, Finding::Lax, &mut unmet, &mut effort);
    verify::verify(&mut high, &mut gaps, &mut problems);
    requisite_in::resolve(&mut high, &mut unmet, &mut problems, &mut effort);
    problems.extend(effort.problem());
    let excluded = high.apply_exclusions();
    let suspicions = low::deaf_watches(&high);
    let chunks = low::chunks(&high, &mut problems);
    let (graph, flaws) = match Graph::link(chunks) {
        Ok(graph) => {
            let flaws = graph.flaws().clone();
            (Ok(graph), flaws)
        }
        Err(Unlinked { chunks, flaws }) => (Err(chunks), flaws),
    };
    let Flaws { unmet: more, problems: unreadable } = flaws;
    unmet.extend(more);
    problems.extend(unreadable);
    let certain = unmet.into_iter().filter(|unmet| !may_be_met(&gaps, unmet));
    problems.extend(certain.enumerate().map(|(index, unmet)| {
        if index < EXPLAINED_LIMIT { elsewhere.explain(unmet, &excluded) } else { unmet.problem }
    }));
    Linked { high, graph, problems, suspicions }
}

/// Whether what is missing from the run may hold what a requisite names.
fn may_be_met(gaps: &Gaps, unmet: &Unmet) -> bool {
    if unmet.module == "sls" { gaps.may_bring(&unmet.name) } else { gaps.may_declare(&unmet.name) }
}
