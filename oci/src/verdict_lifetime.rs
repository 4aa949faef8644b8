use std::{fmt, str::FromStr, time::Duration};

use http::HeaderValue;

use crate::content_range::decimal;

const MAX_AGE: &str = "max-age";
const STALE_IF_ERROR: &str = "stale-if-error";

/// For how long a cache may go by a registry's verdict that somebody may have an image: `max-age=60, stale-if-error=3600`.
///
/// The directives are those of `Cache-Control` (RFC 9111, 5.2.2.1; RFC 5861, 4), in seconds. Both count from when the registry was asked;
/// other than in RFC 5861 `stale-if-error` does not begin where `max-age` ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerdictLifetime {
    /// How long it holds while the registry can be asked, in whole seconds.
    pub max_age: Duration,
    /// How long it holds while the registry can't be asked, in whole seconds.
    pub stale_if_error: Duration,
}

/// The header does not say for how long a verdict holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("for how long a verdict holds is written max-age=SECONDS, stale-if-error=SECONDS")]
pub struct InvalidVerdictLifetime;

impl VerdictLifetime {
    /// The header of a manifest's answer.
    pub const HEADER: &'static str = "longshore-verdict";
    /// The longest that is read, a week. They come from outside: nobody is believed for as long as they like.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);

    /// One of so long, less what is no whole second.
    pub const fn new(max_age: Duration, stale_if_error: Duration) -> Self {
        Self { max_age: Duration::from_secs(max_age.as_secs()), stale_if_error: Duration::from_secs(stale_if_error.as_secs()) }
    }

    /// What is left of it after so long.
    #[must_use]
    pub const fn after(self, age: Duration) -> Self {
        Self::new(self.max_age.saturating_sub(age), self.stale_if_error.saturating_sub(age))
    }

    /// The same, but in either case no longer than this.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self::new(self.max_age.min(limit), self.stale_if_error.min(limit))
    }

    /// As the header's value.
    pub fn to_header(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("names and numbers are plain ASCII")
    }
}

impl FromStr for VerdictLifetime {
    type Err = InvalidVerdictLifetime;

    /// Reads the directives in any order. Of one that is there twice the shorter counts, and an unreadable `stale-if-error` is as none.
    fn from_str(header: &str) -> Result<Self, InvalidVerdictLifetime> {
        let (mut max_age, mut stale_if_error) = (None, None);
        for directive in header.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let (name, read) = (name.trim(), seconds(value));
            if name.eq_ignore_ascii_case(MAX_AGE) {
                max_age = Some(shorter(max_age, read.ok_or(InvalidVerdictLifetime)?));
            } else if name.eq_ignore_ascii_case(STALE_IF_ERROR)
                && let Some(read) = read
            {
                stale_if_error = Some(shorter(stale_if_error, read));
            }
        }
        let max_age = max_age.ok_or(InvalidVerdictLifetime)?;
        Ok(Self { max_age, stale_if_error: stale_if_error.unwrap_or(max_age) })
    }
}

fn seconds(value: &str) -> Option<Duration> {
    decimal(value.trim()).map(|seconds| Duration::from_secs(seconds).min(VerdictLifetime::LONGEST))
}

fn shorter(known: Option<Duration>, read: Duration) -> Duration {
    known.map_or(read, |known| known.min(read))
}

impl fmt::Display for VerdictLifetime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_age, stale_if_error } = self;
        write!(formatter, "{MAX_AGE}={}, {STALE_IF_ERROR}={}", max_age.as_secs(), stale_if_error.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(max_age: u64, stale_if_error: u64) -> VerdictLifetime {
        VerdictLifetime::new(Duration::from_secs(max_age), Duration::from_secs(stale_if_error))
    }

    #[test]
    fn reads_the_directives_that_it_knows() {
        for (header, lifetime) in [
            ("max-age=60, stale-if-error=3600", of(60, 3600)),
            ("Stale-If-Error=3600,MAX-AGE=60", of(60, 3600)),
            ("  max-age = 60 ,, private, x=\"y\", stale-if-error= 3600 ", of(60, 3600)),
            ("max-age=60", of(60, 60)),
            ("max-age=0", of(0, 0)),
            ("max-age=60, stale-if-error=soon", of(60, 60)),
            ("max-age=60, stale-if-error=30", of(60, 30)),
            ("max-age=60, max-age=5, stale-if-error=9, stale-if-error=8", of(5, 8)),
        ] {
            assert_eq!(header.parse(), Ok(lifetime), "{header:?}");
        }
        assert_eq!(of(60, 3600).to_string(), "max-age=60, stale-if-error=3600");
        assert_eq!(of(60, 3600).to_header(), "max-age=60, stale-if-error=3600");
    }

    #[test]
    fn refuses_the_rest() {
        for header in [
            "",
            ",",
            "=",
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=+1",
            "max-age=1.5",
            "max-age=60s",
            "max-age=\"60\"",
            "max-age=6 0",
            "max-age=60=60",
            "max-age=60; stale-if-error=60",
            "max-age=99999999999999999999999",
            "max-age=60, max-age=x",
            "max-ages=60",
            "stale-if-error=60",
            "60",
        ] {
            assert_eq!(header.parse::<VerdictLifetime>(), Err(InvalidVerdictLifetime), "{header:?}");
        }
    }

    #[test]
    fn nobody_is_believed_for_longer_than_a_week() {
        let week = 7 * 24 * 3600;
        assert_eq!(VerdictLifetime::LONGEST.as_secs(), week);
        let longest = u64::MAX;
        assert_eq!(format!("max-age={longest}, stale-if-error={}", week + 1).parse(), Ok(of(week, week)));
        assert_eq!(format!("max-age={week}").parse(), Ok(of(week, week)));
    }

    #[test]
    fn what_is_left_is_rounded_down() {
        let lifetime = of(60, 3600);
        assert_eq!(lifetime.after(Duration::ZERO), lifetime);
        assert_eq!(lifetime.after(Duration::from_millis(1)), of(59, 3599));
        assert_eq!(lifetime.after(Duration::from_mins(1)), of(0, 3540));
        assert_eq!(lifetime.after(Duration::MAX), of(0, 0));
        assert_eq!(lifetime.at_most(Duration::MAX), lifetime);
        assert_eq!(lifetime.at_most(Duration::from_millis(61_999)), of(60, 61));
        assert_eq!(lifetime.at_most(Duration::from_millis(999)), of(0, 0));
    }

    proptest! {
        #[test]
        fn round_trips(max_age in 0..=604_800_u64, stale_if_error in 0..=604_800_u64) {
            let lifetime = of(max_age, stale_if_error);
            prop_assert_eq!(lifetime.to_string().parse(), Ok(lifetime));
        }

        #[test]
        fn any_text_is_read_within_a_week_or_refused(directives in "((max-age|stale-if-error|[a-z]{0,3})=[0-9]{0,22},?){0,3}", text: String) {
            for header in [&directives, &text] {
                if let Ok(read) = header.parse::<VerdictLifetime>() {
                    prop_assert!(read.max_age.max(read.stale_if_error) <= VerdictLifetime::LONGEST);
                }
            }
        }
    }
}
