//! Informational responses: `100 Continue` automatically, others by a handle.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::LINK};
use http_body::Frame;
use http_body_util::BodyExt;
use lacewing_conn::proto::{Head, StreamKey};
use lacewing_server::{
    BoxError, Extension, InformError, Informer, RequestBody, ServerOptions, Version, service_fn,
};
use tokio::sync::{Mutex, Notify, mpsc};

use crate::{
    bodies::pieces,
    peer::{Peer, Seen},
};

fn expecting(peer: &mut Peer, path: &str) -> StreamKey {
    let uri = format!("http://example.org{path}").parse().unwrap();
    let mut head = Head::request(Method::POST, uri);
    let value = HeaderValue::from_static("100-Continue");
    head.fields.insert("expect", value);
    peer.open_with(head)
}

#[tokio::test]
async fn continue_is_sent_when_the_handler_asks_for_the_body() {
    for version in Version::ALL {
        let gate = Arc::new(Notify::new());
        let open = Arc::clone(&gate);
        let service = service_fn(move |request: Request<RequestBody>| {
            let gate = Arc::clone(&open);
            async move {
                if request.method() == Method::GET {
                    return Ok::<_, BoxError>(Response::new("got".to_owned()));
                }
                gate.notified().await;
                let body = request.into_body().collect().await?.to_bytes();
                Ok(Response::new(format!("{} bytes", body.len())))
            }
        });
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        let key = expecting(&mut peer, "/");
        peer.flush().await;
        // The handler of the first request has been called at this point.
        peer.get("/").await;
        peer.get("/").await;
        assert!(peer.interim(key).is_empty(), "{version}");
        gate.notify_one();
        if version == Version::Http2 {
            peer.until(|peer| !peer.interim(key).is_empty()).await;
        }
        peer.stream(key)
            .send_data(Bytes::from_static(b"data"), true)
            .unwrap();
        assert_eq!(peer.answer(key).await.text(), "4 bytes", "{version}");
        let expected: &[u16] = if version == Version::Http2 {
            &[100]
        } else {
            &[]
        };
        assert_eq!(peer.interim(key), expected, "{version}");
    }
}

#[tokio::test]
async fn continue_is_not_sent_by_a_handler_that_does_not_read() {
    let service = service_fn(|_: Request<RequestBody>| async {
        tokio::task::yield_now().await;
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::FORBIDDEN;
        Ok::<_, Infallible>(response)
    });
    let mut peer = Peer::connect(Version::Http2, ServerOptions::default(), service);
    let key = expecting(&mut peer, "/");
    let answer = peer.answer(key).await;
    assert_eq!(answer.status, Some(StatusCode::FORBIDDEN));
    assert!(peer.interim(key).is_empty());
}

#[tokio::test]
async fn continue_is_not_sent_to_a_client_that_went_on() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, BoxError>(Response::new(format!("{} bytes", body.len())))
    });
    let mut peer = Peer::connect(Version::Http2, ServerOptions::default(), service);
    let key = expecting(&mut peer, "/");
    peer.stream(key)
        .send_data(Bytes::from_static(b"early"), false)
        .unwrap();
    peer.flush().await;
    peer.get("/").await;
    peer.stream(key)
        .send_data(Bytes::from_static(b"late"), true)
        .unwrap();
    assert_eq!(peer.answer(key).await.text(), "9 bytes");
    assert!(peer.interim(key).is_empty());
}

async fn page(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
    let informer = request.extensions().get::<Informer>().ok_or("none")?;
    let mut fields = HeaderMap::new();
    fields.insert(LINK, HeaderValue::from_static("</style.css>; rel=preload"));
    let hints = informer.early_hints(fields);
    let mut processing = Response::new(());
    *processing.status_mut() = StatusCode::PROCESSING;
    let outcome = match request.uri().path() {
        // No handler waits for it, and nothing is pending.
        "/at-once" => {
            drop((hints, informer.inform(processing)));
            "not known".to_owned()
        }
        _ => {
            let outcome = hints.await;
            drop(informer.inform(processing));
            format!("{outcome:?}")
        }
    };
    Ok(Response::new(outcome))
}

#[tokio::test]
async fn hints_go_out_before_the_response() {
    let options = || ServerOptions::default().informer(Extension::Insert);
    for (path, outcome) in [("/at-once", "not known"), ("/awaited", "Ok(())")] {
        let mut peer = Peer::connect(Version::Http2, options(), service_fn(page));
        let key = peer.open(Method::GET, path, None);
        assert_eq!(peer.answer(key).await.text(), outcome);
        assert_eq!(peer.interim(key), [103, 102]);
        let reply = |seen: &Seen| matches!(seen, Seen::Reply(_));
        assert_eq!(peer.seen.iter().position(reply), Some(2));
        let Some(Seen::Interim(_, hints)) = peer.seen.first() else {
            panic!("{:?}", peer.seen);
        };
        assert_eq!(hints.fields[LINK], "</style.css>; rel=preload");
    }
    // SPDY has none, and the error says so.
    let mut peer = Peer::connect(Version::Spdy31, options(), service_fn(page));
    assert_eq!(peer.get("/awaited").await.text(), "Err(Unsupported)");
    // The handle is not enabled.
    let mut peer = Peer::connect(Version::Http2, ServerOptions::default(), service_fn(page));
    assert_eq!(
        peer.get("/").await.status,
        Some(StatusCode::INTERNAL_SERVER_ERROR)
    );
}

#[tokio::test]
async fn an_interim_response_that_comes_too_late_is_an_error() {
    let (sender, mut informers) = mpsc::unbounded_channel();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let service = service_fn(move |request: Request<RequestBody>| {
        let (sender, kept) = (sender.clone(), Arc::clone(&kept));
        async move {
            let informer = request.extensions().get::<Informer>().unwrap();
            sender.send(informer.clone()).unwrap();
            let (more, body) = pieces();
            kept.lock().await.push(more);
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    let options = ServerOptions::default().informer(Extension::Insert);
    let mut peer = Peer::connect(Version::Http2, options, service);
    let key = peer.open(Method::GET, "/", None);
    peer.head(key).await;
    let informer = informers.recv().await.unwrap();
    let hint = || informer.early_hints(HeaderMap::new());
    let telling = hint();
    assert_eq!(telling.await, Err(InformError::AlreadyReplied));

    let more = bodies.lock().await.pop().unwrap();
    let end = Frame::trailers(HeaderMap::new());
    more.send(Ok(end)).await.unwrap();
    drop(more);
    peer.answer(key).await;
    assert_eq!(hint().await, Err(InformError::Gone));
    assert!(peer.interim(key).is_empty());

    let mut wrong = Response::new(());
    for status in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS] {
        *wrong.status_mut() = status;
        let told = informer.inform(wrong.clone()).await;
        assert_eq!(told, Err(InformError::NotInterim { status }));
    }
    drop(peer.hang_up());
    while hint().await != Err(InformError::Gone) {
        tokio::task::yield_now().await;
    }
}
