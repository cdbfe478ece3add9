//! Tunnels by CONNECT, and WebSockets by extended CONNECT.

use std::{
    convert::Infallible,
    future::Future as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use axum::{Router, body::Body as AxumBody, extract::Request, routing::any};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Response, StatusCode};
use lacewing_client::{
    Client, ClientError, ClientOptions, Connect, ConnectProtocol, Connected, Connecting,
    Connection, Origin, RequestError, Tunnel, Version,
};
use lacewing_server::{ExtendedConnect, ServerOptions, serve_connection, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, protocol::CloseFrame, protocol::Role, protocol::frame::coding::CloseCode,
    },
};

use crate::support::{peer::*, *};

fn to_host() -> http::Request<()> {
    http::Request::connect("db.example:5432").body(()).unwrap()
}

fn websocket(path: &str) -> http::Request<()> {
    let mut request = http::Request::connect(format!("http://test.example{path}"))
        .body(())
        .unwrap();
    let protocol = ConnectProtocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
    request
}

/// Echoes until the end.
async fn echo(tunnel: lacewing_server::Tunnel) {
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
        let _ = writer.shutdown().await;
    }
}

/// The server's end of a tunnel does one of these.
type Handler = Arc<dyn Fn(lacewing_server::Tunnel) + Send + Sync>;

/// A server that accepts all tunnels except those to port 1.
fn proxy(io: DuplexStream, version: Version, handle: Handler) {
    let service = service_fn(
        move |request: http::Request<lacewing_server::RequestBody>| {
            let handle = Arc::clone(&handle);
            async move {
                if request.uri().port_u16() == Some(1) {
                    let mut refusal = Response::new(AxumBody::from("not there"));
                    *refusal.status_mut() = StatusCode::FORBIDDEN;
                    return Ok::<_, Infallible>(refusal);
                }
                let Ok((response, tunnel)) = lacewing_server::tunnel(&request) else {
                    return Ok(Response::new(AxumBody::from("hello world")));
                };
                handle(tunnel);
                Ok(response.map(AxumBody::new))
            }
        },
    );
    tokio::spawn(serve_connection(
        io,
        version,
        ServerOptions::default(),
        service,
    ));
}

fn through_proxy(version: Version, handle: Handler) -> Connection {
    let (client, server) = tokio::io::duplex(64 * 1024);
    proxy(server, version, handle);
    let (connection, task) = Connection::handshake(client, version, ClientOptions::default());
    tokio::spawn(task);
    connection
}

fn echoing() -> Handler {
    Arc::new(|tunnel| drop(tokio::spawn(echo(tunnel))))
}

