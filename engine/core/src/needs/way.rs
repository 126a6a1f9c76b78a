//! The way to the path that a step puts something at: directories that are missing, files in their place, links that
//! lead nowhere.

use super::above;
use crate::question::{PathInfo, PathKind};
use crate::{Facts, Operation, Parents, Question, Stop, Write};

/// How many links a path may lead through, as on Linux.
const HOPS: usize = 40;

/// Fails if what `operation` makes cannot be put where it belongs.
pub(super) fn check(operation: &Operation, facts: &Facts) -> Result<(), Stop> {
    match operation {
        Operation::Write(Write { path, parents, follow, .. }) => {
            let end = if *follow { landing(path, facts)? } else { path.clone() };
            // Directories are made on the way to the path that is declared, not to what a link leads to.
            to(&end, if end == *path { parents } else { &Parents::MustExist }, facts)
        }
        Operation::Directory { path, parents, .. } | Operation::Link { path, parents, .. } => {
            to(path, parents, facts)
        }
        _ => Ok(()),
    }
}

/// Fails if there is no way to a path at which nothing is yet.
fn to(path: &str, parents: &Parents, facts: &Facts) -> Result<(), Stop> {
    let Some(folder) = above(path) else { return Ok(()) };
    if !matches!(seen(path, facts)?, Seen::Nothing) {
        return Ok(());
    }
    match parents {
        Parents::MustExist => match seen(folder, facts)? {
            Seen::Nothing => Err(Stop::Failed(format!(
                "the directory `{folder}` does not exist; `makedirs: True` makes it, where a function has that"
            ))),
            other => other.is_folder(folder),
        },
        Parents::Make(_) => {
            let mut folder = Some(folder);
            while let Some(path) = folder {
                match seen(path, facts) {
                    Ok(Seen::Nothing) => folder = above(path),
                    // An earlier state makes it.
                    Err(Stop::UnderWay) => return Ok(()),
                    other => return other?.is_folder(path),
                }
            }
            Ok(())
        }
    }
}

/// Returns the path that writing to `path` writes to: links are followed, also one that leads to nothing yet.
fn landing(path: &str, facts: &Facts) -> Result<String, Stop> {
    let mut at = path.to_owned();
    for _ in 0..HOPS {
        match seen(&at, facts)? {
            Seen::Dangling(target) => at = joined(&at, target),
            _ => return Ok(at),
        }
    }
    Err(Stop::Failed(format!("the link `{path}` leads to itself; remove it, or say where it shall lead")))
}

/// Returns the path that a link at `link` leads to.
fn joined(link: &str, target: &str) -> String {
    let start = if target.starts_with('/') { "" } else { above(link).unwrap_or_default() };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What is known of a path.
enum Seen<'f> {
    Nothing,
    Folder,
    /// Neither a directory nor a link that leads nowhere.
    Other(&'static str),
    /// A link that leads to nothing, with its text.
    Dangling(&'f str),
    /// The host cannot tell, or nobody can yet.
    Hidden,
}

impl Seen<'_> {
    fn is_folder(&self, path: &str) -> Result<(), Stop> {
        match self {
            Seen::Other(kind) => {
                Err(Stop::Failed(format!("`{path}` is a {kind}, where a directory is needed")))
            }
            Seen::Dangling(target) => {
                Err(Stop::Failed(format!("the link `{path}` leads to `{target}`, which does not exist")))
            }
            Seen::Nothing | Seen::Folder | Seen::Hidden => Ok(()),
        }
    }
}

fn seen<'f>(path: &str, facts: &'f Facts) -> Result<Seen<'f>, Stop> {
    if path == "/" {
        return Ok(Seen::Folder);
    }
    match facts.path(path) {
        Ok(None) => Ok(Seen::Nothing),
        Ok(Some(PathInfo { kind: PathKind::Symlink { target, leads_to: None }, .. })) => {
            Ok(Seen::Dangling(target))
        }
        Ok(Some(info)) if info.is_directory() => Ok(Seen::Folder),
        Ok(Some(info)) => Ok(Seen::Other(info.followed().map_or("file", PathInfo::kind_name))),
        Err(Stop::Ask(_)) => Err(Stop::Ask(way(path))),
        Err(Stop::UnderWay) => Err(Stop::UnderWay),
        Err(Stop::Failed(_) | Stop::Unknown(_)) => Ok(Seen::Hidden),
    }
}

