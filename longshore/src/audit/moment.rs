use std::str::FromStr;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use longshore_service::config::Duration;

/// A time, or one so long ago: `2026-01-31T12:00:00Z`, `2026-01-31`, `90m`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    /// The time that it is where it is `now`.
    pub fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(age) => now.checked_sub(age.get()).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(age) = text.parse() {
            return Ok(Self::Ago(age));
        }
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let midnight = text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
        midnight.map(|time| Self::At(time.timestamp())).map_err(|_| {
            "a time is one such as 2026-01-31T12:00:00Z, a day such as 2026-01-31 (UTC), or how long ago it was, such as 90m"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_time_a_day_or_an_age() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let shown = |text: &str| text.parse::<Moment>().map(|moment| moment.time(now).to_string());
        assert_eq!(shown("90m").as_deref(), Ok("2026-06-01T10:30:00Z"));
        assert_eq!(shown("2026-05-01").as_deref(), Ok("2026-05-01T00:00:00Z"));
        assert_eq!(shown("2026-05-01T01:00:00+01:00").as_deref(), Ok("2026-05-01T00:00:00Z"));
        assert_eq!("99999999999d".parse::<Moment>().map(|moment| moment.time(now)), Ok(Timestamp::MIN));
        assert!("yesterday".parse::<Moment>().is_err());
    }
}
