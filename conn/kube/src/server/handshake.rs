//! The decision about a request: which protocol, or which refusal.

use http::{HeaderValue, Request, Response, StatusCode, header};
use lacewing_conn::{
    Version,
    driver::upgrade::{
        ACCEPTED_STREAM_PROTOCOL_VERSIONS, STREAM_PROTOCOL_VERSION, requested, switching,
    },
};

use super::rejection::Rejection;
use crate::protocol::{WebSocketProtocol, list};

/// The transport protocol that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Raw streams of this version.
    Raw(Version),
    WebSocket,
}

/// Returns the transport protocol that a request asks for.
///
/// # Errors
///
/// The request has a body, or is not of HTTP/1.1. A body would be read as frames.
pub(super) fn asked<B>(request: &Request<B>) -> Result<Asked, Rejection> {
    let headers = request.headers();
    if request.version() != http::Version::HTTP_11 {
        let text = "unable to upgrade: HTTP/1.1 is required";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, text));
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH).into_iter();
    let has_length = lengths.into_iter().any(|length| length != "0");
    if has_length || headers.contains_key(header::TRANSFER_ENCODING) {
        let text = "unable to upgrade: the request has a body";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, text));
    }
    let mut protocols = list(headers, &header::UPGRADE);
    match protocols.any(|name| name.eq_ignore_ascii_case("websocket")) {
        true => Ok(Asked::WebSocket),
        false => {
            // A request without a known name is refused as one for SPDY.
            let http2 = requested(headers) == Some(Version::Http2);
            Ok(Asked::Raw(if http2 {
                Version::Http2
            } else {
                Version::Spdy31
            }))
        }
    }
}

/// Answers a request for raw streams of `version`. The checks have the order of Go's servers, so the
/// same mistake has the same answer.
///
/// # Errors
///
/// The refusal: 400 or 403, with the texts of Kubernetes.
pub(super) fn raw<B, P: Copy>(
    request: &Request<B>,
    version: Version,
    supported: &[P],
    name: impl Fn(P) -> &'static str,
) -> Result<(Response<()>, P), Rejection> {
    let headers = request.headers();
    let theirs: Vec<&str> = list(headers, &STREAM_PROTOCOL_VERSION).collect();
    if theirs.is_empty() {
        let text = "unable to upgrade: X-Stream-Protocol-Version is required";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, text));
    }
    let known = |theirs: &&str| {
        supported
            .iter()
            .copied()
            .find(|ours| name(*ours) == *theirs)
    };
    let Some(chosen) = theirs.iter().find_map(known) else {
        let ours: Vec<&'static str> = supported.iter().map(|ours| name(*ours)).collect();
        let text = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            theirs.join(" "),
            ours.join(" ")
        );
        let rejection = Rejection::new(StatusCode::FORBIDDEN, text);
        return Err(ours.into_iter().fold(rejection, |rejection, ours| {
            let value = HeaderValue::from_static(ours);
            rejection.with_header(ACCEPTED_STREAM_PROTOCOL_VERSIONS, value)
        }));
    };
    if requested(headers) != Some(version) {
        let text = "unable to upgrade: missing upgrade headers in request: \
                    Connection: Upgrade and Upgrade: SPDY/3.1 are required";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, text));
    }
    let mut response = switching(version);
    let value = HeaderValue::from_static(name(chosen));
    response
        .headers_mut()
        .insert(STREAM_PROTOCOL_VERSION, value);
    Ok((response, chosen))
}

/// Answers a request for a WebSocket.
///
/// # Errors
///
/// The refusal: 400 for a handshake that breaks RFC 6455 §4.2.1, 403 without a common
/// subprotocol.
#[cfg(feature = "websocket")]
pub(super) fn websocket<B>(
    request: &Request<B>,
    supported: &[WebSocketProtocol],
) -> Result<(Response<()>, WebSocketProtocol), Rejection> {
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

    let headers = request.headers();
    let bad = |text: &str| Rejection::new(StatusCode::BAD_REQUEST, text);
    let names_upgrade =
        list(headers, &header::CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"));
    if !names_upgrade || request.method() != http::Method::GET {
        return Err(bad(
            "bad request: a WebSocket needs GET and Connection: Upgrade",
        ));
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let version = HeaderValue::from_static("13");
        return Err(
            bad("bad request: only version 13 of WebSocket is supported")
                .with_header(header::SEC_WEBSOCKET_VERSION, version),
        );
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err(bad("bad request: Sec-WebSocket-Key is missing"));
    };
    let unnamed = WebSocketProtocol::offers_none(headers);
    let chosen = match unnamed {
        true => Some(WebSocketProtocol::UNNAMED).filter(|ours| supported.contains(ours)),
        false => WebSocketProtocol::negotiate(headers, supported),
    };
    let Some(chosen) = chosen else {
        let ours: Vec<&str> = supported.iter().map(|ours| ours.name()).collect();
        let theirs: Vec<&str> = list(headers, &header::SEC_WEBSOCKET_PROTOCOL).collect();
        let text = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            theirs.join(" "),
            ours.join(" ")
        );
        return Err(Rejection::new(StatusCode::FORBIDDEN, text));
    };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| bad("bad request: Sec-WebSocket-Key is not valid"))?;
    fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if !unnamed {
        let name = HeaderValue::from_static(chosen.name());
        fields.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok((response, chosen))
}

/// Refuses a WebSocket: the crate is built without the feature `websocket`.
#[cfg(not(feature = "websocket"))]
pub(super) fn websocket<B>(
    _: &Request<B>,
    _: &[WebSocketProtocol],
) -> Result<(Response<()>, WebSocketProtocol), Rejection> {
    let text = "unable to upgrade: this server does not support WebSocket";
    Err(Rejection::new(StatusCode::BAD_REQUEST, text))
}
