//! JSON as Python's `json` reads it (the last of repeated keys counts), with the place of every part.

use std::collections::HashMap;

use kstate_core::{Data, Node, Position, Problem, Value};

use crate::limits;

/// Reads one document. `origin` gives the place of a line and column of `text`, both counted from 1.
pub fn load_at(text: &str, origin: &dyn Fn(u32, u32) -> Position) -> Result<Node, Problem> {
    if text.len() > limits::TEXT {
        let message = format!("the text has more than {} MiB", limits::TEXT >> 20);
        return Err(Problem::error(message).at(&origin(1, 1)).hint("split it into several files"));
    }
    let mut reader = Reader { rest: text.chars().collect(), at: 0, line: 1, column: 1, origin };
    reader.space();
    let node = reader.value(0)?;
    reader.space();
    if reader.at < reader.rest.len() {
        return Err(reader.wrong("nothing may follow the JSON value"));
    }
    Ok(node)
}

struct Reader<'a> {
    rest: Vec<char>,
    at: usize,
    line: u32,
    column: u32,
    origin: &'a dyn Fn(u32, u32) -> Position,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    fn place(&self) -> Position {
        (self.origin)(self.line, self.column)
    }

    fn wrong(&self, message: &str) -> Problem {
        Problem::error(format!("this is not JSON: {message}")).at(&self.place())
    }

    fn value(&mut self, depth: usize) -> Result<Node, Problem> {
        if depth == limits::NESTING {
            let deep = format!("lists and mappings stand more than {} deep in each other", limits::NESTING);
            return Err(self.wrong(&deep));
        }
        let at = self.place();
        let data = match self.peek() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Data::Scalar(self.text()?.into()),
            Some(_) => Data::Scalar(self.word()?),
            None => return Err(self.wrong("a value is missing at the end")),
        };
        Ok(Node { data, at })
    }

    fn map(&mut self, depth: usize) -> Result<Data, Problem> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.next();
        self.space();
        if self.peek() == Some('}') {
            self.next();
            return Ok(Data::Map(entries));
        }
        loop {
            self.space();
            let at = self.place();
            if self.peek() != Some('"') {
                return Err(self.wrong("a key stands in double quotes"));
            }
            let name = self.text()?;
            self.space();
            if self.next() != Some(':') {
                return Err(self.wrong("`:` is missing after a key"));
            }
            self.space();
            let value = self.value(depth + 1)?;
            match places.get(&name) {
                Some(&place) => entries[place].1 = value,
                None => {
                    places.insert(name.clone(), entries.len());
                    entries.push((Node::scalar(name, at), value));
                }
            }
            self.space();
            match self.next() {
                Some(',') => self.no_end('}')?,
                Some('}') => return Ok(Data::Map(entries)),
                _ => return Err(self.wrong("`,` or `}` is missing")),
            }
        }
    }

    /// Behind a comma another entry is due.
    fn no_end(&mut self, bracket: char) -> Result<(), Problem> {
        self.space();
        match self.peek() {
            Some(next) if next == bracket => Err(self.wrong("no comma may stand behind the last entry")),
            _ => Ok(()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Data, Problem> {
        let mut items = Vec::new();
        self.next();
        self.space();
        if self.peek() == Some(']') {
            self.next();
            return Ok(Data::List(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            match self.next() {
                Some(',') => self.no_end(']')?,
                Some(']') => return Ok(Data::List(items)),
                _ => return Err(self.wrong("`,` or `]` is missing")),
            }
        }
    }

    fn text(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        self.next();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c < ' ' => return Err(self.wrong("a control character stands in text")),
                Some(c) => text.push(c),
                None => return Err(self.wrong("text without its end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        Ok(match self.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('u') => {
                let high = self.unit()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                match self.low_half()? {
                    Some(low) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                    None => char::REPLACEMENT_CHARACTER,
                }
            }
            _ => return Err(self.wrong("an unknown escape")),
        })
    }

    /// The second half of a pair of surrogates, if that is what comes next.
    fn low_half(&mut self) -> Result<Option<u32>, Problem> {
        let before = (self.at, self.line, self.column);
        if self.next() == Some('\\') && self.next() == Some('u') {
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                return Ok(Some(low));
            }
        }
        (self.at, self.line, self.column) = before;
        Ok(None)
    }

    fn unit(&mut self) -> Result<u32, Problem> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|c| c.to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.wrong("`\\u` needs four hexadecimal digits"))?;
        }
        Ok(unit)
    }

    fn word(&mut self) -> Result<Value, Problem> {
        let start = self.at;
        let wrong = self.wrong(
            "a value is text in double quotes, a number, `true`, `false`, `null`, a list or a mapping",
        );
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
            self.next();
        }
        let word: String = self.rest[start..self.at].iter().collect();
        Ok(match word.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "NaN" => Value::Float(f64::NAN),
            "Infinity" => Value::Float(f64::INFINITY),
            "-Infinity" => Value::Float(f64::NEG_INFINITY),
            number if is_number(number) => {
                if number.contains(['.', 'e', 'E']) {
                    Value::Float(number.parse().map_err(|_| wrong)?)
                } else {
                    kstate_core::integer(number, 10).ok_or(wrong)?.into()
                }
            }
            _ => return Err(wrong),
        })
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let zero_leads = digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
    digits.starts_with(|c: char| c.is_ascii_digit())
        && !zero_leads
        && !digits.ends_with('.')
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Problem> {
        load_at(text, &|line, column| Position::new("a.sls", line, column))
    }

    #[test]
    fn reads_what_python_reads() {
        let node =
            read("{\"a\": [1, 2.5, 1e3, true, null, \"x\\n\\u00e9\"],\n \"b\": {}, \"a\": -7}").unwrap();
        assert_eq!(node.value().to_string(), "{a: -7, b: {}}");
        assert_eq!(node.get("b").unwrap().at.to_string(), "a.sls:2:7");
        assert_eq!(
            read("[1, 2.5, 1e3, \"\\ud83d\\ude00\", -12345678901234567890]").unwrap().value().to_string(),
            "[1, 2.5, 1000.0, 😀, -12345678901234567890]"
        );
    }

    #[test]
    fn half_a_pair_of_surrogates_stands_for_no_character() {
        let read = |text| read(text).unwrap().value().to_string();
        assert_eq!(read("\"\\ud800\\u0041\""), "\u{fffd}A");
        assert_eq!(read("\"\\ud800x\""), "\u{fffd}x");
        assert_eq!(read("\"\\udc00\""), "\u{fffd}");
    }

    #[test]
    fn refuses_what_python_refuses() {
        for text in
            ["", "{", "[1,]", "{a: 1}", "01", "1.", "'a'", "{} {}", "tru", "\"\u{1}\"", &"[".repeat(300)]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
