//! Servers of HTTP/2 that require HTTP/1.1 for a request (HTTP_1_1_REQUIRED, RFC 9113 §7).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use lacewing_client::{Client, ClientBuilder, ClientError, Reason, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{negotiation, script};
use crate::support::*;

type Content = UnsyncBoxBody<Bytes, std::io::Error>;

/// How the server of HTTP/2 says it.
#[derive(Clone, Copy, Debug)]
enum How {
    GoAway,
    Reset,
}

impl How {
    fn frame(self) -> &'static [u8] {
        match self {
            Self::GoAway => &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d],
            Self::Reset => &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0x0d],
        }
    }
}

/// The heads and the content of requests in HTTP/1.1, and the number of connections in HTTP/2.
#[derive(Clone, Default)]
struct Seen {
    http1: Arc<std::sync::Mutex<Vec<String>>>,
    http2: Arc<AtomicUsize>,
}

impl Seen {
    fn http1(&self) -> Vec<String> {
        self.http1.lock().unwrap().clone()
    }

    fn http2(&self) -> usize {
        self.http2.load(Ordering::SeqCst)
    }

    /// Serves a connection in the protocol that its first bytes have.
    async fn serve(self, mut io: impl AsyncRead + AsyncWrite + Unpin, how: How) {
        let mut head = Vec::new();
        loop {
            let Ok(byte) = io.read_u8().await else { return };
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            if head.starts_with(b"PRI * HTTP/2.0") {
                self.http2.fetch_add(1, Ordering::SeqCst);
                return refuse(io, how).await;
            }
            let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
            let text = text.to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1);
            let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            let mut content = vec![0; length];
            io.read_exact(&mut content).await.unwrap();
            let content = String::from_utf8(content).unwrap();
            self.http1.lock().unwrap().push(text + &content);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nolder";
            io.write_all(answer).await.unwrap();
            io.flush().await.unwrap();
        }
    }
}

async fn refuse(mut io: impl AsyncRead + AsyncWrite + Unpin, how: How) {
    let mut heard = vec![0; 64 << 10];
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    io.write_all(&settings).await.unwrap();
    io.flush().await.unwrap();
    // The request's HEADERS: whatever the client sends until it has acknowledged the SETTINGS.
    loop {
        match io.read(&mut heard).await {
            Ok(length) if length > 0 => {
                let acknowledged = heard[..length].windows(9);
                if acknowledged
                    .into_iter()
                    .any(|w| w == [0, 0, 0, 4, 1, 0, 0, 0, 0])
                {
                    break;
                }
            }
            _ => return,
        }
    }
    io.write_all(how.frame()).await.unwrap();
    io.flush().await.unwrap();
    while io.read(&mut heard).await.unwrap_or(0) > 0 {}
}

fn client(how: How, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Client, Seen) {
    let seen = Seen::default();
    let server = seen.clone();
    let change = |builder: ClientBuilder| change(builder.cleartext_protocol(Version::Http2));
    let (client, _) = script::client(change, move |io, _| server.clone().serve(io.0, how));
    (client, seen)
}

fn request(method: Method, content: Content) -> Request<Content> {
    let request = Request::builder().method(method);
    request.uri("http://a.example/x").body(content).unwrap()
}

fn whole(text: &'static str) -> Content {
    let full = Full::new(Bytes::from_static(text.as_bytes()));
    full.map_err(|never| match never {}).boxed_unsync()
}

/// Content of unknown length, in one piece.
fn streamed(text: &'static str) -> Content {
    let frame = http_body::Frame::data(Bytes::from_static(text.as_bytes()));
    StreamBody::new(futures_util::stream::iter([Ok(frame)])).boxed_unsync()
}

