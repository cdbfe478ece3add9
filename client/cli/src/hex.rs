//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads digits in either case. White space, commas and colons may separate the bytes, and a byte
/// may begin with `0x`.
///
/// # Errors
///
/// The place of the first character that is no digit, or that digits are odd.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for (number, line) in text.lines().enumerate() {
        let line_number = number.saturating_add(1);
        let separated = line.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ':'));
        for word in separated.filter(|word| !word.is_empty()) {
            let digits = word.strip_prefix("0x").unwrap_or(word).as_bytes();
            if digits.len() % 2 != 0 {
                return Err(format!(
                    "line {line_number}: {word:?} has an odd number of digits"
                ));
            }
            for pair in digits.chunks_exact(2) {
                let byte = match pair {
                    [high, low] => digit(*high).zip(digit(*low)),
                    _ => None,
                };
                let (high, low) =
                    byte.ok_or_else(|| format!("line {line_number}: {word:?} is not hexadecimal"))?;
                bytes.push(high << 4 | low);
            }
        }
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    let digit = char::from(character).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_separators_are_skipped() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        let read = decode("00 01,0x0a:0B\n\n0cFF\r\n").unwrap();
        assert_eq!(read, [0, 1, 10, 11, 12, 255]);
        assert!(decode(" ").unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, part) in [
            ("00\n0", "line 2"),
            ("0g", "line 1"),
            ("é0", "line 1"),
            ("0x", ""),
        ] {
            match decode(text) {
                Err(error) => assert!(error.contains(part), "{error}"),
                Ok(bytes) => assert_eq!((text, bytes), ("0x", Vec::new())),
            }
        }
    }
}
