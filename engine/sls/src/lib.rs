//! From a Salt-style tree to low chunks: root and roster, targets, pillar, templates, YAML, high state, low state. It
//! reads files and never a network; what a template asks the host comes in as answers.

pub mod yaml;
