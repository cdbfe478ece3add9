//! Bodies that arrive in pieces, late, or never.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use lacewing_server::{BoxError, RequestBody, ServerOptions, Version, service_fn};
use tokio::sync::mpsc;

use crate::peer::Peer;

/// A body whose pieces are those of a channel.
pub(crate) struct Pieces(mpsc::Receiver<Result<Frame<Bytes>, BoxError>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx)
    }
}

pub(crate) fn pieces() -> (mpsc::Sender<Result<Frame<Bytes>, BoxError>>, Pieces) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, Pieces(receiver))
}

#[tokio::test]
async fn pieces_arrive_as_they_are_made_and_trailers_at_the_end() {
    let service = service_fn(|_: Request<RequestBody>| async {
        let (sender, body) = pieces();
        tokio::spawn(async move {
            for index in 0..50 {
                let piece = Bytes::from(format!("piece {index}\n"));
                sender.send(Ok(Frame::data(piece))).await.unwrap();
                sender.send(Ok(Frame::data(Bytes::new()))).await.unwrap();
                if index % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("50"));
            sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
        });
        Ok::<_, Infallible>(Response::new(body))
    });
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let keys: Vec<_> = (0..10).map(|_| peer.open(Method::GET, "/", None)).collect();
        for key in keys {
            let answer = peer.answer(key).await;
            let expected: String = (0..50).map(|index| format!("piece {index}\n")).collect();
            assert_eq!(answer.text(), expected, "{version}");
            assert_eq!(answer.trailers.unwrap()["x-sum"], "50", "{version}");
            assert!(!answer.fields.contains_key("content-length"));
        }
    }
}

/// A body that is echoed while it arrives: neither side waits for the end.
#[tokio::test]
async fn a_body_can_be_echoed_as_it_comes() {
    let service = service_fn(|request: Request<RequestBody>| async {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let body: Vec<u8> = (0..3_000_000_u32).map(|index| (index >> 5) as u8).collect();
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let answer = peer.post("/", body.clone()).await;
        assert!(
            answer.body == body,
            "{version}: {} bytes",
            answer.body.len()
        );
        assert!(answer.fin && answer.reset.is_none());
    }
}

/// Credit for unread content is released: the next request has the window.
#[tokio::test]
async fn a_body_that_nobody_reads_holds_nothing_up() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        if request.uri().path() == "/read" {
            let body = request.into_body().collect().await?.to_bytes();
            return Ok(Response::new(body.len().to_string()));
        }
        Ok::<_, BoxError>(Response::new("not read".to_owned()))
    });
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        for _ in 0..8 {
            let answer = peer.post("/ignore", vec![1; 900_000]).await;
            assert_eq!(answer.text(), "not read", "{version}");
        }
        let answer = peer.post("/read", vec![2; 2_000_000]).await;
        assert_eq!(answer.text(), "2000000", "{version}");
        peer.until(|peer| peer.engine.open_streams() == 0).await;
    }
}

/// Ready data is sent in the same turn. A body that knows its end needs no frame for it.
#[tokio::test]
async fn a_body_that_is_ready_is_not_polled_again() {
    #[derive(Clone)]
    struct Ready(VecDeque<Bytes>);
    impl Body for Ready {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = self.0.pop_front().expect("polled after its end");
            Poll::Ready(Some(Ok(Frame::data(piece))))
        }
        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }
    for pieces in 0..4_u8 {
        let body = Ready(
            (0..pieces)
                .map(|piece| Bytes::from(vec![piece; 3]))
                .collect(),
        );
        let expected: Vec<u8> = (0..pieces).flat_map(|piece| [piece; 3]).collect();
        for version in Version::ALL {
            let body = body.clone();
            let service = service_fn(move |_: Request<RequestBody>| {
                let body = body.clone();
                async move { Ok::<_, Infallible>(Response::new(body)) }
            });
            let mut peer = Peer::connect(version, ServerOptions::default(), service);
            assert_eq!(peer.get("/").await.body, expected, "{version}");
        }
    }
}

#[tokio::test]
async fn request_trailers_reach_the_handler() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let collected = request.into_body().collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let value = trailers
            .get("x-end")
            .map_or("none", |value| value.to_str().unwrap());
        Ok::<_, BoxError>(Response::new(format!(
            "{value} after {:?}",
            collected.to_bytes()
        )))
    });
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let uri = "http://example.org/".parse().unwrap();
        let head = lacewing_conn::proto::Head::request(Method::POST, uri);
        let key = peer.open_with(head);
        peer.stream(key)
            .send_data(Bytes::from_static(b"data"), false)
            .unwrap();
        peer.flush().await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", HeaderValue::from_static("yes"));
        peer.stream(key).send_trailers(trailers).unwrap();
        assert_eq!(
            peer.answer(key).await.text(),
            "yes after b\"data\"",
            "{version}"
        );
    }
}

/// A body of very many empty frames.
struct EmptyFrames {
    left: u32,
    ended: Arc<AtomicBool>,
}

impl Body for EmptyFrames {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            self.ended.store(true, Ordering::Relaxed);
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

/// Answers `/empty` with a body of empty frames, and other requests with a text.
fn empty_frames(
    ended: &Arc<AtomicBool>,
) -> impl tower_service::Service<
    Request<RequestBody>,
    Response = Response<http_body_util::Either<EmptyFrames, http_body_util::Full<Bytes>>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let ended = Arc::clone(ended);
    service_fn(move |request: Request<RequestBody>| {
        let empty = EmptyFrames {
            left: 3_000_000,
            ended: Arc::clone(&ended),
        };
        let body = match request.uri().path() {
            "/empty" => http_body_util::Either::Left(empty),
            _ => http_body_util::Either::Right("other".into()),
        };
        async { Ok::<_, Infallible>(Response::new(body)) }
    })
}

#[tokio::test]
async fn a_body_of_empty_frames_does_not_hold_other_streams() {
    for version in Version::ALL {
        let ended = Arc::new(AtomicBool::new(false));
        let service = empty_frames(&ended);
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let key = peer.open(Method::GET, "/empty", None);
        peer.head(key).await;
        assert_eq!(peer.get("/other").await.text(), "other", "{version}");
        assert!(!ended.load(Ordering::Relaxed), "{version}: after the body");
    }
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn a_body_of_empty_frames_does_not_hold_the_thread_of_http1() {
    use crate::http1::Http1;
    let ended = Arc::new(AtomicBool::new(false));
    let service = empty_frames(&ended);
    let mut empty = Http1::connect(ServerOptions::default(), service.clone());
    empty.send("GET", "/empty").await;
    // The first request is served before the second, on the same thread.
    let mut other = Http1::connect(ServerOptions::default(), service);
    assert_eq!(other.get("/other").await.body, "other");
    assert!(!ended.load(Ordering::Relaxed), "after the body");
}
