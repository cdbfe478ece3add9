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
    link::{Link, Outcome, Reply},
};

/// The response to a request; from
/// [`Connection::request`](crate::Connection::request). Dropping it cancels the
/// request. After its outcome, it returns [`ClientError::AlreadyReturned`].
#[derive(Debug)]
#[must_use = "dropping it cancels the request"]
pub struct ResponseFuture {
    /// `None` once the outcome was returned.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    reply: Arc<Reply>,
    link: Arc<Link>,
}

impl ResponseFuture {
    #[inline]
    pub(crate) fn new(reply: Arc<Reply>, link: Arc<Link>) -> Self {
        let waiting = Some(Waiting { reply, link });
        Self { waiting }
    }

    /// Keeps the parts of a request that was sent in another way.
    #[cfg(feature = "h2c")]
    pub(crate) fn keep(&self, spare: crate::spare::Spare) {
        if let Some(Waiting { reply, .. }) = &self.waiting {
            reply.keep(spare);
        }
    }

    /// As [`Future::poll`], but returns a request that was never sent.
    #[inline]
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(Waiting { reply, .. }) = &self.waiting else {
            return Poll::Pending;
        };
        let outcome = reply.poll(cx);
        if outcome.is_ready() {
            self.waiting = None;
        }
        outcome
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Incoming>, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waiting.is_none() {
            return Poll::Ready(Err(ClientError::AlreadyReturned));
        }
        self.poll_outcome(cx).map_err(|failure| failure.error)
    }
}

impl Drop for ResponseFuture {
    fn drop(&mut self) {
        if let Some(Waiting { reply, link }) = &self.waiting {
            if reply.abandon() {
                link.cancel(Arc::clone(reply));
            }
        }
    }
}
