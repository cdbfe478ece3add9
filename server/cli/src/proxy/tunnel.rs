//! WebSockets and other tunnels: `Upgrade` of HTTP/1.1 and extended CONNECT (RFC 8441), in each
//! combination.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use lacewing_client::{Body, ClientError, ConnectProtocol};
use lacewing_server::{ConnectRequest, RequestBody, Tunnel};
use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::timeout,
};

use super::{
    Shared,
    body::{Download, Reply, Source},
    connection::MAX_HEAD,
    failure::{Failure, Kind, Then},
    fields::{self, has_token},
    group::{Group, Tried},
    key,
    message::{Outbound, passed_on},
    settings::Timeouts,
    upstream::{Open, Upstream},
};
use crate::site::body::Content;

const WEBSOCKET: &str = "websocket";

/// Upgrades that are never forwarded: they would carry requests past this proxy.
const NEVER: [&str; 3] = ["h2c", "h2", "tls/1.0"];

/// The tunnel that a client asks for.
pub(super) enum Asked {
    /// By HTTP/1.1.
    Upgrade {
        on: OnUpgrade,
        protocol: HeaderValue,
        key: Option<HeaderValue>,
    },
    /// By extended CONNECT.
    Connect {
        request: ConnectRequest,
        protocol: HeaderValue,
    },
}

impl Asked {
    /// Returns the tunnel that a request asks for. Other requests for a change of the protocol are
    /// requests like any other, without that wish (RFC 9110 §7.8).
    pub(super) fn of(request: &mut Request<RequestBody>) -> Option<Self> {
        if *request.method() == Method::CONNECT {
            let connect = request.extensions().get::<ConnectRequest>()?;
            let protocol = HeaderValue::from_str(connect.protocol()?).ok()?;
            let request = connect.clone();
            return Some(Self::Connect { request, protocol });
        }
        let fields = request.headers();
        let mut wanted = fields.get_all(UPGRADE).iter();
        let protocol = wanted.next()?.clone();
        let token = protocol.to_str().ok()?.trim();
        let one = wanted.next().is_none() && !token.contains(',') && !token.is_empty();
        let never = NEVER.iter().any(|never| token.eq_ignore_ascii_case(never));
        let asks = request.version() == Version::HTTP_11
            && has_token(fields, &CONNECTION, "upgrade")
            && request.body().is_end_stream();
        if !one || never || !asks {
            return None;
        }
        let key = fields.get(SEC_WEBSOCKET_KEY).cloned();
        let on = hyper::upgrade::on(request);
        Some(Self::Upgrade { on, protocol, key })
    }

    fn protocol(&self) -> &HeaderValue {
        match self {
            Self::Upgrade { protocol, .. } | Self::Connect { protocol, .. } => protocol,
        }
    }

    fn is_websocket(&self) -> bool {
        self.protocol()
            .as_bytes()
            .eq_ignore_ascii_case(WEBSOCKET.as_bytes())
    }
}

impl Shared {
    /// Opens a tunnel to an upstream of the group. Its answer passes unchanged if it refuses.
    pub(super) async fn open_tunnel(
        &self,
        group: &Group,
        outbound: &mut Outbound,
        asked: Asked,
    ) -> Result<Response<Reply>, Failure> {
        let mut tried = Tried::default();
        let Some(upstream) = group.next(&mut tried) else {
            return Err(Failure::new(Kind::NoUpstream, "the route has no upstream"));
        };
        let open = upstream.open();
        let timeouts = self.settings.reach.timeouts;
        let opened = if upstream.may_speak_http1() {
            by_upgrade(upstream, outbound, asked, timeouts, open).await
        } else {
            by_connect(upstream, outbound, asked, timeouts, open).await
        };
        match opened {
            Ok(response) => {
                upstream.answered();
                Ok(response)
            }
            Err(failure) => Err(self.blame(upstream, outbound, failure, Then::Response)),
        }
    }
}

