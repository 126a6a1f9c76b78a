//! What is wrong with text that is no YAML, in words of our own, and where it is to be mended.
//!
//! The parser tells where it could not go on. What a person has to change often stands before that: the bracket or the
//! quote that was not closed, the key without a colon.

use kstate_core::nearest;
use saphyr_parser::ScalarStyle;

/// A line, from 1, and a column of it, from 0.
pub(super) type At = (u32, usize);

/// What was read before the parser stopped, by its places in the text.
pub(super) struct Seen<'a> {
    pub(super) lines: &'a [&'a str],
    /// Where it stopped, and what it says.
    pub(super) stop: At,
    pub(super) info: &'a str,
    /// The lists and mappings whose end has not been seen, the innermost last.
    pub(super) open: Vec<Opened>,
    /// The last scalar.
    pub(super) last: Option<(At, ScalarStyle)>,
    /// Whether nothing of the text may be told, for it may hold a secret.
    pub(super) discreet: bool,
}

/// The beginning of a list or a mapping.
pub(super) struct Opened {
    pub(super) at: At,
    /// Whether it stands in brackets or braces.
    pub(super) flow: bool,
    pub(super) list: bool,
}

/// What is to be told.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) at: At,
    pub(super) related: Vec<(String, At)>,
    pub(super) hints: Vec<String>,
}

impl Mistake {
    fn new(message: impl Into<String>, at: At) -> Self {
        Mistake { message: message.into(), at, related: Vec::new(), hints: Vec::new() }
    }

    fn related(mut self, what: impl Into<String>, at: At) -> Self {
        self.related.push((what.into(), at));
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What is wrong.
pub(super) fn explain(seen: &Seen<'_>) -> Mistake {
    let rules = [
        Seen::conflict,
        Seen::tab,
        Seen::quotes,
        Seen::alias,
        Seen::beginning,
        Seen::brackets,
        Seen::colon,
        Seen::dash,
        Seen::bare_word,
        Seen::behind_value,
        Seen::indentation,
    ];
    let known = rules.into_iter().find_map(|rule| rule(seen));
    known.unwrap_or_else(|| Mistake::new(format!("this is not YAML: {}", seen.info), seen.stop))
}

impl Seen<'_> {
    fn says(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.info.contains(part))
    }

    /// A line, from 1; empty behind the end.
    fn line(&self, number: u32) -> &str {
        (number as usize).checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or_default()
    }

    fn before(&self, at: At) -> String {
        self.line(at.0).chars().take(at.1).collect()
    }

    /// The rest of a line, without a comment.
    fn rest(&self, at: At) -> String {
        let rest: String = self.line(at.0).chars().skip(at.1).collect();
        let end = rest.find(" #").unwrap_or(rest.len());
        rest[..end].trim_end().to_owned()
    }

    fn char(&self, at: At) -> Option<char> {
        self.line(at.0).chars().nth(at.1)
    }

    /// The nearest line above that says something.
    fn above(&self, line: u32) -> Option<u32> {
        let says =
            |line: &u32| !self.line(*line).trim().is_empty() && !self.line(*line).trim().starts_with('#');
        (1..line).rev().find(says)
    }

    /// The characters from a place on, with their places.
    fn chars_from(&self, at: At) -> impl Iterator<Item = (At, char)> {
        let first = (at.0 as usize).saturating_sub(1);
        (at.0..).zip(self.lines.iter().skip(first)).flat_map(move |(number, line)| {
            let skipped = if number == at.0 { at.1 } else { 0 };
            let end = line.chars().count();
            let chars = line.chars().chain(['\n']).enumerate().skip(skipped.min(end));
            chars.map(move |(column, c)| ((number, column), c))
        })
    }

