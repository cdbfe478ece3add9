//! The request for an upgrade.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, Method, Request, Uri, Version, header,
    uri::{Authority, Scheme},
};
use http_body::Body;
use lacewing_conn::{
    Error,
    proto::{Control, Head, fields::CONNECTION_SPECIFIC},
};
use std::{future::poll_fn, pin::Pin};

use crate::body::Upload;

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The upgrade that a request asks for.
pub(crate) struct UpgradeRequest {
    /// The protocol of the connection after the upgrade.
    pub(crate) version: lacewing_conn::Version,
    /// The request as HTTP/2 has it.
    pub(crate) head: Head,
    /// The payload of the client's SETTINGS.
    pub(crate) settings: Vec<u8>,
}

/// A connection that switches to HTTP/2.
pub(crate) struct Upgrade {
    pub(crate) on: hyper::upgrade::OnUpgrade,
    pub(crate) request: UpgradeRequest,
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl UpgradeRequest {
    /// `None` unless the request conforms to RFC 7540 §3.2; it is then an
    /// ordinary request of HTTP/1.1.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let fields = request.headers();
        let usable = request.version() == Version::HTTP_11
            && *request.method() != Method::CONNECT
            && has_token(fields, &header::UPGRADE, "h2c")
            && has_token(fields, &header::CONNECTION, "upgrade")
            && has_token(fields, &header::CONNECTION, "http2-settings");
        if !usable {
            return None;
        }
        // §3.2.1: exactly one.
        let mut settings = fields.get_all(HTTP2_SETTINGS).iter();
        let (Some(payload), None) = (settings.next(), settings.next()) else {
            return None;
        };
        let payload = payload.as_bytes().trim_ascii();
        let payload = payload.strip_suffix(b"=").unwrap_or(payload);
        let payload = payload.strip_suffix(b"=").unwrap_or(payload);
        let settings = URL_SAFE_NO_PAD.decode(payload).ok()?;
        Some(Self {
            version: lacewing_conn::Version::Http2,
            head: Head {
                control: Control::Request {
                    method: request.method().clone(),
                    uri: absolute(request)?,
                    protocol: None,
                },
                fields: without_connection(fields),
            },
            settings,
        })
    }
}

/// The URI with scheme and authority, which HTTP/1.1 has in `Host`.
fn absolute<B>(request: &Request<B>) -> Option<Uri> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let mut parts = request.uri().clone().into_parts();
    if parts.authority.is_none() {
        parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    }
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.path_and_query.as_ref()?;
    Uri::from_parts(parts).ok()
}

/// The fields of the message, without those of the connection (RFC 9110
/// §7.6.1).
fn without_connection(fields: &HeaderMap) -> HeaderMap {
    // EXPECT too: the body has arrived.
    const OTHERS: [HeaderName; 4] = [header::HOST, header::TE, header::EXPECT, HTTP2_SETTINGS];
    let mut kept = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let ours = CONNECTION_SPECIFIC.contains(name) || OTHERS.contains(name);
        if !ours && !has_token(fields, &header::CONNECTION, name.as_str()) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Returns whether a list of tokens has this one (RFC 9110 §5.6.1).
fn has_token(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    fields.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The outcome of reading a body to its end.
pub(crate) enum Drained {
    All {
        data: Bytes,
        trailers: Option<HeaderMap>,
    },
    /// It is larger than it may be; this much was read.
    TooLarge(Bytes),
    Failed(Error),
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn drain(body: &mut Upload, max: usize) -> Drained {
    if body.size_hint().lower() > max as u64 {
        return Drained::TooLarge(Bytes::new());
    }
    let (mut data, mut trailers) = (BytesMut::new(), None);
    loop {
        let frame = match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => break,
            Some(Err(error)) => return Drained::Failed(error),
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(more) => data.extend_from_slice(&more),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if data.len() > max {
            return Drained::TooLarge(data.freeze());
        }
    }
    Drained::All {
        data: data.freeze(),
        trailers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> http::request::Builder {
        Request::post("/path?query")
            .header("host", "example.org:8080")
            .header("connection", "Upgrade, HTTP2-Settings, X-Hop")
            .header("upgrade", "h2c")
            .header("x-hop", "1")
            .header("x-end", "2")
            .header("te", "trailers")
    }

    #[test]
    fn a_request_for_an_upgrade_becomes_one_of_http2() {
        let request = request().header("http2-settings", "AAMAAABkAAQAoAAA");
        let upgrade = UpgradeRequest::of(&request.body(()).unwrap()).unwrap();
        assert_eq!(upgrade.settings, [0, 3, 0, 0, 0, 100, 0, 4, 0, 160, 0, 0]);
        let Control::Request { method, uri, .. } = upgrade.head.control else {
            panic!();
        };
        assert_eq!(method, Method::POST);
        assert_eq!(uri, "http://example.org:8080/path?query");
        let names: Vec<_> = upgrade.head.fields.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-end"]);
    }

    #[test]
    fn incomplete_requests_for_an_upgrade_are_none() {
        let none = |request: http::request::Builder| {
            assert!(UpgradeRequest::of(&request.body(()).unwrap()).is_none());
        };
        // No settings, two, or none that decode.
        none(request());
        none(
            request()
                .header("http2-settings", "AAMAAABk")
                .header("http2-settings", "AAMAAABk"),
        );
        none(request().header("http2-settings", "AA+/"));
        let settings =
            |request: http::request::Builder| request.header("http2-settings", "AAMAAABk");
        none(settings(request().version(Version::HTTP_10)));
        none(settings(request().method(Method::CONNECT)));
        none(settings(request().header("host", "other.example")));
        none(settings(
            Request::get("/")
                .header("host", "example.org")
                .header("upgrade", "h2c")
                .header("connection", "upgrade"),
        ));
        none(settings(
            Request::get("/")
                .header("host", "example.org")
                .header("upgrade", "websocket")
                .header("connection", "upgrade, http2-settings"),
        ));
    }
}
