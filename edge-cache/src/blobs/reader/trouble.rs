use std::time::Duration;

use crate::{
    blobs::{MOST_TRIES, MOST_WAITS, OpenError},
    source::SourceError,
};

/// How long it is waited before a piece is asked for again, at first; twice as long each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest that takes.
const MOST_PAUSE: Duration = Duration::from_secs(1);
/// The longest where a source is busy with others, and says so at once.
const MOST_BUSY_PAUSE: Duration = Duration::from_secs(8);

/// What has befallen one who is being answered, and waits for a piece.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// How often a source failed.
    failures: u32,
    /// How often this one was refused.
    refusals: u32,
    /// How often what another had asked for came to nothing, by what is theirs alone.
    others: u32,
    /// How often it waited in vain for what others hold.
    waits: u32,
}

impl Trouble {
    /// How long to wait before the piece is asked for again; `None` where it has to be told. `is_own`: whether this one would be
    /// told the same who is told it. A source is asked so often for a piece, `attempts`, where it fails.
    pub(super) fn pause(&mut self, error: &OpenError, is_own: bool, attempts: u32) -> Option<Duration> {
        let error = match error {
            OpenError::NoBudget(_) => return counted(&mut self.waits, MOST_WAITS).map(|_| Duration::ZERO),
            OpenError::Source(error) => error,
            OpenError::RangeNotSatisfiable { .. } | OpenError::Store { .. } | OpenError::GaveUp(_) => return None,
        };
        if let Some(wait) = error.busy_for() {
            let times = counted(&mut self.waits, MOST_WAITS)?;
            return Some(doubled(wait.max(FIRST_PAUSE), times).min(MOST_BUSY_PAUSE));
        }
        let is_refusal = error.is_of_the_caller() || error.is_limit();
        if is_refusal && is_own {
            // Another may have asked meanwhile, or whoever asks may have shown what is out of date.
            return counted(&mut self.refusals, 1).map(|_| Duration::ZERO);
        }
        if is_refusal || matches!(error, SourceError::Unkept | SourceError::Rangeless { .. }) {
            let times = counted(&mut self.others, MOST_TRIES)?;
            return Some(if times == 1 { Duration::ZERO } else { FIRST_PAUSE });
        }
        if !error.is_passing() {
            return None;
        }
        let times = counted(&mut self.failures, attempts.saturating_sub(1))?;
        Some(doubled(FIRST_PAUSE, times).min(MOST_PAUSE))
    }
}

/// A pause that is twice as long each time.
fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)))
}

/// Counts one more; `None` where there were as many as may be.
fn counted(count: &mut u32, most: u32) -> Option<u32> {
    (*count < most).then(|| {
        *count += 1;
        *count
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use longshore_service::budget::NoBudget;

    use super::*;
    use crate::upstream::{Pause, UpstreamError};

    /// How often it is asked for again, and how long all of that takes.
    fn borne(error: &OpenError, is_own: bool) -> (usize, Duration) {
        let mut trouble = Trouble::default();
        let pauses: Vec<Duration> = std::iter::from_fn(|| trouble.pause(error, is_own, 4)).collect();
        (pauses.len(), pauses.iter().sum())
    }

    fn refused(status: StatusCode) -> OpenError {
        let (upstream, errors) = ("some".into(), Vec::new());
        SourceError::Upstream(UpstreamError::Refused { upstream, status, errors, retry_after: None, challenge: None }).into()
    }

    #[test]
    fn what_another_is_refused_ends_nobody_else() {
        let of_the_caller = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::LOOP_DETECTED];
        for status in of_the_caller.into_iter().chain([StatusCode::TOO_MANY_REQUESTS]) {
            assert_eq!(borne(&refused(status), true), (1, Duration::ZERO), "{status}");
            assert_eq!(borne(&refused(status), false), (8, 7 * FIRST_PAUSE), "{status}");
        }
        assert_eq!(borne(&refused(StatusCode::INTERNAL_SERVER_ERROR), false).0, 0);
    }

    #[test]
    fn what_others_hold_is_waited_for() {
        let busy = UpstreamError::Paused { upstream: "some".into(), reason: Pause::Busy, retry_after: Duration::from_secs(1) };
        assert_eq!(borne(&SourceError::Upstream(busy).into(), true), (10, Duration::from_secs(1 + 2 + 4 + 7 * 8)));
        assert_eq!(borne(&NoBudget.into(), true).0, 10);
        let failing = UpstreamError::Paused { upstream: "some".into(), reason: Pause::Failing, retry_after: Duration::ZERO };
        assert_eq!(borne(&SourceError::Upstream(failing).into(), true).0, 0);
    }

    #[test]
    fn what_can_t_be_kept_is_asked_for_again_and_not_for_ever() {
        assert_eq!(borne(&SourceError::Unkept.into(), false), (8, 7 * FIRST_PAUSE));
    }

    #[test]
    fn a_source_that_fails_has_as_many_attempts_as_it_is_given() {
        let digest = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, b"");
        let wrong = SourceError::Wrong { name: "some".into(), digest, reason: "a test".into() };
        assert_eq!(borne(&wrong.into(), true), (3, 7 * FIRST_PAUSE));
    }
}
