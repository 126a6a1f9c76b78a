//! Arguments that trees have and that change nothing here: each is told, at its place, with the reason. Those that a
//! function documents as without meaning are known from its documentation; the others are in [`IGNORED`].

use kstate_core::{Chunk, Node, Problem, Value, fnmatch};

use crate::Function;
use crate::book::argument_structs;

/// Functions, as a pattern; an argument; why it changes nothing.
const IGNORED: &[(&str, &str, &str)] = &[
    ("*", "fire_event", "there is no event bus"),
    ("*", "parallel", "states that do not depend on each other are made together anyway"),
    ("*", "reload_grains", "grains are asked once, at the start of a run"),
    ("*", "reload_modules", "there are no modules on the host that could be loaded again"),
    ("*", "reload_pillar", "the pillar is compiled before the run begins"),
    ("cmd.*", "ignore_timeout", "a command that is ended by its `timeout` has failed"),
    ("cmd.*", "password", "it is for Windows; `runas` needs no password"),
    ("file.managed", "ignore_comment_characters", "content is compared as it is"),
    ("file.managed", "ignore_ordering", "content is compared as it is"),
    ("file.managed", "ignore_whitespace", "content is compared as it is"),
    ("file.managed", "new_file_diff", "the content of a new file is always shown"),
    ("file.managed", "tmp_dir", "the new file is written beside the old one"),
    ("file.managed", "tmp_ext", "`check_cmd` gets a name without an ending"),
    ("file.managed", "use_etag", "sources are part of the tree"),
    ("file.managed", "verify_ssl", "sources are part of the tree"),
    ("pkg.*", "watch_flags", "it is for Portage"),
    ("service.*", "wait", "systemd itself waits until a service is started"),
];

const MARK: &str = "Has no meaning here";

/// Returns the arguments that change nothing in a function, each with the reason.
pub(crate) fn of(function: &Function) -> Vec<(String, String)> {
    let structs = argument_structs(function.source);
    let documented = structs.into_iter().flat_map(|(_, fields)| fields);
    let mut all: Vec<(String, String)> = documented
        .filter(|(field, _)| function.arguments().contains(field))
        .filter_map(|(field, meaning)| Some((field.to_owned(), reason(&meaning)?)))
        .collect();
    let listed = IGNORED.iter().filter(|(pattern, ..)| fnmatch(function.name, pattern));
    all.extend(listed.map(|(_, argument, why)| ((*argument).to_owned(), (*why).to_owned())));
    all
}

/// Returns the reason that documentation gives: what follows the mark, without the final stop.
fn reason(meaning: &str) -> Option<String> {
    let rest = meaning.strip_prefix(MARK)?.trim_start_matches([':', ',', ' ']);
    Some(rest.trim_end_matches('.').to_owned())
}

/// Takes out of a chunk what changes nothing and the function does not know, and tells all that changes nothing.
pub(crate) fn take(function: &Function, chunk: &Chunk) -> (Chunk, Vec<Problem>) {
    let is_set = |node: &Node| !matches!(node.value(), Value::Null | Value::Bool(false));
    if function.arguments().is_empty() || chunk.arguments.iter().all(|(name, _)| name.starts_with("__")) {
        return (chunk.clone(), Vec::new());
    }
    let ignored = of(function);
    let reason = |name: &str| ignored.iter().find(|(argument, _)| argument == name).map(|(_, why)| why);
    let given = chunk.arguments.iter().filter(|(_, node)| is_set(node));
    let warnings = given.filter_map(|(name, node)| {
        let message = format!("{}: `{name}` has no effect: {}", function.name, reason(name)?);
        let at = chunk.place(name).unwrap_or(&node.at);
        Some(Problem::warning(message).at(at).of(chunk.id.as_str()))
    });
    let warnings = warnings.collect();
    let is_kept = |name: &String| reason(name).is_none() || function.arguments().contains(&name.as_str());
    let arguments = chunk.arguments.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
    (Chunk { arguments, ..chunk.clone() }, warnings)
}

#[cfg(test)]
mod tests {
    use kstate_core::arguments::{COMMON, is_common};
    use kstate_core::{Node, Position, RequisiteKind, Value};

    use super::{IGNORED, of};
    use crate::testing::{Anything, chunks};
    use crate::{FUNCTIONS, declare};

    /// Common arguments with a meaning that are not requisites.
    const MEANT: [&str; 9] =
        ["check_cmd", "creates", "failhard", "names", "onfail_stop", "onlyif", "order", "retry", "unless"];

    #[test]
    fn every_argument_without_effect_is_told_at_its_place() {
        for function in FUNCTIONS.iter().filter(|function| !function.arguments().is_empty()) {
            for (argument, why) in of(function) {
                assert!(!why.is_empty(), "{}: `{argument}` has no reason", function.name);
                let told = [Value::Bool(true), "x".into(), Value::Int(1)].into_iter().any(|value| {
                    let mut chunk = example(function.name);
                    let at = Position::new("a.sls", 77, 7);
                    let is_own = |name: &str| function.arguments().contains(&name) || is_common(name);
                    chunk.arguments.retain(|(name, _)| *name != argument && is_own(name));
                    chunk.arguments.push((argument.clone(), Node::of(&value, &at)));
                    let Ok(declared) = declare(&chunk, &Anything) else { return false };
                    let text = format!("`{argument}` has no effect");
                    let of_it = declared.warnings.iter().filter(|problem| problem.message.contains(&text));
                    of_it.map(|problem| problem.at.as_ref()).eq([Some(&at)])
                });
                assert!(told, "{}: `{argument}` is accepted in silence", function.name);
            }
        }
    }

    #[test]
    fn every_common_argument_has_a_meaning_or_is_told() {
        for argument in COMMON {
            let name = argument.trim_end_matches("_in");
            let is_meant = RequisiteKind::named(name).is_some() || MEANT.contains(&argument);
            let is_told = IGNORED.iter().any(|(pattern, ignored, _)| *pattern == "*" && *ignored == argument);
            assert!(
                is_meant != is_told,
                "`{argument}` is accepted in silence, or told although it has a meaning"
            );
        }
    }

    fn example(function: &str) -> kstate_core::Chunk {
        let source = FUNCTIONS.iter().find(|f| f.name == function).unwrap().source;
        let doc = source.lines().map_while(|line| line.strip_prefix("//!"));
        let example = doc.skip_while(|line| *line != " ```yaml").skip(1).take_while(|line| *line != " ```");
        let example: String =
            example.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
        let mut all = chunks(&example);
        let own = all.iter().position(|chunk| chunk.function() == function).unwrap_or_default();
        let mut chunk = all.swap_remove(own);
        let (state, fun) = function.split_once('.').unwrap();
        (chunk.state, chunk.fun) = (state.into(), fun.into());
        chunk
    }
}
