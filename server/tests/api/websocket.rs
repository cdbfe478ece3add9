//! axum's own WebSockets: the same handler on the same route, over HTTP/1.1 and over HTTP/2 (RFC
//! 8441), with tungstenite as the client.

#[path = "../../examples/axum_websocket.rs"]
#[allow(dead_code, unreachable_pub)]
mod example;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    error_handling::HandleErrorLayer,
    extract::{ConnectInfo, Request},
    middleware::{Next, from_fn},
};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Method, StatusCode};
use lacewing_conn::proto::{ConnectProtocol, Control, Event, Head, OpenOptions, StreamKey};
use lacewing_server::{BoxError, Version, axum::serve};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, protocol::Role},
};

use tower::ServiceBuilder;

use crate::support::{Client, Running};

/// The stream of a WebSocket, on a new HTTP/2 connection.
async fn open(io: TcpStream, protocol: &'static str) -> (StatusCode, Option<DuplexStream>) {
    let mut client = Client::new(io, Version::Http2);
    while !client.engine.peer_allows_extended_connect() {
        client.event().await;
    }
    let mut head = Head::request(Method::CONNECT, "http://localhost/echo".parse().unwrap());
    if let Control::Request { protocol: wish, .. } = &mut head.control {
        *wish = Some(ConnectProtocol::from_static(protocol));
    }
    for (name, value) in [
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "other, echo"),
    ] {
        head.fields.insert(name, HeaderValue::from_static(value));
    }
    let now = std::time::Instant::now();
    let stream = client
        .engine
        .open(now, head, OpenOptions::default())
        .unwrap();
    let (status, fields) = loop {
        if let Event::Reply { head, .. } = client.event().await {
            break (head.status().unwrap(), head.fields);
        }
    };
    if status != StatusCode::OK {
        return (status, None);
    }
    assert_eq!(fields["sec-websocket-protocol"], "echo");
    assert!(!fields.contains_key("content-length"), "{fields:?}");
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(carry(client, stream, theirs));
    (status, Some(ours))
}

/// Forwards bytes between a stream and a pipe, until the stream ends.
async fn carry<T>(mut client: Client<T>, stream: StreamKey, pipe: DuplexStream)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(pipe);
    let mut buffer = vec![0; 4096];
    let mut open = true;
    loop {
        let now = std::time::Instant::now();
        while let Some(event) = client.engine.poll_event(now, &mut client.input) {
            match event {
                Event::Data { stream, data, fin } => {
                    client.engine.stream(now, stream).release(data.len());
                    writer.write_all(&data).await.unwrap();
                    if fin {
                        return;
                    }
                }
                Event::Reset { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        client.flush().await;
        tokio::select! {
            read = client.io.read_buf(&mut client.input) => {
                assert_ne!(read.unwrap(), 0, "closed by the server");
            }
            read = reader.read(&mut buffer), if open => {
                let len = read.unwrap();
                open = len > 0;
                let data = bytes::Bytes::copy_from_slice(&buffer[..len]);
                client.engine.stream(now, stream).send_data(data, !open).unwrap();
            }
        }
    }
}

async fn converse<T>(socket: &mut WebSocketStream<T>, leg: &str)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let large = "x".repeat(200_000);
    for text in ["hello", "", &large] {
        socket.send(Message::text(text)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.into_text().unwrap(), text);
    }
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        let message = message.unwrap_or_else(|error| panic!("{leg}: {error}"));
        assert!(message.is_close());
    }
}

#[tokio::test]
async fn one_route_takes_websockets_over_http_1_1_and_http_2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = serve(listener, example::router());
    let running = Running::start(|stop| server.with_graceful_shutdown(stop).into_future());
    take_websockets(address).await;
    running.stop().await.unwrap();
}

/// Layers see the request, and do not prevent the upgrade. A limit counts the handler, and not the
/// socket.
#[tokio::test]
async fn websockets_pass_layers_and_know_their_client() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let look = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next| {
        sees.lock().unwrap().push(peer.ip().to_string());
        next.run(request)
    };
    let app = example::router().layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(async |error: BoxError| {
                (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }))
            .load_shed()
            .concurrency_limit(1)
            .timeout(Duration::from_secs(60))
            .layer(from_fn(look)),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    );
    let running = Running::start(|stop| server.with_graceful_shutdown(stop).into_future());
    take_websockets(address).await;
    running.stop().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["127.0.0.1"; 3]);
}

async fn take_websockets(address: SocketAddr) {
    let io = TcpStream::connect(address).await.unwrap();
    let mut request = format!("ws://{address}/echo")
        .into_client_request()
        .unwrap();
    let protocols = HeaderValue::from_static("other, echo");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocols);
    let (mut socket, response) = tokio_tungstenite::client_async(request, io).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
    converse(&mut socket, "http/1.1").await;

    let io = TcpStream::connect(address).await.unwrap();
    let (status, stream) = open(io, "websocket").await;
    assert_eq!(status, StatusCode::OK);
    let stream = stream.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    converse(&mut socket, "h2").await;
    drop(socket);

    // axum checks `:protocol`.
    let io = TcpStream::connect(address).await.unwrap();
    let (status, _) = open(io, "something-else").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
