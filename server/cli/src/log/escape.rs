//! Texts of requests in lines of the log. Whatever a client sends, a line stays one line, and its
//! fields stay apart.

use std::fmt::{self, Write};

/// Bytes of a text that a line shows; a path may be as long as a header list.
pub(super) const MAX_SHOWN: usize = 2048;

/// What follows a text that is cut.
const CUT: &str = "...";

/// Cuts a text to the length that a line shows. Returns whether it was longer.
pub(super) fn cut(text: &str) -> (&str, bool) {
    if text.len() <= MAX_SHOWN {
        return (text, false);
    }
    let end = (0..=MAX_SHOWN)
        .rev()
        .find(|&end| text.is_char_boundary(end));
    (
        end.and_then(|end| text.get(..end)).unwrap_or_default(),
        true,
    )
}

/// Writes a text without control characters: they must not reach a terminal.
pub(super) fn plain(line: &mut String, text: &str) -> fmt::Result {
    let (shown, is_cut) = cut(text);
    if shown.contains(char::is_control) {
        write!(line, "{}", shown.escape_debug())?;
    } else {
        line.push_str(shown);
    }
    if is_cut {
        line.push_str(CUT);
    }
    Ok(())
}

/// Writes a text as a string of JSON, with its quotes.
pub(super) fn json(line: &mut String, text: &str) -> fmt::Result {
    let (shown, is_cut) = cut(text);
    line.push('"');
    for character in shown.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            // Some readers take the last two for the ends of lines.
            '\u{2028}' | '\u{2029}' => write!(line, "\\u{:04x}", u32::from(character))?,
            _ if character.is_control() => write!(line, "\\u{:04x}", u32::from(character))?,
            _ => line.push(character),
        }
    }
    if is_cut {
        line.push_str(CUT);
    }
    line.push('"');
    Ok(())
}

/// Writes bytes as nginx and Apache do between quotes.
pub(super) fn quoted(line: &mut String, bytes: &[u8]) -> fmt::Result {
    let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
    for &byte in shown {
        match byte {
            b'"' | b'\\' | ..=0x1f | 0x7f.. => write!(line, "\\x{byte:02X}")?,
            _ => line.push(char::from(byte)),
        }
    }
    if shown.len() < bytes.len() {
        line.push_str(CUT);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\"b\\c\r\nINFO forged\t\u{1b}[31m\u{9b}31m\u{2028}é\u{7f}";

    fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
        let mut line = String::new();
        write(&mut line).unwrap();
        line
    }

    #[test]
    fn no_text_ends_a_line_or_a_field_or_steers_a_terminal() {
        let texts = [
            written(|line| plain(line, HOSTILE)),
            written(|line| json(line, HOSTILE)),
            written(|line| quoted(line, HOSTILE.as_bytes())),
        ];
        for text in &texts {
            assert!(!text.contains(char::is_control), "{text}");
        }
        let back: String = serde_json::from_str(&texts[1]).unwrap();
        assert_eq!(back, HOSTILE);
        assert!(
            !texts[2].contains('"') && texts[2].is_ascii(),
            "{}",
            texts[2]
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "é".repeat(MAX_SHOWN);
        let shown = "é".repeat(MAX_SHOWN / 2);
        assert_eq!(written(|line| plain(line, &long)), format!("{shown}..."));
        assert_eq!(written(|line| json(line, &long)), format!("\"{shown}...\""));
        let all = written(|line| quoted(line, long.as_bytes()));
        assert_eq!(all.len(), 4 * MAX_SHOWN + 3);
    }
}
