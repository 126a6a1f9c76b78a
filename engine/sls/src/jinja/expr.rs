//! Jinja2's expressions: the grammar, with Jinja2's precedence.

use kstate_core::Problem;
use num_bigint::BigInt;

use super::lexer::{At, Token, Word, problem};
use crate::limits;

#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    pub(super) at: At,
    /// How many expressions stand in each other here.
    height: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    None,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    Text(String),
    Name(String),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, String),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Vec<Arg>),
    /// Without a subject in `{% filter … %}` and `{% set x | … %}`.
    Filter(Option<Box<Expr>>, String, Vec<Arg>),
    Test(Box<Expr>, String, Vec<Arg>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    /// Operations of one precedence, from left to right.
    Arithmetic(Box<Expr>, Vec<(&'static str, Expr)>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(&'static str, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    If {
        yes: Box<Expr>,
        test: Box<Expr>,
        no: Option<Box<Expr>>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Arg {
    Positional(Expr),
    Keyword(String, Expr),
    Spread(Expr),
    SpreadKeywords(Expr),
}

impl Expr {
    pub(super) fn new(kind: Kind, at: At) -> Expr {
        let height = 1 + kind.parts().into_iter().map(|part| part.height).max().unwrap_or(0);
        Expr { kind, at, height }
    }
}

impl Kind {
    /// The expressions in this one.
    fn parts(&self) -> Vec<&Expr> {
        match self {
            Kind::None | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::Name(_) => {
                Vec::new()
            }
            Kind::List(items)
            | Kind::Tuple(items)
            | Kind::Concat(items)
            | Kind::And(items)
            | Kind::Or(items) => items.iter().collect(),
            Kind::Dict(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
            Kind::Attr(of, _) | Kind::Not(of) | Kind::Negative(of) | Kind::Positive(of) => vec![of],
            Kind::Item(of, index) => vec![of, index],
            Kind::Slice(of, parts) => {
                parts.iter().flatten().map(AsRef::as_ref).chain([of.as_ref()]).collect()
            }
            Kind::Call(of, args) | Kind::Test(of, _, args) => {
                args.iter().map(Arg::value).chain([of.as_ref()]).collect()
            }
            Kind::Filter(of, _, args) => {
                of.iter().map(AsRef::as_ref).chain(args.iter().map(Arg::value)).collect()
            }
            Kind::Arithmetic(first, rest) | Kind::Compare(first, rest) => {
                rest.iter().map(|(_, operand)| operand).chain([first.as_ref()]).collect()
            }
            Kind::If { yes, test, no } => {
                [Some(yes), Some(test), no.as_ref()].into_iter().flatten().map(AsRef::as_ref).collect()
            }
        }
    }
}

impl Arg {
    fn value(&self) -> &Expr {
        match self {
            Arg::Positional(value)
            | Arg::Keyword(_, value)
            | Arg::Spread(value)
            | Arg::SpreadKeywords(value) => value,
        }
    }
}

pub(super) type Result<T> = std::result::Result<T, Box<Problem>>;

/// Walks over the words of one tag.
pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    file: &'a str,
    /// Where the tag stands, for "ends too early".
    tag: At,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: &'a [Token], file: &'a str, tag: At) -> Self {
        Parser { tokens, next: 0, file, tag, depth: 0 }
    }

    pub(super) fn here(&self) -> At {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(self.tag, |t| t.at)
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(problem(self.file, self.here(), message))
    }

    fn peek(&self) -> Option<&'a Word> {
        self.tokens.get(self.next).map(|t| &t.word)
    }

    pub(super) fn done(&self) -> bool {
        self.next >= self.tokens.len()
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.done() { Ok(()) } else { self.unexpected("the end of the tag") }
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T> {
        match self.peek() {
            None => self.fail(format!("the tag ends where {expected} is expected")),
            Some(word) => {
                let message = format!("unexpected {}, expected {expected}", describe(word));
                let mut found = problem(self.file, self.here(), message);
                found.hints.extend(meant(word).map(str::to_owned));
                Err(found)
            }
        }
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Word::Sign(s)) if *s == sign)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Word::Name(n)) if n == name)
    }

    fn next_is_name(&self, name: &str) -> bool {
        matches!(self.tokens.get(self.next + 1), Some(Token { word: Word::Name(n), .. }) if n == name)
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &'static str) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { self.unexpected(&format!("`{sign}`")) }
    }

    pub(super) fn expect_name(&mut self, name: &str) -> Result<()> {
        if self.take_name(name) { Ok(()) } else { self.unexpected(&format!("`{name}`")) }
    }

    pub(super) fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Word::Name(name)) => {
                self.next += 1;
                Ok(name.clone())
            }
            _ => self.unexpected("a name"),
        }
    }

    /// What a `for` or `set` assigns to: a name, `ns.name`, or several of them.
    pub(super) fn target(&mut self) -> Result<Expr> {
        let at = self.here();
        let mut items = vec![self.target_part()?];
        let mut many = false;
        while self.take_sign(",") {
            many = true;
            if self.is_sign("=") || self.is_name("in") || self.done() {
                break;
            }
            items.push(self.target_part()?);
        }
        Ok(match (many, items.pop()) {
            (false, Some(only)) => only,
            (_, last) => self.made(Kind::Tuple(items.into_iter().chain(last).collect()), at)?,
        })
    }

    pub(super) fn target_part(&mut self) -> Result<Expr> {
        let at = self.here();
        self.deeper(|p| {
            for (open, close) in [("(", ")"), ("[", "]")] {
                if p.take_sign(open) {
                    let inner = p.target()?;
                    p.expect_sign(close)?;
                    return Ok(inner);
                }
            }
            let name = p.name()?;
            if matches!(
                name.as_str(),
                "true" | "false" | "none" | "True" | "False" | "None" | "not" | "in" | "is"
            ) {
                p.next -= 1;
                return p.fail(format!("`{name}` cannot be assigned to"));
            }
            let base = Expr::new(Kind::Name(name), at);
            if p.take_sign(".") {
                let attribute = p.name()?;
                return p.made(Kind::Attr(Box::new(base), attribute), at);
            }
            Ok(base)
        })
    }

    /// An expression in which commas make a tuple.
    pub(super) fn tuple(&mut self) -> Result<Expr> {
        self.tuple_until(&[], true)
    }

    /// A tuple that may be followed by one of these names (`if`, `recursive`).
    pub(super) fn tuple_until(&mut self, stops: &[&str], inline_if: bool) -> Result<Expr> {
        let at = self.here();
        let part = |p: &mut Self| if inline_if { p.expression() } else { p.or() };
        let mut items = vec![part(self)?];
        let mut many = false;
        while self.take_sign(",") {
            many = true;
            if self.done()
                || self.is_sign(")")
                || self.is_sign("]")
                || self.is_sign("}")
                || stops.iter().any(|s| self.is_name(s))
            {
                break;
            }
            items.push(part(self)?);
        }
        Ok(match (many, items.pop()) {
            (false, Some(only)) => only,
            (_, last) => self.made(Kind::Tuple(items.into_iter().chain(last).collect()), at)?,
        })
    }

    /// An expression, unless it is too high to be handled without exhausting the stack.
    fn made(&self, kind: Kind, at: At) -> Result<Expr> {
        let expr = Expr::new(kind, at);
        if expr.height > limits::EXPRESSION_HEIGHT {
            return Err(too_deep(self.file, at, limits::EXPRESSION_HEIGHT));
        }
        Ok(expr)
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= limits::TEMPLATE_NESTING {
            return Err(too_deep(self.file, self.here(), limits::TEMPLATE_NESTING));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.deeper(|p| {
            let at = p.here();
            let mut expr = p.or()?;
            while p.take_name("if") {
                let test = p.or()?;
                let no = if p.take_name("else") { Some(Box::new(p.expression()?)) } else { None };
                expr = p.made(Kind::If { yes: Box::new(expr), test: Box::new(test), no }, at)?;
            }
            Ok(expr)
        })
    }

    fn or(&mut self) -> Result<Expr> {
        self.chain("or", Self::and, Kind::Or)
    }

    fn and(&mut self) -> Result<Expr> {
        self.chain("and", Self::not, Kind::And)
    }

    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Expr>,
        make: fn(Vec<Expr>) -> Kind,
    ) -> Result<Expr> {
        let at = self.here();
        let first = part(self)?;
        if !self.is_name(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take_name(word) {
            parts.push(part(self)?);
        }
        self.made(make(parts), at)
    }

    fn not(&mut self) -> Result<Expr> {
        let at = self.here();
        if self.is_name("not") {
            return self.deeper(|p| {
                p.next += 1;
                let inner = Box::new(p.not()?);
                p.made(Kind::Not(inner), at)
            });
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr> {
        let at = self.here();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let op =
                if let Some(op) = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|s| self.is_sign(s)) {
                    self.next += 1;
                    op
                } else if self.take_name("in") {
                    "in"
                } else if self.is_name("not") && self.next_is_name("in") {
                    self.next += 2;
                    "not in"
                } else {
                    break;
                };
            rest.push((op, self.sum()?));
        }
        if rest.is_empty() { Ok(first) } else { self.made(Kind::Compare(Box::new(first), rest), at) }
    }

    fn arithmetic(&mut self, signs: &[&'static str], part: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let at = self.here();
        let first = part(self)?;
        let mut rest = Vec::new();
        while let Some(sign) = signs.iter().copied().find(|s| self.is_sign(s)) {
            self.next += 1;
            rest.push((sign, part(self)?));
        }
        if rest.is_empty() { Ok(first) } else { self.made(Kind::Arithmetic(Box::new(first), rest), at) }
    }

    fn sum(&mut self) -> Result<Expr> {
        self.arithmetic(&["+", "-"], Self::concat)
    }

    fn concat(&mut self) -> Result<Expr> {
        let at = self.here();
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take_sign("~") {
            parts.push(self.product()?);
        }
        self.made(Kind::Concat(parts), at)
    }

    fn product(&mut self) -> Result<Expr> {
        self.arithmetic(&["*", "/", "//", "%"], Self::power)
    }

    fn power(&mut self) -> Result<Expr> {
        self.arithmetic(&["**"], |p| p.unary(true))
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expr> {
        let at = self.here();
        let mut expr = if self.is_sign("-") || self.is_sign("+") {
            let negative = self.is_sign("-");
            self.deeper(|p| {
                p.next += 1;
                let inner = Box::new(p.unary(false)?);
                p.made(if negative { Kind::Negative(inner) } else { Kind::Positive(inner) }, at)
            })?
        } else {
            self.primary()?
        };
        expr = self.postfix(expr)?;
        if with_filters { self.filters(expr) } else { Ok(expr) }
    }

    fn primary(&mut self) -> Result<Expr> {
        let at = self.here();
        let Some(word) = self.peek() else { return self.unexpected("an expression") };
        let kind = match word {
            Word::Name(name) => {
                let kind = match name.as_str() {
                    "true" | "True" => Kind::Bool(true),
                    "false" | "False" => Kind::Bool(false),
                    "none" | "None" => Kind::None,
                    "if" | "else" | "in" | "is" | "and" | "or" | "not" => {
                        return self.unexpected("an expression");
                    }
                    _ => Kind::Name(name.clone()),
                };
                self.next += 1;
                kind
            }
            Word::Int(n) => {
                self.next += 1;
                Kind::Int(n.clone())
            }
            Word::Float(n) => {
                self.next += 1;
                Kind::Float(*n)
            }
            Word::Text(_) => {
                let mut text = String::new();
                while let Some(Word::Text(part)) = self.peek() {
                    text.push_str(part);
                    self.next += 1;
                }
                Kind::Text(text)
            }
            Word::Sign("(") => {
                self.next += 1;
                if self.take_sign(")") {
                    Kind::Tuple(Vec::new())
                } else {
                    let inner = self.tuple()?;
                    self.expect_sign(")")?;
                    return Ok(inner);
                }
            }
            Word::Sign("[") => {
                self.next += 1;
                Kind::List(self.items("]")?)
            }
            Word::Sign("{") => {
                self.next += 1;
                let mut pairs = Vec::new();
                while !self.take_sign("}") {
                    if !pairs.is_empty() {
                        self.expect_sign(",")?;
                        if self.take_sign("}") {
                            break;
                        }
                    }
                    let key = self.expression()?;
                    self.expect_sign(":")?;
                    pairs.push((key, self.expression()?));
                }
                Kind::Dict(pairs)
            }
            Word::Sign(_) => return self.unexpected("an expression"),
        };
        self.made(kind, at)
    }

    fn items(&mut self, close: &'static str) -> Result<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.take_sign(close) {
            if !items.is_empty() {
                self.expect_sign(",")?;
                if self.take_sign(close) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            if self.take_sign(".") {
                expr = match self.peek() {
                    Some(Word::Int(n)) => {
                        let index = Expr::new(Kind::Int(n.clone()), self.here());
                        self.next += 1;
                        {
                            let at = expr.at;
                            self.made(Kind::Item(Box::new(expr), Box::new(index)), at)?
                        }
                    }
                    _ => {
                        let at = expr.at;
                        let name = self.name()?;
                        self.made(Kind::Attr(Box::new(expr), name), at)?
                    }
                };
            } else if self.take_sign("[") {
                expr = self.subscript(expr)?;
            } else if self.is_sign("(") {
                let args = self.arguments()?;
                let at = expr.at;
                expr = self.made(Kind::Call(Box::new(expr), args), at)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn subscript(&mut self, of: Expr) -> Result<Expr> {
        let at = of.at;
        let first_at = self.here();
        let mut items = Vec::new();
        let mut comma = false;
        while !self.is_sign("]") {
            if !items.is_empty() {
                self.expect_sign(",")?;
                comma = true;
                if self.is_sign("]") {
                    break;
                }
            }
            let start = if self.is_sign(":") { None } else { Some(Box::new(self.expression()?)) };
            if !self.take_sign(":") {
                match start {
                    Some(index) => items.push(*index),
                    None => return self.unexpected("an index"),
                }
                continue;
            }
            let part = |p: &mut Self| -> Result<Option<Box<Expr>>> {
                Ok(if p.is_sign(":") || p.is_sign("]") { None } else { Some(Box::new(p.expression()?)) })
            };
            let stop = part(self)?;
            let step = if self.take_sign(":") { part(self)? } else { None };
            self.expect_sign("]")?;
            return self.made(Kind::Slice(Box::new(of), [start, stop, step]), at);
        }
        self.expect_sign("]")?;
        let index = match (comma, items.pop()) {
            (false, Some(only)) => only,
            (false, None) => return self.fail("the index in `[]` is missing"),
            (_, last) => self.made(Kind::Tuple(items.into_iter().chain(last).collect()), first_at)?,
        };
        self.made(Kind::Item(Box::new(of), Box::new(index)), at)
    }

    pub(super) fn arguments(&mut self) -> Result<Vec<Arg>> {
        self.expect_sign("(")?;
        let mut args: Vec<Arg> = Vec::new();
        while !self.take_sign(")") {
            if !args.is_empty() {
                self.expect_sign(",")?;
                if self.take_sign(")") {
                    break;
                }
            }
            let keyword = matches!(self.tokens.get(self.next + 1), Some(Token { word: Word::Sign("="), .. }));
            if self.take_sign("**") {
                args.push(Arg::SpreadKeywords(self.expression()?));
            } else if self.take_sign("*") {
                args.push(Arg::Spread(self.expression()?));
            } else if keyword {
                let name = self.name()?;
                self.expect_sign("=")?;
                args.push(Arg::Keyword(name, self.expression()?));
            } else {
                if args.iter().any(|a| matches!(a, Arg::Keyword(..) | Arg::SpreadKeywords(_))) {
                    return self.fail("a positional argument stands behind a keyword argument");
                }
                args.push(Arg::Positional(self.expression()?));
            }
        }
        Ok(args)
    }

    /// Filters, tests and calls behind an expression.
    fn filters(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            if self.is_sign("|") {
                expr = self.filter(Some(expr))?;
            } else if self.is_name("is") {
                expr = self.test(expr)?;
            } else if self.is_sign("(") {
                let at = self.here();
                let args = self.arguments()?;
                expr = self.made(Kind::Call(Box::new(expr), args), at)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn filter(&mut self, subject: Option<Expr>) -> Result<Expr> {
        self.expect_sign("|")?;
        if self.is_sign("|") {
            return self.unexpected("a filter");
        }
        self.filter_named(subject)
    }

    fn filter_named(&mut self, subject: Option<Expr>) -> Result<Expr> {
        let at = self.here();
        let mut name = self.name()?;
        while self.take_sign(".") {
            name = format!("{name}.{}", self.name()?);
        }
        if !super::filters::exists(&name) {
            let mut found = problem(self.file, at, format!("there is no filter `{name}`"));
            found.hints.extend(
                super::nearest(&name, super::filters::names()).map(|near| format!("did you mean `{near}`?")),
            );
            return Err(found);
        }
        let args = if self.is_sign("(") { self.arguments()? } else { Vec::new() };
        self.made(Kind::Filter(subject.map(Box::new), name, args), at)
    }

    /// The chain of filters of `{% filter a | b %}`, from its first name on.
    pub(super) fn filter_chain(&mut self, leading_bar: bool) -> Result<Expr> {
        let mut chain: Option<Expr> = None;
        loop {
            chain = Some(if chain.is_some() || leading_bar {
                self.filter(chain)?
            } else {
                self.filter_named(None)?
            });
            if !self.is_sign("|") {
                break;
            }
        }
        match chain {
            Some(chain) => Ok(chain),
            None => self.unexpected("a filter"),
        }
    }

    fn test(&mut self, subject: Expr) -> Result<Expr> {
        let at = subject.at;
        self.expect_name("is")?;
        let negated = self.take_name("not");
        let name_at = self.here();
        let mut name = self.name()?;
        while self.take_sign(".") {
            name = format!("{name}.{}", self.name()?);
        }
        if !super::tests::exists(&name) {
            let mut found = problem(self.file, name_at, format!("there is no test `{name}`"));
            found.hints.extend(
                super::nearest(&name, super::tests::names()).map(|near| format!("did you mean `{near}`?")),
            );
            return Err(found);
        }
        let args = if self.is_sign("(") {
            self.arguments()?
        } else {
            let starts_operand = match self.peek() {
                Some(Word::Name(n)) => !matches!(n.as_str(), "else" | "or" | "and"),
                Some(Word::Text(_) | Word::Int(_) | Word::Float(_)) => true,
                Some(Word::Sign(s)) => matches!(*s, "[" | "{"),
                None => false,
            };
            // Jinja2 takes any name here; what can only be the next word of the sentence around it is left alone.
            let sentence = ["if", "in", "not"].iter().any(|w| self.is_name(w));
            if self.is_name("is") {
                return self.fail("tests cannot be chained with `is`");
            }
            if starts_operand && !sentence {
                let operand = self.primary()?;
                vec![Arg::Positional(self.postfix(operand)?)]
            } else {
                Vec::new()
            }
        };
        let test = self.made(Kind::Test(Box::new(subject), name, args), at)?;
        if negated { self.made(Kind::Not(Box::new(test)), at) } else { Ok(test) }
    }
}

fn too_deep(file: &str, at: At, levels: usize) -> Box<Problem> {
    let mut found = problem(file, at, format!("the expression is nested more than {levels} levels deep"));
    found.hints.push("give parts of it names with `{% set %}`".to_owned());
    found
}

/// What may have been meant by a word that other languages have.
fn meant(word: &Word) -> Option<&'static str> {
    Some(match word {
        Word::Sign("=") => "`==` compares",
        Word::Sign("&") => "conditions are joined by `and`",
        Word::Sign("|") => "conditions are joined by `or`",
        Word::Sign("!") => "the opposite is written `not`",
        _ => return None,
    })
}

fn describe(word: &Word) -> String {
    match word {
        Word::Name(name) => format!("`{name}`"),
        Word::Int(n) => format!("`{n}`"),
        Word::Float(n) => format!("`{n}`"),
        Word::Text(text) => format!("the text '{text}'"),
        Word::Sign(sign) => format!("`{sign}`"),
    }
}
