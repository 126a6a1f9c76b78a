//! Masking: what came from private pillar never leaves in a report, an event or an error, however it is written.
//!
//! The texts are looked for in all forms (`forms`) and in all readings of what is to be shown (`views`): escaped, encoded,
//! wrapped, in other case, or cut. What kstate itself says stays readable: fields, outcomes and names that everybody knows
//! are never masked, and a few letters that make a word only where they are a value of their own.

mod forms;
mod search;
mod views;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::{Change, Hold, Map, Printed, Problem, StateReport, Unwritten, Value};
use forms::Kind;
pub use forms::is_plain;
use search::{Found, Search};

/// What stands for a secret wherever it would be shown.
pub const MASK: &str = "********";

/// The texts that must not be shown.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    texts: Vec<String>,
    public: Arc<BTreeSet<String>>,
    /// Built when it is first needed.
    search: Arc<OnceLock<Search>>,
}

/// What a text is, which decides where a secret of few letters is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Contents, values, and what commands print.
    Data,
    /// A unified diff.
    Diff,
    /// What kstate says; it has data between backticks.
    Sentence,
    /// The name of a thing, and keys.
    Name,
}

impl Secrets {
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.trim().is_empty()).collect();
        Secrets { texts, ..Secrets::default() }
    }

    /// Leaves names whole that everybody knows, wherever a secret is a part of one.
    #[must_use]
    pub fn sparing(self, public: Arc<BTreeSet<String>>) -> Self {
        Secrets { public, search: Arc::default(), ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Masks data.
    pub fn mask(&self, text: &str) -> String {
        self.masked(text, Place::Data)
    }

    /// Masks the name of a thing: an id, a subject, a key.
    pub fn mask_name(&self, name: &str) -> String {
        self.masked(name, Place::Name)
    }

    /// Masks a sentence, which has data between backticks.
    pub fn mask_sentence(&self, sentence: &str) -> String {
        self.masked(sentence, Place::Sentence)
    }

    fn masked(&self, text: &str, place: Place) -> String {
        if self.is_empty() { text.to_owned() } else { covered(text, self.ranges(text, place), place) }
    }

    /// The places that are to be masked.
    fn ranges(&self, text: &str, place: Place) -> Vec<Range<usize>> {
        let search = self.search.get_or_init(|| Search::new(forms::forms(&self.texts, &self.public)));
        let found = search.find(text, place == Place::Diff);
        let is_meant = |found: &Found| is_meant(text, found, place) && !self.is_of_a_name(text, found, place);
        found.into_iter().filter(is_meant).map(|found| found.range).collect()
    }

    /// Whether it is a part of a name that everybody knows.
    fn is_of_a_name(&self, text: &str, found: &Found, place: Place) -> bool {
        let is_asked = found.is_letters || place == Place::Sentence;
        let name = name_around(text, &found.range);
        is_asked && name.len() > found.range.len() && self.public.contains(name)
    }

    pub fn mask_value(&self, value: &Value) -> Value {
        let is_told = |text: &str| !self.is_empty() && !self.ranges(text, Place::Data).is_empty();
        match value {
            Value::Text(text) => Value::Text(self.mask(text)),
            Value::Bytes(bytes) if is_told(&String::from_utf8_lossy(bytes)) => MASK.into(),
            Value::Int(_) | Value::Big(_) | Value::Float(_) if is_told(&value.to_string()) => MASK.into(),
            Value::List(items) => Value::List(items.iter().map(|item| self.mask_value(item)).collect()),
            Value::Map(map) => Value::Map(self.mask_map(map)),
            other => other.clone(),
        }
    }

    fn mask_map(&self, map: &Map) -> Map {
        let mut masked = Map::new();
        for (key, value) in map.iter() {
            masked.insert(self.mask_key(key, &masked), self.mask_value(value));
        }
        masked
    }

    /// Two keys that are hidden stay two.
    fn mask_key(&self, key: &Value, taken: &Map) -> Value {
        let masked = match key {
            Value::Text(text) => Value::Text(self.mask_name(text)),
            Value::Bool(_) | Value::Null => key.clone(),
            other => self.mask_value(other),
        };
        if masked == *key || taken.get_key(&masked).is_none() {
            return masked;
        }
        let numbered = |n: usize| Value::Text(format!("{masked} {n}"));
        (2..).map(numbered).find(|key| taken.get_key(key).is_none()).unwrap_or(masked)
    }

    pub fn mask_problem(&self, problem: &Problem) -> Problem {
        let related = problem.related.iter().map(|(what, at)| (self.mask_sentence(what), at.clone()));
        Problem {
            message: self.mask_sentence(&problem.message),
            at: problem.at.as_ref().map(|at| at.reworded(&|text| self.mask_name(text))),
            id: problem.id.as_ref().map(|id| self.mask_name(id)),
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
            subject: self.mask_name(&change.subject),
            before: self.mask_value(&change.before),
            after: self.mask_value(&change.after),
            diff: change.diff.as_deref().map(|diff| self.mask_diff(diff)),
            details: self.mask_map(&change.details),
        }
    }

    pub fn mask_report(&self, report: &StateReport) -> StateReport {
        let sentence = |text: &Option<String>| text.as_ref().map(|text| self.mask_sentence(text));
        let commits = |hold: &Hold| hold.commits.iter().map(|commit| self.mask(commit)).collect();
        let hold =
            |hold: &Hold| Hold { path: self.mask_name(&hold.path), commits: commits(hold), ..hold.clone() };
        StateReport {
            id: self.mask_name(&report.id),
            name: self.mask_name(&report.name),
            changes: report.changes.iter().map(|change| self.mask_change(change)).collect(),
            reason: sentence(&report.reason),
            remark: sentence(&report.remark),
            holds: report.holds.iter().map(hold).collect(),
            printed: report.printed.iter().map(|printed| self.mask_printed(printed)).collect(),
            ..report.clone()
        }
    }

    fn mask_printed(&self, printed: &Printed) -> Printed {
        let Printed { command, status, stdout, stderr, omitted } = printed;
        let [command, stdout, stderr] = [command, stdout, stderr].map(|text| self.mask(text));
        Printed { command, status: *status, stdout, stderr, omitted: *omitted }
    }

    /// In a run of changed lines that brings a secret in, the lines that go out may hold the secret of yesterday,
    /// which nobody has told us: they are hidden whole.
    fn mask_diff(&self, diff: &str) -> String {
        let masked = self.masked(diff, Place::Diff);
        let lines: Vec<(&str, &str)> = diff.split('\n').zip(masked.split('\n')).collect();
        let is_change = |line: &str| {
            line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ")
        };
        let mut out = Vec::new();
        for run in lines.chunk_by(|(a, _), (b, _)| is_change(a) == is_change(b)) {
            let is_secret = is_change(run[0].0) && run.iter().any(|(line, masked)| line != masked);
            for (line, masked) in run {
                let hidden = is_secret && line.starts_with('-');
                out.push(if hidden { format!("-{MASK}") } else { (*masked).to_owned() });
            }
        }
        out.join("\n")
    }
}

/// Whether a text that looks like a secret is one there.
fn is_meant(text: &str, found: &Found, place: Place) -> bool {
    if found.kind != Kind::Word {
        return true;
    }
    match place {
        Place::Name => false,
        Place::Sentence if text[..found.range.start].matches('`').count() % 2 == 1 => true,
        Place::Data | Place::Diff | Place::Sentence => {
            is_a_word(text, &found.range) && !is_a_key(text, &found.range)
        }
    }
}

fn is_a_word(text: &str, range: &Range<usize>) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    !text[..range.start].ends_with(is_letter) && !text[range.end..].starts_with(is_letter)
}

