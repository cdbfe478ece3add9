//! The statistics of HTTP/1.1 connections, before and after an upgrade.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    task::Poll,
};

use http::{Request, Response};
use http_body_util::BodyExt;
use lacewing_server::{
    H2cUpgrade, Protocol, RequestBody, ServerOptions, serve_connection, service_fn,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn echo(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(format!("{} B came", body.len())))
}

/// Drives `serving` until `work` is done.
async fn beside<W: Future>(
    serving: &mut (impl Future<Output = Result<(), lacewing_server::ServeError>> + Unpin),
    work: W,
) -> W::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        match Pin::new(&mut *serving).poll(cx) {
            Poll::Ready(result) => panic!("over: {result:?}"),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn content_is_counted() {
    let (mut client, io) = tokio::io::duplex(4096);
    let options = ServerOptions::default();
    let mut serving = serve_connection(io, Protocol::Http1, options, service_fn(echo));
    for round in 1..=2 {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n";
        beside(&mut serving, client.write_all(head)).await.unwrap();
        while serving.stats().open_streams == 0 {
            beside(&mut serving, tokio::task::yield_now()).await;
        }
        assert_eq!(serving.stats().open_streams, 1);
        beside(&mut serving, client.write_all(b"four"))
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"4 B came") {
            beside(&mut serving, client.read_buf(&mut answer))
                .await
                .unwrap();
        }
        let stats = serving.stats();
        assert_eq!(
            (stats.open_streams, stats.data_received, stats.data_sent),
            (0, 4 * round, 8 * round)
        );
    }
}

#[tokio::test]
async fn after_an_upgrade_they_are_those_of_http_2() {
    let (mut client, io) = tokio::io::duplex(4096);
    let options = ServerOptions::default().h2c_upgrade(H2cUpgrade::Accept { max_body: 1 });
    let mut serving = serve_connection(io, Protocol::Http1, options, service_fn(echo));
    let ask = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\
        upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n";
    beside(&mut serving, client.write_all(ask)).await.unwrap();
    let mut answer = [0; 12];
    beside(&mut serving, client.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    beside(&mut serving, client.write_all(preface))
        .await
        .unwrap();
    while serving.stats().receive_window.is_none() || serving.stats().data_sent == 0 {
        beside(&mut serving, tokio::task::yield_now()).await;
    }
    assert_eq!(serving.stats().data_sent, 8);
}
