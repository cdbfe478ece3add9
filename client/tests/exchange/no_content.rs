//! Responses that have no content by definition: the view of users, who receive no other bytes as
//! content (RFC 9110 §6.4.1).

use http::{Method, Request};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, ClientOptions, Connection, Version};

use crate::support::peer::{DATA, END_HEADERS, END_STREAM, HEADERS, Peer, RST_STREAM, block};

const EXCHANGES: [(Method, &str); 6] = [
    (Method::GET, "204"),
    (Method::GET, "205"),
    (Method::GET, "304"),
    (Method::HEAD, "200"),
    (Method::HEAD, "404"),
    (Method::HEAD, "206"),
];

async fn start() -> (Peer, Connection) {
    let (client, server) = tokio::io::duplex(64 << 10);
    let config = ClientOptions::default();
    let (connection, task) = Connection::handshake(client, Version::Http2, config);
    tokio::spawn(task);
    (Peer::start(server, &[]).await, connection)
}

fn request(method: &Method) -> Request<Body> {
    let request = Request::builder().method(method);
    let request = request.uri("http://example.org/");
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn lengths_of_what_is_left_out_are_no_lengths() {
    let (mut peer, connection) = start().await;
    for (method, status) in EXCHANGES {
        for ends in [true, false] {
            let response = tokio::spawn(connection.request(request(&method)));
            let stream = peer.expect(HEADERS).await.stream;
            let length: &[_] = match status {
                // It has content, of length zero (RFC 9110 §15.3.6).
                "205" => &[("content-length", "0")],
                _ => &[("content-length", "7")],
            };
            let flags = if ends { END_STREAM } else { 0 };
            let head = block(status, length);
            peer.send(HEADERS, END_HEADERS | flags, stream, &head).await;
            let response = response.await.unwrap().unwrap();
            assert_eq!(response.status().as_str(), status);
            assert!(response.headers().contains_key("content-length"));
            let body = response.into_body();
            assert_eq!(body.size_hint().exact(), Some(0), "{method} {status}");
            if !ends {
                peer.send(DATA, END_STREAM, stream, b"").await;
            }
            let body = body.collect().await.unwrap();
            assert!(body.to_bytes().is_empty(), "{method} {status}");
        }
    }
}

#[tokio::test]
async fn content_where_there_is_none_is_an_error() {
    let (mut peer, connection) = start().await;
    for (method, status) in EXCHANGES {
        let response = tokio::spawn(connection.request(request(&method)));
        let stream = peer.expect(HEADERS).await.stream;
        let head = block(status, &[]);
        peer.send(HEADERS, END_HEADERS, stream, &head).await;
        let response = response.await.unwrap().unwrap();
        peer.send(DATA, END_STREAM, stream, b"smuggled").await;
        let error = response.into_body().collect().await.unwrap_err();
        assert!(error.to_string().contains("content"), "{error}");
        let reset = peer.expect(RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (stream, 1));
    }
}
