//! Waiting for an upstream that can't be asked just now.

use std::time::Duration;

use crate::upstream::UpstreamError;

/// How long an operation without a deadline waits in all while nothing comes of it: longer than a registry takes to start anew, and than
/// one that failed is left alone for. Whoever gave no deadline is told then.
const IN_ALL: Duration = Duration::from_mins(1);
/// How long it waits at first; twice as long each further time.
const LEAST: Duration = Duration::from_secs(1);
/// The longest wait that nobody asked for.
const MOST: Duration = Duration::from_secs(15);
/// The longest wait that an upstream is heeded for: it may be back sooner than it said.
const MOST_ASKED: Duration = Duration::from_mins(1);

/// How long it is still waited.
#[derive(Clone, Debug)]
pub struct Patience {
    tries: u32,
    /// How much is left of it; `None` where a deadline ends it.
    left: Option<Duration>,
}

impl Patience {
    /// All of it.
    pub fn new(has_deadline: bool) -> Self {
        Self { tries: 0, left: (!has_deadline).then_some(IN_ALL) }
    }

    /// How long to wait before what failed so is tried again; `None` where it has failed.
    pub fn wait(&mut self, error: &UpstreamError) -> Option<Duration> {
        if !is_for_now(error) {
            return None;
        }
        let doubled = LEAST.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX)).min(MOST);
        let wait = doubled.max(error.retry_after().unwrap_or_default().min(MOST_ASKED));
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(wait)?;
        }
        self.tries = self.tries.saturating_add(1);
        Some(wait)
    }
}

/// Whether the upstream is away, or wants to be left alone. What it refuses, or does not have, it will not have in a moment either; nor
/// will it be trusted then where its certificate is not.
fn is_for_now(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Unreachable { .. } => error.is_passing(),
        UpstreamError::Paused { .. } => true,
        _ => error.is_away() || error.is_limit(),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use longshore_client::{ClientError, Fault, RegistryUrl};

    use super::*;
    use crate::upstream::Pause;

    fn refused(status: u16, retry_after: Option<Duration>) -> UpstreamError {
        let (status, errors, challenge) = (StatusCode::from_u16(status).unwrap(), Vec::new(), None);
        UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge }
    }

    #[test]
    fn what_may_be_over_in_a_moment_is_waited_for() {
        let waits = |error: &UpstreamError| Patience::new(false).wait(error).is_some();
        for status in [429, 500, 502, 503] {
            assert!(waits(&refused(status, None)), "{status}");
        }
        for status in [400, 401, 403, 404, 508] {
            assert!(!waits(&refused(status, None)), "{status}");
        }
        for reason in [Pause::Limited, Pause::Failing, Pause::Busy] {
            assert!(waits(&UpstreamError::Paused { upstream: "up".into(), reason, retry_after: LEAST }), "{reason:?}");
        }
        assert!(!waits(&UpstreamError::Malformed { upstream: "up".into(), reason: "HTML".into() }));
    }

    #[test]
    fn who_is_not_trusted_is_not_waited_for() {
        let waits = |fault: Fault| {
            // Any error of the HTTP client's does.
            let source = Box::new(reqwest::Client::builder().user_agent("\n").build().unwrap_err());
            let registry = RegistryUrl::parse("https://up.example", false).unwrap();
            let (upstream, reason) = ("up".into(), fault.to_string());
            let source = ClientError::Unreachable { registry, fault, source }.into();
            Patience::new(true).wait(&UpstreamError::Unreachable { upstream, reason, source }).is_some()
        };
        let why = || "why".to_owned();
        for fault in [Fault::ConnectionRefused, Fault::TimedOut, Fault::UnknownHost, Fault::Broken(why())] {
            assert!(waits(fault.clone()), "{fault}");
        }
        let certificates = [Fault::UnknownAuthority, Fault::Certificate(why()), Fault::CertificateRefused(why())];
        for fault in certificates.into_iter().chain([Fault::NoCertificate, Fault::NotTls]) {
            assert!(!waits(fault.clone()), "{fault}");
        }
    }

    #[test]
    fn without_a_deadline_it_has_an_end() {
        let (mut patience, away) = (Patience::new(false), refused(503, None));
        let waits: Vec<_> = std::iter::from_fn(|| patience.wait(&away)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
        let long = refused(503, Some(Duration::from_secs(50)));
        let mut patience = Patience::new(false);
        assert_eq!((patience.wait(&long), patience.wait(&long)), (Some(Duration::from_secs(50)), None));
    }

    #[test]
    fn with_a_deadline_that_is_its_end() {
        let (mut patience, away) = (Patience::new(true), refused(503, None));
        let waits: Vec<_> = (0..100).filter_map(|_| patience.wait(&away)).collect();
        assert!(waits.len() == 100 && waits[40..].iter().all(|wait| *wait == MOST));
        assert_eq!(patience.wait(&refused(503, Some(Duration::from_hours(1)))), Some(MOST_ASKED));
    }
}
