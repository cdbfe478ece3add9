//! The target of a request to a proxy of HTTP/1.1.

/// A request extension: over HTTP/1.1 the request line has the whole URI (RFC 9112 §3.2.2), as
/// proxies expect it that forward requests without a tunnel. HTTP/2 and SPDY always send all parts of
/// the URI, so it has no effect there.
///
/// The transport must lead to the proxy: use a [`Dial`](crate::Dial) that connects to it.
///
/// ```
/// use lacewing_client::{AbsoluteForm, Body};
///
/// let mut request = http::Request::get("http://example.org/a").body(Body::empty()).unwrap();
/// request.extensions_mut().insert(AbsoluteForm);
/// // GET http://example.org/a HTTP/1.1
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsoluteForm;
