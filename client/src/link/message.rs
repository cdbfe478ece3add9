//! Messages from handles to the connection's task.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Request;
use lacewing_conn::proto::{ConnectionStats, Priority, StreamKey};
use tokio::sync::oneshot;

use super::{Failure, Progress, Reply};
use crate::{ClientError, age::Age, body::RequestBody};

/// A message for the connection's task. If the task cannot answer, it drops the sender of the
/// answer.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
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

/// A request for the connection's task.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) request: Request<RequestBody>,
    pub(crate) reply: Arc<Reply>,
    pub(crate) age: Age,
}

impl Submission {
    /// Returns the whole request, which was not sent.
    pub(crate) fn fail(self, error: ClientError, progress: Progress) {
        let failure = Failure::unsent(error, self.request).after(progress);
        self.reply.settle(Err(failure));
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
