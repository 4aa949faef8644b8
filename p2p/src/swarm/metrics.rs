use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::{download::Ground, locality::Nearness};

/// What is counted of a node's swarm.
#[derive(Clone, Debug)]
pub(super) struct SwarmMetrics {
    /// Connections to peers.
    pub connections: IntGauge,
    /// Blobs that are being got.
    pub downloads: IntGauge,
    /// Blobs that others may know to be here.
    pub shared: IntGauge,
    /// Peers that could not be reached.
    pub failed_dials: IntCounter,
    /// Peers that were shunned for a time, by why.
    pub banned: IntCounterVec,
    /// Peers that were passed by.
    pub passed_by: IntCounter,
    /// Topics that were not opened to who asked.
    pub refused: IntCounter,
    /// Those that failed.
    pub origin_failures: IntCounter,
    /// Announcements that no tracker answered.
    pub silent_trackers: IntCounter,
    /// What peers were asked about, by what came of it.
    pub inquiries: IntCounterVec,
    /// Bytes of metainfo that were sent to peers.
    pub metainfo_sent: IntCounter,
    turned_away: IntCounterVec,
    origin_requests: IntCounterVec,
    /// Bytes of pieces as they come from peers, before they are whole.
    pub arriving: IntCounter,
    received: IntCounterVec,
    wasted: IntCounter,
    sent: IntCounterVec,
}

impl SwarmMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            connections: metrics.gauge("longshore_swarm_connections", "Connections to peers for pieces."),
            downloads: metrics.gauge("longshore_swarm_downloads", "Blobs that are being got."),
            shared: metrics
                .gauge("longshore_swarm_shared", "What peers who may have it are told is here: blobs of repositories, manifests, and tags."),
            failed_dials: metrics.counter("longshore_swarm_failed_dials_total", "Peers that could not be reached."),
            banned: metrics.counters("longshore_swarm_banned_total", "Peers that were shunned for a time, by why.", &["reason"]),
            passed_by: metrics
                .counter("longshore_swarm_passed_by_total", "Times that a silent or slow peer's pieces were asked of others."),
            refused: metrics
                .counter("longshore_swarm_refused_total", "Topics that a peer opened and may not have, by what it showed."),
            origin_failures: metrics.counter("longshore_swarm_origin_failures_total", "Requests to the origin that failed."),
            silent_trackers: metrics
                .counter("longshore_swarm_silent_trackers_total", "Announcements that a tracker did not answer."),
            inquiries: metrics.counters(
                "longshore_swarm_inquiries_total",
                "Blobs and manifests that peers were asked about: somebody told something, nobody did, or too much was asked.",
                &["outcome"],
            ),
            metainfo_sent: metrics.counter(
                "longshore_swarm_metainfo_sent_bytes_total",
                "Bytes of piece hashes and manifests sent to peers who asked.",
            ),
            turned_away: metrics.counters(
                "longshore_swarm_turned_away_total",
                "Connections, and questions for a blob, of peers that were too many: in all, or of their network or connection.",
                &["what", "crowd"],
            ),
            origin_requests: metrics.counters(
                "longshore_swarm_origin_requests_total",
                "Requests to the origin, by why: the node's lease, a takeover of what nobody fetches, a client that waits, slow peers.",
                &["ground"],
            ),
            arriving: metrics.counter(
                "longshore_swarm_arriving_bytes_total",
                "Bytes of pieces as they come from peers, before they are whole and found right.",
            ),
            received: metrics.counters(
                "longshore_swarm_received_bytes_total",
                "Bytes of right pieces that came, by where from: host, rack, zone, region, elsewhere, or origin.",
                &["from"],
            ),
            wasted: metrics.counter("longshore_swarm_wasted_bytes_total", "Bytes of right pieces that came a second time."),
            sent: metrics.counters(
                "longshore_swarm_sent_bytes_total",
                "Bytes of pieces sent to peers, by how near they are.",
                &["to"],
            ),
        }
    }

    /// Of what peers wanted so much was one too many, by of what there are too many.
    pub(super) fn turned_away(&self, what: &str, crowd: &str, count: u64) {
        self.turned_away.with_label_values(&[what, crowd]).inc_by(count);
    }

    /// So many connections were turned away in all, and so many of them as their network has too many.
    pub(super) fn connections_turned_away(&self, all: u64, of_network: u64) {
        for (crowd, count) in [("all", all.saturating_sub(of_network)), ("network", of_network)] {
            let counter = self.turned_away.with_label_values(&["connection", crowd]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    /// The origin is asked.
    pub(super) fn asks_origin(&self, ground: Ground) {
        self.origin_requests.with_label_values(&[ground.name()]).inc();
    }

    /// A right piece came from a peer, or the origin.
    pub(super) fn came(&self, from: Option<Nearness>, bytes: u64, is_new: bool) {
        if is_new {
            self.received.with_label_values(&[from.map_or("origin", Nearness::name)]).inc_by(bytes);
        } else {
            self.wasted.inc_by(bytes);
        }
    }

    /// A piece was sent.
    pub(super) fn sent(&self, to: Nearness, bytes: u64) {
        self.sent.with_label_values(&[to.name()]).inc_by(bytes);
    }
}
