//! What shadow(5) holds of a user: the password and its ages.

use kstate_core::question::{Account, Aging, Answer};
use kstate_core::{Change, Command, Question, Run, Step, Stop, Touch, Value};

#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub(super) password: Option<Password>,
    pub(super) lock: Option<bool>,
    /// What is `None` stays.
    pub(super) aging: Aging,
}

pub(super) enum Password {
    Hash {
        hash: String,
        /// Also in the place of another password.
        enforce: bool,
    },
    Empty,
}

/// Without the hash.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Password::Hash { enforce, .. } => f.debug_struct("Hash").field("enforce", enforce).finish(),
            Password::Empty => f.write_str("Empty"),
        }
    }
}

/// What useradd(8) gives a new user: no password fits.
pub(super) const NONE: &str = "!";

/// A number of days that nobody declares.
const UNKNOWN: i64 = i64::MIN;

/// Returns true for what crypt(5) writes, locked or not, and for what fits no password.
pub(super) fn is_hash(text: &str) -> bool {
    let open = text.trim_start_matches('!');
    let mut fields = open.strip_prefix('$').into_iter().flat_map(|rest| rest.split('$'));
    let is_known =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_crypt =
        fields.next().is_some_and(is_known) && fields.next_back().is_some_and(|hash| !hash.is_empty());
    !text.contains([':', '\n']) && (is_crypt || open == "*" || (open.is_empty() && !text.is_empty()))
}

impl Shadow {
    /// The steps for a user that is only going to be made: the host gives it ages of its own.
    pub(super) fn steps_for_new(&self, account: &Account) -> Result<Vec<Step>, Stop> {
        let unset = Aging {
            changed: Some(UNKNOWN),
            min: Some(UNKNOWN),
            max: Some(UNKNOWN),
            warn: Some(UNKNOWN),
            inactive: Some(UNKNOWN),
            expires: Some(UNKNOWN),
        };
        self.steps(&Account { aging: unset, ..account.clone() })
    }

    /// The steps from what `account` has, in the order in which they are made.
    pub(super) fn steps(&self, account: &Account) -> Result<Vec<Step>, Stop> {
        if self.password.is_none() && self.lock.is_none() && self.aging == Aging::default() {
            return Ok(Vec::new());
        }
        let Some(current) = account.password.clone() else {
            let message =
                format!("the password of `{}` cannot be compared: `/etc/shadow` is closed", account.name);
            return Err(Stop::Failed(message));
        };
        let mut account = account.clone();
        let mut steps = Vec::new();
        let mut is_new = false;
        match &self.password {
            Some(Password::Hash { hash, enforce }) => {
                let seen = if self.lock == Some(true) { current.trim_start_matches('!') } else { &current };
                if seen != hash && (*enforce || current == NONE) {
                    is_new = true;
                    let line = format!("{}:{hash}\n", account.name);
                    let command = Command::words(["chpasswd", "-e"]).input(line);
                    account.password = Some(hash.clone());
                    steps.push(step(Change::new("password", Value::Null, "a new hash"), command, &account));
                }
            }
            Some(Password::Empty) if !current.is_empty() => {
                let command = Command::words(["passwd", "-d", &account.name]);
                account.password = Some(String::new());
                steps.push(step(Change::new("password", Value::Null, "empty"), command, &account));
            }
            _ => {}
        }
        let password = account.password.clone().unwrap_or_default();
        match self.lock {
            Some(true) if !password.starts_with('!') => {
                let command = Command::words(["usermod", "-L", "--", &account.name]);
                account.password = Some(format!("!{password}"));
                steps.push(step(Change::new("password", "open", "locked"), command, &account));
            }
            Some(false) if password.starts_with('!') => {
                let command = Command::words(["usermod", "-U", "--", &account.name]);
                let open = password.trim_start_matches('!');
                if open.is_empty() {
                    return Err(Stop::Failed(format!(
                        "`{}` has no password that could be unlocked; give a hash as `password`",
                        account.name
                    )));
                }
                account.password = Some(open.to_owned());
                steps.push(step(Change::new("password", "locked", "open"), command, &account));
            }
            _ => {}
        }
        steps.extend(self.ages(&account, is_new));
        Ok(steps)
    }

