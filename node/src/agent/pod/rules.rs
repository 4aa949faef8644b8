use std::time::{Duration, Instant};

use jiff::Timestamp;

/// What time it is: by a clock that only goes forward, and by the calendar.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What waiting goes by.
    pub at: Instant,
    /// What is told, and compared with what the runtime says.
    pub wall: Timestamp,
}

impl Now {
    /// By the machine's clocks.
    pub fn read() -> Self {
        Self { at: Instant::now(), wall: Timestamp::now() }
    }
}

/// How long is waited between tries.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// After the second crash in a row, and after an image did not come; doubled with each.
    pub backoff: Duration,
    /// The longest that this becomes.
    pub backoff_most: Duration,
    /// After so long a run a crash counts as the first.
    pub steady_after: Duration,
    /// How soon a runtime that is away is asked again.
    pub away: Duration,
}

impl Default for Rules {
    /// Those of Kubernetes.
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(10),
            backoff_most: Duration::from_mins(5),
            steady_after: Duration::from_mins(10),
            away: Duration::from_secs(1),
        }
    }
}
