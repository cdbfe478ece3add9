//! Messages of handles, on the connection's task.

use lacewing_conn::driver::{facade::Context, spares};

use super::Exchanges;
use crate::link::Message;

/// The number of messages for which an idle connection's list keeps memory.
const IDLE_MESSAGES: usize = 64;

/// The most messages for which an idle connection leaves the list's memory with its thread, for
/// another connection.
const SPARE_MESSAGES: usize = 1024;

impl Exchanges {
    /// Takes the messages of handles. Adds requests to the waiting ones, in the order of their age.
    pub(super) fn handle_messages(&mut self, conn: &mut Context<'_>) {
        if self.messages.capacity() == 0 {
            self.messages = spares::take().unwrap_or_default();
        }
        self.link.take_into(&mut self.messages);
        if self.messages.is_empty() {
            return;
        }
        let mut messages = std::mem::take(&mut self.messages);
        let mut cancelled_unopened = false;
        for message in messages.drain(..) {
            match message {
                Message::Request(submission) => self.waiting.push_back(submission),
                Message::Cancel(reply) => match reply.stream() {
                    Some(stream) => self.cancel_abandoned(conn, stream, &reply),
                    None => cancelled_unopened = true,
                },
                Message::Ping(answer) => {
                    self.pings.retain(|other| !other.is_closed());
                    self.pings.push(answer);
                    conn.ping();
                }
                Message::Stats(answer) => {
                    // The handle may be dropped already.
                    let _ = answer.send(conn.stats());
                }
                Message::Prioritize(priority) => {
                    if let Some((stream, priority)) = priority.take() {
                        conn.stream(stream).prioritize(priority);
                    }
                }
                // The lifecycle already has this state; the message only wakes the task.
                Message::ShutDown => {}
            }
        }
        self.messages = messages;
        if cancelled_unopened {
            self.forget_abandoned();
        }
        // Requests arrive in this order, except retries of requests that an earlier connection did
        // not process.
        let waiting = &mut self.waiting;
        if !waiting.iter().is_sorted_by_key(|submission| submission.age) {
            let waiting = waiting.make_contiguous();
            waiting.sort_by_key(|submission| submission.age);
        }
    }

    /// Releases memory that an idle connection does not need.
    pub(super) fn release_memory(&mut self) {
        let kept = self.messages.capacity();
        if kept > IDLE_MESSAGES && self.messages.is_empty() {
            let messages = std::mem::take(&mut self.messages);
            if kept <= SPARE_MESSAGES {
                spares::give_back(messages);
            }
        }
    }
}
