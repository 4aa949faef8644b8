use std::sync::Arc;

use longshore_service::metrics::Metrics;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// What is counted of all upstreams, each by its name.
#[derive(Clone, Debug)]
pub struct UpstreamMetrics {
    requests: IntCounterVec,
    retries: IntCounterVec,
    bytes: IntCounterVec,
    broken: IntCounterVec,
    unvouched: IntCounterVec,
    in_flight: IntGaugeVec,
    paused: IntGaugeVec,
    seconds: HistogramVec,
}

/// What is counted of one.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    all: UpstreamMetrics,
    upstream: Arc<str>,
}

/// One request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(prometheus::IntGauge);

impl UpstreamMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "longshore_edge_upstream_requests_total",
                "Requests sent to an upstream, by what is asked for and what came of it: 2xx, 304, 4xx, 5xx, unreachable, malformed.",
                &["upstream", "route", "outcome"],
            ),
            retries: metrics.counters(
                "longshore_edge_upstream_retries_total",
                "Requests to an upstream that came after another for the same had failed.",
                &["upstream"],
            ),
            bytes: metrics.counters(
                "longshore_edge_upstream_bytes_total",
                "Bytes of bodies that came from an upstream.",
                &["upstream"],
            ),
            broken: metrics.counters(
                "longshore_edge_upstream_broken_total",
                "Answers of an upstream that broke off after their first byte.",
                &["upstream"],
            ),
            unvouched: metrics.counters(
                "longshore_edge_upstream_metainfo_refused_total",
                "Metainfo of an upstream of ours that was not taken, for want of a signature that holds or of its form.",
                &["upstream"],
            ),
            in_flight: metrics.gauges(
                "longshore_edge_upstream_requests_in_flight",
                "Requests to an upstream that are under way, with the bodies that still come.",
                &["upstream"],
            ),
            paused: metrics.gauges(
                "longshore_edge_upstream_paused",
                "1 while an address of an upstream is left alone since it failed too often.",
                &["upstream", "address"],
            ),
            seconds: metrics.latencies(
                "longshore_edge_upstream_seconds",
                "Time until an upstream began to answer.",
                &["upstream"],
            ),
        }
    }

    pub(super) fn of(&self, upstream: Arc<str>) -> Counts {
        Counts { all: self.clone(), upstream }
    }
}

impl Counts {
    pub(super) fn upstream(&self) -> &str {
        &self.upstream
    }

    pub(super) fn answered(&self, route: &str, outcome: &str, seconds: f64) {
        self.all.requests.with_label_values(&[&*self.upstream, route, outcome]).inc();
        self.all.seconds.with_label_values(&[&*self.upstream]).observe(seconds);
    }

    pub(super) fn retried(&self) {
        self.all.retries.with_label_values(&[&*self.upstream]).inc();
    }

    pub(super) fn came(&self, bytes: usize) {
        self.all.bytes.with_label_values(&[&*self.upstream]).inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(super) fn came_bytes(&self) -> u64 {
        self.all.bytes.with_label_values(&[&*self.upstream]).get()
    }

    pub(super) fn broke_off(&self) {
        self.all.broken.with_label_values(&[&*self.upstream]).inc();
    }

    pub(super) fn not_vouched_for(&self) {
        self.all.unvouched.with_label_values(&[&*self.upstream]).inc();
    }

    pub(super) fn paused(&self, address: &str, is_paused: bool) {
        self.all.paused.with_label_values(&[&*self.upstream, address]).set(i64::from(is_paused));
    }

    pub(super) fn begin(&self) -> InFlight {
        let gauge = self.all.in_flight.with_label_values(&[&*self.upstream]);
        gauge.inc();
        InFlight(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
