//! From HTTP/1.1 to HTTP/2 in cleartext, by `Upgrade: h2c` (RFC 7540 §3.2).

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lacewing_conn::{
    Version,
    proto::{Control, Engine, Head},
};

use crate::{
    Body, BoxError, ClientError, ClientOptions, Connection, Origin, RequestError, ResponseFuture,
    Security, Transport,
    body::{Replay, RequestBody},
    exchange::{PreparedRequest, prepare},
    telemetry,
};

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The largest body of an upgrade request. The server can switch only after it has the whole body.
const MAX_BODY: usize = 64 << 10;

impl Connection {
    /// Starts a connection by an HTTP/1.1 request for a switch to HTTP/2 (`Upgrade: h2c`). The
    /// request becomes stream 1, and its response is the third value. The connection then works as
    /// after [`handshake`](Self::handshake).
    ///
    /// RFC 9113 removed this upgrade. Use it for servers that accept HTTP/2 in cleartext in no
    /// other way.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_client::{Body, Connection, ClientOptions};
    ///
    /// let io = tokio::net::TcpStream::connect("127.0.0.1:8080").await?;
    /// let request = http::Request::get("http://127.0.0.1:8080/").body(Body::empty())?;
    /// let (connection, task, response) =
    ///     Connection::upgrade(io, request, ClientOptions::default()).await?;
    /// tokio::spawn(task);
    /// println!("{}", response.await?.status());
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    ///
    /// # Errors
    ///
    /// * [`ClientError::NotUpgraded`], if the server answers in HTTP/1.1: this client
    ///   does not speak it, and the answer is lost.
    /// * [`ClientError::Upgrade`], if the server gives no answer, or none within
    ///   [`Limits::preface_timeout`](crate::Limits::preface_timeout).
    /// * [`ClientError::Request`], if the method is CONNECT, the body has more than
    ///   64 KiB, or its type is neither [`Body`] nor `String`. A body that has ended
    ///   from the start (`is_end_stream`) may have any type.
    pub async fn upgrade<B>(
        io: impl Transport,
        request: Request<B>,
        options: ClientOptions,
    ) -> Result<
        (
            Self,
            impl Future<Output = Result<(), lacewing_conn::Error>> + Send + 'static,
            ResponseFuture,
        ),
        ClientError,
    >
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = request.map(|body| RequestBody::new(body, Replay::Never));
        let after = options.connection.limits.preface_timeout;
        match tokio::time::timeout(after, upgrade(io, request, options)).await {
            Ok(upgraded) => upgraded,
            Err(_) => {
                let text = format!("no answer within Limits::preface_timeout ({after:?})");
                let error = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
                Err(ClientError::Upgrade(Arc::new(error)))
            }
        }
    }
}

/// Returns whether a request can be the upgrade request itself.
pub(crate) fn fits(request: &Request<RequestBody>) -> bool {
    if request.method() == Method::CONNECT {
        return false;
    }
    match request.body() {
        RequestBody::Empty => true,
        RequestBody::Bytes(bytes) => bytes.len() <= MAX_BODY,
        RequestBody::Source(_) => false,
    }
}

/// A request that asks only for the upgrade. It names the path of the user's request:
/// some servers, such as Go's, answer a request for `*` themselves.
pub(crate) fn neutral(origin: &Origin, wanted: Option<&Uri>) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = Method::OPTIONS;
    let path = wanted.map_or("/", Uri::path);
    if let Ok(uri) = Uri::try_from(format!("{origin}{path}")) {
        *request.uri_mut() = uri;
    }
    request
}

/// [`Connection::upgrade`], of a body whose type is erased.
pub(crate) async fn upgrade(
    io: impl Transport,
    request: Request<RequestBody>,
    options: ClientOptions,
) -> Result<
    (
        Connection,
        impl Future<Output = Result<(), lacewing_conn::Error>> + Send + 'static,
        ResponseFuture,
    ),
    ClientError,
