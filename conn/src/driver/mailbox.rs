//! Messages from handles on other tasks to the connection's task.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{notifier::Notifier, ready_queue::Cell};

/// A bounded list of messages that handles on other tasks send to an application.
/// A message wakes the connection's task, which takes all of them in
/// [`poll_sources`](super::facade::Application::poll_sources). An empty mailbox is
/// checked without a lock.
///
/// ```
/// use std::sync::Arc;
///
/// use lacewing_conn::driver::facade::{Mailbox, SendError};
///
/// // Names of files to send.
/// let mailbox = Arc::new(Mailbox::new(2));
/// mailbox.send("a")?;
/// mailbox.send("b")?;
/// assert_eq!(mailbox.send("c"), Err(SendError::Full("c")));
/// assert_eq!(mailbox.take(), ["a", "b"]);
///
/// mailbox.close();
/// assert_eq!(mailbox.send("d"), Err(SendError::Closed("d")));
/// # Ok::<(), SendError<&'static str>>(())
/// ```
pub struct Mailbox<T> {
    pending: AtomicBool,
    bound: usize,
    state: Cell<State<T>>,
}

struct State<T> {
    messages: Vec<T>,
    /// Wakes the task; `None` before it is connected.
    notifier: Option<Notifier>,
    closed: bool,
}

/// The error of [`Mailbox::send`]; returns the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<T> {
    /// The mailbox holds as many messages as its bound permits.
    Full(T),
    /// The connection is over.
    Closed(T),
}

impl<T> Mailbox<T> {
    /// Creates a mailbox in which at most `bound` messages wait.
    pub fn new(bound: usize) -> Self {
        Self {
            pending: AtomicBool::new(false),
            bound,
            state: Cell::new(State {
                messages: Vec::new(),
                notifier: None,
                closed: false,
            }),
        }
    }

    /// Connects the mailbox to a connection: its messages, waiting ones included,
    /// wake the connection's task.
    pub fn connect(&self, notifier: Notifier) {
        let mut state = self.state.lock();
        let waiting = !state.messages.is_empty();
        state.notifier = Some(notifier.clone());
        drop(state);
        if waiting {
            notifier.notify();
        }
    }

    /// Adds a message, and wakes the task if it is the first one.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message if the mailbox is full or closed.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SendError::Closed(message));
        }
        if state.messages.len() >= self.bound {
            return Err(SendError::Full(message));
        }
        state.messages.push(message);
        let first = !self.pending.swap(true, Ordering::SeqCst);
        let notifier = if first { state.notifier.clone() } else { None };
        drop(state);
        if let Some(notifier) = notifier {
            notifier.notify();
        }
        Ok(())
    }

    /// Takes all messages, in order.
    pub fn take(&self) -> Vec<T> {
        if !self.pending.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        self.pending.store(false, Ordering::SeqCst);
        std::mem::take(&mut state.messages)
    }

    /// Moves all messages, in order, to the end of a list. An empty list and
    /// the mailbox swap their memory, so that neither allocates in the long
    /// run.
    pub fn take_into(&self, messages: &mut Vec<T>) {
        if !self.pending.load(Ordering::SeqCst) {
            return;
        }
        let mut state = self.state.lock();
        self.pending.store(false, Ordering::SeqCst);
        if messages.is_empty() {
            std::mem::swap(&mut state.messages, messages);
        } else {
            messages.append(&mut state.messages);
        }
    }

    /// Returns `true` if no message waits.
    pub fn is_empty(&self) -> bool {
        !self.pending.load(Ordering::SeqCst)
    }

    /// Closes the mailbox: later messages are refused. Returns those that still
    /// waited.
    pub fn close(&self) -> Vec<T> {
        let mut state = self.state.lock();
        state.closed = true;
        state.notifier = None;
        self.pending.store(false, Ordering::SeqCst);
        std::mem::take(&mut state.messages)
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl<T> SendError<T> {
    /// Returns the message that was not accepted.
    pub fn into_message(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => {
                "the mailbox is full: send again once the connection has taken its messages"
            }
            Self::Closed(_) => "the connection is over",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for SendError<T> {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_order_and_lists_their_memory() {
        let mailbox = Mailbox::new(9);
        assert!(mailbox.is_empty());
        mailbox.send(1).unwrap();
        assert!(!mailbox.is_empty());
        let mut messages = Vec::with_capacity(32);
        mailbox.take_into(&mut messages);
        assert!(mailbox.is_empty());
        mailbox.send(2).unwrap();
        mailbox.take_into(&mut messages);
        assert_eq!(messages, [1, 2]);
        messages.clear();
        mailbox.send(3).unwrap();
        mailbox.take_into(&mut messages);
        assert_eq!(messages, [3]);
        assert!(messages.capacity() >= 32, "the list that was swapped in");
    }
}
