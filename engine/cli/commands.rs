//! The commands.

mod check;
mod jobs;
mod run;
mod show;

use kstate_core::Interrupt;

use crate::args::{Cli, Command};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::session::Session;
use crate::ui::Ui;

pub(crate) fn dispatch(cli: &Cli, ui: &Ui, interrupt: Interrupt) -> Result<Exit, CommandError> {
    if let Command::Apply { yes: false, .. } = cli.command
        && !Ui::is_interactive()
    {
        return Err(CommandError::usage(
            "`kstate apply` asks before it changes anything, and there is no terminal to ask on",
        )
        .hint("`--yes` applies without asking; `kstate diff` shows what differs"));
    }
    let session = Session::open(&cli.global, ui, interrupt)?;
    match &cli.command {
        Command::Diff { sls } => run::diff(&session, &cli.global, sls),
        Command::Apply { sls, yes: true } => run::apply(&session, &cli.global, sls),
        Command::Apply { sls, yes: false } => run::ask_and_apply(&session, &cli.global, sls),
        Command::Show { what, sls } => show::show(&session, &cli.global, *what, sls),
        Command::Jobs => jobs::jobs(&session, &cli.global),
        Command::Attach { job } => jobs::attach(&session, job),
        Command::Check { strict } => check::check(&session, &cli.global, *strict),
    }
}
