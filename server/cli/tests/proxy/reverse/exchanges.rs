//! Requests through a tunnel, from clients of each protocol.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client, ClientError, ConnectProtocol, Origin, Tunnel, Version};
use lacewing_server::{Protocol, RequestBody};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::{PROTOCOLS, becomes, dialler, fresh_tokens, gateway, get_by};
use crate::{
    peers::{FRONTS, Pieces, Script, client, patiently, script, upstream},
    program::Running,
};

/// Echoes the content, piece by piece, and the trailers.
async fn echo(request: Request<RequestBody>) -> Response<Pieces> {
    let (send, receive) = mpsc::channel(1);
    let via = request.headers().get("forwarded").cloned();
    let mut body = request.into_body();
    tokio::spawn(async move {
        let mut count = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { break };
            count += data.len();
            if send.send(Frame::data(data)).await.is_err() {
                return;
            }
        }
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-count"),
            count.to_string().parse().unwrap(),
        )]);
        let _ = send.send(Frame::trailers(trailers)).await;
    });
    let mut response = Response::new(Pieces(receive));
    let trailer = "x-count".parse().unwrap();
    response.headers_mut().insert("trailer", trailer);
    if let Some(via) = via {
        response.headers_mut().insert("x-forwarded", via);
    }
    response
}

/// Uploads and downloads stream at once, as gRPC's do, and trailers arrive.
#[tokio::test(flavor = "multi_thread")]
async fn content_streams_both_ways_with_trailers() {
    let address = upstream(Protocol::Http2, echo).await;
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let to = format!("h2c://{address}");
        let options = ["--proxy", &to, "--dial-protocol", protocol];
        let options = [&options[..], &["--trusted-proxy", "127.0.0.1"]].concat();
        let _dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/", 200).await;
        for front in FRONTS {
            let (send, receive) = mpsc::channel(1);
            let uri = format!("http://{}/echo", gateway.http);
            let mut request = Request::post(uri);
            if front.is_none() {
                request = request.header("te", "trailers");
            }
            let request = request.body(Pieces(receive)).unwrap();
            let asking = tokio::spawn(client(front).request(request));
            send.send(Frame::data(Bytes::from("ping 0"))).await.unwrap();
            let response = patiently(asking).await.unwrap().unwrap();
            assert_eq!(response.status(), 200, "{front:?} {protocol}");
            let forwarded = response.headers()["x-forwarded"].to_str().unwrap();
            assert!(forwarded.starts_with("for=127.0.0.1"), "{forwarded}");
            let mut body = response.into_body();
            // Each piece returns before the next is sent.
            for number in 1..=5 {
                let frame = patiently(body.frame()).await.unwrap().unwrap();
                let expected = format!("ping {}", number - 1);
                assert_eq!(frame.into_data().unwrap(), expected, "{front:?}");
                let next = Bytes::from(format!("ping {number}"));
                send.send(Frame::data(next)).await.unwrap();
            }
            drop(send);
            let rest = patiently(body.collect()).await.unwrap();
            // SPDY/2 and SPDY/3 too have trailers: HEADERS at the end.
            let trailers = rest.trailers().cloned().unwrap_or_default();
            assert_eq!(trailers["x-count"], "36", "{front:?} {protocol}");
            assert_eq!(rest.to_bytes(), "ping 5");
        }
    }
}

/// A dialler serves files by itself, and large ones arrive whole by every protocol.
#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_serves_its_files() {
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let folder = crate::program::Directory::new("lacewingd-reverse-files");
        let large = "0123456789abcdef".repeat(200_000);
        std::fs::write(folder.path("large.txt"), &large).unwrap();
        let root = folder.0.to_str().unwrap();
        let options = [root, "--dial-protocol", protocol];
        let _dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/hello.txt", 200).await;
        for front in FRONTS {
            let (status, text) = get_by(&gateway, "/large.txt", front).await;
            assert!(status == 200 && text == large, "{front:?} {protocol}");
        }
    }
}

/// A reset by the client reaches the upstream behind the tunnel, and many of them leave the tunnel
/// as it is.
#[tokio::test(flavor = "multi_thread")]
async fn resets_reach_the_origin_and_do_not_end_the_tunnel() {
    let (gone, mut ended) = mpsc::unbounded_channel();
    let (here, mut begun) = mpsc::unbounded_channel();
    struct Witness(mpsc::UnboundedSender<()>);
    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let handler = move |request: Request<RequestBody>| {
        let (witness, here) = (Witness(gone.clone()), here.clone());
        async move {
            if request.uri().path() == "/wait" {
                let _ = here.send(());
                std::future::pending::<()>().await;
            }
            std::mem::forget(witness);
            Response::new(String::from("ok"))
        }
    };
    let address = upstream(Protocol::Http2, handler).await;
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let to = format!("h2c://{address}");
        let options = ["--proxy", &to, "--dial-protocol", protocol];
        let dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/", 200).await;
        // More than the resets that one connection of a client may send.
        for front in [Some(Version::Http2), Some(Version::Spdy31), None] {
            for _ in 0..4 {
                let client = client(front);
                let mut waiting = Vec::new();
                // Over HTTP/1.1, six of them are under way at once.
                for _ in 0..if front.is_none() { 6 } else { 20 } {
                    let uri = format!("http://{}/wait", gateway.http);
                    let request = Request::get(uri).body(Body::empty()).unwrap();
                    let asking = client.request(request);
                    waiting.push(tokio::spawn(asking));
                }
                let count = waiting.len();
                for _ in 0..count {
                    patiently(begun.recv()).await.unwrap();
                }
                waiting.into_iter().for_each(|one| one.abort());
                drop(client);
                for _ in 0..count {
                    patiently(ended.recv()).await.unwrap();
                }
            }
        }
        becomes(&gateway, "/", 200).await;
        let (code, log) = dialler.terminate();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(log.matches("connected").count(), 1, "{log}");
    }
}

