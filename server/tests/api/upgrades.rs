//! Users of hyper's upgrades, over every protocol that has streams.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use lacewing_conn::proto::{Event, Head, OpenOptions};
use lacewing_server::{
    ConnectRequest, Protocol, ServerOptions, Version, axum::Upgrades, serve_connection,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

use crate::support::Client;

/// The outcome of an upgrade, for its handler.
type Told = mpsc::UnboundedSender<Result<(), String>>;

/// A proxy in the usual form for HTTP/1.1, which echoes.
async fn echo(mut request: Request, told: Told) -> Response {
    assert_eq!(*request.method(), Method::CONNECT);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let result = match upgrade.await {
            Err(error) => Err(error.to_string()),
            Ok(upgraded) => {
                let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                writer.shutdown().await.map_err(|error| error.to_string())
            }
        };
        let _ = told.send(result);
    });
    match request.uri().host() {
        Some("forbidden.example") => StatusCode::FORBIDDEN.into_response(),
        _ => Response::new(Body::empty()),
    }
}

fn connect(version: Version, router: Router) -> Client<DuplexStream> {
    let (io, server) = tokio::io::duplex(1 << 16);
    let options = ServerOptions::default();
    tokio::spawn(serve_connection(
        server,
        version,
        options,
        Upgrades::new(router),
    ));
    Client::new(io, version)
}

/// Requests a tunnel, and sends data into it.
async fn ask(client: &mut Client<DuplexStream>, host: &str, say: &[u8]) -> (StatusCode, Vec<u8>) {
    let head = Head::request(Method::CONNECT, format!("{host}:443").parse().unwrap());
    let now = std::time::Instant::now();
    let stream = client
        .engine
        .open(now, head, OpenOptions::default())
        .unwrap();
    let (mut status, mut said, mut heard) = (None, false, Vec::new());
    loop {
        match client.event().await {
            Event::Reply { head, fin, .. } => {
                status = head.status();
                if fin {
                    return (status.unwrap(), heard);
                }
                if !std::mem::replace(&mut said, true) {
                    let say = Bytes::copy_from_slice(say);
                    client
                        .engine
                        .stream(now, stream)
                        .send_data(say, true)
                        .unwrap();
                }
            }
            Event::Data { stream, data, fin } => {
                client.engine.stream(now, stream).release(data.len());
                heard.extend_from_slice(&data);
                if fin {
                    return (status.unwrap(), heard);
                }
            }
            Event::Reset { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_proxy_written_for_http_1_1_works_on_streams() {
    for version in Version::ALL {
        let (tell, mut told) = mpsc::unbounded_channel();
        let router = Router::new().fallback(move |request| echo(request, tell.clone()));
        let mut client = connect(version, router);
        let (status, heard) = ask(&mut client, "example.org", b"hello").await;
        assert_eq!((status, &heard[..]), (StatusCode::OK, &b"hello"[..]));
        assert_eq!(told.recv().await, Some(Ok(())));
    }
}

/// Over HTTP/1.1, hyper makes a tunnel of any successful response (RFC 9110 §9.3.6).
#[tokio::test]
async fn any_success_opens_a_tunnel_over_http_1_1() {
    for status in [200, 201, 204, 205, 299] {
        let router = Router::new().fallback(move |mut request: Request| async move {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let upgraded = upgrade.await.unwrap();
                let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                writer.write_all(b"!").await.unwrap();
                writer.shutdown().await.unwrap();
            });
            StatusCode::from_u16(status).unwrap()
        });
        let (mut io, server) = tokio::io::duplex(1 << 16);
        let options = ServerOptions::default();
        let service = Upgrades::new(router);
        tokio::spawn(serve_connection(server, Protocol::Http1, options, service));
        io.write_all(b"CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n")
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        for field in ["content-length", "transfer-encoding"] {
            assert!(!head.contains(field), "{head}");
        }
        io.write_all(b"hello").await.unwrap();
        io.shutdown().await.unwrap();
        let mut heard = Vec::new();
        io.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"hello!", "{status}");
    }
}

/// As over HTTP/1.1, where to drop the tunnel closes the connection: the written data arrives, and
/// then the end.
#[tokio::test]
async fn an_upgrade_that_is_dropped_is_closed() {
    for version in Version::ALL {
        let router = Router::new().fallback(async |mut request: Request| {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgrade.await.unwrap());
                io.read_to_end(&mut Vec::new()).await.unwrap();
                io.write_all(&[7; 5000]).await.unwrap();
                io.flush().await.unwrap();
            });
        });
        let mut client = connect(version, router);
        let (status, heard) = ask(&mut client, "example.org", b"hello").await;
        assert_eq!((status, heard), (StatusCode::OK, vec![7; 5000]));
    }
}

/// A handler that waits for an upgrade receives an error if there is none.
#[tokio::test]
async fn a_request_that_is_turned_down_has_no_upgrade() {
    for version in Version::ALL {
        let (tell, mut told) = mpsc::unbounded_channel();
        let router = Router::new().fallback(move |request| echo(request, tell.clone()));
        let mut client = connect(version, router);
        let (status, heard) = ask(&mut client, "forbidden.example", b"").await;
        assert_eq!((status, &heard[..]), (StatusCode::FORBIDDEN, &b""[..]));
        let error = told.recv().await.unwrap().unwrap_err();
        assert!(error.contains("cancel"), "{error}");
    }
}

/// A handler that uses `ConnectRequest` still can. The response of a handler without any upgrade is
/// sent unchanged.
#[tokio::test]
async fn handlers_that_do_not_ask_for_an_upgrade_are_as_without() {
    for version in Version::ALL {
        let own = async |request: Request| {
            let connect = request.extensions().get::<ConnectRequest>().unwrap();
            let (response, mut tunnel) = connect.accept().unwrap();
            tokio::spawn(async move {
                let mut all = Vec::new();
                tunnel.read_to_end(&mut all).await.unwrap();
                tunnel.write_all(&all).await.unwrap();
                tunnel.shutdown().await.unwrap();
            });
            response.map(Body::new)
        };
        let mut client = connect(version, Router::new().fallback(own));
        let (status, heard) = ask(&mut client, "example.org", b"hello").await;
        assert_eq!((status, &heard[..]), (StatusCode::OK, &b"hello"[..]));

        let refuses = async || (StatusCode::METHOD_NOT_ALLOWED, "no tunnels");
        let mut client = connect(version, Router::new().fallback(refuses));
        let (status, heard) = ask(&mut client, "example.org", b"").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(heard, b"no tunnels");
    }
}

/// Requests other than CONNECT are not changed.
#[tokio::test]
async fn other_requests_have_nothing_to_upgrade() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    for version in Version::ALL {
        let sees = Arc::clone(&seen);
        let router = Router::new().fallback(move |request: Request| async move {
            let found = request.extensions().get::<hyper::upgrade::OnUpgrade>();
            sees.lock().unwrap().push(found.is_some());
            "hello"
        });
        assert_eq!(connect(version, router).get("/").await, "hello");
    }
    assert_eq!(*seen.lock().unwrap(), [false; 4]);
}
