//! Bytes and flags as text.

use std::fmt::Write as _;

/// A field name or value: UTF-8 unchanged, other bytes escaped.
pub(super) fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The names of flags, joined as the specifications do; bits without a name
/// as a number.
pub(super) fn flags(value: u8, names: &[(u8, &str)]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = value;
    for (bit, name) in names {
        if value & bit != 0 {
            parts.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        parts.push(format!("{rest:#04x}"));
    }
    if parts.is_empty() {
        String::new()
    } else {
        format!(" flags={}", parts.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        assert_eq!(readable("für".as_bytes()), "für");
        assert_eq!(readable(b"a\nb\x1b[2J\xff\0"), "a\\nb\\u{1b}[2J\\xff\\u{0}");
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(flags(0, &[(1, "FIN")]), "");
        assert_eq!(
            flags(5, &[(1, "END_STREAM"), (4, "END_HEADERS")]),
            " flags=END_STREAM|END_HEADERS"
        );
        assert_eq!(flags(0x81, &[(1, "FIN")]), " flags=FIN|0x80");
    }
}
