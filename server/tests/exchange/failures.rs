//! The failure of a handler or of a body ends only its own request, and is reported to the
//! observer.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use lacewing_server::{BoxError, Reason, RequestBody, ServerOptions, Spawn, Version, service_fn};
use tower_service::Service;

use crate::{bodies::pieces, peer::Peer};

/// A body that yields one piece and then fails.
enum Failing {
    Start { panics: bool },
    Then { panics: bool },
    Fine(Option<Bytes>),
}

impl Body for Failing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match &mut *self {
            Self::Start { panics } => {
                *self = Self::Then { panics: *panics };
                Some(Ok(Frame::data(Bytes::from_static(b"begin"))))
            }
            Self::Then { panics: true } => panic!("the body panics, as it should"),
            Self::Then { panics: false } => Some(Err("the disk is gone".into())),
            Self::Fine(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        })
    }
}

async fn handle(request: Request<RequestBody>) -> Result<Response<Failing>, BoxError> {
    match request.uri().path() {
        "/error" => Err("no database".into()),
        "/late-error" => {
            tokio::task::yield_now().await;
            Err("no database".into())
        }
        "/panic" => panic!("the handler panics, as it should"),
        "/late-panic" => {
            tokio::task::yield_now().await;
            panic!("the handler panics, as it should")
        }
        "/body-error" => Ok(Response::new(Failing::Start { panics: false })),
        "/body-panic" => Ok(Response::new(Failing::Start { panics: true })),
        "/100" => Ok(Response::builder()
            .status(StatusCode::CONTINUE)
            .body(Failing::Fine(None))
            .unwrap()),
        _ => Ok(Response::new(Failing::Fine(Some(Bytes::from_static(
            b"fine",
        ))))),
    }
}

#[tokio::test]
async fn a_failure_costs_its_own_request() {
    for version in Version::ALL {
        for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
            let options = ServerOptions::default().spawn(spawn);
            let mut peer = Peer::connect(version, options, service_fn(handle));
            for (path, told) in [
                ("/error", "no database"),
                ("/late-error", "no database"),
                ("/panic", "handler panicked"),
                ("/late-panic", "handler panicked"),
                ("/100", "informational"),
            ] {
                let answer = peer.get(path).await;
                assert_eq!(
                    answer.status,
                    Some(StatusCode::INTERNAL_SERVER_ERROR),
                    "{version} {path}"
                );
                assert!(answer.fin && answer.body.is_empty());
                let last = peer.log.lock().unwrap().pop().unwrap();
                assert!(last.contains(told), "{path}: {last}");
            }
            for (path, told) in [
                ("/body-error", "the disk is gone"),
                ("/body-panic", "body panicked"),
            ] {
                let answer = peer.get(path).await;
                assert_eq!(answer.status, Some(StatusCode::OK), "{version} {path}");
                assert_eq!(
                    answer.reset,
                    Some(Reason::InternalError),
                    "{version} {path}"
                );
                let last = peer.log.lock().unwrap().pop().unwrap();
                assert!(last.contains(told), "{path}: {last}");
            }
            assert_eq!(peer.get("/").await.text(), "fine");
            assert!(peer.log.lock().unwrap().is_empty());
        }
    }
}

/// Over HTTP/1.1 too, a handler's failure is answered, and its connection continues. Only a
/// response that has begun cannot be replaced.
#[cfg(feature = "http1")]
#[tokio::test]
async fn a_failure_costs_its_own_request_over_http_1_1() {
    use crate::http1::Http1;

    for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
        let options = ServerOptions::default().spawn(spawn);
        let mut client = Http1::connect(options.clone(), service_fn(handle));
        let mut requests = 0;
        for (path, told) in [
            ("/error", "no database"),
            ("/late-error", "no database"),
            ("/panic", "handler panicked"),
            ("/late-panic", "handler panicked"),
            ("/100", "informational"),
        ] {
            requests += 1;
            let reply = client.get(path).await;
            assert_eq!(reply.status(), 500, "{path}: {reply:?}");
            assert!(reply.whole && reply.body.is_empty(), "{path}");
            let last = client.log.lock().unwrap().pop().unwrap();
            assert!(last.contains(told), "{path}: {last}");
            assert!(last.contains(&format!("stream {requests}:")), "{last}");
            // The request has ended: its failure is reported once.
            assert!(client.get("/").await.body.contains("fine"), "{path}");
            requests += 1;
            assert!(client.log.lock().unwrap().is_empty(), "{path}");
        }
        for (path, told) in [
            ("/body-error", "the disk is gone"),
            ("/body-panic", "body panicked"),
        ] {
            let mut client = Http1::connect(options.clone(), service_fn(handle));
            let reply = client.get(path).await;
            assert_eq!(reply.status(), 200, "{path}");
            // The content before the failure has arrived.
            assert!(
                reply.body.contains("begin") && !reply.whole,
                "{path}: {reply:?}"
            );
            let last = client.log.lock().unwrap().pop().unwrap();
            assert!(last.contains(told), "{path}: {last}");
        }
    }
}