/// Asks an upstream that speaks HTTP/1.1.
async fn by_upgrade(
    upstream: &Arc<Upstream>,
    outbound: &mut Outbound,
    asked: Asked,
    timeouts: Timeouts,
    open: Open,
) -> Result<Response<Reply>, Failure> {
    let mut accept = None;
    if let Asked::Connect { .. } = asked {
        // RFC 8441 §5: these fields have no meaning in CONNECT.
        outbound.method = Method::GET;
        if asked.is_websocket() {
            let none = || Failure::new(Kind::BadRequest, "no randomness for a key");
            let key = key::fresh().ok_or_else(none)?;
            accept = key::accept(&key);
            outbound.fields.insert(SEC_WEBSOCKET_KEY, key);
            let version = HeaderValue::from_static("13");
            outbound
                .fields
                .entry(SEC_WEBSOCKET_VERSION)
                .or_insert(version);
        }
    }
    let request = upgrade_request(upstream, outbound, asked.protocol());
    let mut response = send_upgrade(upstream, request, timeouts).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let connects = matches!(asked, Asked::Connect { .. });
        if connects && response.status().is_success() {
            let cause = format!("it answered {} and did not switch", response.status());
            return Err(Failure::new(Kind::NoTunnel, cause));
        }
        let upgrade = response.headers().get(UPGRADE).cloned();
        let mut response = passed_on(response, |body| {
            Download::new(Source::Hyper(body), timeouts.idle, open)
        });
        if let (false, Some(upgrade)) = (connects, upgrade) {
            // 426 says what the upstream requires.
            let fields = response.headers_mut();
            fields.insert(UPGRADE, upgrade);
            fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        return Ok(response);
    }
    let switched = response.headers().get(UPGRADE);
    if !switched.is_some_and(|to| {
        to.as_bytes()
            .eq_ignore_ascii_case(asked.protocol().as_bytes())
    }) {
        let cause = "it switched to a protocol that was not asked for";
        return Err(Failure::new(Kind::Protocol, cause));
    }
    if accept.is_some() && response.headers().get(SEC_WEBSOCKET_ACCEPT) != accept.as_ref() {
        let cause = "its sec-websocket-accept does not fit the key (RFC 6455 §4.1)";
        return Err(Failure::new(Kind::Protocol, cause));
    }
    let back = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    fields::of_response(&mut head.headers, head.version);
    let idle = timeouts.tunnel;
    match asked {
        Asked::Upgrade { on, protocol, .. } => {
            tokio::spawn(async move {
                if let (Ok(front), Ok(back)) = tokio::join!(on, back) {
                    pump(TokioIo::new(front), TokioIo::new(back), idle, open).await;
                }
            });
            Ok(switching(head.headers, protocol))
        }
        Asked::Connect { request, .. } => {
            head.headers.remove(SEC_WEBSOCKET_ACCEPT);
            let (response, front) = accepted(&request, head.headers)?;
            tokio::spawn(async move {
                if let Ok(back) = back.await {
                    pump(front, TokioIo::new(back), idle, open).await;
                }
            });
            Ok(response)
        }
    }
}

fn upgrade_request(
    upstream: &Upstream,
    outbound: &Outbound,
    protocol: &HeaderValue,
) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = outbound.method.clone();
    *request.uri_mut() = outbound.path.clone().into();
    let fields = request.headers_mut();
    // It comes first (RFC 9110 §7.2).
    fields.extend(outbound.host(upstream).map(|host| (HOST, host)));
    for (name, value) in &outbound.fields {
        fields.append(name, value.clone());
    }
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, protocol.clone());
    request
}

/// Sends a request over a connection of its own.
async fn send_upgrade(
    upstream: &Upstream,
    request: Request<Body>,
    timeouts: Timeouts,
) -> Result<Response<hyper::body::Incoming>, Failure> {
    let connecting = timeout(timeouts.connect, upstream.way.connect());
    let Ok(connected) = connecting.await else {
        let cause = format!("no connection within {:?}", timeouts.connect);
        return Err(Failure::new(Kind::ConnectTimeout, cause));
    };
    let failed = |error: hyper::Error| {
        let kind = match error.is_parse() {
            true => Kind::Protocol,
            false => Kind::Closed,
        };
        Failure::new(kind, error.to_string())
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(connected?))
        .await
        .map_err(failed)?;
    tokio::spawn(connection.with_upgrades());
    match timeout(timeouts.response, sender.send_request(request)).await {
        Ok(response) => response.map_err(failed),
        Err(_) => Err(Failure::response_timeout(timeouts.response)),
    }
}

