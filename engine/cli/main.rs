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
mod saved;
mod session;
mod token;
mod ui;
mod visible;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use kstate_core::Interrupt;

use args::{Cli, Format};
use diagnostics::Diagnostics;
use exit::Exit;
use ui::Ui;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if is_answer { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let ui = Ui::new(cli.global.format == Format::Text);
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let has_hosts = cli.command.works_on_hosts();
    let handler = move || {
        if raised.is_raised() || !has_hosts {
            at_once();
        }
        raised.raise();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        ui.error(&format!("Ctrl-C cannot be taken care of: {error}"), &[]);
    }
    match commands::dispatch(&cli, &ui, interrupt) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let mut diagnostics = Diagnostics::new(&error.root);
            for problem in &error.problems {
                ui.talk(&diagnostics.show(problem));
            }
            if !error.message.is_empty() {
                ui.error(&error.message, &error.hints);
            }
            error.exit.into()
        }
    }
}

/// The second Ctrl-C does not wait for a step in hand; where there is none, the first does not either.
#[expect(clippy::exit, reason = "the threads that wait for hosts cannot be asked to return")]
fn at_once() -> ! {
    std::process::exit(Exit::Interrupted.code().into())
}
