//! Requests by route, method and status, counted without a look-up by label.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::Metrics;

/// Label values of methods; any other method counts as the last, so that a client cannot make labels.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// Statuses from 100 to 599, and one more for any other.
const STATUSES: usize = 501;

/// The counters of one route and method, one a status, each made when it is first needed.
type Statuses = Box<[OnceLock<IntCounter>]>;

/// The HTTP metrics of a daemon.
///
/// `longshore_http_requests_total{route,method,status}`, `longshore_http_request_duration_seconds{route}`,
/// `longshore_http_received_bytes_total`, `longshore_http_sent_bytes_total`, `longshore_http_connections_open` and
/// `longshore_http_connections_cut_total`.
#[derive(Debug)]
pub struct HttpMetrics {
    routes: &'static [&'static str],
    family: IntCounterVec,
    /// By route and method: `route * METHODS.len() + method`.
    counters: Vec<OnceLock<Statuses>>,
    durations: Vec<Histogram>,
    /// Bytes of request bodies read.
    pub received_bytes: IntCounter,
    /// Bytes of response bodies sent.
    pub sent_bytes: IntCounter,
    /// Connections of clients.
    pub connections: ConnectionMetrics,
}

/// What is counted of connections. Clones count together.
#[derive(Clone, Debug)]
pub struct ConnectionMetrics {
    /// Those open now.
    pub open: IntGauge,
    /// Those that were cut, as their clients kept them waiting for longer than a limit.
    pub cut: IntCounter,
}

impl HttpMetrics {
    /// Registers the metrics for these routes, whose positions name them in [`HttpMetrics::observe`].
    ///
    /// # Panics
    ///
    /// When called twice for one `metrics`, or without a route; both are mistakes of the program.
    pub fn new(metrics: &Metrics, routes: &'static [&'static str]) -> Self {
        assert!(!routes.is_empty(), "a daemon that serves HTTP has routes");
        let family = metrics.counters(
            "longshore_http_requests_total",
            "Requests answered, by route, method and status.",
            &["route", "method", "status"],
        );
        let durations = metrics.latencies(
            "longshore_http_request_duration_seconds",
            "Time from a request's head to its answer's head, by route.",
            &["route"],
        );
        Self {
            routes,
            family,
            counters: (0..routes.len() * METHODS.len()).map(|_| OnceLock::new()).collect(),
            durations: routes.iter().map(|route| durations.with_label_values(&[route])).collect(),
            received_bytes: metrics.counter("longshore_http_received_bytes_total", "Bytes of request bodies read."),
            sent_bytes: metrics.counter("longshore_http_sent_bytes_total", "Bytes of response bodies sent."),
            connections: ConnectionMetrics {
                open: metrics.gauge("longshore_http_connections_open", "Connections open now."),
                cut: metrics.counter(
                    "longshore_http_connections_cut_total",
                    "Connections cut for a request that came too slowly, or an answer that was not taken.",
                ),
            },
        }
    }

    /// Counts one answered request, by its route's position; a position past the last counts as the last.
    ///
    /// Costs three atomic additions and no allocation, but for the first of each route, method and status.
    pub fn observe(&self, route: usize, method: &Method, status: StatusCode, elapsed: Duration) {
        let route = route.min(self.routes.len() - 1);
        self.counter(route, method_position(method), status).inc();
        self.durations[route].observe(elapsed.as_secs_f64());
    }

    fn counter(&self, route: usize, method: usize, status: StatusCode) -> &IntCounter {
        let statuses =
            self.counters[route * METHODS.len() + method].get_or_init(|| (0..STATUSES).map(|_| OnceLock::new()).collect());
        let known = usize::from(status.as_u16()).checked_sub(100).filter(|position| *position < STATUSES - 1);
        statuses[known.unwrap_or(STATUSES - 1)].get_or_init(|| {
            let status = known.map_or("other", |_| status.as_str());
            self.family.with_label_values(&[self.routes[route], METHODS[method], status])
        })
    }
}

fn method_position(method: &Method) -> usize {
    METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_route_method_and_status_with_bounded_labels() {
        let metrics = Metrics::new();
        let http = HttpMetrics::new(&metrics, &["base", "blob"]);
        let brew = Method::from_bytes(b"BREW").expect("a method");
        for _ in 0..3 {
            http.observe(1, &Method::GET, StatusCode::OK, Duration::from_millis(2));
        }
        http.observe(0, &brew, StatusCode::IM_A_TEAPOT, Duration::ZERO);
        http.observe(9, &Method::GET, StatusCode::from_u16(999).expect("a status"), Duration::ZERO);
        let text = metrics.render();
        for line in [
            r#"longshore_http_requests_total{method="GET",route="blob",status="200"} 3"#,
            r#"longshore_http_requests_total{method="other",route="base",status="418"} 1"#,
            r#"longshore_http_requests_total{method="GET",route="blob",status="other"} 1"#,
            r#"longshore_http_request_duration_seconds_count{route="blob"} 4"#,
            r#"longshore_http_request_duration_seconds_bucket{route="blob",le="0.001"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn gauges_are_refreshed_before_they_are_rendered() {
        let metrics = Metrics::new();
        let open = metrics.gauge("longshore_open", "Open.");
        metrics.refresh_before_render(move || open.set(7));
        assert!(metrics.render().contains("longshore_open 7"));
    }
}
