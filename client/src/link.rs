//! The link between the handles of a connection and its task.

mod admission;
mod figures;
mod lifecycle;
mod message;
mod reply;

use std::sync::Arc;

use http::Request;
use lacewing_conn::driver::facade::{Mailbox, Notifier};

use self::{admission::Admission, figures::Figures, lifecycle::Lifecycle};
pub(crate) use self::{
    lifecycle::State,
    message::{Message, NewPriority, Submission},
    reply::{Delivered, Failure, Outcome, Progress, Reply, Rest},
};
use crate::{ClientError, Concurrency, age::Age, body::RequestBody};

/// The state that the handles of a connection share with its task.
#[derive(Debug)]
pub(crate) struct Link {
    /// Messages to the task. Admission bounds the requests in it, and each of
    /// them is cancelled at most once.
    mailbox: Mailbox<Message>,
    pub(crate) admission: Admission,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) figures: Figures,
}

/// For handles.
impl Link {
    pub(crate) fn new(max_queued: usize, concurrency: Concurrency) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mailbox::new(usize::MAX),
            admission: Admission::new(max_queued, concurrency),
            lifecycle: Lifecycle::new(),
            figures: Figures::default(),
        })
    }

    /// From now on, messages wake the task.
    pub(crate) fn connect(&self, notifier: Notifier) {
        self.mailbox.connect(notifier);
    }

    /// Hands a request to the task. Its slot was
    /// [taken](Admission::take_slot) before.
    pub(crate) fn submit(&self, request: Request<RequestBody>, age: Age) -> Arc<Reply> {
        let reply = Reply::new();
        let submission = Submission {
            request,
            reply: Arc::clone(&reply),
            age,
        };
        if let Some(error) = self.lifecycle.refusal() {
            self.return_request(submission, error);
        } else if let Err(refused) = self.mailbox.send(Message::Request(submission)) {
            // The task ended meanwhile.
            self.return_message(refused.into_message());
        }
        reply
    }

    /// Reports that the future of this response was dropped.
    pub(crate) fn cancel(&self, reply: Arc<Reply>) {
        // A task that is gone has cancelled it already.
        let _ = self.mailbox.send(Message::Cancel(reply));
    }

    /// Sends a message other than a request.
    ///
    /// # Errors
    ///
    /// The connection's error, when its task is gone.
    pub(crate) fn send(&self, message: Message) -> Result<(), lacewing_conn::Error> {
        let sent = self.mailbox.send(message);
        sent.map_err(|_| self.lifecycle.error())
    }

    /// Closes the connection as soon as it has nothing to do.
    pub(crate) fn shut_down(&self) {
        self.lifecycle.shut_down();
        let _ = self.mailbox.send(Message::ShutDown);
    }

    /// Says whether no request is open or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.lifecycle.is_idle() && self.mailbox.is_empty()
    }
}

/// For the connection's task.
impl Link {
    /// Moves the messages into an empty list.
    pub(crate) fn take_into(&self, messages: &mut Vec<Message>) {
        self.mailbox.take_into(messages);
    }

    /// Refuses all further messages, and returns the requests among those that
    /// were not taken.
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
