//! Requests that wait while a connection is made, the oldest first.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use lacewing_conn::{Initiator, Reason};
use tokio::sync::oneshot;

use super::Pool;
use crate::{
    ClientError, Connection, Origin, ResponseFuture,
    age::Age,
    body::RequestBody,
    link::{Failure, Submission},
    spare::Again,
};

/// Requests that wait for a connection to one origin. A request leaves when its future is dropped.
#[derive(Default)]
pub(super) struct WaitQueue {
    waiting: BTreeMap<Age, Waiting>,
    /// The age of the request that makes the connection by an upgrade.
    upgrading: Option<Age>,
}

/// An entry of the queue: a request, or a caller that needs the connection itself.
pub(super) enum Waiting {
    Response(Box<Request<RequestBody>>, oneshot::Sender<Answer>),
    Connection(oneshot::Sender<Result<Connection, ClientError>>),
}

/// The end of a request's wait, or the failure.
pub(super) type Answer = Result<Answered, Box<Failure>>;

/// The end of a request's wait for a connection.
pub(super) enum Answered {
    /// It has one.
    Response(ResponseFuture),
    /// The server speaks HTTP/1.1: each request takes a connection of its own.
    #[cfg(feature = "http1")]
    InHttp1(Box<Request<RequestBody>>),
}

impl Waiting {
    /// Passes the connection to the entry.
    pub(super) fn proceed(self, age: Age, connection: &Connection) {
        // If the future is dropped, the request is dropped too.
        match self {
            Self::Response(request, answer) => {
                if !answer.is_closed() {
                    let response = connection.send(Submission::new(*request, age, Again::Possible));
                    let _ = answer.send(Ok(Answered::Response(response)));
                }
            }
            Self::Connection(answer) => {
                let _ = answer.send(Ok(connection.clone()));
            }
        }
    }

    /// Passes on that the server speaks HTTP/1.1.
    #[cfg(feature = "http1")]
    pub(super) fn proceed_in_http1(self, origin: &Origin) {
        match self {
            Self::Response(request, answer) => {
                let _ = answer.send(Ok(Answered::InHttp1(request)));
            }
            Self::Connection(answer) => {
                let origin = origin.to_string();
                let _ = answer.send(Err(ClientError::Http1Only { origin }));
            }
        }
    }

    /// Fails the entry: there is no connection.
    pub(super) fn fail(self, error: ClientError) {
        match self {
            Self::Response(request, answer) => {
                let _ = answer.send(Err(Failure::unsent(error, *request)));
            }
            Self::Connection(answer) => {
                let _ = answer.send(Err(error));
            }
        }
    }
}

impl WaitQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.upgrading.is_none()
    }

    pub(super) fn push(&mut self, age: Age, waiting: Waiting) {
        self.waiting.insert(age, waiting);
    }

    pub(super) fn pop(&mut self) -> Option<(Age, Waiting)> {
        self.waiting.pop_first()
    }

    /// Takes the oldest request, to make the connection with it.
    #[cfg(feature = "h2c")]
    pub(super) fn take_for_upgrade(
        &mut self,
    ) -> Option<(Age, Request<RequestBody>, oneshot::Sender<Answer>)> {
        let mut requests = self.waiting.iter();
        let is_request = |waiting: &&Waiting| matches!(waiting, Waiting::Response(..));
        let age = *requests.find(|(_, waiting)| is_request(waiting))?.0;
        match self.waiting.remove(&age)? {
            Waiting::Response(request, answer) => {
                self.upgrading = Some(age);
                Some((age, *request, answer))
            }
            Waiting::Connection(_) => None,
        }
    }

    #[cfg(feature = "h2c")]
    pub(super) fn upgrade_is_over(&mut self) {
        self.upgrading = None;
    }

    /// Removes an entry.
    pub(super) fn leave(&mut self, age: Age) {
        self.waiting.remove(&age);
        self.upgrading.take_if(|upgrading| *upgrading == age);
    }
}

/// The future of a queue entry. When it is dropped, the entry leaves the queue.
pub(super) struct Waiter<T> {
    pub(super) pool: Arc<Pool>,
    pub(super) origin: Origin,
    pub(super) age: Age,
    pub(super) answer: oneshot::Receiver<T>,
    pub(super) left: Left,
}

/// The departure of an entry from the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Yes,
    No,
}

impl<T> Future for Waiter<T> {
    /// Returns an error if the task that makes the connection was dropped.
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        self.left = Left::Yes;
        Poll::Ready(answer.map_err(|_| {
            let detail = "the task that makes the connection was dropped";
            lacewing_conn::Error::connection(Initiator::Library, Reason::InternalError, detail)
                .into()
        }))
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        if self.left == Left::No {
            self.pool.leave(&self.origin, self.age);
        }
    }
}
