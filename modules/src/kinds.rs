//! Kinds of arguments that several functions share.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// Permission bits as people write them: `644`, `'0644'`. Salt reads digits as octal, whether quoted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(text.trim().trim_start_matches("0o"), 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .map(Mode)
            .ok_or_else(|| {
                de::Error::custom(format!("`{text}` is not a mode; write it as octal digits, such as '0644'"))
            })
    }
}

/// One text or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a list of texts")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Texts, E> {
        Ok(Texts(Vec::new()))
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Texts, E> {
        Ok(Texts(vec![if v { "True".into() } else { "False".into() }]))
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Texts, E> {
        Ok(Texts(vec![v.to_string()]))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Texts, E> {
        Ok(Texts(vec![v.to_string()]))
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<Texts, E> {
        Ok(Texts(vec![v.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element::<String>()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}

pub(crate) fn yes() -> bool {
    true
}

/// The ending under which an old file is kept: `.bak` by default, nothing for `False`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backup(pub(crate) Option<String>);

impl Default for Backup {
    fn default() -> Self {
        Backup(Some(".bak".into()))
    }
}

impl<'de> Deserialize<'de> for Backup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match kstate_core::Value::deserialize(deserializer)? {
            kstate_core::Value::Null | kstate_core::Value::Bool(false) => Ok(Backup(None)),
            kstate_core::Value::Text(ending) if ending.is_empty() => Ok(Backup(None)),
            kstate_core::Value::Text(ending) => Ok(Backup(Some(ending))),
            other => Err(de::Error::custom(format!("expected an ending or `False`, found {}", other.kind()))),
        }
    }
}
