//! Clients and upstreams of every protocol.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use lacewing_client::{Client, Version};
use lacewing_server::{
    BoxError, ExtendedConnect, Extension, Protocol, RequestBody, Server, service_fn,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::Receiver,
    time::timeout,
};

use crate::program::{Directory, Running};

/// The protocols of clients; `None` is HTTP/1.1.
pub(crate) const FRONTS: [Option<Version>; 5] = [
    None,
    Some(Version::Http2),
    Some(Version::Spdy31),
    Some(Version::Spdy3),
    Some(Version::Spdy2),
];

/// The protocols of upstreams, and their schemes.
pub(crate) const BACKS: [(&str, Protocol); 5] = [
    ("http", Protocol::Http1),
    ("h2c", Protocol::Http2),
    ("spdy31", Protocol::Spdy31),
    ("spdy3", Protocol::Spdy3),
    ("spdy2", Protocol::Spdy2),
];

/// The end of a wait that would never end.
pub(crate) async fn patiently<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(40), future)
        .await
        .expect("it never ends")
}

pub(crate) fn client(front: Option<Version>) -> Client {
    match front {
        Some(version) => Client::builder().cleartext_protocol(version).build(),
        None => Client::builder().http1().build(),
    }
}

/// The program, forwarding to this address.
pub(crate) fn forward(to: &str, options: &[&str]) -> (Directory, Running) {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let directory = Directory::new(&format!("lacewingd-proxy-{number}"));
    let args = [&["--https", "off", "--proxy", to], options].concat();
    let running = Running::start(&directory, &args);
    (directory, running)
}

/// An upstream whose requests have this handler.
pub(crate) async fn upstream<H, F, B>(protocol: Protocol, handler: H) -> SocketAddr
where
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let builder = Server::builder()
        .bind(([127, 0, 0, 1], 0).into())
        .options(|options| {
            options
                .protocols([protocol])
                .extended_connect(ExtendedConnect::Offer)
                .informer(Extension::Insert)
        });
    let server = builder.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    tokio::spawn(server.serve(service_fn(move |request| {
        let answering = handler(request);
        async move { Ok::<_, Infallible>(answering.await) }
    })));
    address
}

/// An upstream that follows a script, byte by byte; once for each connection.
pub(crate) async fn script<F, R>(serve: F) -> SocketAddr
where
    F: Fn(Script) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            tokio::spawn(serve(Script(io)));
        }
    });
    address
}

pub(crate) struct Script(pub(crate) TcpStream);

impl Script {
    /// Reads one head.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap())
    }

    pub(crate) async fn say(&mut self, text: impl AsRef<[u8]>) {
        let _ = self.0.write_all(text.as_ref()).await;
    }

    /// Reads until the proxy closes.
    pub(crate) async fn hold(&mut self) {
        let mut bytes = [0; 4096];
        while self.0.read(&mut bytes).await.unwrap_or(0) > 0 {}
    }
}

/// Content that a test sends piece by piece.
pub(crate) struct Pieces(pub(crate) Receiver<Frame<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
