//! The server's application: content of any length, an echo, and pages with pushes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use lacewing_server::{PushedRequest, Pusher, RequestBody};
use tower_service::Service;

use crate::Error;

/// `/bytes/N` has N bytes, `/page` pushes two, `/echo` returns the request's content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Soak;

/// Content, in pieces of 8 KiB.
#[derive(Debug)]
pub(super) struct Content {
    rest: Bytes,
}

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

impl Content {
    fn zeros(len: usize) -> Self {
        let rest = Bytes::from_static(ZEROS.get(..len).unwrap_or(&ZEROS));
        Self { rest }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.rest.len().min(8 << 10);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Content>, Error>> + Send>>;

impl Service<Request<RequestBody>> for Soak {
    type Response = Response<Content>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answer {
        Box::pin(answer(request))
    }
}

async fn answer(request: Request<RequestBody>) -> Result<Response<Content>, Error> {
    let path = request.uri().path().to_owned();
    if path == "/echo" {
        let rest = request.into_body().collect().await?.to_bytes();
        return Ok(Response::new(Content { rest }));
    }
    let pushed = request.extensions().get::<PushedRequest>().is_some();
    if let Some(pusher) = request
        .extensions()
        .get::<Pusher>()
        .filter(|_| !pushed && path == "/page")
    {
        for path in ["/bytes/1000", "/bytes/0"] {
            drop(pusher.push(Request::get(path).body(())?));
        }
    }
    let len = path
        .strip_prefix("/bytes/")
        .and_then(|len| len.parse().ok());
    Ok(Response::new(Content::zeros(len.unwrap_or(100))))
}
