use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How long a server asks to wait, in seconds or until a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    wait(headers.get(RETRY_AFTER)?.to_str().ok()?.trim(), Timestamp::now())
}

fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().expect("a time");
        assert_eq!(wait("120", now), Some(Duration::from_mins(2)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:48:37 GMT", now), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(wait(text, now), None, "{text}");
        }
    }
}
