//! Requests and responses with our server, as over the other protocols.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{
    Body, BodyError, Client, ClientError, ConnectProtocol, OnInformational, Origin, Priority,
    RequestError, dial_fn,
};
use lacewing_server::{Protocol, Server, ServerBuilder, ServerOptions, service_fn};

use super::script;
use crate::support::*;

fn server() -> ServerBuilder {
    let options = |options: ServerOptions| options.protocols([Protocol::Http1]);
    Server::builder().bind(any_port()).options(options)
}

/// A client of a server on loopback that speaks only HTTP/1.1.
async fn client() -> (Client, Witness) {
    let witness = Witness::default();
    let seen = witness.clone();
    let service = service_fn(move |request| routes(request, seen.clone()));
    let address = listen(server(), service).await;
    let dial = dial_fn(move |_| tokio::net::TcpStream::connect(address));
    (Client::builder().http1().dial(dial).build(), witness)
}

#[tokio::test]
async fn bodies_stream_both_ways_over_one_connection() {
    let (client, _) = client().await;
    let response = client.request(get("/hello")).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_11);
    assert_eq!(text(response).await, "hello world");
    let body = client.request(get("/bytes/1000000")).await.unwrap();
    assert_eq!(
        measure(body.into_body()).await,
        (1_000_000, sha256(&pattern(1_000_000)))
    );
    let upload = post("/digest", Body::from(pattern(500_000)));
    let response = client.request(upload).await.unwrap();
    assert_eq!(text(response).await, sha256(&pattern(500_000)));
    let upload = post("/digest", Generator::new(300_000, Arc::default()));
    let response = client.request(upload).await.unwrap();
    assert_eq!(text(response).await, sha256(&pattern(300_000)));
    assert_eq!(client.connections(), 1);
}

#[tokio::test]
async fn an_echo_is_in_step_with_its_upload() {
    let (client, _) = client().await;
    let (pieces, body) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(body, |mut body| async {
        let piece = body.recv().await?;
        Some((Ok::<_, std::io::Error>(http_body::Frame::data(piece)), body))
    });
    let body = http_body_util::StreamBody::new(frames);
    pieces.send(Bytes::from("one")).await.unwrap();
    let response = client.request(post("/echo", body)).await.unwrap();
    let mut echoed = response.into_body();
    for next in ["two", "three"] {
        assert!(echoed.frame().await.unwrap().unwrap().is_data());
        pieces.send(Bytes::from(next)).await.unwrap();
    }
    drop(pieces);
    assert_eq!(echoed.collect().await.unwrap().to_bytes(), "three");
}

