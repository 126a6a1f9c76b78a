//! Python's regular expressions, as Salt's functions apply them to the bytes of a file: each pattern is translated into
//! one for `fancy_regex`, and bytes travel as characters of the same number, so that no file is refused for its
//! encoding and `\w` means ASCII, as it does for bytes in Python.

use fancy_regex::Regex;
use kstate_core::Stop;
use thiserror::Error;

/// Python: `re.compile(pattern, flags)` on bytes.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    pub(crate) multiline: bool,
    pub(crate) dot_all: bool,
    pub(crate) verbose: bool,
}

impl Flags {
    pub(crate) const MULTILINE: Flags =
        Flags { ignore_case: false, multiline: true, dot_all: false, verbose: false };
}

#[derive(Debug, Error)]
pub(crate) enum PatternError {
    #[error("the pattern ends in the middle of {0}")]
    Unfinished(&'static str),
    #[error("`\\{0}` is not an escape of Python's regular expressions")]
    BadEscape(char),
    #[error("`(?{0}` is not an extension of Python's regular expressions")]
    BadGroup(String),
    #[error("a closing parenthesis has no opening one")]
    Unbalanced,
    #[error("the range `{0}-{1}` runs backwards")]
    BadRange(char, char),
    #[error("group `{0}` is not in the pattern")]
    NoSuchGroup(String),
    #[error("it is not a regular expression: {0}")]
    Invalid(#[from] Box<fancy_regex::Error>),
}

/// Bytes as a text that has one character for each.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes that such a text stands for.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

/// Python: `re.escape`.
pub(crate) fn escape(literal: &str) -> String {
    let mut out = String::new();
    for c in literal.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Pattern {
    pub(crate) fn new(pattern: &str, flags: Flags) -> Result<Self, PatternError> {
        let translated = Translator::new(&text_of(pattern.as_bytes()), flags).translate()?;
        match Regex::new(&translated) {
            Ok(regex) => Ok(Pattern { regex }),
            Err(error) => Err(PatternError::Invalid(Box::new(error))),
        }
    }

    /// Python: `bool(re.search(…))`.
    pub(crate) fn is_in(&self, text: &str) -> Result<bool, Stop> {
        self.regex.is_match(text).map_err(|error| failed(&error))
    }

    /// Python: `bool(re.match(…))`.
    pub(crate) fn begins(&self, text: &str) -> Result<bool, Stop> {
        let found = self.regex.find(text).map_err(|error| failed(&error))?;
        Ok(found.is_some_and(|found| found.start() == 0))
    }

    /// Python: `re.subn`. At most `count` replacements (0: all), and how many there were.
    pub(crate) fn replace(
        &self,
        text: &str,
        template: &Template,
        count: usize,
    ) -> Result<(String, usize), Stop> {
        let (mut out, mut copied, mut from, mut done) = (String::new(), 0, 0, 0);
        while from <= text.len() && (count == 0 || done < count) {
            let found = self.regex.captures_from_pos(text, from).map_err(|error| failed(&error))?;
            let Some(captures) = found else { break };
            let Some(whole) = captures.get(0) else { break };
            out.push_str(&text[copied..whole.start()]);
            for piece in &template.0 {
                match piece {
                    Piece::Literal(literal) => out.push_str(literal),
                    Piece::Group(group) => out.push_str(captures.get(*group).map_or("", |m| m.as_str())),
                }
            }
            copied = whole.end();
            done += 1;
            // After an empty match the search goes on behind the next character.
            let step = text[copied..].chars().next().map_or(1, char::len_utf8);
            from = if whole.start() == copied { copied + step } else { copied };
        }
        out.push_str(&text[copied..]);
        Ok((out, done))
    }
}

fn failed(error: &fancy_regex::Error) -> Stop {
    Stop::Failed(format!("the pattern cannot be applied: {error}"))
}

/// What a match is replaced by: text, and groups of the match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Group(usize),
}

impl Template {
    pub(crate) fn literal(text: &str) -> Self {
        Template(vec![Piece::Literal(text_of(text.as_bytes()))])
    }

    /// Reads `\1`, `\g<name>`, `\n` and their like, as Python's `re.sub` does.
    pub(crate) fn new(text: &str, pattern: &Pattern) -> Result<Self, PatternError> {
        let chars: Vec<char> = text_of(text.as_bytes()).chars().collect();
        let (mut pieces, mut literal, mut at) = (Vec::new(), String::new(), 0);
        while at < chars.len() {
            let c = chars[at];
            at += 1;
            if c != '\\' {
                literal.push(c);
                continue;
            }
            let Some(&escaped) = chars.get(at) else { return Err(PatternError::Unfinished("an escape")) };
            at += 1;
            let group = match escaped {
                'g' => Some(named_group(&chars, &mut at, pattern)?),
                '0' => {
                    literal.push(octal(&chars, at - 1, 3, &mut at));
                    None
                }
                '1'..='9' if is_octal(&chars, at - 1) => {
                    literal.push(octal(&chars, at - 1, 3, &mut at));
                    None
                }
                '1'..='9' => Some(number(&chars, &mut at)),
                _ => {
                    match simple_escape(escaped) {
                        Some(plain) => literal.push(plain),
                        None if escaped == 'b' => literal.push('\u{8}'),
                        None if escaped.is_ascii_alphabetic() => {
                            return Err(PatternError::BadEscape(escaped));
                        }
                        None => literal.extend(['\\', escaped]),
                    }
                    None
                }
            };
            if let Some(group) = group {
                if group >= pattern.regex.captures_len() {
                    return Err(PatternError::NoSuchGroup(group.to_string()));
                }
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                pieces.push(Piece::Group(group));
            }
        }
        pieces.push(Piece::Literal(literal));
        Ok(Template(pieces))
    }
}

/// `<name>` or `<1>` behind `\g`.
fn named_group(chars: &[char], at: &mut usize, pattern: &Pattern) -> Result<usize, PatternError> {
    let rest: String = chars[*at..].iter().collect();
    let Some((name, _)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
        return Err(PatternError::Unfinished("a group's name"));
    };
    *at += name.chars().count() + 2;
    if let Ok(group) = name.parse() {
        return Ok(group);
    }
    pattern
        .regex
        .capture_names()
        .position(|known| known == Some(name))
        .ok_or_else(|| PatternError::NoSuchGroup(name.to_owned()))
}

/// One or two digits, the first of which stands before `at`.
fn number(chars: &[char], at: &mut usize) -> usize {
    let digit = |index: usize| chars.get(index).and_then(|c| c.to_digit(10)).map(|digit| digit as usize);
    let first = digit(*at - 1).unwrap_or_default();
    match digit(*at) {
        Some(second) => {
            *at += 1;
            first * 10 + second
        }
        None => first,
    }
}

/// Three octal digits are a character, not a group.
fn is_octal(chars: &[char], from: usize) -> bool {
    chars.len() >= from + 3 && chars[from..from + 3].iter().all(|c| ('0'..='7').contains(c))
}

fn octal(chars: &[char], from: usize, most: usize, at: &mut usize) -> char {
    let digits: Vec<u32> = chars[from..].iter().take(most).map_while(|c| c.to_digit(8)).collect();
    *at = from + digits.len();
    let value = digits.iter().fold(0, |value, digit| value * 8 + digit);
    char::from(u8::try_from(value & 0xff).unwrap_or_default())
}

fn simple_escape(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'f' => '\u{c}',
        'v' => '\u{b}',
        'a' => '\u{7}',
        '\\' => '\\',
        _ => return None,
    })
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    flags: Flags,
    /// The flags outside each group that is open.
    outer: Vec<Flags>,
}

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\x20\t\n\r\x0b\x0c";
/// Boundaries of ASCII words.
const BOUNDARY: &str = "(?:(?<=[A-Za-z0-9_])(?![A-Za-z0-9_])|(?<![A-Za-z0-9_])(?=[A-Za-z0-9_]))";
const NO_BOUNDARY: &str = "(?:(?<=[A-Za-z0-9_])(?=[A-Za-z0-9_])|(?<![A-Za-z0-9_])(?![A-Za-z0-9_]))";

