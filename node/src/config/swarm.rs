//! `[swarm]`: whom the node shares with, where it is, and how much it gives and takes.

use std::{net::SocketAddr, num::NonZeroU64, str::FromStr};

use longshore_p2p::{
    control::{ControlAddress, ControlSettings},
    locality::{Locality, MOST_NAME_BYTES},
    plane::FleetKey,
    record::MOST_ADDRESSES,
    swarm::SwarmSettings,
    upload::limits::{LimitSettings, Rate},
};
use longshore_service::config::{ByteSize, Problems, Secret};

/// How much of a rate may go at once after a rest: what goes in so many parts of a second, but a few pieces in any case.
const BURST_PARTS: u64 = 4;
const LEAST_BURST: u64 = 4 << 20;
/// The most connections that may be set.
const MOST_CONNECTIONS: usize = 4096;
/// The least memory for pieces on their way: that of a few.
const LEAST_IN_FLIGHT: u64 = 4 << 20;

/// Whom the node shares with, where it is, and how much it gives and takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Swarm {
    /// Whether it shares at all. Without that the node is a cache by itself.
    pub enabled: bool,
    /// Where peers connect for pieces; port 0 takes a free one. Each connection is encrypted and proves who is at its other end. For other
    /// machines it must be an address that they reach, as `0.0.0.0:5202`.
    pub listen: SocketAddr,
    /// Where peers and trackers find each other; port 0 takes a free one.
    pub control_listen: SocketAddr,
    /// Where others are told that it is reached for pieces, where that is not where it listens; with port 0 it is the port there.
    pub advertise: Vec<String>,
    /// The trackers to announce to, as `registry.example.org:5003`. All nodes of a fleet name the same ones.
    pub trackers: Vec<String>,
    /// Whether the registries and edges that it pulls from are asked where their trackers are, where none are named.
    pub upstream_trackers: bool,
    /// Other nodes to begin with, each where its mirror listens, as `10.0.0.7:5200`.
    pub join: Vec<String>,
    /// Whether to find, and be found by, neighbours on the same network by mDNS.
    pub mdns: bool,
    /// The key of a closed fleet, 32 bytes or more: those who have it have to do with each other alone. Empty for an open one.
    pub fleet_key: Secret,
    /// The region, as of a cloud.
    pub region: String,
    /// The zone in it, in which bytes are cheap.
    pub zone: String,
    /// The rack in the zone.
    pub rack: String,
    /// The machine; those on one share first.
    pub host: String,
    /// How many peers it is connected to at most.
    pub max_connections: usize,
    /// How many of those that peers made come from one network: an IPv4 address, or a /64 of IPv6.
    pub max_connections_per_network: usize,
    /// How many questions of one such network for blobs are being answered at once.
    pub max_questions_per_network: usize,
    /// How much is on its way at once at most.
    pub in_flight: ByteSize,
    /// What it sends to peers in a second at most; 0 for no limit.
    pub up_rate: ByteSize,
    /// What it takes from peers and registries in a second at most; 0 for no limit.
    pub down_rate: ByteSize,
    /// What of that comes from registries and edges; 0 for no limit.
    pub origin_rate: ByteSize,
    /// What it sends to other zones in a second at most; 0 for no limit.
    pub border_up_rate: ByteSize,
    /// What it takes from other zones in a second at most; 0 for no limit.
    pub border_down_rate: ByteSize,
}

longshore_service::settings!(Swarm {
    enabled,
    listen,
    control_listen,
    advertise,
    trackers,
    upstream_trackers,
    join,
    mdns,
    fleet_key,
    region,
    zone,
    rack,
    host,
    max_connections,
    max_connections_per_network,
    max_questions_per_network,
    in_flight,
    up_rate,
    down_rate,
    origin_rate,
    border_up_rate,
    border_down_rate,
});

impl Default for Swarm {
    fn default() -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            enabled: true,
            listen: free,
            control_listen: free,
            advertise: Vec::new(),
            trackers: Vec::new(),
            upstream_trackers: true,
            join: Vec::new(),
            mdns: false,
            fleet_key: Secret::default(),
            region: String::new(),
            zone: String::new(),
            rack: String::new(),
            host: String::new(),
            max_connections: 256,
            max_connections_per_network: 32,
            max_questions_per_network: 64,
            in_flight: ByteSize::mebibytes(64),
            up_rate: ByteSize::bytes(0),
            down_rate: ByteSize::bytes(0),
            origin_rate: ByteSize::bytes(0),
            border_up_rate: ByteSize::bytes(0),
            border_down_rate: ByteSize::bytes(0),
        }
    }
}

