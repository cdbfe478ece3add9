//! Exchanges in every combination of protocols: content, trailers, informational responses, ends.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Body, OnInformational, Version};
use lacewing_server::{Protocol, RequestBody};
use tokio::sync::mpsc;

use crate::peers::{BACKS, FRONTS, Pieces, Script, client, forward, patiently, script, upstream};

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

/// Each piece comes back before the next one is sent: nothing is collected on the way.
#[tokio::test(flavor = "multi_thread")]
async fn content_streams_both_ways_at_once() {
    for (scheme, protocol) in BACKS {
        let echo = |request: Request<RequestBody>| async { Response::new(request.into_body()) };
        let address = upstream(protocol, echo).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &[]);
        for front in FRONTS {
            let (send, receive) = mpsc::channel(1);
            let uri = format!("http://{}/echo", running.http);
            let request = Request::post(uri).body(Pieces(receive)).unwrap();
            send.send(data("first")).await.unwrap();
            let response = patiently(client(front).request(request)).await.unwrap();
            assert_eq!(response.status(), 200, "{front:?} {scheme}");
            let mut body = response.into_body();
            for (said, next) in [("first", "second"), ("second", "third"), ("third", "")] {
                let frame = patiently(body.frame()).await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), said, "{front:?} {scheme}");
                if !next.is_empty() {
                    send.send(data(next)).await.unwrap();
                }
            }
            drop(send);
            let end = patiently(body.frame()).await;
            assert!(end.is_none(), "{front:?} {scheme}: {end:?}");
        }
    }
}

/// A megabyte each way is the same in every combination, with its length.
#[tokio::test(flavor = "multi_thread")]
async fn content_and_its_length_arrive_unchanged() {
    let content: Vec<u8> = (0..1_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let content = Bytes::from(content);
    for (scheme, protocol) in BACKS {
        let echo = |request: Request<RequestBody>| async {
            let length = request.headers().get("content-length").cloned();
            let mut response = Response::new(request.into_body());
            response
                .headers_mut()
                .extend(length.map(|length| (http::header::CONTENT_LENGTH, length)));
            response
        };
        let address = upstream(protocol, echo).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &[]);
        for front in FRONTS {
            let uri = format!("http://{}/", running.http);
            let request = Request::put(&uri).body(Full::new(content.clone())).unwrap();
            let response = patiently(client(front).request(request)).await.unwrap();
            assert_eq!(
                response.headers()["content-length"],
                "1000000",
                "{front:?} {scheme}"
            );
            let body = patiently(response.into_body().collect()).await.unwrap();
            assert!(body.to_bytes() == content, "{front:?} {scheme}");
            let request = Request::head(&uri).body(Body::empty()).unwrap();
            let response = patiently(client(front).request(request)).await.unwrap();
            let body = patiently(response.into_body().collect()).await.unwrap();
            assert!(body.to_bytes().is_empty(), "{front:?} {scheme}");
        }
    }
}

