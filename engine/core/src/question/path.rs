//! What stands at a path: `stat(1)`, one process for all paths, and `readlink(1)` for links.

use super::{Answer, Answered, CannotTell, complaint};
use crate::hands::RESOLVE;
use crate::ways::Link;
use crate::words::{is_printed_plainly, join, quote};
use crate::{Job, Reply};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    pub kind: PathKind,
    /// Permission bits with set-id and sticky: `0o4755`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// `UNKNOWN` where the number has no name.
    pub user: String,
    pub group: String,
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathKind {
    File,
    Directory,
    /// A link, with its text and what it leads to (`None`: nothing is there).
    Symlink {
        target: String,
        leads_to: Option<Box<PathInfo>>,
    },
    /// A device, a socket or a pipe.
    Other,
}

impl PathInfo {
    /// What one finds on following links.
    pub fn followed(&self) -> Option<&PathInfo> {
        match &self.kind {
            PathKind::Symlink { leads_to, .. } => leads_to.as_deref(),
            _ => Some(self),
        }
    }

    pub fn is_directory(&self) -> bool {
        self.followed().is_some_and(|info| info.kind == PathKind::Directory)
    }

    pub fn is_file(&self) -> bool {
        self.followed().is_some_and(|info| info.kind == PathKind::File)
    }

    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            PathKind::File => "file",
            PathKind::Directory => "directory",
            PathKind::Symlink { .. } => "symlink",
            PathKind::Other => "special file",
        }
    }
}

const FORMAT: &str = "%f %u %g %s %U %G %n";

const LINKS: &str = r#"i=0; for p do if [ -L "$p" ]; then echo "> $i"; readlink -- "$p"; stat -L -c '%f %u %g %s %U %G .' -- "$p" 2>/dev/null || echo dangling; fi; i=$((i+1)); done"#;

/// Paths that `stat` would print in another way are asked one by one, each after its number.
pub(super) fn job(paths: &[&str]) -> Job {
    let plain = join(paths.iter().filter(|path| is_printed_plainly(path)));
    let mut script =
        if plain.is_empty() { String::new() } else { format!("stat -c '{FORMAT}' -- {plain} 2>&1\n") };
    for (number, path) in paths.iter().enumerate().filter(|(_, path)| !is_printed_plainly(path)) {
        script += &format!("echo '= {number}'; stat -c '%f %u %g %s %U %G .' -- {} 2>&1\n", quote(path));
    }
    let mut all: Vec<&str> = paths.iter().flat_map(|path| above(path).chain([*path])).collect();
    all.sort_unstable();
    all.dedup();
    Job::new(format!(
        "{script}set -- {}\n{LINKS}\n{RESOLVE}{WAYS}set -- {}\nways \"$@\"",
        join(paths),
        join(all)
    ))
}

/// The directories above a path.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).filter(|above| !above.is_empty())
}

/// Tells each link on the way to a path: three texts that are ended by NUL, the last of them the reason why it is not followed.
const WAYS: &str = r#"met() {
printf '%s\0' "$real/$part" "$to" "$why"
[ -z "$why" ] || exit 0
}
ways() {
echo ways
for p do
[ ! -L "$p" ] || (resolve "$p") 2>/dev/null
done
}
"#;

/// Reads which links lie on the ways to the paths.
pub(super) fn links(reply: &Reply) -> Vec<(String, Link)> {
    let mark = b"ways\n";
    let after = reply.stdout.windows(mark.len()).rposition(|part| part == mark);
    let text = after.map(|at| String::from_utf8_lossy(&reply.stdout[at + mark.len()..])).unwrap_or_default();
    let fields: Vec<&str> = text.split('\0').collect();
    fields.chunks_exact(3).filter_map(|fields| <[&str; 3]>::try_from(fields).ok()).map(link).collect()
}

fn link([path, target, why]: [&str; 3]) -> (String, Link) {
    let refused = (!why.is_empty()).then(|| why.to_owned());
    (path.to_owned(), Link { target: target.to_owned(), refused })
}

pub(super) fn read(paths: &[&str], reply: &Reply) -> Vec<Answered> {
    let text = String::from_utf8_lossy(&reply.stdout);
    let mut found: Vec<Option<Answered>> = vec![None; paths.len()];
    let at = |path: &str| paths.iter().position(|p| *p == path);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(number) = line.strip_prefix("> ") {
            let target = lines.next().unwrap_or_default().to_owned();
            let leads_to = lines.next().and_then(info).map(|(info, _)| Box::new(info));
            let place = number.parse().ok().and_then(|number: usize| found.get_mut(number));
            if let Some(Some(Ok(Answer::Path(Some(info))))) = place {
                info.kind = PathKind::Symlink { target, leads_to };
            }
        } else if let Some(number) = line.strip_prefix("= ") {
            let said = lines.next().unwrap_or_default();
            if let Some((number, place)) =
                number.parse().ok().and_then(|number: usize| Some((number, found.get_mut(number)?)))
            {
                let reason = said.rsplit_once(": ").map_or(said, |(_, reason)| reason);
                *place = Some(match info(said) {
                    Some((info, _)) => Ok(Answer::Path(Some(info))),
                    None => refused(paths[number], reason),
                });
            }
        } else if let Some((info, path)) = info(line) {
            if let Some(i) = at(path) {
                found[i] = Some(Ok(Answer::Path(Some(info))));
            }
        } else if let Some((path, reason)) = refusal(line)
            && let Some(i) = at(path)
        {
            found[i] = Some(refused(path, reason));
        }
    }
    found.into_iter().map(|answer| answer.unwrap_or_else(|| Err(complaint(reply)))).collect()
}

