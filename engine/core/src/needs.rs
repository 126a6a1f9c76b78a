//! What the steps of a state need of the host besides what they change: the users and groups that they name, the
//! directory and the shell that they run in, the directory that a file goes to. Where one is known to be missing, the state fails before its first step.

mod way;

use crate::command::Program;
use crate::question::PathInfo;
use crate::{Attributes, Chunk, Command, Facts, Node, Operation, Parents, Question, Step, Stop, Touch};

/// Returns the questions that the arguments of a chunk let expect, so that they go out with the first batch.
pub(crate) fn expected(chunk: &Chunk) -> Vec<Question> {
    let text = |name: &str| chunk.argument(name).and_then(Node::text).map(str::to_owned);
    let mut questions: Vec<Question> = Vec::new();
    for user in ["user", "runas"].into_iter().filter_map(text) {
        questions.extend(of_user(&user));
    }
    // The primary group and the login shell of a user belong to the function itself.
    questions.extend(text("group").filter(|_| chunk.state != "user").and_then(|group| of_group(&group)));
    questions.extend(text("cwd").filter(|dir| dir.starts_with('/')).map(Question::Path));
    let is_placed = chunk.state == "file" && chunk.name.starts_with('/');
    questions
        .extend(above(&chunk.name).filter(|_| is_placed).map(|folder| Question::Path(folder.to_owned())));
    questions
}

/// Fails if something that `steps` need is known to be missing, and no step before brings it.
pub(crate) fn check(steps: &[Step], facts: &Facts) -> Result<(), Stop> {
    let mut open = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let is_brought = |question: &Question| {
            let touches = steps[..index].iter().flat_map(|before| before.operation.touches());
            touches.into_iter().any(|touch| question.is_touched_by(&touch))
        };
        open.extend(of_operation(&step.operation).into_iter().filter(|question| !is_brought(question)));
    }
    facts.need(open.iter().cloned())?;
    open.iter().try_for_each(|question| present(question, facts))?;
    match steps.first() {
        Some(step) => way::check(&step.operation, facts),
        None => Ok(()),
    }
}

