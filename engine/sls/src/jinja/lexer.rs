//! Cuts a template into text and tags, and the inside of a tag into words, as Jinja2's lexer does (white space control,
//! `raw`, comments, `trim_blocks` and `lstrip_blocks` where a `#jinja2:` line asks for them).

use kstate_core::{Position, Problem, integer};
use num_bigint::BigInt;

use crate::limits;
use crate::options::Whitespace;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Name(String),
    Int(BigInt),
    Float(f64),
    Text(String),
    Sign(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: At,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Data {
        text: String,
        at: At,
    },
    /// `{{ … }}`
    Print {
        tokens: Vec<Token>,
        at: At,
    },
    /// `{% … %}`
    Block {
        tokens: Vec<Token>,
        at: At,
    },
}

/// Longest first.
const SIGNS: [&str; 28] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";", "!", "&",
];

pub(super) fn cut(source: &str, file: &str, options: Whitespace) -> Result<Vec<Piece>, Box<Problem>> {
    Lexer { source, at: 0, line: 1, column: 1, file, options, pieces: Vec::new(), words: 0 }.run()
}

pub(super) fn problem(file: &str, at: At, message: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::error(message).at(&Position::new(file, at.line, at.column)))
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    column: u32,
    file: &'a str,
    options: Whitespace,
    pieces: Vec<Piece>,
    words: usize,
}

