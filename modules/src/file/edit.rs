//! What the functions share that change the text of a file and leave the rest of it alone.

use kstate_core::question::PathInfo;
use kstate_core::{Attributes, Change, Content, Facts, Operation, Parents, Question, Step, Stop, Write};

use crate::text;

/// A file whose text is edited. Its owner and mode stay.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) path: String,
    pub(crate) parents: Parents,
    /// The ending under which the old file is kept.
    pub(crate) backup: Option<String>,
    pub(crate) show_changes: bool,
}

impl Edit {
    pub(crate) fn questions(&self) -> Vec<Question> {
        vec![Question::Path(self.path.clone()), Question::Content(self.path.clone())]
    }

    /// The file's content. `None`: there is no file.
    pub(crate) fn read<'f>(&self, facts: &'f Facts) -> Result<Option<&'f [u8]>, Stop> {
        facts.need(self.questions())?;
        let there = facts.path(&self.path)?;
        if let Some(info) = there.and_then(PathInfo::followed).filter(|info| !info.is_file()) {
            return Err(Stop::Failed(format!("a {} stands at `{}`", info.kind_name(), self.path)));
        }
        let content = facts.content(&self.path)?.map(Vec::as_slice);
        match content {
            Some(bytes) if bytes.contains(&0) => {
                Err(Stop::Failed(format!("`{}` is binary; only text can be edited", self.path)))
            }
            content => Ok(content),
        }
    }

    /// Likewise, of a file that has to be there.
    pub(crate) fn read_existing<'f>(&self, facts: &'f Facts) -> Result<&'f [u8], Stop> {
        self.read(facts)?.ok_or_else(|| Stop::Failed(format!("`{}` does not exist", self.path)))
    }

    /// Lines that the file shall have.
    pub(crate) fn text<'l>(&self, lines: impl Iterator<Item = &'l str>) -> Vec<Content> {
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        vec![Content::new("text", self.path.as_str(), text).shown(self.show_changes)]
    }

    /// The step that edits the file, if that changes it. Refuses an edit that changes its own result: it would never
    /// come to an end.
    pub(crate) fn make(
        &self,
        old: Option<&[u8]>,
        edited: impl Fn(Option<&[u8]>) -> Result<Vec<u8>, Stop>,
    ) -> Result<Vec<Step>, Stop> {
        let new = edited(old)?;
        if old != Some(&new) && edited(Some(&new))? != new {
            return Err(Stop::Failed(format!(
                "`{}` would change again with every run, because the edit changes its own result; write it so that it \
                 leaves alone what it has written",
                self.path
            )));
        }
        Ok(self.write(old, new))
    }

    /// The step from `old` to `new`, if they differ.
    fn write(&self, old: Option<&[u8]>, new: Vec<u8>) -> Vec<Step> {
        if old == Some(&new) {
            return Vec::new();
        }
        let mut change = text::change("content", &self.path, old, &new);
        if !self.show_changes {
            change = Change { diff: None, ..change };
        }
        let write = Write {
            path: self.path.clone(),
            bytes: new,
            attributes: Attributes::default(),
            parents: self.parents.clone(),
            check: None,
            backup: self.backup.clone().filter(|_| old.is_some()),
            follow: true,
        };
        vec![Step::new([change], Operation::Write(write))]
    }
}