impl Translator {
    fn new(pattern: &str, flags: Flags) -> Self {
        let out = if flags.ignore_case { "(?i)".to_owned() } else { String::new() };
        Translator { chars: pattern.chars().collect(), at: 0, out, flags, outer: Vec::new() }
    }

    fn translate(mut self) -> Result<String, PatternError> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    self.flags = self.outer.pop().ok_or(PatternError::Unbalanced)?;
                    self.out.push(')');
                }
                '.' if self.flags.dot_all => self.out.push_str(r"[\x00-\xff]"),
                '.' => self.out.push_str(r"[^\n]"),
                '^' if self.flags.multiline => self.out.push_str("(?m:^)"),
                '^' => self.out.push_str(r"\A"),
                '$' if self.flags.multiline => self.out.push_str("(?m:$)"),
                // Python: also before a newline that ends the text.
                '$' => self.out.push_str(r"(?=\n?\z)"),
                '{' => self.repetition(),
                '*' | '+' | '?' | '|' => self.out.push(c),
                '#' if self.flags.verbose => while self.next().is_some_and(|c| c != '\n') {},
                c if self.flags.verbose && c.is_ascii_whitespace() => {}
                c => self.literal(c),
            }
        }
        if self.outer.is_empty() { Ok(self.out) } else { Err(PatternError::Unfinished("a group")) }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let c = self.next().ok_or(PatternError::Unfinished("an escape"))?;
        match c {
            'A' => self.out.push_str(r"\A"),
            'Z' => self.out.push_str(r"\z"),
            'b' => self.out.push_str(BOUNDARY),
            'B' => self.out.push_str(NO_BOUNDARY),
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => self.out.push_str(&class_escape(c)),
            '0' => {
                let c = octal(&self.chars, self.at - 1, 3, &mut self.at);
                self.literal(c);
            }
            '1'..='9' if is_octal(&self.chars, self.at - 1) => {
                let c = octal(&self.chars, self.at - 1, 3, &mut self.at);
                self.literal(c);
            }
            '1'..='9' => {
                let group = number(&self.chars, &mut self.at);
                self.out.push_str(&format!(r"(?:\{group})"));
            }
            c => {
                let c = self.plain_escape(c)?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// An escape that stands for one character, in and outside of a class.
    fn plain_escape(&mut self, c: char) -> Result<char, PatternError> {
        if c == 'x' {
            let digits: String = self.chars[self.at..].iter().take(2).collect();
            self.at += 2;
            return u8::from_str_radix(&digits, 16)
                .map(char::from)
                .map_err(|_| PatternError::Unfinished("an escape"));
        }
        match simple_escape(c) {
            Some(plain) => Ok(plain),
            None if c.is_ascii_alphabetic() => Err(PatternError::BadEscape(c)),
            None => Ok(c),
        }
    }

    fn class(&mut self) -> Result<(), PatternError> {
        const UNFINISHED: PatternError = PatternError::Unfinished("a set");
        self.out.push('[');
        if self.peek(0) == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.next().ok_or(UNFINISHED)?;
            if c == ']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            let Some(low) = self.class_character(c)? else { continue };
            if self.peek(0) != Some('-') || matches!(self.peek(1), None | Some(']')) {
                self.literal(low);
                continue;
            }
            self.at += 1;
            let next = self.next().ok_or(UNFINISHED)?;
            let before = self.out.len();
            match self.class_character(next)? {
                Some(high) if high < low => return Err(PatternError::BadRange(low, high)),
                Some(high) => {
                    self.literal(low);
                    self.out.push('-');
                    self.literal(high);
                }
                // Python refuses `[a-\d]`.
                None => {
                    return Err(PatternError::BadRange(
                        low,
                        self.out[before..].chars().next().unwrap_or('\\'),
                    ));
                }
            }
        }
    }

    /// A character of a class; `None`: it was a whole set, which is written.
    fn class_character(&mut self, c: char) -> Result<Option<char>, PatternError> {
        if c != '\\' {
            return Ok(Some(c));
        }
        let c = self.next().ok_or(PatternError::Unfinished("a set"))?;
        match c {
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => {
                self.out.push_str(&class_escape(c));
                Ok(None)
            }
            'b' => Ok(Some('\u{8}')),
            '0'..='7' => Ok(Some(octal(&self.chars, self.at - 1, 3, &mut self.at))),
            c => self.plain_escape(c).map(Some),
        }
    }

    /// `{` is a repetition only if it reads as one.
    fn repetition(&mut self) {
        let rest: String = self.chars[self.at..].iter().take_while(|c| **c != '}').collect();
        let closed = self.chars.get(self.at + rest.chars().count()) == Some(&'}');
        let (low, high) = rest.split_once(',').unwrap_or((&rest, ""));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if !closed || rest.is_empty() || !digits(low) || !digits(high) {
            return self.literal('{');
        }
        self.at += rest.chars().count() + 1;
        let low = if low.is_empty() { "0" } else { low };
        let comma = if rest.contains(',') { "," } else { "" };
        self.out.push_str(&format!("{{{low}{comma}{high}}}"));
    }

    fn group(&mut self) -> Result<(), PatternError> {
        if self.peek(0) != Some('?') {
            self.out.push('(');
            self.outer.push(self.flags);
            return Ok(());
        }
        self.at += 1;
        let rest: String = self.chars[self.at..].iter().collect();
        for opening in ["P<", ":", "=", "!", "<=", "<!", ">"] {
            if rest.starts_with(opening) {
                self.at += opening.len();
                self.out.push_str(&format!("(?{opening}"));
                self.outer.push(self.flags);
                if opening == "P<" {
                    self.name('>')?;
                }
                return Ok(());
            }
        }
        if rest.starts_with("P=") {
            self.at += 2;
            self.out.push_str("(?P=");
            return self.name(')');
        }
        if rest.starts_with('#') {
            while self.next().ok_or(PatternError::Unfinished("a comment"))? != ')' {}
            return Ok(());
        }
        if let Some((condition, _)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            self.at += condition.chars().count() + 2;
            let is_number = condition.chars().all(|c| c.is_ascii_digit());
            self.out.push_str(&if is_number {
                format!("(?({condition})")
            } else {
                format!("(?(<{condition}>)")
            });
            self.outer.push(self.flags);
            return Ok(());
        }
        self.inline_flags(&rest)
    }

    /// The rest of a name, with what ends it.
    fn name(&mut self, end: char) -> Result<(), PatternError> {
        loop {
            let c = self.next().ok_or(PatternError::Unfinished("a group's name"))?;
            self.out.push(c);
            if c == end {
                return Ok(());
            }
        }
    }

    /// `(?im)` for the rest, `(?i-s:…)` for a group.
    fn inline_flags(&mut self, rest: &str) -> Result<(), PatternError> {
        let outer = self.flags;
        let mut on = true;
        for (index, c) in rest.char_indices() {
            match c {
                'i' => self.flags.ignore_case = on,
                'm' => self.flags.multiline = on,
                's' => self.flags.dot_all = on,
                'x' => self.flags.verbose = on,
                // Bytes are ASCII in any case.
                'a' | 'L' | 'u' => {}
                '-' if on => on = false,
                ')' | ':' => {
                    self.at += index + 1;
                    let i = if self.flags.ignore_case { "i" } else { "-i" };
                    self.out.push_str(&format!("(?{i}{c}"));
                    if c == ':' {
                        self.outer.push(outer);
                    }
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(PatternError::BadGroup(rest.chars().take(8).collect()))
    }
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || c == '_' {
        out.push(c);
    } else {
        out.push_str(&format!(r"\x{:02x}", u32::from(c)));
    }
}

fn class_escape(c: char) -> String {
    let set = match c.to_ascii_lowercase() {
        'd' => DIGIT,
        'w' => WORD,
        _ => SPACE,
    };
    let not = if c.is_ascii_uppercase() { "^" } else { "" };
    format!("[{not}{set}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(pattern: &str, repl: &str, text: &str, flags: Flags) -> String {
        let pattern = Pattern::new(pattern, flags).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let template = Template::new(repl, &pattern).unwrap();
        let (text, _) = pattern.replace(&text_of(text.as_bytes()), &template, 0).unwrap();
        String::from_utf8(bytes_of(&text)).unwrap()
    }

    /// Each row was put to Python 3's `re.sub` on bytes.
    #[test]
    fn replaces_as_python_does() {
        let none = Flags::default();
        let case = Flags { ignore_case: true, ..none };
        let verbose = Flags { verbose: true, ..none };
        let all = Flags { dot_all: true, ..none };
        let rows = [
            ("x*", "-", "abxd", none, "-a-b--d-"),
            (
                r"^#?(Port)\s+\d+$",
                r"\1 2222",
                "#Port 22\nPort  80\n",
                Flags::MULTILINE,
                "Port 2222\nPort 2222\n",
            ),
            ("^a$", "b", "a\n", none, "b\n"),
            ("^a", "b", "a\na", none, "b\na"),
            (r"(?P<k>\w+)=(?P<v>.*)", r"\g<v>=\g<k>", "a=1\nb=2", none, "1=a\n2=b"),
            ("(a)", r"\g<1>\\\.\n", "a", none, "a\\\\.\n"),
            (r"(?i)FOO", "bar", "foo Foo", none, "bar bar"),
            ("FOO", "bar", "foo", case, "bar"),
            (r"(?<!\w)b(?=c)", "X", "abc bc", none, "abc Xc"),
            (r"[[\]]", "-", "[x]", none, "-x-"),
            (r"[]a]", "-", "]a", none, "--"),
            (r"[^\W\d]+", "w", "ab1_ ", none, "w1w "),
            (r"[a-c-]+", "x", "b-z", none, "xz"),
            ("{x}", "y", "{x}", none, "y"),
            ("a{,2}b", "y", "aaab", none, "ay"),
            ("é", "e", "café", none, "cafe"),
            (r"a.b", "x", "a\nb", all, "x"),
            ("a b # note", "x", "ab", verbose, "x"),
            (r"a\ b", "x", "a b", verbose, "x"),
            (r"end\Z", "x", "end", none, "x"),
            (r"\bfoo\b", "x", "foo foobar", none, "x foobar"),
            (r"(a)|b", r"[\1]", "ab", none, "[a][]"),
            (r"(<)?x(?(1)>|)", "y", "<x> x", none, "y y"),
            (r"\x41\101\t", "x", "AA\t", none, "x"),
            (r"(?:a|b)(?#note)c", "x", "bc", none, "x"),
            (r"/etc/\-\.conf", "x", "/etc/-.conf", none, "x"),
        ];
        for (pattern, repl, text, flags, expected) in rows {
            assert_eq!(sub(pattern, repl, text, flags), expected, "{pattern}");
        }
    }

    #[test]
    fn a_dot_is_one_byte() {
        let pattern = Pattern::new("caf.", Flags::default()).unwrap();
        let (text, count) = pattern.replace(&text_of("café".as_bytes()), &Template::literal("x"), 0).unwrap();
        assert_eq!((bytes_of(&text), count), (b"x\xa9".to_vec(), 1));
    }

    #[test]
    fn says_what_is_wrong_with_a_pattern() {
        let message = |pattern: &str| Pattern::new(pattern, Flags::default()).unwrap_err().to_string();
        assert_eq!(message(r"\y"), r"`\y` is not an escape of Python's regular expressions");
        assert_eq!(message("(a"), "the pattern ends in the middle of a group");
        assert_eq!(message("a)"), "a closing parenthesis has no opening one");
        assert_eq!(message("[a"), "the pattern ends in the middle of a set");
        let pattern = Pattern::new("(a)", Flags::default()).unwrap();
        assert_eq!(
            Template::new(r"\2", &pattern).unwrap_err().to_string(),
            "group `2` is not in the pattern"
        );
    }
}
