//! A service for each connection.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::get};
use lacewing_server::{ConnectionInfo, Server};
use tokio::net::{TcpListener, TcpStream};
use tower::service_fn;

use crate::support::{Running, detectable, fetch};

#[tokio::test]
async fn each_connection_has_a_service_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let make = service_fn(|connection: ConnectionInfo| async move {
        let text = format!(
            "{} {}",
            connection.protocol(),
            connection.peer_addr().unwrap()
        );
        Ok::<_, Infallible>(Router::new().route("/", get(|| async { text })))
    });
    let builder = Server::builder().listen(listener);
    let running = Running::start(|stop| builder.shutdown(stop).serve_each(make));
    for protocol in detectable() {
        let io = TcpStream::connect(address).await.unwrap();
        let expected = format!("{protocol} {}", io.local_addr().unwrap());
        assert_eq!(fetch(io, protocol, "/").await, expected);
    }
    running.stop().await.unwrap();
}

/// A maker that hangs holds up no shutdown.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_service_that_is_never_made() {
    use tokio::io::AsyncWriteExt;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let builder = Server::builder().listen(listener);
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let make = service_fn(move |_: ConnectionInfo| {
        let _ = begun.send(());
        std::future::pending::<Result<Router, Infallible>>()
    });
    let running = Running::start(|stop| builder.shutdown(stop).serve_each(make));
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    begins.recv().await.unwrap();
    running.stop().await.unwrap();
}

/// A connection without a service is refused, and the reason reported.
#[tokio::test]
async fn a_service_that_cannot_be_made_costs_its_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&log);
    let builder = Server::builder().listen(listener).options(|options| {
        options.observer(move |event| told.lock().unwrap().push(event.to_string()))
    });
    let make = service_fn(|_: ConnectionInfo| async { Err::<Router, _>("no database") });
    let running = Running::start(|stop| builder.shutdown(stop).serve_each(make));
    let mut io = TcpStream::connect(address).await.unwrap();
    let peer = io.local_addr().unwrap();
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let _ = io.read_to_end(&mut Vec::new()).await;
    running.stop().await.unwrap();
    let expected = format!("connection from {peer}: no service for the connection: no database");
    assert_eq!(*log.lock().unwrap(), [expected]);
}
