use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::hot::MemoryMetrics;

/// What is counted of blobs.
#[derive(Clone)]
pub struct BlobMetrics {
    /// Bytes that came from sources, by source.
    pub fetched_bytes: IntCounterVec,
    /// Bytes that were handed to clients, by source.
    pub served_bytes: IntCounterVec,
    /// Those of them that nothing was fetched for by who got them: they were here, or on their way for another.
    pub hit_bytes: IntCounterVec,
    /// Requests to sources for bytes of blobs, by source.
    pub fetches: IntCounterVec,
    /// Pieces and blobs that a source sent wrong, by source.
    pub wrong: IntCounterVec,
    /// Pieces and blobs that were passed on without being kept, for want of room.
    pub not_kept: IntCounter,
    /// Pieces that are being fetched.
    pub pieces_in_flight: IntGauge,
    pub(super) memory: MemoryMetrics,
}

impl BlobMetrics {
    /// Those of a daemon.
    pub fn new(metrics: &Metrics) -> Self {
        let by_source = |name, help| metrics.counters(name, help, &["upstream"]);
        Self {
            fetched_bytes: by_source("longshore_edge_fetched_bytes_total", "Bytes of blobs that came from upstreams."),
            served_bytes: by_source("longshore_edge_served_bytes_total", "Bytes of blobs that were handed to clients."),
            hit_bytes: by_source(
                "longshore_edge_hit_bytes_total",
                "Bytes handed to clients that nothing was fetched for: here, or coming for another.",
            ),
            fetches: by_source("longshore_edge_fetches_total", "Requests to upstreams for bytes of blobs."),
            wrong: by_source(
                "longshore_edge_wrong_total",
                "Pieces and blobs that an upstream sent wrong, and nothing was kept of.",
            ),
            not_kept: metrics
                .counter("longshore_edge_not_kept_total", "Pieces and blobs passed on and not kept, for want of room."),
            pieces_in_flight: metrics.gauge("longshore_edge_pieces_in_flight", "Pieces that are being fetched."),
            memory: MemoryMetrics::new(metrics),
        }
    }
}
