//! The header fields of HTTP/1.1 that negotiate an upgrade (RFC 9110 §7.8) and
//! the meaning of its streams.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::Version;

/// The header field by which Kubernetes negotiates the meaning of the streams. A
/// client sends one for each protocol that it supports, best first; the server
/// answers with the one that it chose.
pub const STREAM_PROTOCOL_VERSION: HeaderName =
    HeaderName::from_static("x-stream-protocol-version");

/// The header field in which a Kubernetes server lists its protocols when it
/// refuses a request.
pub const ACCEPTED_STREAM_PROTOCOL_VERSIONS: HeaderName =
    HeaderName::from_static("x-accepted-stream-protocol-versions");

/// The name of raw streams over HTTP/2 in `Upgrade`. It is our own: no standard has them, and
/// `h2c` (RFC 7540 §3.2) carries HTTP, with the response to the upgrade's request on stream 1.
///
/// After the 101 response, both sides send their connection preface (RFC 9113 §3.4), and the
/// client's first stream is 1. Each stream begins with a HEADERS frame in both directions. Its
/// fields are the stream's header list, without pseudo-header fields. Flow control, GOAWAY and
/// PING are those of HTTP/2.
pub const RAW_HTTP2: &str = "lacewing-h2";

/// Returns the version of the raw streams to which an HTTP/1.1 request asks to upgrade: the
/// first known one of its `Upgrade` field, such as `SPDY/3.1` or [`RAW_HTTP2`]. `None` unless `Connection` names that
/// field (RFC 9110 §7.8).
///
/// The caller checks that the request is not of HTTP/1.0, and reads its body to the
/// end first: frames follow it.
///
/// ```
/// use http::Request;
/// use lacewing_conn::{Version, driver::upgrade};
///
/// let request = Request::post("/exec").header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
/// let request = request.body(())?;
/// assert_eq!(upgrade::requested(request.headers()), Some(Version::Spdy31));
/// # Ok::<(), http::Error>(())
/// ```
pub fn requested(headers: &HeaderMap) -> Option<Version> {
    if !tokens(headers, &header::CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade")) {
        return None;
    }
    tokens(headers, &header::UPGRADE).find_map(version)
}

/// Returns the 101 response that accepts a [`requested`] version.
///
/// ```
/// use lacewing_conn::{Version, driver::upgrade};
///
/// let response = upgrade::switching(Version::Spdy31);
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
/// ```
pub fn switching(version: Version) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(token(version)));
    response
}

/// Returns the first of the client's protocols ([`STREAM_PROTOCOL_VERSION`]) that is
/// among ours; `None` if none is. Kubernetes then answers with 403 and
/// [`ACCEPTED_STREAM_PROTOCOL_VERSIONS`], unless the client named no protocol at
/// all: that stands for the oldest.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use lacewing_conn::driver::upgrade::{STREAM_PROTOCOL_VERSION, choose_stream_protocol};
///
/// let mut headers = HeaderMap::new();
/// headers.append(STREAM_PROTOCOL_VERSION, HeaderValue::from_static("v5.channel.k8s.io"));
/// headers.append(STREAM_PROTOCOL_VERSION, HeaderValue::from_static("v4.channel.k8s.io"));
/// let ours = ["v4.channel.k8s.io", "v3.channel.k8s.io"];
/// assert_eq!(choose_stream_protocol(&headers, &ours), Some("v4.channel.k8s.io"));
/// ```
pub fn choose_stream_protocol<'a>(headers: &HeaderMap, ours: &[&'a str]) -> Option<&'a str> {
    tokens(headers, &STREAM_PROTOCOL_VERSION)
        .find_map(|theirs| ours.iter().copied().find(|ours| *ours == theirs))
}

/// Returns the name of a version in `Upgrade`.
pub(super) fn token(version: Version) -> &'static str {
    match version {
        Version::Spdy2 => "SPDY/2",
        Version::Spdy3 => "SPDY/3",
        Version::Spdy31 => "SPDY/3.1",
        Version::Http2 => RAW_HTTP2,
    }
}

pub(super) fn version(name: &str) -> Option<Version> {
    Version::ALL
        .into_iter()
        .find(|version| token(*version).eq_ignore_ascii_case(name))
}

/// Returns the elements of a list field.
pub(super) fn tokens<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
