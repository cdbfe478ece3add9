//! The protocol of a connection by its first bytes.

use lacewing_conform::{Side, Version};

/// The client's first bytes in HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head in HTTP/2, and the type of SETTINGS in it.
const HEAD: usize = 9;
const SETTINGS: u8 = 4;

/// The content of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Frames(Version, Option<Side>),
    /// More bytes are needed.
    Undecided,
    Tls,
    Http1,
    Unknown,
}

/// Looks at the first bytes that one side sent.
pub(crate) fn detect(bytes: &[u8]) -> Content {
    let preface = bytes.get(..PREFACE.len()).unwrap_or(bytes);
    match bytes {
        [] => Content::Undecided,
        _ if PREFACE.starts_with(preface) => match preface.len() {
            // Enough to tell it from methods of HTTP/1.1.
            4.. => Content::Frames(Version::Http2, Some(Side::Client)),
            _ => Content::Undecided,
        },
        [0x80] => Content::Undecided,
        [0x80, 2, ..] => Content::Frames(Version::Spdy2, None),
        [0x80, 3, ..] => Content::Frames(Version::Spdy31, None),
        [0x16, 3, ..] => Content::Tls,
        [0x16] => Content::Undecided,
        [byte, ..] if byte.is_ascii_uppercase() => Content::Http1,
        // A server's first frame is SETTINGS, on stream 0.
        _ if bytes.len() < HEAD => Content::Undecided,
        [0, _, _, SETTINGS, 0, 0, 0, 0, 0, ..] => {
            Content::Frames(Version::Http2, Some(Side::Server))
        }
        _ => Content::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        let client = Content::Frames(Version::Http2, Some(Side::Client));
        assert_eq!(detect(PREFACE), client);
        assert_eq!(detect(b"PRI "), client);
        assert_eq!(detect(b"PR"), Content::Undecided);
        assert_eq!(detect(b"PROPFIND / HTTP/1.1"), Content::Http1);
        assert_eq!(detect(b"HTTP/1.1 200 OK"), Content::Http1);
        let server = Content::Frames(Version::Http2, Some(Side::Server));
        assert_eq!(detect(b"\0\0\0\x04\0\0\0\0\0"), server);
        assert_eq!(detect(b"\0\0\0\x04\0\0\0\0"), Content::Undecided);
        assert_eq!(
            detect(b"\x80\x02\0\x01"),
            Content::Frames(Version::Spdy2, None)
        );
        assert_eq!(
            detect(b"\x80\x03\0\x04"),
            Content::Frames(Version::Spdy31, None)
        );
        assert_eq!(detect(b"\x16\x03\x01"), Content::Tls);
        assert_eq!(detect(b"\x7felf\0\0\0\0\0\0"), Content::Unknown);
    }
}
