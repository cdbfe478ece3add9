//! Server-sent events.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::BodyExt as _;
use lacewing_client::Body;
use lacewing_server::RequestBody;
use tokio::{join, sync::mpsc};

use crate::peers::{BACKS, FRONTS, Pieces, client, forward, patiently, upstream};

/// An event that would be worth compressing.
fn event() -> Bytes {
    format!("data: {}\n\n", "x".repeat(2_000)).into()
}

/// Neither compression nor a buffer holds an event back: the next is made once this one came.
#[tokio::test(flavor = "multi_thread")]
async fn events_come_one_by_one_beside_compression() {
    for (scheme, protocol) in BACKS {
        let (give, mut streams) = mpsc::channel(1);
        let answer = move |_: Request<RequestBody>| {
            let give = give.clone();
            async move {
                let (events, receive) = mpsc::channel(1);
                give.send(events).await.unwrap();
                let mut response = Response::new(Pieces(receive));
                let stream = HeaderValue::from_static("text/event-stream");
                response.headers_mut().insert(CONTENT_TYPE, stream);
                response
            }
        };
        let address = upstream(protocol, answer).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &["--compress"]);
        for front in FRONTS {
            let request = Request::get(format!("http://{}/", running.http))
                .header("accept-encoding", "gzip, br, zstd")
                .body(Body::empty())
                .unwrap();
            let client = client(front);
            let (response, events) = join!(patiently(client.request(request)), async {
                let events = patiently(streams.recv()).await.unwrap();
                events.send(Frame::data(event())).await.unwrap();
                events
            });
            let response = response.unwrap();
            let coded = response.headers().contains_key("content-encoding");
            assert!(!coded, "{front:?} {scheme}");
            let mut body = response.into_body();
            for _ in 0..3 {
                let mut came = Vec::new();
                while came.len() < event().len() {
                    let frame = patiently(body.frame()).await.unwrap().unwrap();
                    came.extend_from_slice(&frame.into_data().unwrap());
                }
                assert!(came == event(), "{front:?} {scheme}");
                events.send(Frame::data(event())).await.unwrap();
            }
        }
    }
}
