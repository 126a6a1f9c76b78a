//! The repository that a tree lies in, by way of `git`, which knows its filters, worktrees and rules of what to ignore.
//! Everything here only reads.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use kstate_core::nearest;

use crate::error::CommandError;

#[derive(Debug)]
pub(crate) struct Repository {
    /// The folder of the working tree, without links.
    pub(crate) top: PathBuf,
    reader: Mutex<Option<Reader>>,
}

/// A commit, and the first line of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) short: String,
    pub(crate) title: String,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: EntryKind,
    pub(crate) id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File { executable: bool },
    Link,
    Submodule,
}

impl Repository {
    /// The repository that `folder` lies in.
    pub(crate) fn of(folder: &Path) -> Result<Self, CommandError> {
        let output = run(folder, ["rev-parse", "--show-toplevel"])?;
        if !output.status.success() {
            let message = format!("`{}` lies in no git repository: {}", folder.display(), reason(&output));
            return Err(CommandError::usage(message));
        }
        let top = text(&output.stdout).trim_end_matches('\n').to_owned();
        Ok(Repository { top: PathBuf::from(top), reader: Mutex::new(None) })
    }

    /// The commit that a revision names.
    pub(crate) fn commit(&self, revision: &str) -> Result<Commit, CommandError> {
        match self.find(revision)? {
            Some(commit) => Ok(commit),
            None => Err(self.unknown(revision)?),
        }
    }

    /// Likewise; none if git knows no such revision.
    pub(crate) fn find(&self, revision: &str) -> Result<Option<Commit>, CommandError> {
        let object = format!("{revision}^{{commit}}");
        let output = run(&self.top, ["rev-parse", "--verify", "--quiet", "--end-of-options", &object])?;
        let id = text(&output.stdout).trim().to_owned();
        if !output.status.success() || id.is_empty() {
            return Ok(None);
        }
        let told = self.told(["show", "--no-patch", "--no-show-signature", "--format=%h%x00%s", &id])?;
        let (short, title) = told.trim_end().split_once('\0').unwrap_or_default();
        Ok(Some(Commit { id, short: short.to_owned(), title: title.to_owned() }))
    }

    /// The newest commit that both have.
    pub(crate) fn merge_base(&self, one: &Commit, other: &Commit) -> Result<Commit, CommandError> {
        let output = run(&self.top, ["merge-base", &one.id, &other.id])?;
        match text(&output.stdout).trim() {
            "" => {
                let message = format!("`{}` and `{}` have no commit in common", one.short, other.short);
                Err(CommandError::usage(message))
            }
            id => self.commit(id),
        }
    }

