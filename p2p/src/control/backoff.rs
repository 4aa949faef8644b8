//! How long to leave an address alone after it failed.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::moment::Moment;

/// The failures of one address in a row, and the pause after the last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Moment,
}

/// The pause after one failure, and the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    pub min: Duration,
    pub max: Duration,
}

impl Backoff {
    /// What is left of the pause.
    pub fn left(&self, now: Moment) -> Option<Duration> {
        Some(self.until.since(now)).filter(|left| !left.is_zero())
    }

    /// Something failed. A failure during a pause belongs to the one before it: all that was under way fails at once.
    pub fn failed(&mut self, now: Moment, pauses: Pauses, rng: &mut impl Rng) {
        if self.left(now).is_none() {
            let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
            let longest = pauses.min.saturating_mul(doubled).min(pauses.max);
            // At least half, so that a dead address stays cheap; the rest by chance, so that those who failed together come back apart.
            self.until = now + longest.mul_f64(0.5 + rng.random::<f64>() / 2.0);
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// It asks to be left alone for so long; that is no failure.
    pub fn asked_for(&mut self, now: Moment, pause: Duration) {
        *self = Self { failures: 0, until: now + pause };
    }

    /// It answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const PAUSES: Pauses = Pauses { min: Duration::from_millis(100), max: Duration::from_secs(10) };

    proptest! {
        #[test]
        fn pauses_double_up_to_the_longest(seed: u64, times in 1_u32..40) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut backoff, mut now) = (Backoff::default(), Moment::default());
            for time in 0..times {
                prop_assert_eq!(backoff.left(now), None);
                backoff.failed(now, PAUSES, &mut rng);
                let longest = (PAUSES.min * 2_u32.pow(time.min(10))).min(PAUSES.max);
                let pause = backoff.left(now).unwrap();
                prop_assert!(pause >= longest / 2 && pause <= longest, "{pause:?} after {time} failures");
                now += pause;
            }
        }
    }

    #[test]
    fn what_fails_together_fails_once() {
        let mut rng = StdRng::seed_from_u64(1);
        let (mut backoff, now) = (Backoff::default(), Moment::default());
        backoff.failed(now, PAUSES, &mut rng);
        let pause = backoff.left(now);
        for _ in 0..20 {
            backoff.failed(now, PAUSES, &mut rng);
        }
        assert_eq!(backoff.left(now), pause);
        backoff.succeeded();
        assert_eq!(backoff.left(now), None);
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept() {
        let mut backoff = Backoff::default();
        let now = Moment(Duration::from_secs(5));
        backoff.asked_for(now, Duration::from_secs(1));
        assert_eq!(backoff.left(now + Duration::from_millis(400)), Some(Duration::from_millis(600)));
        assert_eq!(backoff.left(now + Duration::from_secs(1)), None);
    }
}
