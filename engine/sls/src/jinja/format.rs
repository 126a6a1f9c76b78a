//! Python's two ways of formatting text: `'%s' % x` and `'{}'.format(x)`.

use minijinja::Error;
use minijinja::value::Value;
use num_bigint::{BigInt, BigUint, Sign};
use num_traits::FromPrimitive;

use super::args::Args;
use super::fault::type_error;
use super::value::{Kind, Number, SeqKind, kind, number, repr, solid, to_str, what};
use super::{ops, work};

const MAX_WIDTH: usize = 10_000;

/// How a field is padded and written.
#[derive(Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn width(text: &str) -> Result<usize, Error> {
    text.parse()
        .ok()
        .filter(|w| *w <= MAX_WIDTH)
        .ok_or_else(|| type_error("the width of a format is too large"))
}

/// `template % values`.
pub(super) fn percent(template: &str, values: &Value) -> Result<String, Error> {
    let (items, mapping) = match kind(values) {
        Kind::Seq(seq) if seq.kind == SeqKind::Tuple => (seq.snapshot(), None),
        Kind::Dict(dict) => (vec![values.clone()], Some(dict)),
        _ => (vec![values.clone()], None),
    };
    let mut next = 0;
    let mut named = false;
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut take = |name: Option<&str>| -> Result<Value, Error> {
            let value = match name {
                Some(name) => mapping
                    .ok_or_else(|| type_error("format requires a mapping"))?
                    .get(name)
                    .ok_or_else(|| type_error(format!("the mapping has no key `{name}`")))?,
                None => {
                    next += 1;
                    items
                        .get(next - 1)
                        .cloned()
                        .ok_or_else(|| type_error("not enough arguments for format string"))?
                }
            };
            solid(&value)?;
            Ok(value)
        };
        let mut name = None;
        if chars.peek() == Some(&'(') {
            chars.next();
            let mut key = String::new();
            let mut depth = 1;
            for c in chars.by_ref() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                key.push(c);
            }
            named = true;
            name = Some(key);
        }
        let mut spec = Spec::default();
        let (mut left, mut zero) = (false, false);
        while let Some(flag) = chars.peek().copied().filter(|c| "#0- +".contains(*c)) {
            chars.next();
            match flag {
                '#' => spec.alternate = true,
                '0' => zero = true,
                '-' => left = true,
                ' ' if spec.sign.is_none() => spec.sign = Some(' '),
                '+' => spec.sign = Some('+'),
                _ => {}
            }
        }
        let mut digits =
            |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Result<Option<usize>, Error> {
                if chars.peek() == Some(&'*') {
                    chars.next();
                    return match number(&take(None)?) {
                        Some(Number::Int(n)) => Ok(usize::try_from(&n).ok().filter(|n| *n <= MAX_WIDTH)),
                        _ => Err(type_error("* wants int")),
                    };
                }
                let mut text = String::new();
                while let Some(c) = chars.peek().copied().filter(char::is_ascii_digit) {
                    text.push(c);
                    chars.next();
                }
                if text.is_empty() { Ok(None) } else { width(&text).map(Some) }
            };
        spec.width = digits(&mut chars)?.unwrap_or(0);
        if chars.peek() == Some(&'.') {
            chars.next();
            spec.precision = Some(digits(&mut chars)?.unwrap_or(0));
        }
        while chars.peek().is_some_and(|c| "hlL".contains(*c)) {
            chars.next();
        }
        let conversion = chars.next().ok_or_else(|| type_error("incomplete format"))?;
        if conversion == '%' {
            out.push('%');
            continue;
        }
        let value = take(name.as_deref())?;
        if ops::unknown(&value) {
            out.push_str("unknown");
            continue;
        }
        spec.align = Some(if left { '<' } else { '>' });
        let body = match conversion {
            's' | 'r' | 'a' => {
                let text = if conversion == 's' { to_str(&value) } else { repr(&value) };
                spec.precision.map_or_else(|| text.clone(), |p| text.chars().take(p).collect())
            }
            'c' => match number(&value) {
                Some(Number::Int(n)) => u32::try_from(&n)
                    .ok()
                    .and_then(char::from_u32)
                    .map(String::from)
                    .ok_or_else(|| type_error("%c arg not in range"))?,
                _ => to_str(&value),
            },
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let n = match number(&value) {
                    Some(Number::Int(n)) => n,
                    Some(Number::Float(n)) if "diu".contains(conversion) => BigInt::from_f64(n)
                        .ok_or_else(|| type_error(format!("cannot convert float {n} to integer")))?,
                    _ => {
                        return Err(type_error(format!(
                            "`%{conversion}` formats a number, not {}",
                            what(&value)
                        )));
                    }
                };
                let digits = radix(n.magnitude(), conversion);
                let digits = match spec.precision {
                    Some(p) if digits.len() < p => format!("{}{digits}", "0".repeat(p - digits.len())),
                    _ => digits,
                };
                let prefix = match conversion {
                    'x' if spec.alternate => "0x",
                    'X' if spec.alternate => "0X",
                    'o' if spec.alternate => "0o",
                    _ => "",
                };
                padded_number(
                    n.sign() == Sign::Minus,
                    spec.sign,
                    prefix,
                    &digits,
                    if zero && !left { spec.width } else { 0 },
                )
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let n = number(&value).ok_or_else(|| {
                    type_error(format!("`%{conversion}` formats a number, not {}", what(&value)))
                })?;
                let n = n.float();
                let digits = float(n.abs(), conversion, spec.precision.unwrap_or(6), spec.alternate);
                padded_number(
                    n.is_sign_negative() && !n.is_nan(),
                    spec.sign,
                    "",
                    &digits,
                    if zero && !left { spec.width } else { 0 },
                )
            }
            other => return Err(type_error(format!("unsupported format character '{other}'"))),
        };
        work::grow(&out, body.len().max(spec.width))?;
        pad(&mut out, &body, spec.width, spec.align.unwrap_or('>'), ' ');
    }
    if !named && mapping.is_none() && next < items.len() {
        return Err(type_error("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn radix(n: &BigUint, kind: char) -> String {
    match kind {
        'x' => format!("{n:x}"),
        'X' => format!("{n:X}"),
        'o' => format!("{n:o}"),
        'b' => format!("{n:b}"),
        _ => n.to_string(),
    }
}

fn padded_number(negative: bool, sign: Option<char>, prefix: &str, digits: &str, width: usize) -> String {
    let sign = if negative {
        "-"
    } else {
        match sign {
            Some('+') => "+",
            Some(' ') => " ",
            _ => "",
        }
    };
    let zeros = width.saturating_sub(sign.len() + prefix.len() + digits.len());
    format!("{sign}{prefix}{}{digits}", "0".repeat(zeros))
}

fn pad(out: &mut String, body: &str, width: usize, align: char, fill: char) {
    let missing = width.saturating_sub(body.chars().count());
    let (before, after) = match align {
        '<' => (0, missing),
        '^' => (missing / 2, missing - missing / 2),
        _ => (missing, 0),
    };
    out.extend(std::iter::repeat_n(fill, before));
    out.push_str(body);
    out.extend(std::iter::repeat_n(fill, after));
}

fn exponent(n: f64, precision: usize, upper: bool) -> String {
    let text = format!("{n:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{}{sign}{:02}", if upper { 'E' } else { 'e' }, exponent.abs())
}

/// A positive number in C's `e`, `f` or `g` format.
fn float(n: f64, kind: char, precision: usize, alternate: bool) -> String {
    let precision = precision.min(300);
    if n.is_nan() || n.is_infinite() {
        let text = if n.is_nan() { "nan" } else { "inf" };
        return if kind.is_ascii_uppercase() { text.to_uppercase() } else { text.to_owned() };
    }
    match kind {
        'e' | 'E' => exponent(n, precision, kind == 'E'),
        'f' | 'F' => format!("{n:.precision$}"),
        _ => {
            let precision = precision.max(1);
            let scientific = format!("{n:.*e}", precision - 1);
            let power: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or_default();
            let strip = |text: String| {
                if alternate || !text.contains('.') {
                    text
                } else {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                }
            };
            if power < -4 || power >= precision as i32 {
                let text = exponent(n, precision - 1, kind == 'G');
                let split = text.find(['e', 'E']).unwrap_or(text.len());
                format!("{}{}", strip(text[..split].to_owned()), &text[split..])
            } else {
                strip(format!("{n:.*}", (precision as i32 - 1 - power).max(0) as usize))
            }
        }
    }
}

/// `template.format(*args, **kwargs)`; `mapping` for `format_map`.
pub(super) fn braces(template: &str, args: &Args) -> Result<String, Error> {
    let mut next = 0;
    braces_at(template, args, &mut next, 0)
}

fn braces_at(template: &str, args: &Args, next: &mut usize, depth: usize) -> Result<String, Error> {
    if depth > 2 {
        return Err(type_error("Max string recursion exceeded"));
    }
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => {
                chars.next();
                out.push('{');
            }
            '}' if chars.peek() == Some(&'}') => {
                chars.next();
                out.push('}');
            }
            '}' => return Err(type_error("Single '}' encountered in format string")),
            '{' => {
                let mut field = String::new();
                let mut open = 1;
                for c in chars.by_ref() {
                    match c {
                        '{' => open += 1,
                        '}' => open -= 1,
                        _ => {}
                    }
                    if open == 0 {
                        break;
                    }
                    field.push(c);
                }
                if open != 0 {
                    return Err(type_error("expected '}' before end of string"));
                }
                let (name, spec) = split_field(&field);
                let (name, conversion) = match name.rsplit_once('!') {
                    Some((name, conversion)) => (name, Some(conversion)),
                    None => (name, None),
                };
                let mut value = lookup(name, args, next)?;
                solid(&value)?;
                match conversion {
                    None => {}
                    Some("s") => value = Value::from(to_str(&value)),
                    Some("r" | "a") => value = Value::from(repr(&value)),
                    Some(other) => return Err(type_error(format!("Unknown conversion specifier '{other}'"))),
                }
                let spec = braces_at(spec, args, next, depth + 1)?;
                let text = formatted(&value, &spec)?;
                work::grow(&out, text.len())?;
                out.push_str(&text);
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn split_field(field: &str) -> (&str, &str) {
    let mut bracket = false;
    for (i, c) in field.char_indices() {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            ':' if !bracket => return (&field[..i], &field[i + 1..]),
            _ => {}
        }
    }
    (field, "")
}

fn lookup(name: &str, args: &Args, next: &mut usize) -> Result<Value, Error> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let mut value = if first.is_empty() {
        *next += 1;
        args.positional.get(*next - 1).cloned().ok_or_else(|| {
            type_error(format!("Replacement index {} out of range for positional args tuple", *next - 1))
        })?
    } else if let Ok(index) = first.parse::<usize>() {
        args.positional.get(index).cloned().ok_or_else(|| {
            type_error(format!("Replacement index {index} out of range for positional args tuple"))
        })?
    } else {
        args.keyword(first)
            .cloned()
            .ok_or_else(|| type_error(format!("format needs an argument named '{first}'")))?
    };
    while !rest.is_empty() {
        let key;
        if let Some(attribute) = rest.strip_prefix('.') {
            let end = attribute.find(['.', '[']).unwrap_or(attribute.len());
            key = Value::from(&attribute[..end]);
            rest = &attribute[end..];
        } else {
            let end = rest.find(']').ok_or_else(|| type_error("Missing ']' in format string"))?;
            let inner = rest.get(1..end).unwrap_or_default();
            key = inner.parse::<i64>().map_or_else(|_| Value::from(inner), Value::from);
            rest = &rest[end + 1..];
        }
        value = ops::item(&value, &key)?;
        solid(&value)?;
    }
    Ok(value)
}

/// `format(value, spec)`.
pub(super) fn formatted(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return Ok(to_str(value));
    }
    let spec = parse(spec)?;
    let number = match kind(value) {
        Kind::Str(_) => None,
        _ => number(value),
    };
    let mut out = String::new();
    let Some(number) = number else {
        if !matches!(kind(value), Kind::Str(_)) {
            return Err(type_error(format!("{} has no format of its own", what(value))));
        }
        if spec.kind.is_some_and(|k| k != 's') {
            return Err(type_error(format!(
                "Unknown format code '{}' for object of type 'str'",
                spec.kind.unwrap_or(' ')
            )));
        }
        let text = to_str(value);
        let text = spec.precision.map_or_else(|| text.clone(), |p| text.chars().take(p).collect());
        pad(&mut out, &text, spec.width, spec.align.unwrap_or('<'), spec.fill.unwrap_or(' '));
        return Ok(out);
    };
    let (negative, prefix, digits) = match (number, spec.kind) {
        (Number::Int(n), None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b')) => {
            let kind = spec.kind.unwrap_or('d');
            let prefix = match kind {
                'x' if spec.alternate => "0x",
                'X' if spec.alternate => "0X",
                'o' if spec.alternate => "0o",
                'b' if spec.alternate => "0b",
                _ => "",
            };
            (n.sign() == Sign::Minus, prefix, radix(n.magnitude(), kind))
        }
        (Number::Int(n), Some('c')) => {
            let c = u32::try_from(&n)
                .ok()
                .and_then(char::from_u32)
                .ok_or_else(|| type_error("%c arg not in range"))?;
            pad(&mut out, &c.to_string(), spec.width, spec.align.unwrap_or('<'), spec.fill.unwrap_or(' '));
            return Ok(out);
        }
        (n, Some('%')) => (
            n.float() < 0.0,
            "",
            format!("{}%", float(n.float().abs() * 100.0, 'f', spec.precision.unwrap_or(6), false)),
        ),
        (n, Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G'))) => {
            let n = n.float();
            (n.is_sign_negative(), "", float(n.abs(), kind, spec.precision.unwrap_or(6), spec.alternate))
        }
        (Number::Float(n), None) => {
            let digits = match spec.precision {
                None => super::value::float_repr(n.abs()),
                Some(p) => {
                    let text = float(n.abs(), 'g', p, false);
                    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
                }
            };
            (n.is_sign_negative(), "", digits)
        }
        (_, Some(kind)) => {
            return Err(type_error(format!("the format `{kind}` is not one for {}", what(value))));
        }
    };
    let digits = match spec.grouping {
        Some(separator) => grouped(&digits, separator),
        None => digits,
    };
    let inner = spec.align == Some('=');
    let mut body = padded_number(negative, spec.sign, prefix, &digits, if inner { spec.width } else { 0 });
    if let (true, Some(fill)) = (inner, Some(spec.fill.unwrap_or(' ')).filter(|fill| *fill != '0')) {
        // The padding stands between the sign and the digits.
        let bare = padded_number(negative, spec.sign, prefix, &digits, 0);
        let missing = spec.width.saturating_sub(bare.chars().count());
        let lead = bare.len() - digits.len();
        body = format!("{}{}{digits}", &bare[..lead], fill.to_string().repeat(missing));
    }
    pad(
        &mut out,
        &body,
        spec.width,
        spec.align.filter(|a| *a != '=').unwrap_or('>'),
        spec.fill.unwrap_or(' '),
    );
    Ok(out)
}

fn grouped(digits: &str, separator: char) -> String {
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(end);
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(separator);
        }
        out.push(c);
    }
    out + rest
}