/// Returns the questions about a path and all directories above it: what is missing is mostly missing with others.
fn way(path: &str) -> Vec<Question> {
    let all = std::iter::successors(Some(path), |path| above(path)).filter(|path| *path != "/");
    all.map(|path| Question::Path(path.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attributes;
    use crate::question::Answer;

    fn facts(known: &[(&str, Option<PathKind>)]) -> Facts {
        let mut facts = Facts::default();
        for (path, kind) in known {
            let info = kind.clone().map(|kind| PathInfo {
                kind,
                mode: 0o755,
                uid: 0,
                gid: 0,
                user: "root".into(),
                group: "root".into(),
                size: 0,
            });
            facts.learn(Question::Path((*path).to_owned()), Ok(Answer::Path(info)));
        }
        facts
    }

    fn link(target: &str) -> Option<PathKind> {
        Some(PathKind::Symlink { target: target.into(), leads_to: None })
    }

    fn reason(parents: Parents, known: &[(&str, Option<PathKind>)]) -> Option<String> {
        let write = Operation::Write(Write {
            path: "/srv/a/f".into(),
            bytes: Vec::new(),
            attributes: Attributes::default(),
            parents,
            check: None,
            backup: None,
            follow: true,
        });
        match check(&write, &facts(known)) {
            Ok(()) => None,
            Err(stop) => Some(stop.to_string()),
        }
    }

    #[test]
    fn a_directory_that_is_missing_or_no_directory_is_a_failure_that_is_known() {
        let (folder, file) = (Some(PathKind::Directory), Some(PathKind::File));
        let make = || Parents::Make(Attributes::default());
        let missing =
            "the directory `/srv/a` does not exist; `makedirs: True` makes it, where a function has that";
        let (f, a, srv) = (("/srv/a/f", None), ("/srv/a", None), ("/srv", folder.clone()));
        let rows = [
            (Parents::MustExist, vec![f.clone(), a.clone()], Some(missing)),
            (Parents::MustExist, vec![f.clone(), ("/srv/a", folder)], None),
            (make(), vec![f.clone(), a.clone(), srv], None),
            (
                make(),
                vec![f.clone(), a, ("/srv", file.clone())],
                Some("`/srv` is a file, where a directory is needed"),
            ),
            (
                Parents::MustExist,
                vec![f.clone(), ("/srv/a", file)],
                Some("`/srv/a` is a file, where a directory is needed"),
            ),
            (
                make(),
                vec![f, ("/srv/a", link("b"))],
                Some("the link `/srv/a` leads to `b`, which does not exist"),
            ),
        ];
        for (parents, known, expected) in rows {
            assert_eq!(reason(parents, &known).as_deref(), expected, "{known:?}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_followed_to_its_end() {
        let itself = "the link `/srv/a/f` leads to itself; remove it, or say where it shall lead";
        assert_eq!(reason(Parents::MustExist, &[("/srv/a/f", link("f"))]).as_deref(), Some(itself));
        let known = [("/srv/a/f", link("../b/g")), ("/srv/b/g", None), ("/srv/b", None)];
        let missing = reason(Parents::MustExist, &known).unwrap();
        assert!(missing.starts_with("the directory `/srv/b` does not exist"), "{missing}");
        let known = [known[0].clone(), known[1].clone(), ("/srv/b", Some(PathKind::Directory))];
        assert_eq!(reason(Parents::MustExist, &known), None);
    }
}
