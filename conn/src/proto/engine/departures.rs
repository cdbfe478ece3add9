//! Streams that outlive their use. An upload without a reader whose response is
//! complete: the client may end it before we ask for that. A stream that its user
//! has dropped: the data that the user handed over is still sent.

use std::time::Instant;

use super::{Engine, StreamTimer};
use crate::{
    Error, Initiator, Reason,
    proto::{Event, Semantics, Side, StreamKey, streams::Reader},
};

impl Engine {
    /// The response is complete and the rest of the request has no reader (RFC 9113 §8.1). Clients
    /// whose one loop sends and reads, such as curl before 8, lose the response if RST_STREAM
    /// directly follows it. They find the stream closed first.
    pub(super) fn linger(&mut self, now: Instant, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut stream.recv.reader, Reader::Lingering) == Reader::Lingering {
            return;
        }
        let patience = self.config.limits.upload_linger;
        let deadline = now.checked_add(patience);
        let http = self.config.semantics == Semantics::Http;
        match deadline.filter(|_| http && !stream.is_ours() && !patience.is_zero()) {
            Some(deadline) => {
                self.timers
                    .add(StreamTimer::Upload, deadline, key, &self.streams);
            }
            None => self.stop_upload(now, key),
        }
    }

    /// Ends the stream at `drain_timeout`, if it has not ended before.
    pub(super) fn end_later(&mut self, now: Instant, stream: StreamKey) {
        self.timers
            .forget_gone(StreamTimer::Departure, &self.streams);
        let deadline = now.checked_add(self.config.limits.drain_timeout);
        let (Some(deadline), Some(_)) = (deadline, self.streams.get(stream)) else {
            return;
        };
        self.timers
            .add(StreamTimer::Departure, deadline, stream, &self.streams);
    }

    /// A stream without a user has had its time.
    pub(super) fn end_departed(&mut self, now: Instant, key: StreamKey) {
        if self.streams.get(key).is_some() {
            self.stream(now, key).reset(Reason::Cancel);
            let error = Error::reset(Initiator::Library, Reason::Cancel);
            self.push_event(Event::Reset { stream: key, error });
        }
    }

    /// Asks the client to stop an upload that is of no use.
    pub(super) fn stop_upload(&mut self, now: Instant, key: StreamKey) {
        if self.streams.get(key).is_none() {
            return;
        }
        if !self.shutdown.is_closed() {
            // HTTP/2 has NO_ERROR for a server that stops an upload (RFC 9113 §8.1);
            // SPDY has only CANCEL.
            let server = self.config.side == Side::Server;
            let reason = match self.config.semantics {
                Semantics::Http if server => self.rules.stop_upload,
                _ => Reason::Cancel,
            };
            self.send_reset(key.id(), reason);
            if reason == Reason::Cancel {
                self.cancel_promises_of(now, key.id());
            }
        }
        self.remove(now, key);
    }
}
