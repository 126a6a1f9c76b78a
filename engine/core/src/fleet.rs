//! Many hosts side by side.

use rayon::prelude::*;

/// The stack of a thread, in bytes: what templates may nest needs more than the two mebibytes that threads usually have.
const STACK: usize = 16 << 20;

/// Calls `work` for every target, at most `jobs` at a time, and gives the results in the order of the targets.
///
/// The pool is its own: these threads wait for hosts, and rayon's global pool is only as wide as the processor.
pub fn side_by_side<T: Send, R: Send>(jobs: usize, targets: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let width = jobs.min(targets.len()).max(1);
    match rayon::ThreadPoolBuilder::new().num_threads(width).stack_size(STACK).build() {
        // `with_max_len` keeps rayon from giving two hosts to one thread while another is idle.
        Ok(pool) => pool.install(|| targets.into_par_iter().with_max_len(1).map(&work).collect()),
        // No threads to be had: one after the other.
        Err(_) => targets.into_iter().map(work).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn all_hosts_wait_at_once() {
        let barrier = Barrier::new(16);
        let results = side_by_side(16, (0..16).collect(), |n| {
            barrier.wait();
            n * 2
        });
        assert_eq!(results, (0..16).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn the_work_for_a_host_may_nest_deeply() {
        fn nest(depth: usize) -> usize {
            let frame = std::hint::black_box([depth; 1024]);
            if depth == 0 { 0 } else { nest(depth - 1) + frame[1] - frame[2] + 1 }
        }
        assert_eq!(side_by_side(2, vec![1_000, 1_000], nest), [1_000, 1_000]);
    }
}
