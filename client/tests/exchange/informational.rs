//! Responses before the final response, and bodies that wait for one.

use std::{sync::mpsc, time::Duration};

use http_body_util::BodyExt as _;
use lacewing_client::{Body, ClientOptions, Connection, OnInformational, Version};

use crate::support::{peer::*, *};

fn upload(expect: bool) -> http::Request<Body> {
    let mut request = post("/upload", Body::from("twelve bytes"));
    if expect {
        let value = http::HeaderValue::from_static("100-continue");
        request.headers_mut().insert(http::header::EXPECT, value);
    }
    request
}

#[tokio::test]
async fn early_hints_come_before_the_response() {
    let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
    let (seen, hints) = mpsc::channel();
    let mut request = get("/page");
    request
        .extensions_mut()
        .insert(OnInformational::new(move |response| {
            let link = response.headers()["link"].to_str().unwrap().to_owned();
            seen.send((response.status().as_u16(), link)).unwrap();
        }));
    let response = connection.request(request);
    assert!(peer.expect(HEADERS).await.ends());
    for style in ["</a.css>", "</b.css>"] {
        let hint = block("103", &[("link", style)]);
        peer.send(HEADERS, END_HEADERS, 1, &hint).await;
    }
    let hint = tokio::task::spawn_blocking(move || {
        let wait = Duration::from_secs(60);
        let first = hints.recv_timeout(wait).unwrap();
        (first, hints.recv_timeout(wait).unwrap())
    });
    let (first, second) = hint.await.unwrap();
    assert_eq!(first, (103, "</a.css>".to_owned()));
    assert_eq!(second, (103, "</b.css>".to_owned()));
    peer.answer(1).await;
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_waits_for_its_100() {
    // Forever, for the purposes of this test.
    let config = ClientOptions::default().continue_timeout(Duration::from_secs(3600));
    let (connection, mut peer) = by_hand(config, &[]).await;
    let response = connection.request(upload(true));
    assert!(!peer.expect(HEADERS).await.ends());
    // Other requests continue meanwhile, and no body is sent.
    let other = connection.request(get("/other"));
    assert_eq!(peer.expect(HEADERS).await.stream, 3);
    peer.answer(3).await;
    assert_eq!(other.await.unwrap().status(), 200);
    peer.send(HEADERS, END_HEADERS, 1, &block("100", &[])).await;
    let data = peer.expect(DATA).await;
    assert_eq!(
        (&data.payload[..], data.ends()),
        (&b"twelve bytes"[..], true)
    );
    peer.answer(1).await;
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_goes_without_its_100_in_the_end() {
    let config = ClientOptions::default().continue_timeout(Duration::from_secs(2));
    let (connection, mut peer) = by_hand(config, &[]).await;
    let began = tokio::time::Instant::now();
    let first = connection.request(upload(true));
    peer.expect(HEADERS).await;
    let second = connection.request(upload(true));
    peer.expect(HEADERS).await;
    for stream in [1, 3] {
        let data = peer.expect(DATA).await;
        assert_eq!(data.stream, stream);
        assert!(began.elapsed() >= Duration::from_secs(2));
        peer.answer(stream).await;
    }
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(second.await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_the_field_a_body_goes_at_once() {
    let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
    let response = connection.request(upload(false));
    peer.expect(HEADERS).await;
    peer.expect(DATA).await;
    peer.answer(1).await;
    assert_eq!(response.await.unwrap().status(), 200);
}

/// The response is complete with its head: the client sends no body, and the stream does not stay
/// open.
#[tokio::test]
async fn a_body_that_is_refused_by_a_head_is_not_sent() {
    let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
    let response = connection.request(upload(true));
    peer.expect(HEADERS).await;
    let refusal = block("417", &[]);
    peer.send(HEADERS, END_STREAM | END_HEADERS, 1, &refusal)
        .await;
    let response = response.await.unwrap();
    assert_eq!(response.status(), 417);
    assert_eq!(peer.expect(RST_STREAM).await.code(), CANCEL);
    until("an idle connection", || connection.is_idle()).await;
}

/// The response has a body: the client reads it to its end, and then ends the stream.
#[tokio::test]
async fn a_body_that_is_refused_by_a_long_response_is_not_sent() {
    let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
    let response = connection.request(upload(true));
    peer.expect(HEADERS).await;
    let refusal = block("413", &[]);
    peer.send(HEADERS, END_HEADERS, 1, &refusal).await;
    let response = response.await.unwrap();
    assert_eq!(response.status(), 413);
    peer.send(DATA, 0, 1, b"too ").await;
    // During the response, the stream stays open.
    let other = connection.request(get("/other"));
    assert_eq!(peer.expect(HEADERS).await.stream, 3);
    peer.answer(3).await;
    other.await.unwrap();
    peer.send(DATA, END_STREAM, 1, b"much").await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "too much");
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (1, CANCEL));
    until("an idle connection", || connection.is_idle()).await;
}

/// A server that answers with the content that it receives: its response ends only after it.
#[test]
fn a_server_that_accepts_ahead_of_its_100_gets_the_body() {
    every_version(|version| async move {
        let config = ClientOptions::default().continue_timeout(Duration::from_secs(3600));
        let pair = pair_with(version, config, lacewing_server::ServerOptions::default());
        let mut request = upload(true);
        *request.uri_mut() = "http://test.example/echo".parse().unwrap();
        let response = pair.connection.request(request).await.unwrap();
        assert_eq!(text(response).await, "twelve bytes");
    });
}

/// Our own server sends 100 when the handler reads. SPDY has no such frame, so the client sends the
/// body at once.
#[test]
fn every_server_gets_the_body() {
    every_version(|version| async move {
        let config = ClientOptions::default().continue_timeout(Duration::from_millis(20));
        let pair = pair_with(version, config, lacewing_server::ServerOptions::default());
        let mut request = upload(true);
        *request.uri_mut() = "http://test.example/digest".parse().unwrap();
        let response = pair.connection.request(request).await.unwrap();
        assert_eq!(text(response).await, sha256(b"twelve bytes"));
    });
}

/// A server that refuses, and echoes the content that the client holds back for 100 (Continue):
/// neither waits for the other for ever. SPDY has no 100, and sends content at once.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_echoes_the_body_ends() {
    for version in Version::ALL {
        let service = lacewing_server::service_fn(|request: http::Request<_>| async move {
            let body: lacewing_server::RequestBody = request.into_body();
            let mut refusal = http::Response::new(body);
            *refusal.status_mut() = http::StatusCode::BAD_REQUEST;
            Ok::<_, std::convert::Infallible>(refusal)
        });
        let (io, server) = tokio::io::duplex(64 * 1024);
        let options = lacewing_server::ServerOptions::default();
        tokio::spawn(lacewing_server::serve_connection(
            server, version, options, service,
        ));
        // As a client that never sends without its 100.
        let options = ClientOptions::default().continue_timeout(Duration::from_secs(3600));
        let (connection, task) = Connection::handshake(io, version, options);
        tokio::spawn(task);
        let began = tokio::time::Instant::now();
        let response = connection.request(upload(true)).await.unwrap();
        assert_eq!(response.status(), 400, "{version}");
        let body = response.into_body().collect().await;
        if version == Version::Http2 {
            assert!(body.is_err(), "{version}");
            assert!(began.elapsed() < Duration::from_secs(80), "{version}");
        } else {
            assert_eq!(body.unwrap().to_bytes(), "twelve bytes", "{version}");
        }
        until("an idle connection", || connection.is_idle()).await;
    }
}