/// `user: …`, `"user" = …` at the beginning of a line.
fn is_a_key(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].rsplit('\n').next().unwrap_or_default();
    let after = text[range.end..].trim_start_matches(['"', '\'', ' ', '\t']);
    before.chars().all(|c| " \t\"'+-{,".contains(c)) && after.starts_with([':', '='])
}

/// The name of which a range is a part, as names of states, functions and files are written.
fn name_around<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    let is_of_name = |c: char| c.is_alphanumeric() || "._-/".contains(c);
    let before = text[..range.start].trim_end_matches(is_of_name).len();
    let rest = &text[range.end..];
    let after = range.end + rest.len() - rest.trim_start_matches(is_of_name).len();
    text[before..after].trim_end_matches('.')
}

/// A text with its ranges hidden. The ends of lines stay, so that each line keeps its place.
fn covered(text: &str, mut ranges: Vec<Range<usize>>, place: Place) -> String {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in merged {
        out.push_str(&text[at..range.start]);
        for (number, line) in text[range.clone()].split('\n').enumerate() {
            let sign = usize::from(number > 0 && place == Place::Diff && !line.is_empty());
            if number > 0 {
                out.push('\n');
            }
            out.push_str(&line[..sign]);
            out.push_str(&hidden(&line[sign..]));
        }
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}
/// A line that is hidden, but for the white space around it.
fn hidden(line: &str) -> String {
    match line.trim_matches([' ', '\t', '\r']) {
        "" => line.to_owned(),
        word => line.replacen(word, MASK, 1),
    }
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
        assert_eq!(sentence("file.managed", said), said);
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
            ("user", "the user is unknown", "the user is unknown"),
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

    fn of(texts: &[&str]) -> Secrets {
        Secrets::new(texts.iter().map(|text| (*text).to_owned()))
    }

    #[test]
    fn pieces_of_a_secret_are_masked() {
        let secrets = of(&["pw-Zx81-correct-horse", "correct horse battery"]);
        for (text, expected) in [
            ("cut: pw-Zx81-co…", "cut: ********…"),
            ("cut: …ct-horse", "cut: …********"),
            ("cut: -Zx81-corr.", "cut: ********."),
            ("a horse is correct", "a horse is correct"),
            ("pw-Zx81-co\n  rrect-horse", "********\n  ********"),
            ("correct horse batte…", "********…"),
            ("correct horse", "correct horse"),
        ] {
            assert_eq!(secrets.mask(text), expected, "{text}");
        }
    }

    #[test]
    fn words_and_numbers_are_masked_where_they_are_values() {
        let secrets = of(&["manage", "493817", "hunter2"]);
        for (text, expected) in [
            ("manage: manage", "manage: ********"),
            ("\"manage\" = 1", "\"manage\" = 1"),
            ("managed", "managed"),
            ("pin 493817, 1493817", "pin ********, 1493817"),
            ("493817: a", "********: a"),
            ("-phunter2", "-p********"),
            ("HUNTER2", "********"),
        ] {
            assert_eq!(secrets.mask(text), expected, "{text}");
        }
        assert_eq!(secrets.mask_name("manage hunter2"), "manage ********");
        assert_eq!(secrets.mask_value(&Value::Int(493_817)), MASK.into());
        assert_eq!(secrets.mask_value(&Value::Int(93_817)), Value::Int(93_817));
    }

    #[test]
    fn a_word_that_everybody_knows_hides_nothing() {
        let texts = ["user", "root", "true", "postgres", "a", "1", "", "localhost", "abc"];
        let secrets = of(&texts);
        for text in texts {
            assert_eq!(secrets.mask(&format!("{text}: {text}")), format!("{text}: {text}"));
        }
    }

    #[test]
    fn an_escape_may_stand_for_a_part_of_a_character() {
        for secret in ["\u{468}`", "ab\u{468}cdefgh", "\u{d1}abcdefgh"] {
            assert_eq!(of(&[secret]).mask(&format!("\\{secret}")).matches('\u{fffd}').count(), 0);
        }
    }

    #[test]
    fn keys_that_are_hidden_stay_apart() {
        let secrets = of(&["aB3xK9pQ2mZ7", "zz-81-yy-92-xx"]);
        let map = Map::from_iter([("aB3xK9pQ2mZ7", Value::Int(1)), ("zz-81-yy-92-xx", Value::Int(2))]);
        let Value::Map(masked) = secrets.mask_value(&Value::Map(map)) else { panic!() };
        let keys: Vec<String> = masked.iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(keys, ["********", "******** 2"]);
    }

    #[test]
    fn a_wrapped_secret_leaves_the_lines_of_a_diff() {
        let secrets = of(&["pw-Zx81-correct-horse-and-more"]);
        let masked = secrets.mask_diff("@@ -1 +1,2 @@\n-old\n+pw-Zx81-correct\n+-horse-and-more\n keep\n");
        assert_eq!(masked, "@@ -1 +1,2 @@\n-********\n+********\n+********\n keep\n");
    }
}
