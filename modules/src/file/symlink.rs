//! `file.symlink`: a symbolic link that leads to this target
//!
//! ```yaml
//! /etc/apache2/sites-enabled/app.conf:
//!   file.symlink:
//!     - target: ../sites-available/app.conf
//!     - makedirs: True
//! ```

use kstate_core::question::{Answer, PathInfo, PathKind};
use kstate_core::{
    Attributes, Change, Claim, Command, Content, Facts, Operation, Parents, Place, Problem, Question,
    Resource, Run, Step, Stop, Touch, Value,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::directory::clear;
use super::{Force, OWNER, WINDOWS, absolute, attribute_changes};
use crate::kinds::Mode;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path of the link.
    name: String,
    /// Where it leads, as it is written into the link.
    target: String,
    /// Removes what else stands at the path, also a directory with all that is below it. Default: `False`.
    #[serde(default)]
    force: bool,
    /// The name under which what else stands there is kept: a path, or a name beside the link.
    backupname: Option<String>,
    /// Makes missing directories above it. Default: `False`.
    #[serde(default)]
    makedirs: bool,
    /// The owner of the link. Default: it stays, or is the user that kstate works as.
    user: Option<String>,
    /// The group of the link. Default: it stays, or is the owner's.
    group: Option<String>,
    /// Permission bits of directories made by `makedirs`; a link has none.
    mode: Option<Mode>,
    /// Replaces a file, but not a directory, also without `force`. Default: `False`.
    #[serde(default)]
    atomic: bool,
    /// A new link keeps the owner of the old one where none is given. Default: `False`.
    #[serde(default)]
    inherit_user_and_group: bool,
    /// Has no meaning here: the link itself is looked at in any case.
    #[expect(dead_code, reason = "accepted because trees have it")]
    follow_symlinks: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Symlink {
    path: String,
    target: String,
    user: Option<String>,
    group: Option<String>,
    parents: Parents,
    force: Force,
    backup: Option<String>,
    atomic: bool,
    inherit: bool,
}

impl State for Symlink {
    const NAME: &'static str = "file.symlink";
    const SOURCE: &'static str = include_str!("symlink.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("disallow_copy_and_unlink", "a backup is moved by mv(1)"),
        ("owner", OWNER),
        ("win_deny_perms", WINDOWS),
        ("win_inheritance", WINDOWS),
        ("win_owner", WINDOWS),
        ("win_perms", WINDOWS),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        let backup = match arguments.backupname {
            Some(name) if name.starts_with('/') => Some(name),
            Some(name) if name.contains('/') => {
                return Err(vec![cx.error("backupname", "it is neither an absolute path nor a name")]);
            }
            name => name.map(|name| format!("{folder}/{name}")),
        };
        let (user, group) = (arguments.user, arguments.group);
        let mode = arguments.mode.map(|Mode(mode)| mode);
        let above = Attributes { mode, user: user.clone(), group: group.clone() };
        Ok(Symlink {
            path,
            target: arguments.target,
            parents: if arguments.makedirs { Parents::Make(above) } else { Parents::MustExist },
            user,
            group,
            force: Force::by("force", arguments.force),
            backup,
            atomic: arguments.atomic,
            inherit: arguments.inherit_user_and_group,
        })
    }
}

/// Python: `os.path.normpath`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", None) if path.starts_with('/') => {}
            _ => parts.push(part),
        }
    }
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

impl Symlink {
    pub(super) fn plain(path: String, target: String, above: Attributes, force: Force) -> Self {
        Symlink {
            path,
            target,
            user: above.user.clone(),
            group: above.group.clone(),
            parents: Parents::Make(above),
            force,
            backup: None,
            atomic: false,
            inherit: false,
        }
    }

    /// The step that puts the link in the place of `old`.
    fn link(&self, old: Option<&PathInfo>) -> Step {
        let inherited = old.filter(|_| self.inherit);
        let user = self.user.clone().or_else(|| inherited.map(|info| info.user.clone()));
        let group = self.group.clone().or_else(|| inherited.map(|info| info.group.clone()));
        let before = old.map_or(Value::Null, |old| match &old.kind {
            PathKind::Symlink { target, .. } => target.as_str().into(),
            _ => old.kind_name().into(),
        });
        let mut changes = vec![Change::new("target", before, self.target.as_str())];
        let owner = Attributes { mode: None, user: user.clone(), group: group.clone() };
        changes.extend(attribute_changes(&owner, old));
        let operation = Operation::Link {
            path: self.path.clone(),
            target: self.target.clone(),
            user,
            group,
            parents: self.parents.clone(),
        };
        Step::new(changes, operation)
    }

