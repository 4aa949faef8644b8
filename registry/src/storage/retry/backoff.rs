use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Pauses between attempts: exponential, with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The longest pause after the first failure.
    pub min: Duration,
    /// The longest pause ever.
    pub max: Duration,
    /// How often a call is tried in all; 1 is never again.
    pub max_attempts: u32,
}

impl Backoff {
    /// The pause after so many failures, or `None` when that was the last attempt.
    pub fn pause(&self, failures: u32) -> Option<Duration> {
        (failures < self.max_attempts).then(|| self.jittered(failures, RandomState::new().hash_one(failures)))
    }

    /// The longest pause after so many failures, from 1.
    fn ceiling(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.min.saturating_mul(doubled).min(self.max)
    }

    /// An even share of the longest pause, by a random number.
    fn jittered(&self, failures: u32, random: u64) -> Duration {
        let share = u32::try_from(random >> 32).expect("32 bits are left");
        self.ceiling(failures).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pauses_stay_within_bounds(min_ms in 0_u64..10_000, max_ms in 0_u64..100_000, failures in 1_u32..200, random: u64) {
            let backoff = Backoff { min: Duration::from_millis(min_ms), max: Duration::from_millis(max_ms), max_attempts: 100 };
            let pause = backoff.jittered(failures, random);
            prop_assert!(pause <= backoff.max);
            if failures <= 30 {
                prop_assert!(pause <= backoff.min * (1 << (failures - 1)));
            }
            prop_assert!(backoff.ceiling(failures) <= backoff.ceiling(failures + 1));
        }

        #[test]
        fn attempts_are_bounded(max_attempts in 0_u32..20, failures in 1_u32..40) {
            let backoff = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(9), max_attempts };
            prop_assert_eq!(backoff.pause(failures).is_some(), failures < max_attempts);
        }
    }

    #[test]
    fn jitter_covers_the_whole_range() {
        let backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(3), max_attempts: 4 };
        assert_eq!(backoff.jittered(2, 0), Duration::ZERO);
        assert_eq!(backoff.jittered(2, u64::MAX), Duration::from_secs(2));
        assert_eq!(backoff.jittered(3, u64::MAX), Duration::from_secs(3));
    }
}
