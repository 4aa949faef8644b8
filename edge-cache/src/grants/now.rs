//! Now, by whichever clock is wanted.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A point in time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the one that only goes forward.
    pub at: Instant,
    /// By the one that others have too.
    pub time: Timestamp,
}

impl Now {
    /// Now.
    pub fn read() -> Self {
        Self { at: Instant::now(), time: Timestamp::now() }
    }

    /// Whether something was seen no longer ago than this. In the future nothing was.
    pub fn is_within(self, seen_at: Timestamp, limit: Duration) -> bool {
        Duration::try_from(self.time.duration_since(seen_at)).is_ok_and(|age| age < limit)
    }
}
