//! Uploads that contradict their length, fail or panic: the server can distinguish them from
//! complete ones, and the user receives the reason.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use lacewing_client::{
    Body, BodyError, BoxError, ClientError, ClientOptions, Connection, Initiator, Reason,
    RequestError, Version,
};
use lacewing_server::{ServerOptions, serve_connection, service_fn};
use tokio::sync::mpsc;

use crate::support::{any_port, every_version, get, listen, text};

/// The part of a body that the server received: its bytes, and its end.
type Received = (usize, Result<(), lacewing_server::Error>);

/// A server that responds after its requests, and reports the received data. It responds to
/// `/early` before the end, with the first piece of a body that continues.
fn pair(version: Version) -> (Connection, mpsc::UnboundedReceiver<Received>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (sender, receiver) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<lacewing_server::RequestBody>| {
        let sender = sender.clone();
        async move {
            let early = request.uri().path().to_owned();
            let reading = read(request.into_body(), sender);
            let body = match early.as_str() {
                "/early" => {
                    tokio::spawn(reading);
                    let first = futures_util::stream::iter([data("first")]);
                    let never = futures_util::stream::pending();
                    use futures_util::StreamExt as _;
                    StreamBody::new(first.chain(never)).boxed_unsync()
                }
                "/complete" => {
                    tokio::spawn(reading);
                    String::from("complete")
                        .map_err(BoxError::from)
                        .boxed_unsync()
                }
                _ => {
                    // A reset drops the handler, but not this task.
                    let _ = tokio::spawn(reading).await;
                    String::from("got it")
                        .map_err(BoxError::from)
                        .boxed_unsync()
                }
            };
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    tokio::spawn(serve_connection(
        server,
        version,
        ServerOptions::default(),
        service,
    ));
    let (connection, task) = Connection::handshake(client, version, ClientOptions::default());
    tokio::spawn(task);
    (connection, receiver)
}

async fn read(mut body: lacewing_server::RequestBody, sender: mpsc::UnboundedSender<Received>) {
    let mut bytes = 0;
    let end = loop {
        match body.frame().await {
            None => break Ok(()),
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => break Err(error),
        }
    };
    let _ = sender.send((bytes, end));
}

type Piece = Result<Frame<Bytes>, BoxError>;

fn data(text: &'static str) -> Piece {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// A body of these pieces, without a known length.
fn body(pieces: Vec<Piece>) -> UnsyncBoxBody<Bytes, BoxError> {
    StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
}

/// The same, but it waits for a signal before the second piece.
fn body_in_two(
    first: Piece,
    go: tokio::sync::oneshot::Receiver<()>,
    rest: Vec<Piece>,
) -> UnsyncBoxBody<Bytes, BoxError> {
    use futures_util::{StreamExt as _, stream};
    let waits = stream::once(async move {
        let _ = go.await;
        stream::iter(rest)
    });
    let pieces = stream::iter([first]).chain(waits.flatten());
    StreamBody::new(pieces).boxed_unsync()
}

fn post<B>(path: &str, length: u64, body: B) -> Request<B> {
    Request::post(format!("http://test.example{path}"))
        .header("content-length", length)
        .body(body)
        .unwrap()
}

/// The server did not accept it as complete: the client reset the stream.
fn assert_truncated(received: Received, at_most: usize, reason: Reason) {
    let (bytes, end) = received;
    assert!(bytes <= at_most, "{bytes} bytes arrived");
    let error = end.expect_err("the server accepted it as complete");
    assert_eq!(error.initiator(), Initiator::Peer, "{error}");
    assert_eq!(error.reason(), reason);
}

fn body_error(error: &ClientError) -> Option<&BodyError> {
    match error {
        ClientError::Body(error) => error.downcast_ref(),
        _ => None,
    }
}

#[test]
fn an_upload_that_is_shorter_than_it_said_is_not_taken_for_whole() {
    every_version(|version| async move {
        let (connection, mut received) = pair(version);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "1".parse().unwrap());
        for pieces in [
            vec![data("four")],
            vec![data("four"), Ok(Frame::trailers(trailers))],
        ] {
            let response = connection.request(post("/", 10, body(pieces)));
            let error = response.await.unwrap_err();
            let expected = BodyError::TooShort {
                declared: 10,
                length: 4,
            };
            assert_eq!(body_error(&error), Some(&expected), "{version}: {error}");
            let text = error.to_string();
            assert!(text.contains("4 bytes") && text.contains("10"), "{text}");
            let received = received.recv().await.unwrap();
            assert_truncated(received, 4, Reason::InternalError);
        }
        // The connection continues.
        let response = connection.request(post("/", 4, body(vec![data("four")])));
        assert_eq!(text(response.await.unwrap()).await, "got it");
        assert!(matches!(received.recv().await, Some((4, Ok(())))));
    });
}

#[test]
fn no_more_is_sent_than_was_declared() {
    every_version(|version| async move {
        let (connection, mut received) = pair(version);
        for (declared, pieces) in [
            (8, vec![data("four"), data("five!")]),
            // The end is known only after it.
            (4, vec![data("four"), data("!")]),
            (0, vec![data("four")]),
        ] {
            let response = connection.request(post("/", declared, body(pieces)));
            let error = response.await.unwrap_err();
            let told = body_error(&error);
            assert!(
                matches!(told, Some(BodyError::TooLong { declared: told, length })
                    if *told == declared && *length > declared),
                "{version}: {error}"
            );
            let received = received.recv().await.unwrap();
            assert_truncated(received, declared as usize, Reason::InternalError);
        }
    });
}

#[test]
fn an_upload_that_fails_is_not_taken_for_whole() {
    every_version(|version| async move {
        let (connection, mut received) = pair(version);
        let pieces = vec![data("four"), Err("disk on fire".into())];
        let request = Request::post("http://test.example/")
            .body(body(pieces))
            .unwrap();
        let error = connection.request(request).await.unwrap_err();
        assert!(matches!(error, ClientError::Body(_)), "{version}: {error}");
        assert!(error.to_string().contains("disk on fire"));
        assert_truncated(received.recv().await.unwrap(), 4, Reason::Cancel);
    });
}

/// Panics at its second piece, or at once.
struct Panics(Option<&'static str>);

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.take().expect("out of pieces");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.0.is_none() {
            panic!("and once more");
        }
    }
}

#[test]
fn an_upload_that_panics_ends_its_own_stream() {
    every_version(|version| async move {
        let (connection, mut received) = pair(version);
        let (go, wait) = tokio::sync::oneshot::channel();
        let other = connection.request(post(
            "/",
            9,
            body_in_two(data("four"), wait, vec![data("five!")]),
        ));
        let request = Request::post("http://test.example/")
            .body(Panics(Some("four")))
            .unwrap();
        let error = connection.request(request).await.unwrap_err();
        let told = body_error(&error);
        assert!(
            matches!(told, Some(BodyError::Panicked { message }) if message.contains("out of pieces")),
            "{version}: {error}"
        );
        assert_truncated(received.recv().await.unwrap(), 4, Reason::InternalError);
        // The other streams of the connection are not affected.
        go.send(()).unwrap();
        assert_eq!(text(other.await.unwrap()).await, "got it");
        assert!(matches!(received.recv().await, Some((9, Ok(())))));
    });
}

#[test]
fn a_response_that_came_before_stays() {
    every_version(|version| async move {
        let (connection, mut received) = pair(version);
        let (go, wait) = tokio::sync::oneshot::channel();
        let request = post("/early", 10, body_in_two(data("four"), wait, vec![]));
        let response = connection.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut rest = response.into_body();
        go.send(()).unwrap();
        assert_truncated(received.recv().await.unwrap(), 4, Reason::InternalError);
        // The received part is available, and then the reason of its end.
        let first = rest.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "first");
        let error = rest.frame().await.unwrap().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("after 4 bytes") && text.contains("10"),
            "{version}: {text}"
        );

        // A complete body loses nothing.
        let (go, wait) = tokio::sync::oneshot::channel();
        let request = post("/complete", 10, body_in_two(data("four"), wait, vec![]));
        let response = connection.request(request).await.unwrap();
        let mut complete = response.into_body();
        let first = complete
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(first, "complete");
        go.send(()).unwrap();
        assert!(complete.frame().await.is_none(), "{version}");
        let response = connection.request(get("/")).await.unwrap();
        assert_eq!(self::text(response).await, "got it");
    });
}

