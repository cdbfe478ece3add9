//! `Upgrade: h2c`: valid requests are upgraded, and no earlier bytes are read as HTTP/2.

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::BytesMut;
use http::Method;
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
use lacewing_server::{H2cUpgrade, Protocol, Side, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Running;

const MAX_BODY: usize = 1000;

async fn server(upgrade: H2cUpgrade) -> Running {
    Running::start(|builder| {
        builder
            .bind(([127, 0, 0, 1], 0).into())
            .options(|options| options.h2c_upgrade(upgrade))
    })
    .await
}

const ACCEPT: H2cUpgrade = H2cUpgrade::Accept { max_body: MAX_BODY };

/// The client's settings in the upgrade request, which apply to HTTP/2.
fn settings() -> String {
    let payload = Engine::upgrade_settings(&Config::new(Version::Http2, Side::Client));
    URL_SAFE_NO_PAD.encode(payload)
}

/// An HTTP/1.1 request for the upgrade.
fn request(method: &Method, path: &str, body: &str) -> String {
    let (length, settings) = (body.len(), settings());
    format!(
        "{method} {path} HTTP/1.1\r\n\
         host: example.org\r\n\
         connection: Upgrade, HTTP2-Settings\r\n\
         upgrade: h2c\r\n\
         http2-settings: {settings}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Reads to the end of an HTTP/1.1 head.
async fn head(io: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = io.read_u8().await.unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

/// The client's side after the 101: collects the bodies of stream 1, and of a second request.
async fn go_on(mut io: TcpStream, method: Method) -> Vec<String> {
    let mut engine = Engine::new(Config::new(Version::Http2, Side::Client), Instant::now(), 1);
    let uri = || "http://example.org/".parse().unwrap();
    let first = engine
        .upgrade_client(Instant::now(), &Head::request(method, uri()))
        .unwrap();
    let second = engine
        .open(
            Instant::now(),
            Head::request(Method::GET, uri()),
            OpenOptions::without_content(),
        )
        .unwrap();
    let (mut input, mut bodies, mut over) = (BytesMut::new(), vec![String::new(); 2], 0);
    while over < 2 {
        while engine.poll_transmit(Instant::now()) != Transmit::Idle {}
        io.write_all_buf(engine.output()).await.unwrap();
        assert_ne!(io.read_buf(&mut input).await.unwrap(), 0);
        while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
            let (stream, fin) = match event {
                Event::Data { stream, data, fin } => {
                    let text = std::str::from_utf8(&data).unwrap();
                    bodies[usize::from(stream == second)].push_str(text);
                    (stream, fin)
                }
                Event::Reply { stream, fin, .. } => (stream, fin),
                Event::Reset { error, .. } => panic!("{error}"),
                _ => continue,
            };
            assert!(stream == first || stream == second);
            over += u32::from(fin);
        }
    }
    bodies
}

#[tokio::test]
async fn a_request_that_asks_is_answered_on_stream_1() {
    let server = server(ACCEPT).await;
    let frames = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    for (method, path, body, expected) in [
        (Method::GET, "/", "", "http h2"),
        (Method::POST, "/echo", "what I say", "what I say"),
        // A body that looks like frames is still a body.
        (Method::POST, "/echo", frames, frames),
    ] {
        let mut io = TcpStream::connect(server.address).await.unwrap();
        let text = request(&method, path, body);
        // In pieces: the 101 waits for the end of the body.
        let (begin, end) = text.split_at(text.len() - body.len() / 2);
        io.write_all(begin.as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        tokio::task::yield_now().await;
        io.write_all(end.as_bytes()).await.unwrap();
        let head = head(&mut io).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_lowercase().contains("upgrade: h2c\r\n"), "{head}");
        assert_eq!(go_on(io, method).await, [expected, "http h2"]);
    }
    server.stop().await;
}

/// Sends a request and returns the whole HTTP/1.1 answer.
async fn answer(server: &Running, request: &str) -> String {
    let mut io = TcpStream::connect(server.address).await.unwrap();
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = head(&mut io).await.to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    io.read_exact(&mut body).await.unwrap();
    head.push_str(std::str::from_utf8(&body).unwrap());
    head
}

#[tokio::test]
async fn requests_without_a_permitted_upgrade_are_served_over_http1() {
    let ignoring = server(H2cUpgrade::Ignore).await;
    let get = request(&Method::GET, "/", "");
    let plain = answer(&ignoring, &get).await;
    assert!(plain.starts_with("http/1.1 200 ") && plain.ends_with("http http/1.1"));
    ignoring.stop().await;

    let accepting = server(ACCEPT).await;
    let large = "x".repeat(MAX_BODY + 1);
    let post = request(&Method::POST, "/echo", &large);
    assert!(answer(&accepting, &post).await.ends_with(&large));
    // In chunks: the length is known only at the end.
    let chunk = "y".repeat(MAX_BODY / 2 + 1);
    let chunked = format!("{:x}\r\n{chunk}\r\n", chunk.len());
    let post = post
        .replace("content-length: 1001", "transfer-encoding: chunked")
        .replace(&large, &format!("{chunked}{chunked}0\r\n\r\n"));
    assert!(answer(&accepting, &post).await.ends_with(&chunk.repeat(2)));
    let settings = settings();
    let line = format!("http2-settings: {settings}\r\n");
    for (right, wrong) in [
        (&line[..], ""),
        // Four bytes are no complete setting.
        (&settings, "AAMAAA"),
        // SETTINGS_INITIAL_WINDOW_SIZE of 2^31.
        (&settings, "AASAAAAA"),
        ("Upgrade, HTTP2-Settings", "Upgrade"),
        ("upgrade: h2c", "upgrade: h3c"),
    ] {
        let answer = answer(&accepting, &get.replace(right, wrong)).await;
        assert!(answer.starts_with("http/1.1 200 "), "{wrong}: {answer}");
    }
    accepting.stop().await;

    let without = Running::start(|builder| {
        builder
            .bind(([127, 0, 0, 1], 0).into())
            .options(|options| options.protocols([Protocol::Http1]).h2c_upgrade(ACCEPT))
    })
    .await;
    assert!(answer(&without, &get).await.starts_with("http/1.1 200 "));
    without.stop().await;
}

/// Bytes before the 101 are not HTTP/2: a proxy may have forwarded them.
#[tokio::test]
async fn bytes_before_the_101_end_the_connection() {
    let server = server(ACCEPT).await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    let smuggled = format!(
        "{}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        request(&Method::POST, "/echo", "body")
    );
    io.write_all(smuggled.as_bytes()).await.unwrap();
    let mut answered = Vec::new();
    let _ = io.read_to_end(&mut answered).await;
    let answered = String::from_utf8_lossy(&answered);
    let after = answered.split("\r\n\r\n").nth(1).unwrap_or_default();
    assert!(after.is_empty(), "{answered}");
    server.told("before it received the 101").await;
    server.stop().await;
}
