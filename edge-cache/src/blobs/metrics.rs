use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::{
    hot::MemoryMetrics,
    supply::{Supplied, Supplier},
};

/// What is counted of blobs.
#[derive(Clone)]
pub struct BlobMetrics {
    /// Bytes that came from upstreams, and not from neighbours, by upstream.
    pub fetched_bytes: IntCounterVec,
    /// All bytes that came, by upstream and by who sent them.
    pub supplied_bytes: IntCounterVec,
    /// Bytes that were handed to clients, by source.
    pub served_bytes: IntCounterVec,
    /// Those of them that nothing was fetched for by who got them: they were here, or on their way for another. Of what is gathered, those
    /// that were here when it was asked for.
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
            fetched_bytes: by_source(
                "longshore_edge_fetched_bytes_total",
                "Bytes of blobs that came from upstreams, and not from neighbours.",
            ),
            supplied_bytes: metrics.counters(
                "longshore_edge_supplied_bytes_total",
                "Bytes of blobs that came, by who sent them: neighbours, an edge, or the registry.",
                &["upstream", "from"],
            ),
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
    /// What came of an upstream's blobs, from anywhere.
    pub(crate) fn came_bytes(&self, upstream: &str) -> u64 {
        Supplier::ALL.into_iter().map(|supplier| self.supplied_bytes.with_label_values(&[upstream, supplier.name()]).get()).sum()
    }

    /// Bytes came.
    pub(super) fn came(&self, upstream: &str, supplied: Supplied) {
        let fetched = supplied.by(Supplier::Edge).saturating_add(supplied.by(Supplier::Registry));
        self.fetched_bytes.with_label_values(&[upstream]).inc_by(fetched);
        for supplier in Supplier::ALL.into_iter().filter(|supplier| supplied.by(*supplier) > 0) {
            self.supplied_bytes.with_label_values(&[upstream, supplier.name()]).inc_by(supplied.by(supplier));
        }
    }
}
