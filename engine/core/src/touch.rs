//! What an operation may change, and so which answers it makes stale.

/// A part of a host's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Touch {
    /// A path and everything below it.
    Path(String),
    /// The directories above a path, which may have been made on the way.
    Above(String),
    Packages,
    /// Users and groups.
    Accounts,
    /// The crontab of a user.
    Crontab(String),
    Service(String),
    Processes,
    /// Something with a name of its own: the roles of a database server.
    Named(String),
    /// A shell command may do anything.
    Anything,
}

impl Touch {
    /// Whether a change of `self` can be seen in `other`.
    pub fn meets(&self, other: &Touch) -> bool {
        match (self, other) {
            (Touch::Anything, _) | (_, Touch::Anything) => true,
            (Touch::Path(a), Touch::Path(b)) => is_below(a, b) || is_below(b, a),
            (Touch::Above(above), Touch::Path(path)) | (Touch::Path(path), Touch::Above(above)) => {
                path != above && is_below(above, path)
            }
            (a, b) => a == b,
        }
    }
}

/// Whether `path` is `root` or lies below it.
pub fn is_below(path: &str, root: &str) -> bool {
    let (path, root) = (path.trim_end_matches('/'), root.trim_end_matches('/'));
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_below() {
        assert!(is_below("/srv/app/x", "/srv/app/"));
        assert!(is_below("/srv/app", "/srv/app"));
        assert!(!is_below("/srv/application", "/srv/app"));
    }

    #[test]
    fn a_path_meets_what_is_above_and_below_it() {
        let app = Touch::Path("/srv/app".into());
        assert!(app.meets(&Touch::Path("/srv/app/x".into())));
        assert!(app.meets(&Touch::Path("/srv".into())));
        assert!(!app.meets(&Touch::Path("/etc".into())));
        assert!(app.meets(&Touch::Anything));
        assert!(!app.meets(&Touch::Packages));
    }
}
