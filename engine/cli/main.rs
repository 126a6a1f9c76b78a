//! `kstate`: looks at servers over SSH and shows or makes what differs from a Salt-style state tree.

mod answers;
mod args;
mod commands;
mod diagnostics;
mod difference;
mod error;
mod excerpt;
mod exit;
mod git;
mod ignored;
mod remembered;
mod report;
mod revision;
mod runlog;
mod saved;
mod session;
mod signals;
mod state_folder;
mod token;
mod ui;
mod visible;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Format};
use diagnostics::Diagnostics;
use exit::Exit;
use signals::Signals;
use ui::Ui;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let ui = Ui::new(false, Arc::default());
            match is_answer {
                true => ui.raw(error.render().ansi().to_string().as_bytes()),
                false => drop(error.print()),
            }
            return written(&ui, if is_answer { Exit::Done } else { Exit::Usage }).into();
        }
    };
    let signals = Arc::new(Signals::default());
    let ui = Arc::new(Ui::new(cli.global.format == Format::Text, signals.clone()));
    let interrupt = signals.interrupt.clone();
    let (has_hosts, speaker) = (cli.command.works_on_hosts(), ui.clone());
    let handler = move || signals.take(has_hosts, || speaker.talk("\nNothing was changed."));
    if let Err(error) = ctrlc::set_handler(handler) {
        ui.error(&format!("Ctrl-C cannot be taken care of: {error}"), &[]);
    }
    match commands::dispatch(&cli, &ui, interrupt) {
        Ok(exit) => written(&ui, exit).into(),
        Err(error) => {
            let mut diagnostics = Diagnostics::new(&error.root);
            for problem in &error.problems {
                ui.talk(&diagnostics.show(problem));
            }
            if !error.message.is_empty() {
                ui.error(&error.message, &error.hints);
            }
            written(&ui, error.exit).into()
        }
    }
}

/// The exit code, if what belongs on standard output could be written. A reader that has gone away is no error.
fn written(ui: &Ui, exit: Exit) -> Exit {
    match ui.unwritten() {
        None => exit,
        Some(error) => {
            ui.error(&format!("standard output cannot be written: {error}"), &[]);
            exit.worst(Exit::Failed)
        }
    }
}
