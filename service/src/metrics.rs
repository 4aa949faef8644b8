//! Counts and times of this process, as Prometheus reads them.
//!
//! A [`Metrics`] is handed to each part, which registers its own and keeps the handles. Names are constants of the
//! program, so a name registered twice is a mistake of the program and panics at start.

mod http_requests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use http_requests::{ConnectionMetrics, HttpMetrics};

/// Upper bounds, in seconds, that suit a request or a storage call: from half a millisecond to half a minute.
pub const LATENCY_BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The `Content-Type` of [`Metrics::render`] (Prometheus text exposition format 0.0.4).
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type Refresh = Box<dyn Fn() + Send + Sync>;

/// The metrics of one process; clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Registry,
    refreshes: Arc<Mutex<Vec<Refresh>>>,
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the metrics are registered, for parts that bring their own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A counter without labels.
    pub fn counter(&self, name: &'static str, help: &'static str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    /// A counter for each combination of values of these labels, of which there must be few.
    pub fn counters(&self, name: &'static str, help: &'static str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A gauge without labels.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    /// A gauge for each combination of values of these labels, of which there must be few.
    pub fn gauges(&self, name: &'static str, help: &'static str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A histogram of seconds over [`LATENCY_BUCKETS`].
    pub fn latency(&self, name: &'static str, help: &'static str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        self.register(Histogram::with_opts(options))
    }

    /// A histogram of seconds over [`LATENCY_BUCKETS`] for each combination of values of these labels.
    pub fn latencies(&self, name: &'static str, help: &'static str, labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        self.register(HistogramVec::new(options, labels))
    }

    /// Calls `refresh` before each rendering, to set gauges that are cheaper to read than to keep. It must not block.
    pub fn refresh_before_render(&self, refresh: impl Fn() + Send + Sync + 'static) {
        self.refreshes.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(refresh));
    }

    /// Every metric in the Prometheus text format.
    pub fn render(&self) -> String {
        for refresh in self.refreshes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            refresh();
        }
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be rendered");
            String::new()
        })
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names and labels are constants in the form that Prometheus demands");
        self.registry.register(Box::new(metric.clone())).expect("each name is registered once");
        metric
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
