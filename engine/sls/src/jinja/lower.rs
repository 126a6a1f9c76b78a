//! Rewrites a Jinja2 template into one for minijinja that behaves as Jinja2 under Python does.
//!
//! Statements stay what they are where both engines agree (`for`, `if`, `set`, `macro`, `call`, `include`, `import`,
//! `block`). Expressions become calls of the functions in `ops`, which know Python's types: `a.b[0] + 1` is
//! `__o(__i(__p(a,"b"),0),"+",1)`. Tags that minijinja lacks become several that it has. Lines are kept by padding
//! inside of tags, and for every position of the new source the old one is on record, so that the engine's errors can be
//! put where a person looks.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use kstate_core::{Position, Problem};

use super::expr::{Arg, Expr, Kind, Parser, Result};
use super::lexer::{At, Piece, cut, problem};
use super::lines::{Mark, Passage, Spot, write_marker};
use crate::limits;
use crate::options::Whitespace;

/// What every template can rely on.
const ALWAYS: [&str; 5] = ["grains", "pillar", "salt", "opts", "saltenv"];

/// Methods that never give the text of a macro, so their results need no look for markers.
const PLAIN_METHODS: [&str; 14] = [
    "get",
    "items",
    "keys",
    "values",
    "split",
    "format",
    "append",
    "update",
    "replace",
    "strip",
    "join",
    "startswith",
    "endswith",
    "lower",
];

/// Tags that close or continue a block, and those that open it.
const CLOSING: [(&str, &[&str]); 14] = [
    ("elif", &["if"]),
    ("else", &["if", "for"]),
    ("endautoescape", &["autoescape"]),
    ("endblock", &["block"]),
    ("endcall", &["call"]),
    ("endfilter", &["filter"]),
    ("endfor", &["for"]),
    ("endif", &["if"]),
    ("endload", &["load_yaml", "load_json", "load_text"]),
    ("endmacro", &["macro"]),
    ("endprofile", &["profile"]),
    ("endraw", &["raw"]),
    ("endset", &["set"]),
    ("endwith", &["with"]),
];

/// Tags that stand for themselves.
const SINGLE: [&str; 12] = [
    "break",
    "continue",
    "do",
    "extends",
    "from",
    "import",
    "import_json",
    "import_text",
    "import_yaml",
    "include",
    "print",
    "set",
];

/// A template in the engine's language.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) source: String,
    /// Offsets in `source`, ascending, with the place in the template that they come from.
    map: Vec<(usize, At)>,
    /// The places from which others write text, as markers number them.
    pub(super) passages: Vec<Known>,
    /// The loops, the inner ones first: their offsets in `source`, and where they begin.
    loops: Vec<(Range<usize>, At)>,
}

/// A place from which other places write text.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) at: At,
    /// What leads on from there, as it is told beside the line; none for a loop.
    pub(super) what: Option<Arc<str>>,
}

impl Lowered {
    pub(super) fn at_offset(&self, offset: usize) -> At {
        let after = self.map.partition_point(|(at, _)| *at <= offset);
        self.map.get(after.saturating_sub(1)).map_or(At { line: 1, column: 1 }, |(_, at)| *at)
    }

    /// The innermost loop around an offset.
    pub(super) fn loop_around(&self, offset: usize) -> Option<At> {
        self.loops.iter().find(|(range, _)| range.contains(&offset)).map(|(_, at)| *at)
    }

    /// The place of a line of `source`: the line is the same in both, and the column that of the first thing on it.
    pub(super) fn at_line(&self, line: u32) -> At {
        let on_line = self.map.iter().find(|(_, at)| at.line == line);
        on_line.map_or(At { line, column: 1 }, |(_, at)| *at)
    }
}

/// How many items of a literal are written as one.
const PART: usize = 900;

/// `template` is the number that markers carry.
pub(super) fn lower(source: &str, file: &str, template: u32, whitespace: Whitespace) -> Result<Lowered> {
    let (source, options, first_line) = header(source, whitespace);
    let mut pieces = cut(&source, file, options)?;
    if first_line > 0 {
        pieces.iter_mut().for_each(|piece| shift(piece, first_line));
    }
    let mut lower = Lower {
        pieces: &pieces,
        next: 0,
        file,
        template,
        out: String::with_capacity(source.len() * 2),
        line: 1,
        map: vec![(0, At { line: 1, column: 1 })],
        passages: Vec::new(),
        finished: Vec::new(),
        scopes: vec![ALWAYS.iter().map(ToString::to_string).collect()],
        used: HashSet::new(),
        blocks: Vec::new(),
        loops: 0,
    };
    lower.pieces_until(&[])?;
    // The engine drops a last line break; ours has been dropped already.
    lower.mark(Mark::Nothing);
    Ok(Lowered { source: lower.out, map: lower.map, passages: lower.passages, loops: lower.finished })
}

/// Newlines as Jinja2 wants them, the last one dropped, and a `#jinja2:` line taken out and read.
fn header(source: &str, mut options: Whitespace) -> (String, Whitespace, u32) {
    let mut text = if source.contains('\r') {
        source.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        source.to_owned()
    };
    if text.ends_with('\n') {
        text.pop();
    }
    let start = if text.starts_with("#!") && !text.starts_with("#!/") {
        text.find('\n').map_or(text.len(), |i| i + 1)
    } else {
        0
    };
    let Some(payload) = text[start..].strip_prefix("#jinja2:") else { return (text, options, 0) };
    let payload = payload.lines().next().unwrap_or_default();
    let Ok(kstate_core::Value::Map(settings)) = super::json::load(payload) else { return (text, options, 0) };
    for (key, value) in settings.iter() {
        let on = matches!(value, kstate_core::Value::Bool(true));
        match key.as_str().unwrap_or_default().to_lowercase().as_str() {
            "trim_blocks" => options.trim_blocks = on,
            "lstrip_blocks" => options.lstrip_blocks = on,
            _ => {}
        }
    }
    let end = text[start..].find('\n').map_or(text.len(), |i| start + i + 1);
    text.replace_range(start..end, "");
    (text, options, u32::from(start == 0) + if start == 0 { 0 } else { 1 })
}

