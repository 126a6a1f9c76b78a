//! The tests of Jinja2 and of Salt (`x is defined`).

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};
use num_traits::Zero;

use super::args::Args;
use super::fault::type_error;
use super::value::{
    Kind, Number, SeqKind, equal, is_mapping, is_undefined, kind, number, order, solid, to_str, what,
};
use super::{ops, regex, work};

type Test = fn(&Value, &Args) -> Result<bool, Error>;

/// By name, sorted.
const TESTS: &[(&str, Test)] = &[
    ("!=", |v, a| Ok(!equal(v, a.need(0, "other")?))),
    ("<", |v, a| Ok(order(v, a.need(0, "other")?, "<")?.is_lt())),
    ("<=", |v, a| Ok(order(v, a.need(0, "other")?, "<=")?.is_le())),
    ("==", |v, a| Ok(equal(v, a.need(0, "other")?))),
    (">", |v, a| Ok(order(v, a.need(0, "other")?, ">")?.is_gt())),
    (">=", |v, a| Ok(order(v, a.need(0, "other")?, ">=")?.is_ge())),
    ("boolean", |v, _| Ok(matches!(kind(v), Kind::Bool(_)))),
    ("callable", |v, _| Ok(matches!(kind(v), Kind::Other) && v.kind() != ValueKind::Map)),
    ("defined", |v, _| Ok(!is_undefined(v))),
    ("divisibleby", |v, a| {
        let divisor = a.need(0, "num")?;
        match (number(v), number(divisor)) {
            (Some(Number::Int(_)), Some(Number::Int(d))) if d.is_zero() => {
                Err(type_error("integer modulo by zero"))
            }
            (Some(Number::Int(n)), Some(Number::Int(d))) => Ok((n % d).is_zero()),
            (Some(n), Some(d)) => Ok(n.float() % d.float() == 0.0),
            _ => Err(type_error("divisibleby needs numbers")),
        }
    }),
    ("eq", |v, a| Ok(equal(v, a.need(0, "other")?))),
    ("equalto", |v, a| Ok(equal(v, a.need(0, "other")?))),
    ("escaped", |_, _| Ok(false)),
    ("even", |v, _| parity(v, 0)),
    ("false", |v, _| Ok(matches!(kind(v), Kind::Bool(false)))),
    ("filter", |v, _| Ok(super::filters::exists(&to_str(v)))),
    ("float", |v, _| Ok(matches!(kind(v), Kind::Float(_)))),
    ("ge", |v, a| Ok(order(v, a.need(0, "other")?, ">=")?.is_ge())),
    ("greaterthan", |v, a| Ok(order(v, a.need(0, "other")?, ">")?.is_gt())),
    ("gt", |v, a| Ok(order(v, a.need(0, "other")?, ">")?.is_gt())),
    ("in", |v, a| ops::contains(a.need(0, "seq")?, v)),
    ("integer", |v, _| Ok(matches!(kind(v), Kind::Int(_)))),
    ("iterable", |v, _| {
        Ok(match kind(v) {
            Kind::Str(_) | Kind::Bytes(_) | Kind::Seq(_) | Kind::Dict(_) => true,
            Kind::Other => v.is_kwargs() || matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable),
            _ => false,
        })
    }),
    ("le", |v, a| Ok(order(v, a.need(0, "other")?, "<=")?.is_le())),
    ("lessthan", |v, a| Ok(order(v, a.need(0, "other")?, "<")?.is_lt())),
    ("list", |v, _| Ok(matches!(kind(v), Kind::Seq(seq) if seq.kind == SeqKind::List))),
    ("lower", |v, _| {
        let text = to_str(v);
        Ok(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))
    }),
    ("lt", |v, a| Ok(order(v, a.need(0, "other")?, "<")?.is_lt())),
    ("mapping", |v, _| Ok(is_mapping(v))),
    ("match", |v, a| regex::matches(v, a)),
    ("ne", |v, a| Ok(!equal(v, a.need(0, "other")?))),
    ("none", |v, _| Ok(v.is_none())),
    ("number", |v, _| Ok(number(v).is_some())),
    ("odd", |v, _| parity(v, 1)),
    ("sameas", |v, a| {
        let other = a.need(0, "other")?;
        Ok(match (kind(v), kind(other)) {
            (Kind::Seq(a), Kind::Seq(b)) => std::ptr::eq(a, b),
            (Kind::Dict(a), Kind::Dict(b)) => std::ptr::eq(a, b),
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(_), Kind::Bool(_)) | (Kind::Bool(_), Kind::Int(_)) => false,
            (Kind::Float(_), Kind::Int(_)) | (Kind::Int(_), Kind::Float(_)) => false,
            _ => equal(v, other),
        })
    }),
    ("sequence", |v, _| {
        Ok(match kind(v) {
            Kind::Str(_) | Kind::Bytes(_) | Kind::Dict(_) => true,
            Kind::Seq(seq) => seq.kind != SeqKind::Set,
            Kind::Other => v.is_kwargs() || v.kind() == ValueKind::Seq,
            _ => false,
        })
    }),
    ("string", |v, _| Ok(matches!(kind(v), Kind::Str(_)))),
    ("test", |v, _| Ok(exists(&to_str(v)))),
    ("true", |v, _| Ok(matches!(kind(v), Kind::Bool(true)))),
    ("undefined", |v, _| Ok(is_undefined(v))),
    ("upper", |v, _| {
        let text = to_str(v);
        Ok(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))
    }),
];

fn find(name: &str) -> Option<Test> {
    TESTS.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|i| TESTS[i].1)
}

pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TESTS.iter().map(|(name, _)| *name)
}

/// `args` begin with the subject.
pub(super) fn apply(_: &mut State<'_, '_>, name: &str, args: &Args) -> Result<bool, Error> {
    let test = find(name).ok_or_else(|| type_error(format!("there is no test `{name}`")))?;
    let subject = args.positional.first().cloned().unwrap_or_default();
    work::visit(subject.as_str().map_or(1, |text| text.len() / 32))?;
    if !matches!(name, "defined" | "undefined") {
        let type_tests = [
            "boolean", "callable", "false", "float", "integer", "iterable", "list", "mapping", "none",
            "number", "sameas", "sequence", "string", "true",
        ];
        match kind(&subject) {
            // Asking for the type of something undefined is allowed, and the answer is no.
            Kind::Undef(_) if type_tests.contains(&name) && name != "iterable" && name != "sequence" => {
                return Ok(false);
            }
            _ => solid(&subject)?,
        }
    } else if ops::unknown(&subject) {
        return Ok(name == "defined");
    }
    test(&subject, &args.rest(1))
}

fn parity(value: &Value, rest: u8) -> Result<bool, Error> {
    match number(value) {
        Some(Number::Int(n)) => Ok(n.bit(0) == (rest == 1)),
        Some(Number::Float(n)) => Ok(n.rem_euclid(2.0) == f64::from(rest)),
        None => Err(type_error(format!("a number is needed, not {}", what(value)))),
    }
}