#[tokio::test]
async fn a_request_is_repeated_in_http1_and_later_ones_begin_there() {
    for how in [How::GoAway, How::Reset] {
        let (client, seen) = client(how, |builder| builder);
        for (number, method) in [Method::GET, Method::POST, Method::GET]
            .into_iter()
            .enumerate()
        {
            let content = match method {
                Method::POST => whole("payload"),
                _ => whole(""),
            };
            let response = client
                .request(request(method.clone(), content))
                .await
                .unwrap();
            assert_eq!(response.version(), http::Version::HTTP_11, "{how:?}");
            assert_eq!(text(response).await, "older", "{how:?}");
            let http1 = seen.http1();
            assert_eq!(http1.len(), number + 1, "{how:?}");
            let last = http1.last().unwrap();
            let line = format!("{} /x http/1.1\r\n", method.as_str().to_ascii_lowercase());
            assert!(last.starts_with(&line), "{how:?}: {last}");
            assert_eq!(
                last.ends_with("payload"),
                method == Method::POST,
                "{how:?}: {last}"
            );
        }
        assert_eq!(seen.http2(), 1, "{how:?}: HTTP/2 is tried once");
        assert_eq!(client.connections(), 1, "{how:?}");
    }
}

/// A POST that is the first request is repeated with its content.
#[tokio::test]
async fn content_is_sent_again_if_it_can_be() {
    for how in [How::GoAway, How::Reset] {
        let (speaks_it, seen) = client(how, |builder| builder);
        let response = speaks_it
            .request(request(Method::POST, whole("payload")))
            .await;
        assert_eq!(text(response.unwrap()).await, "older", "{how:?}");
        assert!(seen.http1()[0].ends_with("payload"), "{how:?}");
        // Nothing of a streamed body is kept.
        let (keeps_nothing, seen) = client(how, |builder| builder.replay_limit(0));
        let error = keeps_nothing.request(request(Method::POST, streamed("payload")));
        let error = error.await.unwrap_err();
        let reason = error.connection().map(|error| error.reason());
        assert_eq!(reason, Some(Reason::Http11Required), "{how:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("content that can be sent again"), "{text}");
        assert_eq!(
            seen.http1(),
            [""; 0],
            "{how:?}: repeated without its content"
        );
    }
}

/// Requests that are under way together are all repeated, each once.
#[tokio::test]
async fn all_requests_of_a_connection_are_repeated() {
    let (client, seen) = client(How::GoAway, |builder| builder);
    let each = (0..20).map(|_| async {
        let response = client.request(request(Method::GET, whole(""))).await;
        assert_eq!(text(response.unwrap()).await, "older");
    });
    futures_util::future::join_all(each).await;
    assert_eq!(seen.http1().len(), 20);
    assert_eq!(seen.http2(), 1);
}

/// A server that closes each connection of HTTP/1.1 is not asked in HTTP/2 before each request.
#[tokio::test]
async fn it_is_remembered_without_a_connection() {
    let seen = Seen::default();
    let server = seen.clone();
    let change = |builder: ClientBuilder| {
        let builder = builder.cleartext_protocol(Version::Http2);
        builder.idle_timeout(Duration::from_secs(60))
    };
    let (client, _) = script::client(change, move |io, _| {
        let server = server.clone();
        async move {
            let both =
                tokio::time::timeout(Duration::from_millis(500), server.serve(io.0, How::GoAway));
            let _ = both.await;
        }
    });
    for number in 1..=3 {
        let response = client
            .request(request(Method::GET, whole("")))
            .await
            .unwrap();
        assert_eq!(text(response).await, "older");
        assert_eq!((seen.http1().len(), seen.http2()), (number, 1));
        // The connection has ended meanwhile.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(client.connections(), 0);
}

/// With TLS, the second connection offers HTTP/1.1 alone.
#[tokio::test]
async fn with_tls_only_http1_is_offered_then() {
    let mut tls = negotiation::tls();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let server = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                server.serve(stream, How::Reset).await;
            });
        }
    });
    let client = Client::builder()
        .http1()
        .danger_accept_invalid_certs()
        .build();
    for _ in 0..2 {
        let response = client
            .request(negotiation::request(&format!("https://{address}/x")))
            .await
            .unwrap();
        assert_eq!(text(response).await, "older");
    }
    assert_eq!((seen.http1().len(), seen.http2()), (2, 1));
    // A connector that speaks no HTTP/1.1 makes no second attempt.
    let without = Client::builder().danger_accept_invalid_certs().build();
    let url = format!("https://{address}/x");
    let error = without
        .request(negotiation::request(&url))
        .await
        .unwrap_err();
    let ClientError::Connection(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.reason(), Reason::Http11Required);
    assert_eq!(seen.http2(), 2);
}
