//! Versions of Debian packages: their order (deb-version(7)), and what may be demanded of them.

use std::cmp::Ordering;

use kstate_core::fnmatch;

/// `>=1.2,<2`: all of these. Salt: without an operator exactly this version, or a pattern of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand(Vec<(Operator, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Demand {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut demands = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (operator, version) = [
                ("==", Operator::Is),
                ("!=", Operator::IsNot),
                (">=", Operator::AtLeast),
                ("<=", Operator::AtMost),
                (">>", Operator::Above),
                ("<<", Operator::Below),
                (">", Operator::Above),
                ("<", Operator::Below),
                ("=", Operator::Is),
            ]
            .into_iter()
            .find_map(|(sign, operator)| Some((operator, part.strip_prefix(sign)?.trim())))
            .unwrap_or((Operator::Is, part));
            if version.is_empty() || version.contains(char::is_whitespace) {
                return Err(format!("`{text}` is not a version, nor a comparison with one"));
            }
            demands.push((operator, version.to_owned()));
        }
        Ok(Demand(demands))
    }

    /// The one version that is wanted, which may be a pattern.
    pub(crate) fn exact(&self) -> Option<&str> {
        match &self.0[..] {
            [(Operator::Is, version)] => Some(version),
            _ => None,
        }
    }

    /// `ignore_epoch`: Salt's argument; by itself an epoch counts if the demand has one.
    pub(crate) fn allows(&self, version: &str, ignore_epoch: Option<bool>) -> bool {
        self.0.iter().all(|(operator, wanted)| {
            let ignore = ignore_epoch.unwrap_or(!wanted.contains(':'));
            let strip = |v: &str| if ignore { without_epoch(v).to_owned() } else { v.to_owned() };
            let (have, want) = (strip(version), strip(wanted));
            let order = compare(&have, &want);
            match operator {
                Operator::Is => order == Ordering::Equal || fnmatch(&have, &want),
                Operator::IsNot => order != Ordering::Equal && !fnmatch(&have, &want),
                Operator::Below => order == Ordering::Less,
                Operator::AtMost => order != Ordering::Greater,
                Operator::Above => order == Ordering::Greater,
                Operator::AtLeast => order != Ordering::Less,
            }
        })
    }
}

fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

/// The order of versions by deb-version(7).
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let epoch = |v: &str| v.split_once(':').and_then(|(n, _)| n.parse::<u64>().ok()).unwrap_or_default();
    let (upstream_a, revision_a) = parts(without_epoch(a));
    let (upstream_b, revision_b) = parts(without_epoch(b));
    epoch(a)
        .cmp(&epoch(b))
        .then_with(|| compare_part(upstream_a, upstream_b))
        .then_with(|| compare_part(revision_a, revision_b))
}

fn parts(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, "0"))
}

/// Text and digits in turn; in text `~` sorts before the end, letters before the rest.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    fn split(text: &str, digits: bool) -> (&str, &str) {
        let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
        text.split_at(end)
    }
    let weight = |c: Option<char>| match c {
        Some('~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i64::from(u32::from(c)),
        Some(c) => i64::from(u32::from(c)) + 256,
    };
    while !a.is_empty() || !b.is_empty() {
        let ((text_a, rest_a), (text_b, rest_b)) = (split(a, false), split(b, false));
        let (mut letters_a, mut letters_b) = (text_a.chars(), text_b.chars());
        for _ in 0..text_a.len().max(text_b.len()) {
            match weight(letters_a.next()).cmp(&weight(letters_b.next())) {
                Ordering::Equal => {}
                order => return order,
            }
        }
        let ((number_a, tail_a), (number_b, tail_b)) = (split(rest_a, true), split(rest_b, true));
        let (number_a, number_b) = (number_a.trim_start_matches('0'), number_b.trim_start_matches('0'));
        match number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b)) {
            Ordering::Equal => (a, b) = (tail_a, tail_b),
            order => return order,
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_versions_as_dpkg_does() {
        for (a, b) in [
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0-1"),
            ("1.9", "1.10"),
            ("1.0-1", "1.0-1+b1"),
            ("2.0", "1:0.1"),
            ("1.0a", "1.0+"),
            ("1.0-1", "1.0-1.1"),
            ("7.0.15-1~deb12u1", "7.0.15-1"),
        ] {
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare(b, a), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(compare("1.00", "1.0"), Ordering::Equal);
        assert_eq!(compare("1.0-0", "1.0"), Ordering::Equal);
    }

    #[test]
    fn allows_what_is_demanded() {
        let allows = |demand: &str, version: &str| Demand::parse(demand).unwrap().allows(version, None);
        assert!(allows(">=1.2,<2", "1.2.3-4"));
        assert!(!allows(">=1.2,<2", "2.0"));
        assert!(allows("1.2*", "1.2.3-4"));
        assert!(allows("1.2.3-4", "1:1.2.3-4"));
        assert!(!allows("2:1.2.3-4", "1:1.2.3-4"));
        assert!(allows("!=1.3", "1.2"));
        assert!(Demand::parse(">=").is_err());
    }
}
