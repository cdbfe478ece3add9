//! Connections to an origin: reuse, bounds, and those that servers close while they are idle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, header::CONTENT_LENGTH};
use lacewing_client::{Body, ClientError};
use tokio::sync::Notify;

use super::script::{self, Server};
use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn answer_all(mut server: Server) {
    while server.head().await.is_some() {
        server.say(OK).await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_others_are_bounded() {
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (at_once, seen) = (Arc::clone(&open), Arc::clone(&most));
    let (client, dials) = script::client(
        |it| it.max_http1_connections(3),
        move |mut server, _| {
            let (open, most) = (Arc::clone(&at_once), Arc::clone(&seen));
            async move {
                while server.head().await.is_some() {
                    let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                    server.say(OK).await;
                }
            }
        },
    );
    for _ in 0..10 {
        assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    }
    assert_eq!(dials.load(Ordering::SeqCst), 1);
    let all = (0..30).map(|_| async { text(client.request(get("/")).await.unwrap()).await });
    let texts = futures_util::future::join_all(all).await;
    assert!(texts.iter().all(|text| text == "ok"));
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(dials.load(Ordering::SeqCst), 3);
    assert_eq!(client.connections(), 3);
}

#[tokio::test]
async fn the_queue_has_a_bound() {
    let (client, _) = script::client(
        |it| it.max_http1_connections(1).options(|it| it.max_queued(2)),
        |mut server, _| async move {
            server.head().await;
            server.say(OK).await;
            server.hold().await;
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(Box::pin(client.request(get("/"))));
    }
    for request in &mut waiting {
        assert!(script::is_pending(request).await);
    }
    let error = client.request(get("/")).await.unwrap_err();
    assert!(
        matches!(error, ClientError::QueueFull { limit: 2 }),
        "{error}"
    );
    drop(waiting);
    no_request_waits(&client).await;
}

/// A request that was given up leaves its place.
async fn no_request_waits(client: &lacewing_client::Client) {
    let mut next = Box::pin(client.request(get("/")));
    assert!(script::is_pending(&mut next).await);
}

/// The race of every HTTP/1.1 client: the server closes as the request is sent.
#[tokio::test]
async fn a_connection_that_closes_while_idle_costs_nothing() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, number| async move {
            server.head().await;
            server.say(OK).await;
            if number == 0 {
                // Takes the next request, and closes without a byte.
                server.head().await;
                return;
            }
            answer_all(server).await;
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    assert_eq!(dials.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_post_is_not_repeated_if_the_server_may_have_it() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            server.say(OK).await;
            server.head().await;
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    let error = client
        .request(post("/", Body::from("x")))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("closed the connection"),
        "{error}"
    );
    assert!(!error.is_retryable());
    assert_eq!(dials.load(Ordering::SeqCst), 1);
    // One that the server certainly closed before is not lost, whatever its method.
    let (client, dials) = script::client(
        |it| it,
        |mut server, number| async move {
            server.head().await;
            if number > 0 {
                server.read(1).await;
            }
            server.say(OK).await;
            if number > 0 {
                server.hold().await;
            }
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    until("the close is seen", || client.connections() == 0).await;
    let response = client.request(post("/", Body::from("x"))).await.unwrap();
    assert_eq!(text(response).await, "ok");
    assert_eq!(dials.load(Ordering::SeqCst), 2);
}

/// A server that closes its idle connections must not have to wait for the client's next request.
#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closes_while_it_is_idle_is_dropped() {
    let (client, _) = script::client(
        |it| it.idle_timeout(Duration::from_secs(3600)),
        |mut server, _| async move {
            server.head().await;
            server.say(OK).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(client.connections(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(client.connections(), 0);
}

/// Whoever waits for a response moves its connection, but need not read the content at once.
#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_while_nobody_reads_the_response() {
    let all = Arc::new(Notify::new());
    let arrived = Arc::clone(&all);
    let (client, _) = script::client(
        |it| it,
        move |mut server, _| {
            let arrived = Arc::clone(&arrived);
            async move {
                server.head().await;
                server
                    .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
                    .await;
                server.read(300_000).await;
                arrived.notify_one();
                server.say("ok").await;
                server.hold().await;
            }
        },
    );
    let (pieces, body) = tokio::sync::mpsc::channel::<Bytes>(3);
    let frames = futures_util::stream::unfold(body, |mut body| async {
        let piece = body.recv().await?;
        Some((Ok::<_, std::io::Error>(http_body::Frame::data(piece)), body))
    });
    let mut request = post("/", http_body_util::StreamBody::new(frames));
    let length = HeaderValue::from_static("300000");
    request.headers_mut().insert(CONTENT_LENGTH, length);
    let response = client.request(request).await.unwrap();
    for _ in 0..3 {
        pieces.send(vec![b'x'; 100_000].into()).await.unwrap();
    }
    drop(pieces);
    let wait = Duration::from_secs(10);
    let waited = tokio::time::timeout(wait, all.notified()).await;
    assert!(waited.is_ok(), "the upload stands still");
    assert_eq!(text(response).await, "ok");
}

/// An idempotent request is repeated once, not for ever.
#[tokio::test]
async fn a_server_that_always_closes_is_asked_twice() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, number| async move {
            server.head().await;
            if number == 0 {
                server.say(OK).await;
                server.head().await;
            }
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    let mut request = get("/");
    *request.method_mut() = Method::DELETE;
    let error = client.request(request).await.unwrap_err();
    assert!(matches!(error, ClientError::Connection(_)), "{error}");
    assert_eq!(dials.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn connection_close_and_http_1_0_are_respected() {
    for head in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nok",
    ] {
        let (client, dials) = script::client(
            |it| it,
            move |mut server, _| async move {
                server.head().await;
                server.say(head).await;
            },
        );
        for _ in 0..3 {
            assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
        }
        assert_eq!(dials.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_close_after_their_time_and_over_the_bound() {
    let (client, _) = script::client(
        |it| it.idle_timeout(Duration::from_secs(5)).max_connections(2),
        |server, _| answer_all(server),
    );
    let all = (0..4).map(|_| async { text(client.request(get("/")).await.unwrap()).await });
    futures_util::future::join_all(all).await;
    assert_eq!(client.connections(), 2, "max_connections");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(client.connections(), 0);
    // It is asked anew which protocol it speaks.
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
    drop(client);
    no_tasks_left().await;
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, number| async move {
            server.head().await;
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegin")
                .await;
            if number < 2 {
                server.hold().await;
            }
        },
    );
    drop(client.request(get("/")).await.unwrap());
    let mut pending = Box::pin(client.request(get("/")));
    assert!(script::is_pending(&mut pending).await);
    drop(pending);
    assert_eq!(client.connections(), 0);
    drop(client.request(get("/")).await.unwrap());
    assert!(dials.load(Ordering::SeqCst) >= 2);
    drop(client);
    no_tasks_left().await;
}
