use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// What is counted of a site.
#[derive(Clone, Debug)]
pub struct SiteMetrics {
    /// Requests to other members, by what came of them.
    pub(super) asked: IntCounterVec,
    /// Requests of other members, by the answer.
    pub(super) answered: IntCounterVec,
    /// Bytes of blobs that came from other members.
    pub received_bytes: IntCounter,
    /// Bytes of blobs that were handed to other members.
    pub(super) sent_bytes: IntCounter,
    /// Answers of members that broke off, and that another went on with.
    pub(super) broken: IntCounter,
    /// The other members.
    pub(super) members: IntGauge,
}

impl SiteMetrics {
    /// Those of a daemon.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            asked: metrics.counters(
                "longshore_edge_site_asked_total",
                "Requests to other edges of the site, by what came of them.",
                &["outcome"],
            ),
            answered: metrics.counters(
                "longshore_edge_site_answered_total",
                "Requests of other edges of the site, by the status of the answer.",
                &["status"],
            ),
            received_bytes: metrics.counter(
                "longshore_edge_site_received_bytes_total",
                "Bytes of blobs that came from other edges of the site; they are among those fetched.",
            ),
            sent_bytes: metrics.counter(
                "longshore_edge_site_sent_bytes_total",
                "Bytes of blobs that were handed to other edges of the site; they are among those served.",
            ),
            broken: metrics.counter(
                "longshore_edge_site_broken_total",
                "Answers of other edges of the site that broke off, and that another one or the upstream went on with.",
            ),
            members: metrics.gauge("longshore_edge_site_members", "Other edges of the site."),
        }
    }
}
