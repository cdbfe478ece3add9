//! Pulls of bodies, bounded by what waits for windows already.

use std::time::Instant;

use super::Driver;
use crate::{
    driver::{
        application::Application,
        context::{Context, LARGE_WINDOW},
    },
    proto::StreamKey,
};

impl<IO, A: Application> Driver<IO, A> {
    /// Asks the source of a stream for data. While much waits for windows, a stream
    /// with a small one is not asked: most of its piece would wait too. While memory is short and
    /// output waits for the transport, none is asked.
    pub(super) fn pull(&mut self, now: Instant, stream: StreamKey, max: usize) {
        let declines = max < LARGE_WINDOW && !self.may_pull_all();
        if declines || !self.engine.has_output_room() {
            self.declined.get_or_insert_default().push(stream);
            return;
        }
        let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
        self.application.pull(&mut conn, stream, max);
    }

    /// So little waits for windows and the transport that no source is declined.
    #[inline]
    pub(super) fn may_pull_all(&self) -> bool {
        self.engine.unsent_bytes() <= self.engine.limits().max_unsent_bytes
            && self.engine.has_output_room()
    }

    /// Offers the sources again that were declined in this turn, if `received` from the peer, or
    /// if less waits by now. Returns `true` if another turn must follow.
    #[inline]
    pub(super) fn offer_declined_after(&mut self, received: bool, now: Instant) -> bool {
        if self.declined.is_none() || !(received || self.may_pull_all()) {
            return false;
        }
        self.offer_declined(now);
        true
    }

    /// Offers the sources again that were not asked: windows may have changed.
    #[inline]
    pub(super) fn offer_declined(&mut self, now: Instant) {
        if let Some(declined) = self.declined.take() {
            for stream in *declined {
                self.engine.stream(now, stream).offer();
            }
        }
    }
}