    fn owner(&self, there: &PathInfo) -> Vec<Step> {
        let wanted = Attributes { mode: None, user: self.user.clone(), group: self.group.clone() };
        let changes = attribute_changes(&wanted, Some(there));
        if changes.is_empty() {
            return Vec::new();
        }
        let owner = match (&self.user, &self.group) {
            (Some(user), None) => user.clone(),
            (user, group) => {
                format!("{}:{}", user.as_deref().unwrap_or_default(), group.as_deref().unwrap_or_default())
            }
        };
        let after = PathInfo {
            user: self.user.clone().unwrap_or_else(|| there.user.clone()),
            group: self.group.clone().unwrap_or_else(|| there.group.clone()),
            ..there.clone()
        };
        let command = Command::words(["chown", "-h", "--", &owner, &self.path]);
        let run = Run::new(command, [Touch::Path(self.path.clone())])
            .foretells(Question::Path(self.path.clone()), Answer::Path(Some(after)));
        vec![Step::new(changes, run.into())]
    }
}

impl Resource for Symlink {
    fn questions(&self) -> Vec<Question> {
        std::iter::once(&self.path).chain(&self.backup).cloned().map(Question::Path).collect()
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.path)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let Some(there) = facts.path(&self.path)? else { return Ok(vec![self.link(None)]) };
        match &there.kind {
            PathKind::Symlink { target, .. } if normal(target) == normal(&self.target) => {
                Ok(self.owner(there))
            }
            PathKind::Symlink { .. } => Ok(vec![self.link(Some(there))]),
            // A file is replaced at one stroke; anything else has to go first.
            PathKind::File if (self.force.is_given || self.atomic) && self.backup.is_none() => {
                Ok(vec![self.link(Some(there))])
            }
            _ => {
                let mut steps = clear(&self.path, there, self.backup.as_deref(), self.force, facts)?;
                steps.push(self.link(None));
                Ok(steps)
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(&*self.path, format!("link to {}", self.target))]
    }

    fn contents(&self) -> Vec<Content> {
        vec![Content::new("target", self.path.as_str(), self.target.as_str())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, settles, stands};

    fn link(arguments: &str) -> Box<dyn Resource> {
        declare(&format!("/srv/l:\n  file.symlink:\n    - target: /srv/t\n{arguments}"), &Tree::default())
    }

    fn facts(kind: Option<PathKind>) -> Facts {
        let mut facts = Facts::default();
        facts.learn(Question::Path("/srv/l".into()), Ok(Answer::Path(None)));
        facts.learn(Question::Path("/srv/old".into()), Ok(Answer::Path(None)));
        if let Some(kind) = kind {
            stands(&mut facts, "/srv/l", kind, 0o777, "root");
        }
        facts
    }

    fn to(target: &str) -> Option<PathKind> {
        Some(PathKind::Symlink { target: target.into(), leads_to: None })
    }

    #[test]
    fn a_link_that_leads_there_needs_nothing() {
        assert_eq!(link("").diff(&facts(to("/srv/./t/"))), Ok(Vec::new()));
    }

    #[test]
    fn makes_turns_and_owns_a_link() {
        for (arguments, kind, expected) in [
            ("", None, "target: /srv/t"),
            ("", to("/srv/x"), "target: /srv/x -> /srv/t"),
            ("    - user: ann\n", to("/srv/t"), "user: root -> ann"),
            ("    - force: True\n", Some(PathKind::File), "target: file -> /srv/t"),
            ("    - atomic: True\n", Some(PathKind::File), "target: file -> /srv/t"),
            ("    - force: True\n", Some(PathKind::Directory), "directory: /srv/l -> absent"),
            ("    - backupname: old\n", Some(PathKind::Directory), "directory: /srv/l -> /srv/old"),
        ] {
            let (link, mut facts) = (link(arguments), facts(kind));
            assert_eq!(link.diff(&facts).unwrap()[0].changes[0].to_string(), expected);
            settles(&*link, &mut facts);
        }
    }

    #[test]
    fn keeps_what_else_stands_there() {
        let message = "a directory stands at `/srv/l`; `force: True` removes it";
        assert_eq!(link("").diff(&facts(Some(PathKind::Directory))), Err(Stop::Failed(message.into())));
    }
}
