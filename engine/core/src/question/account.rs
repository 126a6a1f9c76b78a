//! Users and groups: `getent(1)`, one process for each database.

use std::collections::HashMap;

use super::{Answer, Answered, CannotTell, Question};
use crate::words::join;
use crate::{Job, Reply};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
    /// The name of the primary group.
    pub group: String,
    /// The names of all other groups, sorted.
    pub groups: Vec<String>,
    /// The password field of shadow(5). `None`: we may not read it.
    pub password: Option<String>,
    pub aging: Aging,
}

/// The numbers of shadow(5), in days. `None`: not set, or we may not read them (then `password` is `None` as well).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aging {
    /// Of the last change of the password, counted from 1970-01-01.
    pub changed: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub warn: Option<i64>,
    pub inactive: Option<i64>,
    /// When the account expires, counted from 1970-01-01.
    pub expires: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    /// Sorted.
    pub members: Vec<String>,
}

/// Groups are listed whole, because membership stands with the group and not with the user.
pub(super) fn job(questions: &[Question]) -> Job {
    let users: Vec<&str> = questions
        .iter()
        .filter_map(|question| match question {
            Question::Account(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let groups: Vec<&str> = questions
        .iter()
        .filter_map(|question| match question {
            Question::Group(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let mut script = String::from("command -v getent >/dev/null || exit 46\n");
    if !users.is_empty() {
        script.push_str(&format!("getent passwd -- {users}\n", users = join(&users)));
    }
    script.push_str("echo =\ngetent group\n");
    if !groups.is_empty() {
        script.push_str(&format!("getent group -- {}\n", join(&groups)));
    }
    script.push_str("echo =\n");
    if !users.is_empty() {
        script.push_str(&format!("[ -r /etc/shadow ] && getent shadow -- {}\n", join(&users)));
    }
    script.push_str("echo =");
    Job::new(script)
}

pub(super) fn read(questions: &[Question], reply: &Reply) -> Vec<Answered> {
    let text = String::from_utf8_lossy(&reply.stdout);
    let mut sections: Vec<Vec<Vec<&str>>> = vec![Vec::new()];
    for line in text.lines() {
        if line == "=" {
            sections.push(Vec::new());
        } else if let Some(section) = sections.last_mut() {
            section.push(line.split(':').collect());
        }
    }
    if sections.len() != 4 {
        let reason =
            CannotTell("`getent` is missing or was ended; users and groups cannot be looked up".into());
        return questions.iter().map(|_| Err(reason.clone())).collect();
    }
    let groups: HashMap<&str, Group> =
        sections[1].iter().filter_map(|fields| Some((*fields.first()?, group(fields)?))).collect();
    let shadow: HashMap<&str, &Vec<&str>> =
        sections[2].iter().filter_map(|fields| Some((*fields.first()?, fields))).collect();
    questions
        .iter()
        .map(|question| match question {
            Question::Account(name) => Ok(Answer::Account(
                sections[0]
                    .iter()
                    .find(|fields| fields[0] == name)
                    // getent(1) takes digits for a number where there is no such name.
                    .or_else(|| sections[0].iter().find(|fields| fields.get(2) == Some(&name.as_str())))
                    .and_then(|fields| account(fields, &groups, shadow.get(name.as_str()).copied())),
            )),
            Question::Group(name) => {
                let number = name.parse().ok();
                let by_number = || groups.values().find(|group| Some(group.gid) == number);
                Ok(Answer::Group(groups.get(name.as_str()).or_else(by_number).cloned()))
            }
            _ => Err(CannotTell("not a question about users or groups".into())),
        })
        .collect()
}

fn group(fields: &[&str]) -> Option<Group> {
    let [name, _, gid, members] = fields else { return None };
    let mut members: Vec<String> = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    members.sort();
    Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
}

fn account(fields: &[&str], groups: &HashMap<&str, Group>, shadow: Option<&Vec<&str>>) -> Option<Account> {
    let [name, _, uid, gid, gecos, home, shell] = fields else { return None };
    let gid = gid.parse().ok()?;
    let mut others: Vec<String> = groups
        .values()
        .filter(|group| group.members.iter().any(|member| member == name) && group.gid != gid)
        .map(|group| group.name.clone())
        .collect();
    others.sort();
    Some(Account {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid,
        gecos: (*gecos).to_owned(),
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
        group: groups
            .values()
            .find(|group| group.gid == gid)
            .map(|group| group.name.clone())
            .unwrap_or_default(),
        groups: others,
        password: shadow.and_then(|fields| fields.get(1)).map(|password| (*password).to_owned()),
        aging: shadow.map(|fields| aging(fields)).unwrap_or_default(),
    })
}

fn aging(fields: &[&str]) -> Aging {
    let number = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
    Aging {
        changed: number(2),
        min: number(3),
        max: number(4),
        warn: number(5),
        inactive: number(6),
        expires: number(7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_users_with_their_groups() {
        let text = "ann:x:1000:1000:Ann:/home/ann:/bin/bash\n=\nann:x:1000:\nadm:x:4:syslog,ann\n=\nann:!:1:0:99999:7:::\n=\n";
        let questions =
            [Question::Account("ann".into()), Question::Account("bob".into()), Question::Group("adm".into())];
        let reply = Reply::new(0, text, "");
        let answers = read(&questions, &reply);
        let Ok(Answer::Account(Some(ann))) = &answers[0] else { panic!("{answers:?}") };
        assert_eq!(
            (ann.group.as_str(), &ann.groups[..], ann.password.as_deref()),
            ("ann", &["adm".to_owned()][..], Some("!"))
        );
        let aging =
            Aging { changed: Some(1), min: Some(0), max: Some(99999), warn: Some(7), ..Aging::default() };
        assert_eq!(ann.aging, aging);
        assert_eq!(answers[1], Ok(Answer::Account(None)));
        let Ok(Answer::Group(Some(adm))) = &answers[2] else { panic!("{answers:?}") };
        assert_eq!(adm.members, ["ann", "syslog"]);
    }

    #[test]
    fn a_number_finds_who_has_it() {
        let text = "ann:x:1000:1000:Ann:/home/ann:/bin/bash\n=\nann:x:1000:\nadm:x:4:\n=\n=\n";
        let questions =
            [Question::Account("1000".into()), Question::Group("4".into()), Question::Group("5".into())];
        let reply = Reply::new(0, text, "");
        let answers = read(&questions, &reply);
        assert!(matches!(&answers[0], Ok(Answer::Account(Some(account))) if account.name == "ann"));
        assert!(matches!(&answers[1], Ok(Answer::Group(Some(group))) if group.name == "adm"));
        assert_eq!(answers[2], Ok(Answer::Group(None)));
    }

    #[test]
    fn a_cut_reply_is_not_an_absent_user() {
        let reply = Reply { status: 46, ..Reply::default() };
        assert!(read(&[Question::Account("ann".into())], &reply)[0].is_err());
    }
}
