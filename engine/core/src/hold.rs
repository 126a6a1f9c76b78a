//! Holds: what somebody has to let pass before a change is made.

use crate::fnmatch;
use crate::words::quote;

/// A path that a change brings, and that the state says to stop for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub path: String,
    /// The commits that change it, by id and title.
    pub commits: Vec<String>,
    /// Somebody has let it pass.
    pub accepted: bool,
}

impl Hold {
    /// Whether `pattern` means its path: the path itself, a directory above it, or a shell pattern whose `*` also stands
    /// for `/`.
    pub fn is_meant_by(&self, pattern: &str) -> bool {
        let pattern = pattern.trim_end_matches('/');
        let below =
            self.path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        below || fnmatch(&self.path, pattern)
    }

    fn told(&self) -> String {
        let more = match self.commits.len().saturating_sub(1) {
            0 => String::new(),
            1 => " and 1 more commit".to_owned(),
            more => format!(" and {more} more commits"),
        };
        let first = self.commits.first().map_or("", String::as_str);
        format!("`{}` is changed by {first}{more}", self.path)
    }
}

/// What people read about holds. `None`: there are none.
pub(crate) fn told(holds: &[Hold]) -> Option<String> {
    let (passed, open): (Vec<&Hold>, Vec<&Hold>) = holds.iter().partition(|hold| hold.accepted);
    let list = |holds: &[&Hold]| holds.iter().map(|hold| hold.told()).collect::<Vec<_>>().join("; ");
    if !open.is_empty() {
        let words: Vec<String> = open.iter().map(|hold| format!("--accept {}", quote(&hold.path))).collect();
        let pass = if open.len() == 1 { "lets it pass" } else { "lets them pass" };
        return Some(format!("held: {}; `{}` {pass}", list(&open), words.join(" ")));
    }
    (!passed.is_empty()).then(|| format!("accepted: {}", list(&passed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(path: &str, accepted: bool) -> Hold {
        Hold { path: path.into(), commits: vec!["2222222 Use Redis".into()], accepted }
    }

    #[test]
    fn is_meant_by_its_path_a_directory_above_or_a_pattern() {
        let hold = hold("requirements/base.txt", false);
        for pattern in ["requirements/base.txt", "requirements", "requirements/", "*.txt", "req*/base.*"] {
            assert!(hold.is_meant_by(pattern), "{pattern}");
        }
        for pattern in ["requirements/base", "base.txt", "require"] {
            assert!(!hold.is_meant_by(pattern), "{pattern}");
        }
    }

    #[test]
    fn says_how_to_let_it_pass() {
        assert_eq!(
            told(&[hold("requirements.txt", false), hold("setup.py", true)]).unwrap(),
            "held: `requirements.txt` is changed by 2222222 Use Redis; `--accept requirements.txt` lets it pass"
        );
        assert_eq!(
            told(&[hold("a b", false), hold("c", false)]).unwrap(),
            "held: `a b` is changed by 2222222 Use Redis; `c` is changed by 2222222 Use Redis; `--accept 'a b' --accept c` lets them pass"
        );
        assert_eq!(
            told(&[hold("setup.py", true)]).unwrap(),
            "accepted: `setup.py` is changed by 2222222 Use Redis"
        );
        assert_eq!(told(&[]), None);
    }
}