/// Fails if what is asked about is known to be missing. A host that cannot tell is no reason to fail.
fn present(question: &Question, facts: &Facts) -> Result<(), Stop> {
    let missing = match question {
        Question::Account(name) => facts
            .account(name)
            .map(|account| account.is_none().then(|| format!("user `{name}` does not exist"))),
        Question::Group(name) => {
            facts.group(name).map(|group| group.is_none().then(|| format!("group `{name}` does not exist")))
        }
        Question::Path(path) => facts.path(path).map(|info| unfit(path, info)),
        _ => Ok(None),
    };
    match missing {
        Ok(Some(reason)) => Err(Stop::Failed(reason)),
        Ok(None) | Err(Stop::Failed(_)) => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// Returns why a command can run neither in `path` nor by it.
fn unfit(path: &str, info: Option<&PathInfo>) -> Option<String> {
    match info.and_then(PathInfo::followed) {
        None => Some(format!("`{path}` does not exist")),
        Some(_) => None,
    }
}

fn of_operation(operation: &Operation) -> Vec<Question> {
    match operation {
        Operation::Write(write) => [of_attributes(&write.attributes), of_parents(&write.parents)].concat(),
        Operation::Attributes { attributes, .. } => of_attributes(attributes),
        Operation::Directory { attributes, parents, .. } => {
            [of_attributes(attributes), of_parents(parents)].concat()
        }
        Operation::Link { user, group, parents, .. } => {
            let owner = Attributes { mode: None, user: user.clone(), group: group.clone() };
            [of_attributes(&owner), of_parents(parents)].concat()
        }
        Operation::Run(run) => {
            let tabs = run.touches.iter().filter_map(|touch| match touch {
                Touch::Crontab(user) => of_user(user),
                _ => None,
            });
            of_command(&run.command).into_iter().chain(tabs).collect()
        }
        Operation::Nothing | Operation::Remove { .. } | Operation::End { .. } => Vec::new(),
    }
}

fn of_attributes(attributes: &Attributes) -> Vec<Question> {
    let user = attributes.user.as_deref().and_then(of_user);
    user.into_iter().chain(attributes.group.as_deref().and_then(of_group)).collect()
}

fn of_parents(parents: &Parents) -> Vec<Question> {
    match parents {
        Parents::Make(attributes) => of_attributes(attributes),
        _ => Vec::new(),
    }
}

fn of_command(command: &Command) -> Vec<Question> {
    let mut questions: Vec<Question> = command.user.as_deref().and_then(of_user).into_iter().collect();
    let dir = command.dir.iter().filter(|dir| dir.starts_with('/') && *dir != "/");
    questions.extend(dir.cloned().map(Question::Path));
    if let Program::Shell { shell, .. } = &command.program
        && shell.starts_with('/')
        && shell != "/bin/sh"
    {
        questions.push(Question::Path(shell.clone()));
    }
    questions
}

/// Returns the directory that a path lies in. `None`: the path is `/`.
fn above(path: &str) -> Option<&str> {
    let (folder, name) = path.trim_end_matches('/').rsplit_once('/')?;
    if name.is_empty() { None } else { Some(if folder.is_empty() { "/" } else { folder }) }
}

/// root is on every host, and a number needs no account.
fn of_user(name: &str) -> Option<Question> {
    is_looked_up(name).then(|| Question::Account(name.to_owned()))
}

fn of_group(name: &str) -> Option<Question> {
    is_looked_up(name).then(|| Question::Group(name.to_owned()))
}

fn is_looked_up(name: &str) -> bool {
    !name.is_empty() && name != "root" && name.parse::<u32>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Run;
    use crate::question::{Account, Answer};

    fn runs_as(user: &str) -> Step {
        Step::new([], Run::new(Command::shell("true").user(Some(user)), []).into())
    }

    #[test]
    fn a_user_that_does_not_exist_is_a_failure_that_is_known() {
        let mut facts = Facts::default();
        let ann = Question::Account("ann".into());
        assert_eq!(check(&[runs_as("ann")], &facts), Err(Stop::Ask(vec![ann.clone()])));
        facts.learn(ann.clone(), Ok(Answer::Account(None)));
        let missing = Err(Stop::Failed("user `ann` does not exist".into()));
        assert_eq!(check(&[runs_as("ann")], &facts), missing);
        facts.learn(ann, Ok(Answer::Account(Some(Account::default()))));
        assert_eq!(check(&[runs_as("ann"), runs_as("root"), runs_as("1000")], &facts), Ok(()));
    }

    #[test]
    fn a_crontab_belongs_to_a_user_that_exists() {
        let mut facts = Facts::default();
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(None)));
        let put = Run::new(Command::words(["crontab"]), [Touch::Crontab("ann".into())]);
        let missing = Err(Stop::Failed("user `ann` does not exist".into()));
        assert_eq!(check(&[Step::new([], put.into())], &facts), missing);
    }

    #[test]
    fn what_an_earlier_step_brings_is_not_missing() {
        let mut facts = Facts::default();
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(None)));
        let add = Step::new([], Run::new(Command::words(["useradd", "ann"]), [Touch::Accounts]).into());
        assert_eq!(check(&[add, runs_as("ann")], &facts), Ok(()));
    }

    #[test]
    fn a_directory_that_does_not_exist_is_a_failure_that_is_known() {
        let mut facts = Facts::default();
        facts.learn(Question::Path("/srv/x".into()), Ok(Answer::Path(None)));
        let step = Step::new([], Run::new(Command::shell("true").dir(Some("/srv/x")), []).into());
        assert_eq!(check(&[step], &facts), Err(Stop::Failed("`/srv/x` does not exist".into())));
    }
}