async fn chat() -> String {
    let serve = |peer: Script| async {
        if let Ok(mut socket) = tokio_tungstenite::accept_async(peer.0).await {
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        }
    };
    format!("/chat=http://{}", script(serve).await)
}

async fn by_connect(gateway: &Running) -> Result<Tunnel, u16> {
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let uri = format!("http://{}/chat", gateway.http);
    let origin = Origin::of(&uri.parse().unwrap()).unwrap();
    let request = Request::connect(uri).header("sec-websocket-version", "13");
    let mut request = request.body(()).unwrap();
    let websocket = ConnectProtocol::from_static("websocket");
    request.extensions_mut().insert(websocket);
    match patiently(client.tunnel(&origin, request)).await {
        Ok((_, tunnel)) => Ok(tunnel),
        Err(ClientError::TunnelRefused { response }) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn converse<T>(mut socket: WebSocketStream<T>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for text in ["hello", &"long".repeat(50_000)] {
        patiently(socket.send(Message::text(text))).await.unwrap();
        let answer = patiently(socket.next()).await.unwrap().unwrap();
        assert!(answer == Message::text(text));
    }
}

/// WebSockets pass a tunnel of HTTP/2, by Upgrade and by RFC 8441. SPDY has no way to ask for them.
#[tokio::test(flavor = "multi_thread")]
async fn websockets_pass_a_tunnel_of_http2() {
    let files = crate::program::Directory::new("lacewingd-reverse-chat");
    let to = chat().await;
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let root = files.0.to_str().unwrap();
        let options = [root, "--proxy", &to, "--dial-protocol", protocol];
        let _dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/hello.txt", 200).await;
        let io = TcpStream::connect(gateway.http).await.unwrap();
        let uri = format!("ws://{}/chat", gateway.http);
        let upgraded = patiently(tokio_tungstenite::client_async(uri, io)).await;
        let connected = by_connect(&gateway).await;
        if protocol == "h2" {
            converse(upgraded.unwrap().0).await;
            let tunnel = connected.unwrap();
            converse(WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await).await;
        } else {
            let error = upgraded.unwrap_err().to_string();
            assert!(error.contains("502"), "{error}");
            assert_eq!(connected.err(), Some(502));
        }
    }
}

/// Clients that read nothing stop only themselves, and memory has a bound at both ends.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_stop_nobody_and_cost_a_window() {
    let endless = |request: Request<RequestBody>| async move {
        let (send, receive) = mpsc::channel(1);
        let pieces = match request.uri().path() {
            "/endless" => u32::MAX,
            _ => 64,
        };
        tokio::spawn(async move {
            let piece = Bytes::from(vec![7; 16 << 10]);
            for _ in 0..pieces {
                if send.send(Frame::data(piece.clone())).await.is_err() {
                    return;
                }
            }
        });
        Response::new(Pieces(receive))
    };
    let address = upstream(Protocol::Http2, endless).await;
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let to = format!("h2c://{address}");
        let options = ["--proxy", &to, "--dial-protocol", protocol];
        let dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/", 200).await;
        let mut slow = Vec::new();
        for front in [Some(Version::Http2), Some(Version::Spdy31)] {
            for _ in 0..6 {
                let slow_client = client(front);
                for _ in 0..5 {
                    let uri = format!("http://{}/endless", gateway.http);
                    let request = Request::get(uri).body(Body::empty()).unwrap();
                    let response = patiently(slow_client.request(request)).await.unwrap();
                    slow.push((slow_client.clone(), response));
                }
            }
        }
        for front in FRONTS {
            let (status, text) = get_by(&gateway, "/", front).await;
            assert!(status == 200 && text.len() == 1 << 20, "{front:?}");
        }
        // Sixty streams, each a window towards the client and one from the other end.
        #[cfg(target_os = "linux")]
        for running in [&gateway, &dialler] {
            let peak = running.peak_memory();
            assert!(peak < 128 << 10, "{protocol}: {peak} KiB");
        }
        drop((slow, dialler));
    }
}
