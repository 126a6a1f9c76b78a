//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Looks at servers over SSH and shows or makes what differs from a Salt-style state tree.
///
/// Nothing has to be installed on the servers: a POSIX shell and what the distribution ships.
#[derive(Debug, Parser)]
#[command(
    name = "kstate",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  kstate diff                            what differs, on every server
  kstate apply ocdskingfisherprocess     make it so, where the top file names this SLS
  kstate check                           is the tree sound? no server is contacted
  kstate compare main                    what changes against a branch? no server is contacted

Exit codes: 0 done, or nothing differs · 1 a state failed, the tree does not compile, or `n` was answered
  2 something differs (diff, compare) · 4 a host could not be reached · 64 wrong command line · 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The folder of the tree: it holds `kstate.yaml` or a `Saltfile` [default: the nearest upwards]
    #[arg(long, global = true, value_name = "DIR", env = "KSTATE_ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// Stands for `~/.ssh/config`, as `ssh -F` does
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// How many hosts at a time [default: `jobs` of kstate.yaml, else 32]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// The hosts: a glob on roster names, or a compound expression (`G@os:Debian and not web*`)
    #[arg(short, long, global = true, value_name = "EXPR")]
    pub(crate) target: Option<String>,
    /// The target expression is a comma-separated list of roster names
    #[arg(short = 'L', long, global = true)]
    pub(crate) list: bool,
    /// The target is this machine, without SSH
    #[arg(long, global = true)]
    pub(crate) local: bool,
    /// Grains to use in place of the host's (JSON or YAML): `show` and `check` then contact no host
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) grains: Option<PathBuf>,
    /// Answers to what templates ask of a host: a JSON list of `{"fun", "contains"?, "return"}`, the first that fits wins
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) exec_fixture: Option<PathBuf>,
    /// Merged over the pillar
    #[arg(long, global = true, value_name = "JSON")]
    pub(crate) pillar: Option<String>,
    /// How to print
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Shows every state, also those that are as declared, and all that commands print
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    /// One document on standard output
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what differs, asks, and makes it
    #[command(after_help = "\
Examples:
  kstate apply ocdskingfisherprocess      the servers whose top file names it
  kstate apply -t 'cove*' --yes           their whole top file, without asking
  kstate apply --local apache             this machine, without SSH
  kstate apply --plan cove.plan           what `kstate diff --out cove.plan` has shown, or nothing
  kstate apply --accept requirements.txt  although a commit changes it, for which the checkout is held")]
    Apply {
        /// The SLS to apply [default: what the top file names]
        #[arg(value_name = "SLS", conflicts_with = "plan")]
        sls: Vec<String>,
        /// Does exactly what `kstate diff --out FILE` has shown, without asking. If a host, the tree or a commit has
        /// moved since, nothing is changed, on no host (exit 1)
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Does not ask. Needed where there is no terminal, but for `--plan`
        #[arg(short, long)]
        yes: bool,
        /// Lets a change pass that is held because a path changed (`hold_if_changed`): the path, a directory above it,
        /// or a pattern. May be given again. One that meets no hold is told, and is no error
        #[arg(long, value_name = "PATH")]
        accept: Vec<String>,
    },
    /// Shows what differs, and changes nothing
    #[command(after_help = "\
Examples:
  kstate diff                             every server, its whole top file
  kstate diff apache -t 'process*'        one SLS on some servers
  kstate diff cove --out cove.plan        a plan, to be applied as it is or not at all
  kstate diff --format json | jq '.targets[].summary'")]
    Diff {
        /// The SLS to compare [default: what the top file names]
        #[arg(value_name = "SLS")]
        sls: Vec<String>,
        /// Saves what is found as a plan for `kstate apply --plan FILE`. It pins the commits and holds no secrets; a file that
        /// is no plan is not overwritten
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Shows no hold for this path (`hold_if_changed`), a directory above it, or a pattern. May be given again
        #[arg(long, value_name = "PATH")]
        accept: Vec<String>,
    },
    /// Shows what was compiled
    #[command(after_help = "\
Examples:
  kstate show lowstate -t process1        the states in the order of their run
  kstate show pillar -t process1          secrets are masked
  kstate show top --grains grains.json    which SLS each server gets, without contacting one")]
    Show {
        #[arg(value_enum)]
        what: What,
        /// The SLS to compile [default: what the top file names]
        #[arg(value_name = "SLS")]
        sls: Vec<String>,
    },
    /// Lists earlier runs of `apply`, or shows all that one did and printed
    #[command(after_help = "\
Examples:
  kstate log                              the runs that have a log, the last one at the end
  kstate log last                         the whole output of its commands, and its report
  kstate log 1764136800-4711 --format json")]
    Log {
        /// The name of a run, or how it begins; `last` is the last one
        #[arg(value_name = "RUN")]
        run: Option<String>,
    },
    /// Lists the commands that run, or ran, apart from the connection
    #[command(after_help = "\
Examples:
  kstate jobs                             on every server
  kstate jobs -t process1 --format json")]
    Jobs,
    /// Follows a command that runs apart from the connection, to its end
    #[command(after_help = "\
Examples:
  kstate attach 1764136800-4711.1         the name that `kstate jobs` lists, or how it begins
  kstate attach upgrade-database          the running command of this state

