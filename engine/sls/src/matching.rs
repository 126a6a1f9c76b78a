//! Who a target expression means (Salt: the matchers).
//!
//! ```
//! # use kstate_sls::{Expression, Minion};
//! # use kstate_core::Map;
//! let (grains, pillar) = (Map::new(), Map::new());
//! let minion = Minion { id: "cove-live-2", grains: &grains, pillar: &pillar };
//! assert!(Expression::compound("cove-live* and not *-dev").matches(&minion).unwrap());
//! ```

use std::cell::Cell;
use std::net::IpAddr;

use kstate_core::{Map, Value, fnmatch};
use thiserror::Error;

use crate::data::traverse;
use crate::options::Groups;
use crate::regex::compiled;

/// How deeply parentheses and `not` may stand in each other.
const DEPTH_LIMIT: usize = 100;
/// How much data may be looked at for one word, about in bytes: the ways to split `a:b:c` into a path and a pattern
/// double with each part that the data has, too.
const LOOK_LIMIT: usize = 1 << 20;

/// How many steps back a regular expression may take.
const BACKTRACKS_LIMIT: usize = 1_000_000;

/// What is known about a target.
#[derive(Clone, Copy, Debug)]
pub struct Minion<'a> {
    pub id: &'a str,
    pub grains: &'a Map,
    pub pillar: &'a Map,
}

/// A target expression, with the matcher that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    matcher: Matcher,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matcher {
    Compound,
    Glob,
    List,
    Pcre,
    Grain,
    GrainPcre,
    Pillar,
    PillarPcre,
    PillarExact,
    IpCidr,
    /// A node group, until its expression takes its place.
    NodeGroup,
}

const MATCHERS: [(&str, Matcher); 11] = [
    ("compound", Matcher::Compound),
    ("glob", Matcher::Glob),
    ("grain", Matcher::Grain),
    ("grain_pcre", Matcher::GrainPcre),
    ("ipcidr", Matcher::IpCidr),
    ("list", Matcher::List),
    ("nodegroup", Matcher::NodeGroup),
    ("pcre", Matcher::Pcre),
    ("pillar", Matcher::Pillar),
    ("pillar_exact", Matcher::PillarExact),
    ("pillar_pcre", Matcher::PillarPcre),
];

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExpressionError {
    #[error("there is no matcher `{0}`")]
    UnknownMatcher(String),
    #[error("`{word}` in `{expression}` is no match: there are those by G, P, I, J, L, S, E and N")]
    UnknownKind { word: String, expression: String },
    #[error("in `{0}` a `(` is not closed: a `)` of its own is missing, with a space before it")]
    Unclosed(String),
    #[error("`{0}` ends too early: a target is missing")]
    Ends(String),
    #[error("in `{expression}` a target is missing before `{word}`")]
    NoTarget { word: String, expression: String },
    #[error("in `{expression}` an `and` or `or` is missing before `{word}`")]
    NotJoined { word: String, expression: String },
    #[error("in `{0}` a `)` closes nothing")]
    Unopened(String),
    #[error("`{0}` has more than {DEPTH_LIMIT} parentheses or `not` in each other")]
    TooDeep(String),
    #[error("`{0}` can be found in too many ways")]
    TooManyWays(String),
    #[error("`{pattern}` is not a regular expression: {reason}")]
    Regex { pattern: String, reason: String },
    #[error("`{0}` is not an address or a network")]
    Network(String),
    #[error("there is no node group `{name}`; the groups are: {known}")]
    UnknownGroup { name: String, known: String },
    #[error("the node group `{0}` names itself")]
    GroupOfItself(String),
}

impl Expression {
    /// As `-t` on the command line and the default of top files.
    pub fn compound(text: impl Into<String>) -> Self {
        Expression { matcher: Matcher::Compound, text: text.into() }
    }

    /// As `-L`: names with commas between them.
    pub fn list(text: impl Into<String>) -> Self {
        Expression { matcher: Matcher::List, text: text.into() }
    }

    /// As `- match: NAME` in a top file.
    pub fn with_matcher(name: &str, text: impl Into<String>) -> Result<Self, ExpressionError> {
        match MATCHERS.iter().find(|(known, _)| *known == name) {
            Some((_, matcher)) => Ok(Expression { matcher: *matcher, text: text.into() }),
            None => Err(ExpressionError::UnknownMatcher(name.to_owned())),
        }
    }

    /// Replaces node groups by their expressions: in a compound expression, and for `- match: nodegroup`.
    pub fn with_groups(self, groups: &Groups) -> Result<Self, ExpressionError> {
        match self.matcher {
            Matcher::Compound => Ok(Expression::compound(groups.expand(&self.text)?)),
            Matcher::NodeGroup => Ok(Expression::compound(groups.expand(&format!("N@{}", self.text))?)),
            _ => Ok(self),
        }
    }

