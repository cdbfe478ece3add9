//! The server's part, against clients written by hand.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use lacewing_conn::{
    Side, Version,
    driver::{
        MuxConfig,
        upgrade::{STREAM_PROTOCOL_VERSION, Upgrade, UpgradeError, choose_stream_protocol},
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{peer::Peer, *};

const ASKING: &str = "POST /run HTTP/1.1\r\nHost: node\r\nConnection: keep-alive, Upgrade\r\n\
                      Upgrade: websocket, spdy/3.1\r\n";

/// A client that sends these bytes, and reads to the end.
async fn asked(bytes: &str) -> (UpgradeError, String) {
    let (mut here, there) = tokio::io::duplex(1 << 20);
    here.write_all(bytes.as_bytes()).await.unwrap();
    here.shutdown().await.unwrap();
    let error = soon(Upgrade::default().accept(there)).await.unwrap_err();
    let mut answer = String::new();
    soon(here.read_to_string(&mut answer)).await.unwrap();
    (error, answer)
}

/// A client that sends frames after its request, without waiting for the 101.
async fn hasty(head: &str) -> DuplexStream {
    let (mut here, there) = tokio::io::duplex(1 << 20);
    let mut bytes = BytesMut::from(head);
    let mut encoder = Peer::new(tokio::io::duplex(1).0, Version::Spdy31).encoder;
    crate::peer::syn_stream(&mut encoder, &mut bytes, 1, &[("from", "client")]);
    encoder.data_head(&mut bytes, 1, 5, true);
    bytes.put_slice(b"hello");
    here.write_all(&bytes).await.unwrap();
    // The transport stays open for the whole test.
    tokio::spawn(async move {
        let mut sink = Vec::new();
        let _ = here.read_to_end(&mut sink).await;
    });
    there
}

/// The client's order decides, whether it sends one field or several.
#[test]
fn the_first_protocol_of_the_client_that_is_known_is_chosen() {
    let ours = ["v4.channel.k8s.io", "v3.channel.k8s.io"];
    for (theirs, chosen) in [
        (&["v3.channel.k8s.io, v4.channel.k8s.io"][..], Some(ours[1])),
        (&["v4.channel.k8s.io", "v3.channel.k8s.io"], Some(ours[0])),
        (&["v5.channel.k8s.io", "v3.channel.k8s.io"], Some(ours[1])),
        (&["v5.channel.k8s.io"], None),
        (&[], None),
    ] {
        let mut headers = HeaderMap::new();
        for value in theirs {
            headers.append(STREAM_PROTOCOL_VERSION, HeaderValue::from_static(value));
        }
        assert_eq!(
            choose_stream_protocol(&headers, &ours),
            chosen,
            "{theirs:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_the_request_are_not_lost() {
    let io = hasty(&format!("{ASKING}\r\n")).await;
    let requested = soon(Upgrade::default().accept(io)).await.unwrap();
    assert_eq!(requested.request().uri(), "/run");
    let switched = soon(requested.switch(HeaderMap::new(), MuxConfig::new(Side::Server))).await;
    let (mux, connection) = switched.unwrap();
    tokio::spawn(connection);
    let (headers, mut stream) = soon(mux.accept()).await.unwrap();
    assert_eq!(headers["from"], "client");
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "hello");
}

/// A body that looks like frames is still a body.
#[tokio::test(start_paused = true)]
async fn the_body_is_read_before_the_switch() {
    let mut smuggled = BytesMut::new();
    let mut encoder = Peer::new(tokio::io::duplex(1).0, Version::Spdy31).encoder;
    crate::peer::syn_stream(&mut encoder, &mut smuggled, 1, &[("from", "the body")]);
    let (mut here, there) = tokio::io::duplex(1 << 20);
    let head = format!("{ASKING}Content-Length: {}\r\n\r\n", smuggled.len());
    here.write_all(head.as_bytes()).await.unwrap();
    here.write_all(&smuggled).await.unwrap();
    let requested = soon(Upgrade::default().accept(there)).await.unwrap();
    assert_eq!(requested.request().body(), &smuggled);
    let switched = soon(requested.switch(HeaderMap::new(), MuxConfig::new(Side::Server))).await;
    let (mux, connection) = switched.unwrap();
    tokio::spawn(connection);
    soon(read_head(&mut here)).await;
    let mut peer = Peer::new(here, Version::Spdy31);
    peer.open(1, &[("from", "the client")]).await;
    let (headers, _stream) = soon(mux.accept()).await.unwrap();
    assert_eq!(headers["from"], "the client");
}

#[tokio::test(start_paused = true)]
async fn requests_with_an_ambiguous_end_are_refused() {
    let bodies = [
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Content-Length: 99999999999999999999\r\n\r\n",
        "Content-Length: 65537\r\n\r\n",
        "Bad Name: x\r\n\r\n",
    ];
    for body in bodies {
        let (error, answer) = asked(&format!("{ASKING}{body}")).await;
        assert!(
            matches!(
                error,
                UpgradeError::Malformed(_) | UpgradeError::TooLarge(_)
            ),
            "{body:?}: {error:?}"
        );
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{body:?}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_requests_receive_the_required_upgrade() {
    let others = [
        "GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        // Connection does not name it (RFC 9110 §7.8).
        "GET / HTTP/1.1\r\nHost: node\r\nUpgrade: SPDY/3.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        // HTTP/1.0 has no upgrade.
        "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
    ];
    for other in others {
        let (error, answer) = asked(other).await;
        assert!(
            matches!(error, UpgradeError::NotRequested(_)),
            "{other:?}: {error:?}"
        );
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("upgrade: SPDY/3.1\r\n"), "{answer}");
        assert!(
            answer.contains("connection: Upgrade, close\r\n"),
            "{answer}"
        );
    }
}

/// Bytes after a refused request are not parsed.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_last_word() {
    let (mut here, there) = tokio::io::duplex(1 << 20);
    let hidden = "GET /secret HTTP/1.1\r\nHost: node\r\n\r\n";
    let bytes = format!("{ASKING}\r\n{hidden}");
    here.write_all(bytes.as_bytes()).await.unwrap();
    let requested = soon(Upgrade::default().accept(there)).await.unwrap();
    let mut no = Response::new(Bytes::from("not you"));
    *no.status_mut() = StatusCode::FORBIDDEN;
    soon(requested.refuse(no)).await.unwrap();
    let mut answer = String::new();
    soon(here.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.ends_with("content-length: 7\r\nconnection: close\r\n\r\nnot you"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_is_given_up() {
    let (mut here, there) = tokio::io::duplex(4096);
    let dripping = tokio::spawn(async move {
        for byte in ASKING.bytes().cycle() {
            if here.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let error = soon(Upgrade::default().accept(there)).await.unwrap_err();
    assert!(matches!(error, UpgradeError::TimedOut(_)), "{error:?}");
    soon(dripping).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_may_arrive_byte_by_byte() {
    let (mut here, there) = tokio::io::duplex(4096);
    let sending = tokio::spawn(async move {
        for byte in format!("\r\n{ASKING}Content-Length: 2\r\n\r\nhi").bytes() {
            here.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        here
    });
    let requested = soon(Upgrade::default().accept(there)).await.unwrap();
    assert_eq!(requested.request().body(), "hi");
    assert_eq!(requested.version(), Version::Spdy31);
    let _open = soon(sending).await.unwrap();
}

/// Clients that ask, and read nothing of the answer.
#[tokio::test(start_paused = true)]
async fn an_answer_that_the_client_does_not_take_has_an_end() {
    let (mut clients, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (mut here, there) = tokio::io::duplex(256);
        let request = format!("{ASKING}\r\n");
        let upgrade = Upgrade::default();
        let (written, requested) =
            soon(async { tokio::join!(here.write_all(request.as_bytes()), upgrade.accept(there)) })
                .await;
        written.unwrap();
        clients.push(here);
        asked.push(requested.unwrap());
    }
    let hour = Duration::from_secs(3600);
    let mut no = Response::new(Bytes::from(vec![b'x'; 1_000]));
    *no.status_mut() = StatusCode::NOT_FOUND;
    let refused = tokio::time::timeout(hour, asked.remove(0).refuse(no)).await;
    assert!(matches!(refused, Ok(Err(UpgradeError::TimedOut(_)))));

    let mut headers = HeaderMap::new();
    let long = HeaderValue::from_maybe_shared(Bytes::from(vec![b'x'; 1_000])).unwrap();
    headers.insert("x-long", long);
    let switching = asked
        .remove(0)
        .switch(headers, MuxConfig::new(Side::Server));
    let switched = tokio::time::timeout(hour, switching).await.unwrap();
    assert!(matches!(switched.err(), Some(UpgradeError::TimedOut(_))));
}
