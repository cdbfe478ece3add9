//! Servers at their maximum number of connections.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{PATIENCE, Running, fetch};

async fn start(max: usize) -> Running {
    Running::start(|builder| {
        builder
            .bind(([127, 0, 0, 1], 0).into())
            .options(|options| options.max_connections(max))
    })
    .await
}

/// The bytes until the server closes the connection.
async fn rest(mut io: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = async { while io.read_buf(&mut rest).await.unwrap_or(0) > 0 {} };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    rest
}

async fn get(server: &Running) {
    let io = TcpStream::connect(server.address).await.unwrap();
    let body = tokio::time::timeout(PATIENCE, fetch(io, lacewing_server::Version::Http2));
    assert_eq!(body.await.unwrap(), "http h2");
}

#[tokio::test]
async fn silent_connections_make_room() {
    let server = start(4).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    get(&server).await;
    assert!(rest(silent.swap_remove(0)).await.is_empty());
    server.told("max_connections: 4").await;
    server.stop().await;
}

#[tokio::test]
async fn an_idle_http2_connection_that_makes_room_receives_goaway() {
    let server = start(1).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    server.told("Connected").await;
    get(&server).await;
    let bytes = rest(idle).await;
    let go_away = |frame: &[u8]| frame == [0, 0, 8, 7, 0, 0, 0, 0, 0];
    assert!(bytes.windows(9).any(go_away), "{bytes:?}");
    server.told("MadeRoom").await;
    server.stop().await;
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn accepting_pauses_while_every_connection_has_a_request() {
    let server = start(1).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"POST /never HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    server.told("Connected").await;
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    waiting
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    server.told("AcceptPaused").await;
    busy.set_zero_linger().unwrap();
    drop(busy);
    let answer = String::from_utf8(rest(waiting).await).unwrap();
    assert!(answer.ends_with("http http/1.1"), "{answer}");
    server.stop().await;
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn an_idle_http1_connection_makes_room() {
    let server = start(1).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
    get(&server).await;
    server.told("MadeRoom").await;
    rest(idle).await;
    server.stop().await;
}

/// Connections that wait at a shutdown while all places are taken are served once there is room.
#[cfg(feature = "http1")]
#[tokio::test]
async fn connections_that_wait_at_a_shutdown_are_served() {
    let server = start(1).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    // POST /never, over HTTP/2.
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    request.extend(b"\0\0\x0d\x01\x05\0\0\0\x01\x83\x86\x04\x06/never\x41\x01a");
    busy.write_all(&request).await.unwrap();
    server.told("Connected").await;
    let mut waiting = Vec::new();
    // One is accepted and waits for a place; the kernel has the others.
    for _ in 0..3 {
        let mut io = TcpStream::connect(server.address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        io.write_all(request).await.unwrap();
        waiting.push(io);
    }
    server.told("AcceptPaused").await;
    let stopping = tokio::spawn(server.stop());
    // The shutdown has started when the busy connection gets GOAWAY.
    let mut bytes = Vec::new();
    let go_away = |bytes: &[u8]| bytes.windows(5).any(|frame| frame == [0, 0, 8, 7, 0]);
    while !go_away(&bytes) {
        assert!(busy.read_buf(&mut bytes).await.unwrap() > 0, "{bytes:?}");
    }
    busy.set_zero_linger().unwrap();
    drop(busy);
    for io in waiting {
        let answer = String::from_utf8(rest(io).await).unwrap();
        assert!(answer.ends_with("http http/1.1"), "{answer}");
    }
    stopping.await.unwrap();
}

/// A tunnel over HTTP/1.1 is no longer a connection of requests: an idle connection makes room, and
/// not the tunnel, which nothing could end.
#[cfg(feature = "http1")]
#[tokio::test]
async fn a_tunnel_does_not_stand_in_the_way() {
    let server = start(2).await;
    let mut tunnel = TcpStream::connect(server.address).await.unwrap();
    tunnel
        .write_all(b"GET /tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    get(&server).await;
    server.told("MadeRoom").await;
    rest(idle).await;
    drop(tunnel);
    server.stop().await;
}

/// Permitted connections are not closed.
#[tokio::test]
async fn idle_connections_stay_below_the_limit() {
    // Ended connections may still count for a while.
    let server = start(16).await;
    let mut idle = Vec::new();
    for _ in 0..7 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    for _ in 0..8 {
        get(&server).await;
    }
    assert!(
        !server
            .log
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("max_connections"))
    );
    server.stop().await;
}
