//! Requests and responses, on all four protocols, over a pipe in memory.

use bytes::Bytes;
use futures::join_all;
use http::{HeaderMap, Method};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Body, Version};
use lacewing_conn::proto::Capabilities;

use crate::support::*;

#[test]
fn a_small_get() {
    every_version(|version| async move {
        let pair = pair(version);
        let response = pair.connection.request(get("/hello")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.version(), Capabilities::of(version).http_version);
        assert_eq!(text(response).await, "hello world");
        drop(pair.connection);
        pair.client_task.await.unwrap().unwrap();
        pair.server_task.await.unwrap().unwrap();
    });
}

#[test]
fn fields_go_both_ways_and_host_becomes_the_authority() {
    every_version(|version| async move {
        let pair = pair(version);
        let mut request = get("/fields");
        request
            .headers_mut()
            .insert("x-mine", "one".parse().unwrap());
        request
            .headers_mut()
            .append("x-mine", "two".parse().unwrap());
        let seen = text(pair.connection.request(request).await.unwrap()).await;
        assert!(seen.contains("one") && seen.contains("two"), "{seen}");
        let request = http::Request::get("/hello")
            .header("host", "other.example")
            .body(Body::empty())
            .unwrap();
        let response = pair.connection.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn a_body_of_megabytes_comes_whole() {
    every_version(|version| async move {
        let pair = pair(version);
        let length = 5_000_000;
        let path = format!("/bytes/{length}");
        let response = pair.connection.request(get(&path)).await.unwrap();
        let (received, digest) = measure(response.into_body()).await;
        assert_eq!(received, length as u64);
        assert_eq!(digest, sha256(&pattern(length)));
    });
}

#[test]
fn a_body_of_megabytes_goes_whole() {
    every_version(|version| async move {
        let pair = pair(version);
        let length = 5_000_000;
        let body = Generator::new(length, Default::default());
        let response = pair
            .connection
            .request(post("/digest", body))
            .await
            .unwrap();
        assert_eq!(text(response).await, sha256(&pattern(length)));
    });
}

#[test]
fn an_echo_streams_both_ways_at_once() {
    every_version(|version| async move {
        let pair = pair(version);
        let length = 3_000_000;
        let body = Generator::new(length, Default::default());
        let response = pair.connection.request(post("/echo", body)).await.unwrap();
        let (received, digest) = measure(response.into_body()).await;
        assert_eq!(
            (received, digest),
            (length as u64, sha256(&pattern(length)))
        );
    });
}

#[test]
fn trailers_go_both_ways() {
    every_version(|version| async move {
        let pair = pair(version);
        let response = pair.connection.request(get("/trailers")).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-checksum"], "42", "{version}");
        assert_eq!(body.to_bytes(), "body");

        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "7".parse().unwrap());
        let body = Full::new(Bytes::from("12345")).with_trailers(async { Some(Ok(trailers)) });
        let response = pair
            .connection
            .request(post("/request-trailers", body))
            .await
            .unwrap();
        assert_eq!(text(response).await, "5 Some(\"7\")", "{version}");
    });
}

#[test]
fn many_requests_at_once() {
    every_version(|version| async move {
        let pair = pair(version);
        let all = (0..500_usize).map(|number| {
            let connection = pair.connection.clone();
            async move {
                let length = number * 37;
                let path = format!("/bytes/{length}");
                let response = connection.request(get(&path)).await.unwrap();
                let (received, digest) = measure(response.into_body()).await;
                assert_eq!(received, length as u64);
                assert_eq!(digest, sha256(&pattern(length)));
            }
        });
        join_all(all).await;
        assert!(pair.connection.is_open());
        until("an idle connection", || pair.connection.is_idle()).await;
    });
}

#[test]
fn responses_without_a_body() {
    every_version(|version| async move {
        let pair = pair(version);
        for status in [204, 304] {
            let response = pair
                .connection
                .request(get(&format!("/status/{status}")))
                .await
                .unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(measure(response.into_body()).await.0, 0);
        }
        let mut request = get("/hello");
        *request.method_mut() = Method::HEAD;
        let response = pair.connection.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(measure(response.into_body()).await.0, 0, "{version}");
        // The connection still works as before.
        let response = pair.connection.request(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world");
    });
}

#[test]
fn a_slow_reader_does_not_hold_up_others() {
    every_version(|version| async move {
        let pair = pair(version);
        // Larger than a stream's window, smaller than the connection's.
        let length = 3_000_000;
        let slow = pair
            .connection
            .request(get(&format!("/bytes/{length}")))
            .await
            .unwrap();
        for _ in 0..20 {
            let response = pair.connection.request(get("/bytes/20000")).await.unwrap();
            assert_eq!(measure(response.into_body()).await.0, 20_000);
        }
        assert_eq!(
            measure(slow.into_body()).await,
            (length as u64, sha256(&pattern(length)))
        );
    });
}

#[test]
fn the_length_of_a_known_body_is_known() {
    every_version(|version| async move {
        let pair = pair(version);
        let response = pair
            .connection
            .request(post("/fields", Body::from("12345")))
            .await
            .unwrap();
        let seen = text(response).await;
        assert!(
            seen.contains("\"content-length\": \"5\""),
            "{version}: {seen}"
        );
        let response = pair.connection.request(get("/hello")).await.unwrap();
        if response.headers().contains_key("content-length") {
            assert_eq!(response.body().size_hint().exact(), Some(11));
        }
    });
}

#[test]
fn what_no_connection_can_say_is_an_error_and_nothing_is_sent() {
    every_version(|version| async move {
        let pair = pair(version);
        let request = http::Request::get("/no-host").body(Body::empty()).unwrap();
        let error = pair.connection.request(request).await.unwrap_err();
        assert!(
            matches!(error, lacewing_client::ClientError::Request(_)),
            "{error}"
        );
        assert!(!error.is_retryable());
        // An extended CONNECT requires a server that accepts it.
        let mut request = get("/chat");
        *request.method_mut() = Method::CONNECT;
        request
            .extensions_mut()
            .insert(lacewing_client::ConnectProtocol::from_static("websocket"));
        let result = pair.connection.request(request).await;
        if version != Version::Http2 {
            let error = result.unwrap_err();
            assert!(error.to_string().contains(version.alpn()), "{error}");
        }
        let response = pair.connection.request(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world");
    });
}

mod futures {
    use std::future::Future;

    /// Runs all of them at once, as tasks of this thread.
    pub(super) async fn join_all<F: Future<Output = ()> + 'static>(
        all: impl IntoIterator<Item = F>,
    ) {
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = all
            .into_iter()
            .map(|future| local.spawn_local(future))
            .collect();
        local
            .run_until(async {
                for task in tasks {
                    task.await.unwrap();
                }
            })
            .await;
    }
}