/// hyper answers a malformed request with a status. It is reported as in the other protocols.
#[cfg(feature = "http1")]
#[tokio::test]
async fn a_malformed_request_of_http_1_1_is_told() {
    use tokio::io::AsyncWriteExt;

    let large = format!("GET / HTTP/1.1\r\nx-large: {}\r\n\r\n", "x".repeat(200_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\ncontent-length: ten\r\n\r\n", 400),
        (large.as_str(), 431),
    ] {
        let mut client = crate::http1::Http1::connect(ServerOptions::default(), service_fn(handle));
        assert_eq!(client.get("/").await.status(), 200);
        client.io.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(client.reply("GET").await.status(), status, "{request:.30}");
        assert!(client.serving.await.unwrap().is_err());
        let last = client.log.lock().unwrap().pop().unwrap();
        assert!(
            last.contains("stream 2: refused: "),
            "{request:.30}: {last}"
        );
    }
}

/// Bodies and handlers that panic in every possible call.
#[tokio::test]
async fn a_panic_anywhere_costs_its_own_request() {
    #[derive(Clone, Copy, PartialEq)]
    enum When {
        Size,
        End,
        Frame,
        Drop,
        HandlerDrop,
    }
    struct Touchy(When, Option<Bytes>);
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0, "the handler panics as it goes, as it should");
        }
    }
    impl Drop for Touchy {
        fn drop(&mut self) {
            let fine = self.0 != When::Drop || std::thread::panicking();
            assert!(fine, "the body panics as it goes, as it should");
        }
    }
    impl Body for Touchy {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            assert!(self.0 != When::Frame, "the body panics, as it should");
            Poll::Ready(self.1.take().map(|bytes| Ok(Frame::data(bytes))))
        }
        fn is_end_stream(&self) -> bool {
            assert!(self.0 != When::End, "the body panics, as it should");
            false
        }
        fn size_hint(&self) -> http_body::SizeHint {
            assert!(self.0 != When::Size, "the body panics, as it should");
            http_body::SizeHint::default()
        }
    }
    let service = service_fn(|request: Request<RequestBody>| async move {
        let when = match request.uri().path() {
            "/size" => When::Size,
            "/end" => When::End,
            "/frame" => When::Frame,
            "/drop" => When::Drop,
            _ => When::HandlerDrop,
        };
        let _bomb = Bomb(when == When::HandlerDrop && request.uri().path() == "/handler");
        let body = Touchy(when, Some(Bytes::from_static(b"fine")));
        Ok::<_, BoxError>(Response::new(body))
    });
    for version in Version::ALL {
        for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
            let mut peer = Peer::connect(version, ServerOptions::default().spawn(spawn), service);
            for path in ["/size", "/end", "/frame", "/handler"] {
                let answer = peer.get(path).await;
                let internal = Some(StatusCode::INTERNAL_SERVER_ERROR);
                let told = answer.status == internal || answer.reset.is_some();
                assert!(told, "{version} {path}: {answer:?}");
                let last = peer.log.lock().unwrap().pop().unwrap();
                assert!(last.contains("panicked"), "{version} {path}: {last}");
            }
            assert_eq!(peer.get("/drop").await.text(), "fine", "{version}");
            assert_eq!(peer.get("/").await.text(), "fine", "{version}");
        }
    }
}

