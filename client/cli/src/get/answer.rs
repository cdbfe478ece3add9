//! The head of a response.

use http::{HeaderMap, StatusCode};

/// The head of a response.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) version: http::Version,
    pub(super) fields: HeaderMap,
}

/// A response's head as text, with the line ends of HTTP/1.1.
pub(super) fn head_text(answer: &Answer) -> Vec<u8> {
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let version = match answer.version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let reason = if version == "HTTP/2" { "" } else { reason };
    let text = format!("{version} {} {reason}\r\n", answer.status.as_u16());
    let mut bytes = text.into_bytes();
    for (name, value) in &answer.fields {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
