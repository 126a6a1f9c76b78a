//! SHA-256 of files: `sha256sum(1)`, one process for all.

use std::collections::HashMap;

use super::{Answer, Answered, CannotTell, complaint};
use crate::words::{is_printed_plainly, join, quote};
use crate::{Job, Reply};

/// Leaves out what is neither a file nor a directory: reading a pipe or a device may never end.
const FILES: &str = r#"sum() {
odd=
for p do [ -f "$p" ] || [ -d "$p" ] || [ ! -e "$p" ] || odd=1; done
if [ -n "$odd" ]; then
n=$#
while [ $n -gt 0 ]; do
n=$((n-1)) p=$1
shift
if [ -f "$p" ] || [ -d "$p" ] || [ ! -e "$p" ]; then set -- "$@" "$p"; else echo "sha256sum: $p: not a regular file"; fi
done
fi
[ $# -eq 0 ] || sha256sum -- "$@" 2>&1
}
"#;

/// Paths that `sha256sum` would print in another way are asked one by one, each after its number.
pub(super) fn job(paths: &[&str]) -> Job {
    let plain = join(paths.iter().filter(|path| is_printed_plainly(path)));
    let mut script = FILES.to_owned();
    if !plain.is_empty() {
        script += &format!("sum {plain}\n");
    }
    for (number, path) in paths.iter().enumerate().filter(|(_, path)| !is_printed_plainly(path)) {
        script += &format!("echo '= {number}'; sum {}\n", quote(path));
    }
    Job::new(script)
}

pub(super) fn read(paths: &[&str], reply: &Reply) -> Vec<Answered> {
    let text = String::from_utf8_lossy(&reply.stdout);
    let mut found: HashMap<&str, Answered> = HashMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(number) = line.strip_prefix("= ") {
            let said = lines.next().unwrap_or_default();
            if let Some(path) = number.parse().ok().and_then(|number: usize| paths.get(number)) {
                let hash = said.trim_start_matches('\\').split(' ').next().filter(|hash| hash.len() == 64);
                let reason = said.rsplit_once(": ").map_or(said, |(_, reason)| reason);
                let answer = match hash {
                    Some(hash) => Ok(Answer::Digest(Some(hash.to_owned()))),
                    None => refused(path, reason),
                };
                found.insert(path, answer);
            }
        } else if let Some((hash, path)) = line.split_once("  ")
            && hash.len() == 64
        {
            found.insert(path, Ok(Answer::Digest(Some(hash.to_owned()))));
        } else if let Some((path, reason)) =
            line.strip_prefix("sha256sum: ").and_then(|rest| rest.rsplit_once(": "))
        {
            let path = path.trim_matches(['\'', '‘', '’']);
            found.insert(path, refused(path, reason));
        }
    }
    paths.iter().map(|path| found.remove(path).unwrap_or_else(|| Err(complaint(reply)))).collect()
}

fn refused(path: &str, reason: &str) -> Answered {
    match reason {
        "No such file or directory" | "Not a directory" | "Is a directory" => Ok(Answer::Digest(None)),
        "not a regular file" => Err(CannotTell(format!("`{path}` is not a regular file"))),
        _ => Err(CannotTell(format!("`{path}`: {reason}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_printed_in_another_way_is_known_by_its_number() {
        let hash = "a".repeat(64);
        let text = format!("= 0\n\\{hash}  /a\\\\b\n= 1\nsha256sum: \"/it's\": No such file or directory\n");
        let reply = Reply::new(1, text, "");
        let wanted = [Ok(Answer::Digest(Some(hash))), Ok(Answer::Digest(None))];
        assert_eq!(read(&["/a\\b", "/it's"], &reply), wanted);
    }

    #[test]
    fn tells_absent_from_unreadable() {
        let hash = "a".repeat(64);
        let text = format!(
            "{hash}  /a\nsha256sum: /b: No such file or directory\nsha256sum: /c: Permission denied\n\
             sha256sum: '/d e': Is a directory\n"
        );
        let reply = Reply::new(1, text, "");
        assert_eq!(
            read(&["/a", "/b", "/c", "/d e"], &reply),
            [
                Ok(Answer::Digest(Some(hash))),
                Ok(Answer::Digest(None)),
                Err(CannotTell("`/c`: Permission denied".into())),
                Ok(Answer::Digest(None)),
            ]
        );
    }
}
