//! An axum `Router` without changes.

use axum::{
    Extension, Router,
    body::Bytes,
    extract::Path,
    response::Redirect,
    routing::{get, post},
};
use http::{Method, StatusCode};
use lacewing_server::{ConnectionInfo, ServerOptions, Spawn, Version};

use crate::peer::Peer;

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello world" }))
        .route("/hello/{name}", get(|Path(name): Path<String>| async move { format!("hello {name}") }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/away", get(|| async { Redirect::to("/") }))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/slow",
            get(|| async {
                tokio::task::yield_now().await;
                "slowly"
            }),
        )
        .route(
            "/version",
            get(|Extension(info): Extension<ConnectionInfo>| async move {
                info.protocol().to_string()
            }),
        )
}

/// One of the handlers reads an extension.
fn options() -> ServerOptions {
    ServerOptions::default().connection_info(lacewing_server::Extension::Insert)
}

fn every_way() -> impl Iterator<Item = (Version, Spawn)> {
    Version::ALL.into_iter().flat_map(|version| {
        [Spawn::WhenPending, Spawn::Never, Spawn::Always].map(|spawn| (version, spawn))
    })
}

#[tokio::test]
async fn a_router_runs_unchanged() {
    for (version, spawn) in every_way() {
        let mut peer = Peer::connect(version, options().spawn(spawn), router());
        let answer = peer.get("/").await;
        assert_eq!(answer.status, Some(StatusCode::OK), "{version}");
        assert_eq!(answer.text(), "hello world");
        assert_eq!(answer.fields["content-length"], "11");
        assert_eq!(answer.fields["content-type"], "text/plain; charset=utf-8");
        assert!(answer.fields.contains_key("date"));
        assert_eq!(peer.get("/hello/you").await.text(), "hello you");
        assert_eq!(peer.get("/slow").await.text(), "slowly");
        assert_eq!(peer.get("/version").await.text(), version.alpn());
        assert_eq!(peer.get("/away").await.fields["location"], "/");
        assert_eq!(peer.get("/none").await.status, Some(StatusCode::NOT_FOUND));
        assert_eq!(
            peer.get("/echo").await.status,
            Some(StatusCode::METHOD_NOT_ALLOWED)
        );
        assert_eq!(peer.post("/echo", "what I say").await.text(), "what I say");
        let nothing = peer.get("/nothing").await;
        assert_eq!(nothing.status, Some(StatusCode::NO_CONTENT));
        assert!(nothing.body.is_empty() && !nothing.fields.contains_key("content-length"));
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    for (version, spawn) in every_way() {
        let mut peer = Peer::connect(version, options().spawn(spawn), router());
        let key = peer.open(Method::HEAD, "/", None);
        let answer = peer.answer(key).await;
        assert_eq!(answer.fields["content-length"], "11", "{version}");
        assert!(answer.body.is_empty());
        assert_eq!(peer.get("/").await.text(), "hello world");
    }
}

/// Several streams in flight, answered in any order. Slots are reused again and again.
#[tokio::test]
async fn many_requests_share_a_connection() {
    for (version, spawn) in every_way() {
        let mut peer = Peer::connect(version, options().spawn(spawn), router());
        for round in 0..5 {
            let keys: Vec<_> = (0..100)
                .map(|index| match index % 3 {
                    0 => (peer.open(Method::GET, "/slow", None), "slowly".to_owned()),
                    1 => {
                        let body = format!("body {index} of {round}");
                        let upload = Some(body.clone().into());
                        (peer.open(Method::POST, "/echo", upload), body)
                    }
                    _ => {
                        let path = format!("/hello/{index}");
                        (
                            peer.open(Method::GET, &path, None),
                            format!("hello {index}"),
                        )
                    }
                })
                .collect();
            for (key, expected) in keys {
                assert_eq!(peer.answer(key).await.text(), expected, "{version}");
            }
        }
        assert_eq!(peer.engine.open_streams(), 0);
    }
}

#[tokio::test]
async fn large_bodies_go_through_every_window() {
    let body: Vec<u8> = (0..1_500_000_u32)
        .map(|index| (index.wrapping_mul(31) >> 3) as u8)
        .collect();
    for version in Version::ALL {
        let router = router().layer(axum::extract::DefaultBodyLimit::disable());
        let mut peer = Peer::connect(version, options(), router);
        for _ in 0..3 {
            let answer = peer.post("/echo", body.clone()).await;
            assert_eq!(answer.body.len(), body.len(), "{version}");
            assert!(answer.body == body, "{version}");
        }
    }
}