> {
    let version = Version::Http2;
    if !fits(&request) {
        let what = match *request.method() {
            Method::CONNECT => "a CONNECT request as an upgrade from HTTP/1.1; use another method",
            _ => {
                "an upgrade from HTTP/1.1 with a body that is streamed or above 64 KiB; \
                 use `Body` or `String` with less"
            }
        };
        let what = what.to_owned();
        return Err(RequestError::Unsupported { version, what }.into());
    }
    let message = prepare(request, version.into(), Security::Cleartext)?;
    let settings = Engine::upgrade_settings(&options.engine(version));
    let asked = http1(&message, &settings)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .map_err(failed)?;
    let (response, parts) = talk(sender, connection, asked).await?;
    let (io, rest) = match parts {
        Some(parts) if is_switch(&response) => (parts.io.into_inner(), parts.read_buf),
        _ => {
            let status = response.status();
            return Err(ClientError::NotUpgraded { status });
        }
    };
    // The bytes after the 101 are HTTP/2 already.
    let rest = BytesMut::from(&rest[..]);
    let (connection, driver, response) = Connection::upgraded(io, rest, message, options)?;
    Ok((connection, telemetry::in_span(version, driver), response))
}

type Http1<IO> = hyper::client::conn::http1::Connection<TokioIo<IO>, Body>;
type Parts<IO> = hyper::client::conn::http1::Parts<TokioIo<IO>>;

/// One exchange of HTTP/1.1. Returns the transport if the server switched.
async fn talk<IO: Transport>(
    mut sender: hyper::client::conn::http1::SendRequest<Body>,
    connection: Http1<IO>,
    request: Request<Body>,
) -> Result<(Response<Incoming>, Option<Parts<IO>>), ClientError> {
    let mut connection = pin!(connection.without_shutdown());
    let mut response = pin!(sender.send_request(request));
    let mut ended = None;
    let response = poll_fn(|cx| {
        if ended.is_none() {
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                ended = Some(end);
            }
        }
        response.as_mut().poll(cx)
    })
    .await
    .map_err(failed)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok((response, None));
    }
    let ended = match ended {
        Some(ended) => ended,
        None => connection.await,
    };
    Ok((response, Some(ended.map_err(failed)?)))
}

fn failed(error: hyper::Error) -> ClientError {
    ClientError::Upgrade(std::sync::Arc::new(error))
}

fn is_switch(response: &Response<Incoming>) -> bool {
    let named = response.headers().get(header::UPGRADE);
    named.is_none_or(|name| name.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// Returns the request in HTTP/1.1, with the fields of the upgrade.
fn http1(message: &PreparedRequest, settings: &[u8]) -> Result<Request<Body>, RequestError> {
    let Control::Request { method, uri, .. } = &message.head.control else {
        return Err(RequestError::NoHost);
    };
    let body = match &message.body {
        RequestBody::Bytes(bytes) => Body::from(bytes.clone()),
        RequestBody::Empty | RequestBody::Source(_) => Body::empty(),
    };
    let mut request = Request::new(body);
    request.method_mut().clone_from(method);
    *request.uri_mut() = match uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    *request.headers_mut() = asking(&message.head, uri, settings)?;
    Ok(request)
}

fn asking(head: &Head, uri: &Uri, settings: &[u8]) -> Result<HeaderMap, RequestError> {
    let mut fields = head.fields.clone();
    // The body follows without a 100 (Continue).
    fields.remove(header::EXPECT);
    // If the URI has no authority, the `host` field has it already.
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| RequestError::NoHost)?;
        fields.insert(header::HOST, host);
    }
    fields.insert(
        header::CONNECTION,
        HeaderValue::from_static("Upgrade, HTTP2-Settings"),
    );
    fields.insert(header::UPGRADE, HeaderValue::from_static("h2c"));
    let settings = BASE64_URL_SAFE_NO_PAD.encode(settings);
    let settings = HeaderValue::from_str(&settings).map_err(|_| RequestError::NoHost)?;
    fields.insert(HTTP2_SETTINGS, settings);
    Ok(fields)
}
