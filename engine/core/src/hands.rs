//! The shell text by which paths of a host are changed, so that nobody gains rights by what they put in the way.
//!
//! A directory is entered by its real path and kept as the working directory, which no renaming turns elsewhere. If
//! only root and this user can change every directory on the way, names in it are used as they are. If others can,
//! new files are made in a directory of our own (mode 0700) beside their target and renamed, which follows no link;
//! and a file that is there gets a second, hard name in such a directory before its owner or mode is set.

use crate::words::{join, quote};
use crate::{Attributes, Command, Job, Parents, Write};

/// Finds out what a path leads to: the walk, and the rule by which a link is followed.
pub(crate) const RESOLVE: &str = concat!(include_str!("hands/resolve.sh"), include_str!("hands/link.sh"));

/// Enters directories and holds files, if that is safe.
const PINNED: &str = include_str!("hands/pinned.sh");

/// Returns the functions that the other texts use.
fn functions() -> String {
    format!("{RESOLVE}{PINNED}new= tmp= in=.\n")
}

/// Returns the text that enters the directory of a path.
fn reach(path: &str, follow: bool) -> String {
    format!("reach {} {}\n", quote(path), if follow { "follow" } else { "''" })
}

/// Returns the text that sets owner and mode of `target`, which is shell text.
fn set(attributes: &Attributes, target: &str) -> String {
    let mut text = String::new();
    // The owner first, because chown(1) clears set-id bits.
    if let Some(owner) = attributes.owner() {
        text += &format!("chown {owner} -- {target} || exit 1\n");
    }
    if let Some(mode) = attributes.mode {
        // GNU chmod leaves the set-id bits of a directory alone unless the number has five digits.
        text += &format!("chmod {mode:05o} -- {target} || exit 1\n");
    }
    text
}

/// Returns the text that makes what is missing above a path.
fn above(parents: &Parents, path: &str) -> String {
    let Parents::Make(attributes) = parents else { return String::new() };
    format!("each() {{ :\n{}}}\nabove {}\n", set(attributes, "\"$1\""), quote(path))
}

/// Sets owner and mode of what stands at a path, or of what a link there leads to.
pub(crate) fn attributes(path: &str, attributes: &Attributes) -> String {
    let held = set(attributes, "\"$it\"");
    if held.is_empty() {
        return String::new();
    }
    format!("{}{}hold \"$name\"\n{held}", functions(), reach(path, true))
}

pub(crate) fn directory(path: &str, attributes: &Attributes, parents: &Parents) -> String {
    let (made, held) = (set(attributes, "\"$new\""), set(attributes, "\"$it\""));
    format!(
        "{}{}{}if [ -d \"./$name\" ]; then\nhold \"$name\"\n{held}else\nstage\nfresh\nmkdir -- \"$new\" || exit 1\n{made}put \"$name\"\nfi",
        functions(),
        above(parents, path),
        reach(path, true),
    )
}

pub(crate) fn link(path: &str, target: &str, owner: &Attributes, parents: &Parents) -> String {
    let chown = owner.owner().map(|owner| format!("chown -h {owner} -- \"$new\" || exit 1\n"));
    format!(
        "{}{}{}stage\nfresh\nln -s -- {} \"$new\" || exit 1\n{}place \"$name\"",
        functions(),
        above(parents, path),
        reach(path, false),
        quote(target),
        chown.unwrap_or_default(),
    )
}

/// Removes whatever stands at a path. GNU rm(1) looks behind no link, whatever happens meanwhile.
pub(crate) fn remove(path: &str) -> String {
    format!(
        "{}[ -e {path} ] || [ -L {path} ] || exit 0\n{}tidy\nrm -rf -- \"./$name\"",
        functions(),
        reach(path, false),
        path = quote(path)
    )
}

/// Writes a file. The content comes on standard input; if it is cut short, the old file stays.
pub(crate) fn write(write: &Write) -> Job {
    let mut script = functions() + &above(&write.parents, &write.path) + &reach(&write.path, write.follow);
    script += &format!("stage\nfresh file\nreceive {}\n", write.bytes.len());
    script += &set(&write.attributes, "\"$new\"");
    if let Some(check) = &write.check {
        script += &format!("check={}\ntry\n", quote(check));
    }
    if let Some(ending) = &write.backup {
        script += &format!("keep {}\n", quote(ending));
    }
    script += "sync -- \"$new\" 2>/dev/null\nplace \"$name\"";
    Job { input: write.bytes.clone(), ..Job::new(script) }
}

/// Prints the content of a regular file, at most `limit` bytes. Exits with 44 where there is nothing, and with 45 where
/// something else is.
pub(crate) fn read(path: &str, limit: usize) -> String {
    format!(
        "{}[ -e {path} ] || [ -L {path} ] || exit 44\n[ ! -d {path} ] || exit 45\n{}show \"$name\" {limit}",
        functions(),
        reach(path, true),
        path = quote(path),
    )
}

/// Returns the command that runs chown(1), chmod(1) or rm(1), given by its words up to the paths, on the paths that
/// stand on its standard input, each ended by NUL: by one process where only root and this user can change anything
/// below `root`, else path by path.
pub fn each_below(root: &str, words: &[&str]) -> Command {
    let follow = !matches!(words, ["rm", ..] | ["chown", "-h", ..]);
    let one = format!(
        "{}act() {{\n{}case {} in rm) tidy ;; *) [ -L \"./$name\" ] || hold \"$name\" ;; esac\n{} \"${{it:-./$name}}\"\n}}\nend=0\nfor each do (it= && path=$each && act) || end=1; done\nexit $end",
        functions(),
        if follow { "reach \"$path\" follow\n" } else { "reach \"$path\" ''\n" },
        words.first().copied().unwrap_or_default(),
        join(words),
    );
    Command::shell(format!(
        "{}resolve {}\nenter \"$real\"\n\
         [ -z \"$safe\" ] || [ -n \"$(find . -type d '(' ! -uid 0 ! -uid \"$me\" -o -perm /022 ')' -print -quit)\" ] || exec xargs -0 -r {}\n\
         exec xargs -0 -r sh -c {} sh",
        functions(),
        quote(root),
        join(words),
        quote(&one),
    ))
}
