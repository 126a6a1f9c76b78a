//! No form of a secret survives in what is shown: a table of documents, and random secrets.

use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use kstate_core::{Change, MASK, Secrets, Value};
use proptest::prelude::*;

const SECRETS: &[&str] = &[
    "pw-Zx81-correct-horse",
    "a'b\"c\\d/e&f<g>",
    "Tr0ub4dor&3 %41+x",
    "pässwörd-ünïcode-1",
    "correct horse battery staple",
    "4111111111111111",
    "hunter2!",
];

/// A way to write a secret: its name, and what it makes of a text.
type Encoding = (&'static str, fn(&str) -> String);

fn escaped(text: &str, special: &str, escape: impl Fn(char) -> String) -> String {
    text.chars().map(|c| if special.contains(c) { escape(c) } else { c.to_string() }).collect()
}

fn each_byte(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

const ENCODINGS: &[Encoding] = &[
    ("as it is", str::to_owned),
    ("JSON", |t| escaped(t, "\"\\", |c| format!("\\{c}"))),
    ("JSON with slashes", |t| escaped(t, "\"\\/", |c| format!("\\{c}"))),
    ("JSON in ASCII", |t| {
        let unit = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect();
        t.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { unit(c) }).collect()
    }),
    ("JSON in JSON", |t| escaped(&escaped(t, "\"\\", |c| format!("\\{c}")), "\"\\", |c| format!("\\{c}"))),
    ("YAML in single quotes", |t| t.replace('\'', "''")),
    ("SQL", |t| t.replace('\'', "''").replace('\\', "\\\\")),
    ("CSV", |t| t.replace('"', "\"\"")),
    ("shell", |t| t.replace('\'', r"'\''")),
    ("shell in two quotes", |t| t.replace('\'', r#"'"'"'"#)),
    ("shell, each sign", |t| escaped(t, " '\"\\/&<>%+!-", |c| format!("\\{c}"))),
    ("shell in JSON", |t| escaped(&t.replace('\'', r"'\''"), "\"\\", |c| format!("\\{c}"))),
    ("Python bytes", |t| {
        each_byte(t, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("\\x{b:02x}") })
    }),
    ("octal", |t| each_byte(t, |b| format!("\\{b:03o}"))),
    ("URL", |t| {
        each_byte(t, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("%{b:02X}") })
    }),
    ("URL in lower case", |t| {
        each_byte(t, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("%{b:02x}") })
    }),
    ("form", |t| {
        each_byte(t, |b| match b {
            b' ' => "+".into(),
            b if b.is_ascii_alphanumeric() => char::from(b).into(),
            b => format!("%{b:02X}"),
        })
    }),
    ("URL in URL", |t| {
        each_byte(t, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("%25{b:02X}") })
    }),
    ("HTML", |t| {
        t.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    }),
    ("XML numbers", |t| {
        t.chars()
            .map(
                |c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("&#x{:x};", u32::from(c)) },
            )
            .collect()
    }),
    ("mail", |t| {
        each_byte(t, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("={b:02X}") })
    }),
    ("base64", |t| BASE64.encode(t.as_bytes())),
    ("base64 behind one", |t| BASE64.encode(format!("u{t}").as_bytes())),
    ("base64 behind two", |t| BASE64.encode(format!("u:{t}\n").as_bytes())),
    ("base64 for addresses", |t| BASE64URL_NOPAD.encode(format!("user:{t}").as_bytes())),
    ("base32", |t| BASE32.encode(format!("abc{t}").as_bytes())),
    ("hex", |t| HEXLOWER.encode(t.as_bytes())),
    ("HEX", |t| HEXUPPER.encode(t.as_bytes())),
    ("upper case", str::to_uppercase),
    ("lower case", str::to_lowercase),
    ("wrapped", |t| {
        let chars: Vec<char> = t.chars().collect();
        chars.chunks(5).map(|c| c.iter().collect::<String>()).collect::<Vec<_>>().join("\n    ")
    }),
    ("base64, wrapped", |t| {
        let text = BASE64.encode(format!("user-of-it:{t}").as_bytes());
        text.as_bytes().chunks(12).map(|c| String::from_utf8_lossy(c)).collect::<Vec<_>>().join("\n")
    }),
];

/// Where it stands.
const CONTEXTS: &[&str] = &[
    "@",
    "password = @",
    "  \"password\": \"@\",",
    "postgresql://app:@@db.example.org/app?x=1",
    "psql: error: refused '@' (user app)",
    "export PW='@'; run -p@ --verbose",
    "<value name=\"pw\">@</value>",
    "a line before\n@\na line after\n",
    "authorization: Basic @, and more",
];

fn texts(change: &Change) -> Vec<String> {
    let mut texts = vec![change.subject.clone(), change.to_string()];
    texts.extend(change.diff.clone());
    texts.extend(change.details.iter().map(|(key, value)| format!("{key}: {value}")));
    texts
}

