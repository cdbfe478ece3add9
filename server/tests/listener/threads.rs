//! Servers on threads of their own.

use std::{collections::BTreeSet, convert::Infallible, net::SocketAddr, num::NonZeroUsize, thread};

use http::{Request, Response};
use lacewing_server::{
    RequestBody, Server, ServerBuilder, ServerEvent, Shutdown, Version, service_fn,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{PATIENCE, fetch};

/// A server on two threads whose responses name the thread of the handler.
async fn start(builder: ServerBuilder) -> (Option<SocketAddr>, Shutdown, JoinHandle<()>) {
    let shutdown = Shutdown::new();
    let mut signal = shutdown.signal();
    let server = builder
        .threads(NonZeroUsize::new(2).unwrap())
        .shutdown(async move { signal.wait().await })
        .build()
        .await
        .unwrap();
    let address = server.local_addrs().next();
    let service = service_fn(|_: Request<RequestBody>| async {
        // A handler that waits is woken on its thread.
        let before = thread::current().id();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(before, thread::current().id());
        let name = thread::current().name().unwrap_or_default().to_owned();
        Ok::<_, Infallible>(Response::new(name))
    });
    (address, shutdown, tokio::spawn(server.serve(service)))
}

async fn stop(shutdown: Shutdown, serving: JoinHandle<()>) {
    shutdown.start();
    let ended = tokio::time::timeout(PATIENCE, serving).await;
    ended.unwrap().unwrap();
}

/// The threads that answer 200 connections, of every protocol in turn.
async fn threads(address: SocketAddr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..67 {
        for version in [Version::Http2, Version::Spdy31, Version::Spdy2] {
            let io = TcpStream::connect(address).await.unwrap();
            names.insert(fetch(io, version).await);
        }
    }
    names
}

#[tokio::test]
async fn connections_are_spread_over_the_threads_of_an_address() {
    let builder = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let (address, shutdown, serving) = start(builder).await;
    let names = threads(address.unwrap()).await;
    assert_eq!(Vec::from_iter(names), ["lacewing-0", "lacewing-1"]);
    stop(shutdown, serving).await;
    // The port is free again.
    TcpListener::bind(address.unwrap()).await.unwrap();
}

/// The threads accept from one queue. The kernel may wake the same thread each time.
#[tokio::test]
async fn a_listener_that_is_bound_already_serves_all_threads() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown, serving) = start(Server::builder().listen(listener)).await;
    for name in threads(address.unwrap()).await {
        assert!(name.starts_with("lacewing-"), "{name}");
    }
    stop(shutdown, serving).await;
}

#[cfg(unix)]
#[tokio::test]
async fn threads_share_a_unix_socket_whose_file_goes_with_the_last() {
    let name = format!("lacewing-threads-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let (_, shutdown, serving) = start(Server::builder().bind_unix(&path)).await;
    for _ in 0..20 {
        let io = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert!(fetch(io, Version::Http2).await.starts_with("lacewing-"));
    }
    assert!(path.exists());
    stop(shutdown, serving).await;
    assert!(!path.exists());
}

/// The shutdown reaches connections on every thread, and waits for them.
#[tokio::test]
async fn a_shutdown_ends_the_connections_of_every_thread() {
    let builder = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let (address, shutdown, serving) = start(builder).await;
    let mut open = Vec::new();
    for _ in 0..40 {
        let mut io = TcpStream::connect(address.unwrap()).await.unwrap();
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        // The server's SETTINGS: a thread has the connection.
        io.read_u8().await.unwrap();
        open.push(io);
    }
    stop(shutdown, serving).await;
    for mut io in open {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, io.read_to_end(&mut rest)).await;
        let go_away = |frame: &[u8]| frame == [0, 0, 8, 7, 0, 0, 0, 0, 0];
        assert!(rest.windows(9).any(go_away), "{rest:?}");
    }
}

/// Dropping the server's future starts the shutdown too.
#[tokio::test]
async fn a_server_that_is_dropped_leaves_its_port() {
    let builder = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let (address, _shutdown, serving) = start(builder).await;
    threads(address.unwrap()).await;
    serving.abort();
    until_free(address.unwrap()).await;
    // So does one that never served.
    let server = Server::builder()
        .bind(address.unwrap())
        .threads(NonZeroUsize::MIN);
    drop(server.build().await.unwrap());
    until_free(address.unwrap()).await;
}

async fn until_free(address: SocketAddr) {
    let free = async {
        while TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

/// The maximum number of connections is that of the server, not of each thread.
#[tokio::test]
async fn the_threads_share_their_limits() {
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let builder = Server::builder()
        .bind(([127, 0, 0, 1], 0).into())
        .options(|options| {
            options
                .max_connections(3)
                .observer(move |event: &ServerEvent<'_>| {
                    let _ = sender.send(format!("{event:?}"));
                })
        });
    let (address, shutdown, serving) = start(builder).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(address.unwrap()).await.unwrap());
    }
    let full = async {
        while let Some(event) = events.recv().await {
            if event.contains("max_connections: 3") {
                return;
            }
        }
        panic!("not full");
    };
    tokio::time::timeout(PATIENCE, full).await.unwrap();
    drop(silent);
    stop(shutdown, serving).await;
}
