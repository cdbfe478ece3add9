//! Uploads that nobody reads any more and whose response is complete: the
//! client may end them by itself before it is told to.

use std::{collections::VecDeque, time::Instant};

use super::{Engine, Phase};
use crate::proto::{StreamKey, streams::Reader};

/// Streams that linger, with their deadlines, in order. Those that are gone
/// fall out from the front.
pub(super) type Lingering = VecDeque<(Instant, StreamKey)>;

/// How many more may stand in the queue than linger.
const SLACK: usize = 64;

impl Engine {
    /// The response is complete and nobody reads the rest of the request (RFC
    /// 9113 §8.1). RST_STREAM right behind the response costs clients the
    /// response whose one loop sends and reads, such as curl's before 8: they
    /// find the stream closed first.
    pub(super) fn linger(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut stream.recv.reader, Reader::Lingering) == Reader::Lingering {
            return;
        }
        let patience = self.config.limits.upload_linger;
        let deadline = self.clock.checked_add(patience);
        match deadline.filter(|_| !stream.is_ours() && !patience.is_zero()) {
            Some(deadline) => {
                if self.lingering.len() >= self.streams.len().saturating_mul(2).max(SLACK) {
                    let streams = &self.streams;
                    self.lingering
                        .retain(|(_, key)| streams.get(*key).is_some());
                }
                self.lingering.push_back((deadline, key));
            }
            None => self.stop_upload(key),
        }
    }

    /// When the first upload is told to stop.
    pub(super) fn next_linger(&self) -> Option<Instant> {
        self.lingering.front().map(|(deadline, _)| *deadline)
    }

    pub(super) fn stop_lingering(&mut self, now: Instant) {
        while self.next_linger().is_some_and(|deadline| deadline <= now) {
            if let Some((_, key)) = self.lingering.pop_front() {
                self.stop_upload(key);
            }
        }
    }

    /// A stream that lingered is gone.
    pub(super) fn forget_lingering(&mut self) {
        while let Some((_, key)) = self.lingering.front() {
            if self.streams.get(*key).is_some() {
                break;
            }
            self.lingering.pop_front();
        }
    }

    fn stop_upload(&mut self, key: StreamKey) {
        if self.streams.get(key).is_none() {
            return;
        }
        if self.phase != Phase::Closed {
            self.send_reset(key.id(), self.rules.stop_upload);
        }
        self.remove(key);
    }
}
