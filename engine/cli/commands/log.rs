//! `log`: what earlier runs did and printed.

use serde_json::{Value as Json, json};

use crate::args::Format;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::runlog::{Logged, logged};
use crate::ui::Ui;

pub(super) fn log(ui: &Ui, format: Format, run: Option<&str>) -> Result<Exit, CommandError> {
    let runs = logged().map_err(|error| CommandError::failed(format!("the logs cannot be read: {error}")))?;
    match run {
        None => list(ui, format, &runs),
        Some(run) => show(ui, format, find(&runs, run)?)?,
    }
    Ok(Exit::Done)
}

fn list(ui: &Ui, format: Format, runs: &[Logged]) {
    match format {
        Format::Json => {
            let document = |run: &Logged| json!({ "run": run.run, "head": run.head, "folder": run.folder });
            ui.document(&Json::Array(runs.iter().map(document).collect()));
        }
        Format::Text if runs.is_empty() => ui.talk("No run has a log yet."),
        Format::Text => {
            ui.data(&runs.iter().map(|run| format!("{}  {}\n", run.run, run.head)).collect::<String>());
        }
    }
}

fn find<'a>(runs: &'a [Logged], name: &str) -> Result<&'a Logged, CommandError> {
    let found: Vec<&Logged> = match name {
        "last" => runs.last().into_iter().collect(),
        _ => runs.iter().filter(|run| run.run.starts_with(name)).collect(),
    };
    match found.as_slice() {
        [run] => Ok(run),
        [] => {
            Err(CommandError::usage(format!("no run `{name}` has a log")).hint("`kstate log` lists the runs"))
        }
        _ => Err(CommandError::usage(format!("`{name}` begins the name of more than one run"))
            .hint("write more of the name; `kstate log` lists the runs")),
    }
}

fn show(ui: &Ui, format: Format, run: &Logged) -> Result<(), CommandError> {
    match format {
        Format::Text => {
            let text = run.text();
            let text =
                text.map_err(|error| CommandError::failed(format!("the log cannot be read: {error}")))?;
            ui.data(&text);
        }
        Format::Json => match run.report() {
            Some(report) => ui.document(&report),
            None => return Err(CommandError::failed(format!("run `{}` ended without a report", run.run))),
        },
    }
    Ok(())
}