    /// The names of branches and tags.
    pub(crate) fn names(&self) -> Result<Vec<String>, CommandError> {
        let names = self.told(["for-each-ref", "--format=%(refname:short)"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    fn unknown(&self, revision: &str) -> Result<CommandError, CommandError> {
        let mut error = CommandError::usage(format!("git knows no revision `{revision}`"));
        let names = self.names()?;
        for name in nearest(revision, names.iter().map(String::as_str), 2) {
            error = error.hint(format!("did you mean `{name}`?"));
        }
        if self.told(["rev-parse", "--is-shallow-repository"])?.trim() == "true" {
            error = error.hint("the clone is shallow; `git fetch --unshallow` brings the older commits");
        }
        Ok(error.hint("a revision is a commit, a branch or a tag: `HEAD~1`, `main`, `v2`"))
    }

    /// All files of a commit.
    pub(crate) fn entries(&self, commit: &Commit) -> Result<Vec<Entry>, CommandError> {
        let listing = self.told(["ls-tree", "-r", "-z", "--full-tree", &commit.id])?;
        Ok(listing.split_terminator('\0').filter_map(entry).collect())
    }

    /// What lies in the working tree and is not git's: ignored files and folders, repositories within, submodules.
    pub(crate) fn untracked(&self) -> Result<Vec<String>, CommandError> {
        let others = ["ls-files", "-z", "--others", "--exclude-standard"];
        let ignored = self.told(others.iter().chain(&["--ignored", "--directory"]))?;
        let mut found: Vec<String> = Vec::new();
        for name in ignored.split_terminator('\0') {
            // A folder whose content is all ignored is listed before that content.
            if found.last().is_some_and(|last| last.ends_with('/') && name.starts_with(last)) {
                found.pop();
            }
            found.push(name.to_owned());
        }
        // Of what is not ignored, only repositories are listed as folders.
        let others = self.told(others)?;
        found.extend(others.split_terminator('\0').filter(|name| name.ends_with('/')).map(str::to_owned));
        let staged = self.told(["ls-files", "-z", "--stage"])?;
        for line in staged.split_terminator('\0').filter(|line| line.starts_with("160000 ")) {
            found.extend(line.split_once('\t').map(|(_, path)| path.to_owned()));
        }
        Ok(found.iter().map(|name| name.trim_end_matches('/').to_owned()).collect())
    }

    /// The content of a file, as a checkout would write it.
    pub(crate) fn content(&self, id: &str, path: &str) -> io::Result<Vec<u8>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() {
            *reader = Some(Reader::start(&self.top)?);
        }
        if let Some(content) = reader.as_mut().and_then(|reader| reader.read(id, path).ok()) {
            return Ok(content);
        }
        // A filter that fails ends git; asked alone, it tells why.
        *reader = None;
        let path = format!("--path={path}");
        let output = command(&self.top).args(["cat-file", "--filters", &path, id]).output()?;
        if output.status.success() { Ok(output.stdout) } else { Err(io::Error::other(reason(&output))) }
    }

    fn told(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, CommandError> {
        let output = run(&self.top, words)?;
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(CommandError::failed(format!("git: {}", reason(&output))))
    }
}

/// `100644 blob 8baef1b4…` TAB `path`. A name that is not UTF-8 cannot be used.
fn entry(line: &str) -> Option<Entry> {
    let (about, path) = line.split_once('\t').filter(|(_, path)| !path.contains('\u{fffd}'))?;
    let mut words = about.split(' ');
    let kind = match words.next()? {
        "120000" => EntryKind::Link,
        "160000" => EntryKind::Submodule,
        mode => EntryKind::File { executable: mode == "100755" },
    };
    let id = words.nth(1)?.to_owned();
    Some(Entry { path: path.to_owned(), kind, id })
}

/// A `git` that gives contents one by one for as long as it is asked.
#[derive(Debug)]
struct Reader {
    git: Child,
    requests: ChildStdin,
    contents: BufReader<ChildStdout>,
    /// What is asked for after each content and is not there: git tells the length of a content before its filters, so
    /// only what comes next tells its end.
    end: String,
}

impl Reader {
    fn start(top: &Path) -> io::Result<Self> {
        let pipes = (Stdio::piped(), Stdio::piped(), Stdio::null());
        let mut git = command(top)
            .args(["cat-file", "--batch", "--filters"])
            .stdin(pipes.0)
            .stdout(pipes.1)
            .stderr(pipes.2)
            .spawn()?;
        let (Some(requests), Some(contents)) = (git.stdin.take(), git.stdout.take()) else {
            return Err(io::Error::other("git has no pipes"));
        };
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let end = format!("kstate-{}-{}", std::process::id(), since.as_nanos());
        Ok(Reader { git, requests, contents: BufReader::new(contents), end })
    }

    fn read(&mut self, id: &str, path: &str) -> io::Result<Vec<u8>> {
        // The path tells git which filters there are; a line of its own it cannot have.
        writeln!(self.requests, "{id} {}\n{}", path.replace('\n', " "), self.end)?;
        self.requests.flush()?;
        let mut head = Vec::new();
        self.contents.read_until(b'\n', &mut head)?;
        let mut content = Vec::new();
        if head.ends_with(b" missing\n") {
            self.contents.read_until(b'\n', &mut content)?;
            return Err(io::ErrorKind::NotFound.into());
        }
        let end = format!("\n{} missing\n", self.end);
        while !content.ends_with(end.as_bytes()) {
            if self.contents.read_until(b'\n', &mut content)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        content.truncate(content.len() - end.len());
        Ok(content)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.git.kill();
        let _ = self.git.wait();
    }
}

/// `git` in a folder. It writes nothing by the way (the index, for one), and goes by the folder alone: in a hook, the
/// environment speaks of the repository of the hook.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("--no-optional-locks").current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

fn run(folder: &Path, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output, CommandError> {
    command(folder).args(words).output().map_err(|error| {
        CommandError::failed(format!("`git` cannot be started: {error}"))
            .hint("install git; revisions are read by it")
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn reason(output: &Output) -> String {
    let stderr = text(&output.stderr);
    let line = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it tells no reason");
    line.trim_start_matches("fatal: ").to_owned()
}
