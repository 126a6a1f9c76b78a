//! What a state brings to the host: files of the tree, rendered, and texts.

/// Something that is whole in the tree, whatever the host looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What a change of it is called: `content`, `content of conf.d/site`, `keys`.
    pub subject: String,
    /// Where it goes to: a path, or else a word for people.
    pub path: String,
    pub bytes: Vec<u8>,
    /// `false`: that it changes is told, but not how (`show_changes: False`).
    pub is_shown: bool,
}

impl Content {
    pub fn new(subject: impl Into<String>, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Content { subject: subject.into(), path: path.into(), bytes: bytes.into(), is_shown: true }
    }

    #[must_use]
    pub fn shown(mut self, is_shown: bool) -> Self {
        self.is_shown = is_shown;
        self
    }
}
