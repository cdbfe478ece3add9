//! The server's application: its handlers do as their plans say.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::{BoxError, Informer, Pusher, RequestBody};
use tokio::time::sleep;

use crate::{
    content::{self, Live, Source},
    ledger::{World, response_number},
    plan::Outcome,
};

/// The content of a response.
#[derive(Debug)]
pub(crate) enum Content {
    Source(Source),
    Echo(RequestBody, #[expect(dead_code, reason = "counts")] Live),
}

impl Body for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Source(source) => Pin::new(source).poll_frame(cx).map_err(BoxError::from),
            Self::Echo(body, _) => Pin::new(body).poll_frame(cx).map_err(BoxError::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Source(source) => source.is_end_stream(),
            Self::Echo(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Source(source) => source.size_hint(),
            Self::Echo(body, _) => body.size_hint(),
        }
    }
}

pub(crate) async fn handle(
    request: Request<RequestBody>,
    world: Arc<World>,
) -> Result<Response<Content>, io::Error> {
    let _live = world.live();
    let (number, plan, record) = world.of(request.uri());
    record.calls.fetch_add(1, Ordering::Relaxed);
    if plan.handler.informs {
        if let Some(informer) = request.extensions().get::<Informer>() {
            let mut fields = HeaderMap::new();
            fields.insert("x-number", number.into());
            // Refused where the stream is over, or the protocol has none.
            let _ = informer.early_hints(fields).await;
        }
    }
    if let Some(pusher) = request.extensions().get::<Pusher>() {
        for pushed in world.pushes_of(number) {
            let request = Request::get(format!("/{pushed}")).body(()).unwrap();
            let accepted = pusher.push(request).await.is_ok();
            world
                .record(pushed)
                .promised
                .store(accepted, Ordering::Relaxed);
        }
    }
    sleep(plan.handler.pause).await;
    let body = request.into_body();
    if plan.handler.result == Outcome::Echoes {
        return Ok(Response::new(Content::Echo(body, world.live())));
    }
    let seen = content::read(body, number, plan.handler.reading).await;
    record.uploads.lock().unwrap().push(seen);
    match plan.handler.result {
        Outcome::Fails => {
            record.handler_failed.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::other("a planned error"))
        }
        Outcome::Panics => {
            record.handler_panicked.fetch_add(1, Ordering::Relaxed);
            content::panic_as_planned()
        }
        Outcome::Responds | Outcome::Echoes => {
            let source = Source::new(
                response_number(number),
                plan.response.clone(),
                &record.response_failed,
                world.live(),
            );
            let mut response = Response::new(Content::Source(source));
            if let Some(length) = plan.response.declared() {
                response
                    .headers_mut()
                    .insert("content-length", length.into());
            }
            Ok(response)
        }
    }
}
