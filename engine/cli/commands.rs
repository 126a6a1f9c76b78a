//! The commands.

mod check;
mod compare;
mod jobs;
mod log;
mod machines;
mod plan;
mod run;
mod show;
mod token;

use kstate_core::Interrupt;

use crate::args::{Cli, Command};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::saved::Saved;
use crate::session::Session;
use crate::ui::Ui;

pub(crate) fn dispatch(cli: &Cli, ui: &Ui, interrupt: Interrupt) -> Result<Exit, CommandError> {
    cli.refuse_contradictions().map_err(CommandError::usage)?;
    if let Command::Apply { yes: false, plan: None, .. } = cli.command
        && !Ui::is_interactive()
    {
        return Err(CommandError::usage(
            "`kstate apply` asks before it changes anything, and there is no terminal to ask on",
        )
        .hint("`--yes` applies without asking; `kstate diff` shows what differs"));
    }
    let opened = || Session::open(&cli.global, ui, interrupt.clone());
    // `check` tells of a broken roster along with all the rest.
    let open = || {
        let session = opened()?;
        session.refuse_a_broken_roster()?;
        Ok::<_, CommandError>(session)
    };
    match &cli.command {
        Command::Diff { sls, accept, out: None } => run::diff(&open()?.accepting(accept), &cli.global, sls),
        Command::Diff { sls, accept, out: Some(file) } => {
            plan::save(&open()?.accepting(accept), &cli.global, sls, file)
        }
        Command::Apply { plan: Some(file), accept, .. } => {
            let saved = Saved::read(file)?;
            let options = saved.options(&cli.global)?;
            let session = Session::open(&options, ui, interrupt.clone())?;
            session.refuse_a_broken_roster()?;
            let accept = [saved.accepted(), accept].concat();
            plan::apply(&session.accepting(&accept), &options, &saved)
        }
        Command::Apply { sls, accept, yes: true, .. } => {
            run::apply(&open()?.accepting(accept), &cli.global, sls)
        }
        Command::Apply { sls, accept, .. } => {
            run::ask_and_apply(&open()?.accepting(accept), &cli.global, sls)
        }
        Command::Show { what, sls } => show::show(&open()?, &cli.global, *what, sls),
        Command::Log { run } => log::log(ui, cli.global.format, run.as_deref()),
        Command::Jobs => jobs::jobs(&open()?, &cli.global),
        Command::Attach { job } => jobs::attach(&open()?, job),
        Command::Token { command } => token::token(&mut open()?, &cli.global, command),
        Command::Check { strict } => check::check(&opened()?, &cli.global, *strict),
        Command::Compare { revision, rest, sls } => {
            let words = compare::Words { revision, rest, sls };
            compare::compare(&cli.global, ui, &interrupt, &words)
        }
    }
}
