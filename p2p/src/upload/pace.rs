//! How fast this node serves, and so when one that is turned away may come again.

use std::time::Duration;

/// What one slot is believed to do before any has done anything, in bytes a second.
const FIRST_BYTES_PER_S: u64 = 10 << 20;
/// The newest counts for one in so many.
const INERTIA: u64 = 8;

/// Bytes a second of one slot, as a moving average.
#[derive(Debug)]
pub struct Pace {
    bytes_per_s: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes_per_s: FIRST_BYTES_PER_S }
    }
}

impl Pace {
    /// So many bytes took a slot so long.
    pub fn saw(&mut self, bytes: u64, took: Duration) {
        if bytes > 0 {
            let micros = took.as_micros().max(1);
            let seen = u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX);
            self.bytes_per_s = (self.bytes_per_s - self.bytes_per_s / INERTIA).saturating_add(seen / INERTIA).max(1);
        }
    }

    /// How long so many bytes take so many slots, under a limit on all of them.
    pub fn time_of(&self, bytes: u64, slots: usize, most_bytes_per_s: u64) -> Duration {
        let slots = u64::try_from(slots.max(1)).unwrap_or(u64::MAX);
        let bytes_per_s = self.bytes_per_s.saturating_mul(slots).min(most_bytes_per_s).max(1);
        let millis = u128::from(bytes) * 1000 / u128::from(bytes_per_s);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_it_sees() {
        let mut pace = Pace::default();
        assert_eq!(pace.time_of(100 << 20, 1, u64::MAX), Duration::from_secs(10));
        assert_eq!(pace.time_of(100 << 20, 5, u64::MAX), Duration::from_secs(2));
        assert_eq!(pace.time_of(100 << 20, 5, 1 << 20), Duration::from_secs(100));
        (0..100).for_each(|_| pace.saw(1 << 20, Duration::from_secs(1)));
        let seconds = pace.time_of(100 << 20, 1, u64::MAX).as_secs();
        assert!((99..=101).contains(&seconds), "{seconds}");
        // Neither nothing nor what took no time breaks it.
        pace.saw(0, Duration::from_secs(1));
        (0..100).for_each(|_| pace.saw(1, Duration::MAX));
        assert!(pace.time_of(u64::MAX, 0, 0) > Duration::from_secs(1));
        (0..100).for_each(|_| pace.saw(u64::MAX, Duration::ZERO));
        assert!(pace.time_of(1 << 20, 1, u64::MAX) < Duration::from_millis(1));
    }
}
