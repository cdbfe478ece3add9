//! What handlers want of their connection beside a response: a bounded list
//! that the connection's task empties.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use lacewing_conn::{
    driver::{Mailbox, Notifier, SendError},
    proto::{Head, StreamKey},
};
use tokio::sync::oneshot;

use crate::{InformError, PushError};

/// Wishes of one connection that may wait for its task.
const MAX_WAITING: usize = 256;

/// A wish on its way to the connection's task.
pub(crate) enum Intent {
    Inform {
        stream: StreamKey,
        head: Head,
        tell: Tell<InformError>,
    },
    Push {
        parent: StreamKey,
        request: Request<()>,
        tell: Tell<PushError>,
    },
}

pub(crate) type Tell<E> = oneshot::Sender<Result<(), E>>;

/// The wishes of one connection.
pub(crate) type Intents = Mailbox<Intent>;

/// An empty list of wishes that wakes the connection's task.
pub(crate) fn intents(notifier: Notifier) -> Arc<Intents> {
    let intents = Mailbox::new(MAX_WAITING);
    intents.connect(notifier);
    Arc::new(intents)
}

/// What becomes of an interim response or of a push. The wish is on its way
/// already: awaiting this is for those who want to know, and dropping it
/// changes nothing.
///
/// ```
/// use lacewing_server::{Delivery, InformError};
///
/// async fn was_sent(delivery: Delivery<InformError>) -> bool {
///     delivery.await.is_ok()
/// }
/// # let _ = was_sent;
/// ```
pub struct Delivery<E>(Stage<E>);

enum Stage<E> {
    Known(Option<E>),
    Waiting(oneshot::Receiver<Result<(), E>>),
}

impl<E> Delivery<E> {
    /// It was turned down before it set out.
    pub(crate) fn failed(error: E) -> Self {
        Self(Stage::Known(Some(error)))
    }

    /// Sends a wish out. `full` is the error for a list that is full.
    pub(crate) fn send(intents: &Intents, full: E, intent: impl FnOnce(Tell<E>) -> Intent) -> Self {
        let (tell, told) = oneshot::channel();
        match intents.send(intent(tell)) {
            // Over: the wish is dropped here, and whoever waits learns of it.
            Ok(()) | Err(SendError::Closed(_)) => Self(Stage::Waiting(told)),
            Err(SendError::Full(_)) => Self::failed(full),
        }
    }
}

/// Errors that say that the stream or its connection is gone.
pub(crate) trait Gone {
    fn gone() -> Self;
}

impl<E: Gone + Unpin> Future for Delivery<E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        match &mut self.get_mut().0 {
            Stage::Known(error) => Poll::Ready(error.take().map_or(Ok(()), Err)),
            Stage::Waiting(told) => Pin::new(told)
                .poll(cx)
                .map(|told| told.unwrap_or_else(|_| Err(E::gone()))),
        }
    }
}

impl<E> fmt::Debug for Delivery<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
