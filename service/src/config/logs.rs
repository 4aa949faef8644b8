//! `[log]` and `[telemetry]`: what a daemon logs, and where its traces go.

use super::HttpUrl;
use crate::telemetry::{Filter, Format, Settings};

/// What is logged to stderr, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// For people or for programs.
    pub format: Format,
    /// Which events: a level, or `target=level`, separated by commas.
    pub filter: Filter,
}

crate::settings!(Log { format, filter });

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// The base URL of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`; empty for none.
    pub otlp_endpoint: Option<HttpUrl>,
    /// The name under which the collector knows this service.
    pub service_name: String,
}

crate::settings!(Telemetry { otlp_endpoint, service_name });

impl Log {
    /// The settings of logs, and of the traces that go where `telemetry` says.
    pub fn to_settings(&self, telemetry: &Telemetry) -> Settings {
        Settings {
            format: self.format,
            filter: self.filter.clone(),
            otlp_endpoint: telemetry.otlp_endpoint.clone(),
            service_name: telemetry.service_name.clone(),
        }
    }
}

impl Telemetry {
    /// Nowhere; a service of this name.
    pub fn of(service_name: &str) -> Self {
        Self { otlp_endpoint: None, service_name: service_name.to_owned() }
    }
}
