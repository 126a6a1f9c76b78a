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

/// Reads the script from descriptor 3 and runs it; it finds nothing of that in its variables, and standard input as it was.
const READ: &str = r#"kstate_s=$(cat <&3); exec 3<&-; eval "unset kstate_s; $kstate_s""#;

/// Shells that understand [`READ`]. Others take the name of a file.
const SHELLS: &[&str] = &["ash", "bash", "dash", "ksh", "mksh", "rbash", "sh", "zsh"];

/// A command line that has a shell run a script. The script travels on a descriptor: the words of a process are shown to
/// everybody on the host. `before` stands before the shell, as `timeout 5 ` does.
pub fn with_script(before: &str, shell: &str, script: &str) -> String {
    let name = shell.rsplit('/').next().unwrap_or_default();
    let reader = match SHELLS.contains(&name) {
        true => format!("{} -c {}", quote(shell), quote(READ)),
        false => format!("{} /dev/fd/3", quote(shell)),
    };
    format!("{{ printf %s {} | {before}{reader} 3<&0 <&4 4<&-; }} 4<&0", quote(script))
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