fn shift(piece: &mut Piece, by: u32) {
    let (at, tokens) = match piece {
        Piece::Data { at, .. } => (at, None),
        Piece::Print { at, tokens } | Piece::Block { at, tokens } => (at, Some(tokens)),
    };
    at.line += by;
    for token in tokens.into_iter().flatten() {
        token.at.line += by;
    }
}

struct Lower<'a> {
    pieces: &'a [Piece],
    next: usize,
    file: &'a str,
    template: u32,
    out: String,
    line: u32,
    map: Vec<(usize, At)>,
    passages: Vec<Known>,
    /// Loops that have been read whole.
    finished: Vec<(Range<usize>, At)>,
    /// Names that are certainly bound, scope by scope.
    scopes: Vec<HashSet<String>>,
    /// Names used in the macro that is being read.
    used: HashSet<String>,
    /// The blocks around the place that is being read, the innermost last.
    blocks: Vec<Block>,
    loops: usize,
}

struct Block {
    name: String,
    end: String,
    at: At,
}

impl<'a> Lower<'a> {
    fn fail<T>(&self, at: At, message: impl Into<String>) -> Result<T> {
        Err(problem(self.file, at, message))
    }

    /// Pieces up to the end of the block `name`, or to a tag that continues it, which is left for the caller; its name
    /// comes back. The last of `ends` is the end.
    fn body(&mut self, ends: &[&str], name: &str, at: At) -> Result<String> {
        let end = ends.last().copied().unwrap_or_default();
        if self.blocks.len() >= limits::TEMPLATE_NESTING {
            let message = format!("blocks are nested more than {} levels deep", limits::TEMPLATE_NESTING);
            let mut found = problem(self.file, at, message);
            found.hints.push("put the inner blocks into a macro".to_owned());
            return Err(found);
        }
        self.blocks.push(Block { name: name.to_owned(), end: end.to_owned(), at });
        let found = self.pieces_until(ends)?;
        self.blocks.pop();
        match found {
            Some(tag) => Ok(tag),
            None => self.fail(at, format!("`{{% {name} %}}` is not closed: `{{% {end} %}}` is missing")),
        }
    }

    /// Pieces up to a tag with one of these names, or to the end of the template.
    fn pieces_until(&mut self, ends: &[&str]) -> Result<Option<String>> {
        let pieces = self.pieces;
        while let Some(piece) = pieces.get(self.next) {
            match piece {
                Piece::Data { text, at } => {
                    self.data(text, *at);
                    self.next += 1;
                }
                Piece::Print { tokens, at } => {
                    let mut parser = Parser::new(tokens, self.file, *at);
                    let expr = parser.tuple()?;
                    parser.end()?;
                    self.print(&expr, *at)?;
                    self.next += 1;
                }
                Piece::Block { tokens, at } => {
                    let mut parser = Parser::new(tokens, self.file, *at);
                    if parser.done() {
                        return self.fail(*at, "the tag is empty");
                    }
                    let tag = parser.name()?;
                    if ends.contains(&tag.as_str()) {
                        return Ok(Some(tag));
                    }
                    self.next += 1;
                    self.statement(&tag, parser, *at)?;
                }
            }
        }
        Ok(None)
    }

    /// The parser for the tag at which `body` stopped, behind its name.
    fn closing(&mut self) -> Result<(Parser<'a>, At)> {
        match self.pieces.get(self.next) {
            Some(Piece::Block { tokens, at }) => {
                self.next += 1;
                let mut parser = Parser::new(tokens, self.file, *at);
                parser.name()?;
                Ok((parser, *at))
            }
            _ => self.fail(At { line: self.line, column: 1 }, "a tag is missing"),
        }
    }

    /// The body of a block with one end tag, and that tag.
    fn block(&mut self, name: &str, end: &str, at: At) -> Result<()> {
        self.body(&[end], name, at)?;
        let (mut parser, _) = self.closing()?;
        if !parser.done() {
            // `{% endmacro name %}`, `{% endblock name %}`
            parser.name()?;
        }
        parser.end()
    }

    fn in_scope<T>(
        &mut self,
        names: impl IntoIterator<Item = String>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.scopes.push(names.into_iter().collect());
        let result = f(self);
        self.scopes.pop();
        result
    }

    fn bind(&mut self, target: &Expr) {
        let mut names = Vec::new();
        target_names(target, &mut names);
        if let Some(scope) = self.scopes.last_mut() {
            scope.extend(names);
        }
    }

    fn bound(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }

    // ---- output ----

    fn mark(&mut self, mark: Mark) {
        write_marker(&mut self.out, mark);
    }

    fn spot(&mut self, at: At, value: bool) {
        let At { line, column } = at;
        self.mark(Mark::Spot(Spot { template: self.template, line, column, value }));
    }

    /// Marks that other places write what follows.
    fn enter(&mut self, at: At, what: Option<&str>) -> Passage {
        let number = u32::try_from(self.passages.len()).unwrap_or(u32::MAX);
        self.passages.push(Known { at, what: what.map(Arc::from) });
        let passage = Passage { template: self.template, number };
        self.mark(Mark::Enter(passage));
        passage
    }