/// As gRPC does: trailers after content, trailers alone, and `te: trailers`.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_in_both_directions() {
    let answer = |request: Request<RequestBody>| async move {
        let te = request.headers().get("te").cloned();
        let alone = request.uri().path() == "/alone";
        let asked = request.into_body().collect().await.unwrap();
        let mut trailers = asked.trailers().cloned().unwrap_or_default();
        trailers.insert("grpc-status", HeaderValue::from_static("7"));
        trailers.extend(te.map(|te| (http::HeaderName::from_static("x-te"), te)));
        let (send, receive) = mpsc::channel(2);
        if !alone {
            send.send(data("content")).await.unwrap();
        }
        send.send(Frame::trailers(trailers)).await.unwrap();
        Response::new(Pieces(receive))
    };
    let grpc = [("h2c", Protocol::Http2), ("spdy31", Protocol::Spdy31)];
    for (scheme, protocol) in grpc {
        let address = upstream(protocol, answer).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &[]);
        for front in [Version::Http2, Version::Spdy31] {
            for path in ["/whole", "/alone"] {
                let (send, receive) = mpsc::channel(2);
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", HeaderValue::from_static("9"));
                send.send(data("question")).await.unwrap();
                send.send(Frame::trailers(trailers)).await.unwrap();
                drop(send);
                let request = Request::post(format!("http://{}{path}", running.http))
                    .header("te", "trailers")
                    .header("content-type", "application/grpc")
                    .body(Pieces(receive))
                    .unwrap();
                let response = patiently(client(Some(front)).request(request))
                    .await
                    .unwrap();
                let body = patiently(response.into_body().collect()).await.unwrap();
                let trailers = body.trailers().expect("trailers");
                assert_eq!(trailers["grpc-status"], "7", "{front:?} {scheme} {path}");
                assert_eq!(trailers["x-sum"], "9", "{front:?} {scheme} {path}");
                assert_eq!(trailers["x-te"], "trailers", "{front:?} {scheme} {path}");
            }
        }
    }
}

/// A response that breaks off in any way is never complete to the client.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_is_no_clean_end() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfa",
    ] {
        let serve = move |mut peer: Script| async move {
            peer.head().await;
            peer.say(head).await;
        };
        let address = script(serve).await;
        let (_directory, running) = forward(&format!("http://{address}"), &[]);
        for front in FRONTS {
            let uri = format!("http://{}/", running.http);
            let request = Request::get(uri).body(Body::empty()).unwrap();
            let broken = match patiently(client(front).request(request)).await {
                Ok(response) => patiently(response.into_body().collect()).await.is_err(),
                Err(_) => true,
            };
            assert!(broken, "{front:?} {head:?}");
        }
    }
}

/// A client that goes away ends the work of the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_the_client_cancels_the_upstreams_request() {
    for (scheme, protocol) in BACKS {
        let (begun, mut is_begun) = mpsc::unbounded_channel();
        let (gone, mut is_gone) = mpsc::unbounded_channel();
        let never = move |request: Request<RequestBody>| {
            let _ = begun.send(());
            let guard = Gone(gone.clone());
            async move {
                std::future::pending::<()>().await;
                drop((request, guard));
                Response::new(Full::new(Bytes::new()))
            }
        };
        let address = upstream(protocol, never).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &[]);
        for front in FRONTS {
            let uri = format!("http://{}/", running.http);
            let request = Request::get(uri).body(Body::empty()).unwrap();
            let asking = tokio::spawn(client(front).request(request));
            patiently(is_begun.recv()).await.unwrap();
            asking.abort();
            let why = format!("{front:?} {scheme}");
            patiently(is_gone.recv()).await.expect(&why);
        }
    }
}

