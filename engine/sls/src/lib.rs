//! From a Salt-style tree to low chunks: root and roster, targets, pillar, templates, YAML, high state, low state. It
//! reads files and never a network; what a template asks the host comes in as answers.

mod blame;
mod compile;
mod data;
mod elsewhere;
mod files;
mod gaps;
mod high;
pub mod jinja;
pub mod json;
mod leak;
mod limits;
mod link;
mod low;
mod master;
mod matching;
mod options;
mod pillar;
#[cfg(test)]
mod properties;
mod readings;
mod regex;
mod render;
mod root;
mod roster;
mod sources;
mod storage;
mod templates;
mod top;
mod tree;
pub mod yaml;

pub use compile::{Below, Compiled, Request, Top, Tree, names};
pub use high::HighState;
pub use jinja::{Answer, Answers, Refusal};
pub use matching::{Expression, ExpressionError, Minion};
pub use options::{Groups, Merging, Options, Whitespace};
pub use root::{Root, SshSettings, find_root};
pub use roster::{NamedLogin, Target};
pub use sources::{TargetSources, is_private};
pub use storage::{Disk, Storage};
pub use top::TopEntry;
pub use tree::{Folders, SourceFile};