#[test]
fn bytes_go_through_a_tunnel_and_its_halves_end_apart() {
    every_version(|version| async move {
        let connection = through_proxy(version, echoing());
        let (response, tunnel) = connection.tunnel(to_host()).await.unwrap();
        assert_eq!(response.status(), 200);
        let sent = pattern(2_000_000);
        let (mut reader, mut writer) = tokio::io::split(tunnel);
        let sending = tokio::spawn(async move {
            writer.write_all(&pattern(2_000_000)).await.unwrap();
            // Our half ends; bytes in flight still return.
            writer.shutdown().await.unwrap();
            writer
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        assert!(received == sent, "{version}: {}", received.len());
        drop(sending.await.unwrap());
        drop(reader);
        until("an idle connection", || connection.is_idle()).await;
        let response = connection.request(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world");
    });
}

/// Bytes before a shutdown arrive, no matter which handles are then dropped. If a tunnel is dropped
/// without a shutdown, its flushed bytes arrive before the reset.
#[test]
fn what_was_sent_before_a_drop_arrives() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Last {
        Shutdown,
        Flush,
    }
    async fn send(mut tunnel: Tunnel, len: usize, last: Last) {
        tunnel.write_all(&pattern(len)).await.unwrap();
        match last {
            Last::Shutdown => tunnel.shutdown().await.unwrap(),
            Last::Flush => tunnel.flush().await.unwrap(),
        }
    }
    async fn receive(mut tunnel: Tunnel, len: usize, last: Last) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut received = vec![0; len];
        let read = tunnel.read_exact(&mut received).await;
        assert!(read.is_ok(), "{last:?}, {len}: {read:?}");
        assert!(received == pattern(len), "{last:?}, {len}");
        let ended = tunnel.read(&mut [0; 8]).await;
        match last {
            Last::Shutdown => assert_eq!(ended.unwrap(), 0),
            Last::Flush => assert!(ended.is_err()),
        }
    }
    every_version(|version| async move {
        for len in [10, 5_000, 300_000] {
            for last in [Last::Shutdown, Last::Flush] {
                // The client is the sender.
                let (tell, told) = tokio::sync::oneshot::channel();
                let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
                let connection = through_proxy(
                    version,
                    Arc::new(move |tunnel| {
                        let _ = tell.lock().unwrap().take().unwrap().send(tunnel);
                    }),
                );
                let (_, tunnel) = connection.tunnel(to_host()).await.unwrap();
                let theirs = told.await.unwrap();
                tokio::join!(send(tunnel, len, last), receive(theirs, len, last));
                // The server is the sender.
                let connection = through_proxy(
                    version,
                    Arc::new(move |tunnel| drop(tokio::spawn(send(tunnel, len, last)))),
                );
                let (_, tunnel) = connection.tunnel(to_host()).await.unwrap();
                receive(tunnel, len, last).await;
                until("an idle connection", || connection.is_idle()).await;
            }
        }
    });
}

#[test]
fn a_tunnel_that_is_refused_says_how() {
    every_version(|version| async move {
        let connection = through_proxy(version, echoing());
        let request = http::Request::connect("db.example:1").body(()).unwrap();
        let error = connection.tunnel(request).await.unwrap_err();
        match &error {
            ClientError::TunnelRefused { response } => assert_eq!(response.status(), 403),
            other => panic!("{version}: {other}"),
        }
        assert!(error.to_string().contains("403"), "{error}");
        until("an idle connection", || connection.is_idle()).await;
        connection.tunnel(to_host()).await.unwrap();
    });
}

/// A proxy behind each connection. The first proxy soon shuts down.
struct Proxies {
    version: Version,
    dialled: Arc<AtomicUsize>,
}

impl Connect for Proxies {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            let (client, server) = tokio::io::duplex(64 * 1024);
            if self.version == Version::Http2 && self.dialled.fetch_add(1, Ordering::SeqCst) == 0 {
                tokio::spawn(async move {
                    let mut peer = Peer::start(server, &[]).await;
                    peer.expect(HEADERS).await;
                    peer.go_away(0, 0).await;
                    peer.next().await
                });
            } else {
                proxy(server, self.version, echoing());
            }
            Ok(Connected::new(client, self.version))
        })
    }
}

#[test]
fn a_client_asks_another_proxy_if_one_leaves() {
    every_version(|version| async move {
        let dialled = Arc::default();
        let client = Client::builder()
            .connector(Proxies { version, dialled })
            .build();
        let origin = Origin::of(&"http://proxy.example".parse().unwrap()).unwrap();
        for _ in 0..2 {
            let (response, mut tunnel) = client.tunnel(&origin, to_host()).await.unwrap();
            assert_eq!(response.status(), 200);
            tunnel.write_all(b"ping").await.unwrap();
            let mut pong = [0; 4];
            tunnel.read_exact(&mut pong).await.unwrap();
            assert_eq!(&pong, b"ping");
        }
        assert_eq!(client.connections(), 1);
    });
}

