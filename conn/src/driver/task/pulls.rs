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
    /// with a small one is not asked: most of its piece would wait too.
    pub(super) fn pull(&mut self, now: Instant, stream: StreamKey, max: usize) {
        let most = self.engine.limits().max_unsent_bytes;
        if max < LARGE_WINDOW && self.engine.unsent_bytes() > most {
            self.declined.push(stream);
            return;
        }
        let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
        self.application.pull(&mut conn, stream, max);
    }

    /// Offers the sources again that were not asked: windows may have changed.
    #[inline]
    pub(super) fn offer_declined(&mut self, now: Instant) {
        if self.declined.is_empty() {
            return;
        }
        for stream in std::mem::take(&mut self.declined) {
            self.engine.stream(now, stream).offer();
        }
    }
}