    /// One chage(1) for all of them. A new password has changed today, so a date is set again after it.
    fn ages(&self, account: &Account, is_new: bool) -> Option<Step> {
        let mut after = account.clone();
        let mut words: Vec<String> = vec!["chage".into()];
        let mut changes = Vec::new();
        let mut set = |option: &str, name: &str, wanted: Option<i64>, now: &mut Option<i64>, anyway: bool| {
            let Some(wanted) = wanted else { return };
            if now.unwrap_or(-1) == wanted && !anyway {
                return;
            }
            words.extend([option.to_owned(), wanted.to_string()]);
            let before = now.filter(|now| *now != UNKNOWN);
            changes.push(Change::new(name, before.map_or(Value::Null, Value::Int), wanted));
            *now = Some(wanted).filter(|wanted| *wanted >= 0);
        };
        let (wanted, now) = (&self.aging, &mut after.aging);
        set("-d", "date", wanted.changed, &mut now.changed, is_new);
        set("-m", "mindays", wanted.min, &mut now.min, false);
        set("-M", "maxdays", wanted.max, &mut now.max, false);
        set("-I", "inactdays", wanted.inactive, &mut now.inactive, false);
        set("-W", "warndays", wanted.warn, &mut now.warn, false);
        set("-E", "expire", wanted.expires, &mut now.expires, false);
        if changes.is_empty() {
            return None;
        }
        words.extend(["--".to_owned(), account.name.clone()]);
        let run = Run::new(Command::words(words), [Touch::Accounts])
            .foretells(Question::Account(after.name.clone()), Answer::Account(Some(after)));
        Some(Step::new(changes, run.into()))
    }
}

fn step(change: Change, command: Command, after: &Account) -> Step {
    let mut run = Run::new(command, [Touch::Accounts])
        .foretells(Question::Account(after.name.clone()), Answer::Account(Some(after.clone())));
    run.hide_output = true;
    Step::new([change], run.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(password: Option<&str>) -> Account {
        Account {
            name: "ann".into(),
            password: password.map(str::to_owned),
            aging: Aging { min: Some(0), max: Some(99999), ..Aging::default() },
            ..Account::default()
        }
    }

    fn commands(shadow: &Shadow, password: &str) -> Vec<String> {
        let steps = shadow.steps(&account(Some(password))).unwrap();
        steps.iter().map(|step| step.operation.job().unwrap().script.replace("cd /\n", "")).collect()
    }

    fn hash(enforce: bool) -> Option<Password> {
        Some(Password::Hash { hash: "$6$x".into(), enforce })
    }

    #[test]
    fn sets_the_password_where_it_differs() {
        let enforced = Shadow { password: hash(true), ..Shadow::default() };
        assert_eq!(commands(&enforced, "$6$x"), [""; 0]);
        assert_eq!(commands(&enforced, "$6$y"), ["chpasswd -e"]);
        let first = Shadow { password: hash(false), ..Shadow::default() };
        assert_eq!(commands(&first, "$6$y"), [""; 0]);
        assert_eq!(commands(&first, "!"), ["chpasswd -e"]);
        let empty = Shadow { password: Some(Password::Empty), ..Shadow::default() };
        assert_eq!(commands(&empty, "!"), ["passwd -d ann"]);
        let locked = Shadow { password: hash(true), lock: Some(true), ..Shadow::default() };
        assert_eq!(commands(&locked, "!"), ["chpasswd -e", "usermod -L -- ann"]);
        assert_eq!(commands(&locked, "!$6$x"), [""; 0]);
        let open = Shadow { lock: Some(false), ..Shadow::default() };
        assert_eq!(commands(&open, "!$6$x"), ["usermod -U -- ann"]);
    }

    #[test]
    fn a_hash_is_neither_a_word_nor_shown() {
        let shadow = Shadow { password: hash(true), ..Shadow::default() };
        let steps = shadow.steps(&account(Some("!"))).unwrap();
        let job = steps[0].operation.job().unwrap();
        assert_eq!(job.input, b"ann:$6$x\n");
        assert!(!job.script.contains("$6$x") && !steps[0].changes[0].to_string().contains("$6$x"));
        assert!(!format!("{shadow:?}").contains("$6$x"));
    }

    #[test]
    fn sets_all_ages_at_once() {
        let aging =
            Aging { changed: Some(0), min: Some(0), max: Some(90), inactive: Some(-1), ..Aging::default() };
        let shadow = Shadow { aging, ..Shadow::default() };
        assert_eq!(commands(&shadow, "!"), ["chage -d 0 -M 90 -- ann"]);
    }

    #[test]
    fn a_closed_file_is_not_a_missing_password() {
        let shadow = Shadow { password: hash(true), ..Shadow::default() };
        assert!(matches!(shadow.steps(&account(None)), Err(Stop::Failed(_))));
        assert_eq!(Shadow::default().steps(&account(None)), Ok(Vec::new()));
    }
}