/// Either side stops reading: the other side can write a bounded part of the gigabyte that it
/// offers. All other streams continue.
#[test]
fn a_side_that_stalls_costs_no_memory() {
    const GIGABYTE: usize = 1 << 30;
    every_version(|version| async move {
        // A window, a pipe, the transport, and the data that is cut ahead, on both sides. Without
        // windows: the data that is read before the transport waits.
        let bound = match version {
            Version::Spdy2 => 10 << 20,
            _ => 4 << 20,
        };
        let stalled: Arc<std::sync::Mutex<Vec<_>>> = Arc::default();
        let (held, offered) = (Arc::clone(&stalled), Arc::new(AtomicUsize::new(0)));
        let by_server = Arc::clone(&offered);
        let handle: Handler = Arc::new(move |tunnel| {
            let (reader, writer) = tokio::io::split(tunnel);
            // Reads nothing, and writes as much as possible.
            held.lock().unwrap().push(reader);
            tokio::spawn(offer(writer, GIGABYTE, Arc::clone(&by_server)));
        });
        let connection = through_proxy(version, handle);
        let (_, tunnel) = connection.tunnel(to_host()).await.unwrap();
        let (reader, writer) = tokio::io::split(tunnel);
        let by_client = Arc::new(AtomicUsize::new(0));
        tokio::spawn(offer(writer, GIGABYTE, Arc::clone(&by_client)));
        settled(&by_client).await;
        settled(&offered).await;
        for written in [&by_client, &offered] {
            let written = written.load(Ordering::SeqCst);
            assert!((60_000..bound).contains(&written), "{version}: {written}");
        }
        let stats = connection.stats().await.unwrap();
        assert!(stats.buffered_bytes < bound && stats.output_bytes < bound);
        if version != Version::Spdy2 {
            // SPDY/2 has no windows: a side that does not read stops the transport.
            let response = connection.request(get("/hello")).await.unwrap();
            assert_eq!(text(response).await, "hello world");
        }
        drop(reader);
    });
}

async fn offer(
    mut writer: impl tokio::io::AsyncWrite + Unpin,
    bytes: usize,
    written: Arc<AtomicUsize>,
) {
    let piece = vec![0; 32 * 1024];
    while written.load(Ordering::SeqCst) < bytes {
        match writer.write(&piece).await {
            Ok(length) => written.fetch_add(length, Ordering::SeqCst),
            Err(_) => return,
        };
    }
}

/// Waits until a number stays the same for a while.
async fn settled(number: &AtomicUsize) {
    let (mut last, mut same) = (0, 0);
    while same < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let now = number.load(Ordering::SeqCst);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
    }
}

/// Sends messages back until the client closes.
async fn echo_messages(request: Request) -> Result<Response<AxumBody>, String> {
    let (response, tunnel) =
        lacewing_server::tunnel(&request).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        let mut socket = WebSocketStream::from_raw_socket(tunnel, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
        // A stream that is dropped without it is reset, and its last message is lost.
        let _ = socket.get_mut().shutdown().await;
    });
    Ok(response.map(AxumBody::new))
}

async fn open_websocket(connection: &Connection) -> WebSocketStream<Tunnel> {
    let (response, tunnel) = connection.tunnel(websocket("/chat")).await.unwrap();
    assert_eq!(response.status(), 200);
    WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await
}

fn site(extended: ExtendedConnect) -> Connection {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let router = Router::new()
        .route("/chat", any(echo_messages))
        .route("/hello", any(|| async { "hello world" }));
    let options = ServerOptions::default().extended_connect(extended);
    tokio::spawn(serve_connection(server, Version::Http2, options, router));
    let config = ClientOptions::default();
    let (connection, task) = Connection::handshake(client, Version::Http2, config);
    tokio::spawn(task);
    connection
}

