//! Logs on stderr, and traces to an OTLP collector when there is one.
//!
//! The filter applies to both. Traces go in batches over HTTP with protobuf bodies; a collector that is away costs
//! dropped spans, never a request.

mod filter;
mod otlp;

use std::io::IsTerminal as _;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::HttpUrl;

pub use filter::Filter;

crate::choice! {
    /// How a log line looks.
    #[derive(Default)]
    pub enum Format {
        /// For people, coloured on a terminal.
        #[default]
        Pretty = "pretty",
        /// One JSON object a line, with the fields of the spans it is in.
        Json = "json",
    }
}

/// What to log, and where traces go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// How a log line looks.
    pub format: Format,
    /// Which events and spans count.
    pub filter: Filter,
    /// The collector's base URL, such as `http://127.0.0.1:4318`, to which `/v1/traces` is added.
    pub otlp_endpoint: Option<HttpUrl>,
    /// The name under which the collector knows this service.
    pub service_name: String,
}

/// Logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The process already has a subscriber.
    #[error("logging is already set up")]
    AlreadyStarted(#[source] tracing_subscriber::util::TryInitError),
    /// The client for the collector cannot be made.
    #[error("cannot set up the export of traces")]
    Client(#[source] reqwest::Error),
    /// The exporter does not take its settings.
    #[error("cannot set up the export of traces")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// Logs and traces of this process. [`Telemetry::shutdown`] sends what is still held.
#[derive(Debug)]
#[must_use = "spans still held at the end are lost unless it is shut down"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sets up logs and traces for the whole process; once. Within a Tokio runtime, which carries the export.
    pub fn start(settings: &Settings) -> Result<Self, TelemetryError> {
        let traces = match &settings.otlp_endpoint {
            Some(endpoint) => Some(otlp::provider(endpoint, &settings.service_name)?),
            None => None,
        };
        let to_collector = traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("longshore")));
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        let lines = match settings.format {
            Format::Pretty => lines.boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry()
            .with(settings.filter.build())
            .with(lines)
            .with(to_collector)
            .try_init()
            .map_err(TelemetryError::AlreadyStarted)?;
        Ok(Self { traces })
    }

    /// Whether traces are exported; where not, [`join_trace`] is wasted work.
    pub fn exports_traces(&self) -> bool {
        self.traces.is_some()
    }

    /// Sends the spans still held, waiting at most 5 s for the collector.
    pub async fn shutdown(self) {
        let Some(traces) = self.traces else {
            return;
        };
        // The flush blocks its thread while the export runs on this runtime, so it must not hold one of its workers.
        match tokio::task::spawn_blocking(move || traces.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces may not have reached the collector"),
            Err(error) => tracing::warn!(%error, "the last traces were not sent"),
        }
    }
}

/// Makes `span` a child of the caller's span, where its headers name one (W3C Trace Context, `traceparent`).
pub fn join_trace(span: &tracing::Span, headers: &http::HeaderMap) {
    if headers.contains_key("traceparent") {
        let caller = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        // A span that the filter leaves out has no place in a trace, and that is no error.
        let _ = span.set_parent(caller);
    }
}
