//! The lifecycle of a connection.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use lacewing_conn::{Error, Initiator, Reason};

use super::Progress;

/// The lifecycle of a connection: its state, and the reason for its end.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: AtomicU8,
    /// The server has answered a request, or still works on one.
    made_progress: AtomicBool,
    idle: AtomicBool,
    /// No handle remains, or a handle asked for a shutdown.
    unwanted: AtomicBool,
    end: Mutex<End>,
}

/// The states of a connection, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Accepts requests.
    Open,
    /// Finishes its open requests.
    Draining,
    /// Has ended.
    Closed,
}

/// The reason for the end of a connection.
#[derive(Debug, Default)]
struct End {
    /// The reason why it opens no more streams.
    refusing: Option<Error>,
    /// The reason why its task has ended.
    closed: Option<Error>,
}

impl Lifecycle {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU8::new(State::Open as u8),
            made_progress: AtomicBool::new(false),
            idle: AtomicBool::new(true),
            unwanted: AtomicBool::new(false),
            end: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            state if state == State::Open as u8 => State::Open,
            state if state == State::Draining as u8 => State::Draining,
            _ => State::Closed,
        }
    }

    /// Returns whether the server answered requests of this connection.
    pub(crate) fn progress(&self) -> Progress {
        if self.made_progress.load(Ordering::SeqCst) {
            Progress::Made
        } else {
            Progress::None
        }
    }

    /// Returns the reason for the connection's end, as far as it is known.
    pub(crate) fn error(&self) -> Error {
        self.known_reason().unwrap_or_else(|| {
            let detail = "the connection is closing";
            Error::connection(Initiator::Library, Reason::Cancel, detail)
        })
    }

    /// Returns the reason why the connection refuses requests; `None` while it accepts them.
    pub(super) fn refusal(&self) -> Option<Error> {
        if self.state() == State::Open {
            return None;
        }
        Some(self.known_reason().unwrap_or_else(|| {
            let detail = "the connection is shutting down";
            Error::connection(Initiator::User, Reason::RefusedStream, detail).with_retryable(true)
        }))
    }

    pub(super) fn shut_down(&self) {
        self.drain();
        self.unwanted.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst)
    }
}

/// The methods for the connection's task.
impl Lifecycle {
    /// Accepts no more requests.
    pub(crate) fn drain(&self) {
        let (open, draining) = (State::Open as u8, State::Draining as u8);
        // The state never goes back.
        let _ = self
            .state
            .compare_exchange(open, draining, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Accepts no more requests, and records the reason.
    pub(crate) fn refuse(&self, error: &Error) {
        self.end().refusing.get_or_insert_with(|| error.clone());
        self.drain();
    }

    pub(super) fn close(&self, error: &Error) {
        self.end().closed.get_or_insert_with(|| error.clone());
        self.set_idle(true);
        self.state.store(State::Closed as u8, Ordering::SeqCst);
    }

    /// Records that the server has answered a request, or still works on one.
    pub(crate) fn note_progress(&self) {
        // Only the task writes this value, once.
        if !self.made_progress.load(Ordering::Relaxed) {
            self.made_progress.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::SeqCst);
    }

    pub(crate) fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::SeqCst)
    }

    fn known_reason(&self) -> Option<Error> {
        let end = self.end();
        end.closed.as_ref().or(end.refusing.as_ref()).cloned()
    }

    fn end(&self) -> MutexGuard<'_, End> {
        // A panic under this lock leaves complete errors.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_only_advance_and_the_first_reason_stays() {
        let error =
            |detail: &'static str| Error::connection(Initiator::Peer, Reason::NoError, detail);
        let lifecycle = Lifecycle::new();
        assert!(lifecycle.refusal().is_none());
        lifecycle.shut_down();
        assert_eq!(lifecycle.state(), State::Draining);
        assert!(lifecycle.refusal().unwrap().is_retryable());
        lifecycle.refuse(&error("GOAWAY"));
        lifecycle.refuse(&error("another"));
        assert!(lifecycle.refusal().unwrap().to_string().contains("GOAWAY"));
        lifecycle.close(&error("transport"));
        lifecycle.drain();
        assert_eq!(lifecycle.state(), State::Closed);
        assert!(lifecycle.error().to_string().contains("transport"));
    }
}