impl<'a> Lexer<'a> {
    fn run(mut self) -> Result<Vec<Piece>, Box<Problem>> {
        // White space that the tag before asked to drop.
        let mut strip_next = false;
        let mut trim_newline = false;
        while self.at < self.source.len() {
            if strip_next {
                self.skip_white();
            } else if trim_newline && self.rest().starts_with('\n') {
                self.advance(1);
            }
            trim_newline = false;
            let start = self.here();
            let rest = self.rest();
            let open = find_open(rest);
            let data = &rest[..open];
            self.advance(open);
            let tag = self.rest();
            if tag.is_empty() {
                self.push_data(data, start, false, false);
                break;
            }
            let kind = tag.as_bytes()[1];
            let control = tag.as_bytes().get(2).copied();
            let strip_left = control == Some(b'-');
            let keep_left = control == Some(b'+');
            self.push_data(data, start, strip_left, self.options.lstrip_blocks && !keep_left && kind != b'{');
            let at = self.here();
            self.advance(if strip_left || (keep_left && kind != b'{') { 3 } else { 2 });
            match kind {
                b'#' => {
                    let end = self
                        .rest()
                        .find("#}")
                        .ok_or_else(|| self.fail(at, "a comment `{#` is not closed: `#}` is missing"))?;
                    strip_next = self.rest()[..end].ends_with('-');
                    let keep = self.rest()[..end].ends_with('+');
                    self.advance(end + 2);
                    trim_newline = self.options.trim_blocks && !keep;
                }
                b'%' => {
                    if let Some((inner, end)) = raw_open(self.rest()) {
                        self.advance(inner);
                        if end {
                            self.skip_white();
                        }
                        (strip_next, trim_newline) = self.raw(at)?;
                    } else {
                        let (tokens, strip) = self.words(at, "%}")?;
                        strip_next = strip == Some('-');
                        trim_newline = self.options.trim_blocks && strip != Some('+');
                        self.pieces.push(Piece::Block { tokens, at });
                    }
                }
                _ => {
                    let (tokens, strip) = self.words(at, "}}")?;
                    strip_next = strip == Some('-');
                    self.pieces.push(Piece::Print { tokens, at });
                }
            }
        }
        Ok(self.pieces)
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn here(&self) -> At {
        At { line: self.line, column: self.column }
    }

    fn fail(&self, at: At, message: impl Into<String>) -> Box<Problem> {
        problem(self.file, at, message)
    }

    fn advance(&mut self, bytes: usize) {
        for c in self.source[self.at..self.at + bytes].chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at += bytes;
    }

    fn skip_white(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
    }

    fn push_data(&mut self, data: &str, at: At, strip: bool, lstrip: bool) {
        let mut data = data;
        if strip {
            data = data.trim_end();
        } else if lstrip {
            let line = data.rfind('\n').map_or(0, |i| i + 1);
            let at_line_start = line > 0 || at.column == 1;
            if at_line_start && data[line..].chars().all(|c| c == ' ' || c == '\t') {
                data = &data[..line];
            }
        }
        if !data.is_empty() {
            self.pieces.push(Piece::Data { text: data.to_owned(), at });
        }
    }

    /// Takes the text up to `endraw` as it is.
    fn raw(&mut self, open: At) -> Result<(bool, bool), Box<Problem>> {
        let start = self.here();
        let rest = self.rest();
        let mut from = 0;
        loop {
            let Some(found) = rest[from..].find("{%") else {
                return Err(self.fail(open, "`{% raw %}` is not closed: `{% endraw %}` is missing"));
            };
            let tag = &rest[from + found..];
            let inner = &tag[2..];
            let strip_left = inner.starts_with('-');
            let word = inner.trim_start_matches(['-', '+']).trim_start();
            if let Some(after) = word.strip_prefix("endraw") {
                let after = after.trim_start();
                let close = ["-%}", "+%}", "%}"].into_iter().find(|c| after.starts_with(c));
                if let Some(close) = close {
                    let data = &rest[..from + found];
                    let total = rest.len() - after.len() + close.len();
                    self.push_data(
                        data,
                        start,
                        strip_left,
                        self.options.lstrip_blocks && !inner.starts_with('+'),
                    );
                    self.advance(total);
                    return Ok((close == "-%}", self.options.trim_blocks && close != "+%}"));
                }
            }
            from += found + 2;
        }
    }

    /// The words up to the end of the tag, and the sign of white space control before it.
    fn words(&mut self, open: At, close: &str) -> Result<(Vec<Token>, Option<char>), Box<Problem>> {
        let mut tokens = Vec::new();
        let mut open_signs: Vec<(&str, char, At)> = Vec::new();
        loop {
            self.skip_white();
            let rest = self.rest();
            let at = self.here();
            if rest.is_empty() {
                return Err(self.fail(open, format!("the tag is not closed: `{close}` is missing")));
            }
            if open_signs.is_empty() {
                for sign in ['-', '+'] {
                    if rest.starts_with(sign) && rest[1..].starts_with(close) {
                        self.advance(1 + close.len());
                        return Ok((tokens, Some(sign)));
                    }
                }
                if rest.starts_with(close) {
                    self.advance(close.len());
                    return Ok((tokens, None));
                }
            }
            let first = rest.chars().next().unwrap_or(' ');
            let word = if first.is_alphabetic() || first == '_' {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                self.advance(end);
                if super::ops::is_taken(&rest[..end]) {
                    return Err(
                        self.fail(at, format!("the name `{}` is taken by kstate itself", &rest[..end]))
                    );
                }
                Word::Name(rest[..end].to_owned())
            } else if first.is_ascii_digit() {
                self.number(rest, at, matches!(tokens.last(), Some(Token { word: Word::Sign("."), .. })))?
            } else if first == '"' || first == '\'' {
                self.text(rest, at, first)?
            } else if let Some(sign) = SIGNS.into_iter().find(|s| rest.starts_with(s)) {
                match sign {
                    "(" => open_signs.push((sign, ')', at)),
                    "[" => open_signs.push((sign, ']', at)),
                    "{" => open_signs.push((sign, '}', at)),
                    ")" | "]" | "}" => match open_signs.pop() {
                        None => return Err(self.fail(at, format!("unexpected `{sign}`"))),
                        Some((open, expected, opened)) if !sign.starts_with(expected) => {
                            let message = format!("`{open}` is not closed: `{expected}` is missing");
                            let mut found = self.fail(opened, message);
                            let place = Position::new(self.file, at.line, at.column);
                            found.related.push(("it is missing before this".to_owned(), place));
                            return Err(found);
                        }
                        Some(_) => {}
                    },
                    _ => {}
                }
                self.advance(sign.len());
                Word::Sign(sign)
            } else {
                return Err(self.fail(at, format!("unexpected character `{first}` in a tag")));
            };
            self.words += 1;
            if self.words > limits::WORDS {
                let mut found = self.fail(at, format!("the tags have more than {} words", limits::WORDS));
                found.hints.push("put data into a file and load it by `import_yaml`".to_owned());
                return Err(found);
            }
            tokens.push(Token { word, at });
        }
    }

    fn number(&mut self, rest: &str, at: At, after_dot: bool) -> Result<Word, Box<Problem>> {
        let bytes = rest.as_bytes();
        if bytes[0] == b'0' && bytes.len() > 2 {
            let radix = match bytes[1].to_ascii_lowercase() {
                b'x' => 16,
                b'o' => 8,
                b'b' => 2,
                _ => 0,
            };
            if radix != 0 {
                let end =
                    2 + rest[2..].find(|c: char| !(c.is_digit(radix) || c == '_')).unwrap_or(rest.len() - 2);
                let digits = rest[2..end].replace('_', "");
                if let Some(n) = integer(&digits, radix) {
                    self.advance(end);
                    return Ok(Word::Int(n));
                }
            }
        }
        let digits = |from: usize| {
            rest[from..].find(|c: char| !(c.is_ascii_digit() || c == '_')).map_or(rest.len(), |i| from + i)
        };
        let mut end = digits(0);
        let mut float = false;
        if !after_dot && bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            float = true;
            end = digits(end + 1);
        }
        if !after_dot && matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                float = true;
                end = digits(end + 1 + sign);
            }
        }
        let text = rest[..end].replace('_', "");
        self.advance(end);
        if float {
            return text
                .parse()
                .map(Word::Float)
                .map_err(|_| self.fail(at, format!("`{text}` is not a number")));
        }
        integer(&text, 10)
            .map(Word::Int)
            .ok_or_else(|| self.fail(at, format!("the number `{text}` is too large")))
    }

    fn text(&mut self, rest: &str, at: At, quote: char) -> Result<Word, Box<Problem>> {
        let mut out = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.advance(i + 1);
                if out.contains([super::lines::OPEN, super::lines::CLOSE]) {
                    return Err(
                        self.fail(at, "the text contains U+FDD0 or U+FDD1, which Unicode keeps out of text")
                    );
                }
                return Ok(Word::Text(out));
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let Some((_, escaped)) = chars.next() else { break };
            let mut hex = |digits: usize, out: &mut String| -> bool {
                let body: String = chars.clone().take(digits).map(|(_, c)| c).collect();
                let value = u32::from_str_radix(&body, 16).ok().filter(|_| body.chars().count() == digits);
                match value.and_then(char::from_u32) {
                    Some(c) => {
                        out.push(c);
                        for _ in 0..digits {
                            chars.next();
                        }
                        true
                    }
                    None => false,
                }
            };
            match escaped {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'a' => out.push('\u{7}'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'v' => out.push('\u{b}'),
                '\\' | '\'' | '"' => out.push(escaped),
                '\n' => {}
                'x' | 'u' | 'U' => {
                    let digits = match escaped {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    if !hex(digits, &mut out) {
                        return Err(self.fail(at, format!("`\\{escaped}` needs {digits} hexadecimal digits")));
                    }
                }
                '0'..='7' => {
                    let mut value = escaped.to_digit(8).unwrap_or_default();
                    for _ in 0..2 {
                        match chars.peek().and_then(|(_, c)| c.to_digit(8)) {
                            Some(digit) => {
                                value = value * 8 + digit;
                                chars.next();
                            }
                            None => break,
                        }
                    }
                    out.push(char::from_u32(value).unwrap_or('\u{fffd}'));
                }
                other => {
                    out.push('\\');
                    out.push(other);
                }
            }
        }
        Err(self.fail(at, format!("the text that begins here is not closed: `{quote}` is missing")))
    }
}

/// Where the next tag starts, or the end.
fn find_open(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let at = from + found;
        if matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) {
            return at;
        }
        from = at + 1;
    }
    text.len()
}

/// Behind `{%` (and its sign): the length of `raw %}` and whether it strips what follows.
fn raw_open(rest: &str) -> Option<(usize, bool)> {
    let word = rest.trim_start();
    let after = word.strip_prefix("raw")?.trim_start();
    for (close, strip) in [("-%}", true), ("+%}", false), ("%}", false)] {
        if after.starts_with(close) {
            return Some((rest.len() - after.len() + close.len(), strip));
        }
    }
    None
}
