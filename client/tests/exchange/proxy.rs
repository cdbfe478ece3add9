//! A proxy's handler: SPDY in and HTTP/2 out, the reverse, and all other pairs.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, ClientOptions, Connection, Version};
use lacewing_server::{ServerOptions, serve_connection, service_fn};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::*;

/// A client, a proxy and an origin.
struct Chain {
    client: Connection,
    witness: Witness,
    /// The proxy's connection to the origin.
    upstream: Connection,
    origin: JoinHandle<Result<(), lacewing_server::ServeError>>,
}

fn chain(front: Version, back: Version) -> Chain {
    let witness = Witness::default();
    let (here, there) = tokio::io::duplex(64 << 10);
    let origin = serve(there, back, ServerOptions::default(), witness.clone());
    chain_to(front, back, here, origin, witness)
}

fn chain_to(
    front: Version,
    back: Version,
    origin_io: tokio::io::DuplexStream,
    origin: JoinHandle<Result<(), lacewing_server::ServeError>>,
    witness: Witness,
) -> Chain {
    let (upstream, task) = Connection::handshake(origin_io, back, ClientOptions::default());
    tokio::spawn(task);
    let (here, there) = tokio::io::duplex(64 << 10);
    let to_origin = upstream.clone();
    let service = service_fn(move |request: Request<lacewing_server::RequestBody>| {
        let upstream = to_origin.clone();
        async move { Ok::<_, Infallible>(crate::forward::forward(&upstream, request).await) }
    });
    tokio::spawn(serve_connection(
        there,
        front,
        ServerOptions::default(),
        service,
    ));
    let (client, task) = Connection::handshake(here, front, ClientOptions::default());
    tokio::spawn(task);
    Chain {
        client,
        witness,
        upstream,
        origin,
    }
}

/// Every pair of versions, each on its own runtime.
fn every_pair<F, R>(test: F)
where
    F: Fn(Version, Version) -> R,
    R: Future<Output = ()>,
{
    every_version(|front| {
        let test = &test;
        async move {
            for back in Version::ALL {
                test(front, back).await;
            }
        }
    });
}

#[test]
fn bodies_stream_through() {
    every_pair(|front, back| async move {
        let chain = chain(front, back);
        let length = 1_000_000;
        let response = chain.client.request(get(&format!("/bytes/{length}")));
        let (received, digest) = measure(response.await.unwrap().into_body()).await;
        let expected = (length as u64, sha256(&pattern(length)));
        assert_eq!((received, digest), expected, "{front} to {back}");

        let body = Generator::new(length, Arc::default());
        let response = chain.client.request(post("/echo", body)).await.unwrap();
        let (received, digest) = measure(response.into_body()).await;
        assert_eq!((received, digest), expected, "{front} to {back}");
    });
}

/// A body whose pieces the test sends one by one.
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// The proxy forwards pieces at once: each piece returns before the next one is sent.
#[test]
fn nothing_is_collected_on_the_way() {
    every_pair(|front, back| async move {
        let chain = chain(front, back);
        let (sender, pieces) = mpsc::unbounded_channel();
        sender.send(Bytes::from("0")).unwrap();
        let response = chain.client.request(post("/echo", Pieces(pieces)));
        let mut body = response.await.unwrap().into_body();
        for round in 1..20 {
            let frame = body.frame().await.unwrap().unwrap();
            let data = frame.into_data().unwrap();
            assert_eq!(data, (round - 1).to_string(), "{front} to {back}");
            sender.send(Bytes::from(round.to_string())).unwrap();
        }
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "19");
    });
}

#[test]
fn trailers_are_forwarded_both_ways() {
    every_pair(|front, back| async move {
        let chain = chain(front, back);
        let response = chain.client.request(get("/trailers")).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap();
        assert_eq!(trailers["x-checksum"], "42", "{front} to {back}");

        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "43".parse().unwrap());
        let body = http_body_util::Full::new(Bytes::from("body"));
        let body = body.with_trailers(async move { Some(Ok(trailers)) });
        let response = chain.client.request(post("/request-trailers", body));
        let text = text(response.await.unwrap()).await;
        assert_eq!(text, "4 Some(\"43\")", "{front} to {back}");
    });
}

