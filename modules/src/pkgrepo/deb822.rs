//! Stanzas of `.sources` files, as sources.list(5) describes them.

use super::line::{Entry, same};

/// Returns the text of a file without the entry: without its stanza, or without the type, address or suite if the
/// stanza has others besides. Fails if the stanza stands for more than can be taken out of it.
pub(super) fn without(text: &str, entry: &Entry) -> Result<String, String> {
    let mut kept = Vec::new();
    for stanza in stanzas(text) {
        kept.extend(reduced(&stanza, entry)?);
    }
    let text: String = kept.concat();
    Ok(if text.trim().is_empty() { String::new() } else { text })
}

/// The stanzas, each with the empty lines behind it.
fn stanzas(text: &str) -> Vec<String> {
    let mut stanzas: Vec<String> = vec![String::new()];
    let mut is_over = false;
    for line in text.split_inclusive('\n') {
        let is_empty = line.trim().is_empty();
        if is_over && !is_empty {
            stanzas.push(String::new());
        }
        is_over = is_empty;
        if let Some(last) = stanzas.last_mut() {
            last.push_str(line);
        }
    }
    stanzas
}

/// What is left of a stanza. `None`: nothing.
fn reduced(stanza: &str, entry: &Entry) -> Result<Option<String>, String> {
    let (types, uris, suites) = (words(stanza, "Types"), words(stanza, "URIs"), words(stanza, "Suites"));
    let is_disabled = words(stanza, "Enabled").first().is_some_and(|word| word.eq_ignore_ascii_case("no"));
    let any_suite = entry.suite.is_empty();
    let is_in = types.contains(&entry.kind)
        && uris.iter().any(|uri| same(uri, &entry.uri))
        && (any_suite || suites.iter().any(|suite| same(suite, &entry.suite)));
    if !is_in || is_disabled {
        return Ok(Some(stanza.to_owned()));
    }
    let others = [
        ("Types", types.iter().filter(|kind| **kind != entry.kind).cloned().collect::<Vec<_>>()),
        ("URIs", uris.iter().filter(|uri| !same(uri, &entry.uri)).cloned().collect()),
        ("Suites", suites.iter().filter(|suite| !any_suite && !same(suite, &entry.suite)).cloned().collect()),
    ];
    match others.iter().filter(|(_, left)| !left.is_empty()).collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [(name, left)] => Ok(Some(with(stanza, name, left))),
        _ => {
            Err("a stanza stands for several sources, of which this is one; write it anew by `file.managed`"
                .into())
        }
    }
}

/// The words of a field, with those of the lines that continue it.
fn words(stanza: &str, field: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut is_inside = false;
    for line in stanza.lines().filter(|line| !line.starts_with('#')) {
        let value = match line.split_once(':') {
            Some((name, value)) if !line.starts_with([' ', '\t']) => {
                is_inside = name.trim().eq_ignore_ascii_case(field);
                value
            }
            _ => line,
        };
        if is_inside {
            words.extend(value.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The stanza with other words in a field.
fn with(stanza: &str, field: &str, words: &[String]) -> String {
    let mut out = String::new();
    let mut is_inside = false;
    for line in stanza.split_inclusive('\n') {
        let is_continued = line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if is_inside && is_continued {
            continue;
        }
        is_inside = line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(field));
        match is_inside {
            true => out.push_str(&format!("{field}: {}\n", words.join(" "))),
            false => out.push_str(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# Debian\nTypes: deb deb-src\nURIs: https://a.example.org/debian/\nSuites: x x-updates\nComponents: main\n\nTypes: deb\nURIs: https://b.example.org\nSuites: ./\n";

    fn after(line: &str) -> Result<String, String> {
        without(TWO, &Entry::parse(line).unwrap())
    }

    #[test]
    fn a_stanza_goes_whole_or_loses_a_word() {
        assert!(!after("deb https://b.example.org/ ./").unwrap().contains("b.example.org"));
        assert_eq!(after("deb https://c.example.org x").unwrap(), TWO);
        let one = TWO.replace("deb deb-src", "deb");
        let left = without(&one, &Entry::parse("deb https://a.example.org/debian x").unwrap()).unwrap();
        assert_eq!(left, one.replace("Suites: x x-updates", "Suites: x-updates"));
        assert!(after("deb https://a.example.org/debian x").is_err());
        assert_eq!(
            without("Types: deb\nURIs: a:/\nSuites: x\n", &Entry::parse("deb a:/ x").unwrap()).unwrap(),
            ""
        );
        let disabled = "Enabled: no\nTypes: deb\nURIs: a:/\nSuites: x\n";
        assert_eq!(without(disabled, &Entry::parse("deb a:/ x").unwrap()).unwrap(), disabled);
    }
}
