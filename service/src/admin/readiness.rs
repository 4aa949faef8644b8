//! Whether a daemon can do its work now.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::error_text::with_sources;

/// Why a check failed; shown to operators with its sources.
pub type CheckError = Box<dyn Error + Send + Sync>;

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), CheckError>> + Send>>;

struct Check {
    name: &'static str,
    run: Box<dyn Fn() -> CheckFuture + Send + Sync>,
}

/// The checks that make a daemon ready, all run at once for each question.
pub struct Readiness {
    checks: Vec<Check>,
    timeout: Duration,
    draining: CancellationToken,
}

/// What the checks said.
pub(super) struct Report {
    draining: bool,
    /// By name; `None` for a check that passed, or why it did not.
    checks: Vec<(&'static str, Option<String>)>,
}

impl Readiness {
    /// Ready unless `draining` is cancelled, or a check added later fails or takes longer than `timeout`.
    pub fn new(timeout: Duration, draining: CancellationToken) -> Self {
        Self { checks: Vec::new(), timeout, draining }
    }

    /// Adds a check. It is cancelled at the timeout, so it must leave nothing half done.
    #[must_use]
    pub fn check<F, C>(mut self, name: &'static str, check: C) -> Self
    where
        F: Future<Output = Result<(), CheckError>> + Send + 'static,
        C: Fn() -> F + Send + Sync + 'static,
    {
        self.checks.push(Check { name, run: Box::new(move || Box::pin(check())) });
        self
    }

    pub(super) async fn report(&self) -> Report {
        let checks = join_all(self.checks.iter().map(|check| async {
            let failure = match tokio::time::timeout(self.timeout, (check.run)()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(with_sources(&*error)),
                Err(_) => Some(format!("no answer within {} ms", self.timeout.as_millis())),
            };
            (check.name, failure)
        }));
        let checks = checks.await;
        Report { draining: self.draining.is_cancelled(), checks }
    }
}

impl Report {
    fn passes(&self) -> bool {
        self.checks.iter().all(|(_, failure)| failure.is_none())
    }

    pub fn status_code(&self) -> StatusCode {
        if self.passes() && !self.draining { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }

    pub fn to_json(&self) -> Value {
        let status = match (self.draining, self.passes()) {
            (true, _) => "draining",
            (false, true) => "ready",
            (false, false) => "notReady",
        };
        let outcome = |failure: &Option<String>| failure.clone().unwrap_or_else(|| "ok".to_owned());
        let checks = self.checks.iter().map(|(name, failure)| ((*name).to_owned(), outcome(failure).into()));
        json!({"status": status, "checks": checks.collect::<Map<String, Value>>()})
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|check| check.name).collect();
        f.debug_struct("Readiness").field("checks", &names).finish_non_exhaustive()
    }
}
