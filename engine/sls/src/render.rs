//! From a file to its data: the renderers that its first line names, `jinja|yaml` if it names none.

use kstate_core::{Data, Node, Position, Problem, Unwritten, Value};

use crate::blame::blamed;
use crate::high::shared::Aliases;
use crate::jinja::LineMap;
use crate::pillar::is_private_path;
use crate::tree::SourceFile;
use crate::{json, yaml};

/// Rendered text, and where each place of it was written.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) lines: LineMap,
    /// Whether the text is incomplete, for it hangs on what the host answers.
    pub(crate) waiting: bool,
}

/// What renders the template of a file.
pub(crate) type Template<'a> = &'a dyn Fn(&SourceFile) -> Result<Text, Problem>;

/// The data of a file. An empty one gives null, and so does one that waits for the host.
pub(crate) fn render(file: &SourceFile, template: Template<'_>) -> Result<Node, Problem> {
    read(file, template).map(|document| document.node).map_err(|unread| unread.problem)
}

/// Why a file has no data.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) problem: Problem,
    /// Its text, if it could be rendered and only the text cannot be read.
    pub(crate) rendered: Option<String>,
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Unread { problem, rendered: None }
    }
}

/// The data of a file, and which of its lists are one and the same.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) node: Node,
    pub(crate) aliases: Aliases,
    /// Whether it is empty because it waits for the host.
    pub(crate) waiting: bool,
}

/// As [`render`]; for who must know what Salt does to an anchor and sees at its aliases.
pub(crate) fn read(file: &SourceFile, template: Template<'_>) -> Result<Document, Unread> {
    let nothing = || Document {
        node: Node { data: Data::Scalar(Value::Null), at: file.at(1) },
        aliases: Aliases::default(),
        waiting: false,
    };
    if file.text.trim().is_empty() {
        return Ok(nothing());
    }
    let pipe = Pipe::of(file)?;
    let rendered = if pipe.jinja { template(file)? } else { as_it_is(file) };
    if rendered.waiting {
        return Ok(Document { waiting: true, ..nothing() });
    }
    // First by the places in the rendered text: only there an alias can be told from a repetition.
    let read = match pipe.format {
        Format::Yaml => file
            .readings
            .read(&rendered.text, |text| yaml::read(text, &unplaced))
            .map_err(|unread| blamed(unread, &rendered.text, &rendered.lines, is_private_path(&file.name))),
        Format::Json => {
            let text = rendered.text.as_str();
            // The first line is not JSON; it stays as an empty one, so that the lines keep their numbers.
            let text = match text.strip_prefix("#!") {
                Some(rest) => rest.find('\n').map_or("", |end| &rest[end..]),
                None => text,
            };
            if text.trim().is_empty() {
                return Ok(nothing());
            }
            json::load_at(text, &unplaced).map_err(|problem| placed(problem, text, &rendered.lines))
        }
    };
    match read {
        Ok(mut node) => {
            let aliases = if rendered.text.contains('&') { Aliases::of(&node) } else { Aliases::default() };
            place(&mut node, &rendered.lines);
            Ok(Document { node, aliases, waiting: false })
        }
        Err(problem) => Err(Unread { problem, rendered: Some(rendered.text) }),
    }
}

/// A place in rendered text.
pub(crate) fn unplaced(line: u32, column: u32) -> Position {
    Position::new("", line, column)
}

/// Gives data its places in the files.
fn place(node: &mut Node, lines: &LineMap) {
    node.at = lines.origin(node.at.line, node.at.column);
    match &mut node.data {
        Data::Scalar(_) => {}
        Data::List(items) => items.iter_mut().for_each(|item| place(item, lines)),
        Data::Map(entries) => {
            for (key, value) in entries {
                place(key, lines);
                place(value, lines);
            }
        }
    }
}

/// A problem of rendered text, by its places in the files.
pub(crate) fn placed(problem: Problem, text: &str, lines: &LineMap) -> Problem {
    let mut problem = problem;
    if let Some(raw) = problem.at.take() {
        let line = text.lines().nth((raw.line as usize).saturating_sub(1));
        let unwritten =
            |line: &str| Unwritten { what: "rendered", text: line.to_owned(), column: raw.column };
        problem.unwritten = line.map(unwritten);
        problem.at = Some(lines.origin(raw.line, raw.column));
    }
    for (_, at) in &mut problem.related {
        *at = lines.origin(at.line, at.column);
    }
    problem
}

/// A file that is no template.
fn as_it_is(file: &SourceFile) -> Text {
    Text { text: file.text.clone(), lines: LineMap::identity(file.shown.clone()), waiting: false }
}

enum Format {
    Yaml,
    Json,
}

struct Pipe {
    jinja: bool,
    format: Format,
}

impl Pipe {
    fn of(file: &SourceFile) -> Result<Self, Problem> {
        let first = file.text.lines().next().unwrap_or_default();
        let Some(named) = first.strip_prefix("#!").filter(|rest| !rest.starts_with('/')) else {
            return Ok(Pipe { jinja: true, format: Format::Yaml });
        };
        let words: Vec<&str> =
            named.split('|').map(|part| part.split_whitespace().next().unwrap_or_default()).collect();
        match words.as_slice() {
            ["jinja", "yaml"] | ["yaml_jinja"] => Ok(Pipe { jinja: true, format: Format::Yaml }),
            ["jinja", "json"] | ["json_jinja"] => Ok(Pipe { jinja: true, format: Format::Json }),
            ["yaml"] => Ok(Pipe { jinja: false, format: Format::Yaml }),
            ["json"] => Ok(Pipe { jinja: false, format: Format::Json }),
            _ => {
                let message = format!("the renderer `{}` is not supported", named.trim());
                let problem = Problem::error(message).at(&file.at(1));
                Err(problem.hint("`jinja|yaml`, `jinja|json`, `yaml` and `json` are"))
            }
        }
    }
}
