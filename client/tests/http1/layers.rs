//! Tower's layers over a client of HTTP/1.1.

use std::time::Duration;

use lacewing_client::{Body, Client};
use tower::{Service as _, ServiceBuilder, ServiceExt as _, timeout::error::Elapsed};

use super::script;
use crate::support::*;

fn client() -> Client {
    let serve = |mut server: script::Server, _| async move {
        while let Some(head) = server.head().await {
            if head.contains("/never") {
                server.hold().await;
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
