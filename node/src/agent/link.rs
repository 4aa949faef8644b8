//! The connection to the orchestrator: what is to be comes down one stream that stays open, how things are goes up in reports.
//!
//! Several replicas may be named; one of them leads, and the others say which. A connection that is lost is made again after a while, with
//! some chance in it, since all nodes lose theirs at once. Nothing is played again: each begins with all there is, both ways.

mod caller;
mod error;
mod identity;
mod lines;
mod membership;
mod reporting;
mod session;
mod targets;

use std::{sync::Arc, time::Duration};

use longshore_service::error_text::with_sources;
use rand::RngExt as _;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{hands::Hands, logs::Desk, roster::Order};
pub use caller::{Caller, CallerSettings};
pub use error::LinkError;
pub use identity::Identity;
pub use membership::Membership;
use targets::Targets;

/// How soon a lost connection is made again, doubled with each in vain, up to the longest: a fleet that has lost its leader is with the next
/// soon after there is one.
const PAUSE: Duration = Duration::from_millis(100);
const MOST_PAUSE: Duration = Duration::from_secs(3);
/// A connection that lasted so long was a good one.
const STEADY_AFTER: Duration = Duration::from_secs(10);
/// How many replicas in a row may send on to another without a pause.
const MOST_HOPS: u32 = 4;

/// The connection to the orchestrator.
pub struct Link {
    /// Who asks.
    pub caller: Caller,
    /// Whom.
    pub urls: Vec<String>,
    /// What it is there.
    pub membership: Membership,
    /// What there is to tell.
    pub hands: Arc<Hands>,
    /// Where what is to be goes.
    pub orders: mpsc::Sender<Order>,
    /// Who reads what pods write.
    pub desk: Arc<Desk>,
    /// The longest instruction that is read.
    pub most_line_bytes: usize,
}

impl Link {
    /// Keeps it up until it is stopped.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut targets = Targets::new(self.urls.clone());
        let (mut pause, mut hops, mut told) = (PAUSE, 0, String::new());
        loop {
            let (url, began) = (targets.current().to_owned(), Instant::now());
            let Some(ended) = stopping.run_until_cancelled(self.session(&url)).await else { return };
            self.hands.metrics.connected.set(0);
            let error = match ended {
                Ok(never) => match never {},
                Err(error) => error,
            };
            if began.elapsed() > STEADY_AFTER {
                (pause, hops) = (PAUSE, 0);
                told.clear();
            }
            let text = with_sources(&error);
            // While a leader is found all is well; where there is none for long, somebody should know.
            if matches!(error, LinkError::NotLeader { .. }) && pause < MOST_PAUSE {
                tracing::debug!(url, error = text, "whoever leads is looked for");
            } else if told != text {
                tracing::warn!(url, error = text, "the orchestrator can't be heard; what runs runs on");
                told = text;
            }
            if let LinkError::NotLeader { leader, .. } = &error
                && targets.follow(leader.as_deref())
                && hops < MOST_HOPS
            {
                hops += 1;
                continue;
            }
            if !matches!(error, LinkError::NotLeader { .. }) {
                targets.advance();
            }
            hops = 0;
            let wait = rand::rng().random_range(pause / 2..=pause);
            pause = (pause * 2).min(MOST_PAUSE);
            if stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }
}
