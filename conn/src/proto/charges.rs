//! The charges for what a peer makes us do: token buckets for early resets and
//! for frames of no use, on the engine's clock.
//!
//! Honest frames are not charged: they cost the peer as much as they cost us, or
//! are a consequence of our own lateness.

use std::time::{Duration, Instant};

use super::{Broken, Limits, Rate, Rule};

/// A stream that lived for at least this time costs what any request costs, however it
/// ends.
const LONG_LIVED: Duration = Duration::from_secs(1);

/// WINDOW_UPDATEs that need no DATA of ours: windows that are raised at the
/// start of the connection and of its streams.
const FREE_WINDOW_UPDATES: u64 = 1000;

/// WINDOW_UPDATEs that each DATA frame of ours explains: for its stream and the
/// connection, by readers that take it in two pieces.
const WINDOW_UPDATES_PER_DATA: u64 = 4;

/// A reader that takes long DATA in small pieces reports each.
const BYTES_PER_WINDOW_UPDATE: u64 = 256;

/// A DATA frame that arrives too late for its stream is not charged if it has at least this length,
/// in bytes. It costs its sender enough.
pub(crate) const CHEAP_DATA: usize = 256;

/// The charges of a connection.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    /// Both are full until the first charge, and are made by it: most connections never have one.
    buckets: Option<Box<Buckets>>,
    /// DATA frames that we sent.
    data_frames: u64,
    window_updates: u64,
}

#[derive(Debug)]
struct Buckets {
    resets: Bucket,
    glitches: Bucket,
    /// Glitches that the end of a stream pays for.
    late_frames: u32,
}

impl Buckets {
    #[cold]
    fn are_full(&mut self, now: Instant) -> bool {
        [&mut self.resets, &mut self.glitches]
            .into_iter()
            .all(|bucket| {
                bucket.refill(now);
                bucket.millitokens == full(bucket.rate)
            })
    }
}

impl Charges {
    fn buckets(&mut self, limits: &Limits, now: Instant) -> &mut Buckets {
        self.buckets.get_or_insert_with(|| {
            Box::new(Buckets {
                resets: Bucket::new(limits.resets, now),
                glitches: Bucket::new(limits.glitches, now),
                late_frames: limits.late_frames,
            })
        })
    }

    /// Charges a frame that is legal and of no use.
    #[cold]
    pub(crate) fn glitch(&mut self, limits: &Limits, now: Instant) -> Result<(), Broken> {
        let charged = self.buckets(limits, now).glitches.charge(now);
        charged.map_err(|_| Rule::TooManyGlitches.fatal())
    }

    /// Charges a stream of the peer that ends early (Rapid Reset,
    /// CVE-2023-44487), whichever side resets it (MadeYouReset, CVE-2025-8671).
    pub(crate) fn reset(&mut self, limits: &Limits, now: Instant) -> Result<(), Broken> {
        let charged = self.buckets(limits, now).resets.charge(now);
        charged.map_err(|_| Rule::TooManyResets.fatal())
    }

    /// The peer cancels a stream that it opened at `opened`. One that lived for
    /// long is charged as a frame only.
    pub(crate) fn cancel(
        &mut self,
        limits: &Limits,
        now: Instant,
        opened: Option<Instant>,
    ) -> Result<(), Broken> {
        let age = opened.map(|opened| now.saturating_duration_since(opened));
        if age.is_some_and(|age| age >= LONG_LIVED) {
            return self.glitch(limits, now);
        }
        self.reset(limits, now)
    }

    /// A stream has ended. A WINDOW_UPDATE or RST_STREAM that crosses its end
    /// arrives too late for it: an honest peer sends about one a stream.
    #[inline]
    pub(crate) fn note_ended_stream(&mut self) {
        if let Some(buckets) = &mut self.buckets {
            buckets.glitches.refund(buckets.late_frames);
        }
    }

    /// Frees the buckets if they are full. A connection without streams often has nothing to charge
    /// for long.
    #[inline]
    pub(crate) fn rest(&mut self, now: Instant) {
        if self.buckets.as_mut().is_some_and(|it| it.are_full(now)) {
            self.buckets = None;
        }
    }

    /// A DATA frame of ours goes out: its receiver will release its bytes.
    #[inline]
    pub(crate) fn sent_data(&mut self) {
        self.data_frames = self.data_frames.saturating_add(1);
    }