/// Tells that it is dropped.
struct Gone(mpsc::UnboundedSender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// 103 passes to clients of HTTP/2, and its fields stay out of the response.
#[tokio::test(flavor = "multi_thread")]
async fn early_hints_pass() {
    let hints = |mut peer: Script| async move {
        while peer.head().await.is_some() {
            peer.say("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x\r\nx: 1\r\n\r\n")
                .await;
            peer.say("HTTP/1.1 102 Processing\r\n\r\n").await;
            peer.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    };
    let address = script(hints).await;
    let (_directory, running) = forward(&format!("http://{address}"), &[]);
    for front in FRONTS {
        let (hint, hints) = std::sync::mpsc::channel();
        let uri = format!("http://{}/", running.http);
        let mut request = Request::get(uri).body(Body::empty()).unwrap();
        request
            .extensions_mut()
            .insert(OnInformational::new(move |response| {
                let _ = hint.send((response.status(), response.headers().clone()));
            }));
        let response = patiently(client(front).request(request)).await.unwrap();
        assert!(!response.headers().contains_key("link"), "{front:?}");
        let body = patiently(response.into_body().collect()).await.unwrap();
        assert_eq!(body.to_bytes(), "ok");
        let hints: Vec<_> = hints.try_iter().collect();
        if front == Some(Version::Http2) {
            assert_eq!(hints.len(), 2, "{hints:?}");
            assert_eq!(
                (hints[0].0, &hints[0].1["link"]),
                (
                    StatusCode::EARLY_HINTS,
                    &HeaderValue::from_static("</a.css>")
                )
            );
            assert!(!hints[0].1.contains_key("x"), "{hints:?}");
        } else {
            assert!(hints.is_empty(), "{front:?}: {hints:?}");
        }
    }
}

/// The upstream decides whether the client sends its content.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_100_waits_for_the_upstream() {
    let decide = |mut peer: Script| async move {
        let head = peer.head().await.unwrap_or_default();
        assert!(head.contains("expect: 100-continue"), "{head}");
        if head.starts_with("PUT /no") {
            peer.say(
                "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )
            .await;
            return;
        }
        peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
        let mut content = [0; 5];
        tokio::io::AsyncReadExt::read_exact(&mut peer.0, &mut content)
            .await
            .unwrap();
        let length = content.len();
        peer.say(format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        ))
        .await;
        peer.say(content).await;
    };
    let address = script(decide).await;
    let (_directory, running) = forward(&format!("http://{address}"), &[]);
    for front in [None, Some(Version::Http2)] {
        let client = match front {
            Some(version) => lacewing_client::Client::builder().cleartext_protocol(version),
            None => lacewing_client::Client::builder().http1(),
        };
        // Longer than the test: the content waits for the upstream's word alone.
        let long = std::time::Duration::from_secs(600);
        let client = client
            .options(|options| options.continue_timeout(long))
            .build();
        for (path, status) in [("/yes", 200), ("/no", 413)] {
            let request = Request::put(format!("http://{}{path}", running.http))
                .header("expect", "100-continue")
                .body(String::from("hello"))
                .unwrap();
            let response = patiently(client.request(request)).await.unwrap();
            assert_eq!(response.status(), status, "{front:?} {path}");
            let body = patiently(response.into_body().collect()).await.unwrap();
            let expected = if status == 200 { "hello" } else { "" };
            assert_eq!(body.to_bytes(), expected, "{front:?} {path}");
        }
    }
}

/// Files are beside the routes, with the methods that files have.
#[tokio::test(flavor = "multi_thread")]
async fn files_answer_what_no_route_takes() {
    let echo = |request: Request<RequestBody>| async move {
        let text = format!("{} {}", request.method(), request.uri());
        Response::new(Full::new(Bytes::from(text)))
    };
    let address = upstream(Protocol::Http1, echo).await;
    let (_directory, running) = forward(
        &format!("/api=http://{address}"),
        &["--header", "x-added: 1"],
    );
    for front in FRONTS {
        for (method, path, status, expected) in [
            (Method::GET, "/hello.txt", 200, "hello world"),
            (Method::POST, "/hello.txt", 405, "405"),
            (Method::GET, "/api", 200, "GET /api"),
            (Method::DELETE, "/%61pi/1?a=b", 200, "DELETE /%61pi/1?a=b"),
            (Method::GET, "/apis", 404, "404"),
            (Method::GET, "/api/%2e%2e/hello.txt", 400, "400"),
        ] {
            let uri = format!("http://{}{path}", running.http);
            let request = Request::builder()
                .method(method)
                .uri(uri)
                .body(Body::empty())
                .unwrap();
            let response = patiently(client(front).request(request)).await.unwrap();
            assert_eq!(response.status(), status, "{front:?} {path}");
            assert_eq!(response.headers()["x-added"], "1");
            let body = patiently(response.into_body().collect())
                .await
                .unwrap()
                .to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(body.starts_with(expected), "{front:?} {path}: {body}");
        }
    }
}
