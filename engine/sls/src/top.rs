//! The top file: which SLS a target gets (Salt: `verify_tops`, `top_matches`; for pillar `merge_tops`).

use kstate_core::{Data, Node, Position, Problem, Value, nearest};

use crate::matching::{Expression, Minion};
use crate::options::Groups;
use crate::tree::Folders;

/// An SLS that the top file gives to a target, maybe a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopEntry {
    pub name: String,
    pub at: Position,
}

/// One target expression of the environment `base`, with what it gives.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) expression: Expression,
    pub(crate) at: Position,
    pub(crate) entries: Vec<TopEntry>,
    /// Pillar: sections are sorted by this number.
    pub(crate) order: i64,
    /// Pillar: a SLS that does not exist is passed over.
    pub(crate) ignore_missing: bool,
}

impl Section {
    /// Whether it means the target; an expression that cannot be read means none, with a warning.
    pub(crate) fn matches(&self, minion: &Minion<'_>, problems: &mut Vec<Problem>) -> bool {
        self.expression.matches(minion).unwrap_or_else(|error| {
            problems.push(Problem::warning(format!("{error}; it matches nobody")).at(&self.at));
            false
        })
    }
}

/// Reads the sections of the environment `base`.
pub(crate) fn sections(top: &Node, groups: &Groups, problems: &mut Vec<Problem>) -> Vec<Section> {
    let mut sections = Vec::new();
    let environments = match &top.data {
        Data::Map(entries) => entries.as_slice(),
        Data::Scalar(Value::Null) => &[],
        _ => {
            problems.push(Problem::error("a top file is a mapping that begins with `base:`").at(&top.at));
            return sections;
        }
    };
    for (environment, body) in environments {
        match environment.text() {
            Some("base") => {}
            Some("include") => {
                problems.push(Problem::error("`include` in a top file is not supported").at(&environment.at));
                continue;
            }
            _ => {
                let message = format!("there is no environment `{}`, only `base`", environment.value());
                problems.push(Problem::warning(message).at(&environment.at));
                continue;
            }
        }
        let Some(targets) = body.map() else {
            let message = "`base` is a mapping of targets, each with a list of SLS";
            problems.push(Problem::error(message).at(&environment.at));
            continue;
        };
        sections.extend(targets.iter().filter_map(|(target, list)| section(target, list, groups, problems)));
    }
    sections
}

fn section(target: &Node, list: &Node, groups: &Groups, problems: &mut Vec<Problem>) -> Option<Section> {
    let expression = target.value().to_string();
    let Some(items) = list.list() else {
        let message = format!("the target `{expression}` has a list of SLS, not {}", list.value().kind());
        problems.push(Problem::error(message).at(&target.at).hint("begin each SLS with `- `"));
        return None;
    };
    let mut section = Section {
        expression: Expression::compound(expression.clone()),
        at: target.at.clone(),
        entries: Vec::new(),
        order: 0,
        ignore_missing: false,
    };
    for item in items {
        match &item.data {
            Data::Scalar(Value::Text(name)) if !name.is_empty() => {
                section.entries.push(TopEntry { name: name.clone(), at: item.at.clone() });
            }
            Data::Map(options) => {
                for (name, value) in options {
                    option(&mut section, &expression, name, value, problems);
                }
            }
            _ => problems.push(Problem::error("an SLS is named by text").at(&item.at)),
        }
    }
    if section.expression.has_a_stuck_parenthesis() {
        let message =
            format!("in `{expression}` a parenthesis is taken for a part of the word that it touches");
        problems.push(Problem::warning(message).at(&target.at).hint("write spaces on both sides of it"));
    }
    match section.expression.clone().with_groups(groups) {
        Ok(expression) => section.expression = expression,
        Err(error) => {
            let problem = Problem::error(error.to_string()).at(&target.at);
            problems
                .push(problem.hint("`nodegroups` in `kstate.yaml` (or in Salt's `master`) names the groups"));
            return None;
        }
    }
    Some(section)
}

fn option(section: &mut Section, target: &str, name: &Node, value: &Node, problems: &mut Vec<Problem>) {
    let value_text = value.value().to_string();
    match name.text() {
        Some("match") => match Expression::with_matcher(&value_text, target) {
            Ok(expression) => section.expression = expression,
            Err(error) => {
                let known: Vec<&str> = Expression::matchers().collect();
                let mut problem = Problem::error(error.to_string()).at(&value.at);
                for near in nearest(&value_text, known.iter().copied(), 1) {
                    problem = problem.hint(format!("did you mean `{near}`?"));
                }
                problems.push(problem.hint(format!("the matchers are: {}", known.join(", "))));
            }
        },
        Some("order") => section.order = value_text.parse().unwrap_or(0),
        Some("ignore_missing") => section.ignore_missing = value.value() == Value::Bool(true),
        _ => {
            let message = format!("top files have no option `{}`", name.value());
            problems.push(Problem::warning(message).at(&name.at).hint("an SLS is named without a colon"));
        }
    }
}

/// No section means the target.
pub(crate) fn gives_nothing(target: &str, sections: &[Section], folders: &Folders, top: &str) -> Problem {
    let message = format!("the top file gives nothing to `{target}`");
    let mut problem = Problem::error(message);
    problem.at = folders.file(top).ok().flatten().map(|file| file.at(1));
    let targets: Vec<String> =
        sections.iter().map(|section| format!("`{}`", section.expression.text())).collect();
    if targets.is_empty() {
        return problem.hint("write `base:`, below it target expressions, and below each a list of SLS");
    }
    problem.hint(format!("it has: {}", targets.join(", ")))
}

/// The SLS of a target, in the order of the file, repeated ones too.
pub(crate) fn entries(
    sections: &[Section],
    minion: &Minion<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<TopEntry> {
    let mut entries = Vec::new();
    for section in sections {
        if section.matches(minion, problems) {
            entries.extend(section.entries.iter().cloned());
        }
    }
    entries
}