Exit codes: 0 it succeeded · 1 it failed · 130 Ctrl-C, and it goes on")]
    Attach {
        /// The name of the job, its beginning, or the id of its state while it is running
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// Shows, holds or gives back the right to change servers, which only one person has at a time
    ///
    /// `kstate apply` takes the token of each server by itself and gives it back, and refuses if somebody else has it.
    /// Hold it yourself while you work on servers by hand, or do more than one thing that belongs together.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Examples:
  kstate token show                       who has it, since when, why and until when
  kstate token hold -m 'move to the new disk' --for 2h
  kstate token release
  kstate token release --force -t web1    takes it away from whoever has it

`token: {host: NAME}` in kstate.yaml has one host of the roster keep the token for all."
    )]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Compiles everything for every server and tells what is wrong or suspicious; no server is contacted
    #[command(after_help = "\
Examples:
  kstate check
  kstate check -t 'cove*' --grains grains.json

A comment `# kstate: ignore` silences the warnings about its line, or about the line below it.")]
    Check {
        /// Warnings count as errors
        #[arg(long)]
        strict: bool,
    },
    /// Shows what changes in the compiled states between two revisions of the tree; no server is contacted
    ///
    /// Both revisions are compiled for every server, templates of managed files included, without a checkout: working
    /// tree and index stay as they are. What git ignores (private pillar, as a rule) is taken from the working tree for
    /// both.
    #[command(after_help = "\
Examples:
  kstate compare HEAD                     what the edits since the last commit change
  kstate compare main -t 'web*'           the working tree against a branch, for some servers
  kstate compare HEAD~1 HEAD              one commit against the one before it
  kstate compare main...feature apache    what a branch brings, one SLS
  kstate compare HEAD~1 -- main           `main` is an SLS here, not a branch

Exit codes: 0 nothing changes · 1 a revision does not compile · 2 something changes · 64 unknown revision")]
    Compare {
        /// A commit, branch or tag; `A..B` for two; `A...B` for what B brings since it left A
        #[arg(value_name = "REV")]
        revision: String,
        /// The second revision [default: the working tree], then SLS [default: what the top file names]. A name that
        /// is both an SLS and a revision is the SLS
        #[arg(value_name = "REV2|SLS")]
        rest: Vec<String>,
        /// SLS only
        #[arg(last = true, value_name = "SLS")]
        sls: Vec<String>,
    },
}

impl Cli {
    /// Refuses options that contradict each other, or that mean nothing to the command, wherever they stand.
    pub(crate) fn refuse_contradictions(&self) -> Result<(), String> {
        let Global { target, list, local, grains, exec_fixture, pillar, format, .. } = &self.global;
        let has_plan = matches!(self.command, Command::Apply { plan: Some(_), .. });
        if *local && target.is_some() && !has_plan {
            return Err(
                "`--local` means this machine, and `-t` and `-L` mean hosts of the roster; give one of them"
                    .into(),
            );
        }
        if *list && target.is_none() {
            return Err("`-L` says how to read `-t`; give `-t NAME,NAME` too".into());
        }
        if let Command::Apply { yes: false, plan: None, .. } = self.command
            && *format == Format::Json
        {
            return Err(
                "`--format json` prints one document, and `kstate apply` asks a question; give `--yes` too"
                    .into(),
            );
        }
        if let Command::Apply { yes: true, plan: Some(_), .. } = self.command {
            return Err("`--plan` never asks; leave out `--yes`".into());
        }
        let compiles = !matches!(
            self.command,
            Command::Jobs | Command::Attach { .. } | Command::Token { .. } | Command::Log { .. }
        );
        let given = [
            ("--grains", grains.is_some()),
            ("--exec-fixture", exec_fixture.is_some()),
            ("--pillar", pillar.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given && !compiles) {
            Some((name, _)) => {
                Err(format!("`{name}` means nothing to this command, which compiles no states"))
            }
            None => Ok(()),
        }
    }
}

impl Command {
    /// Whether something may be in hand on a host.
    pub(crate) fn works_on_hosts(&self) -> bool {
        !matches!(
            self,
            Command::Show { .. } | Command::Check { .. } | Command::Compare { .. } | Command::Log { .. }
        )
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Tells who has it; waits for nobody
    Show,
    /// Holds it, so that nobody else applies anything
    Hold {
        /// Why, for whoever wants it meanwhile
        #[arg(short, long, value_name = "REASON", default_value = "")]
        message: String,
        /// For how long: `30min`, `2h`, `1day`
        #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = time_to_hold)]
        duration: Duration,
    },
    /// Gives it back
    Release {
        /// Also if somebody else has it; what they run changes nothing more
        #[arg(long)]
        force: bool,
    },
}

fn time_to_hold(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=YEAR).contains(&time) => Ok(time),
        Ok(_) => Err("a token is held for a second at least and a year at most".into()),
        Err(error) => Err(format!("{error}; write `30min`, `2h` or `1day`")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// States in the order of their run, with their requisites
    Lowstate,
    /// States as declared, by id
    Highstate,
    /// The merged pillar
    Pillar,
    /// What is known of the host
    Grains,
    /// Which SLS the host gets
    Top,
}
