//! The cell between the handles of a [`Mux`](super::Mux) and the connection's task.

use std::{collections::VecDeque, task::Waker, time::Duration};

use http::HeaderMap;
use tokio::sync::oneshot;

use super::stream::RawStream;
use crate::{
    Error, Initiator, Reason,
    driver::{mailbox::Mailbox, ready_queue::Cell},
    proto::{ConnectionStats, OpenOptions},
};

/// The cell between the handles and the connection's task.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) mailbox: Mailbox<Request>,
    pub(super) state: Cell<HubState>,
}

impl Hub {
    /// The error of a request that was not answered: the connection is over.
    pub(super) fn closed_error(&self) -> Error {
        let state = self.state.lock();
        closed(state.closed.as_ref().unwrap_or(&Ok(())))
    }
}

/// A message of a handle to the connection's task.
#[derive(Debug)]
pub(super) enum Request {
    Open(Open),
    Ping(oneshot::Sender<Duration>),
    Stats(oneshot::Sender<ConnectionStats>),
    Shutdown,
    /// The last handle was dropped: the last message.
    HandlesGone,
}

#[derive(Debug, Default)]
pub(super) struct HubState {
    /// Bounded by the streams that the peer may have open.
    pub(super) accepted: VecDeque<Accepted>,
    pub(super) acceptors: Vec<Waker>,
    pub(super) closers: Vec<Waker>,
    pub(super) handles_gone: bool,
    pub(super) closed: Option<Result<(), Error>>,
    /// The transport is closed.
    pub(super) ended: bool,
}

/// A request for a new stream.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) headers: HeaderMap,
    pub(super) options: OpenOptions,
    pub(super) answer: oneshot::Sender<Result<RawStream, Error>>,
}

/// A stream that the peer opened.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) headers: HeaderMap,
    pub(super) stream: RawStream,
}

/// The error of a stream that cannot be opened because the connection is over.
/// It was not sent: the user may open it on another connection.
pub(super) fn closed(result: &Result<(), Error>) -> Error {
    let error = match result {
        Err(error) => error.clone(),
        Ok(()) => Error::connection(
            Initiator::User,
            Reason::RefusedStream,
            "the connection is closed",
        ),
    };
    error.with_retryable(true)
}
