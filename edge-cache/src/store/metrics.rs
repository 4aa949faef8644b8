use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// What the store counts.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    pub(super) disk_bytes: IntGauge,
    pub(super) quota_bytes: IntGauge,
    pub(super) pinned_bytes: IntGauge,
    pub(super) entries: IntGauge,
    pub(super) evicted: IntCounterVec,
    pub(super) evicted_bytes: IntCounter,
    pub(super) damaged: IntCounter,
    pub(super) mismatched: IntCounter,
    pub(super) scrubbed_bytes: IntCounter,
    pub(super) no_room: IntCounter,
    pub(super) disk_full: IntCounter,
    pub(super) index_failures: IntCounter,
    pub(super) records_lost: IntCounter,
}

impl StoreMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let (counter, gauge) = (|name, help| metrics.counter(name, help), |name, help| metrics.gauge(name, help));
        Self {
            disk_bytes: gauge("longshore_edge_disk_bytes", "Bytes of blobs on the disk."),
            quota_bytes: gauge("longshore_edge_quota_bytes", "Bytes of blobs that may be on the disk."),
            pinned_bytes: gauge("longshore_edge_pinned_bytes", "Bytes of pinned blobs, each counted whole."),
            entries: gauge("longshore_edge_blobs", "Blobs of which at least a piece may be here."),
            evicted: metrics.counters("longshore_edge_evicted_total", "Blobs dropped, by why.", &["reason"]),
            evicted_bytes: counter("longshore_edge_evicted_bytes_total", "Bytes of dropped blobs."),
            damaged: counter("longshore_edge_damaged_total", "Pieces found damaged on the disk, and so not served."),
            mismatched: counter("longshore_edge_mismatched_total", "Blobs or pieces that came and were not what was asked for."),
            scrubbed_bytes: counter("longshore_edge_scrubbed_bytes_total", "Bytes read again to find damage."),
            no_room: counter("longshore_edge_no_room_total", "Times that bytes were not kept for want of room."),
            disk_full: counter("longshore_edge_disk_full_total", "Times that the disk was full below the quota."),
            index_failures: counter("longshore_edge_index_failures_total", "Times that the index could not be written."),
            records_lost: counter("longshore_edge_records_lost_total", "Records not kept, since there were too many."),
        }
    }
}

/// A gauge's value; what is past the largest counts as that.
pub(super) fn gauged(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
