//! A length of time with a unit.

use std::fmt;
use std::str::FromStr;

/// Units with their length in milliseconds, longest first. `Display` does not use days: `24h` is shown as it was written.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time, written as a whole number and one unit: `100ms`, `30s`, `5m`, `24h`, `7d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    milliseconds: u64,
}

/// The text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// There is no whole number at the start.
    #[error("a duration is a whole number and a unit, such as 30s")]
    NoNumber,
    /// There is a number but no unit, so it could be seconds or milliseconds.
    #[error("a duration needs a unit: ms, s, m, h or d")]
    NoUnit,
    /// The unit is not one that is known.
    #[error("the unit of a duration is one of ms, s, m, h, d")]
    UnknownUnit,
    /// The duration is longer than 64 bits of milliseconds.
    #[error("the duration is too long")]
    TooLong,
}

impl Duration {
    /// A duration of so many milliseconds.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// A duration of so many seconds. Panics where that is past 64 bits of milliseconds, so it is for constants.
    pub const fn seconds(seconds: u64) -> Self {
        Self::milliseconds(seconds * 1000)
    }

    /// So many hours.
    pub const fn hours(hours: u64) -> Self {
        Self::seconds(hours * 3600)
    }

    /// So many days.
    pub const fn days(days: u64) -> Self {
        Self::hours(days * 24)
    }

    /// The number of milliseconds.
    pub const fn as_milliseconds(self) -> u64 {
        self.milliseconds
    }

    /// The same length as the standard library's type.
    pub const fn get(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.milliseconds)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.get()
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(digits_end);
        if digits.is_empty() {
            return Err(DurationError::NoNumber);
        }
        let number: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
        let unit = unit.trim_start();
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::UnknownUnit)?.1;
        let milliseconds = number.checked_mul(scale).ok_or(DurationError::TooLong)?;
        Ok(Self { milliseconds })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milliseconds == 0 {
            return f.write_str("0s");
        }
        let shown = UNITS.iter().skip(1).find(|(_, scale)| self.milliseconds.is_multiple_of(*scale));
        let (unit, scale) = shown.expect("every number of milliseconds is a multiple of one");
        write!(f, "{}{unit}", self.milliseconds / scale)
    }
}

crate::text_setting!(Duration, "a duration such as \"30s\"");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_each_unit_and_insists_on_one() {
        assert_eq!("100ms".parse(), Ok(Duration::milliseconds(100)));
        assert_eq!("30s".parse(), Ok(Duration::seconds(30)));
        assert_eq!("5m".parse(), Ok(Duration::seconds(300)));
        assert_eq!("7d".parse(), Ok(Duration::seconds(604_800)));
        assert_eq!("24h".parse::<Duration>().expect("a duration").to_string(), "24h");
        assert_eq!("30".parse::<Duration>(), Err(DurationError::NoUnit));
        assert_eq!("soon".parse::<Duration>(), Err(DurationError::NoNumber));
        assert_eq!("30 sec".parse::<Duration>(), Err(DurationError::UnknownUnit));
        assert_eq!("99999999999999999d".parse::<Duration>(), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(milliseconds: u64, unit in 0..UNITS.len(), count in 0_u64..1 << 20) {
            for duration in [Duration { milliseconds }, Duration::milliseconds(count * UNITS[unit].1)] {
                prop_assert_eq!(duration.to_string().parse(), Ok(duration));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<Duration>();
        }
    }
}
