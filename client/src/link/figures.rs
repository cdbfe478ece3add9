//! Figures that the connection's task publishes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::alternative_services::Advertised;

/// The figures of a connection, readable by its handles.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The last measured round trip in microseconds, 0 before the first.
    round_trip: AtomicU64,
    advertised: Mutex<Advertised>,
}

impl Figures {
    /// Returns the last measured round trip.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(crate) fn set_round_trip(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        self.round_trip.store(micros.max(1), Ordering::Relaxed);
    }

    /// Reads or changes the server's advertisements.
    pub(crate) fn advertised<T>(&self, access: impl FnOnce(&mut Advertised) -> T) -> T {
        access(
            &mut self
                .advertised
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}