#[tokio::test]
async fn websockets_over_one_connection() {
    // The first request of the connection: it waits for the server's SETTINGS.
    let connection = site(ExtendedConnect::Offer);
    let mut socket = open_websocket(&connection).await;
    let mut other = open_websocket(&connection).await;
    other.send(Message::text("between")).await.unwrap();
    for message in [
        Message::text("grüße"),
        Message::binary(pattern(100_000)),
        Message::binary(pattern(10_000_000)),
        Message::text("last"),
    ] {
        // A large message returns while it is still being sent.
        let (mut sink, mut stream) = socket.split();
        let sent = message.clone();
        let (sent, received) = tokio::join!(sink.send(sent), stream.next());
        sent.unwrap();
        assert!(received.unwrap().unwrap() == message);
        socket = sink.reunite(stream).unwrap();
    }
    let response = connection.request(get("/hello")).await.unwrap();
    assert_eq!(text(response).await, "hello world");
    assert_eq!(
        other.next().await.unwrap().unwrap(),
        Message::text("between")
    );
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "done".into(),
    };
    for mut socket in [socket, other] {
        socket.close(Some(goodbye.clone())).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::Close(Some(goodbye.clone())));
        assert!(socket.next().await.is_none());
    }
    until("an idle connection", || connection.is_idle()).await;
}

#[tokio::test]
async fn a_server_without_extended_connect_is_found_out() {
    let connection = site(ExtendedConnect::Off);
    for _ in 0..2 {
        let error = connection.tunnel(websocket("/chat")).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Request(RequestError::NoExtendedConnect)),
            "{error}"
        );
        assert!(error.to_string().contains("RFC 8441"), "{error}");
    }
    let response = connection.request(get("/hello")).await.unwrap();
    assert_eq!(text(response).await, "hello world");
}

#[test]
fn spdy_has_no_extended_connect() {
    every_version(|version| async move {
        if version == Version::Http2 {
            return;
        }
        let connection = through_proxy(version, echoing());
        let error = connection.tunnel(websocket("/chat")).await.unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::Request(RequestError::Unsupported { .. })
            ),
            "{error}"
        );
    });
}

/// Requests after one that waits for SETTINGS do not wait for it. A request that is dropped
/// meanwhile is never sent.
#[tokio::test]
async fn only_extended_connect_waits_for_the_settings() {
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    let config = ClientOptions::default();
    let (connection, task) = Connection::handshake(client, Version::Http2, config);
    let task = tokio::spawn(task);
    let mut dropped = Box::pin(connection.tunnel(websocket("/dropped")));
    let waiting = {
        let connection = connection.clone();
        tokio::spawn(async move { connection.tunnel(websocket("/chat")).await })
    };
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(dropped.as_mut().poll(&mut nobody).is_pending());
    tokio::task::yield_now().await;
    let plain = connection.request(get("/hello"));
    let mut preface = [0; 24];
    server.read_exact(&mut preface).await.unwrap();
    let mut peer = Peer { io: server };
    // The server has sent nothing yet, not even an acknowledgement of the client's settings.
    let head = loop {
        let frame = peer.frame().await.unwrap();
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert_eq!((head.stream, head.ends()), (1, true));
    assert_eq!(connection.streams().queued, 2);
    drop(dropped);
    // SETTINGS_ENABLE_CONNECT_PROTOCOL = 1.
    peer.send_settings(&[(8, 1)]).await;
    let head = peer.expect(HEADERS).await;
    assert_eq!((head.stream, head.ends()), (3, false));
    peer.send(HEADERS, END_HEADERS, 3, OK).await;
    let (response, mut tunnel) = waiting.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    tunnel.write_all(b"to").await.unwrap();
    assert_eq!(peer.expect(DATA).await.payload, "to");
    peer.send(DATA, 0, 3, b"fro").await;
    let mut three = [0; 3];
    tunnel.read_exact(&mut three).await.unwrap();
    assert_eq!(&three, b"fro");
    drop(tunnel);
    assert_eq!(peer.expect(RST_STREAM).await.code(), CANCEL);
    peer.answer(1).await;
    assert_eq!(plain.await.unwrap().status(), 200);
    drop(connection);
    peer.expect(GOAWAY).await;
    drop(peer);
    task.await.unwrap().unwrap();
}
