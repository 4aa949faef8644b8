use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};

/// What is counted of the control protocols.
#[derive(Clone, Debug)]
pub(super) struct ControlMetrics {
    /// Connections open now.
    pub connections: IntGaugeVec,
    /// Connections of others that came to nothing.
    pub failed_inbound: IntCounterVec,
    /// Calls, by what is asked and what came of it.
    pub asked: IntCounterVec,
    /// Requests of others, by what is asked and the answer.
    pub answered: IntCounterVec,
    /// Messages of which nothing came, by why.
    pub unread: IntCounterVec,
    /// Peers that announced here and whose connections have ended.
    pub gone: IntCounter,
    /// Peers that mDNS told of.
    pub discovered: IntCounter,
}

impl ControlMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            connections: metrics.gauges(
                "longshore_p2p_control_connections",
                "Connections of the control protocols, by who made them.",
                &["direction"],
            ),
            failed_inbound: metrics.counters(
                "longshore_p2p_control_connections_failed_total",
                "Connections that others would have made: denied as one too many, or their handshake failed.",
                &["reason"],
            ),
            asked: metrics.counters(
                "longshore_p2p_control_asked_total",
                "Calls to trackers and other peers, by what came of them.",
                &["question", "outcome"],
            ),
            answered: metrics.counters(
                "longshore_p2p_control_answered_total",
                "Requests of other peers, by the answer.",
                &["question", "answer"],
            ),
            unread: metrics.counters(
                "longshore_p2p_control_unread_total",
                "Messages of other peers that were not taken: oversized, malformed, or no memory was left for them.",
                &["reason"],
            ),
            gone: metrics
                .counter("longshore_p2p_control_gone_total", "Peers that had announced, and whose last connection ended."),
            discovered: metrics.counter("longshore_p2p_control_discovered_total", "Times that mDNS told of a peer."),
        }
    }
}
