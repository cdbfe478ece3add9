//! `lacewing_server::axum::serve` in the place of `axum::serve`.

use std::net::SocketAddr;

use axum::{
    Router, ServiceExt,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    routing::get,
};
use lacewing_server::{Address, ConnectionInfo, axum::serve};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;

use crate::support::{Client, Running, detectable, fetch};

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_router_is_served_in_every_protocol() {
    let (listener, address) = bind().await;
    let router = Router::new()
        .route("/", get(async |State(text): State<&str>| text.to_owned()))
        .with_state("hello");
    let server = serve(listener, router);
    assert_eq!(server.local_addr().unwrap(), address);
    assert_eq!(server.address(), Address::Tcp(address));
    let running = Running::start(|stop| server.with_graceful_shutdown(stop).into_future());
    for protocol in detectable() {
        let io = TcpStream::connect(address).await.unwrap();
        assert_eq!(fetch(io, protocol, "/").await, "hello");
    }
    running.stop().await.unwrap();
}

/// The addresses that `axum::serve` supports, and others, by the same extractor.
#[derive(Clone)]
struct Mine(String);

impl Connected<ConnectionInfo> for Mine {
    fn connect_info(connection: ConnectionInfo) -> Self {
        Self(connection.protocol().to_string())
    }
}

#[tokio::test]
async fn connect_info_is_there_in_every_protocol() {
    let router = || {
        Router::new()
            .route(
                "/addr",
                get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
            )
            .route(
                "/address",
                get(async |ConnectInfo(peer): ConnectInfo<Address>| peer.to_string()),
            )
            .route(
                "/mine",
                get(async |ConnectInfo(Mine(text)): ConnectInfo<Mine>| text),
            )
            .route(
                "/info",
                get(async |ConnectInfo(info): ConnectInfo<ConnectionInfo>| info.to_string()),
            )
    };
    async fn check<F>(path: &str, address: SocketAddr, expected: F)
    where
        F: Fn(lacewing_server::Protocol, SocketAddr) -> String,
    {
        for protocol in detectable() {
            let io = TcpStream::connect(address).await.unwrap();
            let expected = expected(protocol, io.local_addr().unwrap());
            assert_eq!(fetch(io, protocol, path).await, expected);
        }
    }
    let (listener, address) = bind().await;
    let app = router().into_make_service_with_connect_info::<SocketAddr>();
    let running = Running::start(|stop| {
        serve(listener, app)
            .with_graceful_shutdown(stop)
            .into_future()
    });
    check("/addr", address, |_, peer| peer.to_string()).await;
    running.stop().await.unwrap();

    let (listener, address) = bind().await;
    let app = router().into_make_service_with_connect_info::<Address>();
    let running = Running::start(|stop| {
        serve(listener, app)
            .with_graceful_shutdown(stop)
            .into_future()
    });
    check("/address", address, |_, peer| peer.to_string()).await;
    running.stop().await.unwrap();

    let (listener, address) = bind().await;
    let app = router().into_make_service_with_connect_info::<Mine>();
    let running = Running::start(|stop| {
        serve(listener, app)
            .with_graceful_shutdown(stop)
            .into_future()
    });
    check("/mine", address, |protocol, _| protocol.to_string()).await;
    running.stop().await.unwrap();

    let (listener, address) = bind().await;
    let app = router().into_make_service_with_connect_info::<ConnectionInfo>();
    let running = Running::start(|stop| {
        serve(listener, app)
            .with_graceful_shutdown(stop)
            .into_future()
    });
    let expected = |protocol, peer| format!("{protocol} over cleartext from {peer}");
    check("/info", address, expected).await;
    running.stop().await.unwrap();
}

/// A layer around the whole router, as layers that change paths require.
#[tokio::test]
async fn a_layer_around_the_router_keeps_connect_info() {
    let router = Router::new().route(
        "/right",
        get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
    );
    let app = ServiceBuilder::new()
        .map_request(|mut request: Request| {
            *request.uri_mut() = "/right".parse().unwrap();
            request
        })
        .concurrency_limit(1)
        .service(router);
    let (listener, address) = bind().await;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let running = Running::start(|stop| {
        serve(listener, app)
            .with_graceful_shutdown(stop)
            .into_future()
    });
    for protocol in detectable() {
        let io = TcpStream::connect(address).await.unwrap();
        let peer = io.local_addr().unwrap().to_string();
        assert_eq!(fetch(io, protocol, "/wrong").await, peer);
    }
    running.stop().await.unwrap();
}

/// After the signal, the server still answers the request that arrived, and ends.
#[tokio::test]
async fn a_graceful_shutdown_answers_requests_that_arrived() {
    let (listener, address) = bind().await;
    let started = std::sync::Arc::new(tokio::sync::Notify::new());
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let (begun, going) = (started.clone(), go_on.clone());
    let slow = get(async move || {
        begun.notify_one();
        going.notified().await;
        "done"
    });
    let app = Router::new().route("/", slow).into_make_service();
    let running = Running::start(|stop| {
        serve(listener, app)
            .with_graceful_shutdown(stop)
            .into_future()
    });
    let io = TcpStream::connect(address).await.unwrap();
    let asking = tokio::spawn(async move {
        let mut client = Client::new(io, lacewing_server::Version::Http2);
        client.get("/").await
    });
    started.notified().await;
    let stopping = tokio::spawn(running.stop());
    // The listener closes after the server notices the signal.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go_on.notify_one();
    assert_eq!(asking.await.unwrap(), "done");
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_without_protocols_is_an_error() {
    let (listener, _) = bind().await;
    let server = serve(listener, Router::new())
        .configure(|builder| builder.options(|options| options.protocols([])));
    let error = server.await.unwrap_err();
    assert!(error.to_string().contains("no protocol"), "{error}");
}
