//! Protocols detected by the first bytes.

use lacewing_server::{ConnectionConfig, HeaderCompression, Protocol, Server, Side, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{PATIENCE, Running, fetch, fetch_measured, router};

async fn start() -> Running {
    Running::start(|builder| builder.bind(([127, 0, 0, 1], 0).into())).await
}

#[tokio::test]
async fn every_version_is_detected_by_its_first_bytes() {
    let server = start().await;
    for (version, expected) in [
        (Version::Http2, "http h2"),
        (Version::Spdy2, "http spdy/2"),
        (Version::Spdy31, "http spdy/3.1"),
    ] {
        let io = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(fetch(io, version).await, expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_order_decides_between_spdy_3_and_3_1() {
    let order = [Protocol::Spdy3, Protocol::Spdy31];
    let server = Running::start(|builder| {
        builder
            .bind(([127, 0, 0, 1], 0).into())
            .options(|options| options.protocols(order))
    })
    .await;
    let io = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(fetch(io, Version::Spdy3).await, "http spdy/3");
    server.stop().await;
}

/// SPDY's header lists are compressed according to the configuration.
#[tokio::test]
async fn header_lists_are_compressed_as_the_server_is_told() {
    for version in [Version::Spdy2, Version::Spdy31] {
        let mut lengths = Vec::new();
        for policy in [
            None,
            Some(HeaderCompression::WholeField),
            Some(HeaderCompression::Stored),
            Some(HeaderCompression::Zlib(9)),
        ] {
            let server = Running::start(|builder| {
                let builder = builder.bind(([127, 0, 0, 1], 0).into());
                match policy {
                    Some(policy) => builder.connection(
                        ConnectionConfig::new(Side::Server)
                            .with(|config| config.header_compression = policy),
                    ),
                    None => builder,
                }
            })
            .await;
            let io = TcpStream::connect(server.address).await.unwrap();
            let (text, headers) = fetch_measured(io, version).await;
            assert_eq!(text, format!("http {version}"));
            assert!(headers.plain > 50, "{headers:?}");
            lengths.push((headers.compressed, headers.plain));
            server.stop().await;
        }
        let [default, whole, (stored, plain), (zlib, _)] = lengths[..] else {
            panic!("four policies");
        };
        let told = format!("{version}: {lengths:?}");
        assert!(default == whole && stored > plain, "{told}");
        assert!(zlib < whole.0 && whole.0 < stored, "{told}");
    }
}

#[tokio::test]
async fn first_bytes_may_come_one_by_one() {
    let server = start().await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    io.set_nodelay(true).unwrap();
    // A preface, an empty SETTINGS frame, and the answer: SETTINGS.
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        io.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut frame = [0; 9];
    io.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "SETTINGS is the server's preface");
    drop(io);
    server.told("Closed").await;
    server.stop().await;
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn http_1_1_has_its_answer_on_the_same_port() {
    let server = start().await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhttp http/1.1"), "{answer}");
    server.stop().await;
}

/// Garbage receives no answer. The connection ends, and the log shows the bytes.
#[tokio::test]
async fn garbage_is_an_error_that_shows_it() {
    let server = start().await;
    for (bytes, told) in [
        (&b"\xff\x00garbage"[..], "Garbage { bytes: [255, 0, 103"),
        (b"\x80\x09\x00\x01", "Garbage { bytes: [128, 9, 0, 1]"),
        (b"\x16\x03\x01\x02\x00", "Detect(Tls)"),
    ] {
        let mut io = TcpStream::connect(server.address).await.unwrap();
        io.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = io.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
        server.told(told).await;
    }
    let io = TcpStream::connect(server.address).await.unwrap();
    drop(io);
    server.told("Detect(Closed)").await;
    server.stop().await;
}

/// Garbage after a valid start is an error of the connection.
#[tokio::test]
async fn garbage_behind_a_preface_ends_the_connection_with_a_reason() {
    let server = start().await;
    for (bytes, told) in [
        (&b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..], "Closed"),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n......",
            "Closed",
        ),
        (
            b"\x80\x03\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff",
            "Closed",
        ),
    ] {
        server.log.lock().unwrap().clear();
        let mut io = TcpStream::connect(server.address).await.unwrap();
        io.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = io.read_to_end(&mut answer).await;
        let line = server.told(told).await;
        assert!(line.contains("error: Some("), "{line}");
    }
    server.stop().await;
}

/// The log has a request that no handler receives, with the broken rule.
#[tokio::test]
async fn a_malformed_request_is_told_with_the_rule_that_it_breaks() {
    let server = start().await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    // An empty SETTINGS, then HEADERS with `:method: GET` and nothing else.
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    io.write_all(b"\0\0\x01\x01\x05\0\0\0\x01\x82")
        .await
        .unwrap();
    let line = server.told("StreamFailed").await;
    assert!(line.contains("Refused"), "{line}");
    assert!(line.contains("pseudo-header field is missing"), "{line}");
    drop(io);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let server = Running::start(|builder| {
        builder
            .bind(([127, 0, 0, 1], 0).into())
            .options(|options| options.protocols([Protocol::Http2]))
    })
    .await;
    for (bytes, told) in [
        (&b"\x80\x02\x00\x01"[..], "NotOffered { protocol: Spdy2 }"),
        (b"\x80\x03\x00\x01", "NotOffered { protocol: Spdy3 }"),
        (b"GET / HTTP/1.1\r\n", "NotOffered { protocol: Http1 }"),
    ] {
        let mut io = TcpStream::connect(server.address).await.unwrap();
        io.write_all(bytes).await.unwrap();
        server.told(told).await;
        let _ = io.read_to_end(&mut Vec::new()).await;
    }
    server.stop().await;
}

/// A server that listens, and whose shutdown has started.
async fn shut_down() -> (Server, std::net::SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let builder = Server::builder()
        .listen(listener)
        .options(|options| options.connection_info(lacewing_server::Extension::Insert))
        .shutdown(std::future::ready(()));
    (builder.build().await.unwrap(), address)
}

/// The kernel has taken the connection and the request, and the server nothing when its shutdown
/// starts.
#[tokio::test]
async fn a_request_in_the_backlog_is_answered_at_a_shutdown() {
    for version in [Version::Http2, Version::Spdy31, Version::Spdy2] {
        let (server, address) = shut_down().await;
        let io = TcpStream::connect(address).await.unwrap();
        let fetching = tokio::spawn(fetch(io, version));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        tokio::time::timeout(PATIENCE, server.serve(router()))
            .await
            .unwrap();
        assert_eq!(fetching.await.unwrap(), format!("http {version}"));
    }
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn a_request_of_http_1_1_in_the_backlog_is_answered_at_a_shutdown() {
    let (server, address) = shut_down().await;
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    tokio::time::timeout(PATIENCE, server.serve(router()))
        .await
        .unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// A client that has sent nothing, and an idle one, do not prevent the end of a server.
#[tokio::test]
async fn shutdown_waits_for_nobody_who_asked_for_nothing() {
    let server = start().await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    server.told("Connected").await;
    let mut kept = Vec::new();
    tokio::join!(
        server.stop(),
        async {
            let _ = silent.read_to_end(&mut Vec::new()).await;
        },
        async {
            // Closes after GOAWAY, like clients.
            let mut buffer = [0; 1024];
            while !kept.windows(5).any(|window| window == [0, 0, 8, 7, 0]) {
                let len = idle.read(&mut buffer).await.unwrap();
                assert_ne!(len, 0, "closed without GOAWAY");
                kept.extend_from_slice(&buffer[..len]);
            }
            drop(idle);
        },
    );
}

/// A client's connection precedes its first bytes. A shutdown between both leaves no request
/// without an answer.
#[cfg(feature = "http1")]
#[tokio::test]
async fn a_request_that_follows_its_connection_into_a_shutdown_is_answered() {
    let server = start().await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    server.stop.send(()).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    io.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, io.read_to_string(&mut answer));
    read.await.unwrap().unwrap();
    assert!(answer.ends_with("http http/1.1"), "{answer}");
    let ended = tokio::time::timeout(PATIENCE, server.serving).await;
    ended.unwrap().unwrap();
}
