//! Clients on real sockets that close their side, or the whole transport, after their request.

use std::time::{Duration, Instant};

use http::Method;
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
use lacewing_server::{ConnectionConfig, Limits, Protocol, Side, Version};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Running, tls};

/// The bytes of a complete request with a body.
fn request(engine: &mut Engine, path: &str) -> Vec<u8> {
    let uri = format!("http://localhost{path}").parse().unwrap();
    let head = Head::request(Method::POST, uri);
    let now = Instant::now();
    let stream = engine.open(now, head, OpenOptions::default()).unwrap();
    engine
        .stream(Instant::now(), stream)
        .send_data("body".into(), true)
        .unwrap();
    while engine.poll_transmit(now) != Transmit::Idle {}
    let output = engine.output();
    let len = output.len();
    bytes::Buf::copy_to_bytes(output, len).to_vec()
}

/// The bytes until the server closes the connection.
async fn rest(mut engine: Engine, mut io: impl AsyncRead + Unpin) -> String {
    let (mut input, mut body) = (bytes::BytesMut::new(), Vec::new());
    while io.read_buf(&mut input).await.unwrap_or(0) > 0 {}
    let mut ended = false;
    while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
        if let Event::Data { data, fin, .. } = event {
            body.extend_from_slice(&data);
            ended = fin;
        }
    }
    assert!(ended, "the response is cut");
    String::from_utf8(body).unwrap()
}

const HTTP1: &str = "POST /late HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nbody";

async fn ask_http1(mut io: impl AsyncRead + AsyncWrite + Unpin) -> String {
    io.write_all(HTTP1.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let mut answer = Vec::new();
    while io.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
    String::from_utf8(answer).unwrap()
}

fn client(version: Version) -> Engine {
    Engine::new(Config::new(version, Side::Client), Instant::now(), 1)
}

#[tokio::test]
async fn a_client_that_closes_its_side_has_its_answer() {
    let server = Running::start(|builder| builder.bind(([127, 0, 0, 1], 0).into())).await;
    for version in [Version::Http2, Version::Spdy2, Version::Spdy31] {
        let mut io = TcpStream::connect(server.address).await.unwrap();
        let mut engine = client(version);
        let bytes = request(&mut engine, "/late");
        io.write_all(&bytes).await.unwrap();
        io.shutdown().await.unwrap();
        assert_eq!(rest(engine, io).await, "late body", "{version}");
    }
    let io = TcpStream::connect(server.address).await.unwrap();
    let answer = ask_http1(io).await;
    assert!(answer.ends_with("\r\n\r\nlate body"), "{answer}");
    server.stop().await;
}

/// By close_notify, or only by the end of the transport.
#[tokio::test]
async fn a_tls_client_that_closes_its_side_has_its_answer() {
    let offer = Protocol::ALL;
    let (server, certificate) = tls::start(&offer).await;
    for says_so in [true, false] {
        for version in Version::ALL {
            let alpn = version.alpn();
            let mut io = tls::connect(&server, &certificate, &[alpn]).await.unwrap();
            let mut engine = client(version);
            let bytes = request(&mut engine, "/late");
            io.write_all(&bytes).await.unwrap();
            if says_so {
                io.shutdown().await.unwrap();
            } else {
                io.flush().await.unwrap();
                io.get_mut().0.shutdown().await.unwrap();
            }
            let told = format!("{version}, close_notify: {says_so}");
            assert_eq!(rest(engine, io).await, "late body", "{told}");
        }
        let mut io = tls::connect(&server, &certificate, &["http/1.1"])
            .await
            .unwrap();
        let answer = if says_so {
            ask_http1(io).await
        } else {
            io.write_all(HTTP1.as_bytes()).await.unwrap();
            io.flush().await.unwrap();
            io.get_mut().0.shutdown().await.unwrap();
            let mut answer = Vec::new();
            while io.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
            String::from_utf8(answer).unwrap()
        };
        assert!(answer.ends_with("\r\n\r\nlate body"), "{answer}");
    }
    server.stop().await;
}

/// A server that waits longer than these tests.
async fn patient() -> Running {
    Running::start(|builder| {
        let limits = Limits::new(Side::Server).with(|limits| {
            limits.drain_timeout = Duration::from_secs(3600);
        });
        builder.bind(([127, 0, 0, 1], 0).into()).connection(
            ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into()),
        )
    })
    .await
}

/// A client that is gone differs from one that waits, although they first look the same.
#[tokio::test]
async fn a_client_that_is_gone_is_not_waited_for() {
    let server = patient().await;
    for version in [Version::Http2, Version::Spdy2, Version::Spdy31] {
        server.log.lock().unwrap().clear();
        let mut io = TcpStream::connect(server.address).await.unwrap();
        let mut engine = client(version);
        let bytes = request(&mut engine, "/never");
        io.write_all(&bytes).await.unwrap();
        server.told("Connected").await;
        // Read the server's frames so far; otherwise the close would reset its transport at once.
        assert!(io.read(&mut [0; 4096]).await.unwrap() > 0, "{version}");
        drop(io);
        server.told("Closed").await;
    }
    server.stop().await;
}

/// Reads cannot distinguish the two: they returned the end before.
#[tokio::test]
async fn an_http_1_client_that_resets_behind_its_end_is_not_waited_for() {
    let server = patient().await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET /still HTTP/1.1\r\nhost: localhost\r\n\r\n";
    io.write_all(request).await.unwrap();
    io.shutdown().await.unwrap();
    // Bytes that are not read turn the end of this socket into a reset.
    let mut seen = [0; 1024];
    while !seen.windows(5).any(|five| five == b"12345") {
        io.peek(&mut seen).await.unwrap();
    }
    drop(io);
    server.told("Closed").await;
    server.stop().await;
}
