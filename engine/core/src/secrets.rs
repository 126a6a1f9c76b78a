//! Masking: what came from private pillar never leaves in a report, an event or an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{Change, Map, Problem, Unwritten, Value};

/// What stands for a secret wherever it would be shown.
pub const MASK: &str = "********";

/// Fewer letters than that and nothing else make a word, as sentences have them.
const WORD_LIMIT: usize = 8;

/// The texts that must not be shown. Those of fewer than four characters are not masked, because they would blot out
/// everything.
///
/// In data they are masked wherever they stand. In what kstate itself says, a secret of fewer than eight letters and nothing
/// else may happen to be a part of its words: with the secret `manage`, `file.managed` stays what it is. There such a
/// secret is masked unless it is a part of a longer word, or of a name that everybody knows (of a state function, of one of
/// its arguments, of an SLS). Between backticks, where sentences have data, a part of a word is masked, too.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The longest first, so that a secret within another does not leave a rest.
    texts: Vec<String>,
    public: Arc<BTreeSet<String>>,
}

impl Secrets {
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut all = Vec::new();
        for text in texts {
            // A key of several lines shows line by line in a diff.
            all.extend(text.lines().map(|line| line.trim().to_owned()));
            all.push(text.trim().to_owned());
        }
        all.retain(|text| text.chars().count() >= 4);
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Secrets { texts: all, public: Arc::default() }
    }

    /// Leaves names whole that everybody knows, wherever a secret is a part of one.
    #[must_use]
    pub fn sparing(self, public: Arc<BTreeSet<String>>) -> Self {
        Secrets { public, ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn are_in(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| text.contains(secret.as_str()))
    }

    pub fn mask(&self, text: &str) -> String {
        masked(text, &self.texts, |_, _| true)
    }

    /// Masks a sentence, which has data between backticks.
    fn mask_sentence(&self, sentence: &str) -> String {
        let (words, others): (Vec<&String>, Vec<&String>) = self.texts.iter().partition(|text| is_word(text));
        let sentence = masked(sentence, others, |_, _| true);
        let in_words = |before: &str, after: &str| {
            let is_letter = |c: char| c.is_alphanumeric() || c == '_';
            !before.ends_with(is_letter) && !after.starts_with(is_letter)
        };
        let part = |(place, part): (usize, &str)| {
            let is_data = place % 2 == 1;
            self.around_names(part, |rest| {
                masked(rest, words.iter().copied(), |b, a| is_data || in_words(b, a))
            })
        };
        sentence.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
    }

    /// Masks what is no public name; one that is a secret as a whole is not spared.
    fn around_names(&self, text: &str, mask: impl Fn(&str) -> String) -> String {
        let is_of_name = |c: char| c.is_alphanumeric() || "._-/".contains(c);
        let is_spared =
            |name: &str| self.public.contains(name) && !self.texts.iter().any(|text| text == name);
        let mut out = String::new();
        let mut rest = String::new();
        for piece in text.split_inclusive(|c: char| !is_of_name(c)) {
            let name = piece.trim_end_matches(|c: char| !is_of_name(c) || c == '.');
            if is_spared(name) {
                out.push_str(&mask(&std::mem::take(&mut rest)));
                out.push_str(name);
                rest.push_str(&piece[name.len()..]);
            } else {
                rest.push_str(piece);
            }
        }
        out.push_str(&mask(&rest));
        out
    }

    pub fn mask_value(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.mask(text)),
            Value::Bytes(bytes) if self.are_in(&String::from_utf8_lossy(bytes)) => MASK.into(),
            Value::List(items) => Value::List(items.iter().map(|item| self.mask_value(item)).collect()),
            Value::Map(map) => Value::Map(self.mask_map(map)),
            other => other.clone(),
        }
    }

    fn mask_map(&self, map: &Map) -> Map {
        map.iter().map(|(key, value)| (self.mask_value(key), self.mask_value(value))).collect()
    }

    pub fn mask_problem(&self, problem: &Problem) -> Problem {
        let related = problem.related.iter().map(|(what, at)| (self.mask_sentence(what), at.clone()));
        Problem {
            message: self.mask_sentence(&problem.message),
            at: problem.at.as_ref().map(|at| at.reworded(&|text| self.mask(text))),
            id: problem.id.as_ref().map(|id| self.mask(id)),
            related: related.collect(),
            hints: problem.hints.iter().map(|hint| self.mask_sentence(hint)).collect(),
            unwritten: problem.unwritten.as_ref().map(|line| self.mask_line(line)),
            ..problem.clone()
        }
    }

    /// What is hidden moves what follows, and nobody shall see by how much.
    fn mask_line(&self, line: &Unwritten) -> Unwritten {
        let before: String = line.text.chars().take(line.column.saturating_sub(1) as usize).collect();
        let column = self.mask(&before).chars().count() + 1;
        let column = u32::try_from(column).unwrap_or(line.column);
        Unwritten { what: line.what, text: self.mask(&line.text), column }
    }

    pub fn mask_change(&self, change: &Change) -> Change {
        Change {
            subject: self.mask(&change.subject),
            before: self.mask_value(&change.before),
            after: self.mask_value(&change.after),
            diff: change.diff.as_deref().map(|diff| self.mask_diff(diff)),
            details: self.mask_map(&change.details),
        }
    }

    /// In a run of changed lines that brings a secret in, the lines that go out may hold the secret of yesterday,
    /// which nobody has told us: they are hidden whole.
    fn mask_diff(&self, diff: &str) -> String {
        let is_change = |line: &&str| {
            line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ")
        };
        let lines: Vec<&str> = diff.lines().collect();
        let mut out = Vec::new();
        for run in lines.chunk_by(|a, b| is_change(a) == is_change(b)) {
            let secret = is_change(&run[0]) && run.iter().any(|line| self.are_in(line));
            for line in run {
                match line.strip_prefix('-') {
                    Some(_) if secret => out.push(format!("-{MASK}")),
                    _ => out.push(self.mask(line)),
                }
            }
        }
        let mut text = out.join("\n");
        if diff.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

fn is_word(secret: &str) -> bool {
    secret.chars().all(char::is_alphabetic) && secret.chars().count() < WORD_LIMIT
}

/// Masks secrets, the longest first, where `is_meant` by what stands before and after.
fn masked<'a>(
    text: &str,
    secrets: impl IntoIterator<Item = &'a String>,
    is_meant: impl Fn(&str, &str) -> bool,
) -> String {
    let mut masked = text.to_owned();
    for secret in secrets {
        let mut from = 0;
        while let Some(found) = masked[from..].find(secret.as_str()) {
            let (start, end) = (from + found, from + found + secret.len());
            if is_meant(&masked[..start], &masked[end..]) {
                masked.replace_range(start..end, MASK);
                from = start + MASK.len();
            } else {
                from = end;
            }
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With one secret and one public name.
    fn sentence(secret: &str, text: &str) -> String {
        let secrets = Secrets::new([secret.to_owned()]);
        secrets.sparing(Arc::new(BTreeSet::from(["file.managed".to_owned()]))).mask_sentence(text)
    }

    #[test]
    fn what_kstate_says_itself_is_left_in_its_words() {
        let said = "file.managed: `mode` is not supported: permissions are managed";
        for secret in ["manage", "port", "file", "mission"] {
            assert_eq!(sentence(secret, said), said, "{secret}");
        }
        assert_eq!(
            sentence("manage", "there is no `file.manged`, but `file.managed`.").matches(MASK).count(),
            0
        );
        assert_eq!(sentence("file.managed", said).matches(MASK).count(), 1);
    }

    #[test]
    fn a_secret_in_a_sentence_is_masked_all_the_same() {
        for (secret, text, expected) in [
            ("manage", "found text `manage`", "found text `********`"),
            ("manage", "found text `-pmanage`", "found text `-p********`"),
            ("manage", "found text `xmanaged`", "found text `x********d`"),
            ("manage", "it raises: manage, and manage.", "it raises: ********, and ********."),
            ("managed", "the word managed alone", "the word ******** alone"),
            ("manage5", "it raises: xmanage5x", "it raises: x********x"),
            ("managements", "it raises: xmanagementsx", "it raises: x********x"),
            ("a`manage", "found text `a`manage`", "found text `********`"),
        ] {
            assert_eq!(sentence(secret, text), expected);
        }
    }

    #[test]
    fn masks_the_longer_of_two_that_overlap() {
        let secrets = Secrets::new(["hunter2".to_owned(), "hunter2-long".to_owned(), "x".to_owned()]);
        assert_eq!(secrets.mask("a hunter2-long b hunter2 x"), "a ******** b ******** x");
    }

    #[test]
    fn hides_the_old_password_that_a_new_one_replaces() {
        let secrets = Secrets::new(["newpass".to_owned()]);
        let diff = "--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n keep\n-password=oldpass\n+password=newpass\n";
        let masked = secrets.mask_diff(diff);
        assert_eq!(masked, "--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n keep\n-********\n+password=********\n");
    }
}
