//! Quoting for the shell, in the one place that does it.

use crate::names;

/// A word as POSIX `sh` reads it back unchanged.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("'");
    for c in word.chars() {
        match names::byte_of(c) {
            // A script is UTF-8; a name need not be.
            Some(byte) => quoted.push_str(&format!("'\"$(printf '\\{byte:03o}')\"'")),
            None if c == '\'' => quoted.push_str(r"'\''"),
            None => quoted.push(c),
        }
    }
    quoted + "'"
}

/// Words as one command line.
pub fn join<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    words.into_iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Whether programs print this name as it is when they complain about it: GNU quotes and escapes all others.
pub(crate) fn is_printed_plainly(name: &str) -> bool {
    name.chars().all(|c| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '\'' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_plain_words_alone() {
        assert_eq!(join(["stat", "-c", "/etc/hosts"]), "stat -c /etc/hosts");
    }

    #[test]
    fn quotes_what_the_shell_would_read() {
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("~root"), "'~root'");
        assert_eq!(quote(&names::text(b"a\xffb")), r#"'a'"$(printf '\377')"'b'"#);
    }
}
