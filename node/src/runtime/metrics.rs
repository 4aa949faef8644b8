use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntGauge};

/// What is counted of containerd.
#[derive(Debug)]
pub struct RuntimeMetrics {
    /// Whether it answered when it was last asked.
    pub up: IntGauge,
    /// What its store holds.
    pub content: IntGauge,
    /// Bytes that were read from its store.
    pub read_bytes: IntCounter,
    /// Blobs that it holds wrong.
    pub wrong: IntCounter,
    /// Blobs that are pinned for running containers.
    pub pinned: IntGauge,
    /// Blobs that left the cache as it holds them.
    pub dropped: IntCounter,
}

impl RuntimeMetrics {
    /// Those of a node.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            up: metrics.gauge("longshore_runtime_up", "Whether containerd answered when it was last asked."),
            content: metrics.gauge("longshore_runtime_content", "Blobs and manifests that containerd's store holds."),
            read_bytes: metrics.counter(
                "longshore_runtime_read_bytes_total",
                "Bytes of blobs that were read from containerd's store, for neighbours and clients.",
            ),
            wrong: metrics.counter(
                "longshore_runtime_wrong_total",
                "Blobs of which containerd's store was found to hold other bytes; nothing of them was sent.",
            ),
            pinned: metrics.gauge(
                "longshore_runtime_pinned",
                "Blobs and manifests that are pinned as images of running containers, each once an image.",
            ),
            dropped: metrics.counter(
                "longshore_runtime_copies_dropped_total",
                "Blobs that left the cache by `containerd.drop_copies`, as containerd's store holds them.",
            ),
        }
    }
}
