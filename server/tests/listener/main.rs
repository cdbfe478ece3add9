//! Listeners on real sockets: the server detects the client's protocol, or refuses it with an error
//! that has the reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod capacity;
mod cleartext;
#[cfg(feature = "http1")]
mod h2c;
#[cfg(all(feature = "http1", feature = "tls"))]
mod half_close;
#[cfg(feature = "http1")]
mod http1_messages;
#[cfg(feature = "npn")]
mod npn;
mod silent_clients;
mod threads;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod wrong_port;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    routing::{get, post},
};
use lacewing_conn::proto::HeaderBytes;
use lacewing_server::{
    ConnectionConfig, ConnectionInfo, Limits, Server, ServerBuilder, ServerEvent, Side,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// Enough for a slow machine. No test waits until it has passed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on its own port.
struct Running {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    async fn start(builder: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&log);
        let (stop, stopped) = oneshot::channel();
        let limits = Limits::new(Side::Server)
            .with(|limits| limits.preface_timeout = Duration::from_secs(3600));
        let server = builder(Server::builder().connection(
            ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into()),
        ))
        .options(|options| {
            options
                .connection_info(lacewing_server::Extension::Insert)
                .observer(move |event: &ServerEvent<'_>| {
                    told.lock().unwrap().push(format!("{event:?}"))
                })
        })
        .shutdown(async { stopped.await.unwrap_or(()) })
        .build()
        .await
        .unwrap();
        let address = server.local_addrs().next().unwrap();
        let serving = tokio::spawn(server.serve(router()));
        Self {
            address,
            log,
            stop,
            serving,
        }
    }

    /// Waits for an event of the observer that contains this text.
    async fn told(&self, text: &str) -> String {
        let found = async {
            loop {
                let log = self.log.lock().unwrap().clone();
                if let Some(line) = log.iter().find(|line| line.contains(text)) {
                    return line.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("not told of {text}: {:?}", self.log.lock().unwrap()))
    }

    /// The graceful shutdown.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .unwrap()
            .unwrap();
    }
}

fn router() -> Router {
    let late = |body: String| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        format!("late {body}")
    };
    let router = Router::new()
        .route("/echo", post(|body: String| async { body }))
        .route("/late", post(late))
        .route("/never", post(|_: String| std::future::pending::<String>()))
        .route("/still", get(still));
    #[cfg(feature = "http1")]
    let router = router.route("/tunnel", get(tunnel));
    router.route(
        "/",
        get(|Extension(info): Extension<ConnectionInfo>| async move {
            assert!(info.peer_addr().is_some() && info.local_addr().is_some());
            let scheme = if info.is_tls() { "https" } else { "http" };
            format!("{scheme} {}", info.protocol())
        }),
    )
}

/// Switches to another protocol, and keeps the transport until the client leaves.
#[cfg(feature = "http1")]
async fn tunnel(request: axum::extract::Request) -> impl axum::response::IntoResponse {
    let upgrading = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut io = hyper_util::rt::TokioIo::new(upgrading.await.unwrap());
        let _ = tokio::io::AsyncReadExt::read(&mut io, &mut [0]).await;
    });
    let fields = [("connection", "upgrade"), ("upgrade", "test")];
    (http::StatusCode::SWITCHING_PROTOCOLS, fields)
}

/// Half of a response whose length is known; the other half never follows.
async fn still() -> http::Response<axum::body::Body> {
    use futures_util::{StreamExt as _, stream};
    let half = stream::iter([Ok::<_, std::convert::Infallible>("12345")]);
    let body = axum::body::Body::from_stream(half.chain(stream::pending()));
    let response = http::Response::builder().header("content-length", 10);
    response.body(body).unwrap()
}

/// Fetches `/` over a connection with a known version, with the engine.
async fn fetch<T>(io: T, version: lacewing_server::Version) -> String
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    fetch_measured(io, version).await.0
}

/// The same, and the bytes of the response's header list.
async fn fetch_measured<T>(io: T, version: lacewing_server::Version) -> (String, HeaderBytes)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut io = io;
    let mut engine = Engine::new(Config::new(version, Side::Client), Instant::now(), 1);
    let head = Head::request(http::Method::GET, "http://localhost/".parse().unwrap());
    engine
        .open(Instant::now(), head, OpenOptions::without_content())
        .unwrap();
    let (mut input, mut body) = (bytes::BytesMut::new(), Vec::new());
    loop {
        while engine.poll_transmit(Instant::now()) != Transmit::Idle {}
        io.write_all_buf(engine.output()).await.unwrap();
        io.flush().await.unwrap();
        let read = io.read_buf(&mut input).await.unwrap();
        assert_ne!(read, 0, "{version}: closed by the server");
        while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
            if let Event::Data { data, fin, .. } = event {
                body.extend_from_slice(&data);
                if fin {
                    let text = String::from_utf8(body).unwrap();
                    return (text, engine.stats().headers_received);
                }
            }
        }
    }
}