/// The client sends no request that it knows to be wrong.
#[test]
fn a_body_at_hand_of_another_length_is_not_sent() {
    every_version(|version| async move {
        let (connection, mut received) = pair(version);
        let expect = |error: ClientError, declared: u64, length: u64| {
            let told = match error {
                ClientError::Request(error) => error,
                other => panic!("{version}: {other}"),
            };
            assert_eq!(told, RequestError::ContentLength { declared, length });
        };
        for declared in [3, 5] {
            let error = connection.request(post("/", declared, Body::from("four")));
            expect(error.await.unwrap_err(), declared, 4);
            let full = http_body_util::Full::new(Bytes::from("four"));
            let error = connection.request(post("/", declared, full));
            expect(error.await.unwrap_err(), declared, 4);
        }
        let error = connection.request(post("/", 5, Body::empty()));
        expect(error.await.unwrap_err(), 5, 0);
        for bad in [&["4", "5"][..], &["+4"], &["four"]] {
            let mut request = post("/", 4, Body::from("four"));
            request.headers_mut().remove("content-length");
            for value in bad {
                request
                    .headers_mut()
                    .append("content-length", value.parse().unwrap());
            }
            let error = connection.request(request).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    ClientError::Request(RequestError::InvalidContentLength)
                ),
                "{version}: {bad:?}: {error}"
            );
        }
        // The server received none of them.
        let response = connection.request(post("/", 4, Body::from("four")));
        assert_eq!(text(response.await.unwrap()).await, "got it");
        assert!(matches!(received.recv().await, Some((4, Ok(())))));
        assert!(received.try_recv().is_err());
    });
}

