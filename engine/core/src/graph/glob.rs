//! Shell patterns as Python's `fnmatch` reads them, which is what Salt means by a glob.

/// Whether the whole of `name` fits `pattern`: `*`, `?`, `[a-z]`, `[!a-z]`; the case counts, and no character is special.
pub fn fnmatch(name: &str, pattern: &str) -> bool {
    Pattern::new(pattern).fits(name)
}

/// A pattern that many names are held against.
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        Pattern(parse(pattern))
    }

    pub(super) fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut n, mut p) = (0, 0);
        // Where to go on after the last `*` when what follows it does not fit.
        let mut retry = None;
        loop {
            match self.0.get(p) {
                Some(Part::Any) => {
                    retry = Some((p + 1, n));
                    p += 1;
                    continue;
                }
                Some(part) if n < name.len() && part.fits(name[n]) => {
                    n += 1;
                    p += 1;
                    continue;
                }
                None if n == name.len() => return true,
                _ => {}
            }
            match retry {
                Some((after, from)) if from < name.len() => {
                    retry = Some((after, from + 1));
                    p = after;
                    n = from + 1;
                }
                _ => return false,
            }
        }
    }
}

/// Whether Salt takes the text for a pattern in a requisite.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', ']'])
}

enum Part {
    Any,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Part {
    fn fits(&self, c: char) -> bool {
        match self {
            Part::Any => false,
            Part::One => true,
            Part::Char(wanted) => *wanted == c,
            Part::Class { negated, ranges } => ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *negated,
        }
    }
}

fn parse(pattern: &str) -> Vec<Part> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '[' => match class(&chars[at..]) {
                Some((part, length)) => {
                    at += length;
                    part
                }
                None => Part::Char('['),
            },
            c => Part::Char(c),
        });
    }
    parts
}

/// What stands after `[`, and how many characters it takes with its `]`; none if there is no `]`.
fn class(chars: &[char]) -> Option<(Part, usize)> {
    let negated = chars.first() == Some(&'!');
    let start = usize::from(negated);
    // A `]` in the first place is a member.
    let end = start + 1 + chars.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let members = &chars[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Part::Class { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_python_does() {
        for (name, pattern, expected) in [
            ("abc", "a*", true),
            ("abc", "*b", false),
            ("abc", "a?c", true),
            ("abc", "a[!b]c", false),
            ("abc", "a[a-c]c", true),
            ("Abc", "abc", false),
            ("foo[1]", "foo[1]", false),
            ("foo1", "foo[1]", true),
            ("foo[", "foo[", true),
            ("a]", "a[]]", true),
            ("/etc/x", "*", true),
            ("aaab", "*a*b", true),
            ("", "*", true),
            ("", "?", false),
            ("a-", "a[a-]", true),
        ] {
            assert_eq!(fnmatch(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn many_stars_are_quick() {
        assert!(!fnmatch(&"a".repeat(2000), &"*a".repeat(50).replace("*a", "*ab")));
    }
}
