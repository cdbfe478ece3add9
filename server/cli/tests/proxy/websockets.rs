//! WebSockets, from each way of asking to each kind of upstream.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use http_body_util::Full;
use lacewing_client::{Client, ConnectProtocol, Origin, Version};
use lacewing_server::{ConnectRequest, Protocol, RequestBody, TunnelBody};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::peers::{Script, forward, patiently, script, upstream};

async fn echo<T: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<T>) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// An upstream in HTTP/1.1, by a library that checks the handshake.
async fn http1() -> String {
    let serve = |peer: Script| async {
        if let Ok(socket) = tokio_tungstenite::accept_async(peer.0).await {
            echo(socket).await;
        }
    };
    format!("http://{}", script(serve).await)
}

/// An upstream in HTTP/2.
async fn http2() -> String {
    let serve = |request: Request<RequestBody>| async move {
        let connect = request.extensions().get::<ConnectRequest>().unwrap();
        assert_eq!(connect.protocol(), Some("websocket"));
        assert!(!request.headers().contains_key("sec-websocket-key"));
        let (response, tunnel) = connect.accept().unwrap();
        tokio::spawn(async {
            echo(WebSocketStream::from_raw_socket(tunnel, Role::Server, None).await).await;
        });
        let response: Response<TunnelBody> = response;
        response
    };
    format!("h2c://{}", upstream(Protocol::Http2, serve).await)
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<T>) {
    for text in ["hello", "again", &"long".repeat(50_000)] {
        patiently(socket.send(Message::text(text))).await.unwrap();
        let answer = patiently(socket.next()).await.unwrap().unwrap();
        assert!(answer == Message::text(text));
    }
    patiently(socket.close(None)).await.unwrap();
    while let Some(Ok(_)) = patiently(socket.next()).await {}
}

async fn by_connect(address: std::net::SocketAddr) -> Result<lacewing_client::Tunnel, u16> {
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let uri = format!("http://{address}/chat");
    let origin = Origin::of(&uri.parse().unwrap()).unwrap();
    let mut request = Request::connect(uri)
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request
        .extensions_mut()
        .insert(ConnectProtocol::from_static("websocket"));
    match patiently(client.tunnel(&origin, request)).await {
        Ok((_, tunnel)) => Ok(tunnel),
        Err(lacewing_client::ClientError::TunnelRefused { response }) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_works_in_all_four_combinations() {
    for to in [http1().await, http2().await] {
        let (_directory, running) = forward(&to, &[]);
        let io = TcpStream::connect(running.http).await.unwrap();
        let uri = format!("ws://{}/chat", running.http);
        let (socket, _) = patiently(tokio_tungstenite::client_async(uri, io))
            .await
            .expect(&to);
        converse(socket).await;
        let tunnel = by_connect(running.http).await.expect(&to);
        converse(WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await).await;
    }
}

/// An answer other than 101 passes as it is, with its content; a success that did not switch is no
/// tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_passes_unchanged() {
    for (status, connect) in [(401, 401), (426, 426), (200, 502)] {
        let refuse = move |mut peer: Script| async move {
            let head = peer.head().await.unwrap_or_default();
            assert!(
                head.contains("upgrade: websocket") && head.contains("connection: upgrade"),
                "{head}"
            );
            peer.say(format!("HTTP/1.1 {status} No\r\nupgrade: websocket\r\nconnection: upgrade\r\nx: 1\r\ncontent-length: 3\r\n\r\nwhy")).await;
            peer.hold().await;
        };
        let (_directory, running) = forward(&format!("http://{}", script(refuse).await), &[]);
        let mut io = TcpStream::connect(running.http).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
        io.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("why") {
            let mut bytes = [0; 1024];
            let len = patiently(io.read(&mut bytes)).await.unwrap();
            assert!(len > 0, "{answer}");
            answer += std::str::from_utf8(&bytes[..len]).unwrap();
        }
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(
            answer.contains("x: 1\r\n") && answer.contains("upgrade: websocket\r\n"),
            "{answer}"
        );
        assert_eq!(by_connect(running.http).await.err(), Some(connect));
    }
}

/// An upstream whose protocol has no such tunnels is named as the reason.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_in_spdy_has_no_websockets() {
    let ok = |_| async { Response::new(Full::new(Bytes::new())) };
    let address = upstream(Protocol::Spdy31, ok).await;
    let (_directory, running) = forward(&format!("spdy31://{address}"), &[]);
    assert_eq!(by_connect(running.http).await.err(), Some(502));
    // CONNECT without a protocol would make it an open proxy.
    let mut io = TcpStream::connect(running.http).await.unwrap();
    io.write_all(b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 12];
    patiently(io.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 405");
}

/// A wrong accept of the upstream, and an upstream that switches to another protocol.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_fit_is_no_tunnel() {
    for fields in [
        "upgrade: websocket\r\nsec-websocket-accept: x",
        "upgrade: h2c",
    ] {
        let switch = move |mut peer: Script| async move {
            peer.head().await;
            peer.say(format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n{fields}\r\n\r\n"
            ))
            .await;
            peer.hold().await;
        };
        let (_directory, running) = forward(&format!("http://{}", script(switch).await), &[]);
        assert_eq!(by_connect(running.http).await.err(), Some(502), "{fields}");
    }
}

/// The upstream's end, clean or not, reaches the client.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_with_its_upstream() {
    let serve = |peer: Script| async {
        if let Ok(socket) = tokio_tungstenite::accept_async(peer.0).await {
            drop(socket);
        }
    };
    let (_directory, running) = forward(&format!("http://{}", script(serve).await), &[]);
    let tunnel = by_connect(running.http).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await;
    let end = patiently(socket.next()).await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}
