//! `[log]` and `[telemetry]`: what is logged, and where traces go.

use longshore_service::config::HttpUrl;
use longshore_service::telemetry::{Filter, Format, Settings};

/// What is logged to stderr, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// For people or for programs.
    pub format: Format,
    /// Which events: a level, or `target=level`, separated by commas.
    pub filter: Filter,
}

longshore_service::settings!(Log { format, filter });

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// The base URL of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`; empty for none.
    pub otlp_endpoint: Option<HttpUrl>,
    /// The name under which the collector knows this service.
    pub service_name: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, service_name: "longshore-edge".to_owned() }
    }
}

longshore_service::settings!(Telemetry { otlp_endpoint, service_name });

impl super::Config {
    /// The settings of logs and traces.
    pub fn telemetry_settings(&self) -> Settings {
        Settings {
            format: self.log.format,
            filter: self.log.filter.clone(),
            otlp_endpoint: self.telemetry.otlp_endpoint.clone(),
            service_name: self.telemetry.service_name.clone(),
        }
    }
}