#[test]
fn fields_are_forwarded_and_cookies_stay_one() {
    every_pair(|front, back| async move {
        // The raw values: Debug would hide sensitive ones.
        let service = service_fn(
            |request: Request<lacewing_server::RequestBody>| async move {
                let fields = request.headers().iter();
                let lines =
                    fields.map(|(name, value)| format!("{name}={}\n", value.to_str().unwrap()));
                Ok::<_, Infallible>(Response::new(lines.collect::<String>()))
            },
        );
        let (here, there) = tokio::io::duplex(64 << 10);
        let origin = tokio::spawn(serve_connection(
            there,
            back,
            ServerOptions::default(),
            service,
        ));
        let chain = chain_to(front, back, here, origin, Witness::default());
        let request = Request::get("http://test.example/fields?x=1")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-many", "one")
            .header("x-many", "two")
            .header("te", "trailers")
            .header("proxy-authorization", "Basic c2VjcmV0")
            .body(Body::empty())
            .unwrap();
        let response = chain.client.request(request).await.unwrap();
        let via = |version| match version {
            Version::Http2 => "2 lacewing",
            _ => "1.1 lacewing",
        };
        assert_eq!(response.headers()["via"], via(back), "{front} to {back}");
        let text = text(response).await;
        let mut fields: Vec<_> = text.lines().collect();
        fields.sort_unstable();
        let expected = [
            "cookie=a=1; b=2",
            "te=trailers",
            &format!("via={}", via(front)),
            "x-many=one",
            "x-many=two",
        ];
        assert_eq!(fields, expected, "{front} to {back}");
    });
}

#[test]
fn statuses_and_empty_bodies_are_forwarded() {
    every_pair(|front, back| async move {
        let chain = chain(front, back);
        for status in [200, 204, 304, 404, 500] {
            let response = chain
                .client
                .request(get(&format!("/status/{status}")))
                .await;
            let response = response.unwrap();
            assert_eq!(response.status(), status, "{front} to {back}");
            assert_eq!(text(response).await, "", "{front} to {back}");
        }
    });
}

/// The client disappears: before the response, and during it.
#[test]
fn cancellation_is_forwarded() {
    every_pair(|front, back| async move {
        let chain = chain(front, back);
        let asking = tokio::spawn(chain.client.request(get("/never")));
        let requests = Arc::clone(&chain.witness.requests);
        until("a request", || requests.load(Ordering::SeqCst) == 1).await;
        assert_eq!(chain.upstream.streams().open, 1, "{front} to {back}");
        asking.abort();
        let upstream = chain.upstream.clone();
        until("the end of the stream", || upstream.is_idle()).await;

        let response = chain.client.request(get("/stall")).await.unwrap();
        let gone = Arc::clone(&chain.witness.bodies_gone);
        assert_eq!(gone.load(Ordering::SeqCst), 0, "{front} to {back}");
        drop(response);
        until("the end of the body", || gone.load(Ordering::SeqCst) == 1).await;
        until("the end of the stream", || upstream.is_idle()).await;
        // Both connections continue.
        let response = chain.client.request(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world", "{front} to {back}");
    });
}

/// The origin disappears: before the response, and during it.
#[test]
fn failures_of_the_origin_are_told() {
    every_pair(|front, back| async move {
        let broken = chain(front, back);
        let body = broken
            .client
            .request(get("/stall"))
            .await
            .unwrap()
            .into_body();
        let asking = tokio::spawn(broken.client.request(get("/never")));
        let requests = Arc::clone(&broken.witness.requests);
        until("two requests", || requests.load(Ordering::SeqCst) == 2).await;
        broken.origin.abort();
        assert!(broken.origin.await.unwrap_err().is_cancelled());
        assert!(body.collect().await.is_err(), "{front} to {back}");
        let response = asking.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        // No server received a later request.
        let response = broken.client.request(get("/hello")).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}

/// A client that does not read slows the origin down, and no data accumulates between them.
#[test]
fn a_slow_client_slows_the_origin_down() {
    every_pair(|front, back| async move {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let service = service_fn(move |_: Request<lacewing_server::RequestBody>| {
            let counter = Arc::clone(&counter);
            async move { Ok::<_, Infallible>(Response::new(Endless(counter))) }
        });
        let (here, there) = tokio::io::duplex(64 << 10);
        let origin = tokio::spawn(serve_connection(
            there,
            back,
            ServerOptions::default(),
            service,
        ));
        let chain = chain_to(front, back, here, origin, Witness::default());
        let mut body = chain.client.request(get("/")).await.unwrap().into_body();
        // Until no byte is transferred any more.
        let mut before = usize::MAX;
        while before != sent.load(Ordering::SeqCst) {
            before = sent.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Two hops with at most 16 MiB each, if there are no windows.
        assert!(before < 40 << 20, "{front} to {back}: {before}");
        let mut read = 0;
        while read < before {
            read += body
                .frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len();
        }
        until("more", || sent.load(Ordering::SeqCst) > before).await;
    });
}

struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(16 << 10, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 16 << 10])))))
    }
}

#[test]
fn fields_about_the_connection_stay_there() {
    // HTTP/1.1 messages have these fields; HTTP/2 and SPDY forbid them.
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "keep-alive, X-Private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip, trailers"),
        ("x-public", "2"),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    crate::forward::strip(&mut headers);
    let mut left: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    left.sort_unstable();
    assert_eq!(left, [("te", "trailers"), ("x-public", "2")]);
}
