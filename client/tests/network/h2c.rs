//! Connections that start in HTTP/1.1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lacewing_client::{
    Body, Client, ClientError, ClientOptions, Connect, Connected, Connecting, Connection, Origin,
    Version,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
};

use crate::support::{peer::*, *};

const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// A request head of HTTP/1.1, up to its empty line.
async fn read_head(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The server's first bytes of HTTP/2.
fn first_frames(stream: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&[0, 0, 1, HEADERS, END_HEADERS, 0, 0, 0, stream as u8, 0x88]);
    bytes.extend_from_slice(&[0, 0, 2, DATA, END_STREAM, 0, 0, 0, stream as u8]);
    bytes.extend_from_slice(b"hi");
    bytes
}

async fn read_preface(io: DuplexStream) -> Peer {
    let mut peer = Peer { io };
    let mut preface = [0; 24];
    peer.io.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    peer
}

#[tokio::test]
async fn the_first_request_becomes_stream_1() {
    let (client, mut io) = tokio::io::duplex(64 * 1024);
    let request = post("/upload?x=1", Body::from("twelve bytes"));
    let config = ClientOptions::default();
    let upgraded = tokio::spawn(Connection::upgrade(client, request, config));
    let head = read_head(&mut io).await.to_ascii_lowercase();
    assert!(head.starts_with("post /upload?x=1 http/1.1\r\n"), "{head}");
    for line in [
        "host: test.example\r\n",
        "connection: upgrade, http2-settings\r\n",
        "upgrade: h2c\r\n",
        "content-length: 12\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
    let settings = head.split("http2-settings: ").nth(1).unwrap();
    let settings = settings.split("\r\n").next().unwrap();
    assert!(settings.len() >= 8 && !settings.contains('='), "{settings}");
    let mut body = [0; 12];
    io.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"twelve bytes");
    // The response arrives in the same segment as the 101.
    let mut bytes = SWITCHING.to_vec();
    bytes.extend(first_frames(1));
    io.write_all(&bytes).await.unwrap();
    let (connection, task, response) = upgraded.await.unwrap().unwrap();
    let task = tokio::spawn(task);
    let response = response.await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(text(response).await, "hi");
    let mut peer = read_preface(io).await;
    let second = connection.request(get("/second"));
    assert_eq!(peer.expect(HEADERS).await.stream, 3);
    peer.answer(3).await;
    assert_eq!(second.await.unwrap().status(), 200);
    drop(connection);
    peer.expect(GOAWAY).await;
    drop(peer);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_switch_is_told_by_its_status() {
    let (client, mut io) = tokio::io::duplex(64 * 1024);
    let config = ClientOptions::default();
    let upgraded = tokio::spawn(Connection::upgrade(client, get("/hello"), config));
    read_head(&mut io).await;
    io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        .await
        .unwrap();
    let error = upgraded.await.unwrap().err().unwrap();
    assert!(
        matches!(&error, ClientError::NotUpgraded { status } if *status == 200),
        "{error}"
    );
    assert!(error.is_connect() && !error.is_retryable(), "{error}");

    let (client, io) = tokio::io::duplex(64 * 1024);
    let config = ClientOptions::default();
    let upgraded = tokio::spawn(Connection::upgrade(client, get("/hello"), config));
    drop(io);
    let error = upgraded.await.unwrap().err().unwrap();
    assert!(matches!(error, ClientError::Upgrade(_)), "{error}");

    let (client, _io) = tokio::io::duplex(64 * 1024);
    let request = post("/upload", Generator::new(5, Arc::default()));
    let refused = Connection::upgrade(client, request, ClientOptions::default());
    let error = refused.await.err().unwrap();
    assert!(matches!(error, ClientError::Request(_)), "{error}");
    assert!(error.to_string().contains("64 KiB"), "{error}");

    // A CONNECT request has no body: the error names the method.
    let (client, _io) = tokio::io::duplex(64 * 1024);
    let mut request = get("/");
    *request.method_mut() = http::Method::CONNECT;
    let refused = Connection::upgrade(client, request, ClientOptions::default());
    let error = refused.await.err().unwrap();
    assert!(error.to_string().contains("CONNECT"), "{error}");
}

/// Interim responses do not lengthen the wait.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_switches_is_left() {
    let (client, mut io) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        while io
            .write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let upgrading = Connection::upgrade(client, get("/hello"), ClientOptions::default());
    let upgraded = tokio::time::timeout(Duration::from_secs(3600), upgrading).await;
    let error = upgraded.unwrap().err().unwrap().to_string();
    assert!(error.contains("preface_timeout"), "{error}");
}

