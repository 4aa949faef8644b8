//! How fast bytes are taken.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What may come at once after a time in which nothing came.
const BURST: Duration = Duration::from_millis(100);

/// So many bytes in a second, of all who take any together.
#[derive(Debug)]
pub struct ByteRate {
    bytes_per_second: u64,
    /// When all that was taken is paid for.
    paid_at: Mutex<Option<Instant>>,
}

impl ByteRate {
    /// `None` where any rate will do.
    pub fn new(bytes_per_second: u64) -> Option<Self> {
        (bytes_per_second > 0).then(|| Self { bytes_per_second, paid_at: Mutex::new(None) })
    }

    /// Takes note of bytes; how long whoever took them waits for it.
    pub fn take(&self, bytes: usize, now: Instant) -> Duration {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000) / u128::from(self.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let since = paid_at.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
        let until = since + cost;
        *paid_at = Some(until);
        until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_all_wait_together() {
        let (rate, now) = (ByteRate::new(1000).unwrap(), Instant::now());
        let waits: Vec<u128> = (0..4).map(|_| rate.take(100, now).as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 400]);
        let later = now + Duration::from_secs(10);
        assert_eq!(rate.take(100, later), Duration::ZERO, "what was not used for long is a burst at most");
        assert_eq!(rate.take(100, later).as_millis(), 100);
        assert!(ByteRate::new(0).is_none());
    }
}
