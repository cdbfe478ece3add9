//! Handlers whose content-length and body contradict each other, and bodies that end early: the
//! client never mistakes an incomplete response for a complete one.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::{BoxError, Reason, RequestBody, ServerOptions, Version, service_fn};

use crate::peer::Peer;

/// A body that follows a script.
struct Script {
    steps: VecDeque<Step>,
    /// `is_end_stream` is true as soon as no data is left.
    knows_its_end: bool,
}

enum Step {
    Data(&'static str),
    /// After one more poll.
    Later(&'static str),
    Trailers,
    Error,
    Panic,
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(step) = self.steps.pop_front() else {
            assert!(!self.knows_its_end, "polled after its end");
            return Poll::Ready(None);
        };
        let data = |text: &'static str| Frame::data(Bytes::from_static(text.as_bytes()));
        Poll::Ready(Some(match step {
            Step::Data(text) => Ok(data(text)),
            Step::Later(text) => {
                self.steps.push_front(Step::Data(text));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Step::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Step::Error => Err("the disk is gone".into()),
            Step::Panic => panic!("the body panics, as it should"),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.steps.iter().all(|step| matches!(step, Step::Data(_))) && self.knows_its_end {
            true => SizeHint::with_exact(self.steps.iter().map(Step::len).sum()),
            false => SizeHint::default(),
        }
    }
}

impl Step {
    fn len(&self) -> u64 {
        match self {
            Self::Data(text) | Self::Later(text) => text.len() as u64,
            Self::Trailers | Self::Error | Self::Panic => 0,
        }
    }
}

/// `/KIND/LENGTH`, with `-` for a response without content-length.
async fn handle(request: Request<RequestBody>) -> Result<Response<Script>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(1);
    let (kind, length) = (parts.next().unwrap(), parts.next().unwrap());
    let kind = kind.strip_suffix("-later").unwrap_or(kind);
    let steps = match kind {
        "four" => vec![Step::Data("four")],
        "pieces" => vec![Step::Data("fo"), Step::Data(""), Step::Data("ur")],
        "late" => vec![Step::Later("fo"), Step::Later("ur")],
        "surplus" => vec![Step::Data("four"), Step::Later("more")],
        "empty" => vec![],
        "trailers" => vec![Step::Data("four"), Step::Trailers],
        "error" => vec![Step::Data("four"), Step::Error],
        "late-error" => vec![Step::Later("four"), Step::Error],
        "panic" => vec![Step::Data("four"), Step::Panic],
        "error-first" => vec![Step::Error],
        _ => panic!("{kind}"),
    };
    let mut response = Response::builder();
    if length != "-" {
        response = response.header("content-length", length);
    }
    let body = Script {
        steps: steps.into(),
        knows_its_end: !path.contains("-later/"),
    };
    Ok(response.body(body).unwrap())
}

/// The fault, and its report to the observer.
const WRONG: [(&str, &str); 20] = [
    ("/four/10", "ended after 4 B, and its content-length is 10"),
    ("/four-later/10", "ended after 4 B"),
    ("/pieces/10", "ended after 4 B"),
    ("/late/10", "ended after 4 B"),
    ("/late-later/10", "ended after 4 B"),
    ("/empty/10", "ended after 0 B"),
    ("/empty-later/10", "ended after 0 B"),
    ("/trailers/10", "ended after 4 B"),
    ("/four/2", "has 4 B or more, and its content-length is 2"),
    ("/pieces/2", "has 4 B or more"),
    ("/pieces/0", " B or more, and its content-length is 0"),
    ("/surplus/4", "has 8 B or more, and its content-length is 4"),
    ("/surplus-later/4", "has 8 B or more"),
    ("/surplus/6", "has 8 B or more"),
    ("/error/-", "the disk is gone"),
    ("/error/10", "the disk is gone"),
    ("/late-error/-", "the disk is gone"),
    ("/panic/-", "body panicked"),
    ("/panic/10", "body panicked"),
    ("/error-first/-", "the disk is gone"),
];

#[tokio::test]
async fn what_is_not_whole_ends_in_a_reset() {
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service_fn(handle));
        for (path, told) in WRONG {
            let answer = peer.get(path).await;
            let case = format!("{version} {path}: {answer:?}");
            assert_eq!(answer.reset, Some(Reason::InternalError), "{case}");
            assert!(!answer.fin, "{case}");
            if let Some(length) = answer.fields.get("content-length") {
                let length: usize = length.to_str().unwrap().parse().unwrap();
                assert!(answer.body.len() <= length, "{case}");
            }
            let last = peer.log.lock().unwrap().pop().unwrap();
            assert!(last.contains(told), "{case}: {last}");
        }
        // The connection continues.
        assert_eq!(peer.get("/four/4").await.text(), "four", "{version}");
        assert!(peer.log.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_is_consistent_goes_through() {
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service_fn(handle));
        for path in [
            "four/4",
            "four/-",
            "pieces/4",
            "late/-",
            "late/4",
            "trailers/4",
        ] {
            for ending in ["", "-later"] {
                let path = format!("/{}", path.replace('/', &format!("{ending}/")));
                let answer = peer.get(&path).await;
                assert_eq!(answer.text(), "four", "{version} {path}");
                assert!(answer.fin && answer.reset.is_none(), "{version} {path}");
            }
        }
        // The length in a response to HEAD is that of a GET response.
        for path in ["/four/10", "/empty/10", "/four/2", "/error/10"] {
            let key = peer.open(Method::HEAD, path, None);
            let answer = peer.answer(key).await;
            assert!(answer.fin && answer.reset.is_none(), "{version} {path}");
        }
        assert!(peer.log.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_content_length_that_is_no_number_never_leaves() {
    for version in Version::ALL {
        let mut peer = Peer::connect(version, ServerOptions::default(), service_fn(handle));
        for path in ["/four/ten", "/four/+4", "/four/4,4", "/four/0x4"] {
            let answer = peer.get(path).await;
            let status = Some(StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.status, status, "{version} {path}");
            let last = peer.log.lock().unwrap().pop().unwrap();
            assert!(last.contains("not one number"), "{version} {path}: {last}");
        }
    }
}

/// A push has a handler and a length, like any response.
#[tokio::test]
async fn a_push_is_held_to_its_length_too() {
    use lacewing_server::{ConnectionInfo, Extension, Pusher};

    for version in Version::ALL {
        let service = service_fn(|request: Request<RequestBody>| async move {
            let length = if request.uri().path() == "/pushed" {
                "10"
            } else {
                "4"
            };
            if let Some(pusher) = request.extensions().get::<Pusher>() {
                let pushed = Request::get("/pushed").body(()).unwrap();
                let _ = pusher.push(pushed).await;
            }
            let response = Response::builder().header("content-length", length);
            Ok::<_, Infallible>(response.body("four".to_owned()).unwrap())
        });
        let options = ServerOptions::default().pusher(Extension::Insert);
        let info = ConnectionInfo::from(version);
        let mut peer = Peer::connect_as(info, options, service, |config| {
            config.push = lacewing_conn::proto::ServerPush::Accept
        });
        assert_eq!(peer.get("/").await.text(), "four", "{version}");
        let promised = peer.seen.iter().find_map(|seen| match seen {
            crate::peer::Seen::Promise { stream, .. } => Some(*stream),
            _ => None,
        });
        let pushed = peer.answer(promised.unwrap()).await;
        assert_eq!(pushed.reset, Some(Reason::InternalError), "{version}");
    }
}

#[cfg(feature = "http1")]
mod by_http1 {
    use super::*;
    use crate::http1::Http1;

    /// Over HTTP/1.1 the connection ends before the body.
    #[tokio::test]
    async fn what_is_not_whole_ends_with_its_connection() {
        for (path, told) in WRONG {
            let mut client = Http1::connect(ServerOptions::default(), service_fn(handle));
            let reply = client.get(path).await;
            let case = format!("{path}: {reply:?}");
            if path == "/pieces/0" {
                // hyper would not even poll the body.
                assert_eq!(reply.status(), 500, "{case}");
            } else {
                assert!(!reply.whole, "{case}");
                assert_eq!(reply.status(), 200, "{case}");
                assert!(client.serving.await.unwrap().is_err(), "{case}");
            }
            let log = client.log.lock().unwrap().join("\n");
            assert!(log.contains(told), "{case}: {log}");
        }
    }

    #[tokio::test]
    async fn what_is_consistent_goes_through() {
        let mut client = Http1::connect(ServerOptions::default(), service_fn(handle));
        for path in ["four/4", "four/-", "pieces/4", "late/4"] {
            for ending in ["", "-later"] {
                let path = format!("/{}", path.replace('/', &format!("{ending}/")));
                let reply = client.get(&path).await;
                assert!(
                    reply.whole && reply.body.contains("four"),
                    "{path}: {reply:?}"
                );
            }
        }
        assert!(client.get("/late/-").await.whole);
        for path in ["/four/10", "/empty/10", "/four/2", "/error/10"] {
            client.send("HEAD", path).await;
            let reply = client.reply("HEAD").await;
            assert!(reply.whole && reply.status() == 200, "{path}: {reply:?}");
        }
        for path in ["/four/ten", "/four/+4", "/four/4,4"] {
            assert_eq!(client.get(path).await.status(), 500, "{path}");
            let last = client.log.lock().unwrap().pop().unwrap();
            assert!(last.contains("not one number"), "{path}: {last}");
        }
        assert!(client.log.lock().unwrap().is_empty());
    }
}