    fn data(&mut self, text: &str, at: At) {
        let mut at = at;
        for line in text.split_inclusive('\n') {
            self.map.push((self.out.len(), at));
            self.spot(at, false);
            // What looks like a tag is text here.
            let mut rest = line;
            while let Some(i) = rest.find('{') {
                self.out.push_str(&rest[..=i]);
                rest = &rest[i + 1..];
                if rest.starts_with(['{', '%', '#']) {
                    self.mark(Mark::Nothing);
                }
            }
            self.out.push_str(rest);
            if line.ends_with('\n') {
                self.line += 1;
                at = At { line: at.line + 1, column: 1 };
            }
        }
        if text.ends_with('{') {
            self.mark(Mark::Nothing);
        }
    }

    /// Moves to the line of the template, where the engine's source may have new lines (inside of a tag).
    fn reach(&mut self, at: At) {
        while self.line < at.line {
            self.out.push('\n');
            self.line += 1;
        }
        self.map.push((self.out.len(), at));
    }

    fn open(&mut self, at: At) {
        self.out.push_str("{% ");
        self.reach(at);
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn close(&mut self) {
        self.put(" %}");
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if (c as u32) < 0x20 => {
                    // Writing to a string does not fail.
                    let _ = write!(self.out, "\\u{:04x}", c as u32);
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn print(&mut self, expr: &Expr, at: At) -> Result<()> {
        self.spot(at, true);
        let passage = writer(expr).map(|(at, what)| self.enter(at, Some(&what)));
        self.put("{{ ");
        self.reach(at);
        self.direct(expr)?;
        self.put(" }}");
        if let Some(passage) = passage {
            self.mark(Mark::Leave(passage));
        }
        Ok(())
    }

    /// An expression whose value is printed as it is: the text of a macro keeps its markers.
    fn direct(&mut self, expr: &Expr) -> Result<()> {
        match &expr.kind {
            Kind::Call(function, args) => self.call(function, args, expr.at),
            Kind::If { yes, test, no } => {
                self.put("(");
                self.direct(yes)?;
                self.put(" if ");
                self.condition(test)?;
                self.put(" else ");
                match no {
                    Some(no) => self.direct(no)?,
                    None => self.put("__nothing()"),
                }
                self.put(")");
                Ok(())
            }
            Kind::Filter(Some(subject), name, args)
                if name == "indent" && matches!(subject.kind, Kind::Call(..)) =>
            {
                self.reach(expr.at);
                self.put("__indent(");
                self.direct(subject)?;
                self.args(args, true)?;
                self.put(")");
                Ok(())
            }
            _ => self.expr(expr),
        }
    }

    /// An expression in a place where its truth is asked.
    fn condition(&mut self, expr: &Expr) -> Result<()> {
        if matches!(expr.kind, Kind::Test(..) | Kind::Compare(..) | Kind::Not(_) | Kind::Bool(_)) {
            return self.expr(expr);
        }
        self.put("__k(");
        self.expr(expr)?;
        self.put(")");
        Ok(())
    }

    // ---- expressions ----

    fn expr(&mut self, expr: &Expr) -> Result<()> {
        self.reach(expr.at);
        match &expr.kind {
            Kind::None => self.put("none"),
            Kind::Bool(b) => self.put(if *b { "true" } else { "false" }),
            Kind::Int(n) if n.bits() < 64 => self.put(&n.to_string()),
            Kind::Int(n) => self.put(&format!("__big(\"{n}\")")),
            Kind::Float(n) if n.is_finite() => self.put(&format!("{n:e}")),
            Kind::Float(_) => self.put("__infinity()"),
            Kind::Text(text) => self.text(text),
            Kind::Name(name) => self.name(name),
            Kind::List(items) => self.in_parts("__lj", items, |lower, part| lower.function("__l", part))?,
            Kind::Tuple(items) => self.in_parts("__uj", items, |lower, part| lower.function("__u", part))?,
            Kind::Dict(pairs) => self.in_parts("__dj", pairs, Self::dict)?,
            Kind::Attr(..) => self.path(expr)?,
            Kind::Item(of, index) => {
                self.put("__i(");
                self.expr(of)?;
                self.put(",");
                self.expr(index)?;
                if let Some(owner) = shown(of) {
                    self.put(",");
                    self.text(&owner);
                }
                self.put(")");
            }
            Kind::Slice(of, parts) => {
                self.put("__x(");
                self.expr(of)?;
                for part in parts {
                    self.put(",");
                    match part {
                        Some(part) => self.expr(part)?,
                        None => self.put("none"),
                    }
                }
                self.put(")");
            }
            Kind::Call(function, args) => {
                if is_plain(function) {
                    self.call(function, args, expr.at)?;
                } else {
                    self.put("__z(");
                    self.call(function, args, expr.at)?;
                    self.put(")");
                }
            }
            Kind::Filter(subject, name, args) => {
                self.put("__f(");
                self.text(name);
                self.put(",");
                match subject {
                    Some(subject) => self.expr(subject)?,
                    None => self.put("__z(__b)"),
                }
                self.reach(expr.at);
                self.args(args, true)?;
                self.put(")");
            }
            Kind::Test(subject, name, args) => {
                self.put("__t(");
                self.text(name);
                self.put(",");
                self.expr(subject)?;
                self.args(args, true)?;
                self.put(")");
            }
            Kind::Not(inner) => {
                self.put("(not ");
                self.condition(inner)?;
                self.put(")");
            }
            Kind::Negative(inner) => {
                self.put("__neg(");
                self.expr(inner)?;
                self.put(")");
            }
            Kind::Positive(inner) => {
                self.put("__pos(");
                self.expr(inner)?;
                self.put(")");
            }
            Kind::Arithmetic(first, rest) => self.fold("__o(", first, rest)?,
            Kind::Compare(first, rest) => self.fold("__q(", first, rest)?,
            Kind::Concat(parts) => self.in_parts("__s", parts, |lower, part| lower.function("__s", part))?,
            Kind::And(parts) => self.logic(parts, " and ", true)?,
            Kind::Or(parts) => self.logic(parts, " or ", true)?,
            Kind::If { yes, test, no } => {
                self.put("(");
                self.expr(yes)?;
                self.put(" if ");
                self.condition(test)?;
                self.put(" else ");
                match no {
                    Some(no) => self.expr(no)?,
                    None => self.put("__nothing()"),
                }
                self.put(")");
            }
        }
        Ok(())
    }

    fn name(&mut self, name: &str) {
        self.used.insert(name.to_owned());
        if self.bound(name) {
            self.put(name);
        } else {
            self.put("__v(");
            self.text(name);
            self.put(",");
            self.put(name);
            self.put(")");
        }
    }

    /// Writes a long literal as several short ones, which the function `join` joins: the engine takes no more than 2,000
    /// arguments.
    fn in_parts<T>(
        &mut self,
        join: &str,
        items: &[T],
        write: impl Fn(&mut Self, &[T]) -> Result<()>,
    ) -> Result<()> {
        if items.len() <= PART {
            return write(self, items);
        }
        self.put(join);
        for (i, part) in items.chunks(PART).enumerate() {
            self.put(if i > 0 { "," } else { "(" });
            write(self, part)?;
        }
        self.put(")");
        Ok(())
    }

    fn dict(&mut self, pairs: &[(Expr, Expr)]) -> Result<()> {
        self.put("__d(");
        for (i, (key, value)) in pairs.iter().enumerate() {
            self.put(if i > 0 { "," } else { "" });
            self.expr(key)?;
            self.put(",");
            self.expr(value)?;
        }
        self.put(")");
        Ok(())
    }

    fn function(&mut self, name: &str, items: &[Expr]) -> Result<()> {
        self.put(name);
        self.put("(");
        for (i, item) in items.iter().enumerate() {
            self.put(if i > 0 { "," } else { "" });
            self.expr(item)?;
        }
        self.put(")");
        Ok(())
    }

    fn fold(&mut self, open: &str, first: &Expr, rest: &[(&'static str, Expr)]) -> Result<()> {
        self.put(open);
        self.expr(first)?;
        for (sign, operand) in rest {
            self.put(",\"");
            self.put(sign);
            self.put("\",");
            self.expr(operand)?;
        }
        self.put(")");
        Ok(())
    }

    /// `a and b and c`, in halves of halves: the engine's reader nests as deep as the parts are many. Of all parts but
    /// the last the truth is asked.
    fn logic(&mut self, parts: &[Expr], word: &str, last: bool) -> Result<()> {
        match parts {
            [part] if last => self.expr(part),
            [part] => self.condition(part),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.put("(");
                self.logic(left, word, false)?;
                self.put(word);
                self.logic(right, word, last)?;
                self.put(")");
                Ok(())
            }
        }
    }

    /// `a.b.c` in one call.
    fn path(&mut self, expr: &Expr) -> Result<()> {
        let mut names = Vec::new();
        let mut base = expr;
        while let Kind::Attr(of, name) = &base.kind {
            names.push(name);
            base = of;
        }
        self.put("__p(");
        self.text(&shown(base).unwrap_or_default());
        self.put(",");
        self.expr(base)?;
        for name in names.into_iter().rev() {
            self.put(",");
            self.text(name);
        }
        self.put(")");
        Ok(())
    }

    fn call(&mut self, function: &Expr, args: &[Arg], at: At) -> Result<()> {
        self.reach(at);
        match &function.kind {
            // Calls that only the engine itself can make.
            Kind::Name(name) if name == "loop" => {
                self.put("loop(__it(");
                if let [Arg::Positional(items)] = args {
                    self.expr(items)?;
                } else {
                    return self.fail(at, "`loop()` takes one argument");
                }
                self.put("))");
            }
            Kind::Name(name) if name == "super" && args.is_empty() => self.put("super()"),
            Kind::Name(name) if self.bound(name) || super::ops::functions().any(|known| known == name) => {
                self.used.insert(name.clone());
                self.put(name);
                self.put("(");
                self.args(args, false)?;
                self.put(")");
            }
            Kind::Attr(of, name) if matches!(&of.kind, Kind::Name(n) if n == "self") => {
                self.put("self.");
                self.put(name);
                self.put("()");
            }
            Kind::Attr(of, name) => {
                self.put("__m(");
                self.text(&shown(of).unwrap_or_default());
                self.put(",");
                self.expr(of)?;
                self.put(",");
                self.text(name);
                self.reach(at);
                self.args(args, true)?;
                self.put(")");
            }
            _ => {
                self.put("__c(");
                self.expr(function)?;
                self.reach(at);
                self.args(args, true)?;
                self.put(")");
            }
        }
        Ok(())
    }

    fn args(&mut self, args: &[Arg], more: bool) -> Result<()> {
        for (i, arg) in args.iter().enumerate() {
            self.put(if more || i > 0 { "," } else { "" });
            match arg {
                Arg::Positional(value) => self.expr(value)?,
                Arg::Keyword(name, value) => {
                    self.put(name);
                    self.put("=");
                    self.expr(value)?;
                }
                Arg::Spread(value) => {
                    self.put("*__it(");
                    self.expr(value)?;
                    self.put(")");
                }
                Arg::SpreadKeywords(value) => {
                    self.put("**__kw(");
                    self.expr(value)?;
                    self.put(")");
                }
            }
        }
        Ok(())
    }

    // ---- statements ----

    fn statement(&mut self, tag: &str, mut parser: Parser<'a>, at: At) -> Result<()> {
        match tag {
            "if" => self.if_(parser, at),
            "for" => self.for_(parser, at),
            "set" => self.set(parser, at),
            "do" => {
                let expr = parser.tuple()?;
                parser.end()?;
                self.open(at);
                self.put("do __e(");
                self.expr(&expr)?;
                self.put(")");
                self.close();
                Ok(())
            }
            "print" => {
                let expr = parser.tuple()?;
                parser.end()?;
                self.print(&expr, at)
            }
            "macro" => self.macro_(parser, at),
            "call" => self.call_block(parser, at),
            "filter" => self.filter_block(parser, at),
            "include" => self.include(parser, at),
            "import" | "import_yaml" | "import_json" | "import_text" => self.import(tag, parser, at),
            "from" => self.import_names(parser, at),
            "load_yaml" | "load_json" | "load_text" => {
                parser.expect_name("as")?;
                let target = parser.target()?;
                parser.end()?;
                self.capture(at, |l| l.block(tag, "endload", at))?;
                self.assign(&target, at, |l| {
                    l.put("__load(");
                    l.text(tag.trim_start_matches("load_"));
                    l.put(",__b)");
                    Ok(())
                })
            }
            "profile" => {
                parser.expect_name("as")?;
                parser.expression()?;
                parser.end()?;
                self.block(tag, "endprofile", at)
            }
            "with" => self.with(parser, at),
            "autoescape" => {
                parser.expression()?;
                parser.end()?;
                self.block(tag, "endautoescape", at)
            }
            "continue" | "break" => {
                parser.end()?;
                if self.loops == 0 {
                    return self.fail(at, format!("`{{% {tag} %}}` stands outside of a loop"));
                }
                self.open(at);
                self.put(tag);
                self.close();
                Ok(())
            }
            "block" => {
                let name = parser.name()?;
                let mut required = false;
                while !parser.done() {
                    if parser.take_name("required") {
                        required = true;
                    } else {
                        parser.expect_name("scoped")?;
                    }
                }
                self.open(at);
                self.put(&format!("block {name}{}", if required { " required" } else { "" }));
                self.close();
                let loops = std::mem::take(&mut self.loops);
                self.block(tag, "endblock", at)?;
                self.loops = loops;
                self.put("{% endblock %}");
                Ok(())
            }
            "extends" => {
                let name = parser.expression()?;
                parser.end()?;
                // Nothing of this template follows the other one.
                self.enter(name.at, Some("extended here"));
                self.open(at);
                self.put("extends ");
                self.reach(name.at);
                self.put("__tpl(");
                self.expr(&name)?;
                self.put(")");
                self.close();
                Ok(())
            }
            _ => Err(self.stray(tag, at)),
        }
    }

    /// A tag that nothing is known of, or that closes or continues another block than the one that is open.
    fn stray(&self, tag: &str, at: At) -> Box<Problem> {
        let Some((_, openers)) = CLOSING.iter().find(|(closing, _)| *closing == tag) else {
            let known = CLOSING.iter().flat_map(|(closing, openers)| openers.iter().chain([closing]));
            let near = super::nearest(tag, known.chain(&SINGLE).copied());
            let mut found = problem(self.file, at, format!("unknown tag `{{% {tag} %}}`"));
            found.hints.extend(near.map(|near| format!("did you mean `{near}`?")));
            return found;
        };
        let verb = if tag.starts_with("end") { "close" } else { "continue" };
        let of = |block: &Block| openers.contains(&block.name.as_str());
        let Some(block) = self.blocks.last() else {
            let openers: Vec<String> = openers.iter().map(|name| format!("`{{% {name} %}}`")).collect();
            let message = format!("`{{% {tag} %}}` {verb}s nothing: no {} is open", openers.join(" or "));
            return problem(self.file, at, message);
        };
        let Block { name, end, at: opened } = block;
        let mut found = problem(
            self.file,
            at,
            format!("`{{% {tag} %}}` cannot {verb} the `{{% {name} %}}` of line {}", opened.line),
        );
        found.related.push((
            format!("`{{% {name} %}}` is open since here"),
            Position::new(self.file, opened.line, opened.column),
        ));
        found.hints.extend(if of(block) {
            Some(format!("it has its `{{% else %}}` already: `{{% {end} %}}` comes next"))
        } else if self.blocks.iter().any(of) {
            Some(format!("`{{% {end} %}}` is missing before it"))
        } else {
            (verb == "close").then(|| format!("write `{{% {end} %}}`"))
        });
        found
    }

    fn if_(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let mut test = parser.tuple()?;
        parser.end()?;
        let mut word = "if ";
        let mut place = at;
        let mut branches = 0;
        loop {
            branches += 1;
            if branches > limits::BRANCHES {
                let message = format!("this `if` has more than {} branches", limits::BRANCHES);
                let mut found = problem(self.file, at, message);
                found.hints.push("look the value up in a mapping".to_owned());
                return Err(found);
            }
            self.open(place);
            self.put(word);
            self.condition(&test)?;
            self.close();
            let end = self.in_scope([], |l| l.body(&["elif", "else", "endif"], "if", at))?;
            let (mut parser, tag_at) = self.closing()?;
            match end.as_str() {
                "elif" => {
                    test = parser.tuple()?;
                    parser.end()?;
                    (word, place) = ("elif ", tag_at);
                }
                "else" => {
                    if parser.is_name("if") {
                        return self.fail(tag_at, "`{% else if %}` is written `{% elif %}`");
                    }
                    parser.end()?;
                    self.put("{% else %}");
                    self.in_scope([], |l| l.body(&["endif"], "if", at))?;
                    self.closing()?.0.end()?;
                    break;
                }
                _ => {
                    parser.end()?;
                    break;
                }
            }
        }
        self.put("{% endif %}");
        Ok(())
    }

    fn for_(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let target = parser.target()?;
        parser.expect_name("in")?;
        let items = parser.tuple_until(&["if", "recursive"], false)?;
        let test = if parser.take_name("if") { Some(parser.expression()?) } else { None };
        let recursive = parser.take_name("recursive");
        parser.end()?;
        let mut names = vec!["loop".to_owned()];
        target_names(&target, &mut names);
        // The passes of a loop that calls itself are those of a call.
        let passage = (!recursive).then(|| self.enter(at, None));
        let start = self.out.len();
        self.open(at);
        self.put("for ");
        self.names(&target)?;
        self.put(" in ");
        let several = match &target.kind {
            Kind::Tuple(parts) => Some((parts.len(), target_shown(&target))),
            _ => None,
        };
        self.put(if several.is_some() { "__rows(" } else { "__it(" });
        self.expr(&items)?;
        if let Some((count, names)) = &several {
            self.put(",");
            self.text(names);
            self.put(&format!(",{count}"));
        }
        self.put(",");
        self.text(&shown(&items).unwrap_or_default());
        self.put(")");
        if let Some(test) = &test {
            self.put(" if ");
            self.in_scope(names.clone(), |l| l.condition(test))?;
        }
        self.put(if recursive { " recursive" } else { "" });
        self.close();
        if let Some(passage) = passage {
            self.mark(Mark::Again(passage));
        }
        self.loops += 1;
        let end = self.in_scope(names, |l| l.body(&["else", "endfor"], "for", at))?;
        self.loops -= 1;
        self.closing()?.0.end()?;
        if end == "else" {
            self.put("{% else %}");
            self.in_scope([], |l| l.body(&["endfor"], "for", at))?;
            self.closing()?.0.end()?;
        }
        self.put("{% endfor %}");
        self.finished.push((start..self.out.len(), at));
        if let Some(passage) = passage {
            self.mark(Mark::Leave(passage));
        }
        Ok(())
    }

    /// What stands to the left of `=` or `in`.
    fn target<'e>(&mut self, target: &'e Expr, attributes: &mut Vec<(&'e Expr, &'e str)>) -> Result<()> {
        match &target.kind {
            Kind::Name(name) => self.put(name),
            Kind::Attr(of, name) => {
                self.put(&format!("__a{}", attributes.len()));
                attributes.push((of, name));
            }
            Kind::Tuple(items) => {
                self.put("(");
                for item in items {
                    self.target(item, attributes)?;
                    self.put(",");
                }
                self.put(")");
            }
            _ => return self.fail(target.at, "this cannot be assigned to"),
        }
        Ok(())
    }

    /// A target of names alone.
    fn names(&mut self, target: &Expr) -> Result<()> {
        let mut attributes = Vec::new();
        self.target(target, &mut attributes)?;
        match attributes.first() {
            Some((of, _)) => self.fail(of.at, "an attribute can only be set by `{% set %}`"),
            None => Ok(()),
        }
    }

    fn set(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let target = parser.target()?;
        if parser.take_sign("=") {
            let value = parser.tuple()?;
            parser.end()?;
            self.assign(&target, at, |l| {
                let Kind::Tuple(parts) = &target.kind else { return l.expr(&value) };
                l.put("__up(");
                l.text(&target_shown(&target));
                l.put(&format!(",{},", parts.len()));
                l.expr(&value)?;
                l.put(")");
                Ok(())
            })
        } else {
            let filter = if parser.is_sign("|") { Some(parser.filter_chain(true)?) } else { None };
            parser.end()?;
            self.capture(at, |l| l.block("set", "endset", at))?;
            self.assign(&target, at, |l| match &filter {
                Some(filter) => l.expr(filter),
                None => {
                    l.put("__z(__b)");
                    Ok(())
                }
            })
        }
    }

    /// Sets names, and attributes of namespaces, which have their values from names of their own.
    fn assign(&mut self, target: &Expr, at: At, value: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut attributes = Vec::new();
        self.open(at);
        self.put("set ");
        self.target(target, &mut attributes)?;
        self.put(" = ");
        value(self)?;
        self.close();
        self.bind(target);
        for (i, (of, name)) in attributes.into_iter().enumerate() {
            self.open(at);
            self.put("do __set(");
            self.expr(of)?;
            self.put(",");
            self.text(name);
            self.put(&format!(",__a{i})"));
            self.close();
        }
        Ok(())
    }

    /// The output of a body, with its markers, in `__b`.
    fn capture(&mut self, at: At, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.open(at);
        self.put("set __b");
        self.close();
        let loops = std::mem::take(&mut self.loops);
        self.in_scope([], body)?;
        self.loops = loops;
        self.put("{% endset %}");
        Ok(())
    }

    fn filter_block(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let chain = parser.filter_chain(false)?;
        parser.end()?;
        self.put("{% with %}");
        self.capture(at, |l| l.block("filter", "endfilter", at))?;
        self.spot(at, true);
        self.put("{{ ");
        self.reach(chain.at);
        match &chain.kind {
            // Indenting leaves every line where it is, so the lines keep their places.
            Kind::Filter(None, name, args) if name == "indent" => {
                self.put("__indent(__b");
                self.args(args, true)?;
                self.put(")");
            }
            _ => self.expr(&chain)?,
        }
        self.put(" }}{% endwith %}");
        Ok(())
    }

    fn macro_(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let name = parser.name()?;
        let parameters = self.parameters(&mut parser)?;
        parser.end()?;
        if let [top] = self.scopes.as_mut_slice() {
            top.insert(name.clone());
        }
        let outer = std::mem::take(&mut self.used);
        let loops = std::mem::take(&mut self.loops);
        self.open(at);
        self.put(&format!("macro {name}("));
        self.parameter_list(&parameters);
        self.put(")");
        self.close();
        self.macro_body(&parameters, true, |l| l.block("macro", "endmacro", at))?;
        self.put("{% endmacro %}");
        let uses = ["caller", "varargs", "kwargs"].map(|word| self.used.contains(word));
        self.loops = loops;
        self.used.extend(outer);
        self.open(at);
        self.put(&format!("set {name} = __macro({name},"));
        self.text(&name);
        for used in uses {
            self.put(if used { ",true" } else { ",false" });
        }
        for (parameter, default) in &parameters {
            self.put(",");
            self.text(parameter);
            self.put(if default.is_some() { ",true" } else { ",false" });
        }
        self.put(")");
        self.close();
        Ok(())
    }

    fn parameters(&mut self, parser: &mut Parser<'a>) -> Result<Vec<(String, Option<Expr>)>> {
        let mut parameters = Vec::new();
        parser.expect_sign("(")?;
        while !parser.take_sign(")") {
            if !parameters.is_empty() {
                parser.expect_sign(",")?;
                if parser.take_sign(")") {
                    break;
                }
            }
            let name = parser.name()?;
            let default = if parser.take_sign("=") { Some(parser.expression()?) } else { None };
            if default.is_none() && parameters.iter().any(|(_, d): &(String, Option<Expr>)| d.is_some()) {
                return parser.fail("a parameter without a default stands behind one with a default");
            }
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    fn parameter_list(&mut self, parameters: &[(String, Option<Expr>)]) {
        let own = parameters.iter().map(|(name, _)| name.as_str());
        let more =
            ["caller", "varargs", "kwargs"].into_iter().filter(|w| !parameters.iter().any(|(n, _)| n == w));
        let names: Vec<&str> = own.chain(more).collect();
        self.put(&names.join(","));
    }

    fn macro_body(
        &mut self,
        parameters: &[(String, Option<Expr>)],
        bound: bool,
        body: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let mut names: Vec<String> =
            parameters.iter().filter(|(_, d)| bound || d.is_some()).map(|(n, _)| n.clone()).collect();
        if bound {
            names.extend(["caller", "varargs", "kwargs"].map(str::to_owned));
        }
        self.in_scope(names, |l| {
            for (name, default) in parameters {
                if let Some(default) = default {
                    l.open(default.at);
                    l.put(&format!("set {name} = ("));
                    l.expr(default)?;
                    l.put(&format!(" if __absent({name}) else {name})"));
                    l.close();
                }
            }
            body(l)
        })
    }

    fn call_block(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let parameters = if parser.is_sign("(") { self.parameters(&mut parser)? } else { Vec::new() };
        let expr = parser.expression()?;
        parser.end()?;
        let Kind::Call(function, args) = &expr.kind else {
            return self.fail(expr.at, "`{% call %}` needs a call of a macro");
        };
        self.spot(at, true);
        let passage = self.enter(expr.at, Some(&called(function)));
        self.open(at);
        self.put("call(");
        let names: Vec<&str> = parameters.iter().map(|(n, _)| n.as_str()).collect();
        self.put(&names.join(","));
        self.put(") ");
        self.call(function, args, expr.at)?;
        self.close();
        let loops = std::mem::take(&mut self.loops);
        self.macro_body(&parameters, false, |l| l.block("call", "endcall", at))?;
        self.loops = loops;
        self.put("{% endcall %}");
        self.mark(Mark::Leave(passage));
        Ok(())
    }

    fn with(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let mut names = Vec::new();
        let mut values = Vec::new();
        while !parser.done() {
            if !values.is_empty() {
                parser.expect_sign(",")?;
            }
            let target = parser.target_part()?;
            parser.expect_sign("=")?;
            target_names(&target, &mut names);
            values.push((target, parser.expression()?));
        }
        self.open(at);
        self.put("with ");
        for (i, (target, value)) in values.iter().enumerate() {
            self.put(if i > 0 { ", " } else { "" });
            self.names(target)?;
            self.put(" = ");
            self.expr(value)?;
        }
        self.close();
        self.in_scope(names, |l| l.block("with", "endwith", at))?;
        self.put("{% endwith %}");
        Ok(())
    }

    /// `with context` or `without context`, or the default.
    fn context(&mut self, parser: &mut Parser<'a>, default: bool) -> Result<bool> {
        for (word, with) in [("with", true), ("without", false)] {
            if parser.is_name(word) {
                parser.name()?;
                parser.expect_name("context")?;
                return Ok(with);
            }
        }
        Ok(default)
    }

    fn include(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let name = parser.expression()?;
        let ignore = parser.take_name("ignore");
        if ignore {
            parser.expect_name("missing")?;
        }
        let with = self.context(&mut parser, true)?;
        parser.end()?;
        let missing = if ignore { " ignore missing" } else { "" };
        let passage = self.enter(name.at, Some("included from here"));
        self.open(at);
        self.put("with __tk = ");
        self.reach(name.at);
        self.put("__tpl(");
        self.expr(&name)?;
        self.put(if ignore { ",true)" } else { ")" });
        self.close();
        if with {
            self.put(&format!("{{% include __tk{missing} %}}"));
        } else {
            self.put("{% macro __h(__tk) %}{% set (tplfile,tpldir,tpldot) = __tpldata() %}{% include __tk");
            self.put(missing);
            self.put(" %}{% endmacro %}{{ __h(__tk) }}");
        }
        self.put("{% endwith %}");
        self.mark(Mark::Leave(passage));
        Ok(())
    }

    /// Leaves the module (or, of data files, the text) of a template in `__i0`. Without context, a template runs at its
    /// first import alone, and all imports share what it made.
    fn module(&mut self, name: &Expr, with: bool, text: bool, at: At) -> Result<()> {
        self.open(at);
        self.put("set __tk = ");
        self.reach(name.at);
        self.put("__tpl(");
        self.expr(name)?;
        self.put(")");
        self.close();
        let load = if text {
            "{% set __b %}{% with %}{% include __tk %}{% endwith %}{% endset %}"
        } else {
            "{% import __tk as __b %}"
        };
        if with {
            self.put(load);
            self.put("{% set __i0 = __b %}");
        } else {
            self.put("{% macro __h(__tk) %}{% set (tplfile,tpldir,tpldot) = __tpldata() %}");
            self.put(load);
            self.put(&format!("{{% do __keep(__tk,{text},__b) %}}{{% endmacro %}}"));
            self.put(&format!(
                "{{% set __i0 = __kept(__tk,{text},none if __has(__tk,{text}) else __h(__tk)) %}}"
            ));
        }
        self.map.push((self.out.len(), at));
        Ok(())
    }

    fn import(&mut self, tag: &str, mut parser: Parser<'a>, at: At) -> Result<()> {
        let name = parser.expression()?;
        parser.expect_name("as")?;
        let target = parser.name()?;
        let with = self.context(&mut parser, false)?;
        parser.end()?;
        self.module(&name, with, tag != "import", at)?;
        self.open(at);
        self.put(&format!("set {target} = "));
        match tag.strip_prefix("import_") {
            Some(format) => self.put(&format!("__load(\"{format}\",__i0,__tk)")),
            None => self.put("__i0"),
        }
        self.close();
        self.bind(&Expr::new(Kind::Name(target), at));
        Ok(())
    }

    fn import_names(&mut self, mut parser: Parser<'a>, at: At) -> Result<()> {
        let name = parser.expression()?;
        parser.expect_name("import")?;
        let mut names: Vec<(String, String)> = Vec::new();
        let mut with = false;
        loop {
            if parser.done() {
                break;
            }
            if (parser.is_name("with") || parser.is_name("without")) && !names.is_empty() {
                with = self.context(&mut parser, false)?;
                break;
            }
            let imported = parser.name()?;
            if imported.starts_with('_') {
                return parser.fail(format!(
                    "`{imported}` cannot be imported: names with a leading underscore are private"
                ));
            }
            let alias = if parser.take_name("as") { parser.name()? } else { imported.clone() };
            names.push((imported, alias));
            if !parser.take_sign(",") && !parser.done() {
                if parser.is_name("with") || parser.is_name("without") {
                    with = self.context(&mut parser, false)?;
                }
                break;
            }
        }
        if names.is_empty() {
            return parser.fail("`{% from … import %}` names nothing to import");
        }
        parser.end()?;
        self.module(&name, with, false, at)?;
        for (imported, alias) in names {
            self.open(at);
            self.put(&format!("set {alias} = __from(__i0,"));
            self.text(&imported);
            self.put(",__tk)");
            self.close();
            self.bind(&Expr::new(Kind::Name(alias), at));
        }
        Ok(())
    }
}

/// What writes the text of a printed expression, and where that is called, if it may be a macro.
fn writer(expr: &Expr) -> Option<(At, String)> {
    match &expr.kind {
        Kind::Call(function, _) => (!is_plain(function)).then(|| (expr.at, called(function))),
        Kind::If { yes, no, .. } => writer(yes).or_else(|| writer(no.as_deref()?)),
        Kind::Filter(Some(subject), name, _) if name == "indent" => writer(subject),
        _ => None,
    }
}

/// Whether a function is known never to give the text of a macro.
fn is_plain(function: &Expr) -> bool {
    match &function.kind {
        Kind::Name(name) => {
            matches!(name.as_str(), "range" | "dict" | "namespace" | "salt" | "cycler" | "joiner" | "odict")
        }
        Kind::Attr(_, name) => PLAIN_METHODS.contains(&name.as_str()),
        Kind::Item(of, _) => matches!(&of.kind, Kind::Name(name) if name == "salt"),
        _ => false,
    }
}

/// A call, as the engine's own errors tell of it.
fn called(function: &Expr) -> String {
    match &function.kind {
        Kind::Name(name) if name == "caller" => "between `{% call %}` and `{% endcall %}`".to_owned(),
        Kind::Name(name) | Kind::Attr(_, name) => format!("in the macro `{name}`"),
        _ => "called from here".to_owned(),
    }
}

/// A path of names, fixed keys and calls as it is written, for messages; none for what is longer than a message may be.
fn shown(expr: &Expr) -> Option<String> {
    let shown = match &expr.kind {
        Kind::Attr(of, name) => format!("{}.{name}", shown(of)?),
        Kind::Item(of, key) => format!("{}[{}]", shown(of)?, shown(key)?),
        Kind::Call(of, args) => {
            let arg = |arg: &Arg| match arg {
                Arg::Positional(value) => shown(value),
                _ => None,
            };
            let args: Vec<String> = args.iter().map(arg).collect::<Option<_>>()?;
            format!("{}({})", shown(of)?, args.join(", "))
        }
        Kind::Name(name) => name.clone(),
        Kind::Text(text) => format!("'{text}'"),
        Kind::Int(n) => n.to_string(),
        _ => return None,
    };
    (shown.len() <= 80).then_some(shown)
}

/// What a `for` or `set` assigns to, as it is written.
fn target_shown(target: &Expr) -> String {
    match &target.kind {
        Kind::Tuple(parts) => parts.iter().map(target_shown).collect::<Vec<_>>().join(", "),
        _ => shown(target).unwrap_or_default(),
    }
}

fn target_names(target: &Expr, names: &mut Vec<String>) {
    match &target.kind {
        Kind::Name(name) => names.push(name.clone()),
        Kind::Tuple(items) => items.iter().for_each(|item| target_names(item, names)),
        _ => {}
    }
}
