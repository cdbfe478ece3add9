//! Statuses and methods with special or forbidden content, and request targets: the view of
//! handlers, and the bytes that are sent.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use lacewing_conn::proto::Head;
use lacewing_server::{BoxError, RequestBody, ServerOptions, Version, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peer::Peer;

type Reply = Response<BoxBody<Bytes, BoxError>>;

/// Responds with the status in the path, five bytes, and the length that the path specifies.
async fn answer(request: Request<RequestBody>) -> Result<Reply, Infallible> {
    let status = request.uri().path().trim_start_matches('/');
    let status = StatusCode::from_bytes(status.as_bytes()).unwrap();
    let body = Full::new(Bytes::from_static(b"hello"));
    let mut response = Response::new(body.map_err(Into::into).boxed());
    *response.status_mut() = status;
    if let Some(length) = request.headers().get("x-length") {
        let lengths = length.to_str().unwrap().split(' ');
        for length in lengths {
            let length = HeaderValue::from_str(length).unwrap();
            response.headers_mut().append(CONTENT_LENGTH, length);
        }
    }
    Ok(response)
}

fn head(method: Method, path: &str) -> Head {
    let uri = format!("http://example.org{path}").parse().unwrap();
    Head::request(method, uri)
}

#[tokio::test]
async fn a_status_without_content_leaves_without_it() {
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service_fn(answer));
        for status in [204, 205, 304] {
            for length in [None, Some("5")] {
                let mut head = head(Method::GET, &format!("/{status}"));
                if let Some(length) = length {
                    let length = HeaderValue::from_static(length);
                    head.fields.insert("x-length", length);
                }
                let key = peer.open_with(head);
                peer.stream(key).send_data(Bytes::new(), true).unwrap();
                let answer = peer.answer(key).await;
                assert!(answer.fin && answer.reset.is_none(), "{version} {status}");
                assert_eq!(answer.status.unwrap().as_u16(), status);
                assert!(answer.body.is_empty(), "{version} {status}");
                let kept = status == 304 && length.is_some();
                assert_eq!(answer.fields.contains_key(CONTENT_LENGTH), kept);
                let told = peer.log.lock().unwrap().pop().unwrap();
                assert!(told.contains(&format!("{status} has no content")), "{told}");
            }
        }
        // A response to HEAD omits its body intentionally.
        let key = peer.open(Method::HEAD, "/200", None);
        let answer = peer.answer(key).await;
        assert!(answer.fin && answer.body.is_empty());
        assert_eq!(answer.fields[CONTENT_LENGTH], "5");
        assert!(peer.log.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_length_that_is_none_is_a_failure_of_the_handler() {
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service_fn(answer));
        for lengths in ["x", "+5", "5 6"] {
            let mut head = head(Method::GET, "/200");
            let lengths = HeaderValue::from_static(lengths);
            head.fields.insert("x-length", lengths);
            let key = peer.open_with(head);
            peer.stream(key).send_data(Bytes::new(), true).unwrap();
            let answer = peer.answer(key).await;
            assert_eq!(answer.status, Some(StatusCode::INTERNAL_SERVER_ERROR));
            let told = peer.log.lock().unwrap().pop().unwrap();
            assert!(told.contains("content-length is not one number"), "{told}");
        }
        let mut head = head(Method::GET, "/200");
        let twice = HeaderValue::from_static("5 5");
        head.fields.insert("x-length", twice);
        let key = peer.open_with(head);
        peer.stream(key).send_data(Bytes::new(), true).unwrap();
        let answer = peer.answer(key).await;
        assert_eq!(answer.text(), "hello", "{version}");
        assert_eq!(answer.fields.get_all(CONTENT_LENGTH).iter().count(), 1);
    }
}

/// Any 2xx opens a tunnel, 204 and 205 included.
#[tokio::test]
async fn a_tunnel_may_be_opened_by_any_success() {
    for version in Version::ALL {
        let service = service_fn(|request: Request<RequestBody>| async move {
            let status = request.headers()["x-status"].to_str().unwrap().to_owned();
            let (mut response, mut tunnel) = lacewing_server::tunnel(&request).unwrap();
            *response.status_mut() = status.parse().unwrap();
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            tokio::spawn(async move {
                let mut said = Vec::new();
                tunnel.read_to_end(&mut said).await.unwrap();
                said.reverse();
                tunnel.write_all(&said).await.unwrap();
                tunnel.shutdown().await.unwrap();
            });
            Ok::<_, Infallible>(response)
        });
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        for status in ["200", "204", "205", "299"] {
            let uri = "example.org:22".parse().unwrap();
            let mut head = Head::request(Method::CONNECT, uri);
            let value = HeaderValue::from_static(status);
            head.fields.insert("x-status", value);
            let key = peer.open_with(head);
            peer.head(key).await;
            assert!(
                !peer.received(key).fin,
                "{version}: {status} ended the tunnel"
            );
            let bytes = Bytes::from_static(b"abc");
            peer.stream(key).send_data(bytes, true).unwrap();
            let answer = peer.answer(key).await;
            assert_eq!(answer.status.unwrap().as_str(), status);
            assert_eq!(answer.text(), "cba", "{version}: {status}");
            assert!(peer.log.lock().unwrap().is_empty());
        }
    }
}

/// The authority that gRPC stacks send over Unix sockets. A `Uri` cannot hold it, so it is in the
/// `host` field.
#[tokio::test]
async fn an_authority_that_no_uri_holds_is_in_the_host_field() {
    for version in Version::ALL {
        let service = service_fn(|request: Request<RequestBody>| async move {
            let hosts: Vec<_> = request.headers().get_all("host").iter().collect();
            let text = format!("{} {hosts:?}", request.uri());
            Ok::<_, Infallible>(Response::new(text))
        });
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let uri = "/package.Service/Method".parse().unwrap();
        let mut head = Head::request(Method::POST, uri);
        let host = HeaderValue::from_static("%2Frun%2Fsock.sock");
        head.fields.insert("host", host);
        let key = peer.open_with(head);
        peer.stream(key).send_data(Bytes::new(), true).unwrap();
        let answer = peer.answer(key).await;
        let expected = "/package.Service/Method [\"%2Frun%2Fsock.sock\"]";
        assert_eq!(answer.text(), expected, "{version}");
        // An authority that a URI can hold is in its usual place.
        let mut head = Head::request(Method::POST, "/path".parse().unwrap());
        let host = HeaderValue::from_static("example.org:80");
        head.fields.insert("host", host);
        let key = peer.open_with(head);
        peer.stream(key).send_data(Bytes::new(), true).unwrap();
        let answer = peer.answer(key).await;
        assert_eq!(answer.text(), "http://example.org:80/path []", "{version}");
    }
}
