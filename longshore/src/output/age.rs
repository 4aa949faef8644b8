use std::fmt;

use jiff::Timestamp;

/// How long ago something was, in its largest unit: `4 s ago`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Age {
    seconds: i64,
}

impl Age {
    /// The age at `now` of what was at `then`. Another machine's clock may be ahead of ours, so what lies ahead has age 0.
    pub fn at(now: Timestamp, then: Timestamp) -> Self {
        Self { seconds: (now.as_second() - then.as_second()).max(0) }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 60 * MINUTE;
        const DAY: i64 = 24 * HOUR;
        const YEAR: i64 = 365 * DAY;
        let (count, unit) = match self.seconds {
            seconds @ ..MINUTE => (seconds, "s"),
            seconds @ ..HOUR => (seconds / MINUTE, "min"),
            seconds @ ..DAY => (seconds / HOUR, "h"),
            seconds if seconds < 2 * YEAR => (seconds / DAY, "d"),
            seconds => (seconds / YEAR, "y"),
        };
        write!(formatter, "{count} {unit} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_unit() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let shown = |then: &str| Age::at(now, then.parse().expect("a time")).to_string();
        assert_eq!(shown("2026-06-01T11:59:56Z"), "4 s ago");
        assert_eq!(shown("2026-06-01T12:00:09Z"), "0 s ago");
        assert_eq!(shown("2026-06-01T11:57:01Z"), "2 min ago");
        assert_eq!(shown("2026-06-01T09:00:00Z"), "3 h ago");
        assert_eq!(shown("2026-05-31T12:00:00Z"), "1 d ago");
        assert_eq!(shown("2025-05-31T12:00:00Z"), "366 d ago");
        assert_eq!(shown("2023-05-31T12:00:00Z"), "3 y ago");
    }
}
