//! The shell of the host in memory: lists of simple commands (`a && b || c; d`, `! a`), quotes, and `>` and `>>`.

use super::World;
use super::programs::Said;

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 8] = ["&&", "||", ">>", "2>&1", "2>", ">", ";", "\n"];

impl World {
    /// Runs a line. What the shell does not know ends with status 127.
    pub(crate) fn shell(&mut self, line: &str) -> Said {
        let Some(tokens) = tokens(line) else { return self.strange(line) };
        let mut said = Said::default();
        let mut skip = false;
        let mut tokens = tokens.into_iter().peekable();
        while tokens.peek().is_some() {
            let (mut words, mut to, mut sign) = (Vec::new(), None, ";");
            while let Some(token) = tokens.next() {
                match token {
                    Token::Word(word) => words.push(word),
                    Token::Sign(">" | ">>") if matches!(tokens.peek(), Some(Token::Word(_))) => {
                        let appends = token == Token::Sign(">>");
                        if let Some(Token::Word(path)) = tokens.next() {
                            to = Some((path, appends));
                        }
                    }
                    Token::Sign("2>") => drop(tokens.next()),
                    Token::Sign("2>&1") => {}
                    Token::Sign(end) => {
                        sign = end;
                        break;
                    }
                }
            }
            if !skip && !words.is_empty() {
                let negated = words[0] == "!";
                let own = self.command(&words[usize::from(negated)..], to);
                let is_exit = words[0] == "exit";
                said.stdout.push_str(&own.stdout);
                said.stderr.push_str(&own.stderr);
                said.status = if negated { i32::from(own.status == 0) } else { own.status };
                if is_exit {
                    return said;
                }
            }
            skip = match sign {
                "&&" => said.status != 0,
                "||" => said.status == 0,
                _ => false,
            };
        }
        said
    }

    fn command(&mut self, words: &[String], to: Option<(String, bool)>) -> Said {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut said = self.program(&words, &[]);
        if let Some((path, appends)) = to.filter(|(path, _)| path != "/dev/null") {
            let old = if appends { self.disk.read(&path).unwrap_or_default().to_vec() } else { Vec::new() };
            let text = [old, std::mem::take(&mut said.stdout).into_bytes()].concat();
            if let Err(refusal) = self.disk.write(&path, &text, true) {
                return Said::failed(2, &format!("cannot create {path}: {refusal}"));
            }
        }
        said
    }
}

/// `None`: it has something that this shell does not know.
fn tokens(line: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let (mut word, mut is_word) = (String::new(), false);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(sign) =
            SIGNS.iter().find(|sign| rest.starts_with(**sign) && !(is_word && sign.starts_with('2')))
        {
            if std::mem::take(&mut is_word) {
                tokens.push(Token::Word(std::mem::take(&mut word)));
            }
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            ' ' | '\t' => {
                if std::mem::take(&mut is_word) {
                    tokens.push(Token::Word(std::mem::take(&mut word)));
                }
            }
            '\'' | '"' => {
                let (quoted, after) = rest.split_once(c)?;
                if c == '"' && quoted.contains(['$', '\\', '`']) {
                    return None;
                }
                word.push_str(quoted);
                is_word = true;
                rest = after;
            }
            '$' | '`' | '\\' | '*' | '?' | '(' | ')' | '{' | '}' | '|' | '&' | '<' | '#' | '~' => {
                return None;
            }
            other => {
                word.push(other);
                is_word = true;
            }
        }
    }
    if is_word {
        tokens.push(Token::Word(word));
    }
    Some(tokens)
}
