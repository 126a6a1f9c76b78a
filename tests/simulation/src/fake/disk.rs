//! The files of the host in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use kstate_core::Attributes;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    File(Arc<[u8]>),
    Directory,
    Link(String),
    Fifo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    pub mode: u32,
    pub user: String,
    pub group: String,
}

/// Why a path cannot be used, in the words of the C library.
pub type Refusal = &'static str;

pub const ABSENT: Refusal = "No such file or directory";
pub const NO_DIRECTORY: Refusal = "Not a directory";
pub const LOOP: Refusal = "Too many levels of symbolic links";
pub const FULL: Refusal = "No space left on device";
const A_DIRECTORY: Refusal = "Is a directory";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    nodes: BTreeMap<String, Node>,
    /// Nothing more can be written.
    pub is_full: bool,
}

impl Node {
    fn new(kind: Kind, mode: u32) -> Self {
        Node { kind, mode, user: "root".into(), group: "root".into() }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty()).unwrap_or("/")
}

fn join(folder: &str, name: &str) -> String {
    if folder == "/" { format!("/{name}") } else { format!("{folder}/{name}") }
}

impl Disk {
    /// A disk with these directories.
    pub fn with(directories: &[&str]) -> Self {
        let mut disk = Disk { nodes: BTreeMap::new(), is_full: false };
        disk.nodes.insert("/".into(), Node::new(Kind::Directory, 0o755));
        for path in directories {
            disk.nodes.insert((*path).to_owned(), Node::new(Kind::Directory, 0o755));
        }
        disk
    }

    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The path without links, except that the last part may be one, or absent, unless `follow`.
    pub fn resolve(&self, path: &str, follow: bool) -> Result<String, Refusal> {
        let mut left: Vec<String> =
            path.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned).collect();
        let mut at = "/".to_owned();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match self.nodes.get(&at).map(|node| &node.kind) {
                Some(Kind::Directory) => {}
                Some(_) => return Err(NO_DIRECTORY),
                None => return Err(ABSENT),
            }
            match part.as_str() {
                "." => continue,
                ".." => {
                    at = parent(&at).to_owned();
                    continue;
                }
                _ => {}
            }
            let next = join(&at, &part);
            match self.nodes.get(&next).map(|node| &node.kind) {
                Some(Kind::Link(target)) if follow || !left.is_empty() => {
                    links += 1;
                    if links > 40 {
                        return Err(LOOP);
                    }
                    if target.starts_with('/') {
                        at = "/".to_owned();
                    }
                    left.extend(target.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned));
                }
                _ => at = next,
            }
        }
        Ok(at)
    }

    /// What stands at a path; what a link leads to with `follow`.
    pub fn get(&self, path: &str, follow: bool) -> Result<&Node, Refusal> {
        let real = self.resolve(path, follow)?;
        self.nodes.get(&real).ok_or(ABSENT)
    }

    pub fn read(&self, path: &str) -> Result<&[u8], Refusal> {
        match &self.get(path, true)?.kind {
            Kind::File(bytes) => Ok(bytes),
            Kind::Directory => Err(A_DIRECTORY),
            _ => Err("Resource temporarily unavailable"),
        }
    }

    pub fn is_directory(&self, path: &str) -> bool {
        self.get(path, true).is_ok_and(|node| node.kind == Kind::Directory)
    }

    /// Everything below a directory, which is not a link.
    pub fn below(&self, root: &str) -> impl Iterator<Item = (&str, &Node)> {
        let root = if root == "/" { "/".to_owned() } else { format!("{root}/") };
        self.nodes
            .range(root.clone()..)
            .take_while(move |(path, _)| path.starts_with(&root))
            .filter(|(path, _)| *path != "/")
            .map(|(path, node)| (path.as_str(), node))
    }

    fn may_write(&self) -> Result<(), Refusal> {
        if self.is_full { Err(FULL) } else { Ok(()) }
    }

    /// The real place of a path whose directory is there.
    fn place(&self, path: &str, follow: bool) -> Result<String, Refusal> {
        let real = self.resolve(path, follow)?;
        match self.nodes.get(parent(&real)).map(|node| &node.kind) {
            Some(Kind::Directory) => Ok(real),
            Some(_) => Err(NO_DIRECTORY),
            None => Err(ABSENT),
        }
    }

    /// Puts a file in place, as by a rename; its attributes stay.
    pub fn write(&mut self, path: &str, bytes: &[u8], follow: bool) -> Result<(), Refusal> {
        self.may_write()?;
        let real = self.place(path, follow)?;
        let old = self.nodes.get(&real);
        if old.is_some_and(|node| node.kind == Kind::Directory) {
            return Err(A_DIRECTORY);
        }
        let kept = old.filter(|node| matches!(node.kind, Kind::File(_)));
        let mut node = kept.cloned().unwrap_or_else(|| Node::new(Kind::File([].into()), 0o644));
        node.kind = Kind::File(bytes.into());
        self.nodes.insert(real, node);
        Ok(())
    }

    pub fn make_directory(&mut self, path: &str) -> Result<(), Refusal> {
        self.may_write()?;
        let real = self.place(path, false)?;
        if self.nodes.contains_key(&real) {
            return Err("File exists");
        }
        self.nodes.insert(real, Node::new(Kind::Directory, 0o755));
        Ok(())
    }

    pub fn link(&mut self, path: &str, target: &str) -> Result<(), Refusal> {
        self.may_write()?;
        let real = self.place(path, false)?;
        if self.nodes.get(&real).is_some_and(|node| node.kind == Kind::Directory) {
            return Err(A_DIRECTORY);
        }
        self.nodes.insert(real, Node::new(Kind::Link(target.to_owned()), 0o777));
        Ok(())
    }

    pub fn make_fifo(&mut self, path: &str) {
        self.nodes.insert(path.to_owned(), Node::new(Kind::Fifo, 0o644));
    }

    pub fn remove(&mut self, path: &str) {
        let Ok(real) = self.resolve(path, false) else { return };
        let below: Vec<String> = self.below(&real).map(|(path, _)| path.to_owned()).collect();
        below.iter().chain([&real]).filter(|path| *path != "/").for_each(|path| {
            self.nodes.remove(path);
        });
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        let real = self.resolve(from, false)?;
        let target = self.place(to, false)?;
        let node = self.nodes.remove(&real).ok_or(ABSENT)?;
        let below: Vec<(String, Node)> =
            self.below(&real).map(|(path, node)| (path[real.len()..].to_owned(), node.clone())).collect();
        self.remove(&real);
        for (path, _) in &below {
            self.nodes.remove(&format!("{real}{path}"));
        }
        self.nodes.insert(target.clone(), node);
        self.nodes.extend(below.into_iter().map(|(path, node)| (format!("{target}{path}"), node)));
        Ok(())
    }

    /// Sets what is given. An owner clears set-id bits of files, as the kernel does.
    pub fn set(&mut self, path: &str, attributes: &Attributes, follow: bool) -> Result<(), Refusal> {
        let real = self.resolve(path, follow)?;
        let node = self.nodes.get_mut(&real).ok_or(ABSENT)?;
        let Attributes { mode, user, group, .. } = attributes;
        if user.is_some() || group.is_some() {
            node.user = user.clone().unwrap_or_else(|| node.user.clone());
            node.group = group.clone().unwrap_or_else(|| node.group.clone());
            if node.kind != Kind::Directory {
                node.mode &= 0o1777;
            }
        }
        if let Some(mode) = mode.filter(|_| !matches!(node.kind, Kind::Link(_))) {
            node.mode = mode;
        }
        Ok(())
    }
}