/// Asks an upstream that speaks HTTP/2.
async fn by_connect(
    upstream: &Arc<Upstream>,
    outbound: &mut Outbound,
    asked: Asked,
    timeouts: Timeouts,
    open: Open,
) -> Result<Response<Reply>, Failure> {
    let protocol = asked.protocol().as_bytes().to_ascii_lowercase();
    let protocol = ConnectProtocol::from_bytes(&protocol)
        .ok_or_else(|| Failure::new(Kind::BadRequest, "the name of the tunnel's protocol"))?;
    let mut accept = None;
    if let Asked::Upgrade { key, .. } = &asked {
        accept = key.as_ref().and_then(key::accept);
        if asked.is_websocket() && accept.is_none() {
            return Err(Failure::new(Kind::BadRequest, "a WebSocket without a key"));
        }
        outbound.fields.remove(SEC_WEBSOCKET_KEY);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.headers_mut() = outbound.fields.clone();
    let uri = outbound.uri(upstream, request.headers_mut());
    *request.uri_mut() = uri;
    request.extensions_mut().insert(protocol);
    let opening = upstream.way.tunnel(request);
    let (response, back) = match timeout(timeouts.response, opening).await {
        Ok(None) => return Err(Failure::not_dialled().failure),
        Ok(Some(Ok(opened))) => opened,
        Ok(Some(Err(ClientError::TunnelRefused { response }))) => {
            let mut refusal = Response::new(Reply::Own(Content::empty()));
            *refusal.status_mut() = response.status();
            let fields = refusal.headers_mut();
            fields.clone_from(response.headers());
            // Its content is not read.
            fields.remove(http::header::CONTENT_LENGTH);
            fields.remove(http::header::CONTENT_ENCODING);
            fields::of_response(fields, response.version());
            return Ok(refusal);
        }
        Ok(Some(Err(error))) => return Err(error.into()),
        Err(_) => return Err(Failure::response_timeout(timeouts.response)),
    };
    let (mut head, ()) = response.into_parts();
    fields::of_response(&mut head.headers, head.version);
    let idle = timeouts.tunnel;
    match asked {
        Asked::Upgrade { on, protocol, .. } => {
            tokio::spawn(async move {
                if let Ok(front) = on.await {
                    pump(TokioIo::new(front), back, idle, open).await;
                }
            });
            if let Some(accept) = accept {
                head.headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
            Ok(switching(head.headers, protocol))
        }
        Asked::Connect { request, .. } => {
            let (response, front) = accepted(&request, head.headers)?;
            tokio::spawn(pump(front, back, idle, open));
            Ok(response)
        }
    }
}

fn switching(mut fields: http::HeaderMap, protocol: HeaderValue) -> Response<Reply> {
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, protocol);
    let mut response = Response::new(Reply::Own(Content::empty()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = fields;
    response
}

fn accepted(
    request: &ConnectRequest,
    mut fields: http::HeaderMap,
) -> Result<(Response<Reply>, Tunnel), Failure> {
    let failed =
        |error: lacewing_server::TunnelError| Failure::new(Kind::BadRequest, error.to_string());
    let (mut response, tunnel) = request.accept().map_err(failed)?;
    fields.remove(HeaderName::from_static("content-length"));
    *response.headers_mut() = fields;
    Ok((response.map(Reply::Tunnel), tunnel))
}

/// Passes bytes both ways until both sides have ended, one fails, or none sends anything for a
/// while. A side that fails resets the other.
async fn pump(
    front: impl AsyncRead + AsyncWrite + Unpin,
    mut back: impl AsyncRead + AsyncWrite + Unpin,
    idle: Duration,
    open: Open,
) {
    let moved = Arc::new(AtomicU64::new(0));
    let mut front = Counted {
        io: front,
        moved: Arc::clone(&moved),
    };
    let passing = copy_bidirectional(&mut front, &mut back);
    let standing = async {
        loop {
            let before = moved.load(Ordering::Relaxed);
            tokio::time::sleep(idle).await;
            if moved.load(Ordering::Relaxed) == before {
                return;
            }
        }
    };
    tokio::select! {
        // An error of one side is no news to the log: either may hang up at any time.
        _ = passing => {}
        () = standing => {
            let error = format!("the tunnel stood still for {idle:?} (--proxy-tunnel-timeout)");
            open.cut_short(&error);
        }
    }
}

/// Counts the bytes that pass.
struct Counted<T> {
    io: T,
    moved: Arc<AtomicU64>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        if polled.is_ready() {
            this.moved.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        if polled.is_ready() {
            this.moved.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