fn parse(text: &str) -> Result<Spec, Error> {
    let mut spec = Spec::default();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let is_align = |c: Option<&char>| c.is_some_and(|c| "<>^=".contains(*c));
    if is_align(chars.get(1)) {
        spec.fill = Some(chars[0]);
        spec.align = Some(chars[1]);
        at = 2;
    } else if is_align(chars.first()) {
        spec.align = Some(chars[0]);
        at = 1;
    }
    if let Some(sign) = chars.get(at).filter(|c| "+- ".contains(**c)) {
        spec.sign = Some(*sign);
        at += 1;
    }
    if chars.get(at) == Some(&'#') {
        spec.alternate = true;
        at += 1;
    }
    if chars.get(at) == Some(&'0') {
        if spec.align.is_none() {
            spec.align = Some('=');
            spec.fill = Some('0');
        }
        at += 1;
    }
    let digits = |at: &mut usize| {
        let start = *at;
        while chars.get(*at).is_some_and(char::is_ascii_digit) {
            *at += 1;
        }
        chars[start..*at].iter().collect::<String>()
    };
    let text = digits(&mut at);
    if !text.is_empty() {
        spec.width = width(&text)?;
    }
    if let Some(separator) = chars.get(at).filter(|c| ",_".contains(**c)) {
        spec.grouping = Some(*separator);
        at += 1;
    }
    if chars.get(at) == Some(&'.') {
        at += 1;
        let text = digits(&mut at);
        spec.precision = Some(width(&text).map_err(|_| type_error("Format specifier missing precision"))?);
    }
    spec.kind = chars.get(at).copied();
    if at + 1 < chars.len() {
        return Err(type_error("Invalid format specifier"));
    }
    Ok(spec)
}
