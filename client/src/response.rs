//! Futures of responses.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Response;
use lacewing_conn::driver::Incoming;

use crate::{
    ClientError,
    link::{Failure, Link, Outcome, Reply},
};

/// The response to a request; from
/// [`Connection::request`](crate::Connection::request). Dropping it cancels the
/// request.
#[derive(Debug)]
#[must_use = "dropping it cancels the request"]
pub struct ResponseFuture(Stage);

#[derive(Debug)]
enum Stage {
    Waiting {
        reply: Arc<Reply>,
        link: Arc<Link>,
    },
    Failed(Box<Failure>),
    /// The outcome was returned.
    Done,
}

impl ResponseFuture {
    pub(crate) fn new(reply: Arc<Reply>, link: Arc<Link>) -> Self {
        Self(Stage::Waiting { reply, link })
    }

    pub(crate) fn failed(failure: Box<Failure>) -> Self {
        Self(Stage::Failed(failure))
    }

    /// As [`Future::poll`], but returns a request that was never sent.
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Stage::Waiting { reply, .. } = &self.0 {
            let outcome = std::task::ready!(reply.poll(cx));
            self.0 = Stage::Done;
            return Poll::Ready(outcome);
        }
        match std::mem::replace(&mut self.0, Stage::Done) {
            Stage::Failed(failure) => Poll::Ready(Err(failure)),
            Stage::Waiting { .. } | Stage::Done => Poll::Pending,
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Incoming>, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_outcome(cx).map_err(|failure| failure.error)
    }
}

impl Drop for ResponseFuture {
    fn drop(&mut self) {
        if let Stage::Waiting { reply, link } = &self.0 {
            if reply.abandon() {
                link.cancel(Arc::clone(reply));
            }
        }
    }
}
