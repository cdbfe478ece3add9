//! The link between the handles of a connection and its task.

mod admission;
mod figures;
mod lifecycle;
mod message;
mod reply;

use std::sync::Arc;

use lacewing_conn::driver::facade::{Mailbox, Notifier};

use self::{admission::Admission, figures::Figures, lifecycle::Lifecycle};
pub(crate) use self::{
    lifecycle::State,
    message::{Message, NewPriority, RequestKind, Submission},
    reply::{Delivered, Failure, Outcome, Progress, Reply, Rest},
};
use crate::{ClientError, Concurrency};

/// The state that the handles of a connection share with its task.
#[derive(Debug)]
pub(crate) struct Link {
    /// Messages to the task. Admission bounds the requests among them; each request has at most one
    /// cancellation.
    mailbox: Mailbox<Message>,
    pub(crate) admission: Admission,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) figures: Figures,
}

/// The methods for handles.
impl Link {
    pub(crate) fn new(max_queued: usize, concurrency: Concurrency) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mailbox::new(usize::MAX),
            admission: Admission::new(max_queued, concurrency),
            lifecycle: Lifecycle::new(),
            figures: Figures::default(),
        })
    }

    /// Attaches the task's notifier: from now on, messages wake the task.
    pub(crate) fn connect(&self, notifier: Notifier) {
        self.mailbox.connect(notifier);
    }

    /// Sends a request to the task. The caller has [taken](Admission::take_slot) a slot for it.
    pub(crate) fn submit(&self, submission: Submission) -> Arc<Reply> {
        let reply = Arc::clone(&submission.reply);
        if let Some(error) = self.lifecycle.refusal() {
            self.return_request(submission, error);
        } else if let Err(refused) = self.mailbox.send(Message::Request(submission)) {
            // The task has ended since the slot was taken.
            self.return_message(refused.into_message());
        }
        reply
    }

    /// Reports that the future of this response was dropped.
    pub(crate) fn cancel(&self, reply: Arc<Reply>) {
        // If the task has ended, it has already cancelled the request.
        let _ = self.mailbox.send(Message::Cancel(reply));
    }

    /// Sends a message other than a request.
    ///
    /// # Errors
    ///
    /// The connection's error, if its task has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), lacewing_conn::Error> {
        let sent = self.mailbox.send(message);
        sent.map_err(|_| self.lifecycle.error())
    }

    /// Closes the connection as soon as it is idle.
    pub(crate) fn shut_down(&self) {
        self.lifecycle.shut_down();
        let _ = self.mailbox.send(Message::ShutDown);
    }

    /// Returns whether no request is open or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.lifecycle.is_idle() && self.mailbox.is_empty()
    }
}

/// The methods for the connection's task.
impl Link {
    /// Moves the messages into `taken`, which is empty.
    pub(crate) fn take_into(&self, messages: &mut Vec<Message>) {
        self.mailbox.take_into(messages);
    }

    /// Refuses all later messages. Returns the requests among the remaining messages to their
    /// futures.
    pub(crate) fn close(&self, error: &lacewing_conn::Error) {
        self.lifecycle.close(error);
        for message in self.mailbox.close() {
            self.return_message(message);
        }
        self.admission.wake_all();
    }

    fn return_message(&self, message: Message) {
        if let Message::Request(submission) = message {
            self.return_request(submission, self.lifecycle.error());
        }
    }

    fn return_request(&self, submission: Submission, error: lacewing_conn::Error) {
        self.admission.release_slots(1);
        submission.fail(ClientError::Connection(error), self.lifecycle.progress());
    }
}
