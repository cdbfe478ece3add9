//! Forwards requests to another connection, between any two protocols: the
//! handler of a proxy.

use std::future::Future;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header, request,
};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use lacewing_client::{BoxError, Client, ClientError, Connection, ResponseFuture};

/// The body of forwarded responses.
pub(crate) type Forwarded = UnsyncBoxBody<bytes::Bytes, BoxError>;

/// The connection for the requests.
pub(crate) trait Upstream {
    /// Makes a request, of any body.
    fn send<B>(&self, request: Request<B>) -> impl Future<Output = Sent> + Send
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>;
}

type Sent = Result<Response<lacewing_client::Incoming>, ClientError>;

impl Upstream for Connection {
    fn send<B>(&self, request: Request<B>) -> impl Future<Output = Sent> + Send
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let response: ResponseFuture = self.request(request);
        response
    }
}

impl Upstream for Client {
    fn send<B>(&self, request: Request<B>) -> impl Future<Output = Sent> + Send
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.request(request)
    }
}

/// Makes the request there, and returns the response as it arrives.
///
/// Bodies and trailers stream both ways, at the pace of the slower side.
/// Cancellation is forwarded by dropping. When the client resets its stream,
/// this future or the response's body is dropped, which resets the other
/// stream. When the server resets its stream, the body ends with an error,
/// which resets the client's stream.
pub(crate) async fn forward<U, B>(upstream: &U, request: Request<B>) -> Response<Forwarded>
where
    U: Upstream,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    prepare(&mut parts);
    match upstream.send(Request::from_parts(parts, body)).await {
        Ok(response) => {
            let received = response.version();
            let mut response = response.map(|body| body.map_err(BoxError::from).boxed_unsync());
            strip(response.headers_mut());
            add_via(response.headers_mut(), received);
            response
        }
        Err(error) => refuse(&error),
    }
}

/// Makes a request fit to be forwarded (RFC 9110 §7.6).
fn prepare(parts: &mut request::Parts) {
    strip(&mut parts.headers);
    parts.headers.remove(header::PROXY_AUTHORIZATION);
    if parts.uri.authority().is_some() {
        // The client would request this host in place of the URI's.
        parts.headers.remove(header::HOST);
    }
    // Forwards the fields of a split cookie as one field (RFC 9113 §8.2.3).
    // The server's protocol may join fields in another way, as SPDY does.
    let crumbs: Vec<_> = parts.headers.get_all(header::COOKIE).iter().collect();
    if crumbs.len() > 1 {
        let crumbs: Vec<_> = crumbs.into_iter().map(HeaderValue::as_bytes).collect();
        let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
        parts.headers.remove(header::COOKIE);
        if let Ok(mut joined) = joined {
            // The length of a compressed field could reveal the cookie.
            joined.set_sensitive(true);
            parts.headers.insert(header::COOKIE, joined);
        }
    }
    add_via(&mut parts.headers, parts.version);
    // The connection behind has a version of its own.
    parts.version = Version::default();
}

/// Removes the fields about the connection, which are not about the message.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
    // `te: trailers` is the only value that may stand in HTTP/2 and SPDY.
    let trailers = headers.get_all(header::TE).iter().any(|value| {
        let value = value.to_str().unwrap_or_default();
        value.split(',').any(|coding| coding.trim() == "trailers")
    });
    headers.remove(header::TE);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

fn add_via(headers: &mut HeaderMap, received: Version) {
    let via = match received {
        Version::HTTP_2 => "2 lacewing",
        _ => "1.1 lacewing",
    };
    headers.append(header::VIA, HeaderValue::from_static(via));
}

/// The answer to the client when there is no response.
fn refuse(error: &ClientError) -> Response<Forwarded> {
    let status = match error {
        ClientError::ConnectTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        ClientError::QueueFull { .. } | ClientError::TooManyStreams { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        // No server has seen the request: it may be made again.
        error if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    let body = Full::from(format!("{error}\n")).map_err(BoxError::from);
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
