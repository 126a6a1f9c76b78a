//! Masking: what came from private pillar never leaves in a report, an event or an error.

use crate::{Change, Map, Problem, Unwritten, Value};

/// What stands for a secret wherever it would be shown.
pub const MASK: &str = "********";

/// The texts that must not be shown. Very short ones are not masked, because they would blot out everything.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The longest first, so that a secret within another does not leave a rest.
    texts: Vec<String>,
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
        Secrets { texts: all }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn are_in(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| text.contains(secret.as_str()))
    }

    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in &self.texts {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        masked
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
        let mask = |text: &String| self.mask(text);
        Problem {
            message: mask(&problem.message),
            at: problem.at.as_ref().map(|at| at.reworded(&|text| self.mask(text))),
            id: problem.id.as_ref().map(mask),
            related: problem.related.iter().map(|(what, at)| (mask(what), at.clone())).collect(),
            hints: problem.hints.iter().map(mask).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
