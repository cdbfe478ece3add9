//! CONNECT, plain and extended: a request becomes a stream of bytes.

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{Method, StatusCode};
use lacewing_conn::proto::{ConnectProtocol, Control, Head, OpenError, OpenOptions};
use lacewing_server::{
    ConnectRequest, ConnectionInfo, ExtendedConnect, Reason, RequestBody, ServerOptions,
    TunnelError, Version,
};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::Peer;

/// An axum handler, which receives the request's body as axum's type.
async fn handler(request: Request) -> Response {
    let refused = |text: String| {
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    };
    let target = request.uri().to_string();
    if target == "forbidden.example:22" {
        return refused("not there".into());
    }
    let connect = request.extensions().get::<ConnectRequest>().cloned();
    let (response, mut tunnel) = match lacewing_server::tunnel(&request) {
        Ok(both) => both,
        Err(error) => return refused(error.to_string()),
    };
    assert_eq!(
        connect.as_ref().unwrap().accept().unwrap_err(),
        TunnelError::Taken
    );
    let protocol = connect.and_then(|connect| connect.protocol().map(str::to_owned));
    tokio::spawn(async move {
        let greeting = format!("{target} {protocol:?}: ");
        tunnel.write_all(greeting.as_bytes()).await.unwrap();
        if target == "vanishing.example:22" {
            tunnel.flush().await.unwrap();
            return;
        }
        let mut said = Vec::new();
        tunnel.read_to_end(&mut said).await.unwrap();
        said.reverse();
        tunnel.write_all(&said).await.unwrap();
        tunnel.shutdown().await.unwrap();
    });
    response.map(Body::new)
}

fn peer(options: ServerOptions) -> Peer {
    let router = axum::Router::new()
        .route("/chat", axum::routing::any(handler))
        .fallback(handler);
    let info = ConnectionInfo::from(Version::Http2);
    Peer::connect_as(info, options, router, |_| {})
}

fn connect(target: &str) -> Head {
    Head::request(Method::CONNECT, target.parse().unwrap())
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways() {
    let mut peer = peer(ServerOptions::default());
    let key = peer.open_with(connect("example.org:22"));
    peer.until(|peer| !peer.received(key).body.is_empty()).await;
    assert_eq!(peer.received(key).status, Some(StatusCode::OK));
    assert!(!peer.received(key).fields.contains_key("content-length"));
    assert_eq!(peer.received(key).text(), "example.org:22 None: ");
    peer.stream(key)
        .send_data(Bytes::from_static(b"abc"), true)
        .unwrap();
    let answer = peer.answer(key).await;
    assert_eq!(answer.text(), "example.org:22 None: cba");
    assert!(answer.fin && answer.reset.is_none());
    assert_eq!(peer.engine.open_streams(), 0);
}

#[tokio::test]
async fn a_handler_may_refuse_a_tunnel() {
    let mut peer = peer(ServerOptions::default());
    let key = peer.open_with(connect("forbidden.example:22"));
    let answer = peer.answer(key).await;
    assert_eq!(answer.status, Some(StatusCode::FORBIDDEN));
    assert_eq!(answer.text(), "not there");
    assert_eq!(answer.fields["content-length"], "9");
}

#[tokio::test]
async fn only_connect_becomes_a_tunnel() {
    let mut peer = peer(ServerOptions::default());
    let answer = peer.post("/chat", "x").await;
    assert_eq!(answer.text(), TunnelError::NotConnect.to_string());
}

/// A dropped tunnel ends with CANCEL, and no side reports a failure.
#[tokio::test]
async fn a_tunnel_that_is_dropped_is_cancelled() {
    let mut peer = peer(ServerOptions::default());
    let key = peer.open_with(connect("vanishing.example:22"));
    let answer = peer.answer(key).await;
    assert_eq!(answer.reset, Some(Reason::Cancel));
    assert_eq!(answer.text(), "vanishing.example:22 None: ");
    assert!(peer.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn extended_connect_is_there_when_it_was_offered() {
    let head = || {
        let mut head = connect("http://example.org/chat");
        if let Control::Request { protocol, .. } = &mut head.control {
            *protocol = Some(ConnectProtocol::from_static("websocket"));
        }
        head
    };
    let mut without = peer(ServerOptions::default());
    without.get("/chat").await;
    let refused = without
        .engine
        .open(Instant::now(), head(), OpenOptions::default());
    assert!(matches!(refused, Err(OpenError::ExtendedConnectDisabled)));

    let mut peer = peer(ServerOptions::default().extended_connect(ExtendedConnect::Offer));
    peer.until(|peer| peer.engine.peer_allows_extended_connect())
        .await;
    let key = peer.open_with(head());
    peer.stream(key).send_data(Bytes::new(), false).unwrap();
    peer.stream(key)
        .send_data(Bytes::from_static(b"xyz"), true)
        .unwrap();
    let expected = "http://example.org/chat Some(\"websocket\"): zyx";
    assert_eq!(peer.answer(key).await.text(), expected);
}

/// A handler that has only the request also sees the protocol.
#[tokio::test]
async fn the_protocol_is_in_the_extensions() {
    let service = lacewing_server::service_fn(|request: http::Request<RequestBody>| async move {
        let protocol = request.extensions().get::<ConnectProtocol>();
        let text = protocol.map_or("none", ConnectProtocol::as_str).to_owned();
        Ok::<_, std::convert::Infallible>(http::Response::new(text))
    });
    let options = ServerOptions::default().extended_connect(ExtendedConnect::Offer);
    let mut peer = Peer::connect(Version::Http2, options, service);
    peer.until(|peer| peer.engine.peer_allows_extended_connect())
        .await;
    let mut head = connect("http://example.org/");
    if let Control::Request { protocol, .. } = &mut head.control {
        *protocol = Some(ConnectProtocol::from_static("chat"));
    }
    let key = peer.open_with(head);
    assert_eq!(peer.answer(key).await.text(), "chat");
}
