//! What the peer is charged for: streams that it makes useless, and frames that
//! lead to nothing. Both cost us more than they cost the peer.

use std::time::Instant;

use super::{Broken, Limits, Rate, Rule};

/// The peer's accounts.
#[derive(Debug)]
pub(crate) struct Charges {
    resets: Bucket,
    glitches: Bucket,
    late_frames: u32,
}

impl Charges {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            resets: Bucket::new(limits.resets, now),
            glitches: Bucket::new(limits.glitches, now),
            late_frames: limits.late_frames,
        }
    }

    /// Charges a stream of the peer that ends before its time (Rapid Reset,
    /// CVE-2023-44487), whichever side resets it (MadeYouReset, CVE-2025-8671).
    pub(crate) fn reset(&mut self, now: Instant) -> Result<(), Broken> {
        let charged = self.resets.charge(now);
        charged.map_err(|Overdrawn| Rule::TooManyResets.fatal())
    }

    /// Charges a frame that is legal and of no use.
    pub(crate) fn glitch(&mut self, now: Instant) -> Result<(), Broken> {
        let charged = self.glitches.charge(now);
        charged.map_err(|Overdrawn| Rule::TooManyGlitches.fatal())
    }

    /// A stream has ended. A WINDOW_UPDATE or RST_STREAM that crosses its end
    /// arrives too late for it: an honest peer sends about one a stream.
    pub(crate) fn note_ended_stream(&mut self) {
        self.glitches.refund(self.late_frames);
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
            millitokens: u64::from(rate.burst) * 1000,
            filled: now,
        }
    }

    /// Takes one token.
    fn charge(&mut self, now: Instant) -> Result<(), Overdrawn> {
        if self.millitokens < 1000 {
            self.refill(now);
        }
        self.millitokens = self.millitokens.checked_sub(1000).ok_or(Overdrawn)?;
        Ok(())
    }

    /// Gives tokens back, up to the burst: what was done well pays for them.
    fn refund(&mut self, tokens: u32) {
        let full = u64::from(self.rate.burst) * 1000;
        let more = self.millitokens.saturating_add(u64::from(tokens) * 1000);
        self.millitokens = more.min(full);
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let gained = elapsed.saturating_mul(u64::from(self.rate.per_second));
        let full = u64::from(self.rate.burst) * 1000;
        self.millitokens = self.millitokens.saturating_add(gained).min(full);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_refills_with_time_up_to_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(
            Rate {
                burst: 2,
                per_second: 10,
            },
            start,
        );
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
}
