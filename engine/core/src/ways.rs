//! The ways to paths: which links lie on them, and who can change them. Pure: it knows what `stat` has told.

use std::collections::HashMap;

use crate::question::{PathInfo, PathKind};
use crate::touch::is_below;
use crate::{Change, Facts, Operation, Step, Stop, Touch};

/// A symbolic link of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) target: String,
    /// Why it is not followed, as the host tells it.
    pub(crate) refused: Option<String>,
}

/// The links of a host as far as they are known, by their real paths. `None`: a link will stand there no more.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    links: HashMap<String, Option<Link>>,
}

/// A path is looked up through so many links at most, as Linux does.
const HOPS: usize = 40;

impl Ways {
    /// Takes what is not known yet; what is pretended stays.
    pub(crate) fn learn(&mut self, links: Vec<(String, Link)>) {
        for (path, link) in links {
            self.links.entry(path).or_insert(Some(link));
        }
    }

    /// Forgets the links at and below a real path.
    pub(crate) fn forget(&mut self, path: &str) {
        self.links.retain(|link, _| !is_below(link, path));
    }

    pub(crate) fn clear(&mut self) {
        self.links.clear();
    }

    /// Pretends that this stands at a real path.
    pub(crate) fn pretend(&mut self, path: &str, info: Option<&PathInfo>) {
        let link = info.and_then(|info| match &info.kind {
            PathKind::Symlink { target, .. } => Some(Link { target: target.clone(), refused: None }),
            _ => None,
        });
        if link.is_some() || self.links.contains_key(path) {
            self.links.insert(path.to_owned(), link);
        }
    }

    fn is_linked(&self) -> bool {
        !self.links.is_empty()
    }

    /// Returns the real path of what a path leads to, without a link in it, or the link that is not followed.
    pub(crate) fn real(&self, path: &str) -> Result<String, Refusal> {
        if !self.is_linked() {
            return Ok(path.to_owned());
        }
        let mut left: Vec<String> = components(path);
        let mut real = String::new();
        let mut hops = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                real.truncate(real.rfind('/').unwrap_or_default());
                continue;
            }
            let next = format!("{real}/{part}");
            match self.links.get(&next).and_then(Option::as_ref) {
                Some(link) if link.refused.is_some() || hops == HOPS => {
                    return Err(Refusal { link: next, why: link.refused.clone() });
                }
                Some(link) => {
                    hops += 1;
                    if link.target.starts_with('/') {
                        real.clear();
                    }
                    left.extend(components(&link.target));
                }
                None => real = next,
            }
        }
        Ok(if real.is_empty() { "/".into() } else { real })
    }

    /// Returns the real path of what stands at a path: a link at its end is not followed.
    pub(crate) fn entry(&self, path: &str) -> Result<String, Refusal> {
        if !self.is_linked() {
            return Ok(path.to_owned());
        }
        match path.trim_end_matches('/').rsplit_once('/') {
            Some((above, name)) if name != ".." && name != "." => {
                let above = self.real(above)?;
                Ok(format!("{}/{name}", above.trim_end_matches('/')))
            }
            _ => self.real(path),
        }
    }

    /// Returns all names that are known to lead to the same as a path: itself, its real path, and that of what a link leads to.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names = vec![path.to_owned()];
        names.extend(self.entry(path).ok());
        names.extend(self.real(path).ok());
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Returns a path without what leads nowhere: `//`, `.`, and a slash at its end.
fn plain(path: &str) -> String {
    let parts = components(path);
    format!("/{}", parts.iter().rev().map(String::as_str).collect::<Vec<_>>().join("/"))
}

/// In reverse order, so that the first is the last.
fn components(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

/// A link that is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    link: String,
    /// `None`: it would be followed, and leads back to itself.
    why: Option<String>,
}

impl From<Refusal> for Stop {
    fn from(Refusal { link, why }: Refusal) -> Self {
        Stop::Failed(match why {
            Some(why) => format!("`{link}` {why}"),
            None => format!("the link `{link}` leads to itself"),
        })
    }
}

