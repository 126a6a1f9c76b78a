//! Options of Salt's `master` that change what a tree compiles to.

use std::collections::BTreeMap;

use kstate_core::{Map, Node};

use crate::data::{self, Lists};
use crate::matching::ExpressionError;

/// The options of a tree. The default is Salt's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Joins the SLS of a pillar.
    pub merging: Merging,
    /// Lets what a pillar SLS includes win over the SLS itself (Salt: `pillar_includes_override_sls`).
    pub includes_win: bool,
    /// Applies to the template of an SLS, and to what it imports (Salt: `jinja_sls_env`).
    pub sls_whitespace: Whitespace,
    /// Applies to top files and managed files (Salt: `jinja_env`).
    pub whitespace: Whitespace,
    /// Names the top file below the roots; `top.sls` if it is none (Salt: `state_top`).
    pub top: Option<String>,
    /// Names target expressions, which may name each other as `N@name` (Salt: `nodegroups`).
    pub groups: Groups,
    /// Ends a run at the first state that fails, unless the state says otherwise (Salt: `failhard`).
    pub failhard: bool,
    /// Entries that each host of the roster has unless it says otherwise (Salt: `roster_defaults`, `ssh_minion_opts`).
    pub roster: Vec<(Node, Node)>,
}

impl Options {
    /// Returns the path of the top file below the roots.
    pub fn top(&self) -> &str {
        self.top.as_deref().unwrap_or("top.sls")
    }
}

/// A way to merge mappings (Salt: `pillar_source_merging_strategy`, `pillar_merge_lists`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merging {
    /// Replaces whole values at the top level.
    pub overwrites: bool,
    /// Appends to a list what it does not have, instead of replacing it.
    pub joins_lists: bool,
}

impl Merging {
    /// Merges `over` into `under`.
    pub(crate) fn merge(self, under: &mut Map, over: &Map) {
        let lists = if self.joins_lists { Lists::Join } else { Lists::Replace };
        if !self.overwrites {
            return data::merge(under, over, lists);
        }
        for (key, value) in over.iter() {
            under.insert(key.clone(), value.clone());
        }
    }
}

/// The line breaks and blanks around tags that a template drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whitespace {
    /// Drops the line break after a tag.
    pub trim_blocks: bool,
    /// Drops the blanks before a tag that is the first thing on its line.
    pub lstrip_blocks: bool,
}

/// Named target expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(pub BTreeMap<String, String>);

/// The longest expression that groups may expand to, in bytes.
const EXPANDED_LIMIT: usize = 1 << 20;

impl Groups {
    /// Replaces each word `N@name` of a compound expression by the expression of that group, in parentheses.
    pub(crate) fn expand(&self, text: &str) -> Result<String, ExpressionError> {
        self.expand_below(text, &mut Vec::new())
    }

    fn expand_below<'a>(
        &'a self,
        text: &'a str,
        above: &mut Vec<&'a str>,
    ) -> Result<String, ExpressionError> {
        let mut expanded = String::new();
        for word in text.split_whitespace() {
            if !expanded.is_empty() {
                expanded.push(' ');
            }
            let Some(name) = word.strip_prefix("N@") else {
                expanded.push_str(word);
                continue;
            };
            let (name, group) = self.0.get_key_value(name).ok_or_else(|| self.unknown(name))?;
            if above.contains(&name.as_str()) {
                return Err(ExpressionError::GroupOfItself(name.clone()));
            }
            above.push(name);
            let group = self.expand_below(group, above)?;
            above.pop();
            expanded.push_str(&format!("( {group} )"));
            if expanded.len() > EXPANDED_LIMIT {
                return Err(ExpressionError::TooManyWays(name.clone()));
            }
        }
        Ok(expanded)
    }

    pub(crate) fn unknown(&self, name: &str) -> ExpressionError {
        let known: Vec<String> = self.0.keys().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        ExpressionError::UnknownGroup { name: name.to_owned(), known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pairs: &[(&str, &str)]) -> Groups {
        Groups(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn groups_expand_within_groups() {
        let groups = groups(&[("web", "web* or N@db"), ("db", "G@role:db")]);
        assert_eq!(groups.expand("N@web and not x").unwrap(), "( web* or ( G@role:db ) ) and not x");
        assert_eq!(groups.expand("a@b").unwrap(), "a@b");
    }

    #[test]
    fn a_group_of_itself_or_of_nothing_is_an_error() {
        let groups = groups(&[("a", "N@b"), ("b", "x or N@a")]);
        assert_eq!(groups.expand("N@a").unwrap_err().to_string(), "the node group `a` names itself");
        assert_eq!(
            groups.expand("N@c").unwrap_err().to_string(),
            "there is no node group `c`; the groups are: `a`, `b`"
        );
    }

    #[test]
    fn groups_that_multiply_are_refused() {
        let pairs: Vec<(String, String)> =
            (0..40).map(|n| (format!("g{n}"), format!("N@g{0} or N@g{0}", n + 1))).collect();
        let mut groups = Groups(pairs.into_iter().collect());
        groups.0.insert("g40".into(), "x".into());
        assert!(groups.expand("N@g0").is_err());
    }
}
