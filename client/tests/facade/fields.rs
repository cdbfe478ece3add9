//! The fields of a request that are sent, and those that are errors: no field is dropped silently.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use lacewing_client::{
    Body, Client, ClientError, ClientOptions, ConnectProtocol, Connection, PushPolicy,
    RequestError, Version,
};
use lacewing_server::{RequestBody, Server, ServerOptions, serve_connection, service_fn};

use crate::support::{any_port, every_version, listen, pair, text};

/// Returns the requested URI and the received fields.
async fn describe(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let (parts, body) = request.into_parts();
    let trailers = body.collect().await.unwrap().trailers().cloned();
    let fields = parts.headers.iter().chain(trailers.iter().flatten());
    let fields: Vec<_> = fields
        .filter(|(name, _)| name.as_str() != "host")
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
        .collect();
    Ok(Response::new(format!("{} {}", parts.uri, fields.join(" "))))
}

fn described(version: Version) -> Connection {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let service = service_fn(describe);
    tokio::spawn(serve_connection(
        server,
        version,
        ServerOptions::default(),
        service,
    ));
    let (connection, task) = Connection::handshake(client, version, ClientOptions::default());
    tokio::spawn(task);
    connection
}

const FORBIDDEN: [(&str, &str); 8] = [
    ("connection", "close"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "websocket"),
    ("te", "gzip"),
    ("te", "trailers, deflate"),
    ("http2-settings", "AAMAAABk"),
];

#[test]
fn fields_that_cannot_be_sent_are_refused_by_name() {
    every_version(|version| async move {
        let pair = pair(version);
        for (name, value) in FORBIDDEN {
            let request = Request::get("http://test.example/hello")
                .header(name, value)
                .body(Body::empty())
                .unwrap();
            let error = pair.connection.request(request).await.unwrap_err();
            let ClientError::Request(RequestError::ForbiddenField { name: named, why }) = &error
            else {
                panic!("{version}: {name}: {error}")
            };
            assert_eq!(named, name);
            assert!(
                !why.is_empty() && error.to_string().contains(name),
                "{error}"
            );
        }
        let requests = pair
            .witness
            .requests
            .load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(requests, 0, "{version}");
        // The only permitted value.
        let request = Request::get("http://test.example/fields")
            .header("te", " trailers ")
            .body(Body::empty())
            .unwrap();
        let response = pair.connection.request(request).await.unwrap();
        assert!(text(response).await.contains("trailers"), "{version}");
    });
}

#[test]
fn trailers_that_cannot_be_sent_are_refused_by_name() {
    every_version(|version| async move {
        let pair = pair(version);
        let more = [("content-length", "4"), ("host", "a"), ("te", "trailers")];
        for (name, value) in FORBIDDEN.into_iter().chain(more) {
            let mut trailers = HeaderMap::new();
            trailers.insert(name, HeaderValue::from_static(value));
            let frames = [
                Ok::<_, Infallible>(Frame::data(Bytes::from("body"))),
                Ok(Frame::trailers(trailers)),
            ];
            let request = Request::post("http://test.example/never")
                .body(StreamBody::new(futures_util::stream::iter(frames)))
                .unwrap();
            let error = pair.connection.request(request).await.unwrap_err();
            let ClientError::Request(RequestError::ForbiddenField { name: named, .. }) = &error
            else {
                panic!("{version}: {name}: {error}")
            };
            assert_eq!(named, name);
        }
    });
}

#[test]
fn blanks_around_a_value_are_no_part_of_it() {
    every_version(|version| async move {
        let connection = described(version);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-behind", HeaderValue::from_static("3\t"));
        let frames = [
            Ok::<_, Infallible>(Frame::data(Bytes::from("body"))),
            Ok(Frame::trailers(trailers)),
        ];
        let request = Request::post("http://test.example/")
            .header("x-before", " 1")
            .header("x-around", "\t2 2 ")
            .body(StreamBody::new(futures_util::stream::iter(frames)))
            .unwrap();
        let response = connection.request(request).await.unwrap();
        let text = text(response).await;
        for field in ["x-before=1", "x-around=2 2", "x-behind=3"] {
            assert!(text.contains(field), "{version}: {text}");
        }
    });
}