/// A body that panics in its drop.
struct Fragile {
    first: Option<Bytes>,
}

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("the body panics as it goes, as it should");
    }
}

impl Body for Fragile {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            // It never ends.
            None => Poll::Pending,
        }
    }
}

/// Bodies panic in their drop. They belong to a response that is not sent, to a stream that
/// is reset, and to several streams when the connection is dropped.
#[tokio::test]
async fn bodies_that_panic_in_their_drop_leave_the_connection() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        if request.uri().path() == "/fine" {
            let fine = http_body_util::Full::from("fine");
            return Ok::<_, Infallible>(Response::new(http_body_util::Either::Right(fine)));
        }
        let first = Some(Bytes::from_static(b"first"));
        let mut response = Response::new(http_body_util::Either::Left(Fragile { first }));
        match request.uri().path() {
            "/informational" => *response.status_mut() = StatusCode::EARLY_HINTS,
            "/length" => {
                let value = http::HeaderValue::from_static("ten");
                response.headers_mut().insert("content-length", value);
            }
            _ => {}
        }
        Ok(response)
    });
    for version in Version::ALL {
        for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
            let options = ServerOptions::default().spawn(spawn);
            let mut peer = Peer::connect(version, options, service);
            for path in ["/informational", "/length"] {
                let refused = peer.get(path).await;
                let internal = Some(StatusCode::INTERNAL_SERVER_ERROR);
                assert_eq!(refused.status, internal, "{version}: {refused:?}");
            }
            let reset = peer.open(http::Method::GET, "/reset", None);
            peer.head(reset).await;
            peer.reset(reset);
            assert_eq!(peer.get("/fine").await.text(), "fine", "{version}");
            for _ in 0..3 {
                let held = peer.open(http::Method::GET, "/held", None);
                peer.head(held).await;
            }
            // The task is dropped with all three.
            peer.serving.abort();
            let ended = (&mut peer.serving).await.unwrap_err();
            assert!(ended.is_cancelled(), "{version}: {ended}");
        }
    }
}

/// A service that is not always ready, and whose `poll_ready` fails at times.
#[derive(Clone)]
struct Flaky(Arc<AtomicU32>);

impl Service<Request<RequestBody>> for Flaky {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<String>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.0.fetch_add(1, Ordering::SeqCst) % 5 {
            1 | 2 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            4 => Poll::Ready(Err("overloaded".into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        std::future::ready(Ok(Response::new("called".into())))
    }
}

#[tokio::test]
async fn a_service_is_called_only_when_it_is_ready() {
    for version in Version::ALL {
        let service = Flaky(Arc::default());
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let mut failures = 0;
        for _ in 0..50 {
            let answer = peer.get("/").await;
            match answer.status.unwrap() {
                StatusCode::OK => assert_eq!(answer.text(), "called"),
                StatusCode::INTERNAL_SERVER_ERROR => failures += 1,
                other => panic!("{other}"),
            }
        }
        assert!(failures > 0 && failures < 50, "{version}: {failures}");
        assert_eq!(peer.log.lock().unwrap().len(), failures);
    }
}

/// A task that panics drops the sender of a body's pieces. The body ends early, and the length
/// reveals it.
#[tokio::test]
async fn connections_go_on_beside_a_body_that_stalls() {
    for version in Version::ALL {
        let (sender, body) = pieces();
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let service = service_fn(move |_: Request<RequestBody>| {
            let first = body.lock().unwrap().take();
            async move {
                let body = match first {
                    Some(stalled) => http_body_util::Either::Left(stalled),
                    None => http_body_util::Either::Right(http_body_util::Full::new(
                        Bytes::from_static(b"quick"),
                    )),
                };
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let stalled = peer.open(http::Method::GET, "/", None);
        peer.head(stalled).await;
        for _ in 0..20 {
            assert_eq!(peer.get("/").await.text(), "quick", "{version}");
        }
        assert!(!peer.received(stalled).fin);
        sender
            .send(Ok(Frame::data(Bytes::from_static(b"at last"))))
            .await
            .unwrap();
        drop(sender);
        assert_eq!(peer.answer(stalled).await.text(), "at last", "{version}");
    }
}
