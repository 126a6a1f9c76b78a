//! Groups of users.

mod absent;
mod present;

pub(crate) use absent::Absent;
pub(crate) use present::Present;

use kstate_core::question::{Account, Answer, Group};
use kstate_core::{Claim, Facts, Question, Run};

/// The number of a user or group that is only going to be made: nobody knows it before.
pub(crate) const NOT_YET: u32 = u32::MAX;

pub(crate) const LOCAL: &str = "users and groups are always those of the host itself";

/// Returns why useradd(8) and groupadd(8) would refuse a name.
pub(crate) fn unfit_name(name: &str) -> Option<String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '/');
    if let Some(c) = name.chars().find(|c| bad(*c)) {
        return Some(format!("{c:?} cannot be part of the name"));
    }
    if name.starts_with(['-', '+', '~']) {
        return Some(format!("the name cannot begin with `{}`", &name[..1]));
    }
    (name.is_empty() || name.len() > 32).then(|| "the name needs 1 to 32 bytes".to_owned())
}

/// The claim that a user is a member of a group, or is not.
pub(crate) fn membership(user: &str, group: &str, member: bool) -> Claim {
    Claim::new(format!("{user} in group {group}"), if member { "member" } else { NO_MEMBER })
}

pub(crate) const NO_MEMBER: &str = "not a member";

/// Tells that `user` is, or is not, a member of `group`, as far as that is known.
pub(crate) fn foretell_membership(mut run: Run, facts: &Facts, user: &str, group: &str, member: bool) -> Run {
    let set = |names: &mut Vec<String>, name: &str| {
        names.retain(|known| known != name);
        if member {
            names.push(name.to_owned());
        }
        names.sort();
    };
    if let Ok(Some(account)) = facts.account(user) {
        let mut account: Account = account.clone();
        set(&mut account.groups, group);
        run = run.foretells(Question::Account(user.to_owned()), Answer::Account(Some(account)));
    }
    if let Ok(Some(known)) = facts.group(group) {
        let mut known: Group = known.clone();
        set(&mut known.members, user);
        run = run.foretells(Question::Group(group.to_owned()), Answer::Group(Some(known)));
    }
    run
}
