//! What hosts, commits and files say must not steer the terminal: whoever is asked has to see what they agree to. So control
//! characters are shown as signs.

use std::borrow::Cow;

/// The codes of the styles in which kstate itself writes.
const OURS: [&str; 14] = ["0", "1", "2", "31", "32", "33", "34", "36", "91", "92", "93", "94", "95", "96"];

/// Foreign text: `␛` in place of an escape character. Line ends and tabs pass.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    shown(text, |_| None)
}

/// Text that has been put together of ours and foreign one: styles pass as well.
pub(crate) fn styled(text: &str) -> Cow<'_, str> {
    shown(text, style)
}

fn shown(text: &str, passing: fn(&str) -> Option<usize>) -> Cow<'_, str> {
    let Some(mut next) = text.find(steers) else { return Cow::Borrowed(text) };
    let (mut out, mut rest) = (String::with_capacity(text.len() + 16), text);
    while let Some(char) = rest[next..].chars().next() {
        let whole = next + passing(&rest[next..]).unwrap_or_default();
        out.push_str(&rest[..whole]);
        rest = &rest[whole..];
        if whole == next {
            out.push(sign(char));
            rest = &rest[char.len_utf8()..];
        }
        next = rest.find(steers).unwrap_or(rest.len());
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether a terminal does something else than show it: control characters, and those that turn the direction of text.
fn steers(char: char) -> bool {
    let turns = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (char.is_control() && !matches!(char, '\n' | '\t'))
}

fn sign(char: char) -> char {
    let picture = match char {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)),
        '\u{7f}' => Some('␡'),
        _ => None,
    };
    picture.unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// How long the sequence is with which a text begins, if it does nothing but set a style of ours.
fn style(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|char: char| !char.is_ascii_digit() && char != ';')?;
    let is_style = codes[end..].starts_with('m') && codes[..end].split(';').all(|code| OURS.contains(&code));
    is_style.then_some("\u{1b}[".len() + end + "m".len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{RED, paint};

    #[test]
    fn shows_what_would_steer_the_terminal() {
        for (text, seen) in [
            ("as it is:\n\tä ✓", "as it is:\n\tä ✓"),
            ("\u{1b}[31mred\u{1b}[0m", "␛[31mred␛[0m"),
            ("\u{1b}]0;title\u{7}", "␛]0;title␇"),
            ("good\rbad\u{8}\u{7f}", "good␍bad␈␡"),
            ("\u{9b}2J \u{202e}txt", "\u{fffd}2J \u{fffd}txt"),
            ("end\u{1b}", "end␛"),
        ] {
            assert_eq!(plain(text), seen);
        }
    }

    #[test]
    fn styles_of_ours_pass() {
        let ours = format!("{} and \u{1b}[1m\u{1b}[91mmore\u{1b}[0m", paint(RED, "red"));
        assert_eq!(styled(&ours), ours);
        for foreign in
            ["\u{1b}[8mhidden", "\u{1b}[30mblack", "\u{1b}[2J", "\u{1b}[31", "\u{1b}[1;8m", "\u{1b}[m"]
        {
            assert!(!styled(foreign).contains('\u{1b}'), "{foreign:?}");
        }
        assert!(!paint(RED, "\u{1b}[32mgreen").contains("\u{1b}[32m"));
    }
}
