//! The registry behind every cache of a case, which counts what it is asked for and what it sends.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::content::Content;
use crate::candidate::Candidate;
use crate::candidate::configuration::make;
use crate::candidate::process::free_address;
use crate::error::BenchError;
use crate::load::connection::Connection;
use crate::load::read_back::read_back;

/// How it goes in the report.
pub const UPSTREAM: &str = "upstream";

/// What caches ask for comes to rest once nothing was sent for this long. What ours writes together it syncs within this time too.
const REST: Duration = Duration::from_millis(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 100;
const METRICS_LIMIT: Duration = Duration::from_secs(10);

/// What a registry has answered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of blobs and manifests sent.
    pub sent_bytes: u64,
    /// GETs of blobs and manifests.
    pub gets: u64,
    /// Everything else but the stream of events.
    pub other_requests: u64,
}

/// A running registry of ours over a folder.
#[derive(Debug)]
pub struct Upstream {
    candidate: Candidate,
    admin: SocketAddr,
}

impl Upstream {
    /// Starts one with its data in `folder`.
    pub async fn start(longshore: &Path, folder: &Path) -> Result<Self, BenchError> {
        let folder = folder.join(UPSTREAM);
        make(&folder)?;
        let (address, mut admin) = (free_address()?, free_address()?);
        while admin == address {
            admin = free_address()?;
        }
        let mut command = Command::new(longshore);
        command.args(["up", "--listen"]).arg(address.to_string()).arg("--admin-listen").arg(admin.to_string());
        command.arg("--data").arg(folder.join("data"));
        Ok(Self { candidate: Candidate::spawn(UPSTREAM, command, &folder, address).await?, admin })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.candidate.address
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.candidate.pid
    }

    /// Takes content, and shows that it has it, which leaves it in the page cache.
    pub async fn take(&self, content: &Content) -> Result<(), BenchError> {
        let mut connection = Connection::open(self.address()).await?;
        content.push(&mut connection, &self.candidate.host()).await?;
        read_back(UPSTREAM, self.address(), content.paths()).await
    }

    /// What it has answered so far, by its own metrics.
    pub fn traffic(&self) -> Result<Traffic, BenchError> {
        let ask = || {
            let mut stream = TcpStream::connect(self.admin)?;
            stream.set_read_timeout(Some(METRICS_LIMIT))?;
            stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.admin).as_bytes())?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        ask().map(|text| Traffic::of(&text)).map_err(BenchError::io("ask the upstream for its metrics"))
    }

    /// The same, once it has come to rest.
    pub async fn traffic_at_rest(&self) -> Result<Traffic, BenchError> {
        let (mut seen, mut rested) = (self.traffic()?, Duration::ZERO);
        for _ in 0..LOOKS_MAX {
            if rested >= REST {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.traffic()?;
            rested = if now == seen { rested + LOOK_EVERY } else { Duration::ZERO };
            seen = now;
        }
        Ok(seen)
    }
}

impl Traffic {
    /// Reads the registry's metrics (Prometheus' text format).
    fn of(text: &str) -> Self {
        let mut traffic = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let value = value.parse().unwrap_or_default();
            if name == "longshore_http_sent_bytes_total" {
                traffic.sent_bytes = value;
            } else if let Some(labels) = name.strip_prefix("longshore_http_requests_total") {
                let is_of = |route: &str| labels.contains(&format!("route=\"{route}\""));
                if labels.contains("method=\"GET\"") && (is_of("blob") || is_of("manifest")) {
                    traffic.gets += value;
                } else if !is_of("events") {
                    traffic.other_requests += value;
                }
            }
        }
        traffic
    }

    /// What came since then.
    #[must_use]
    pub fn since(&self, then: &Self) -> Self {
        Self {
            sent_bytes: self.sent_bytes.saturating_sub(then.sent_bytes),
            gets: self.gets.saturating_sub(then.gets),
            other_requests: self.other_requests.saturating_sub(then.other_requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic;

    #[test]
    fn traffic_is_read_from_metrics() {
        let text = "# TYPE longshore_http_requests_total counter\n\
                    longshore_http_requests_total{method=\"GET\",route=\"blob\",status=\"206\"} 3\n\
                    longshore_http_requests_total{method=\"GET\",route=\"manifest\",status=\"200\"} 1\n\
                    longshore_http_requests_total{method=\"HEAD\",route=\"blob\",status=\"200\"} 2\n\
                    longshore_http_requests_total{method=\"GET\",route=\"events\",status=\"200\"} 9\n\
                    longshore_http_sent_bytes_total 4096\n";
        let traffic = Traffic::of(text);
        assert_eq!(traffic, Traffic { sent_bytes: 4096, gets: 4, other_requests: 2 });
        assert_eq!(traffic.since(&traffic), Traffic::default());
    }
}
