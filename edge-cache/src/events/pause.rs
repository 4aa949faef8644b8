//! When a stream that ended is asked for again.

use std::time::Duration;

use crate::upstream::UpstreamError;

/// The longest pause after a stream that went well: a registry that was restarted is not asked by all edges in one moment.
const AFTER_END: Duration = Duration::from_secs(1);
/// The longest pause after a first failure; twice as long after each further one.
const LEAST: Duration = Duration::from_secs(1);
/// The longest pause after any failure: so much later than the registry answers again it is followed.
const MOST: Duration = Duration::from_secs(15);
/// How long a registry is left alone that tells of no changes, or not to us.
const WITHOUT: Duration = Duration::from_hours(1);

/// How a stream ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// After it had told something.
    Told,
    /// Before, for so long as the registry asks to be left alone.
    Failed(Option<Duration>),
    /// There is none.
    Without,
}

impl End {
    /// The end of an attempt to follow, which tells whether there was a stream. A registry that was followed before tells of its changes
    /// again in a moment, whatever answers in its place until then.
    pub fn of(followed: &Result<bool, UpstreamError>, was_followed: bool) -> Self {
        let is_without = match followed {
            Ok(true) => return Self::Told,
            Ok(false) => true,
            // Who may not follow now may not a minute later.
            Err(error) => error.status().is_some_and(|status| status.is_client_error()) && !error.is_down(),
        };
        if is_without && !was_followed {
            return Self::Without;
        }
        Self::Failed(followed.as_ref().err().and_then(UpstreamError::retry_after))
    }
}

/// How long to wait, after so many failures one after another; `part`, from 0 to 1, is by chance.
pub fn pause(end: End, failures: u32, part: f64) -> Duration {
    let part = part.clamp(0.0, 1.0);
    match end {
        End::Told => AFTER_END.mul_f64(part),
        End::Failed(asked) => {
            let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
            let longest = LEAST.saturating_mul(doubled).min(MOST);
            // Not at once, and not later than an hour whatever it asks.
            longest.mul_f64(0.1 + 0.9 * part).max(asked.unwrap_or_default().min(WITHOUT))
        }
        End::Without => WITHOUT.mul_f64(0.9 + 0.1 * part),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn who_was_followed_is_asked_again_soon() {
        let refused = |status| {
            let (status, errors, retry_after) = (StatusCode::from_u16(status).unwrap(), Vec::new(), None);
            Err(UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge: None })
        };
        assert_eq!(End::of(&Ok(true), false), End::Told);
        for followed in [Ok(false), refused(401), refused(403), refused(404)] {
            assert_eq!(End::of(&followed, false), End::Without, "{followed:?}");
            assert_eq!(End::of(&followed, true), End::Failed(None), "{followed:?}");
        }
        for status in [429, 503] {
            assert_eq!(End::of(&refused(status), false), End::Failed(None), "{status}");
        }
    }

    #[test]
    fn is_longer_after_each_failure_and_bounded() {
        let longest = |failures| pause(End::Failed(None), failures, 1.0).as_secs();
        assert_eq!([1, 2, 3, 7, 40, u32::MAX].map(longest), [1, 2, 4, 15, 15, 15]);
        assert_eq!(pause(End::Failed(None), 1, 0.0), LEAST / 10);
        let asked = |seconds| pause(End::Failed(Some(Duration::from_secs(seconds))), 1, 0.5);
        assert_eq!((asked(90), asked(1_000_000)), (Duration::from_secs(90), WITHOUT));
        assert!(pause(End::Told, 0, 0.99) < AFTER_END && pause(End::Told, 0, 0.0).is_zero());
        assert!(pause(End::Without, 9, 0.0) >= WITHOUT.mul_f64(0.9) && pause(End::Without, 9, 1.0) <= WITHOUT);
    }
}
