//! hyper's upgrades on streams of HTTP/2 and SPDY.
//!
//! axum's WebSockets and many others wait for a `hyper::upgrade::OnUpgrade`.
//! Only hyper makes one, when it serves a request that asks for an upgrade.
//! This module has hyper serve a CONNECT request on a transport in memory,
//! which discards the answer and then becomes the client's stream. No byte is
//! copied in between, and no task is needed.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::{server::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use lacewing_conn::driver::{Tunnel, TunnelBody};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use crate::{ConnectRequest, HttpService, RequestBody};

/// Makes a service treat CONNECT requests of HTTP/2 and SPDY like upgrades of
/// HTTP/1.1. Each request has a `hyper::upgrade::OnUpgrade`, and a
/// `hyper::ext::Protocol` if it has a `:protocol`. axum's `WebSocketUpgrade`
/// then works over HTTP/2, if [`ExtendedConnect`](crate::ExtendedConnect) is
/// offered.
///
/// [`serve`](super::serve) has it already; it is of use with a
/// [`Server`](crate::Server) or an [`Acceptor`](crate::Acceptor). A
/// [`ConnectRequest`] that the handler accepts itself goes before it.
///
/// ```
/// use axum::{Router, extract::ws::WebSocketUpgrade, response::Response, routing::any};
/// use lacewing_server::{ExtendedConnect, Server, axum::Upgrades};
///
/// async fn greet(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|mut socket| async move {
///         let _ = socket.send("hello".into()).await;
///         while let Some(Ok(message)) = socket.recv().await {
///             println!("{message:?}");
///         }
///     })
/// }
///
/// # async fn run() -> Result<(), lacewing_server::StartError> {
/// let router = Router::new().route("/ws", any(greet));
/// Server::builder()
///     .bind(([127, 0, 0, 1], 3000).into())
///     .options(|options| options.extended_connect(ExtendedConnect::Offer))
///     .serve(Upgrades::new(router))
///     .await
/// # }
/// # let _ = run;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Upgrades<S>(S);

impl<S> Upgrades<S> {
    /// Around a service.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S> Service<Request<RequestBody>> for Upgrades<S>
where
    S: HttpService<ResponseBody: Body<Data = Bytes>>,
{
    type Response = Response<Either<S::ResponseBody, TunnelBody>>;
    type Error = S::Error;
    type Future = UpgradeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let connect = request.extensions().get::<ConnectRequest>().cloned();
        let pending = connect.and_then(|connect| Pending::begin(connect, &mut request));
        UpgradeFuture {
            response: self.0.call(request),
            pending,
        }
    }
}

pin_project! {
    /// The response of an [`Upgrades`] on its way.
    ///
    /// ```
    /// use lacewing_server::{HttpService, axum::{UpgradeFuture, Upgrades}};
    ///
    /// fn future<S>(service: &mut Upgrades<S>, request: http::Request<lacewing_server::RequestBody>)
    ///     -> UpgradeFuture<S::Future>
    /// where
    ///     S: HttpService<ResponseBody: http_body::Body<Data = bytes::Bytes>>,
    /// {
    ///     HttpService::call(service, request)
    /// }
    /// ```
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct UpgradeFuture<F> {
        #[pin]
        response: F,
        pending: Option<Pending>,
    }
}

impl<F, B, E> Future for UpgradeFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Either<B, TunnelBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.response.poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(response)) => response,
        };
        let pending = this.pending.take();
        // Its drop reports to the waiting handler that there is no upgrade.
        let pending = pending.filter(|_| response.status().is_success());
        Poll::Ready(Ok(match pending.and_then(Pending::finish) {
            Some(body) => {
                let mut response = response.map(|_| Either::Right(body));
                response.headers_mut().remove(CONTENT_LENGTH);
                response
            }
            None => response.map(Either::Left),
        }))
    }
}

/// hyper's part: a connection on which a CONNECT request was read, and whose
/// answer is awaited.
struct Pending {
    connect: ConnectRequest,
    slot: Arc<Mutex<Slot>>,
    /// No future waits for the upgrade after this is dropped.
    stream: Weak<()>,
    connection: Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>,
}