/// What the text means to whoever puts its lines together.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<String>().to_lowercase()
}

fn shows(text: &str, written: &str) -> bool {
    squeezed(text).contains(&squeezed(written))
}

#[test]
fn no_form_of_a_secret_survives_in_any_context() {
    let mut documents = 0;
    for secret in SECRETS {
        let secrets = Secrets::new([(*secret).to_owned()]);
        for (name, encoding) in ENCODINGS {
            let written = encoding(secret);
            for context in CONTEXTS {
                let text = context.replacen('@', &written, 1);
                let masked = secrets.mask(&text);
                assert!(!shows(&masked, &written), "{name}: {text:?} -> {masked:?}");
                assert!(masked.contains(MASK), "{name}: {masked:?}");
                assert_eq!(masked.lines().count(), text.lines().count(), "{name}: {masked:?}");
                let sentence = secrets.mask_sentence(&format!("`run` failed: {text}"));
                assert!(!shows(&sentence, &written), "{name}: {sentence:?}");
                let diff: String = text.lines().map(|line| format!("+{line}\n")).collect();
                let diff = format!("--- /a\n+++ /a\n@@ -1 +1 @@\n-gone\n{diff}");
                let change = Change::new(format!("file {text}"), "old", text.as_str())
                    .diff(diff)
                    .detail("more", Value::List(vec![text.as_str().into()]));
                for shown in texts(&secrets.mask_change(&change)) {
                    let shown = shown.replace("\n+", "\n");
                    assert!(!shows(&shown, &written), "{name}: {shown:?}");
                    assert!(!shown.contains("gone"), "{name}: {shown:?}");
                }
                documents += 1;
            }
        }
    }
    assert!(documents >= 500, "{documents}");
}

#[test]
fn a_secret_that_is_cut_is_masked() {
    for secret in ["pw-Zx81-correct-horse", "Tr0ub4dor&3-and-more", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"] {
        let secrets = Secrets::new([secret.to_owned()]);
        for length in 8..=secret.len() {
            for cut in [&secret[..length], &secret[secret.len() - length..]] {
                for text in [format!("error near \"{cut}…"), format!("{cut}..."), format!("[{cut}]")] {
                    let masked = secrets.mask(&text);
                    assert!(!masked.contains(cut), "{masked}");
                }
            }
        }
    }
}

#[test]
fn the_lines_of_a_key_are_masked_each() {
    let lines: Vec<String> =
        (0..20).map(|n| BASE64.encode(&[n * 11 + 3; 48].map(|b: u8| b.wrapping_mul(n)))).collect();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let secrets = Secrets::new([key.clone()]);
    let whole = serde_like(&key);
    for text in [key.clone(), key.replace('\n', "\n    "), whole] {
        let masked = secrets.mask(&text);
        assert!(lines.iter().skip(1).all(|line| !masked.contains(line.as_str())), "{masked}");
        assert!(masked.contains("BEGIN PRIVATE KEY"));
    }
}

/// As JSON writes it.
fn serde_like(text: &str) -> String {
    format!("{{\"key\": \"{}\"}}", text.replace('\n', "\\n"))
}

#[test]
fn a_report_without_secrets_stays_as_it_is() {
    let secrets = Secrets::new(SECRETS.iter().map(|secret| (*secret).to_owned()));
    for text in [
        "file.managed: /etc/app.ini: content: 120 bytes -> 140 bytes, mode: 0644 -> 0600",
        "{\"id\": \"user\", \"outcome\": \"changed\", \"function\": \"user.present\"}",
        "the horse is correct; a battery is a staple; 100% & <b> it''s \\u0041 %41 aGVsbG8gd29ybGQ=",
        "correct horse",
        "4111 and 1111, 41111",
    ] {
        assert_eq!(secrets.mask(text), text);
        assert_eq!(secrets.mask_sentence(text), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_encoding_of_a_random_secret_survives(
        secret in "[A-Za-z0-9!-~äß€]{9,60}",
        encoding in 0..ENCODINGS.len(),
        context in 0..CONTEXTS.len(),
    ) {
        let secrets = Secrets::new([secret.clone()]);
        let (name, encoding) = ENCODINGS[encoding];
        let written = encoding(&secret);
        let masked = secrets.mask(&CONTEXTS[context].replacen('@', &written, 1));
        prop_assert!(!shows(&masked, &written), "{name}: {secret:?} {masked:?}");
    }

    #[test]
    fn masking_never_fails_and_keeps_the_lines(secret in "\\PC{4,20}", text in "(\\PC|\n|\\\\|%|&){0,200}") {
        let secrets = Secrets::new([secret.clone()]);
        let masked = secrets.mask(&format!("{text}{secret}{text}"));
        prop_assert_eq!(masked.matches('\n').count(), 2 * text.matches('\n').count());
    }
}
