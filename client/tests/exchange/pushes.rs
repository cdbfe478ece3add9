//! Pushes: accepted, refused, cancelled, bounded.

use http_body_util::BodyExt as _;
use lacewing_client::{ClientOptions, PushPolicy};

use crate::support::{peer::*, *};

const PROTOCOL_ERROR: u32 = 1;

async fn promise(peer: &mut Peer, parent: u32, promised: u32, block: &[u8]) {
    let mut payload = promised.to_be_bytes().to_vec();
    payload.extend_from_slice(block);
    peer.send(PUSH_PROMISE, END_HEADERS, parent, &payload).await;
}

fn style(name: &str) -> Vec<u8> {
    request_block("GET", "test.example", name)
}

fn taking() -> ClientOptions {
    ClientOptions::default().accept_push(PushPolicy::default())
}

#[tokio::test]
async fn pushes_come_with_their_requests_and_responses() {
    let (connection, mut peer) = by_hand(taking(), &[]).await;
    let mut pushes = connection.pushes();
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    promise(&mut peer, 1, 2, &style("/a.css")).await;
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    // During the response's body too.
    promise(&mut peer, 1, 4, &style("/b.css")).await;
    let first = pushes.next().await.unwrap();
    assert_eq!(first.parent, "http://test.example/page");
    assert_eq!(first.request.uri(), "http://test.example/a.css");
    assert_eq!(first.request.method(), "GET");
    let second = pushes.next().await.unwrap();
    assert_eq!(second.request.uri(), "http://test.example/b.css");
    peer.send(DATA, END_STREAM, 1, b"page").await;
    let page = page.await.unwrap();
    assert_eq!(text(page).await, "page");
    for (stream, content) in [(4, "b"), (2, "a")] {
        let fields = block("200", &[("content-type", "text/css")]);
        peer.send(HEADERS, END_HEADERS, stream, &fields).await;
        peer.send(DATA, END_STREAM, stream, content.as_bytes())
            .await;
    }
    let response = first.response.await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/css");
    assert_eq!(text(response).await, "a");
    assert_eq!(text(second.response.await.unwrap()).await, "b");
    until("an idle connection", || connection.is_idle()).await;
    // The end of the connection ends its pushes.
    drop(connection);
    drop(peer);
    assert!(pushes.next().await.is_none());
}

#[tokio::test]
async fn a_push_that_is_dropped_is_cancelled() {
    let (connection, mut peer) = by_hand(taking(), &[]).await;
    let mut pushes = connection.pushes();
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    for promised in [2, 4, 6] {
        promise(&mut peer, 1, promised, &style("/style")).await;
    }
    // Before its response, with its response, and during its body.
    drop(pushes.next().await.unwrap());
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (2, CANCEL));
    let pushed = pushes.next().await.unwrap();
    peer.send(HEADERS, END_HEADERS, 4, OK).await;
    drop(pushed.response.await.unwrap());
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (4, CANCEL));
    let pushed = pushes.next().await.unwrap();
    peer.send(HEADERS, END_HEADERS, 6, OK).await;
    peer.send(DATA, 0, 6, b"some").await;
    let mut body = pushed.response.await.unwrap().into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "some"
    );
    drop(body);
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (6, CANCEL));
    peer.answer(1).await;
    assert_eq!(page.await.unwrap().status(), 200);
    until("an idle connection", || connection.is_idle()).await;
}

