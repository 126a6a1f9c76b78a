//! Readings of a text: as it is, and with its escapes undone, each byte with its place in the text.

use std::ops::Range;

/// More readings than these are not tried: three layers of escapes, as a rule.
const READINGS: usize = 16;

/// The bytes that a text stands for, and where in the text each of them is written.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

impl View {
    /// Reads a text as it is. `skip` names places that are no part of it: the signs of a diff.
    fn of(text: &str, skip: impl Fn(usize, u8) -> bool) -> Self {
        let mut view = View::default();
        for (place, byte) in text.bytes().enumerate().filter(|(place, byte)| !skip(*place, *byte)) {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            view.push(byte, (place, place.saturating_add(1)));
        }
        view
    }

    fn push(&mut self, byte: u8, place: (u32, u32)) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    /// Adds bytes that are written at `range` of another reading.
    fn push_all(&mut self, bytes: &[u8], from: &View, range: Range<usize>) {
        let place = (from.places[range.start].0, from.places[range.end - 1].1);
        bytes.iter().for_each(|byte| self.push(*byte, place));
    }

    /// Returns the range of the text in which a range of these bytes is written.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        self.places[range.start].0 as usize..self.places[range.end - 1].1 as usize
    }

    /// Returns the same in lower case, with or without white space.
    pub(super) fn folded(&self, keep_space: bool) -> View {
        let mut view = View::default();
        for (byte, place) in self.bytes.iter().zip(&self.places) {
            if keep_space || !byte.is_ascii_whitespace() {
                view.push(byte.to_ascii_lowercase(), *place);
            }
        }
        view
    }

    /// Replaces what `read` finds at a place by the bytes that it stands for. `None`: there is nothing of the kind.
    fn decoded(&self, signs: &[u8], read: impl Fn(&[u8]) -> Option<Escape>) -> Option<View> {
        let mut view = View::default();
        let (mut at, mut found) = (0, false);
        while at < self.bytes.len() {
            let escape = signs.contains(&self.bytes[at]).then(|| read(&self.bytes[at..])).flatten();
            match escape {
                Some((bytes, length)) => {
                    view.push_all(&bytes, self, at..at + length);
                    (at, found) = (at + length, true);
                }
                None => {
                    view.push(self.bytes[at], self.places[at]);
                    at += 1;
                }
            }
        }
        found.then_some(view)
    }
}

/// The bytes that an escape stands for, and its length.
type Escape = (Vec<u8>, usize);

/// Returns the readings of a text. Each undoes one more layer of escapes than one before it.
pub(super) fn views(text: &str, is_diff: bool) -> Vec<View> {
    let bytes = text.as_bytes();
    let is_sign = |place: usize, byte: u8| {
        is_diff && matches!(byte, b'+' | b'-' | b' ') && (place == 0 || bytes[place - 1] == b'\n')
    };
    let mut views = vec![View::of(text, is_sign)];
    let mut next = 0;
    while next < views.len() {
        for decode in DECODERS {
            let view = if views.len() < READINGS { decode(&views[next]) } else { None };
            if let Some(view) = view
                && !views.iter().any(|known| known.bytes == view.bytes)
            {
                views.push(view);
            }
        }
        next += 1;
    }
    views
}

const DECODERS: [fn(&View) -> Option<View>; 6] = [
    |view| view.decoded(b"\\", backslash),
    |view| view.decoded(b"'\"", doubled),
    |view| view.decoded(b"%", |bytes| hex_after(b'%', bytes)),
    |view| if view.bytes.contains(&b'+') { view.decoded(b"%+", form) } else { None },
    |view| view.decoded(b"&", entity),
    |view| view.decoded(b"=", |bytes| hex_after(b'=', bytes)),
];

/// JSON, YAML, C, Python, the shell: `\n`, `\"`, `\x41`, `\u0041`, `\101`.
fn backslash(bytes: &[u8]) -> Option<Escape> {
    let next = *bytes.get(1)?;
    let plain = |byte: u8| Some((vec![byte], 2));
    match next {
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'\n' => Some((Vec::new(), 2)),
        b'0'..=b'7' => {
            let digits = bytes[1..].iter().take(3).take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
            let value = number(&bytes[1..=digits], 8)?;
            Some((vec![u8::try_from(value).ok()?], digits + 1))
        }
        b'x' => Some((vec![u8::try_from(number(bytes.get(2..4)?, 16)?).ok()?], 4)),
        b'u' if bytes.get(2) == Some(&b'{') => {
            let end = bytes.iter().take(12).position(|byte| *byte == b'}')?;
            Some((utf8(number(&bytes[3..end], 16)?)?, end + 1))
        }
        b'u' => utf16(bytes),
        b'U' => Some((utf8(number(bytes.get(2..10)?, 16)?)?, 10)),
        other => plain(other),
    }
}