/// Likewise, each part ended by NUL: a name found on the host may have any other character.
const TREE_LINKS: &str = r#"for p do printf '> %s\0' "$p"; readlink -z -- "$p"; stat -L --printf '%f %u %g %s %U %G %n\0' -- "$p" 2>/dev/null || printf 'dangling\0'; done"#;

pub(super) fn tree_job(path: &str) -> Job {
    let path = quote(path);
    Job::new(format!(
        "[ -d {path} ] || exit 0\nfind {path} -mindepth 1 -exec stat --printf '{FORMAT}\\0' -- {{}} +\n\
         find {path} -mindepth 1 -type l -exec sh -c {} sh {{}} +",
        quote(TREE_LINKS)
    ))
}

pub(super) fn read_tree(_path: &str, reply: &Reply) -> Answered {
    let text = crate::names::text(&reply.stdout);
    let mut found: Vec<(String, PathInfo)> = Vec::new();
    let mut lines = text.split('\0');
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("> ") {
            let target = lines.next().unwrap_or_default().to_owned();
            let leads_to = lines.next().and_then(info).map(|(info, _)| Box::new(info));
            if let Some((_, info)) = found.iter_mut().find(|(p, _)| p == path) {
                info.kind = PathKind::Symlink { target, leads_to };
            }
        } else if let Some((info, path)) = info(line) {
            found.push((path.to_owned(), info));
        }
    }
    if !reply.ok() && !reply.stderr.is_empty() {
        return Err(complaint(reply));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Answer::Tree(found))
}

/// One line of `stat -c`, and the path that it ends with.
fn info(line: &str) -> Option<(PathInfo, &str)> {
    let mut fields = line.splitn(7, ' ');
    let raw = u32::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let size = fields.next()?.parse().ok()?;
    let user = fields.next()?.to_owned();
    let group = fields.next()?.to_owned();
    let kind = match raw & 0o170_000 {
        0o100_000 => PathKind::File,
        0o040_000 => PathKind::Directory,
        0o120_000 => PathKind::Symlink { target: String::new(), leads_to: None },
        _ => PathKind::Other,
    };
    Some((PathInfo { kind, mode: raw & 0o7777, uid, gid, user, group, size }, fields.next()?))
}

fn refused(path: &str, reason: &str) -> Answered {
    match reason {
        "No such file or directory" | "Not a directory" | "Too many levels of symbolic links" => {
            Ok(Answer::Path(None))
        }
        _ => Err(CannotTell(format!("`{path}`: {reason}"))),
    }
}

/// `stat: cannot statx '/x': Permission denied`.
fn refusal(line: &str) -> Option<(&str, &str)> {
    let (head, reason) = line.rsplit_once(": ")?;
    let (_, path) = head.split_once(['\'', '‘'])?;
    Some((path.trim_end_matches(['\'', '’']), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        Reply::new(1, text, "")
    }

    #[test]
    fn reads_what_stat_prints() {
        let text = "81a4 0 0 23 root root /etc/a b\nstat: cannot statx '/nope': No such file or directory\n\
                    stat: cannot statx '/root/x': Permission denied\na1ff 0 0 4 root root /l\n\
                    > 3\n/tmp\n43ff 0 0 4096 root root .\n";
        let answers = read(&["/etc/a b", "/nope", "/root/x", "/l", "/silent"], &reply(text));
        let Ok(Answer::Path(Some(file))) = &answers[0] else { panic!("{answers:?}") };
        assert_eq!((file.mode, file.size, &file.kind), (0o644, 23, &PathKind::File));
        assert_eq!(answers[1], Ok(Answer::Path(None)));
        assert_eq!(answers[2], Err(CannotTell("`/root/x`: Permission denied".into())));
        let Ok(Answer::Path(Some(link))) = &answers[3] else { panic!("{answers:?}") };
        assert!(link.is_directory());
        assert!(matches!(&link.kind, PathKind::Symlink { target, .. } if target == "/tmp"));
        assert!(answers[4].is_err());
    }

    #[test]
    fn a_name_that_stat_would_quote_is_known_by_its_number() {
        let paths = ["/it's", "/plain", "/é\\", "/new\nline"];
        let script = job(&paths).script;
        assert!(script.contains("-- /plain 2>&1") && script.contains("echo '= 2'"), "{script}");
        let text = "stat: cannot statx '/plain': No such file or directory\n= 0\n\
                    stat: cannot statx \"/it's\": No such file or directory\n= 2\n81a4 0 0 1 root root .\n= 3\n\
                    stat: cannot statx '/new'$'\\n''line': Permission denied\n";
        let answers = read(&paths, &reply(text));
        assert_eq!(answers[0], Ok(Answer::Path(None)));
        assert_eq!(answers[1], Ok(Answer::Path(None)));
        assert!(matches!(&answers[2], Ok(Answer::Path(Some(info))) if info.size == 1), "{answers:?}");
        assert_eq!(answers[3], Err(CannotTell("`/new\nline`: Permission denied".into())));
    }

    #[test]
    fn a_name_below_a_directory_may_hold_a_newline() {
        let text = "81a4 0 0 1 root root /d/a\nb\0a1ff 0 0 4 root root /d/l\0> /d/l\0a\nb\0dangling\0";
        let reply = Reply::new(0, text, "");
        let Ok(Answer::Tree(tree)) = read_tree("/d", &reply) else { panic!() };
        let names: Vec<&str> = tree.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["/d/a\nb", "/d/l"]);
        assert_eq!(tree[1].1.kind, PathKind::Symlink { target: "a\nb".into(), leads_to: None });
    }
}
