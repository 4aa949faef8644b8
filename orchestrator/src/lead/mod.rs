//! Leading: one replica at a time decides, writes down what it decided, and tells nodes.
//!
//! Whoever holds the lease in the database leads. A term begins with reading everything ([`loading`]); then one task owns the
//! [`Controller`](crate::control::Controller) and does three things in turns ([`term`]): it takes in what has happened, decides, and has what
//! was decided written, one transaction after another, each with all that was decided while the one before was written. Only what is written
//! is told to nodes ([`streams`]). The lease is renewed beside it ([`lease`]); where that fails for as long as it lasts, by this machine's
//! own clock, the term is over, and everything is forgotten. What a leader still writes that does not know that, the database refuses.

mod following;
mod handle;
mod lease;
mod loading;
mod metrics;
mod streams;
mod term;
mod verdicts;
mod writing;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    control::ControlSettings,
    image::ImageResolver,
    state::{LeaseWish, SharedState, StateError},
};

pub(crate) use handle::Question;
pub use handle::{
    AdvisedMove, AgentStream, Evicted, Leader, LeadsNoMore, PlanOutcome, PlanQuestion, Reported, Standing, Standings,
};
use lease::Tenure;
pub(crate) use metrics::LeadMetrics;
use term::Term;

/// How long whoever does not lead waits until it asks again, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long it waits after a term that ended for a reason that may come again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a replica needs to lead.
pub(crate) struct Lead {
    /// Where it says whether it leads, for those who serve requests.
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) state: SharedState,
    pub(crate) resolver: ImageResolver,
    /// Where nodes and other replicas reach this one.
    pub(crate) address: String,
    pub(crate) settings: ControlSettings,
    pub(crate) metrics: LeadMetrics,
    /// How long a lease lasts.
    pub(crate) lease: Duration,
}

/// Why a term ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TermEnd {
    /// This process is to stop.
    #[error("this replica stops")]
    Stopped,
    /// The lease could not be renewed in time, or another has it.
    #[error("the lease is lost")]
    LeaseLost,
    /// The database does not do what it must.
    #[error("the database can't be used")]
    State(#[from] StateError),
    /// It broke off by a fault of the program.
    #[error("it broke off")]
    Broken,
    /// A row can't be read.
    #[error("a workload in the database can't be read")]
    Unreadable(#[from] serde_json::Error),
}

impl Lead {
    /// Leads whenever nobody else does, until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let length_ms = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let mut wish = LeaseWish { holder: Uuid::now_v7(), address: self.address.clone(), length_ms };
        while !stop.is_cancelled() {
            let taking = tokio::time::timeout(self.lease, Tenure::take(self.state.clone(), wish.clone()));
            let wait = match taking.await.unwrap_or(Err(StateError::Unavailable(sqlx::Error::PoolTimedOut))) {
                Ok(Ok(tenure)) => {
                    self.lead(&tenure, &stop).await;
                    self.standing.send_replace(Standing::Following(None));
                    drop(tenure);
                    self.resign(wish.holder).await;
                    // Who leads again does so in a term of its own: what is still on its way from this one must come to nothing.
                    wish.holder = Uuid::now_v7();
                    PAUSE
                }
                Ok(Err(other)) => {
                    self.follow(other.address);
                    Duration::from_millis(u64::try_from(other.remaining_ms).unwrap_or(0)).clamp(PAUSE / 5, LONGEST_WAIT)
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "who leads can't be found out");
                    self.standing.send_replace(Standing::Following(None));
                    LONGEST_WAIT
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.resign(wish.holder).await;
    }

    /// Gives up the lead, where it is this holder's still.
    async fn resign(&self, holder: Uuid) {
        match tokio::time::timeout(self.lease, self.state.resign(holder)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the lead can't be given up; it runs out by itself");
            }
            Err(_) => tracing::warn!("the lead can't be given up: the database does not answer; it runs out by itself"),
        }
    }

    /// One term, to its end.
    async fn lead(&self, tenure: &Tenure, stop: &CancellationToken) {
        let term = tenure.term;
        tracing::info!(term, "leads");
        let had = std::time::Instant::now();
        let leading = async {
            match Term::begin(self, tenure, stop.clone()).await {
                Ok((running, leader)) => {
                    self.metrics.leads(term, had.elapsed());
                    self.standing.send_replace(Standing::Leading(leader));
                    running.run().await
                }
                Err(error) => error,
            }
        };
        // What a term has in memory goes with it, so that nothing half done is left.
        let ended = AssertUnwindSafe(leading).catch_unwind().await.unwrap_or(TermEnd::Broken);
        self.metrics.leads_no_more();
        if matches!(ended, TermEnd::Broken) {
            tracing::error!(term, "the term broke off where it should not: this is a fault of the program; another term begins");
        }
        tracing::info!(term, reason = %ended, error = std::error::Error::source(&ended), "leads no more");
    }

    /// Another replica leads.
    fn follow(&self, address: String) {
        self.standing.send_if_modified(|standing| {
            let is_known = matches!(standing, Standing::Following(Some(known)) if *known == address);
            if !is_known {
                *standing = Standing::Following(Some(address));
            }
            !is_known
        });
    }
}

/// The clock of a term. It goes on steadily, and is never set back; where the machine's own clock is ahead of it, because that was set or
/// because the machine slept, it follows.
#[derive(Debug)]
pub(crate) struct Clock {
    began: std::time::Instant,
    /// What it is ahead of the time since it began, in milliseconds.
    ahead_ms: AtomicI64,
    /// What of that was there when it was last asked for a pause.
    known_ms: AtomicI64,
}

/// By how much a clock is ahead before that counts as a pause, in milliseconds.
const PAUSE_MS: i64 = 1_000;

impl Clock {
    fn start() -> Self {
        let ahead = jiff::Timestamp::now().as_millisecond();
        Self { began: std::time::Instant::now(), ahead_ms: AtomicI64::new(ahead), known_ms: AtomicI64::new(ahead) }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let steady = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.at(steady, jiff::Timestamp::now().as_millisecond())
    }

    fn at(&self, steady_ms: i64, wall_ms: i64) -> i64 {
        let ahead = self.ahead_ms.fetch_max(wall_ms.saturating_sub(steady_ms), Relaxed);
        steady_ms.saturating_add(ahead.max(wall_ms.saturating_sub(steady_ms)))
    }

    /// How long nothing could be heard though the time went on, in milliseconds, since this was asked last; `None` where that is not
    /// worth a word.
    pub(crate) fn pause(&self) -> Option<i64> {
        let ahead = self.ahead_ms.load(Relaxed);
        let pause = ahead - self.known_ms.swap(ahead, Relaxed);
        (pause > PAUSE_MS).then_some(pause)
    }
}

/// The state of a leader's database, for its tasks.
type State = Arc<dyn crate::state::State>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_follows_the_machines_ahead_and_never_back() {
        let clock = Clock { began: std::time::Instant::now(), ahead_ms: AtomicI64::new(0), known_ms: AtomicI64::new(0) };
        assert_eq!((clock.at(10, 10), clock.pause()), (10, None));
        // It slept for eight hours: then time has passed, and nobody was heard.
        let slept = 8 * 3_600_000;
        assert_eq!((clock.at(20, 20 + slept), clock.pause()), (20 + slept, Some(slept)));
        assert_eq!((clock.at(30, 30 + slept), clock.pause()), (30 + slept, None));
        // The machine's clock is set back: time goes on all the same.
        assert_eq!((clock.at(40, 40), clock.pause()), (40 + slept, None));
    }
}
