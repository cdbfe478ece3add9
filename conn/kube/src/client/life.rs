//! The life of a session's connection: the events that end it.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::{CancellationToken, DropGuard};

/// The time for the last frames of a session that the caller dropped.
pub(super) const ABORT_GRACE: Duration = Duration::from_secs(1);

/// The events that end a connection. Clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// The caller dropped the session early.
    pub(super) abort: CancellationToken,
    /// The session and its readers are gone.
    pub(super) released: CancellationToken,
    /// The connection is over.
    pub(super) over: CancellationToken,
}

impl Life {
    /// Returns the first handle. The drop of the last clone releases the connection.
    pub(super) fn handle(&self) -> Handle {
        Handle {
            _guard: Arc::new(self.released.clone().drop_guard()),
        }
    }
}

/// Keeps the connection: bytes that have arrived are not lost while they have a reader.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    _guard: Arc<DropGuard>,
}
