//! Waiting for an upstream that can't be asked just now.

use std::{pin::pin, time::Duration};

use tokio::time::Instant;

use crate::upstream::UpstreamError;

/// How long an image without a deadline is waited for in all while nothing of it comes: longer than a registry takes to start
/// anew, and than one that failed is left alone for. Whoever gave no deadline is told then.
pub const IN_ALL: Duration = Duration::from_mins(1);
/// How often it is looked whether something has come.
const TICK: Duration = Duration::from_secs(1);
/// How long it waits at first; twice as long each further time.
const LEAST: Duration = Duration::from_secs(1);
/// The longest wait that nobody asked for.
const MOST: Duration = Duration::from_secs(15);
/// The longest wait that an upstream is heeded for: it may be back sooner than it said.
const MOST_ASKED: Duration = Duration::from_mins(1);

/// How long it is still waited. From the first failure on all time counts in which nothing comes, be it of waiting or of trying
/// again.
#[derive(Debug)]
pub struct Patience {
    tries: u32,
    /// How much is left of it; `None` where a deadline ends it.
    left: Option<Duration>,
}

impl Patience {
    /// So much in all; `None` where a deadline ends it.
    pub fn new(in_all: Option<Duration>) -> Self {
        Self { tries: 0, left: in_all }
    }

    /// How much is left, once something has failed and unless a deadline ends it.
    pub fn left(&self) -> Option<Duration> {
        self.left.filter(|_| self.tries > 0)
    }

    /// Nothing has come for so long.
    pub fn spend(&mut self, time: Duration) {
        self.left = self.left.map(|left| left.saturating_sub(time));
    }

    /// Does work for as long as there is patience, or something comes: `here` is how much has. `None` where that was not enough.
    pub async fn try_out<T>(&mut self, here: impl Fn() -> u64, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut before) = (pin!(work), here());
        while let Some(left) = self.left() {
            let begun = Instant::now();
            let done = tokio::time::timeout(left.min(TICK), &mut work).await;
            let now = here();
            if now <= before {
                self.spend(begun.elapsed());
            }
            before = now;
            match done {
                Ok(done) => return Some(done),
                Err(_) if self.left() == Some(Duration::ZERO) => return None,
                Err(_) => {}
            }
        }
        Some(work.await)
    }

    /// How long to wait before what failed so is tried again; `None` where it has failed.
    pub fn wait(&mut self, error: &UpstreamError) -> Option<Duration> {
        if !is_for_now(error) {
            return None;
        }
        let doubled = LEAST.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX)).min(MOST);
        let wait = doubled.max(error.retry_after().unwrap_or_default().min(MOST_ASKED));
        if self.left.is_some_and(|left| left < wait) {
            return None;
        }
        self.tries = self.tries.saturating_add(1);
        Some(wait)
    }
}

/// Whether the upstream is away, or wants to be left alone. What it refuses, or does not have, it will not have in a moment
/// either; nor will it be trusted then where its certificate is not.
fn is_for_now(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Unreachable { .. } => error.is_passing(),
        UpstreamError::Paused { .. } => true,
        _ => error.is_away() || error.is_limit(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        let waits = |error: &UpstreamError| Patience::new(Some(IN_ALL)).wait(error).is_some();
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
            let source = Arc::new(ClientError::Unreachable { registry, fault, source });
            Patience::new(None).wait(&UpstreamError::Unreachable { upstream, reason, cause: source }).is_some()
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
        let (mut patience, away) = (Patience::new(Some(IN_ALL)), refused(503, None));
        let mut next = |error: &UpstreamError| patience.wait(error).inspect(|wait| patience.spend(*wait));
        let waits: Vec<_> = std::iter::from_fn(|| next(&away)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
        let long = refused(503, Some(Duration::from_secs(50)));
        let mut patience = Patience::new(Some(IN_ALL));
        let waited = patience.wait(&long).unwrap();
        patience.spend(waited);
        assert_eq!((waited.as_secs(), patience.wait(&long)), (50, None));
    }

    /// One of which this much is left after a first failure.
    fn with_left(left: Duration) -> Patience {
        let mut patience = Patience::new(Some(LEAST + left));
        let wait = patience.wait(&refused(503, None)).unwrap();
        patience.spend(wait);
        patience
    }

    #[tokio::test]
    async fn the_time_of_trying_again_counts_while_nothing_comes() {
        let mut fresh = Patience::new(Some(Duration::ZERO));
        assert_eq!(fresh.try_out(|| 0, async { 7 }).await, Some(7), "nothing had failed before");
        let (mut patience, begun) = (with_left(Duration::from_millis(300)), Instant::now());
        let slow = tokio::time::sleep(Duration::from_millis(100));
        assert!(patience.try_out(|| 5, slow).await.is_some());
        assert!(patience.left().unwrap() <= Duration::from_millis(200), "{patience:?}");
        assert!(patience.try_out(|| 5, std::future::pending::<()>()).await.is_none());
        assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(10));
        assert!(patience.try_out(|| 5, std::future::pending::<()>()).await.is_none(), "nor is it begun anew");
        assert_eq!(patience.wait(&refused(503, None)), None);
    }

    #[tokio::test]
    async fn what_comes_on_is_not_cut_off() {
        let (mut patience, begun) = (with_left(Duration::from_millis(200)), Instant::now());
        let comes = || u64::try_from(begun.elapsed().as_millis()).unwrap();
        assert!(patience.try_out(comes, tokio::time::sleep(Duration::from_millis(900))).await.is_some());
        assert_eq!(patience.left(), Some(Duration::from_millis(200)));
        let mut of_a_deadline = Patience::new(None);
        of_a_deadline.wait(&refused(503, None)).unwrap();
        assert!(of_a_deadline.try_out(|| 0, async {}).await.is_some() && of_a_deadline.left().is_none());
    }

    #[test]
    fn with_a_deadline_that_is_its_end() {
        let (mut patience, away) = (Patience::new(None), refused(503, None));
        let waits: Vec<_> = (0..100).filter_map(|_| patience.wait(&away)).collect();
        assert!(waits.len() == 100 && waits[40..].iter().all(|wait| *wait == MOST));
        assert_eq!(patience.wait(&refused(503, Some(Duration::from_hours(1)))), Some(MOST_ASKED));
    }
}
