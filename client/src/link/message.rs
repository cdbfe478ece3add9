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

/// A message for the connection's task. An answer that cannot be given is
/// dropped with its sender.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(crate) enum Message {
    /// Send a request.
    Request(Submission),
    /// The future of this response was dropped.
    Cancel(Arc<Reply>),
    /// Measure a round trip.
    Ping(oneshot::Sender<Duration>),
    /// Report the connection's statistics.
    Stats(oneshot::Sender<ConnectionStats>),
    /// Change the priority of a stream.
    Prioritize(Arc<NewPriority>),
    /// End the connection when it has nothing to do.
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
    /// Returns the request, which was not sent, whole.
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

    /// Sets the priority. Returns the message to send, unless one is under way
    /// already.
    pub(crate) fn set(self: &Arc<Self>, priority: Priority) -> Option<Message> {
        let earlier = self.lock().replace(priority);
        earlier
            .is_none()
            .then(|| Message::Prioritize(Arc::clone(self)))
    }

    /// Takes the priority, and the stream that it is for.
    pub(crate) fn take(&self) -> Option<(StreamKey, Priority)> {
        Some((self.stream, self.lock().take()?))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Priority>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
