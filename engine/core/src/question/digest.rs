//! SHA-256 of files: `sha256sum(1)`, one process for all.

use std::collections::HashMap;

use super::{Answer, Answered, CannotTell, complaint};
use crate::words::join;
use crate::{Job, Reply};

pub(super) fn job(paths: &[&str]) -> Job {
    Job::new(format!("sha256sum -- {} 2>&1", join(paths)))
}

pub(super) fn read(paths: &[&str], reply: &Reply) -> Vec<Answered> {
    let text = String::from_utf8_lossy(&reply.stdout);
    let mut found: HashMap<&str, Answered> = HashMap::new();
    for line in text.lines() {
        if let Some((hash, path)) = line.split_once("  ")
            && hash.len() == 64
        {
            found.insert(path, Ok(Answer::Digest(Some(hash.to_owned()))));
        } else if let Some((path, reason)) =
            line.strip_prefix("sha256sum: ").and_then(|rest| rest.rsplit_once(": "))
        {
            let path = path.trim_matches(['\'', '‘', '’']);
            let answer = match reason {
                "No such file or directory" | "Not a directory" | "Is a directory" => {
                    Ok(Answer::Digest(None))
                }
                _ => Err(CannotTell(format!("`{path}`: {reason}"))),
            };
            found.insert(path, answer);
        }
    }
    paths.iter().map(|path| found.remove(path).unwrap_or_else(|| Err(complaint(reply)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_absent_from_unreadable() {
        let hash = "a".repeat(64);
        let text = format!(
            "{hash}  /a\nsha256sum: /b: No such file or directory\nsha256sum: /c: Permission denied\n\
             sha256sum: '/d e': Is a directory\n"
        );
        let reply = Reply { status: 1, stdout: text.into_bytes(), stderr: Vec::new() };
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