/// `\u0041`, and the pairs in which JSON writes what lies beyond.
fn utf16(bytes: &[u8]) -> Option<Escape> {
    let first = number(bytes.get(2..6)?, 16)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((utf8(first)?, 6));
    }
    let rest = bytes.get(6..12)?.strip_prefix(br"\u")?;
    let second = number(rest, 16)?.checked_sub(0xdc00)?;
    Some((utf8(0x10000 + ((first - 0xd800) << 10) + second)?, 12))
}

/// SQL, YAML, CSV and the shell end a quote in the middle of it: `''`, `""`, `'\''`, `'"'"'`.
fn doubled(bytes: &[u8]) -> Option<Escape> {
    let written: [(&[u8], u8); 4] =
        [(br"'\''", b'\''), (br#"'"'"'"#, b'\''), (b"''", b'\''), (br#""""#, b'"')];
    let (text, byte) = written.into_iter().find(|(text, _)| bytes.starts_with(text))?;
    Some((vec![byte], text.len()))
}

/// Addresses (`%41`) and mails (`=41`); a sign that is doubled stands for itself.
fn hex_after(sign: u8, bytes: &[u8]) -> Option<Escape> {
    if sign == b'%' && bytes.get(1) == Some(&sign) {
        return Some((vec![sign], 2));
    }
    if sign == b'=' && bytes.get(1) == Some(&b'\n') {
        return Some((Vec::new(), 2));
    }
    Some((vec![u8::try_from(number(bytes.get(1..3)?, 16)?).ok()?], 3))
}

/// Forms of the web, which write a space as `+`.
fn form(bytes: &[u8]) -> Option<Escape> {
    if bytes[0] == b'+' { Some((vec![b' '], 1)) } else { hex_after(b'%', bytes) }
}

/// HTML and XML.
fn entity(bytes: &[u8]) -> Option<Escape> {
    let end = bytes.iter().take(12).position(|byte| *byte == b';')?;
    let name = &bytes[1..end];
    let text = match name {
        b"amp" => b"&".to_vec(),
        b"lt" => b"<".to_vec(),
        b"gt" => b">".to_vec(),
        b"quot" => b"\"".to_vec(),
        b"apos" => b"'".to_vec(),
        b"nbsp" => b" ".to_vec(),
        [b'#', b'x' | b'X', digits @ ..] => utf8(number(digits, 16)?)?,
        [b'#', digits @ ..] => utf8(number(digits, 10)?)?,
        _ => return None,
    };
    Some((text, end + 1))
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|char| char.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<String> {
        views(text, false).iter().map(|view| String::from_utf8_lossy(&view.bytes).into_owned()).collect()
    }

    #[test]
    fn escapes_are_undone_layer_by_layer() {
        for (text, meaning) in [
            (r#"a\"b\\c\/d"#, r#"a"b\c/d"#),
            (r"\u00e9\ud83d\ude00\x41\101\u{42}\U00000043", "é😀AABC"),
            ("%41%2B+b%%", "A+ b%"),
            ("&lt;&#39;&#x22;&amp;&quot;", "<'\"&\""),
            (r"it'\''s, it'\''s", "it's, it's"),
            ("it''s \"\"so\"\"", "it's \"so\""),
            (r#"it'"'"'s"#, "it's"),
            (r"%5Cu0041", "A"),
            (r"\\\\u0041", "A"),
            ("&amp;quot;", "\""),
            ("=41=\nb", "Ab"),
        ] {
            assert!(readings(text).contains(&meaning.to_owned()), "{text}: {:?}", readings(text));
        }
    }

    #[test]
    fn what_only_looks_like_an_escape_stays() {
        for text in ["100% sure &c; a=b \\", "", "&;", "%", "é ✓"] {
            assert_eq!(readings(text)[0], text);
        }
        assert_eq!(readings("no escape in it"), ["no escape in it"]);
    }

    #[test]
    fn a_reading_knows_the_place_of_each_byte() {
        let text = "<é\\u0041>";
        let read = &views(text, false)[1];
        let place = read.bytes.iter().position(|byte| *byte == b'A').unwrap();
        assert_eq!(&text[read.source(place..place + 1)], "\\u0041");
    }
}
