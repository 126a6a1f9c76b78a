//! The pages of the book about modules, made of the comments in their files.

use std::collections::BTreeMap;

use kstate_core::arguments::is_common;

use crate::{FUNCTIONS, Function};

/// A page for each module: its name, and Markdown.
pub fn pages() -> Vec<(String, String)> {
    let mut modules: BTreeMap<&str, Vec<Vec<&Function>>> = BTreeMap::new();
    for function in FUNCTIONS {
        let module = function.name.split('.').next().unwrap_or(function.name);
        let files = modules.entry(module).or_default();
        // Functions of one file share a section.
        match files.iter_mut().find(|file| std::ptr::eq(file[0].source, function.source)) {
            Some(file) => file.push(function),
            None => files.push(vec![function]),
        }
    }
    modules.into_iter().map(|(module, files)| (module.to_owned(), page(module, &files))).collect()
}

fn page(module: &str, files: &[Vec<&Function>]) -> String {
    let mut page = format!("# {module}\n");
    for functions in files {
        page.push_str(&section(functions));
    }
    page.push_str(
        "\nEvery state also takes `name`, `names`, `order`, `require`, `watch`, `onchanges`, `onfail`, `prereq`, `listen`, their `_in` and\n\
         `_any` forms, `use`, `unless`, `onlyif`, `creates`, `check_cmd`, `retry` and `failhard`. An argument that changes nothing here is\n\
         a warning, with the reason.\n",
    );
    page
}

fn section(functions: &[&Function]) -> String {
    let source = functions[0].source;
    let mut doc = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let title = doc.next().unwrap_or_default();
    let mut out = format!("\n## {title}\n");
    let rest: Vec<&str> = doc.collect();
    out.push_str(&rest.join("\n"));
    out.push('\n');
    for (name, fields) in argument_structs(source) {
        if fields.is_empty() {
            continue;
        }
        let heading = if name == "Arguments" { String::new() } else { format!("`{name}`\n\n") };
        out.push_str(&format!("\n{heading}| argument | meaning |\n| --- | --- |\n"));
        for (field, meaning) in fields {
            out.push_str(&format!("| `{field}` | {} |\n", meaning.replace('|', "\\|")));
        }
    }
    if !functions[0].unsupported.is_empty() {
        out.push_str("\nNot supported:\n\n");
        for (name, why) in functions[0].unsupported {
            out.push_str(&format!("- `{name}`: {why}\n"));
        }
    }
    let own = |(argument, _): &(String, String)| {
        !is_common(argument) && !functions[0].arguments().contains(&argument.as_str())
    };
    let ignored: Vec<(String, String)> = crate::ignored::of(functions[0]).into_iter().filter(own).collect();
    if !ignored.is_empty() {
        out.push_str("\nWithout effect:\n\n");
        for (name, why) in ignored {
            out.push_str(&format!("- `{name}`: {why}\n"));
        }
    }
    out
}

/// The structs whose name holds `Arguments`, with the documented fields.
pub(crate) fn argument_structs(source: &str) -> Vec<(&str, Vec<(&str, String)>)> {
    let mut structs = Vec::new();
    let mut lines = source.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    while let Some(line) = lines.next() {
        let Some(name) =
            line.split("struct ").nth(1).and_then(|rest| rest.split([' ', '(', '<', '{']).next())
        else {
            continue;
        };
        if !name.contains("Arguments") || !line.ends_with('{') || line.trim_start().starts_with("//") {
            continue;
        }
        let mut fields = Vec::new();
        let mut meaning: Vec<&str> = Vec::new();
        let mut renamed = None;
        for line in lines.by_ref() {
            let line = line.trim();
            if line == "}" {
                break;
            }
            if let Some(text) = line.strip_prefix("///") {
                meaning.push(text.trim());
            } else if let Some(rest) = line.split("rename = \"").nth(1) {
                renamed = rest.split('"').next();
            } else if !line.starts_with('#')
                && let Some((field, _)) = line.split_once(':')
            {
                let field = field
                    .trim()
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("pub(super) ")
                    .trim_start_matches("r#");
                fields.push((renamed.take().unwrap_or(field), meaning.join(" ")));
                meaning.clear();
            }
        }
        structs.push((name, fields));
    }
    structs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_of_every_function_is_explained() {
        for function in FUNCTIONS {
            let explained: Vec<(&str, String)> =
                argument_structs(function.source).into_iter().flat_map(|(_, fields)| fields).collect();
            for argument in function.arguments() {
                let meaning = explained.iter().find(|(field, _)| field == argument);
                assert!(
                    meaning.is_some_and(|(_, text)| !text.is_empty()),
                    "{}: `{argument}` is not explained",
                    function.name
                );
            }
        }
    }

    #[test]
    fn every_file_begins_with_its_function_and_an_example() {
        for function in FUNCTIONS {
            let first = function.source.lines().next().unwrap_or_default();
            assert!(first.starts_with("//! `") && first.contains("`: "), "{}: {first}", function.name);
            assert!(function.source.contains("//! ```yaml"), "{} has no example", function.name);
        }
    }
}
