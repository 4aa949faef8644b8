//! What changes at our registries, as soon as it does: each is asked for its stream of changes, and what was remembered of what changed
//! is forgotten.
//!
//! Where a stream ends, it is asked to go on from where it was, a restart of the edge between or not; a registry that no longer knows
//! all that came since says so, and then all is forgotten that it would have told of. While nothing is told, tags are as old as they may
//! get by themselves.

mod follower;
mod pause;
mod session;
pub mod stream;

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Tag};
use longshore_service::metrics::Metrics;
use prometheus::{IntCounterVec, IntGaugeVec};

pub use follower::Follower;

/// Somebody who remembers what upstreams have said. What is told here is over when the call returns: an answer that was asked for before,
/// and comes after, must not be remembered either.
pub trait Invalidate: Send + Sync + 'static {
    /// A tag was set, or went.
    fn tag_changed(&self, upstream: &str, repository: &RepositoryName, tag: &Tag);
    /// A manifest or a blob left a repository, at this time by the upstream's clock.
    fn deleted(&self, upstream: &str, repository: &RepositoryName, digest: &Digest, at: Timestamp);
    /// Anything may have changed: tags, what is there, and what may be pulled.
    fn all(&self, upstream: &str);
    /// It begins to tell of its changes, and never did before: what it said until now may have changed, but is not known to have.
    fn begun(&self, upstream: &str);
}

/// What is counted of those who are followed, each by its name.
#[derive(Clone, Debug)]
pub struct EventMetrics {
    following: IntGaugeVec,
    events: IntCounterVec,
    resets: IntCounterVec,
}

impl EventMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            following: metrics.gauges(
                "longshore_edge_upstream_followed",
                "1 while an upstream tells of its changes as they happen.",
                &["upstream"],
            ),
            events: metrics.counters("longshore_edge_events_total", "Changes that an upstream has told of.", &["upstream"]),
            resets: metrics.counters(
                "longshore_edge_event_resets_total",
                "How often all that an upstream had said was asked anew: changes may have been missed, a policy was applied, or it began to be followed.",
                &["upstream"],
            ),
        }
    }
}