    /// What `- match:` can name.
    pub(crate) fn matchers() -> impl Iterator<Item = &'static str> {
        MATCHERS.iter().map(|(name, _)| *name)
    }

    /// Whether a parenthesis of a compound expression touches a word, so that it is taken for a part of it.
    pub(crate) fn has_a_stuck_parenthesis(&self) -> bool {
        let is_stuck = |word: &str| {
            word.len() > 1 && (word.starts_with('(') || word.ends_with(')') && !word.contains('('))
        };
        self.matcher == Matcher::Compound && self.text.split_whitespace().any(is_stuck)
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the answer hangs on grains or pillar, so that it needs more than the name of a target.
    pub fn asks_for_data(&self) -> bool {
        match self.matcher {
            Matcher::Glob | Matcher::List | Matcher::Pcre => false,
            Matcher::Compound => self
                .text
                .split_whitespace()
                .any(|word| matches!(kind(word), Some((letter, _, _)) if !matches!(letter, 'E' | 'L'))),
            _ => true,
        }
    }

    pub fn matches(&self, minion: &Minion<'_>) -> Result<bool, ExpressionError> {
        match self.matcher {
            Matcher::Compound => compound(&self.text, minion),
            simple => simple_match(simple, &self.text, ":", minion),
        }
    }
}

fn simple_match(
    matcher: Matcher,
    text: &str,
    delimiter: &str,
    minion: &Minion<'_>,
) -> Result<bool, ExpressionError> {
    let left = Cell::new(LOOK_LIMIT);
    let test = |how| Test { how, delimiter, left: &left };
    Ok(match matcher {
        Matcher::Compound => compound(text, minion)?,
        Matcher::Glob => fnmatch(minion.id, text),
        Matcher::List => text.split(',').any(|name| name == minion.id),
        Matcher::Pcre => begins(text, minion.id)?,
        Matcher::Grain => test(How::Glob).within(minion.grains, text)?,
        Matcher::GrainPcre => test(How::Regex).within(minion.grains, text)?,
        Matcher::Pillar => test(How::Glob).within(minion.pillar, text)?,
        Matcher::PillarPcre => test(How::Regex).within(minion.pillar, text)?,
        Matcher::PillarExact => test(How::Exact).within(minion.pillar, text)?,
        Matcher::IpCidr => in_network(text, minion.grains)?,
        // Where no groups are known, nobody is in one.
        Matcher::NodeGroup => return Err(Groups::default().unknown(text)),
    })
}

/// The letter, the delimiter and the pattern of `G@os:Debian` or `G|@a|b`.
fn kind(word: &str) -> Option<(char, &str, &str)> {
    let (head, pattern) = word.split_once('@')?;
    let mut chars = head.chars();
    // What begins otherwise is a glob that happens to have an `@`.
    let letter = chars.next().filter(|letter| "GPIJLNSERTM".contains(*letter))?;
    let delimiter = match chars.as_str() {
        "" => ":",
        one if one.chars().count() == 1 && "GPIJ".contains(letter) => one,
        _ => return None,
    };
    Some((letter, delimiter, pattern))
}

