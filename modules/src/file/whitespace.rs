//! How Salt's `file.append` and `file.prepend` look for a text that may be there already: however it is spaced.

use super::contents::lines;
use super::pattern::escape;

/// A pattern that finds `text` with other white space between its words.
pub(super) fn loosely(text: &str) -> String {
    const SPACE: &str = r"(?:\s+)?";
    let quotes = quotes(text);
    let mut pattern = String::from("^");
    for line in lines(text) {
        let words: Vec<String> = words(line, quotes).iter().map(|word| escape(word)).collect();
        pattern.push_str(&format!("{SPACE}{}{SPACE}", words.join(SPACE)));
    }
    pattern.push('$');
    pattern
}

/// The quotes that hold a phrase together, whose spacing then counts.
fn quotes(text: &str) -> &'static str {
    if text.contains("'\"") || !text.contains('\'') { "" } else { "\"" }
}

fn words(line: &str, quotes: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::from(first);
        if quotes.contains(first) {
            for c in chars.by_ref() {
                word.push(c);
                if c == first {
                    break;
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::pattern::{Flags, Pattern};

    #[test]
    fn finds_a_text_however_it_is_spaced() {
        let rows = [
            ("a b", "x\n  a \t b  \ny", true),
            ("a b", "ab", true),
            ("a b", "xa b", false),
            ("a b", "a b c", false),
            ("a\nb", "a\n\nb", true),
            ("it's \"a b\"", "it's \"a  b\"", false),
            ("it's \"a b\"", "it's   \"a b\"", true),
            ("say \"a b\"", "say \"a  b\"", true),
            ("* soft nofile 1024", "* soft  nofile\t1024", true),
        ];
        for (text, content, expected) in rows {
            let pattern = Pattern::new(&loosely(text), Flags::MULTILINE).unwrap();
            assert_eq!(pattern.is_in(content), Ok(expected), "{text:?} in {content:?}");
        }
    }
}