#[derive(Clone)]
struct ByHand {
    dialled: Arc<AtomicUsize>,
    ends: mpsc::UnboundedSender<DuplexStream>,
}

impl Connect for ByHand {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 * 1024);
            self.ends.send(server).unwrap();
            Ok(Connected::new(client, Version::Http2))
        })
    }
}

/// A server that never answers the request for the upgrade may have processed it. The error is
/// then that of the upgrade, and the client does not send the request again.
#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_not_answered_fails_within_connect_timeout() {
    for at_hand in [true, false] {
        let (ends, mut taken) = mpsc::unbounded_channel();
        let dialled = Arc::<AtomicUsize>::default();
        let connector = ByHand {
            dialled: Arc::clone(&dialled),
            ends,
        };
        let client = Client::builder()
            .connector(connector)
            .connect_timeout(std::time::Duration::from_secs(3))
            .h2c_upgrade()
            .build();
        let response = if at_hand {
            tokio::spawn(client.request(get("/first")))
        } else {
            let body = Generator::new(5, Arc::default());
            tokio::spawn(client.request(post("/first", body)))
        };
        let mut io = taken.recv().await.unwrap();
        read_head(&mut io).await;
        let error = response.await.unwrap().err().unwrap();
        let text = error.to_string();
        if at_hand {
            assert!(matches!(error, ClientError::Upgrade(_)), "{text}");
            assert!(!error.is_retryable(), "{text}");
        } else {
            assert!(
                matches!(error, ClientError::ConnectTimeout { .. }),
                "{text}"
            );
        }
        assert!(text.contains("3s") || text.contains("3 s"), "{text}");
        assert_eq!(dialled.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_client_upgrades_with_its_first_request_or_before_it() {
    for at_hand in [true, false] {
        let (ends, mut taken) = mpsc::unbounded_channel();
        let dialled = Arc::default();
        let connector = ByHand { dialled, ends };
        let client = Client::builder()
            .connector(connector.clone())
            .h2c_upgrade()
            .build();
        let response = if at_hand {
            tokio::spawn(client.request(get("/first")))
        } else {
            let body = Generator::new(5, Arc::default());
            tokio::spawn(client.request(post("/first", body)))
        };
        let mut io = taken.recv().await.unwrap();
        let head = read_head(&mut io).await;
        let line = head.lines().next().unwrap().to_owned();
        io.write_all(SWITCHING).await.unwrap();
        let mut peer = read_preface(io).await;
        peer.send_settings(&[]).await;
        if at_hand {
            assert_eq!(line, "GET /first HTTP/1.1");
            peer.answer(1).await;
        } else {
            assert_eq!(line, "OPTIONS /first HTTP/1.1");
            // The client does not wait for that answer.
            let mut frame = peer.next().await.unwrap();
            if frame.kind == RST_STREAM {
                assert_eq!(frame.stream, 1);
                frame = peer.next().await.unwrap();
            }
            assert_eq!((frame.kind, frame.stream), (HEADERS, 3));
            peer.answer(3).await;
        }
        assert_eq!(response.await.unwrap().unwrap().status(), 200);
        let next = tokio::spawn(client.request(get("/next")));
        loop {
            let frame = peer.next().await.unwrap();
            if frame.kind == HEADERS {
                peer.answer(frame.stream).await;
                break;
            }
        }
        assert_eq!(next.await.unwrap().unwrap().status(), 200);
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 1);
    }
}