/// Words joined by `and`, `or`, `not` and parentheses.
fn compound(text: &str, minion: &Minion<'_>) -> Result<bool, ExpressionError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0, depth: 0, text, minion };
    let truth = reader.either()?;
    match words.get(reader.at) {
        None => Ok(truth),
        Some(&")") => Err(ExpressionError::Unopened(text.to_owned())),
        Some(&word) => Err(ExpressionError::NotJoined { word: word.to_owned(), expression: text.to_owned() }),
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    depth: usize,
    text: &'a str,
    minion: &'a Minion<'a>,
}

impl Reader<'_> {
    fn next(&mut self, word: &str) -> bool {
        let fits = self.words.get(self.at) == Some(&word);
        self.at += usize::from(fits);
        fits
    }

    fn either(&mut self) -> Result<bool, ExpressionError> {
        let mut truth = self.all()?;
        while self.next("or") {
            truth |= self.all()?;
        }
        Ok(truth)
    }

    fn all(&mut self) -> Result<bool, ExpressionError> {
        let mut truth = self.one()?;
        // `a not b` means `a and not b`.
        while self.next("and") || self.words.get(self.at) == Some(&"not") {
            truth &= self.one()?;
        }
        Ok(truth)
    }

    fn one(&mut self) -> Result<bool, ExpressionError> {
        let text = self.text;
        let expression = || text.to_owned();
        if self.next("not") {
            return Ok(!self.deeper(Self::one)?);
        }
        if self.next("(") {
            let truth = self.deeper(Self::either)?;
            return match self.words.get(self.at) {
                None => Err(ExpressionError::Unclosed(expression())),
                _ if self.next(")") => Ok(truth),
                Some(&word) => {
                    Err(ExpressionError::NotJoined { word: word.to_owned(), expression: expression() })
                }
            };
        }
        let Some(&word) = self.words.get(self.at) else { return Err(ExpressionError::Ends(expression())) };
        if matches!(word, "and" | "or" | ")") {
            return Err(ExpressionError::NoTarget { word: word.to_owned(), expression: expression() });
        }
        self.at += 1;
        let Some((letter, delimiter, pattern)) = kind(word) else { return Ok(fnmatch(self.minion.id, word)) };
        let matcher = match letter {
            'G' => Matcher::Grain,
            'P' => Matcher::GrainPcre,
            'I' => Matcher::Pillar,
            'J' => Matcher::PillarPcre,
            'L' => Matcher::List,
            'S' => Matcher::IpCidr,
            'E' => Matcher::Pcre,
            _ => {
                return Err(ExpressionError::UnknownKind { word: word.to_owned(), expression: expression() });
            }
        };
        simple_match(matcher, pattern, delimiter, self.minion)
    }

    fn deeper(
        &mut self,
        read: fn(&mut Self) -> Result<bool, ExpressionError>,
    ) -> Result<bool, ExpressionError> {
        if self.depth == DEPTH_LIMIT {
            return Err(ExpressionError::TooDeep(self.text.to_owned()));
        }
        self.depth += 1;
        let truth = read(self);
        self.depth -= 1;
        truth
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Glob,
    Regex,
    Exact,
}

/// A look into nested data: `a:b:c` matches the value `c` at `a:b`, or a key `c` in it (Salt: `subdict_match`).
struct Test<'a> {
    how: How,
    delimiter: &'a str,
    /// What is left of [`LOOK_LIMIT`].
    left: &'a Cell<usize>,
}

