//! How often somebody is asked who says where others are.

use std::time::Duration;

/// How soon one that did not answer is asked again; twice as late after each time, to [`MOST_PAUSE`].
pub const LEAST_PAUSE: Duration = Duration::from_millis(500);
const MOST_PAUSE: Duration = Duration::from_secs(15);
/// How often one that has answered is asked.
pub const EVERY: Duration = Duration::from_mins(1);

/// The pause after this one, where there was no answer again.
pub fn longer(pause: Duration) -> Duration {
    (pause * 2).min(MOST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let pauses: Vec<_> = std::iter::successors(Some(LEAST_PAUSE), |pause| Some(longer(*pause))).take(7).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000].map(Duration::from_millis));
    }
}
