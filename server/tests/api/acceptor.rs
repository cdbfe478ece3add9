//! `Acceptor::serve`: one call serves a connection on any transport.

use std::sync::{Arc, Mutex};

use axum::{Extension, Router, routing::get};
use lacewing_server::{
    Acceptor, Address, ConnectionInfo, Endpoints, Protocol, ServerOptions, Shutdown, UnixAddress,
};
use tokio::io::AsyncWriteExt;

use crate::support::{detectable, fetch};

fn router() -> Router {
    Router::new().route(
        "/",
        get(|Extension(info): Extension<ConnectionInfo>| async move { info.to_string() }),
    )
}

/// The handler of the router reads an extension.
fn options() -> ServerOptions {
    ServerOptions::default().connection_info(lacewing_server::Extension::Insert)
}

#[cfg(feature = "http1")]
fn router_of_text() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn any_transport_is_served_by_its_first_bytes() {
    let acceptor = Acceptor::new(options());
    for protocol in detectable() {
        let (client, io) = tokio::io::duplex(1 << 16);
        let acceptor = acceptor.clone();
        let serving = tokio::spawn(async move { acceptor.serve(io, router()).await });
        let text = fetch(client, protocol, "/").await;
        assert_eq!(text, format!("{protocol} over cleartext"));
        serving.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn requests_have_addresses_of_any_kind() {
    let tcp: std::net::SocketAddr = "192.0.2.1:4711".parse().unwrap();
    for (peer, expected) in [
        (Address::from(tcp), "h2 over cleartext from 192.0.2.1:4711"),
        (
            UnixAddress::named("/run/peer").into(),
            "h2 over cleartext from unix:/run/peer",
        ),
    ] {
        let (client, io) = tokio::io::duplex(1 << 16);
        let serving = tokio::spawn(async move {
            let acceptor = Acceptor::new(options());
            let endpoints = Endpoints::default().with_peer(peer);
            acceptor.serve_from(endpoints, io, router()).await
        });
        assert_eq!(fetch(client, Protocol::Http2, "/").await, expected);
        serving.await.unwrap().unwrap();
    }
}

/// The error is returned, and reported to the observer.
#[tokio::test]
async fn bytes_of_no_protocol_are_an_error() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&log);
    let options = ServerOptions::default()
        .protocols([Protocol::Http2, Protocol::Http2])
        .observer(move |event| told.lock().unwrap().push(event.to_string()));
    let acceptor = Acceptor::new(options);
    for (bytes, expected) in [
        (&b"\xffgarbage"[..], "belong to no known protocol"),
        (b"\x80\x03\x00\x01", "spdy/3, which is not offered"),
    ] {
        let (mut client, io) = tokio::io::duplex(1 << 16);
        client.write_all(bytes).await.unwrap();
        let error = acceptor.serve(io, router()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let line = log.lock().unwrap().pop().unwrap();
        assert_eq!(line, format!("connection: {error}"));
    }
}

/// A shutdown ends connections before their first request, and after it.
#[tokio::test]
async fn a_shutdown_ends_connections_at_any_time() {
    let shutdown = Shutdown::new();
    let acceptor = Acceptor::new(options().shutdown(shutdown.signal()));
    let (client, io) = tokio::io::duplex(1 << 16);
    let (_silent, other) = tokio::io::duplex(1 << 16);
    let silent = acceptor.clone();
    let silent = tokio::spawn(async move { silent.serve(other, router()).await });
    let serving = tokio::spawn(async move { acceptor.serve(io, router()).await });
    let mut client = crate::support::Client::new(client, lacewing_server::Version::Http2);
    client.get("/").await;
    shutdown.start();
    silent.await.unwrap().unwrap();
    while !matches!(
        client.event().await,
        lacewing_conn::proto::Event::GoAway { .. }
    ) {}
    drop(client);
    serving.await.unwrap().unwrap();
}

/// The client has sent its request, and the server has not read it yet.
#[tokio::test]
async fn a_shutdown_answers_requests_that_arrived_before_it() {
    for protocol in detectable() {
        let shutdown = Shutdown::new();
        let acceptor = Acceptor::new(options().shutdown(shutdown.signal()));
        let (client, io) = tokio::io::duplex(1 << 16);
        let fetching = tokio::spawn(fetch(client, protocol, "/"));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        shutdown.start();
        let serving = tokio::spawn(async move { acceptor.serve(io, router()).await });
        let text = fetching.await.unwrap();
        assert_eq!(text, format!("{protocol} over cleartext"));
        serving.await.unwrap().unwrap();
    }
}

/// Over a protocol that is known, too: no byte was read when the shutdown started.
#[cfg(feature = "http1")]
#[tokio::test]
async fn a_shutdown_answers_http1_that_arrived_before_it() {
    let shutdown = Shutdown::new();
    let options = ServerOptions::default().shutdown(shutdown.signal());
    let (client, io) = tokio::io::duplex(1 << 16);
    let fetching = tokio::spawn(fetch(client, Protocol::Http1, "/"));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    shutdown.start();
    let serving = lacewing_server::serve_connection(io, Protocol::Http1, options, router_of_text());
    let serving = tokio::spawn(serving);
    assert_eq!(fetching.await.unwrap(), "hello");
    serving.await.unwrap().unwrap();
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn behind_tls_alpn_tells_the_protocol() {
    use crate::support::{spoken, tls};
    use lacewing_server::Identity;

    let made = tls::make("localhost");
    let identity = Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let acceptor = Acceptor::tls(options(), &identity);
    for protocol in spoken() {
        let (client, io) = tokio::io::duplex(1 << 16);
        let acceptor = acceptor.clone();
        let serving = tokio::spawn(async move { acceptor.serve(io, router()).await });
        let config = tls::config(&[&made], None, Some(protocol));
        let client = tls::connect(client, "localhost", config).await;
        let text = fetch(client, protocol, "/").await;
        assert_eq!(text, format!("{protocol} over tls"));
        // The way in which the client closes does not matter here.
        let _: Result<(), _> = serving.await.unwrap();
    }
}
