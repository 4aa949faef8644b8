use std::time::Instant;

use jiff::Timestamp;
use longshore_client::{EdgeDisk, EdgePause, EdgeStatus, EdgeUpstream};
use prometheus::IntCounterVec;

use super::{lease, pins};
use crate::{
    edge::Edge,
    supply::Supplier,
    upstream::{LeftAlone, Upstream},
};

/// What the edge says of itself.
pub fn status(edge: &Edge) -> EdgeStatus {
    let usage = edge.store.usage();
    let (pins, now) = (pins::told(&edge.store, edge.store.pins()), Timestamp::now());
    EdgeStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: edge.started_at,
        upstreams: edge.upstreams.iter().map(|upstream| told(edge, upstream, now)).collect(),
        pieces_in_flight: u64::try_from(edge.counts.pieces_in_flight.get()).unwrap_or_default(),
        disk: EdgeDisk {
            used_bytes: usage.disk_bytes,
            quota_bytes: usage.quota_bytes,
            reserved_bytes: usage.reserved_bytes,
            pinned_bytes: usage.pinned_bytes,
            blobs: usage.entries as u64,
        },
        pins: lease::owners(&pins, now),
    }
}

fn told(edge: &Edge, upstream: &Upstream, now: Timestamp) -> EdgeUpstream {
    let name = upstream.name();
    let of = |counters: &IntCounterVec| counters.with_label_values(&[name]).get();
    let supplied = |from: Supplier| edge.counts.supplied_bytes.with_label_values(&[name, from.name()]).get();
    EdgeUpstream {
        name: name.to_owned(),
        url: upstream.settings().url.to_string(),
        is_default: upstream.settings().is_default,
        hosts: upstream.settings().hosts.clone(),
        path_prefix: upstream.settings().path_prefix.clone(),
        served_bytes: of(&edge.counts.served_bytes),
        hit_bytes: of(&edge.counts.hit_bytes),
        fetched_bytes: of(&edge.counts.fetched_bytes),
        edge_bytes: supplied(Supplier::Edge),
        neighbour_bytes: supplied(Supplier::Neighbours),
        fetches: of(&edge.counts.fetches),
        wrong: of(&edge.counts.wrong),
        pauses: upstream.left_alone(Instant::now()).into_iter().map(|left| pause(left, now)).collect(),
    }
}

fn pause(left: LeftAlone, now: Timestamp) -> EdgePause {
    let until = if left.wait.is_zero() { None } else { now.checked_add(left.wait).ok() };
    EdgePause { address: left.address.to_string(), reason: left.reason, until }
}