#[tokio::test]
async fn fields_are_those_of_http1() {
    let (client, _) = client().await;
    let mut request = get("/fields");
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    request.extensions_mut().insert(Priority::new(1, true));
    let fields = text(client.request(request).await.unwrap()).await;
    for field in [
        "\"host\": \"test.example\"",
        "\"te\": \"trailers\"",
        "\"connection\": \"TE\"",
        "\"priority\": \"u=1, i\"",
    ] {
        assert!(fields.contains(field), "{fields}");
    }
    assert!(
        !fields.contains("content-length") && !fields.contains("transfer-encoding"),
        "{fields}"
    );
    for name in [
        "connection",
        "keep-alive",
        "upgrade",
        "transfer-encoding",
        "proxy-connection",
    ] {
        let mut request = get("/fields");
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static("x"));
        match client.request(request).await.unwrap_err() {
            ClientError::Request(RequestError::ForbiddenField { name: refused, .. }) => {
                assert_eq!(refused.as_str(), name);
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn trailers_pass_both_ways_and_unnamed_ones_are_an_error() {
    let (client, _) = client().await;
    let body = |name: &'static str| {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_static("7"));
        Full::new(Bytes::from("body")).with_trailers(async move { Some(Ok(trailers)) })
    };
    let mut request = post("/request-trailers", body("x-checksum"));
    request
        .headers_mut()
        .insert("trailer", HeaderValue::from_static("x-other, X-Checksum"));
    let response = client.request(request).await.unwrap();
    assert_eq!(text(response).await, "4 Some(\"7\")");
    assert_eq!(client.connections(), 1);

    for (field, name) in [("x-other", "x-checksum"), ("content-type", "content-type")] {
        let mut request = post("/request-trailers", body(name));
        request
            .headers_mut()
            .insert("trailer", HeaderValue::from_static(field));
        match client.request(request).await.unwrap_err() {
            ClientError::Body(error) => {
                let expected = BodyError::UnnamedTrailer {
                    name: name.parse().unwrap(),
                };
                assert_eq!(error.downcast_ref(), Some(&expected));
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn trailers_of_a_response_follow_its_body() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, _| async move {
            while server.head().await.is_some() {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let body = "4\r\nbody\r\n0\r\nx-checksum: 42\r\n\r\n";
                server.say([head, body].concat()).await;
            }
        },
    );
    for _ in 0..2 {
        let response = client.request(get("/")).await.unwrap();
        let whole = response.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["x-checksum"], "42");
        assert_eq!(whole.to_bytes(), "body");
    }
    assert_eq!(dials.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_http1_lacks_is_a_typed_error() {
    let (client, witness) = client().await;
    let origin = Origin::of(&"http://test.example/".parse().unwrap()).unwrap();
    for _ in 0..2 {
        let error = client.connection(&origin).await.unwrap_err();
        assert!(matches!(error, ClientError::Http1Only { .. }), "{error}");
        assert!(error.is_connect());
    }
    let tunnel = Request::connect("a.example:443").body(()).unwrap();
    let error = client.tunnel(&origin, tunnel).await.unwrap_err();
    assert!(error.to_string().contains("CONNECT"), "{error}");
    let mut extended = Request::connect("http://test.example/chat")
        .body(())
        .unwrap();
    extended
        .extensions_mut()
        .insert(ConnectProtocol::from_static("websocket"));
    let error = client.tunnel(&origin, extended).await.unwrap_err();
    let ClientError::Request(RequestError::NotInHttp1 { .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(
        witness.requests.load(std::sync::atomic::Ordering::SeqCst),
        0
    );
    assert_eq!(
        text(client.request(get("/hello")).await.unwrap()).await,
        "hello world"
    );
}

#[tokio::test]
async fn a_body_that_fails_is_the_error_and_one_that_is_too_short_too() {
    let (client, _) = client().await;
    let mut request = post("/digest", Generator::new(1000, Arc::default()));
    request
        .headers_mut()
        .insert("content-length", HeaderValue::from_static("2000"));
    match client.request(request).await.unwrap_err() {
        ClientError::Body(error) => {
            let expected = BodyError::TooShort {
                declared: 2000,
                length: 1000,
            };
            assert_eq!(error.downcast_ref(), Some(&expected));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn informational_responses_are_passed_on() {
    let (client, _) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            server
                .say("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")
                .await;
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            server.hold().await;
        },
    );
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hints = Arc::clone(&seen);
    let mut request = get("/");
    request
        .extensions_mut()
        .insert(OnInformational::new(move |response| {
            hints
                .lock()
                .unwrap()
                .push((response.status(), response.headers()["link"].clone()));
        }));
    let response = client.request(request).await.unwrap();
    assert!(!response.headers().contains_key("link"));
    assert_eq!(text(response).await, "ok");
    let hint = (
        StatusCode::EARLY_HINTS,
        HeaderValue::from_static("</a.css>"),
    );
    assert_eq!(*seen.lock().unwrap(), [hint]);
}

fn expecting(body: &'static str) -> Request<Full<Bytes>> {
    let mut request = post("/x", Full::new(Bytes::from(body)));
    request
        .headers_mut()
        .insert("expect", HeaderValue::from_static("100-continue"));
    request
}

#[tokio::test]
async fn a_body_waits_for_100_and_is_not_sent_after_a_refusal() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, number| async move {
            server.head().await.unwrap();
            if number == 0 {
                server
                    .say("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 4\r\n\r\nnope")
                    .await;
                let mut rest = Vec::new();
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut server.0, &mut rest).await;
                assert_eq!(rest, b"", "no byte of the body");
                return;
            }
            server.say("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(server.read(4).await, b"body");
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            server.hold().await;
        },
    );
    let refused = client.request(expecting("body")).await.unwrap();
    assert_eq!(refused.status(), 417);
    assert_eq!(text(refused).await, "nope");
    assert_eq!(client.connections(), 0, "it cannot carry another request");
    assert_eq!(
        text(client.request(expecting("body")).await.unwrap()).await,
        "ok"
    );
    assert_eq!(dials.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_does_not_wait_for_100_forever() {
    let (client, _) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            assert_eq!(server.read(4).await, b"body");
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            server.hold().await;
        },
    );
    assert_eq!(
        text(client.request(expecting("body")).await.unwrap()).await,
        "ok"
    );
}

#[tokio::test]
async fn head_204_and_304_have_no_body_and_keep_the_connection() {
    let (client, dials) = script::client(
        |it| it,
        |mut server, _| async move {
            while let Some(head) = server.head().await {
                match &head {
                    head if head.starts_with("head") => {
                        server
                            .say("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
                            .await
                    }
                    head if head.contains("/204") => {
                        server.say("HTTP/1.1 204 No Content\r\n\r\n").await
                    }
                    _ => {
                        server
                            .say("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n")
                            .await
                    }
                }
            }
        },
    );
    for (method, path) in [("HEAD", "/"), ("GET", "/204"), ("GET", "/304")] {
        let mut request = get(path);
        *request.method_mut() = method.parse().unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(text(response).await, "");
    }
    assert_eq!(dials.load(std::sync::atomic::Ordering::SeqCst), 1);
}