impl Swarm {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let mut check = |key: &str, texts: &[String], is_right: &dyn Fn(&str) -> bool, expected: &str| {
            for text in texts.iter().filter(|text| !is_right(text)) {
                problems.add(&[&format!("swarm.{key}")], format!("{text:?} is not {expected}"));
            }
        };
        check("advertise", &self.advertise, &|text| SocketAddr::from_str(text).is_ok(), "an IP address and a port");
        check("trackers", &self.trackers, &|text| ControlAddress::from_str(text).is_ok(), "a host and a port");
        check("join", &self.join, &|text| is_host_and_port(text), "a host and a port");
        if self.advertise.len() > MOST_ADDRESSES {
            problems.add(&["swarm.advertise"], format!("there may be {MOST_ADDRESSES} of these"));
        }
        for (key, name) in [("region", &self.region), ("zone", &self.zone), ("rack", &self.rack), ("host", &self.host)] {
            if name.len() > MOST_NAME_BYTES {
                problems.add(&[&format!("swarm.{key}")], format!("must have {MOST_NAME_BYTES} bytes or fewer"));
            }
            // Others compare it with theirs, and show it.
            if name.chars().any(char::is_control) || name.trim() != name.as_str() {
                let fault =
                    "must begin and end with something else than a space, and have no line breaks or other control characters";
                problems.add(&[&format!("swarm.{key}")], format!("{name:?}: {fault}"));
            }
        }
        for (key, count) in [
            ("max_connections", self.max_connections),
            ("max_connections_per_network", self.max_connections_per_network),
            ("max_questions_per_network", self.max_questions_per_network),
        ] {
            if !(1..=MOST_CONNECTIONS).contains(&count) {
                problems.add(&[&format!("swarm.{key}")], format!("must be from 1 to {MOST_CONNECTIONS}"));
            }
        }
        if self.in_flight.as_bytes() < LEAST_IN_FLIGHT {
            problems.add(&["swarm.in_flight"], format!("must be {} or more", ByteSize::bytes(LEAST_IN_FLIGHT)));
        }
        if let Err(error) = self.fleet_key() {
            problems.add(&["swarm.fleet_key"], error);
        }
    }

    /// The fleet's key, where there is one.
    pub(crate) fn fleet_key(&self) -> Result<Option<FleetKey>, String> {
        let text = self.fleet_key.reveal();
        if text.is_empty() {
            return Ok(None);
        }
        FleetKey::new(text).map(Some).map_err(|error| error.to_string())
    }

    /// As the swarm keeps to it. What can't be read is left out; a configuration that was checked has none such.
    pub(crate) fn to_settings(&self) -> SwarmSettings {
        let limits = LimitSettings {
            up: rate(self.up_rate),
            down: rate(self.down_rate),
            origin: rate(self.origin_rate),
            border_up: rate(self.border_up_rate),
            border_down: rate(self.border_down_rate),
        };
        let mut settings = SwarmSettings::new(self.listen);
        settings.advertise = self.advertise.iter().filter_map(|text| text.parse().ok()).collect();
        settings.locality =
            Locality { region: self.region.clone(), zone: self.zone.clone(), rack: self.rack.clone(), host: self.host.clone() };
        settings.trackers = self.trackers.iter().filter_map(|text| text.parse().ok()).collect();
        settings.in_flight = u32::try_from(self.in_flight.as_bytes() >> 20).unwrap_or(u32::MAX);
        settings.control = ControlSettings { listen: vec![self.control_listen], mdns: self.mdns, ..settings.control };
        settings.acquaintance.connections = self.max_connections;
        settings.plane.most_accepted = self.max_connections;
        settings.plane.most_dialed = self.max_connections;
        settings.plane.most_accepted_per_ip = self.max_connections_per_network;
        settings.most_judged_per_ip = self.max_questions_per_network;
        settings.upload.limits = limits;
        settings
    }
}

/// A rate, unless it is 0.
fn rate(bytes: ByteSize) -> Option<Rate> {
    let bytes_per_s = NonZeroU64::new(bytes.as_bytes())?;
    Some(Rate { bytes_per_s, burst_bytes: (bytes_per_s.get() / BURST_PARTS).max(LEAST_BURST) })
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        let settings = Swarm::default().to_settings();
        assert_eq!(settings.upload.limits, LimitSettings::default());
        let limited = Swarm { up_rate: ByteSize::mebibytes(100), ..Swarm::default() }.to_settings();
        let up = limited.upload.limits.up.unwrap();
        assert_eq!((up.bytes_per_s.get(), up.burst_bytes), (100 << 20, 25 << 20));
    }

    #[test]
    fn what_is_set_is_kept_to() {
        let swarm =
            Swarm { zone: "a".into(), trackers: vec!["registry.test:5003".into()], max_connections: 9, ..Swarm::default() };
        let settings = swarm.to_settings();
        assert_eq!(settings.locality.zone, "a");
        assert_eq!(settings.trackers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["registry.test:5003"]);
        assert_eq!((settings.acquaintance.connections, settings.plane.most_accepted, settings.in_flight), (9, 9, 64));
        let shares = Swarm { max_connections_per_network: 5, max_questions_per_network: 6, ..Swarm::default() }.to_settings();
        assert_eq!((shares.plane.most_accepted_per_ip, shares.most_judged_per_ip), (5, 6));
    }
}
