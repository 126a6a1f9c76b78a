//! `file.directory`: a directory with this owner and mode, on request with all that is below it
//!
//! ```yaml
//! /var/www/uploads:
//!   file.directory:
//!     - user: www-data
//!     - group: www-data
//!     - dir_mode: '0755'
//!     - file_mode: '0644'
//!     - makedirs: True
//!     - recurse:
//!       - user
//!       - group
//!       - mode
//! ```

use kstate_core::question::{Answer, PathInfo, PathKind};
use kstate_core::{
    Attributes, Change, Claim, Command, Facts, Operation, Parents, Place, Problem, Question, Resource, Run,
    Step, Stop, Touch, Value, names,
};
use serde::Deserialize;

use super::{Choice, Clean, Force, OWNER, WINDOWS, absolute, attribute_changes, foretell_paths, on_each};
use crate::kinds::{Mode, Texts, yes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The path.
    name: String,
    /// The owner. Default: it stays, or is the user that kstate works as.
    user: Option<String>,
    /// The group. Default: it stays, or is the owner's.
    group: Option<String>,
    /// Octal permission bits. Default: they stay, or are 0755.
    mode: Option<Mode>,
    /// Likewise; it has precedence.
    dir_mode: Option<Mode>,
    /// Permission bits of files below it, with `recurse`. Default: `dir_mode`.
    file_mode: Option<Mode>,
    /// Makes missing directories above it, with the same owner and mode. Default: `False`.
    #[serde(default)]
    makedirs: bool,
    /// What holds for everything below it as well: a list of `user`, `group`, `mode`; `ignore_files` or `ignore_dirs`
    /// leaves those alone, `silent` tells only that something changes.
    #[serde(default)]
    recurse: Vec<Recursed>,
    /// How many levels below it `recurse` reaches. Default: all.
    max_depth: Option<usize>,
    /// Removes what is below it, except what the states manage that it requires, however they are named: by path, id,
    /// pattern or SLS. Default: `False`.
    #[serde(default)]
    clean: bool,
    /// Globs, or regular expressions behind `E@`, of relative paths that `clean` leaves.
    exclude_pat: Option<Texts>,
    /// Looks at what links lead to, not at the links. Default: `False`.
    #[serde(default)]
    follow_symlinks: bool,
    /// Replaces a file or link that stands at the path. Default: `False`.
    #[serde(default)]
    force: bool,
    /// The path under which what stands in the way is kept.
    backupname: Option<String>,
    /// `False`: a link to a directory is not taken for one. Default: `True`.
    #[serde(default = "yes")]
    allow_symlink: bool,
    /// Owner and mode hold only for what is below it. Default: `False`.
    #[serde(default)]
    children_only: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Recursed {
    User,
    Group,
    Mode,
    IgnoreFiles,
    IgnoreDirs,
    Silent,
}

#[derive(Debug)]
pub(crate) struct Directory {
    path: String,
    attributes: Attributes,
    parents: Parents,
    follow: bool,
    allow_link: bool,
    force: Force,
    backup: Option<String>,
    children_only: bool,
    below: Option<Below>,
    clean: Option<Clean>,
}

/// What holds for everything below a directory.
#[derive(Debug)]
struct Below {
    directories: Option<Attributes>,
    files: Option<Attributes>,
    max_depth: usize,
    silent: bool,
}

impl State for Directory {
    const NAME: &'static str = "file.directory";
    const SOURCE: &'static str = include_str!("directory.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("owner", OWNER),
        ("win_deny_perms", WINDOWS),
        ("win_inheritance", WINDOWS),
        ("win_owner", WINDOWS),
        ("win_perms", WINDOWS),
        ("win_perms_reset", WINDOWS),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let path = absolute(cx, "name", &arguments.name)?;
        if arguments.clean && arguments.max_depth.is_some() {
            return Err(vec![cx.error("max_depth", "it cannot be given with `clean`")]);
        }
        let clean = if arguments.clean {
            let patterns = arguments.exclude_pat.as_ref().map(|Texts(patterns)| patterns.as_slice());
            let exclude = Choice::new(cx, "exclude_pat", patterns.unwrap_or_default());
            Some(Clean::new(exclude.map_err(|problem| vec![problem])?))
        } else {
            None
        };
        let attributes = Attributes {
            mode: arguments.dir_mode.or(arguments.mode).map(|Mode(mode)| mode),
            user: arguments.user.clone(),
            group: arguments.group.clone(),
        };
        Ok(Directory {
            below: below(&arguments, &attributes, cx)?,
            path,
            parents: if arguments.makedirs { Parents::Make(attributes.clone()) } else { Parents::MustExist },
            attributes,
            follow: arguments.follow_symlinks,
            allow_link: arguments.allow_symlink && !arguments.force,
            force: Force::by("force", arguments.force),
            backup: arguments.backupname,
            children_only: arguments.children_only,
            clean,
        })
    }
}

