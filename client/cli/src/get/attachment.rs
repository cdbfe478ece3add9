//! The file name of `content-disposition` (RFC 6266), made harmless: the server chooses it.

use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

/// The longest name, in bytes, that file systems take.
const MAX_NAME: usize = 255;

/// The parameters of one field that are read.
const MAX_PARAMETERS: usize = 32;

/// Names of devices on Windows, with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// Returns the name that the response gives its body, without folders and whatever could make
/// it more than a name. `filename*` has priority over `filename` (RFC 6266 §4.3).
pub(super) fn file_name(fields: &HeaderMap) -> Option<String> {
    let value = fields.get(header::CONTENT_DISPOSITION)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let mut plain = None;
    for (name, value) in parameters(&text) {
        if name.eq_ignore_ascii_case("filename*") {
            if let Some(name) = extended(&value).and_then(|name| harmless(&name)) {
                return Some(name);
            }
        } else if name.eq_ignore_ascii_case("filename") {
            plain = plain.or_else(|| harmless(&value));
        }
    }
    plain
}

/// The names and values after the disposition type.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.split_once(';').map_or("", |(_, rest)| rest);
    while found.len() < MAX_PARAMETERS {
        let Some((name, after)) = rest.split_once('=') else {
            break;
        };
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        let name = name.trim_matches(|c: char| c == ';' || c.is_whitespace());
        found.push((name.to_owned(), value));
        rest = after;
    }
    found
}

/// A quoted string after its first quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            // Old servers do not escape the folders of Windows: only quotes are unescaped.
            '\\' => match letters.clone().next() {
                Some(escaped @ ('"' | '\\')) => {
                    letters.next();
                    value.push(escaped);
                }
                _ => value.push('\\'),
            },
            letter => value.push(letter),
        }
    }
    (value, letters.as_str())
}

/// `UTF-8'en'na%20me` (RFC 8187 §3.2).
fn extended(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _, coded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_decode_str(coded).collect();
    if charset.eq_ignore_ascii_case("utf-8") {
        return String::from_utf8(bytes).ok();
    }
    let is_latin = charset.eq_ignore_ascii_case("iso-8859-1");
    is_latin.then(|| bytes.into_iter().map(char::from).collect())
}

/// The last segment, as the name of a file that is visible, on any system. `None` if nothing is left.
fn harmless(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut kept: String = last
        .trim()
        .chars()
        .map(|letter| match letter {
            letter if letter.is_control() || is_direction(letter) => '_',
            ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            letter => letter,
        })
        .collect();
    while kept.len() > MAX_NAME {
        kept.pop();
    }
    kept.truncate(kept.trim_end_matches(['.', ' ']).len());
    let stem = kept.split('.').next().unwrap_or_default();
    let device = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_device = DEVICES.iter().any(|name| name.eq_ignore_ascii_case(device));
    if is_device || kept.starts_with(['.', '-', '~']) {
        // No `.profile`, no option of a program that gets `*`.
        kept.replace_range(..0, "_");
        while kept.len() > MAX_NAME {
            kept.pop();
        }
    }
    (!kept.is_empty()).then_some(kept)
}

/// Marks that turn the direction of the text: `gpj.exe` would look like `exe.jpg`.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn named(value: &str) -> Option<String> {
        let mut fields = HeaderMap::new();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        fields.insert(header::CONTENT_DISPOSITION, value);
        file_name(&fields)
    }

    #[test]
    fn names_are_read_as_the_rfc_says() {
        for (value, name) in [
            ("attachment; filename=a.txt", Some("a.txt")),
            (
                "attachment; FILENAME = \"a b;c.txt\" ; x=y",
                Some("a b;c.txt"),
            ),
            ("inline; x=1; filename=\"a\\\"b\"", Some("a_b")),
            (
                "attachment; filename=\"EURO.txt\"; filename*=utf-8''%e2%82%ac%20.txt",
                Some("€ .txt"),
            ),
            ("a; filename*=ISO-8859-1'de'f%FCr", Some("für")),
            ("a; filename*=utf-8''%ff; filename=b", Some("b")),
            ("a; filename*=koi8-r''x; filename=b", Some("b")),
            ("a; filename=\"für\"", Some("für")),
            ("attachment", None),
            ("a; filename=", None),
            ("a; filename", None),
            ("a; filename=\"open", Some("open")),
        ] {
            assert_eq!(named(value).as_deref(), name, "{value}");
        }
    }

    #[test]
    fn a_name_is_never_more_than_a_name() {
        for (value, name) in [
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Windows\\x.dll", Some("x.dll")),
            ("/", None),
            ("..", None),
            (". .", None),
            (".bashrc", Some("_.bashrc")),
            ("-rf", Some("_-rf")),
            ("a:b|c\u{7f}", Some("a_b_c_")),
            ("photo\u{202e}gpj.exe", Some("photo_gpj.exe")),
            ("CON", Some("_CON")),
            ("lpt1.txt", Some("_lpt1.txt")),
            ("console.txt", Some("console.txt")),
            ("x. . ", Some("x")),
        ] {
            assert_eq!(harmless(value).as_deref(), name, "{value}");
            let coded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let field = format!("attachment; filename*=UTF-8''{coded}");
            assert_eq!(named(&field).as_deref(), name, "{field}");
        }
        assert_eq!(harmless(&"ü".repeat(200)).unwrap().len(), 254);
    }
}
