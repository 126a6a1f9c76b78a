//! All limits of what is read. With them no file of a tree, however it came about, makes kstate hang, or exhausts its
//! memory or its stack; each is far beyond what trees need, and who passes one is told which and what to do.

/// The largest file or text, in bytes; also the longest text that a template may make.
pub(crate) const TEXT: usize = 16 << 20;
/// How deeply lists and mappings may stand in each other in YAML and JSON.
pub(crate) const NESTING: usize = 100;
/// How many parts a YAML document may have.
pub(crate) const PARTS: usize = 2_000_000;
/// How many parts anchors may keep and aliases bring in, each time counted. Salt shares what an alias stands for; kstate copies it, because
/// each copy is a place of its own.
pub(crate) const ALIASED: usize = 100_000;
/// How many parts of arguments `names` may repeat in a run.
pub(crate) const REPEATED: usize = 300_000;
/// So many bytes of one scalar count as a part.
pub(crate) const PART_BYTES: usize = 64;
/// How many files may include each other in a row.
pub(crate) const INCLUDES: usize = 100;
/// How many requisites the `_in` lists of a run may add again, as Salt does; what is beyond them is added once.
pub(crate) const REPEATED_IN: usize = 20_000;
/// How many steps `extend` and the `_in` requisites of a run may take.
pub(crate) const EXTENDING: usize = 100_000_000;
/// How many missing states are told with similar names, which takes a look at every name.
pub(crate) const HINTED: usize = 100;
/// How many words the tags of a template may have.
pub(crate) const WORDS: usize = 1_000_000;
/// How deeply a template's blocks may nest, and its brackets.
pub(crate) const TEMPLATE_NESTING: usize = 60;
/// How high the tree of one expression may be.
pub(crate) const EXPRESSION_HEIGHT: usize = 70;
/// How many branches an `if` may have.
pub(crate) const BRANCHES: usize = 200;
/// About how many instructions a template may take; 64 bytes of text cost as much as one.
pub(crate) const FUEL: u64 = 10_000_000;
/// Calls, includes and loops inside each other while a template runs, as the engine counts them.
pub(crate) const RECURSION: usize = 300;
/// How deeply the lists and mappings may nest that a template prints, compares or copies.
pub(crate) const DATA_NESTING: usize = 120;
/// The longest list that a template may make.
pub(crate) const LIST: usize = 1 << 20;
/// The stack, in bytes, with which all of these can be reached at once, also in a build for debugging.
#[cfg(test)]
pub(crate) const STACK: usize = 8 << 20;
