//! The media type of a file, with the charset of text.

use std::{path::Path, str};

use bytes::Bytes;
use http::HeaderValue;

/// The bytes at the start of a file that show its charset.
pub(crate) const SAMPLE: usize = 4096;

/// The type by the file's name. Without a known ending, it is bytes.
fn media_type(path: &Path) -> &'static str {
    mime_guess::from_path(path)
        .first_raw()
        .unwrap_or("application/octet-stream")
}

/// The `content-type` of a file of this name that begins with `sample`.
pub(crate) fn content_type_of(path: &Path, sample: &[u8]) -> HeaderValue {
    content_type(media_type(path), sample)
}

/// The `content-type` of a file that begins with `sample`, or is less than [`SAMPLE`] bytes long. Text has the charset UTF-8, unless the
/// sample shows another one: browsers guess an older charset without it.
fn content_type(media_type: &'static str, sample: &[u8]) -> HeaderValue {
    if is_text(media_type) && is_utf8(sample) {
        let with_charset = Bytes::from(format!("{media_type}; charset=utf-8"));
        if let Ok(value) = HeaderValue::from_maybe_shared(with_charset) {
            return value;
        }
    }
    HeaderValue::from_static(media_type)
}

/// Text, and formats that consist of text.
fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("+xml")
        || media_type.ends_with("+json")
        || matches!(
            media_type,
            "application/javascript"
                | "application/json"
                | "application/xml"
                | "application/x-javascript"
                | "application/x-sh"
                | "application/toml"
                | "application/x-yaml"
        )
}

/// Returns whether a file of this media type becomes much smaller by compression.
pub(crate) fn is_compressible(media_type: &str) -> bool {
    is_text(media_type)
        || matches!(
            media_type,
            "application/wasm" | "font/ttf" | "font/otf" | "application/vnd.ms-fontobject"
        )
}

/// The end of the sample may cut a character. UTF-16 has zeros or is invalid; ISO-2022 has escapes.
fn is_utf8(sample: &[u8]) -> bool {
    let (sample, cut) = match sample.get(..SAMPLE) {
        Some(start) => (start, true),
        None => (sample, false),
    };
    let valid = match str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => cut && error.error_len().is_none(),
    };
    let escape = |pair: &[u8]| pair == b"\x1b$" || pair == b"\x1b(";
    valid && !sample.contains(&0) && !sample.windows(2).any(escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_a_charset_unless_its_bytes_show_another() {
        let of = |name: &str, sample: &[u8]| {
            let value = content_type(media_type(Path::new(name)), sample);
            value.to_str().unwrap().to_owned()
        };
        let utf8 = "äöü—".as_bytes();
        for (name, expected) in [
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.log", "text/plain; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.html", "text/html; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.png", "image/png"),
            ("a.wasm", "application/wasm"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(of(name, utf8), expected);
        }
        for other in [
            &b"caf\xe9 au lait"[..],
            b"\xff\xfea\0b\0",
            b"a\0b\0",
            b"\x1b$B$3",
        ] {
            assert_eq!(of("a.txt", other), "text/plain", "{other:?}");
        }
        // The sample ends within a character; the file does not.
        let long = [b"a", "ä".repeat(SAMPLE).as_bytes()].concat();
        assert_eq!(of("a.txt", &long), "text/plain; charset=utf-8");
        assert_eq!(of("a.txt", &utf8[..1]), "text/plain");
        // A log with colours.
        assert_eq!(of("a.log", b"\x1b[31mred"), "text/plain; charset=utf-8");
    }
}
