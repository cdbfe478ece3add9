//! The side does not depend on who dialled: an origin dials a relay, and serves requests over that
//! connection.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use http::{Request, StatusCode};
use lacewing_client::{ClientOptions, Connection, Version};
use lacewing_server::{ServerOptions, serve_connection, service_fn};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::support::*;

/// Accepts dialled connections, and is the client on each.
async fn relay(version: Version) -> (std::net::SocketAddr, mpsc::Receiver<Connection>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let (connection, task) = Connection::handshake(io, version, ClientOptions::default());
            tokio::spawn(task);
            if sender.send(connection).await.is_err() {
                break;
            }
        }
    });
    (address, connections)
}

/// Dials, and is the server.
async fn origin(
    relay: std::net::SocketAddr,
    version: Version,
    witness: Witness,
) -> JoinHandle<Result<(), lacewing_server::ServeError>> {
    let io = TcpStream::connect(relay).await.unwrap();
    let service = service_fn(move |request| routes(request, witness.clone()));
    tokio::spawn(serve_connection(
        io,
        version,
        ServerOptions::default(),
        service,
    ))
}

#[test]
fn who_dials_may_serve() {
    every_version(|version| async move {
        let (address, mut connections) = relay(version).await;
        let witness = Witness::default();
        let serving = origin(address, version, witness.clone()).await;
        let connection = connections.recv().await.unwrap();
        let response = connection.request(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world", "{version}");

        let length = 2_000_000;
        let body = Generator::new(length, Arc::default());
        let response = connection.request(post("/echo", body)).await.unwrap();
        let expected = (length as u64, sha256(&pattern(length)));
        assert_eq!(measure(response.into_body()).await, expected, "{version}");

        // Both sides may test whether the other side is alive.
        connection.ping(Duration::from_secs(10)).await.unwrap();
        // A cancel reaches the side that dialled.
        let response = connection.request(get("/stall")).await.unwrap();
        drop(response);
        let gone = witness.bodies_gone;
        until("the end of the body", || gone.load(Ordering::SeqCst) == 1).await;
        drop(connection);
        serving.await.unwrap().unwrap();
    });
}

/// All parts: a client, the relay, and an origin that connects, leaves and returns.
#[test]
fn the_public_is_served_by_whoever_dialled_last() {
    every_version(|back| async move {
        let (address, mut connections) = relay(back).await;
        let current: Arc<Mutex<Option<Connection>>> = Arc::default();
        let (here, there) = tokio::io::duplex(64 << 10);
        let dialled = Arc::clone(&current);
        let service = service_fn(move |request: Request<lacewing_server::RequestBody>| {
            let connection = dialled.lock().unwrap().clone();
            async move {
                let connection = connection.expect("an origin came first");
                Ok::<_, Infallible>(crate::forward::forward(&connection, request).await)
            }
        });
        let front = Version::Http2;
        tokio::spawn(serve_connection(
            there,
            front,
            ServerOptions::default(),
            service,
        ));
        let (public, task) = Connection::handshake(here, front, ClientOptions::default());
        tokio::spawn(task);

        for _ in 0..3 {
            let serving = origin(address, back, Witness::default()).await;
            *current.lock().unwrap() = connections.recv().await;
            for _ in 0..10 {
                let response = public.request(get("/trailers")).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK, "{back}");
                assert_eq!(text(response).await, "body", "{back}");
            }
            serving.abort();
            assert!(serving.await.unwrap_err().is_cancelled());
            let connection = current.lock().unwrap().clone().unwrap();
            until("the end of the connection", || !connection.is_open()).await;
            let response = public.request(get("/hello")).await.unwrap();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{back}");
        }
    });
}