/// As in curl and Go: the URI names the server to connect to, and `host` the authority.
#[test]
fn a_host_field_becomes_the_authority() {
    every_version(|version| async move {
        let connection = described(version);
        for (uri, host, seen) in [
            (
                "http://test.example/a",
                "other.example:81",
                "http://other.example:81/a",
            ),
            (
                "http://test.example/a",
                "TEST.example",
                "http://test.example/a",
            ),
            ("/a?b", "other.example", "http://other.example/a?b"),
        ] {
            let request = Request::get(uri)
                .header("host", host)
                .body(Body::empty())
                .unwrap();
            let response = connection.request(request).await.unwrap();
            let text = text(response).await;
            assert!(
                text.eq_ignore_ascii_case(&format!("{seen} ")),
                "{version}: {text}"
            );
        }
        for (hosts, error) in [
            (&["a", "b"][..], RequestError::SeveralHosts),
            (&["a", "a"], RequestError::SeveralHosts),
            (&["me@a"], RequestError::Userinfo),
            (&["a b"], RequestError::InvalidHost { host: "a b".into() }),
        ] {
            let mut request = Request::get("http://a/").body(Body::empty()).unwrap();
            for host in hosts {
                request
                    .headers_mut()
                    .append("host", HeaderValue::from_static(host));
            }
            let refused = connection.request(request).await.unwrap_err();
            assert!(
                matches!(&refused, ClientError::Request(told) if *told == error),
                "{refused}"
            );
        }
    });
}

/// A request of gRPC's C core over a Unix socket. No `Uri` can hold its authority.
#[test]
fn an_authority_that_no_uri_holds_is_sent() {
    every_version(|version| async move {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let service = service_fn(|request: Request<RequestBody>| async move {
            let hosts: Vec<_> = request.headers().get_all("host").iter().collect();
            let seen = format!("{} {} {hosts:?}", request.method(), request.uri());
            Ok::<_, Infallible>(Response::new(seen))
        });
        let options = ServerOptions::default();
        tokio::spawn(serve_connection(server, version, options, service));
        // The server may push: this authority must not be compared with the origin of a push.
        let options = ClientOptions::default().accept_push(PushPolicy::default());
        let (connection, task) = Connection::handshake(client, version, options);
        tokio::spawn(task);
        for (uri, host) in [
            ("http://localhost/a?b", "%2Frun%2Fsock.sock"),
            ("/a?b", " %2Frun%2Fsock.sock:81 "),
        ] {
            let request = Request::get(uri).header("host", host);
            let request = request.body(Body::empty()).unwrap();
            let response = connection.request(request).await.unwrap();
            let expected = format!("GET /a?b [{:?}]", host.trim());
            assert_eq!(text(response).await, expected, "{version}");
        }
        // A tunnel needs a target with a host and a port.
        let request = Request::connect("other.example:443").header("host", "%2Frun:443");
        let error = connection.request(request.body(Body::empty()).unwrap());
        let error = error.await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Request(RequestError::ForbiddenField { name, .. }) if name == "host"),
            "{version}: {error}"
        );
    });
}

#[test]
fn what_connect_has_no_place_for_is_refused() {
    every_version(|version| async move {
        let connection = described(version);
        let connect = |name: &'static str, value: &'static str| {
            let request = Request::connect("other.example:443").header(name, value);
            connection.request(request.body(Body::empty()).unwrap())
        };
        for (name, value) in [("host", "third.example:443"), ("content-length", "4")] {
            let error = connect(name, value).await.unwrap_err();
            assert!(
                matches!(&error, ClientError::Request(RequestError::ForbiddenField { name: named, .. })
                    if named == name),
                "{version}: {error}"
            );
        }
        let request = Request::connect("http://other.example:443/chat?x");
        let request = request.body(Body::empty()).unwrap();
        let error = connection.request(request).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Request(RequestError::ConnectToPath)),
            "{error}"
        );
        let mut request = Request::get("http://a/").body(Body::empty()).unwrap();
        request
            .extensions_mut()
            .insert(ConnectProtocol::from_static("websocket"));
        let error = connection.request(request).await.unwrap_err();
        let expected = RequestError::ProtocolWithoutConnect;
        assert!(
            matches!(&error, ClientError::Request(told) if *told == expected),
            "{error}"
        );
    });
}

/// The pool uses the URI: both requests share its connection.
#[tokio::test]
async fn a_client_connects_to_the_uri_and_asks_for_the_host() {
    let server = Server::builder().bind(any_port());
    let address = listen(server, service_fn(describe)).await;
    for version in Version::ALL {
        let client = Client::builder().cleartext_protocol(version).build();
        for host in ["one.example", "two.example:8080"] {
            let request = Request::get(format!("http://{address}/x"))
                .header("host", host)
                .body(Body::empty())
                .unwrap();
            let response = client.request(request).await.unwrap();
            assert_eq!(
                text(response).await,
                format!("http://{host}/x "),
                "{version}"
            );
        }
        assert_eq!(client.connections(), 1, "{version}");
    }
}