/// A body of very many empty frames leaves its connection to other streams.
#[test]
fn an_upload_of_empty_frames_does_not_hold_other_streams() {
    every_version(|version| async move {
        let (connection, _received) = pair(version);
        let (ended, mut left) = (Arc::new(AtomicBool::new(false)), 3_000_000_u32);
        let at_end = Arc::clone(&ended);
        let frames = futures_util::stream::poll_fn(move |_| {
            if left == 0 {
                at_end.store(true, Ordering::Relaxed);
                return Poll::Ready(None);
            }
            left -= 1;
            Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(Bytes::new()))))
        });
        let mut request = post("/early", 0, StreamBody::new(frames));
        request.headers_mut().remove("content-length");
        let first = connection.request(request).await.unwrap();
        let other = connection.request(get("/complete"));
        assert_eq!(text(other.await.unwrap()).await, "complete");
        assert!(!ended.load(Ordering::Relaxed), "{version}: after the body");
        drop(first);
    });
}

/// The same on a connection that began in HTTP/1.1, and for the request that carries the upgrade.
#[cfg(feature = "h2c")]
#[tokio::test]
async fn uploads_of_an_upgraded_connection_are_held_to_their_length() {
    use lacewing_client::Client;
    use lacewing_server::{H2cUpgrade, Server};

    let (sender, mut received) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<lacewing_server::RequestBody>| {
        let sender = sender.clone();
        async move {
            if request.method() == http::Method::POST {
                let reading = read(request.into_body(), sender);
                let _ = tokio::spawn(reading).await;
            }
            Ok::<_, Infallible>(Response::new(String::from("got it")))
        }
    });
    let server = Server::builder()
        .bind(any_port())
        .options(|options| options.h2c_upgrade(H2cUpgrade::Accept { max_body: 1 << 16 }));
    let address = listen(server, service).await;

    let request =
        |length: u64| Request::post(format!("http://{address}/")).header("content-length", length);
    for length in [3, 5] {
        // One client each: its first request carries the upgrade.
        let client = Client::builder().h2c_upgrade().build();
        let error = client.request(request(length).body(Body::from("four")).unwrap());
        let error = error.await.unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::Request(RequestError::ContentLength { .. })
            ),
            "{error}"
        );
        let pieces = vec![data("four"), data("five!")];
        let error = client.request(request(length).body(body(pieces)).unwrap());
        let error = error.await.unwrap_err();
        assert!(body_error(&error).is_some(), "{error}");
        let received = received.recv().await.unwrap();
        assert_truncated(received, length as usize, Reason::InternalError);
    }
}
