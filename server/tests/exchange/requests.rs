//! A request in the view of its service: the same on every protocol.

use std::{
    convert::Infallible,
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions};
use lacewing_server::{
    ConnectionInfo, Reason, RequestBody, ServerOptions, Side, Spawn, Version, serve_connection,
    service_fn,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peer::Peer;

/// All parts of a request, and separately its protocol.
async fn tell(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let (parts, body) = request.into_parts();
    assert!(parts.extensions.get::<ConnectionInfo>().is_none());
    let protocol = body.connection().unwrap().protocol().to_string();
    let mut fields: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    fields.sort();
    let body = body.collect().await.unwrap();
    let trailers = format!("{:?}", body.trailers());
    let text = format!(
        "{} {} {fields:?} {:?} {trailers}",
        parts.method,
        parts.uri,
        body.to_bytes()
    );
    let mut response = Response::new(text);
    let value = HeaderValue::from_str(&protocol).unwrap();
    response.headers_mut().insert("x-protocol", value);
    Ok(response)
}

#[tokio::test]
async fn a_request_is_the_same_on_every_protocol() {
    let mut expected = None;
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service_fn(tell));
        let uri = "http://example.org:8080/a%20b?c=d&e".parse().unwrap();
        let mut head = Head::request(Method::PATCH, uri);
        for (name, value) in [
            ("accept", "text/html"),
            ("accept", "text/plain"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-empty", ""),
            ("user-agent", "a test"),
            // These fields belong to an HTTP/1.1 connection, or repeat the URI.
            ("host", "example.org:8080"),
        ] {
            head.fields.append(name, HeaderValue::from_static(value));
        }
        let key = peer.open_with(head);
        let body = Bytes::from_static(b"a body");
        peer.stream(key).send_data(body, false).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("0123"));
        peer.stream(key).send_trailers(trailers).unwrap();
        let answer = peer.answer(key).await;
        assert_eq!(answer.status, Some(StatusCode::OK), "{version}");
        assert_eq!(answer.fields["x-protocol"], version.alpn());
        let text = answer.text().to_owned();
        for part in ["accept: text/plain", "a=1; b=2", "a body", "x-checksum"] {
            assert!(text.contains(part), "{version}: {text}");
        }
        assert!(!text.contains("host:"), "{version}: {text}");
        assert_eq!(*expected.get_or_insert(text.clone()), text, "{version}");
    }
}

/// SPDY/3 §2.3.2.1: a request that cannot be answered is refused, and no service is called.
#[tokio::test]
async fn a_request_that_takes_no_response_is_refused() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let service = service_fn(|_: Request<RequestBody>| async {
            if true {
                panic!("it was served");
            }
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let (mut io, server) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve_connection(
            server,
            version,
            ServerOptions::default(),
            service,
        ));
        let now = Instant::now();
        let mut engine = Engine::new(Config::new(version, Side::Client), now, 1);
        io.write_all_buf(engine.output()).await.unwrap();
        let uri = "http://example.org/".parse().unwrap();
        let head = Head::request(Method::POST, uri);
        engine.open(now, head, OpenOptions::default()).unwrap();
        let output = engine.output();
        let len = output.remaining();
        let mut request = BytesMut::from(&output.copy_to_bytes(len)[..]);
        // SYN_STREAM, with the flag FLAG_UNIDIRECTIONAL added.
        assert_eq!((request[3], request[4]), (1, 0), "{version}");
        request[4] = 2;
        io.write_all(&request).await.unwrap();
        let mut input = BytesMut::new();
        let reason = loop {
            let read = io.read_buf(&mut input);
            let read = tokio::time::timeout(Duration::from_secs(20), read).await;
            assert_ne!(read.expect("it is not reset").unwrap(), 0, "{version}");
            let events = std::iter::from_fn(|| engine.poll_event(now, &mut input));
            let reasons = events.filter_map(|event| match event {
                Event::Reset { error, .. } => Some(error.reason()),
                Event::Reply { .. } => panic!("{version}: it was answered"),
                _ => None,
            });
            if let Some(reason) = reasons.last() {
                break reason;
            }
        };
        assert_eq!(reason, Reason::RefusedStream, "{version}");
    }
}

/// Each poll of a handler that forwards does work, so none is for the waker alone.
#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_like_the_one_before_has_its_waker_at_once() {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    let service = service_fn(move |_: Request<RequestBody>| {
        let count = Arc::clone(&count);
        async move {
            let mut sleep = pin!(tokio::time::sleep(Duration::from_millis(5)));
            poll_fn(|cx| {
                count.fetch_add(1, Ordering::SeqCst);
                sleep.as_mut().poll(cx)
            })
            .await;
            Ok::<_, Infallible>(Response::new(String::from("fine")))
        }
    });
    for version in Version::ALL {
        let options = ServerOptions::default().spawn(Spawn::Never);
        let mut peer = Peer::connect(version, options, service.clone());
        assert_eq!(peer.get("/").await.text(), "fine", "{version}");
        for _ in 0..3 {
            polls.store(0, Ordering::SeqCst);
            assert_eq!(peer.get("/").await.text(), "fine", "{version}");
            assert_eq!(polls.load(Ordering::SeqCst), 2, "{version}");
        }
    }
}