/// The state that hyper's part and ours share.
#[derive(Default)]
struct Slot {
    on_upgrade: Option<OnUpgrade>,
    accepted: bool,
    tunnel: Option<Tunnel>,
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pending {
    /// Inserts the extensions that users of hyper's upgrades look for.
    fn begin(connect: ConnectRequest, request: &mut Request<RequestBody>) -> Option<Self> {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let alive = Arc::new(());
        let stream = Arc::downgrade(&alive);
        let io = Stream::new(Arc::clone(&slot), alive);
        let shared = Arc::clone(&slot);
        let service = hyper::service::service_fn(move |mut request| {
            lock(&shared).on_upgrade = Some(hyper::upgrade::on::<&mut Request<_>>(&mut request));
            let shared = Arc::clone(&shared);
            poll_fn(move |_| {
                if lock(&shared).accepted {
                    Poll::Ready(Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new())))
                } else {
                    Poll::Pending
                }
            })
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        let mut pending = Self {
            connect,
            slot,
            stream,
            connection: Box::pin(connection),
        };
        pending.drive();
        let on_upgrade = lock(&pending.slot).on_upgrade.take()?;
        let extensions = request.extensions_mut();
        extensions.insert(on_upgrade);
        if let Some(protocol) = pending.connect.protocol() {
            extensions.insert(hyper::ext::Protocol::from(protocol));
        }
        Some(pending)
    }

    /// Accepts the CONNECT request, after the handler accepted the upgrade. `None` if the handler
    /// accepted the CONNECT request itself, or dropped the upgrade: then its response is sent
    /// unchanged.
    fn finish(mut self) -> Option<TunnelBody> {
        let (response, tunnel) = self.connect.accept().ok()?;
        {
            let mut slot = lock(&self.slot);
            slot.tunnel = Some(tunnel);
            slot.accepted = true;
        }
        self.drive();
        (self.stream.strong_count() > 0).then(|| response.into_body())
    }

    /// The transport is always ready: no waker is needed.
    fn drive(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // The slot receives the result.
        let _ = self.connection.as_mut().poll(&mut cx);
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

/// The request for hyper to read.
const REQUEST: &[u8] = b"CONNECT stream:1 HTTP/1.1\r\nhost: stream:1\r\n\r\n";
/// The end of what hyper writes as the response's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The transport that hyper has.
struct Stream {
    /// The rest of the request, to be read.
    request: &'static [u8],
    /// The bytes seen of the end of the response's head.
    seen: usize,
    slot: Arc<Mutex<Slot>>,
    tunnel: Option<Tunnel>,
    _alive: Arc<()>,
}

impl Stream {
    fn new(slot: Arc<Mutex<Slot>>, alive: Arc<()>) -> Self {
        Self {
            request: REQUEST,
            seen: 0,
            slot,
            tunnel: None,
            _alive: alive,
        }
    }

    /// The client's stream, once hyper's head is written.
    fn tunnel(&mut self) -> Option<Pin<&mut Tunnel>> {
        if self.tunnel.is_none() && self.seen == HEAD_END.len() {
            self.tunnel = lock(&self.slot).tunnel.take();
        }
        self.tunnel.as_mut().map(Pin::new)
    }

    /// Takes bytes of the response's head; the rest is the client's.
    fn swallow(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            if self.seen == HEAD_END.len() {
                break;
            }
            taken += 1;
            self.seen = match HEAD_END.get(self.seen) {
                Some(expected) if expected == byte => self.seen + 1,
                _ => usize::from(*byte == b'\r'),
            };
        }
        taken
    }
}

/// A transport that is dropped over HTTP/1.1 sends the bytes written before,
/// and closes. Users of hyper rely on that, axum's WebSockets among them. A
/// tunnel of ours that is dropped ends with a reset instead, which is right for
/// a task that panicked.
impl Drop for Stream {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some(tunnel) = self.tunnel() {
            let _ = tunnel.poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.request.is_empty() {
            let len = this.request.len().min(buffer.remaining());
            let (now, later) = this.request.split_at(len);
            buffer.put_slice(now);
            this.request = later;
            return Poll::Ready(Ok(()));
        }
        match this.tunnel() {
            Some(tunnel) => tunnel.poll_read(cx, buffer),
            // hyper looks whether its peer went away.
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.seen < HEAD_END.len() {
            return Poll::Ready(Ok(this.swallow(bytes)));
        }
        match this.tunnel() {
            Some(tunnel) => tunnel.poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().tunnel() {
            Some(tunnel) => tunnel.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().tunnel() {
            Some(tunnel) => tunnel.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
