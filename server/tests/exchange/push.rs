//! Pushes: promised before the response, and answered by the same service.

use http::{Method, Request, Response};
use lacewing_conn::proto::{Config, Control, ServerPush};
use lacewing_server::{
    BoxError, ConnectionInfo, Extension, PushError, PushRule, PushedRequest, Pusher, RequestBody,
    ServerOptions, Version, service_fn,
};

use crate::peer::{Peer, Seen};

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

async fn site(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
    let pushed = request.extensions().get::<PushedRequest>().is_some();
    let pusher = request.extensions().get::<Pusher>();
    match request.uri().path() {
        "/" => {
            let Some(pusher) = pusher else {
                return Ok(Response::new("no pusher".into()));
            };
            // The outcome does not matter.
            drop(pusher.push(get("/style.css")));
            Ok(Response::new("page".into()))
        }
        "/two" => {
            let pusher = pusher.ok_or("no pusher")?;
            let (first, second) = (pusher.push(get("/slow")), pusher.push(get("/slow")));
            Ok(Response::new(format!(
                "{:?} {:?}",
                first.await,
                second.await
            )))
        }
        "/wrong" => {
            let pusher = pusher.ok_or("no pusher")?;
            let post = Request::post("/").body(()).unwrap();
            let outcomes = [
                pusher.push(post).await,
                pusher.push(get("http://other.example/")).await,
                pusher.push(get("https://example.org/")).await,
            ];
            let expected = [PushRule::Method, PushRule::Authority, PushRule::Authority];
            assert_eq!(
                outcomes,
                expected.map(|rule| Err(PushError::NotAllowed(rule)))
            );
            Ok(Response::new("as it should".into()))
        }
        "/slow" => std::future::pending().await,
        "/style.css" => {
            let uri = request.uri();
            assert_eq!(uri, "http://example.org/style.css");
            let again = if pusher.is_some() { ", may push" } else { "" };
            Ok(Response::new(format!("style, pushed: {pushed}{again}")))
        }
        _ => Err("no such page".into()),
    }
}

fn connect(version: Version, configure: impl FnOnce(&mut Config)) -> Peer {
    let options = ServerOptions::default().pusher(Extension::Insert);
    let info = ConnectionInfo::from(version);
    Peer::connect_as(info, options, service_fn(site), configure)
}

#[tokio::test]
async fn a_push_is_promised_before_the_response_and_served() {
    for version in Version::ALL {
        let mut peer = connect(version, |config| config.push = ServerPush::Accept);
        let key = peer.open(Method::GET, "/", None);
        assert_eq!(peer.answer(key).await.text(), "page", "{version}");
        let promised = peer
            .seen
            .iter()
            .position(|seen| matches!(seen, Seen::Promise { .. }));
        // Over SPDY it may follow the head of the response, but no later frame.
        let replied = peer.seen.iter().position(|seen| match seen {
            Seen::Reply(stream) => *stream == key && version == Version::Http2,
            Seen::Over(stream) => *stream == key,
            _ => false,
        });
        assert!(promised.unwrap() < replied.unwrap(), "{version}");
        let Seen::Promise {
            parent,
            stream,
            head,
        } = &peer.seen[promised.unwrap()]
        else {
            panic!();
        };
        assert_eq!(*parent, key);
        let Control::Request { method, uri, .. } = &head.control else {
            panic!();
        };
        assert_eq!((method, uri.path()), (&Method::GET, "/style.css"));
        let stream = *stream;
        let answer = peer.answer(stream).await;
        assert_eq!(answer.text(), "style, pushed: true", "{version}");
        // A request of the client is not a push, and may push.
        let asked = peer.get("/style.css").await;
        assert_eq!(asked.text(), "style, pushed: false, may push");
        assert_eq!(peer.engine.open_streams(), 0);
    }
}

#[tokio::test]
async fn a_client_that_takes_no_pushes_gets_none() {
    let mut peer = connect(Version::Http2, |config| config.push = ServerPush::Refuse);
    assert_eq!(peer.get("/").await.text(), "no pusher");
    assert!(
        !peer
            .seen
            .iter()
            .any(|seen| matches!(seen, Seen::Promise { .. }))
    );
}

#[tokio::test]
async fn no_more_is_pushed_than_the_client_takes() {
    let mut peer = connect(Version::Http2, |config| {
        config.push = ServerPush::Accept;
        config.limits.max_pushed_streams = 1;
        config.limits.max_concurrent_streams = 1;
    });
    let answer = peer.get("/two").await;
    assert_eq!(answer.text(), "Ok(()) Err(TooMany { max: 1 })");
}

#[tokio::test]
async fn what_must_not_be_pushed_is_not() {
    let mut peer = connect(Version::Http2, |config| config.push = ServerPush::Accept);
    assert_eq!(peer.get("/wrong").await.text(), "as it should");
    assert!(
        !peer
            .seen
            .iter()
            .any(|seen| matches!(seen, Seen::Promise { .. }))
    );
}

/// A client that declines pushes ends their handlers, and nothing else.
#[tokio::test]
async fn a_push_that_is_declined_ends() {
    let mut peer = connect(Version::Http2, |config| config.push = ServerPush::Accept);
    for _ in 0..20 {
        let key = peer.open(Method::GET, "/two", None);
        assert_eq!(peer.answer(key).await.text(), "Ok(()) Ok(())");
        let streams: Vec<_> = peer
            .seen
            .drain(..)
            .filter_map(|seen| match seen {
                Seen::Promise { stream, .. } => Some(stream),
                _ => None,
            })
            .collect();
        assert_eq!(streams.len(), 2);
        for stream in streams {
            peer.reset(stream);
        }
        peer.flush().await;
    }
    let asked = peer.get("/style.css").await;
    assert_eq!(asked.text(), "style, pushed: false, may push");
}