impl Test<'_> {
    fn look(&self, size: usize, expression: &str) -> Result<(), ExpressionError> {
        let left = self.left.get().checked_sub(size);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or_else(|| ExpressionError::TooManyWays(expression.to_owned()))
    }

    fn within(&self, data: &Map, expression: &str) -> Result<bool, ExpressionError> {
        let words: Vec<&str> = expression.split(self.delimiter).collect();
        let whole = Value::Map(data.clone());
        // The longest path goes first.
        for split in (1..words.len()).rev() {
            self.look(expression.len(), expression)?;
            let path = words[..split].join(self.delimiter);
            let rest = words[split..].join(self.delimiter);
            let (found, pattern) = if path == "*" {
                (Some(&whole), expression)
            } else {
                (traverse(&whole, &path, self.delimiter), rest.as_str())
            };
            let truth = match found {
                None => continue,
                Some(Value::Map(map)) if map.is_empty() => continue,
                Some(Value::Map(map)) => self.in_map(map, pattern)?,
                Some(Value::List(items)) => self.in_list(items, pattern)?,
                Some(value) => self.fits(value, pattern)?,
            };
            if truth {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn in_list(&self, items: &[Value], pattern: &str) -> Result<bool, ExpressionError> {
        self.look(items.len(), pattern)?;
        for item in items {
            if let Value::Map(map) = item
                && self.in_map(map, pattern)?
            {
                return Ok(true);
            }
            if self.fits(item, pattern)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn in_map(&self, map: &Map, pattern: &str) -> Result<bool, ExpressionError> {
        self.look(map.len(), pattern)?;
        let wildcard = pattern.strip_prefix("*:");
        let pattern = wildcard.unwrap_or(pattern);
        if pattern == "*" || map.get(pattern).is_some() {
            return Ok(true);
        }
        for (key, _) in map.iter() {
            if self.fits(key, pattern)? {
                return Ok(true);
            }
        }
        let colon = Test { delimiter: ":", ..*self };
        if colon.within(map, pattern)? {
            return Ok(true);
        }
        if wildcard.is_none() {
            return Ok(false);
        }
        for (_, value) in map.iter() {
            let truth = match value {
                Value::Map(map) => colon.in_map(map, pattern)?,
                Value::List(items) => {
                    let fits = items.iter().map(|item| self.fits(item, pattern));
                    fits.collect::<Result<Vec<_>, _>>()?.contains(&true)
                }
                value => self.fits(value, pattern)?,
            };
            if truth {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fits(&self, value: &Value, pattern: &str) -> Result<bool, ExpressionError> {
        let (text, pattern) = (value.to_string().to_lowercase(), pattern.to_lowercase());
        Ok(match self.how {
            How::Glob => fnmatch(&text, &pattern),
            How::Exact => text == pattern,
            How::Regex => begins(&pattern, &text)?,
        })
    }
}

/// Whether a text begins with what a regular expression describes, as Python's `re.match`.
fn begins(pattern: &str, text: &str) -> Result<bool, ExpressionError> {
    let found =
        compiled(&format!("^(?:{pattern})"), BACKTRACKS_LIMIT).and_then(|(regex, _)| regex.is_match(text));
    found.map_err(|error| ExpressionError::Regex {
        pattern: pattern.to_owned(),
        // The place counts from what stands around the pattern.
        reason: match &error {
            fancy_regex::Error::ParseError(_, what) => what.to_string(),
            other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        },
    })
}

/// `S@192.0.2.0/24`, by the grains `ipv4` and `ipv6`.
fn in_network(text: &str, grains: &Map) -> Result<bool, ExpressionError> {
    let wrong = || ExpressionError::Network(text.to_owned());
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let network: IpAddr = address.parse().map_err(|_| wrong())?;
    let (key, width) = if network.is_ipv4() { ("ipv4", 32) } else { ("ipv6", 128) };
    let length = length.unwrap_or(width);
    if length > width {
        return Err(wrong());
    }
    let addresses = grains.get(key).and_then(Value::as_list).unwrap_or_default();
    let held = |value: &Value| {
        let address = value.as_str()?.parse::<IpAddr>().ok()?;
        let differing = bits(address) ^ bits(network);
        Some(differing.checked_shr(width - length).unwrap_or(0) == 0)
    };
    Ok(addresses.iter().filter_map(held).any(|held| held))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use kstate_core::Position;

    fn map(text: &str) -> Map {
        match yaml::load(text, &|_| Position::new("", 1, 1)).unwrap().value() {
            Value::Map(map) => map,
            other => panic!("{other}"),
        }
    }

    fn matches(text: &str) -> Result<bool, ExpressionError> {
        let grains = map("{os: Debian, roles: [web, db], ipv4: [192.0.2.7], osmajorrelease: 12}");
        let pillar = map("{flags: {on: true, deep: {x: false}}, apache: {modules: [ssl]}, empty: {}}");
        Expression::compound(text).matches(&Minion { id: "alpha", grains: &grains, pillar: &pillar })
    }

    #[test]
    fn compound_words_are_read_as_salt_does() {
        for (text, expected) in [
            ("*", true),
            ("a*", true),
            ("A*", false),
            ("b* or alpha", true),
            ("* and not alpha", false),
            ("* not beta", true),
            ("( b* or a* ) and G@os:debian", true),
            ("not ( b* or a* )", false),
            ("G@os:Ubuntu", false),
            ("G@roles:web", true),
            ("G@osmajorrelease:12", true),
            ("P@os:(Debian|Ubuntu)", true),
            ("P@os:ebian", false),
            ("E@al.ha", true),
            ("E@lpha", false),
            ("L@alpha,beta", true),
            ("L@beta", false),
            ("S@192.0.2.0/24", true),
            ("S@192.0.3.0/24", false),
            ("S@192.0.2.7", true),
            ("S@0.0.0.0/0", true),
            ("I@apache:modules:ssl", true),
            ("I@flags:deep", true),
            ("I@flags:deep:x", true),
            ("I@flags:on:true", true),
            ("I@flags:off", false),
            ("I@empty:*", false),
            ("I@apache:*", true),
            ("J@apache:mod.*:ssl", false),
            ("J@apache:modules:s.l", true),
            ("G|@os|Debian", true),
            ("I@flags", false),
        ] {
            assert_eq!(matches(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        for text in ["and a", "a and", "( a", "a )", "a b", "R@x:y", "S@nowhere", "P@os:("] {
            assert!(matches(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endless_expressions_end() {
        let nested = format!("{}x{}", "{a: ".repeat(90), "}".repeat(90));
        let (grains, pillar) = (map(&nested), Map::new());
        let minion = Minion { id: "alpha", grains: &grains, pillar: &pillar };
        let matches = |text: String| Expression::compound(text).matches(&minion);
        assert!(matches!(matches(format!("G@{}zzz", "a:".repeat(80))), Err(ExpressionError::TooManyWays(_))));
        assert_eq!(matches(format!("G@{}x", "a:".repeat(90))), Ok(true));
        assert!(matches!(matches("not ".repeat(100_000) + "a"), Err(ExpressionError::TooDeep(_))));
        assert!(matches!(matches("( ".repeat(100_000) + "a"), Err(ExpressionError::TooDeep(_))));
        assert!(matches!(matches("not ( ".repeat(100_000) + "a"), Err(ExpressionError::TooDeep(_))));
    }

    #[test]
    fn only_some_matches_need_data() {
        assert!(!Expression::compound("a* and not E@b or L@c,d").asks_for_data());
        assert!(Expression::compound("* and I@x:y").asks_for_data());
    }
}
