//! The pauses between two attempts to dial.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// A tunnel that stood so long was no failure: the next one is dialled soon.
const STEADY: Duration = Duration::from_secs(10);

/// Pauses that double, up to a bound.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl Backoff {
    /// A tunnel has ended that stood for this time.
    pub(super) fn stood(&mut self, time: Duration) {
        if time >= STEADY {
            self.next = SHORTEST;
        }
    }

    /// The next pause: between half of the step and all of it, so that the diallers of a gateway
    /// that was away do not return all at once.
    pub(super) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(LONGEST);
        let half = step.checked_div(2).unwrap_or_default();
        half.saturating_add(part(half))
    }
}

/// A random part of a time.
fn part(time: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is no jitter, and still a bound.
    let _ = SystemRandom::new().fill(&mut byte);
    let [byte] = byte;
    time.saturating_mul(byte.into())
        .checked_div(255)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_bound_and_begin_anew_after_a_steady_tunnel() {
        let mut backoff = Backoff::default();
        let mut step = SHORTEST;
        for _ in 0..12 {
            let pause = backoff.pause();
            assert!((step / 2..=step).contains(&pause), "{pause:?} of {step:?}");
            step = (step * 2).min(LONGEST);
        }
        backoff.stood(STEADY / 2);
        assert!(backoff.pause() >= LONGEST / 2);
        backoff.stood(STEADY);
        assert!(backoff.pause() <= SHORTEST);
    }
}
