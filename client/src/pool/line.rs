//! Requests that wait while a connection is made, the oldest in front.

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
    ClientError, Connection, Origin, ResponseFuture, age::Age, body::RequestBody, link::Failure,
};

/// Those who wait for a connection to one origin. Each leaves with its future.
#[derive(Default)]
pub(super) struct Line {
    waiting: BTreeMap<Age, Waiting>,
    /// The one whose request makes the connection.
    at_work: Option<Age>,
}

/// What somebody waits for.
pub(super) enum Waiting {
    Response(Box<Request<RequestBody>>, oneshot::Sender<Answer>),
    Connection(oneshot::Sender<Result<Connection, ClientError>>),
}

/// The response to a request that is on a connection now.
pub(super) type Answer = Result<ResponseFuture, Box<Failure>>;

impl Waiting {
    /// Goes on with a connection.
    pub(super) fn go_on(self, age: Age, connection: &Connection) {
        // Whoever waited may have left; what they asked for is dropped.
        match self {
            Self::Response(request, answer) => {
                if !answer.is_closed() {
                    let _ = answer.send(Ok(connection.send(*request, age)));
                }
            }
            Self::Connection(answer) => {
                let _ = answer.send(Ok(connection.clone()));
            }
        }
    }

    /// There is no connection.
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

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.at_work.is_none()
    }

    pub(super) fn push(&mut self, age: Age, waiting: Waiting) {
        self.waiting.insert(age, waiting);
    }

    pub(super) fn pop(&mut self) -> Option<(Age, Waiting)> {
        self.waiting.pop_first()
    }

    /// The oldest request, to make the connection with.
    #[cfg(feature = "h2c")]
    pub(super) fn take_to_work(
        &mut self,
    ) -> Option<(Age, Request<RequestBody>, oneshot::Sender<Answer>)> {
        let mut requests = self.waiting.iter();
        let is_request = |waiting: &&Waiting| matches!(waiting, Waiting::Response(..));
        let age = *requests.find(|(_, waiting)| is_request(waiting))?.0;
        match self.waiting.remove(&age)? {
            Waiting::Response(request, answer) => {
                self.at_work = Some(age);
                Some((age, *request, answer))
            }
            Waiting::Connection(_) => None,
        }
    }

    #[cfg(feature = "h2c")]
    pub(super) fn work_is_done(&mut self) {
        self.at_work = None;
    }

    /// Somebody waits no more.
    pub(super) fn leave(&mut self, age: Age) {
        self.waiting.remove(&age);
        self.at_work.take_if(|at_work| *at_work == age);
    }
}

/// A place in the line; dropping it is leaving it.
pub(super) struct Place<T> {
    pub(super) pool: Arc<Pool>,
    pub(super) origin: Origin,
    pub(super) age: Age,
    pub(super) answer: oneshot::Receiver<T>,
    pub(super) left: Left,
}

/// Whether somebody has left the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Yes,
    No,
}

impl<T> Future for Place<T> {
    /// An error if whoever makes the connection ended without a word.
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

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        if self.left == Left::No {
            self.pool.leave(&self.origin, self.age);
        }
    }
}