/// Fails at a path that leads through a link that is not followed, and at one where no file can be written.
pub(crate) fn check(steps: &[Step], facts: &Facts) -> Result<(), Stop> {
    for (path, follow) in steps.iter().flat_map(|step| changed(&step.operation)) {
        facts.real_path(&path, follow)?;
    }
    for step in steps {
        if let Operation::Write(write) = &step.operation
            && let Ok(Some(info)) = facts.path(&write.path)
            && info.followed().is_some_and(|info| info.kind == PathKind::Other)
        {
            return Err(Stop::Failed(format!("`{}` is not a regular file", write.path)));
        }
    }
    Ok(())
}

/// Adds the real paths of what the steps change, where they differ.
pub(crate) fn show(steps: &mut [Step], facts: &Facts) {
    for step in steps {
        let shown =
            changed(&step.operation).into_iter().filter(|_| !matches!(step.operation, Operation::Run(_)));
        for (path, follow) in shown {
            if let Ok(real) = facts.real_path(&path, follow)
                && real != plain(&path)
                && plain(&path) == path.trim_end_matches('/')
            {
                step.changes.insert(0, Change::new("path", path, real));
            }
        }
    }
}

/// Returns the paths that an operation changes, and whether a link at their end is followed.
fn changed(operation: &Operation) -> Vec<(String, bool)> {
    let one = |path: &String, follow| vec![(path.clone(), follow)];
    match operation {
        Operation::Write(write) => one(&write.path, write.follow),
        Operation::Attributes { path, .. } | Operation::Directory { path, .. } => one(path, true),
        Operation::Link { path, .. } | Operation::Remove { path } => one(path, false),
        Operation::Run(run) => {
            let paths = run.touches.iter().filter_map(|touch| match touch {
                Touch::Path(path) if path.starts_with('/') => Some((path.clone(), false)),
                _ => None,
            });
            paths.collect()
        }
        Operation::Nothing | Operation::End { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(links: &[(&str, &str, bool)]) -> Ways {
        let mut ways = Ways::default();
        let link = |&(path, target, followed): &(&str, &str, bool)| {
            let refused = (!followed).then(|| "belongs to `app`".to_owned());
            (path.to_owned(), Link { target: target.to_owned(), refused })
        };
        ways.learn(links.iter().map(link).collect());
        ways
    }

    #[test]
    fn a_path_is_known_by_where_it_leads() {
        let ways = ways(&[
            ("/lib", "usr/lib", true),
            ("/srv/cur", "releases/1", true),
            ("/srv/up", "../etc/x", true),
            ("/etc/x", "/srv/cur/y", true),
        ]);
        for (path, real, entry) in [
            ("/lib/a/b", "/usr/lib/a/b", "/usr/lib/a/b"),
            ("/srv/cur", "/srv/releases/1", "/srv/cur"),
            ("/srv/up", "/srv/releases/1/y", "/srv/up"),
            ("/srv/cur/../z", "/srv/releases/z", "/srv/releases/z"),
            ("/opt/a", "/opt/a", "/opt/a"),
        ] {
            assert_eq!(ways.real(path).as_deref(), Ok(real));
            assert_eq!(ways.entry(path).as_deref(), Ok(entry));
        }
        assert_eq!(ways.names("/lib/a"), ["/lib/a", "/usr/lib/a"]);
    }

    #[test]
    fn a_link_of_somebody_else_and_a_circle_are_not_followed() {
        let ways =
            ways(&[("/home/app/.ssh", "/root/.ssh", false), ("/srv/a", "b", true), ("/srv/b", "a", true)]);
        assert!(ways.real("/home/app/.ssh/authorized_keys").is_err());
        assert!(ways.real("/home/app/.ssh").is_err());
        assert_eq!(ways.entry("/home/app/.ssh").as_deref(), Ok("/home/app/.ssh"));
        assert!(ways.real("/srv/a").is_err());
    }

    #[test]
    fn what_is_pretended_stands_whatever_is_told_later() {
        let mut ways = ways(&[("/srv/cur", "r1", true)]);
        ways.pretend("/srv/cur", None);
        ways.learn(vec![("/srv/cur".into(), Link { target: "r2".into(), refused: None })]);
        assert_eq!(ways.real("/srv/cur/x").as_deref(), Ok("/srv/cur/x"));
        ways.forget("/srv");
        ways.learn(vec![("/srv/cur".into(), Link { target: "r2".into(), refused: None })]);
        assert_eq!(ways.real("/srv/cur/x").as_deref(), Ok("/srv/r2/x"));
    }
}