    /// A WINDOW_UPDATE, after we sent `bytes` of DATA, which explain most of them.
    pub(crate) fn window_update(
        &mut self,
        limits: &Limits,
        now: Instant,
        bytes: u64,
    ) -> Result<(), Broken> {
        self.window_updates = self.window_updates.saturating_add(1);
        let frames = self.data_frames.saturating_mul(WINDOW_UPDATES_PER_DATA);
        let explained = FREE_WINDOW_UPDATES
            .saturating_add(frames)
            .saturating_add(bytes / BYTES_PER_WINDOW_UPDATE);
        if self.window_updates > explained {
            return self.glitch(limits, now);
        }
        Ok(())
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    /// Tokens in thousandths, so that a rate below one a tick adds up.
    millitokens: u64,
    filled: Instant,
}

/// The bucket is empty: the peer did too much of what it charges.
#[derive(Debug, PartialEq, Eq)]
struct Overdrawn;

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            millitokens: full(rate),
            filled: now,
        }
    }

    /// Takes one token.
    fn charge(&mut self, now: Instant) -> Result<(), Overdrawn> {
        self.refill(now);
        self.millitokens = self.millitokens.checked_sub(1000).ok_or(Overdrawn)?;
        Ok(())
    }

    /// Returns tokens, up to the burst: useful frames pay for useless ones.
    fn refund(&mut self, tokens: u32) {
        let more = self.millitokens.saturating_add(u64::from(tokens) * 1000);
        self.millitokens = more.min(full(self.rate));
    }

    /// Adds the tokens of the time that has passed. A full bucket gains none.
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        if elapsed == 0 {
            return;
        }
        let gained = elapsed.saturating_mul(u64::from(self.rate.per_second));
        self.millitokens = self.millitokens.saturating_add(gained).min(full(self.rate));
        // The rest of a millisecond counts next time.
        let paid = self.filled.checked_add(Duration::from_millis(elapsed));
        self.filled = paid.unwrap_or(now);
    }
}

fn full(rate: Rate) -> u64 {
    u64::from(rate.burst) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Side;

    const RATE: Rate = Rate {
        burst: 2,
        per_second: 10,
    };

    #[test]
    fn a_bucket_refills_with_time_up_to_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        assert_eq!(bucket.charge(start), Ok(()));
        assert_eq!(bucket.charge(start), Ok(()));
        assert_eq!(bucket.charge(start), Err(Overdrawn));
        let later = start + Duration::from_millis(100);
        assert_eq!(bucket.charge(later), Ok(()));
        assert_eq!(bucket.charge(later), Err(Overdrawn));
        let much_later = later + Duration::from_secs(3600);
        assert_eq!(bucket.charge(much_later), Ok(()));
        assert_eq!(bucket.charge(much_later), Ok(()));
        assert_eq!(bucket.charge(much_later), Err(Overdrawn));
    }

    #[test]
    fn a_pause_before_the_first_charge_gains_nothing() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        let later = start + Duration::from_secs(3600);
        let taken = (0..10).filter(|_| bucket.charge(later).is_ok()).count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn charges_within_a_millisecond_do_not_stop_the_clock() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        let step = Duration::from_micros(300);
        let taken = (0..10_000).filter(|&n| bucket.charge(start + step * n).is_ok());
        // Three seconds at ten a second, and the burst.
        assert_eq!(taken.count(), 31);
    }

    #[test]
    fn full_buckets_are_freed_and_others_are_not() {
        let limits = Limits::new(Side::Server).with(|limits| {
            limits.glitches = RATE;
            limits.late_frames = 1;
        });
        let start = Instant::now();
        let mut charges = Charges::default();
        assert!(charges.glitch(&limits, start).is_ok());
        charges.rest(start);
        assert!(charges.buckets.is_some(), "a glitch was charged just now");
        assert!(charges.glitch(&limits, start).is_ok());
        assert!(charges.glitch(&limits, start).is_err());
        charges.rest(start + Duration::from_millis(199));
        assert!(charges.buckets.is_some());
        charges.rest(start + Duration::from_millis(200));
        assert!(charges.buckets.is_none());
    }

    #[test]
    fn data_of_ours_explains_window_updates() {
        let now = Instant::now();
        let mut limits = Limits::new(Side::Server);
        limits.glitches = Rate {
            burst: 10,
            per_second: 0,
        };
        let mut charges = Charges::default();
        for bytes in 1..=50_000 {
            charges.sent_data();
            for _ in 0..2 {
                assert!(charges.window_update(&limits, now, bytes).is_ok());
            }
        }
        let bytes = 1 << 20;
        let flood =
            (0..1_000_000).take_while(|_| charges.window_update(&limits, now, bytes).is_ok());
        let explained = FREE_WINDOW_UPDATES + 2 * 50_000 + 4096;
        assert_eq!(flood.count() as u64, explained + 10);
    }
}
