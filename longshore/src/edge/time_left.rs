use std::fmt;

use jiff::Timestamp;

/// How long something still lasts, in its largest unit: `6 d left`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeLeft {
    seconds: i64,
}

impl TimeLeft {
    /// From `now` to `end`; what is over has none.
    pub fn at(now: Timestamp, end: Timestamp) -> Self {
        Self { seconds: (end.as_second() - now.as_second()).max(0) }
    }
}

impl fmt::Display for TimeLeft {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 60 * MINUTE;
        const DAY: i64 = 24 * HOUR;
        let (count, unit) = match self.seconds {
            seconds @ ..MINUTE => (seconds, "s"),
            seconds @ ..HOUR => (seconds / MINUTE, "min"),
            seconds @ ..DAY => (seconds / HOUR, "h"),
            seconds => (seconds / DAY, "d"),
        };
        write!(formatter, "{count} {unit} left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_unit() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let shown = |end: &str| TimeLeft::at(now, end.parse().expect("a time")).to_string();
        assert_eq!(shown("2026-06-01T12:00:09Z"), "9 s left");
        assert_eq!(shown("2026-06-01T11:00:00Z"), "0 s left");
        assert_eq!(shown("2026-06-01T12:59:00Z"), "59 min left");
        assert_eq!(shown("2026-06-02T11:00:00Z"), "23 h left");
        assert_eq!(shown("2026-06-08T11:00:00Z"), "6 d left");
    }
}