    fn conflict(&self) -> Option<Mistake> {
        let is_mark = |line: &&str| {
            ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)) || *line == "======="
        };
        let found = self.lines.iter().take(self.stop.0 as usize).position(is_mark)?;
        let at = (u32::try_from(found).ok()? + 1, 0);
        Some(
            Mistake::new("here git left a conflict of a merge", at)
                .hint("settle it, and take its marks away"),
        )
    }

    fn tab(&self) -> Option<Mistake> {
        let is_indent = |line: u32| self.line(line).trim_start_matches(' ').starts_with('\t');
        let at = if is_indent(self.stop.0) || self.char(self.stop) == Some('\t') {
            self.stop
        } else if self.says(&["cannot start with a tab"]) {
            let line = (self.stop.0 + 1..).take(self.lines.len()).find(|line| is_indent(*line))?;
            (line, indent(self.line(line)))
        } else {
            return None;
        };
        Some(Mistake::new("a tab cannot indent a line of YAML", at).hint("use spaces"))
    }

    // ---- quotes ----

    fn quotes(&self) -> Option<Mistake> {
        if self.says(&["trailing content after double-quoted"]) {
            return self.behind_quote();
        }
        if !self.says(&["quoted scalar"]) {
            return None;
        }
        let quote = self.char(self.stop).filter(|c| matches!(c, '"' | '\''))?;
        if self.says(&["escape", "hexadecimal"]) {
            return self.escape();
        }
        let message = format!("the quote `{quote}` that opens here is not closed");
        Some(Mistake::new(message, self.stop).hint(format!("close it by another `{quote}`")))
    }

    /// The place behind the quote that closes the one at a place.
    fn behind_closing(&self, open: At) -> Option<At> {
        let quote = self.char(open)?;
        let mut chars = self.chars_from(open).skip(1).peekable();
        while let Some(((line, column), c)) = chars.next() {
            if c == '\\' && quote == '"' {
                chars.next();
            } else if c == quote {
                if quote == '"' || chars.peek().is_none_or(|(_, next)| *next != quote) {
                    return Some((line, column + 1));
                }
                chars.next();
            }
        }
        None
    }

    /// The quote that opens the text which ends, but for white space, where the parser stopped.
    fn opening(&self) -> Option<(At, At)> {
        const LINES: u32 = 200;
        const BYTES: usize = 5_000;
        let mut left = BYTES;
        let is_near = |line: &u32| {
            let length = self.line(*line).len();
            left = left.saturating_sub(length);
            left > 0
        };
        let ends_here = |open: At| {
            let end = self.behind_closing(open).filter(|end| end.0 == self.stop.0 && end.1 <= self.stop.1)?;
            let between = self.before(self.stop).chars().skip(end.1).all(char::is_whitespace);
            between.then_some((open, end))
        };
        let lines = (self.stop.0.saturating_sub(LINES).max(1)..=self.stop.0).rev();
        lines.take_while(is_near).find_map(|line| {
            let mut before = ' ';
            let opens = self.line(line).chars().enumerate().filter(move |(_, c)| {
                let opens = matches!(c, '"' | '\'') && " [{,:-".contains(before);
                before = *c;
                opens
            });
            opens.map(|(column, _)| (line, column)).find_map(ends_here)
        })
    }

    fn behind_quote(&self) -> Option<Mistake> {
        let (open, end) = self.opening()?;
        let quote = self.char(open)?;
        if open.0 < self.stop.0 {
            let message = format!("the quote `{quote}` that opens here is not closed on its line");
            let mistake = Mistake::new(message, open).related("it ends only here", (end.0, end.1 - 1));
            return Some(mistake.hint(format!("close it by another `{quote}`")));
        }
        let rest = self.rest(self.stop);
        let mistake = Mistake::new("a text in quotes ends here, and more follows", (end.0, end.1 - 1));
        Some(match quote {
            '\'' if rest.contains('\'') => mistake
                .hint("within single quotes a `'` is written twice: `''`; or use double quotes outside"),
            '"' if rest.contains('"') => {
                mistake.hint("within double quotes a `\"` is written `\\\"`; or use single quotes outside")
            }
            _ if self.before(open).trim().is_empty() => mistake.hint("put a colon behind a key"),
            _ => mistake.hint("put all of the value into the quotes"),
        })
    }

    fn escape(&self) -> Option<Mistake> {
        let mut chars = self.chars_from(self.stop).skip(1);
        let (at, c) = loop {
            let (at, c) = chars.next()?;
            if c == '\\' {
                let (_, escaped) = chars.next()?;
                if !"0abt\tnvfre \"/\\N_LPxuU\n".contains(escaped) || self.says(&["hexadecimal", "Unicode"]) {
                    break (at, escaped);
                }
            }
        };
        let message = format!("`\\{c}` means nothing within double quotes");
        Some(Mistake::new(message, at).hint(format!("write `\\\\{c}`, or use single quotes")))
    }

    // ---- how a value begins ----

    fn alias(&self) -> Option<Mistake> {
        let rest = self.rest(self.stop);
        let sign = rest.chars().next().filter(|c| matches!(c, '*' | '&'))?;
        if !self.says(&["unknown anchor", "scanning an anchor or alias"]) {
            return None;
        }
        let name: String = rest.chars().skip(1).take_while(|c| is_of_name(*c)).collect();
        let is_name = rest.chars().skip(1).all(|c| is_of_name(c) || ",]} ".contains(c)) && !name.is_empty();
        if !is_name {
            let what = if sign == '*' { "an alias" } else { "an anchor" };
            let message = format!("`{sign}` at its beginning makes {what} of a value, and this is none");
            return Some(Mistake::new(message, self.stop).hint(self.quote_it(&rest)));
        }
        let anchors = self.anchors();
        let shown = self.told(&name);
        let message = format!("`*{shown}` repeats an anchor `&{shown}` that is not there");
        let mistake = Mistake::new(message, self.stop);
        if let Some((_, at)) = anchors.iter().find(|(known, _)| *known == name) {
            let mistake = mistake.related("it stands only here", *at);
            return Some(mistake.hint("an anchor stands before what repeats it"));
        }
        let names = anchors.iter().map(|(name, _)| name.as_str());
        let near = nearest(&name, names, 1);
        let near = near.first().filter(|_| !self.discreet).map(|near| format!("did you mean `*{near}`?"));
        let text = format!("if it is text, {}", self.quote_it(&format!("*{name}")));
        Some(near.into_iter().chain([text]).fold(mistake, Mistake::hint))
    }

    /// What looks like an anchor.
    fn anchors(&self) -> Vec<(String, At)> {
        let mut found: Vec<(String, At)> = Vec::new();
        let mut is_open = false;
        let mut before = ' ';
        for (at, c) in self.chars_from((1, 0)) {
            if c == '&' && " [{,\n".contains(before) {
                found.push((String::new(), at));
                is_open = true;
            } else if let Some((name, _)) = found.last_mut().filter(|_| is_open && is_of_name(c)) {
                name.push(c);
            } else {
                is_open = false;
            }
            before = c;
        }
        found.retain(|(name, _)| !name.is_empty());
        found
    }

    fn beginning(&self) -> Option<Mistake> {
        let rest = self.rest(self.stop);
        let first = rest.chars().next()?;
        if self.says(&["did not find expected comment or line break", "indentation indicator equal to 0"]) {
            let message =
                format!("`{first}` opens a text that begins on the next line, and more follows it here");
            return Some(Mistake::new(message, self.stop).hint(self.quote_it(&rest)));
        }
        let is_directive = self.says(&["expected <document start>"]) && self.line(1).starts_with('%');
        if is_directive {
            let hint = self.quote_it(&self.rest((1, 0)));
            return Some(Mistake::new("a line cannot begin with `%`", (1, 0)).hint(hint));
        }
        let is_refused =
            self.says(&["unexpected character", "handle wasn't declared", "mapping keys are not"])
                || self.says(&["scanning a tag", "parsing a tag", "scalar cannot start with '-'"])
                || self.says(&["did not find expected node content"]) && ",%@`|>!?".contains(first);
        if !is_refused {
            return None;
        }
        let shown = if first == '`' { "a backtick".to_owned() } else { format!("`{first}`") };
        let mistake = Mistake::new(format!("a value cannot begin with {shown}"), self.stop);
        if first == '%' && self.before(self.stop).ends_with('{') {
            return Some(mistake.hint("a tag `{% %}` that no template filled in has to be quoted"));
        }
        Some(mistake.hint(self.quote_it(&rest)))
    }

    // ---- brackets ----

    fn brackets(&self) -> Option<Mistake> {
        let here = self.char(self.stop);
        if self.says(&["misplaced bracket"]) {
            let message = format!("nothing is open that this `{}` could close", here?);
            return Some(Mistake::new(message, self.stop).hint("quote a value with brackets that is text"));
        }
        let open = self.open.last().filter(|open| open.flow)?;
        let is_bracket = |open: &&Opened| matches!(self.char(open.at), Some('[' | '{'));
        let open = self.open.iter().rev().find(is_bracket).unwrap_or(open).at;
        let (bracket, closing) = if self.char(open) == Some('{') { ('{', '}') } else { ('[', ']') };
        if !self.is_closed(open) {
            let mistake = Mistake::new(format!("the `{bracket}` that opens here is not closed"), open);
            let is_on = self.stop.0 > open.0 && self.stop.0 as usize <= self.lines.len();
            let at = (self.stop.0, indent(self.line(self.stop.0)));
            let mistake = if is_on { mistake.related("this cannot stand within it", at) } else { mistake };
            return Some(mistake.hint(format!("close it by `{closing}`")));
        }
        let mistake = Mistake::new("a comma is missing before this, or a value is not quoted", self.stop);
        let mistake = if self.stop.0 > open.0 { mistake.related("it opens here", open) } else { mistake };
        let hint = format!(
            "in `{bracket} {closing}` a comma stands between two entries; quote a value with `: ` in it"
        );
        Some(mistake.hint(hint))
    }

    /// Whether the bracket at a place has its counterpart.
    fn is_closed(&self, open: At) -> bool {
        let mut expected = Vec::new();
        let mut quote = None;
        let mut before = ' ';
        for (_, c) in self.chars_from(open) {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if " [{,:\n".contains(before) => quote = Some(c),
                (None, '[') => expected.push(']'),
                (None, '{') => expected.push('}'),
                (None, ']' | '}') if expected.pop() != Some(c) => return false,
                (None, ']' | '}') if expected.is_empty() => return true,
                _ => {}
            }
            before = c;
        }
        false
    }

    // ---- keys, values and lines ----

    fn colon(&self) -> Option<Mistake> {
        if !self.says(&["mapping values are not allowed", "illegal placement of ':'"]) {
            return None;
        }
        let (start, _) =
            self.last.filter(|(start, style)| *style == ScalarStyle::Plain && *start <= self.stop)?;
        if self.char(self.stop) != Some(':') {
            return None;
        }
        let text = self.rest(start);
        if start.0 == self.stop.0 {
            let mistake = Mistake::new("a value with `: ` in it has to be quoted", self.stop);
            return Some(mistake.hint(self.quote_it(&text)));
        }
        if self.before(start).trim_matches([' ', '-']).is_empty() {
            return Some(self.without_colon(&text, start));
        }
        let here = (self.stop.0, indent(self.line(self.stop.0)));
        let message = "this line goes on with the value above, because it is indented more deeply";
        let mistake = Mistake::new(message, here).related("the value begins here", start);
        Some(mistake.hint("indent it like the key of that value; or give that key no value of its own"))
    }

    fn dash(&self) -> Option<Mistake> {
        if !self.says(&["block sequence entries are not allowed", "\"-\" is only valid"]) {
            return None;
        }
        let before = self.before(self.stop);
        if before.trim().is_empty() {
            return None;
        }
        let mistake = Mistake::new("a list cannot begin on the line of its key", self.stop);
        let text = format!("if it is text, {}", self.quote_it(&self.rest(self.stop)));
        Some(mistake.hint("begin it on the next line").hint(text))
    }

    /// A line that is neither a key nor an item.
    fn bare_word(&self) -> Option<Mistake> {
        if !self.says(&["simple key expect"]) {
            return None;
        }
        let line = self.above(self.stop.0 + u32::from(self.stop.1 > 0))?;
        let text = self.line(line);
        let start = text.chars().take_while(|c| matches!(c, ' ' | '-')).count();
        Some(self.without_colon(&self.rest((line, start)), (line, start)))
    }

    fn behind_value(&self) -> Option<Mistake> {
        let before = self.before(self.stop);
        let begins_line = before.trim_matches([' ', '-']).is_empty();
        if begins_line || !self.says(&["did not find expected key", "expected '-' indicator"]) {
            return None;
        }
        let value = before.rfind(": ").or_else(|| before.rfind("- ")).map_or(0, |at| at + 2);
        let value = self.rest((self.stop.0, before[..value].chars().count()));
        let mistake = Mistake::new("the value before this has ended, and more follows", self.stop);
        Some(mistake.hint(self.quote_it(value.trim())))
    }

    fn indentation(&self) -> Option<Mistake> {
        if !self.says(&["did not find expected key", "expected '-' indicator", "invalid indentation"])
            || self.stop.0 as usize > self.lines.len()
        {
            return None;
        }
        let (line, column) = (self.stop.0, indent(self.line(self.stop.0)));
        let here = (line, column);
        let rest = self.rest(here);
        if let Some(block) = self.open.iter().rev().find(|open| !open.flow && open.at.1 == column) {
            return match (block.list, rest.starts_with("- ")) {
                (true, false) => Some(
                    Mistake::new("this line stands among the items of a list and lacks its `- `", here)
                        .hint(format!("write `- {}`, or indent it otherwise", self.told(&rest))),
                ),
                (false, true) => Some(
                    Mistake::new("an item of a list stands here among the keys of a mapping", here)
                        .hint("a key has either a value behind it or a list below it"),
                ),
                _ => None,
            };
        }
        let (deeper, less) = self.neighbours(here);
        if let (Some((start, ScalarStyle::Literal | ScalarStyle::Folded)), Some(deeper)) = (self.last, deeper)
            && start.0 <= deeper
        {
            let mistake = Mistake::new(
                "this line is indented less than the text above it, and more than its key",
                here,
            );
            return Some(mistake.hint("indent all lines of the text alike"));
        }
        let spaces = |n: usize| if n == 1 { "1 space".to_owned() } else { format!("{n} spaces") };
        let message = format!(
            "this line is indented by {}, and no line above that it could belong to is",
            spaces(column)
        );
        let mut mistake = Mistake::new(message, here).hint("indent it like one of these lines");
        for other in [less, deeper].into_iter().flatten() {
            let by = indent(self.line(other));
            mistake = mistake.related(spaces(by), (other, by));
        }
        Some(mistake)
    }

    /// The lines above whose indentation one was perhaps to have: of those directly above that are indented more deeply,
    /// the last of the outermost, and the nearest that is indented less.
    fn neighbours(&self, (line, column): At) -> (Option<u32>, Option<u32>) {
        let mut deeper: Option<u32> = None;
        for above in (1..line).rev().filter(|above| !self.line(*above).trim().is_empty()) {
            let by = indent(self.line(above));
            if by < column {
                return (deeper, Some(above));
            }
            if by > column && deeper.is_none_or(|known| by < indent(self.line(known))) {
                deeper = Some(above);
            }
        }
        (deeper, None)
    }

    /// Text that stands where a key is due.
    fn without_colon(&self, text: &str, at: At) -> Mistake {
        if let Some(rest) = text.strip_prefix('-').filter(|rest| !rest.starts_with([' ', '-'])) {
            let mistake = Mistake::new("the dash of a list item needs a space behind it", at);
            return mistake.hint(format!("write `- {}`", self.told(rest)));
        }
        let shown = self.told(text);
        match text.split_once(':') {
            Some((key, value)) if !value.is_empty() => {
                let mistake = Mistake::new(format!("the colon of `{shown}` needs a space behind it"), at);
                mistake.hint(format!("write `{}: {}`", self.told(key), self.told(value)))
            }
            _ => Mistake::new(format!("`{shown}` has no colon and is no item of a list"), at)
                .hint(format!("write `{shown}:` if it is a key, `- {shown}` if it is an item")),
        }
    }

    fn told<'t>(&self, text: &'t str) -> &'t str {
        if self.discreet { "…" } else { text }
    }

    /// The advice to quote a text, with how that looks.
    fn quote_it(&self, text: &str) -> String {
        const LONGEST: usize = 60;
        if self.discreet || text.is_empty() || text.chars().count() > LONGEST {
            return "quote it".to_owned();
        }
        // Of a key the colon stays outside.
        let (text, colon) = text.strip_suffix(':').map_or((text, ""), |key| (key, ":"));
        if text.contains('\'') && !text.contains(['"', '\\']) {
            format!("quote it: `\"{text}\"{colon}`")
        } else {
            format!("quote it: `'{}'{colon}`", text.replace('\'', "''"))
        }
    }
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use kstate_core::Position;

    /// The place and the message of a mistake, and where else it looks.
    fn told(text: &str) -> String {
        let problem = crate::yaml::load(text, &|line| Position::new("", line, 1)).unwrap_err();
        let related = problem.related.iter().map(|(what, at)| format!("; {}:{} {what}", at.line, at.column));
        format!("{}{}", problem.to_string().trim_start_matches(':'), related.collect::<String>())
    }

    #[test]
    fn mistakes_are_told_where_they_are_to_be_mended() {
        let cases = [
            ("a: [1, 2\nb: 3", "1:4: the `[` that opens here is not closed; 2:1 this cannot stand within it"),
            ("a: &x [1, 2\n", "1:7: the `[` that opens here is not closed"),
            ("a:\n  b: {x: 1, y: [2}\nc: 3", "2:16: the `[` that opens here is not closed"),
            (
                "a: [it's, 'b]', {c: d}\ne: f",
                "1:4: the `[` that opens here is not closed; 2:1 this cannot stand within it",
            ),
            (
                "a: {\n  b: 1,\n  c: 2\n  d: 3\n}",
                "4:4: a comma is missing before this, or a value is not quoted; 1:4 it opens here",
            ),
            ("a: [x: y: z]", "1:9: a comma is missing before this, or a value is not quoted"),
            ("a: [1]]", "1:7: nothing is open that this `]` could close"),
            ("a: \"open\nb: 1", "1:4: the quote `\"` that opens here is not closed"),
            (
                "a: 'open\nb: 'c'",
                "1:4: the quote `'` that opens here is not closed on its line; 2:4 it ends only here",
            ),
            ("a: 'b\n  c'\nd: 'it's'", "3:7: a text in quotes ends here, and more follows"),
            ("a: \"b\\d\"", "1:6: `\\d` means nothing within double quotes"),
            ("a: b: c", "1:5: a value with `: ` in it has to be quoted"),
            (
                "a:\n  b: 1\n    c: 2",
                "3:5: this line goes on with the value above, because it is indented more deeply; 2:6 the value begins here",
            ),
            ("a:\n  b\n  c: 2", "2:3: `b` has no colon and is no item of a list"),
            ("a: 1\nb\n\nc: 2", "2:1: `b` has no colon and is no item of a list"),
            ("a:b\nc: d", "1:1: the colon of `a:b` needs a space behind it"),
            ("-a\nb: c", "1:1: the dash of a list item needs a space behind it"),
            ("a:\n  - b: 1\n  c: 2", "3:3: this line stands among the items of a list and lacks its `- `"),
            ("a: b\n- c", "2:1: an item of a list stands here among the keys of a mapping"),
            (
                "a:\n    b: 1\n  c: 2",
                "3:3: this line is indented by 2 spaces, and no line above that it could belong to is; 1:1 0 spaces; 2:5 4 spaces",
            ),
            (
                "a: |\n    b\n  c",
                "3:3: this line is indented less than the text above it, and more than its key",
            ),
            ("a: - b", "1:4: a list cannot begin on the line of its key"),
            ("a: *b\nc: &b 1", "1:4: `*b` repeats an anchor `&b` that is not there; 2:4 it stands only here"),
            ("a: *.b", "1:4: `*` at its beginning makes an alias of a value, and this is none"),
            ("a: &b 1\nc: &b 2", "2:4: the anchor `&b` stands here a second time; 1:4 first here"),
            (
                "a: !!map &b {c: &d 1}\ne: &d [2]",
                "2:4: the anchor `&d` stands here a second time; 1:17 first here",
            ),
            ("a: ,b", "1:4: a value cannot begin with `,`"),
            ("%a\nb: c", "1:1: a line cannot begin with `%`"),
            ("a: >b", "1:4: `>` opens a text that begins on the next line, and more follows it here"),
            ("a: [b]c", "1:7: the value before this has ended, and more follows"),
            ("a: >\n\tb", "2:1: a tab cannot indent a line of YAML"),
            ("a: 1\n<<<<<<< HEAD\nb: 2", "2:1: here git left a conflict of a merge"),
        ];
        let wrong: Vec<String> = cases
            .iter()
            .map(|(text, expected)| (text, expected, told(text)))
            .filter(|(_, expected, found)| *expected != found)
            .map(|(text, expected, found)| format!("{text}\n  expected: {expected}\n  found:    {found}"))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn long_lines_do_not_make_it_slow() {
        let quotes = "'x', ".repeat(100_000);
        assert!(told(&format!("a: [{quotes}'y' z]")).starts_with("1:500"));
        assert!(told(&format!("a: [{quotes}b")).ends_with("1:4: the `[` that opens here is not closed"));
        let anchors: String = (0..50_000).map(|n| format!("&a{n} x, ")).collect();
        assert!(told(&format!("a: [{anchors}*b50001]")).contains("`*b50001` repeats an anchor"));
    }

    #[test]
    fn what_follows_a_repaired_text_is_told_at_its_own_place() {
        assert_eq!(told("a: \"b\nc\"\nd: e: f"), "3:5: a value with `: ` in it has to be quoted");
    }
}
