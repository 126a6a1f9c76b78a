//! Commits as they are told: which would come, and which would be lost.

use std::collections::BTreeSet;

use kstate_core::{Hold, Map, Value};

use super::seen::short;

/// Shell functions: `commits WORD RANGE …` tells each commit in lines `WORD ID` TAB DATE TAB AUTHOR TAB TITLE, each followed by a
/// line `path PATH` for every path that it touches. What a merge only takes from its parents is told of the commits that
/// bring it. The mark begins no path, because Git quotes it there.
pub(super) const COMMITS: &str = r#"mark=$(printf '\001')
told() { sed -e '/^$/d' -e "s/^$mark//" -e t -e 's/^/path /'; }
log() { g -c log.showSignature=false log -c --name-only --no-renames "$@"; }
commits() { word=$1; shift; log -n 5000 --format="$mark$word %H%x09%aI%x09%an%x09%s" "$@" | told; }
"#;

/// How many commits are shown to people, and how many paths of each.
const COMMITS_SHOWN: usize = 20;
const PATHS_SHOWN: usize = 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) id: String,
    /// When it was written, as in RFC 3339.
    pub(super) date: String,
    pub(super) author: String,
    pub(super) title: String,
    pub(super) paths: Vec<String>,
}

impl Commit {
    /// What follows the word in its line.
    pub(super) fn read(line: &str) -> Self {
        // Whoever wrote a commit shall not write to the terminal of whoever looks at it.
        let line = line.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
        let mut parts = line.splitn(4, '\t').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Commit { id: next(), date: next(), author: next(), title: next(), paths: Vec::new() }
    }

    /// Its id and title.
    pub(super) fn name(&self) -> String {
        format!("{} {}", short(&self.id), self.title)
    }

    fn told(&self, sign: char) -> String {
        let day = self.date.get(..10).unwrap_or(&self.date);
        let mut lines = format!("{sign}{} {day} {}: {}\n", short(&self.id), self.author, self.title);
        lines.extend(self.paths.iter().take(PATHS_SHOWN).map(|path| format!("     {path}\n")));
        if let Some(left) = more(self.paths.len(), PATHS_SHOWN) {
            lines.push_str(&format!("     … and {left} more paths\n"));
        }
        lines
    }

    fn value(&self) -> Value {
        let text = |name: &str, text: &str| (name.to_owned(), Value::from(text));
        let paths = self.paths.iter().map(|path| Value::from(path.as_str())).collect();
        let mut map: Map = [
            text("id", &self.id),
            text("author", &self.author),
            text("date", &self.date),
            text("title", &self.title),
        ]
        .into_iter()
        .collect();
        map.insert("paths", Value::List(paths));
        Value::Map(map)
    }
}

/// Lines for people. `count`: how many there are in all.
pub(super) fn told(commits: &[Commit], sign: char, count: u32) -> String {
    let mut lines: String = commits.iter().take(COMMITS_SHOWN).map(|commit| commit.told(sign)).collect();
    if let Some(left) = more(count as usize, COMMITS_SHOWN) {
        lines.push_str(&format!("{sign}… and {left} more commits\n"));
    }
    lines
}

/// The commits for programs.
pub(super) fn values(commits: &[Commit]) -> Value {
    Value::List(commits.iter().map(Commit::value).collect())
}

/// What commits hold the change for, path by path.
pub(super) fn holds(commits: &[Commit]) -> Vec<Hold> {
    let paths: BTreeSet<&String> = commits.iter().flat_map(|commit| &commit.paths).collect();
    let by = |path| commits.iter().filter(|commit| commit.paths.contains(path)).map(Commit::name).collect();
    paths.into_iter().map(|path| Hold { path: path.clone(), commits: by(path), accepted: false }).collect()
}

fn more(all: usize, shown: usize) -> Option<usize> {
    all.checked_sub(shown).filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(paths: usize) -> Commit {
        let paths = (0..paths).map(|n| format!("app/{n}.py")).collect();
        Commit { paths, ..Commit::read("2222222aaa\t2026-11-20T10:11:12+01:00\tAnn Example\tCount items") }
    }

    #[test]
    fn a_commit_is_told_with_its_author_its_day_and_its_paths() {
        let told = told(&[commit(2)], '+', 1);
        assert_eq!(told, "+2222222 2026-11-20 Ann Example: Count items\n     app/0.py\n     app/1.py\n");
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let told = told(&vec![commit(12); 30], '-', 130);
        assert_eq!(told.matches("Count items").count(), COMMITS_SHOWN);
        assert!(told.contains("     … and 2 more paths\n"), "{told}");
        assert!(told.ends_with("-… and 110 more commits\n"), "{told}");
    }

    #[test]
    fn each_path_is_held_by_all_commits_that_touch_it() {
        let (first, mut second) = (commit(2), commit(1));
        second.title = "Sort them".into();
        let holds = holds(&[first, second]);
        let told: Vec<String> =
            holds.iter().map(|hold| format!("{} {}", hold.path, hold.commits.join(", "))).collect();
        assert_eq!(told, ["app/0.py 2222222 Count items, 2222222 Sort them", "app/1.py 2222222 Count items"]);
    }

    #[test]
    fn a_title_cannot_write_to_the_terminal() {
        assert_eq!(Commit::read("22\t2026\tAnn\tred \u{1b}[31m\ttabs").title, "red \u{fffd}[31m\ttabs");
    }
}
