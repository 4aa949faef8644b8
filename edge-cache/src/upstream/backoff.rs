//! How long to wait before another attempt.

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

/// A random part of the longest pause after so many rounds: `min`, and twice as much after each, up to `max`. Many who failed together
/// come back apart (Brooker, "Exponential Backoff And Jitter", 2015: full jitter).
pub fn pause(rounds: u32, min: Duration, max: Duration, part: f64) -> Duration {
    let doubled = 1_u32.checked_shl(rounds.saturating_sub(1)).unwrap_or(u32::MAX);
    min.saturating_mul(doubled).min(max).mul_f64(part.clamp(0.0, 1.0))
}

/// From 0 to less than 1, as likely here as there.
///
/// # Panics
///
/// Where the system has no randomness to give.
pub fn part() -> f64 {
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_is_bounded() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let longest = |rounds| pause(rounds, min, max, 1.0).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 40, u32::MAX].map(longest), [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(pause(3, min, max, 0.0), Duration::ZERO);
        assert_eq!(pause(3, min, max, 0.5), min * 2);
        let parts: Vec<f64> = (0..100).map(|_| part()).collect();
        assert!(parts.iter().all(|part| (0.0..1.0).contains(part)) && parts.iter().any(|part| *part > 0.5));
    }
}