#[tokio::test]
async fn promises_that_the_server_may_not_make_are_refused() {
    let (connection, mut peer) = by_hand(taking(), &[]).await;
    let mut pushes = connection.pushes();
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    let other_origin = request_block("GET", "other.example", "/style");
    let not_safe = request_block("POST", "test.example", "/style");
    for (promised, block) in [(2, other_origin), (4, not_safe)] {
        promise(&mut peer, 1, promised, &block).await;
        let reset = peer.expect(RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (promised, PROTOCOL_ERROR));
    }
    promise(&mut peer, 1, 6, &style("/good")).await;
    let pushed = pushes.next().await.unwrap();
    assert_eq!(pushed.request.uri().path(), "/good");
    peer.answer(1).await;
    peer.answer(6).await;
    assert_eq!(page.await.unwrap().status(), 200);
    assert_eq!(pushed.response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn promises_are_bounded() {
    let policy = PushPolicy::default().max_streams(3).max_waiting(2);
    let config = ClientOptions::default().accept_push(policy);
    let (connection, mut peer) = by_hand(config, &[]).await;
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    // Two pushes wait, and the user takes neither. Their responses are complete.
    for promised in [2, 4] {
        promise(&mut peer, 1, promised, &style("/style")).await;
        peer.answer(promised).await;
    }
    promise(&mut peer, 1, 6, &style("/style")).await;
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (6, REFUSED_STREAM));
    let mut pushes = connection.pushes();
    let taken = [pushes.next().await.unwrap(), pushes.next().await.unwrap()];
    // Three are open: the fourth exceeds the limit.
    let mut open = Vec::new();
    for promised in [8, 10, 12, 14] {
        promise(&mut peer, 1, promised, &style("/style")).await;
        if promised < 14 {
            open.push(pushes.next().await.unwrap());
        }
    }
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (14, REFUSED_STREAM));
    for pushed in taken {
        assert_eq!(pushed.response.await.unwrap().status(), 200);
    }
    peer.answer(1).await;
    assert_eq!(page.await.unwrap().status(), 200);
}

/// A pushed body without a reader costs at most its window, and delays no other stream.
#[tokio::test]
async fn a_push_that_nobody_reads_holds_up_nobody() {
    let (connection, mut peer) = by_hand(taking(), &[]).await;
    let mut pushes = connection.pushes();
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    promise(&mut peer, 1, 2, &style("/style")).await;
    peer.send(HEADERS, END_HEADERS, 2, OK).await;
    let pushed = pushes.next().await.unwrap();
    for _ in 0..60 {
        peer.send(DATA, 0, 2, &[0; 16_000]).await;
    }
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    peer.send(DATA, END_STREAM, 1, b"page").await;
    assert_eq!(text(page.await.unwrap()).await, "page");
    let stats = connection.stats().await.unwrap();
    assert_eq!(stats.buffered_bytes, 960_000);
    drop(pushed);
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (2, CANCEL));
    assert_eq!(connection.stats().await.unwrap().buffered_bytes, 0);
}

/// Pushes that the user does not take do not prevent the end of a connection.
#[tokio::test]
async fn pushes_without_takers_end_with_the_last_handle() {
    let (connection, mut peer) = by_hand(taking(), &[]).await;
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    promise(&mut peer, 1, 2, &style("/style")).await;
    peer.answer(1).await;
    page.await.unwrap();
    drop(connection);
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (2, CANCEL));
    peer.expect(GOAWAY).await;
    assert_eq!(peer.next().await, None);
    drop(peer);
    no_tasks_left().await;
}

/// By default the client disables push.
#[tokio::test]
async fn without_a_policy_pushes_are_forbidden() {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let config = ClientOptions::default();
    let (connection, task) =
        lacewing_client::Connection::handshake(client, lacewing_client::Version::Http2, config);
    tokio::spawn(task);
    let mut peer = Peer::start(server, &[]).await;
    let settings = peer.frame().await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    // ENABLE_PUSH = 0.
    let forbids = settings
        .payload
        .chunks(6)
        .any(|entry| entry == [0, 2, 0, 0, 0, 0]);
    assert!(forbids, "{settings:?}");
    assert!(connection.pushes().next().await.is_none());
    let page = connection.request(get("/page"));
    peer.expect(HEADERS).await;
    promise(&mut peer, 1, 2, &style("/style")).await;
    let error = page.await.unwrap_err();
    assert!(error.connection().unwrap().is_connection(), "{error}");
}