fn below(arguments: &Arguments, own: &Attributes, cx: &Context<'_>) -> Result<Option<Below>, Vec<Problem>> {
    let has = |recursed| arguments.recurse.contains(&recursed);
    if arguments.recurse.is_empty() {
        return Ok(None);
    }
    let mut problems = Vec::new();
    for (recursed, name, given) in
        [(Recursed::User, "user", own.user.is_some()), (Recursed::Group, "group", own.group.is_some())]
    {
        if has(recursed) && !given {
            problems.push(cx.error("recurse", format!("it names `{name}`, but no `{name}` is given")));
        }
    }
    if has(Recursed::IgnoreFiles) && has(Recursed::IgnoreDirs) {
        problems.push(cx.error("recurse", "only one of `ignore_files` and `ignore_dirs` can be given"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let with = |mode: Option<u32>| Attributes {
        mode: mode.filter(|_| has(Recursed::Mode)),
        user: own.user.clone().filter(|_| has(Recursed::User)),
        group: own.group.clone().filter(|_| has(Recursed::Group)),
    };
    let file_mode = arguments.file_mode.map(|Mode(mode)| mode).or(own.mode);
    Ok(Some(Below {
        directories: Some(with(own.mode)).filter(|_| !has(Recursed::IgnoreDirs)),
        files: Some(with(file_mode)).filter(|_| !has(Recursed::IgnoreFiles)),
        max_depth: arguments.max_depth.unwrap_or(usize::MAX),
        silent: has(Recursed::Silent),
    }))
}

impl Directory {
    /// One that only has to be there, with these attributes.
    pub(super) fn plain(path: String, attributes: Attributes) -> Self {
        Directory {
            path,
            parents: Parents::Make(attributes.clone()),
            attributes,
            follow: false,
            allow_link: true,
            force: Force { is_given: false, argument: None },
            backup: None,
            children_only: false,
            below: None,
            clean: None,
        }
    }

    /// One below a folder, where `clean` of the folder makes room for it.
    pub(super) fn below_folder(path: String, attributes: Attributes) -> Self {
        Directory { force: Force::by("clean", false), ..Directory::plain(path, attributes) }
    }

    fn make(&self) -> Step {
        let mut changes = vec![Change::new("directory", Value::Null, self.path.as_str())];
        changes.extend(attribute_changes(&self.attributes, None));
        let operation = Operation::Directory {
            path: self.path.clone(),
            attributes: self.attributes.clone(),
            parents: self.parents.clone(),
        };
        Step::new(changes, operation)
    }

    /// Removes or renames what stands at the path, and makes the directory.
    fn replace(&self, there: &PathInfo, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let mut steps = clear(&self.path, there, self.backup.as_deref(), self.force, facts)?;
        steps.push(self.make());
        Ok(steps)
    }

    /// Owner and mode of the directory itself.
    fn own_attributes(&self, there: &PathInfo) -> Vec<Step> {
        let is_link = matches!(there.kind, PathKind::Symlink { .. });
        let seen = if self.follow { there.followed().unwrap_or(there) } else { there };
        let mut wanted = self.attributes.clone();
        if is_link && !self.follow {
            // A link has no mode of its own.
            wanted.mode = None;
        }
        let changes = attribute_changes(&wanted, Some(seen));
        if changes.is_empty() {
            return Vec::new();
        }
        if !is_link {
            let (path, attributes) = (self.path.clone(), wanted);
            return vec![Step::new(changes, Operation::Attributes { path, attributes })];
        }
        // One process for the owner, one for the mode.
        let mut there = there.clone();
        let parts = [
            Attributes { mode: None, ..wanted.clone() },
            Attributes { mode: wanted.mode, ..Attributes::default() },
        ];
        let mut steps = Vec::new();
        for wanted in parts {
            let seen = if self.follow { there.followed().unwrap_or(&there) } else { &there };
            let changes = attribute_changes(&wanted, Some(seen));
            if !changes.is_empty() {
                there = changed(&there, &wanted, self.follow);
                let run = attribute_run(&[&self.path], &wanted, self.follow, &self.path)
                    .foretells(Question::Path(self.path.clone()), Answer::Path(Some(there.clone())));
                steps.push(Step::new(changes, run.into()));
            }
        }
        steps
    }

    /// Owner and mode of everything below it, which `tree` tells.
    fn below(
        &self,
        below: &Below,
        facts: &Facts,
        tree_at: &str,
        mut tree: Vec<(String, PathInfo)>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for (wanted, of_directories) in [(&below.files, false), (&below.directories, true)] {
            let Some(wanted) = wanted else { continue };
            // One process for the owners, one for the modes.
            let owner = Attributes { mode: None, ..wanted.clone() };
            let mode = Attributes { mode: wanted.mode, ..Attributes::default() };
            for wanted in [owner, mode] {
                let mut changes = Vec::new();
                let mut touched: Vec<usize> = Vec::new();
                for (index, (path, info)) in tree.iter().enumerate() {
                    let is_link = matches!(info.kind, PathKind::Symlink { .. });
                    let seen = if self.follow { info.followed().unwrap_or(info) } else { info };
                    let is_due = info.is_directory() == of_directories
                        && depth(path, &self.path) <= below.max_depth
                        && !(is_link && !self.follow && wanted.mode.is_some());
                    let differs = if is_due { attribute_changes(&wanted, Some(seen)) } else { Vec::new() };
                    if !differs.is_empty() {
                        touched.push(index);
                        changes.extend(differs.into_iter().map(|change| Change {
                            subject: format!("{} of {}", change.subject, names::shown(path)),
                            ..change
                        }));
                    }
                }
                if touched.is_empty() {
                    continue;
                }
                for index in &touched {
                    tree[*index].1 = changed(&tree[*index].1, &wanted, self.follow);
                }
                let paths: Vec<&str> = touched.iter().map(|index| tree[*index].0.as_str()).collect();
                let mut run = attribute_run(&paths, &wanted, self.follow, &self.path);
                run = run.foretells(Question::Tree(tree_at.to_owned()), Answer::Tree(tree.clone()));
                run = foretell_paths(run, facts, &tree);
                if below.silent {
                    changes = vec![Change::new("below it", Value::Null, "changes that are not shown")];
                }
                steps.push(Step::new(changes, run.into()));
            }
        }
        steps
    }
}

/// How many levels `path` is below `root`.
fn depth(path: &str, root: &str) -> usize {
    path[root.len()..].trim_start_matches('/').split('/').count()
}

/// chown(1) or chmod(1), for whichever is wanted, on many paths.
fn attribute_run(paths: &[&str], wanted: &Attributes, follow: bool, root: &str) -> Run {
    let (user, group) = (wanted.user.as_deref(), wanted.group.as_deref());
    let owner = match (user, group) {
        (Some(user), None) => Some(user.to_owned()),
        (user, Some(group)) => Some(format!("{}:{group}", user.unwrap_or_default())),
        (None, None) => None,
    };
    match (owner, wanted.mode) {
        (Some(owner), _) if follow => on_each(&["chown", "--", &owner], paths, root),
        (Some(owner), _) => on_each(&["chown", "-h", "--", &owner], paths, root),
        // Five digits: with fewer, chmod(1) leaves the set-id bits of a directory.
        (None, mode) => on_each(&["chmod", "--", &format!("{:05o}", mode.unwrap_or_default())], paths, root),
    }
}

/// What `info` is when the attributes have been set.
fn changed(info: &PathInfo, wanted: &Attributes, follow: bool) -> PathInfo {
    let mut info = info.clone();
    let is_link = matches!(info.kind, PathKind::Symlink { .. });
    let seen = match &mut info.kind {
        PathKind::Symlink { leads_to: Some(leads_to), .. } if follow => leads_to.as_mut(),
        _ => &mut info,
    };
    if (wanted.user.is_some() || wanted.group.is_some()) && seen.kind == PathKind::File {
        // chown(2) clears the set-id bits of a file.
        seen.mode &= 0o1777;
    }
    if let Some(mode) = wanted.mode.filter(|_| follow || !is_link) {
        seen.mode = mode;
    }
    if let Some(user) = &wanted.user {
        seen.user = user.clone();
    }
    if let Some(group) = &wanted.group {
        seen.group = group.clone();
    }
    info
}

/// Makes room at a path where something else stands: keeps it under another name, or removes it if that is forced.
pub(super) fn clear(
    path: &str,
    there: &PathInfo,
    backup: Option<&str>,
    force: Force,
    facts: &Facts,
) -> Result<Vec<Step>, Stop> {
    let kind = there.kind_name();
    let Some(backup) = backup else {
        if !force.is_given {
            return Err(force.refused(kind, path));
        }
        let change = Change::new(kind, path, Value::Null);
        return Ok(vec![Step::new([change], Operation::Remove { path: path.to_owned() })]);
    };
    let mut steps = Vec::new();
    if let Some(old) = facts.path(backup)? {
        if !force.is_given {
            let message = format!("a {} stands at `{backup}`, where the backup goes", old.kind_name());
            return Err(Stop::Failed(message));
        }
        let change = Change::new(old.kind_name(), backup, Value::Null);
        steps.push(Step::new([change], Operation::Remove { path: backup.to_owned() }));
    }
    let touches = [Touch::Path(path.to_owned()), Touch::Path(backup.to_owned())];
    let run = Run::new(Command::words(["mv", "-T", "--", path, backup]), touches)
        .foretells(Question::Path(path.to_owned()), Answer::Path(None))
        .foretells(Question::Path(backup.to_owned()), Answer::Path(Some(there.clone())));
    steps.push(Step::new([Change::new(kind, path, backup)], run.into()));
    Ok(steps)
}

impl Resource for Directory {
    fn questions(&self) -> Vec<Question> {
        let mut questions = vec![Question::Path(self.path.clone())];
        questions.extend(self.backup.iter().cloned().map(Question::Path));
        if self.below.is_some() || self.clean.is_some() {
            questions.push(Question::Tree(self.path.clone()));
        }
        questions
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let Some(there) = facts.path(&self.path)? else { return Ok(vec![self.make()]) };
        let is_link = matches!(there.kind, PathKind::Symlink { .. });
        if !there.is_directory() || (is_link && !self.allow_link) {
            return self.replace(there, facts);
        }
        let mut steps = if self.children_only { Vec::new() } else { self.own_attributes(there) };
        // `find` looks behind a link only if the path ends with a slash.
        let tree_at = if is_link { format!("{}/", self.path) } else { self.path.clone() };
        if self.clean.is_none() && self.below.is_none() {
            return Ok(steps);
        }
        let mut tree = facts.tree(&tree_at)?.to_vec();
        if let Some(clean) = &self.clean
            && let Some((step, left)) = clean.step(&tree_at, &tree, &|_| false)?
        {
            steps.push(step);
            tree = left;
        }
        if let Some(below) = &self.below {
            steps.extend(self.below(below, facts, &tree_at, tree));
        }
        Ok(steps)
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::new(&*self.path, "directory")]
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.path)]
    }

    fn cleans(&self) -> bool {
        self.clean.is_some()
    }

    fn keep(&mut self, places: Vec<Place>) {
        if let Some(clean) = &mut self.clean {
            clean.required = places;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles, stands, tree};

    fn directory(arguments: &str) -> Box<dyn Resource> {
        declare(&format!("/srv/a/:\n  file.directory:\n{arguments}"), &Tree::default())
    }

    fn subjects(resource: &dyn Resource, facts: &Facts) -> Vec<String> {
        let steps = resource.diff(facts).unwrap();
        steps.iter().flat_map(|step| &step.changes).map(ToString::to_string).collect()
    }

    fn all_below() -> Facts {
        let mut facts = Facts::default();
        stands(&mut facts, "/srv/a", PathKind::Directory, 0o755, "root");
        let link = PathKind::Symlink { target: "f".into(), leads_to: None };
        tree(
            &mut facts,
            "/srv/a",
            &[
                ("/srv/a/d", PathKind::Directory, 0o700, "root"),
                ("/srv/a/d/f", PathKind::File, 0o600, "ann"),
                ("/srv/a/l", link, 0o777, "root"),
            ],
        );
        facts
    }

    #[test]
    fn a_directory_as_declared_needs_nothing() {
        let mut facts = Facts::default();
        stands(&mut facts, "/srv/a", PathKind::Directory, 0o755, "root");
        assert_eq!(directory("    - mode: 755\n    - user: 0\n").diff(&facts), Ok(Vec::new()));
    }

    #[test]
    fn makes_a_missing_one_with_owner_and_mode() {
        let mut facts = Facts::default();
        facts.learn(Question::Path("/srv/a".into()), Ok(Answer::Path(None)));
        let made = directory("    - user: ann\n    - dir_mode: 2750\n    - makedirs: True\n");
        assert_eq!(subjects(&*made, &facts), ["directory: /srv/a", "mode: 2750", "user: ann"]);
        settles(&*made, &mut facts);
    }

    #[test]
    fn sets_owner_and_mode_of_everything_below() {
        let recurse =
            "    - user: ann\n    - dir_mode: 755\n    - file_mode: 644\n    - recurse: [user, mode]\n";
        let made = directory(recurse);
        let expected = [
            "user: root -> ann",
            "user of /srv/a/l: root -> ann",
            "mode of /srv/a/d/f: 0600 -> 0644",
            "user of /srv/a/d: root -> ann",
            "mode of /srv/a/d: 0700 -> 0755",
        ];
        assert_eq!(subjects(&*made, &all_below()), expected);
        settles(&*made, &mut all_below());
        let shallow = directory(&format!("{recurse}    - max_depth: 1\n    - children_only: True\n"));
        assert_eq!(subjects(&*shallow, &all_below()), [expected[1], expected[3], expected[4]]);
        let files = directory(
            "    - user: ann\n    - mode: 755\n    - file_mode: 600\n    - recurse: [mode, ignore_dirs]\n",
        );
        assert_eq!(subjects(&*files, &all_below()), ["user: root -> ann"]);
    }

    #[test]
    fn cleans_what_nothing_requires() {
        let mut cleaned = directory("    - clean: True\n");
        assert!(cleaned.cleans());
        cleaned.keep(vec![Place::whole("/srv/a/d/f"), Place::whole("/srv/a"), Place::whole("/srv")]);
        assert_eq!(subjects(&*cleaned, &all_below()), ["symlink: /srv/a/l -> absent"]);
        settles(&*cleaned, &mut all_below());
        let all = directory("    - clean: True\n    - exclude_pat: l*\n");
        assert_eq!(
            subjects(&*all, &all_below()),
            ["directory: /srv/a/d -> absent", "file: /srv/a/d/f -> absent"]
        );
        settles(&*all, &mut all_below());
    }

    #[test]
    fn what_stands_in_the_way_goes_only_if_that_is_said() {
        let mut facts = Facts::default();
        stands(&mut facts, "/srv/a", PathKind::File, 0o644, "root");
        facts.learn(Question::Path("/srv/b".into()), Ok(Answer::Path(None)));
        let message = "a file stands at `/srv/a`; `force: True` removes it";
        assert_eq!(directory("    - mode: 755\n").diff(&facts), Err(Stop::Failed(message.into())));
        let kept = directory("    - backupname: /srv/b\n");
        assert_eq!(subjects(&*kept, &facts), ["file: /srv/a -> /srv/b", "directory: /srv/a"]);
        settles(&*kept, &mut facts);
        let mut facts = Facts::default();
        stands(&mut facts, "/srv/a", PathKind::File, 0o644, "root");
        settles(&*directory("    - force: True\n"), &mut facts);
    }

    #[test]
    fn a_link_to_a_directory_is_owned_itself_unless_it_is_followed() {
        let linked = || {
            let mut facts = Facts::default();
            stands(&mut facts, "/srv/a", PathKind::Directory, 0o755, "root");
            let leads_to = facts.path("/srv/a").unwrap().cloned().map(Box::new);
            let link = PathKind::Symlink { target: "b".into(), leads_to };
            stands(&mut facts, "/srv/a", link, 0o777, "bob");
            facts
        };
        let declared = "    - user: ann\n    - mode: 711\n";
        let own = directory(declared);
        assert_eq!(subjects(&*own, &linked()), ["user: bob -> ann"]);
        settles(&*own, &mut linked());
        let followed = directory(&format!("{declared}    - follow_symlinks: True\n"));
        assert_eq!(subjects(&*followed, &linked()), ["user: root -> ann", "mode: 0755 -> 0711"]);
        settles(&*followed, &mut linked());
        let refused = directory("    - allow_symlink: False\n").diff(&linked());
        assert!(matches!(refused, Err(Stop::Failed(_))), "{refused:?}");
    }

    #[test]
    fn says_what_is_wrong_with_recurse() {
        let error =
            |text: &str| declare_error(&format!("/srv/a:\n  file.directory:\n{text}"), &Tree::default());
        assert!(error("    - recurse: [user]\n").ends_with("it names `user`, but no `user` is given"));
        assert!(
            error("    - recurse: [owner]\n").contains("`recurse`"),
            "{}",
            error("    - recurse: [owner]\n")
        );
    }
}
