//! Names of files that are not UTF-8, as texts and back without a loss: each byte that is none of UTF-8 stands as a character of
//! its own, from a range that no name uses.

/// The character of byte 0. All of them are for private use.
const FIRST: u32 = 0xF_FF00;

/// Returns the text of a name. `bytes` gives the name back.
pub fn text(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if byte_of(c).is_some() {
                let mut buffer = [0; 4];
                c.encode_utf8(&mut buffer).bytes().for_each(|byte| text.push(char_of(byte)));
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| char_of(*byte)));
    }
    text
}

/// Returns the bytes of a name.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// Returns a name as people read it: a byte that is no UTF-8 as `\xff`.
pub fn shown(text: &str) -> String {
    text.chars().map(|c| byte_of(c).map_or_else(|| c.to_string(), |byte| format!("\\x{byte:02x}"))).collect()
}

fn char_of(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns the byte that a character stands for, if it stands for one.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    u32::from(c).checked_sub(FIRST).and_then(|byte| u8::try_from(byte).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        let odd = char_of(7).to_string();
        for name in [b"plain".as_slice(), "é\n".as_bytes(), b"a\xff\xfeb", b"\xc3", odd.as_bytes()] {
            assert_eq!(bytes(&text(name)), name);
        }
        assert_eq!(shown(&text(b"a\xffb")), "a\\xffb");
    }
}
