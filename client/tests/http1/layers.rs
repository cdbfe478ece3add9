//! Tower's layers over a client of HTTP/1.1.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client};
use tower::{Service as _, ServiceBuilder, ServiceExt as _, timeout::error::Elapsed};
use tower_http::{decompression::DecompressionLayer, timeout::TimeoutLayer};

use super::script;
use crate::support::*;

/// `hello world`, by gzip.
const GZIP: [u8; 31] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
    0x28, 0xcf, 0x2f, 0xca, 0x49, 0x01, 0x00, 0x85, 0x11, 0x4a, 0x0d, 0x0b, 0x00, 0x00, 0x00,
];

fn client() -> Client {
    let serve = |mut server: script::Server, _| async move {
        while let Some(head) = server.head().await {
            if head.contains("/never") {
                server.hold().await;
            }
            if head.contains("accept-encoding: gzip") {
                let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ";
                server.say(format!("{head}{}\r\n\r\n", GZIP.len())).await;
                server.say(GZIP).await;
                continue;
            }
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world")
                .await;
        }
    };
    script::client(|it| it, serve).0
}

#[tokio::test]
async fn timeouts_limits_and_buffers_work_as_over_the_others() {
    let service = ServiceBuilder::new()
        .buffer(8)
        .concurrency_limit(4)
        .timeout(Duration::from_millis(200))
        .service(client().for_body::<Body>());
    let calls = (0..16).map(|_| {
        let mut service = service.clone();
        async move {
            let response = service.ready().await.unwrap().call(get("/hello")).await;
            text(response.unwrap()).await
        }
    });
    let texts = futures_util::future::join_all(calls).await;
    assert!(texts.iter().all(|text| text == "hello world"));
    let error = service.oneshot(get("/never")).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
}

#[tokio::test]
async fn tower_http_decompresses_and_answers_for_a_slow_server() {
    let mut service = ServiceBuilder::new()
        .layer(DecompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            Duration::from_millis(200),
        ))
        .service(client().for_body::<Body>());
    for _ in 0..2 {
        let response = service.ready().await.unwrap().call(get("/hello")).await;
        let body = response.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "hello world");
    }
    let late = service.ready().await.unwrap().call(get("/never")).await;
    assert_eq!(late.unwrap().status(), 504);
}
