//! Messages from handles to the connection's task.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Request;
use lacewing_conn::proto::{ConnectProtocol, ConnectionStats, Priority, StreamKey};
use tokio::sync::oneshot;

use super::{Failure, Progress, Reply};
use crate::{ClientError, age::Age, body::RequestBody, spare::Again};

/// A message for the connection's task. If the task cannot answer, it drops the sender of the
/// answer.
#[derive(Debug)]
pub(crate) enum Message {
    /// Sends a request.
    Request(Submission),
    /// Reports that the future of this response was dropped.
    Cancel(Arc<Reply>),
    /// Measures a round trip.
    Ping(oneshot::Sender<Duration>),
    /// Requests the connection's statistics.
    Stats(oneshot::Sender<ConnectionStats>),
    /// Changes the priority of a stream.
    Prioritize(Arc<NewPriority>),
    /// Ends the connection as soon as it is idle.
    ShutDown,
}

/// A request for the connection's task. The request itself is in its [`Reply`]: a submission passes
/// through two queues, and the request is large.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) reply: Arc<Reply>,
    pub(crate) age: Age,
    pub(crate) kind: RequestKind,
    pub(crate) again: Again,
}

/// The property of a request that decides when it may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Extended CONNECT (RFC 8441): not before the server's SETTINGS.
    ExtendedConnect,
    Other,
}

impl RequestKind {
    fn of(request: &Request<RequestBody>) -> Self {
        let extensions = request.extensions();
        match !extensions.is_empty() && extensions.get::<ConnectProtocol>().is_some() {
            true => Self::ExtendedConnect,
            false => Self::Other,
        }
    }
}

impl Submission {
    pub(crate) fn new(request: Request<RequestBody>, age: Age, again: Again) -> Self {
        Self {
            kind: RequestKind::of(&request),
            reply: Reply::queued(request),
            age,
            again,
        }
    }

    /// Returns the whole request, which was not sent, to its future.
    pub(crate) fn fail(self, error: ClientError, progress: Progress) {
        // Without a request, the future was dropped.
        if let Some(request) = self.reply.take_request() {
            let failure = Failure::unsent(error, request).after(progress);
            self.reply.settle(Err(failure));
        }
    }
}

/// The latest priority of a stream, until the task takes it.
#[derive(Debug)]
pub(crate) struct NewPriority {
    stream: StreamKey,
    latest: Mutex<Option<Priority>>,
}

impl NewPriority {
    pub(crate) fn new(stream: StreamKey) -> Arc<Self> {
        Arc::new(Self {
            stream,
            latest: Mutex::new(None),
        })
    }

    /// Sets the priority. Returns a message for the task, unless an earlier one is still on its
    /// way.
    pub(crate) fn set(self: &Arc<Self>, priority: Priority) -> Option<Message> {
        let earlier = self.lock().replace(priority);
        earlier
            .is_none()
            .then(|| Message::Prioritize(Arc::clone(self)))
    }

    /// Takes the priority and its stream.
    pub(crate) fn take(&self) -> Option<(StreamKey, Priority)> {
        Some((self.stream, self.lock().take()?))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Priority>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
