//! Streams that outlive their use. Uploads that nobody reads any more and whose
//! response is complete: the client may end them by itself before it is told
//! to. And streams whose user is gone: what it left behind is still sent.

use std::{collections::VecDeque, time::Instant};

use super::{Engine, Phase};
use crate::{
    Error, Initiator, Reason,
    proto::{
        Event, Semantics, Side, StreamKey,
        streams::{Reader, Streams},
    },
};

/// Streams that outlive their use.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    /// Uploads that are to stop.
    uploads: Deadlines,
    /// Streams whose user is gone.
    departed: Deadlines,
}

/// Streams with their deadlines, in order. Those that are gone fall out from
/// the front.
#[derive(Debug, Default)]
struct Deadlines(VecDeque<(Instant, StreamKey)>);

/// How many more may stand in a queue than linger.
const SLACK: usize = 64;

impl Deadlines {
    fn next(&self) -> Option<Instant> {
        self.0.front().map(|(deadline, _)| *deadline)
    }

    fn push(&mut self, deadline: Instant, key: StreamKey, streams: &Streams) {
        if self.0.len() >= streams.len().saturating_mul(2).max(SLACK) {
            self.0.retain(|(_, key)| streams.get(*key).is_some());
        }
        self.0.push_back((deadline, key));
    }

    fn pop_due(&mut self, now: Instant) -> Option<StreamKey> {
        self.next().filter(|deadline| *deadline <= now)?;
        self.0.pop_front().map(|(_, key)| key)
    }

    fn forget_gone(&mut self, streams: &Streams) {
        while let Some((_, key)) = self.0.front() {
            if streams.get(*key).is_some() {
                break;
            }
            self.0.pop_front();
        }
    }
}

impl Engine {
    /// The response is complete and nobody reads the rest of the request (RFC
    /// 9113 §8.1). RST_STREAM right behind the response costs clients the
    /// response whose one loop sends and reads, such as curl's before 8: they
    /// find the stream closed first.
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
            Some(deadline) => self.lingering.uploads.push(deadline, key, &self.streams),
            None => self.stop_upload(now, key),
        }
    }

    /// When the first upload is told to stop.
    pub(super) fn next_linger(&self) -> Option<Instant> {
        self.lingering.uploads.next()
    }

    pub(super) fn stop_lingering(&mut self, now: Instant) {
        while let Some(key) = self.lingering.uploads.pop_due(now) {
            self.stop_upload(now, key);
        }
    }

    /// A stream that lingered is gone.
    pub(super) fn forget_lingering(&mut self) {
        self.lingering.uploads.forget_gone(&self.streams);
    }

    /// Ends the stream at `drain_timeout`, if it has not ended before.
    pub(super) fn end_later(&mut self, now: Instant, stream: StreamKey) {
        self.lingering.departed.forget_gone(&self.streams);
        let deadline = now.checked_add(self.config.limits.drain_timeout);
        let (Some(deadline), Some(_)) = (deadline, self.streams.get(stream)) else {
            return;
        };
        self.lingering
            .departed
            .push(deadline, stream, &self.streams);
    }

    /// When the first of the streams whose user is gone has had its time.
    pub(super) fn next_departed(&self) -> Option<Instant> {
        self.lingering.departed.next()
    }

    pub(super) fn end_departed(&mut self, now: Instant) {
        while let Some(key) = self.lingering.departed.pop_due(now) {
            if self.streams.get(key).is_some() {
                self.stream(now, key).reset(Reason::Cancel);
                let error = Error::reset(Initiator::Library, Reason::Cancel);
                self.push_event(Event::Reset { stream: key, error });
            }
        }
    }

    fn stop_upload(&mut self, now: Instant, key: StreamKey) {
        if self.streams.get(key).is_none() {
            return;
        }
        if self.phase != Phase::Closed {
            // What a server says of an upload has a code of its own (RFC 9113
            // §8.1).
            let server = self.config.side == Side::Server;
            let reason = match self.config.semantics {
                Semantics::Http if server => self.rules.stop_upload,
                _ => Reason::Cancel,
            };
            self.send_reset(key.id(), reason);
        }
        self.remove(now, key);
    }
}
