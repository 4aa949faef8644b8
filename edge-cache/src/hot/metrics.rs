use longshore_service::metrics::Metrics;
use prometheus::IntGauge;

/// What is told of memory for pieces, in bytes.
#[derive(Clone, Debug)]
pub struct MemoryMetrics {
    pub(super) hot: IntGauge,
    pub(super) held: IntGauge,
    pub(super) budget: IntGauge,
}

impl MemoryMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            hot: metrics.gauge(
                "longshore_edge_memory_hot_bytes",
                "Bytes of pieces that are kept in memory, as they are asked for often.",
            ),
            held: metrics.gauge(
                "longshore_edge_memory_held_bytes",
                "Bytes of the memory for pieces that are held: what is kept, and what is on its way or being read.",
            ),
            budget: metrics
                .gauge("longshore_edge_memory_budget_bytes", "Bytes of the memory for pieces that may be held at once."),
        }
    }
}
