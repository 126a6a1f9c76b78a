//! What a plain scalar means: YAML 1.1 as PyYAML resolves it, with Salt's rule for leading zeros.

use kstate_core::{Value, integer as whole};
use num_bigint::BigInt;

/// What PyYAML's resolver makes of plain text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    Value(Value),
    /// `<<`, which merges when it is a key.
    Merge,
    /// `=`, which PyYAML's safe loader refuses except as a key.
    Default,
}

/// How long a number like `190:20:30` may be.
const SIXTIETHS_LIMIT: usize = 10_000;

/// Reads plain text without a tag.
pub(super) fn resolve(text: &str) -> Result<Plain, String> {
    let Some(first) = text.bytes().next() else { return Ok(Plain::Value(Value::Null)) };
    Ok(Plain::Value(match text {
        "<<" => return Ok(Plain::Merge),
        "=" => return Ok(Plain::Default),
        "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => {
            if let Some(truth) = boolean(text) {
                Value::Bool(truth)
            } else if matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') {
                // PyYAML tries floats before integers, and dates stay text in Salt.
                if is_float(text) {
                    Value::Float(float(text)?)
                } else if is_integer(text) {
                    integer(text)?
                } else {
                    Value::Text(text.to_owned())
                }
            } else {
                Value::Text(text.to_owned())
            }
        }
    }))
}

/// `yes`, `no`, `true`, `false`, `on`, `off` in three spellings each; nothing else.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The value of text that is, or is tagged as, an integer. Leading zeros are dropped (Salt: `0644` is 644) unless a
/// sign stands before them (PyYAML: `-010` is octal).
pub(super) fn integer(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is not an integer");
    let stripped = if text.starts_with('0') && !text.starts_with("0b") && !text.starts_with("0x") {
        match text.trim_start_matches('0') {
            "" => "0",
            rest => rest,
        }
    } else {
        text
    };
    let digits: String = stripped.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let number = if digits == "0" {
        Some(BigInt::ZERO)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        whole(binary, 2)
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        whole(hexadecimal, 16)
    } else if digits.starts_with('0') {
        whole(digits, 8)
    } else {
        // With so many parts the number has more digits than Python reads.
        let fits = digits.len() <= SIXTIETHS_LIMIT;
        let mut sixtieths = digits.split(':').map(|part| whole(part, 10).filter(|_| fits));
        sixtieths.try_fold(BigInt::ZERO, |sum, part| Some(sum * 60 + part?))
    };
    number.map(|n| if negative { -n } else { n }.into()).ok_or_else(wrong)
}

/// The value of text that is, or is tagged as, a float.
pub(super) fn float(text: &str) -> Result<f64, String> {
    let digits = text.replace('_', "").to_lowercase();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let part = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
    match digits {
        ".inf" => Ok(sign * f64::INFINITY),
        ".nan" => Ok(f64::NAN),
        _ => {
            let parts = digits.split(':').map(part).collect::<Result<Vec<_>, _>>()?;
            Ok(sign * parts.into_iter().fold(0.0, |sum, part| sum * 60.0 + part))
        }
    }
}

/// The integers of YAML 1.1: `0b1`, `017`, `12`, `0x1f`, `1:30`.
fn is_integer(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let all =
        |text: &str, test: fn(u8) -> bool| !text.is_empty() && text.bytes().all(|b| b == b'_' || test(b));
    if let Some(binary) = body.strip_prefix("0b") {
        return all(binary, |b| matches!(b, b'0' | b'1'));
    }
    if let Some(hexadecimal) = body.strip_prefix("0x") {
        return all(hexadecimal, |b| b.is_ascii_hexdigit());
    }
    match body.bytes().next() {
        Some(b'0') => body.len() == 1 || all(&body[1..], |b| matches!(b, b'0'..=b'7')),
        Some(b'1'..=b'9') => {
            let mut parts = body.split(':');
            parts.next().is_some_and(|first| all(first, |b| b.is_ascii_digit())) && parts.all(is_sixtieth)
        }
        _ => false,
    }
}

/// The floats of YAML 1.1: with a point, an exponent only with a sign, `1:30.5`, `.inf`, `.nan`.
fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let signed = text.starts_with(['-', '+']);
    let body = if signed { &text[1..] } else { text };
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let Some((whole, rest)) = body.split_once('.') else { return false };
    let digits = |text: &str| text.bytes().all(|b| b == b'_' || b.is_ascii_digit());
    let leads = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let exponent_fits = exponent.is_none_or(|e| {
        e.starts_with(['-', '+']) && e.len() > 1 && e[1..].bytes().all(|b| b.is_ascii_digit())
    });
    if whole.is_empty() {
        return !signed && leads(fraction) && digits(fraction) && exponent_fits;
    }
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let sexagesimal = whole.contains(':');
    leads(first)
        && digits(first)
        && parts.all(is_sixtieth)
        && digits(fraction)
        && exponent_fits
        && !(sexagesimal && exponent.is_some())
}

/// `[0-5]?[0-9]`.
fn is_sixtieth(text: &str) -> bool {
    match text.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => matches!(ten, b'0'..=b'5') && one.is_ascii_digit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        match resolve(text) {
            Ok(Plain::Value(value)) => value,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reads_integers_as_salt_does() {
        for (text, number) in [
            ("0644", 644),
            ("000", 0),
            ("-010", -8),
            ("0x1F", 31),
            ("0b101", 5),
            ("1_000", 1000),
            ("190:20:30", 685_230),
            ("12:30:45", 45_045),
            ("+5", 5),
            ("0_17", 17),
        ] {
            assert_eq!(value(text), Value::Int(number), "{text}");
        }
        for (text, number) in [
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("-0xFFFFFFFFFFFFFFFFFFFF", "-1208925819614629174706175"),
            ("9223372036854775808", "9223372036854775808"),
            ("100000000000000000000:59", "6000000000000000000059"),
        ] {
            assert!(matches!(value(text), Value::Big(_)), "{text}");
            assert_eq!(value(text).to_string(), number);
        }
        assert!(resolve(&"1".repeat(4301)).is_err());
        assert!(resolve(&format!("1{}", ":1".repeat(1_000_000))).is_err());
    }

    #[test]
    fn reads_floats_as_pyyaml_does() {
        for (text, number) in
            [("1.50", 1.5), (".5", 0.5), ("1.0e+3", 1000.0), ("1_0.5", 10.5), ("1.", 1.0), ("1:30.5", 90.5)]
        {
            assert_eq!(value(text), Value::Float(number), "{text}");
        }
        assert_eq!(value("-.inf"), Value::Float(f64::NEG_INFINITY));
    }

    #[test]
    fn leaves_the_rest_as_text() {
        for text in [
            "08",
            "0649",
            "0o17",
            "05:00",
            "1e3",
            "1.0e3",
            "+.5",
            "y",
            "n",
            "tRue",
            "1.2.3",
            "2019-12-19",
            "192.0.2.1",
            "a:b",
            "-",
            "--1",
            "1:60",
        ] {
            assert_eq!(value(text), Value::Text(text.into()));
        }
    }

    #[test]
    fn knows_three_spellings_of_each_boolean() {
        assert_eq!(value("Yes"), Value::Bool(true));
        assert_eq!(value("OFF"), Value::Bool(false));
        assert_eq!(value(""), Value::Null);
        assert_eq!(value("~"), Value::Null);
    }
}
