//! `[leader]`: who leads, and how nodes are watched.

use std::path::PathBuf;

use longshore_service::config::{Duration, Problems};

/// Who leads, and how nodes are watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Leader {
    /// How long a replica leads without renewing its lease: so long nobody leads after one that was killed.
    pub lease: Duration,
    /// How often a node says that it is there.
    pub heartbeat: Duration,
    /// How long a node may be silent before its pods are replaced.
    pub node_lost_after: Duration,
    /// How many pods of lost nodes are replaced in a zone, a second.
    pub replaced_per_second: u32,
    /// The part of a zone's nodes, in percent, past which so many losses are slowed to a tenth.
    pub slow_past_percent: u32,
    /// The part of a zone's nodes, in percent, past which it is the network that is lost, and no pod is replaced.
    pub stop_past_percent: u32,
    /// How many nodes fetch an image at once that no node of their zone has.
    pub fetches_from_outside: usize,
    /// How many nodes fetch an image at once, in all.
    pub fetches_at_once: usize,
    /// Certificate authorities, PEM, by which other replicas are known, beside the machine's.
    pub ca_file: Option<PathBuf>,
    /// How long the leader may take to begin its answer to what is passed on to it: it may have to ask the registry, or a node.
    pub timeout: Duration,
}

impl Default for Leader {
    fn default() -> Self {
        Self {
            lease: Duration::seconds(5),
            heartbeat: Duration::seconds(10),
            node_lost_after: Duration::seconds(30),
            replaced_per_second: 100,
            slow_past_percent: 55,
            stop_past_percent: 90,
            fetches_from_outside: 8,
            fetches_at_once: 256,
            ca_file: None,
            timeout: Duration::seconds(30),
        }
    }
}

longshore_service::settings!(Leader {
    lease,
    heartbeat,
    node_lost_after,
    replaced_per_second,
    slow_past_percent,
    stop_past_percent,
    fetches_from_outside,
    fetches_at_once,
    ca_file,
    timeout
});

impl Leader {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("leader.timeout", self.timeout);
        if !(Duration::seconds(1)..=Duration::seconds(60)).contains(&self.lease) {
            problems.add(&["leader.lease"], "must be from 1s to 1m");
        }
        if !(Duration::seconds(1)..=Duration::seconds(300)).contains(&self.heartbeat) {
            problems.add(&["leader.heartbeat"], "must be from 1s to 5m");
        }
        if self.node_lost_after.as_milliseconds() < 2 * self.heartbeat.as_milliseconds() {
            problems.add(
                &["leader.node_lost_after", "leader.heartbeat"],
                "must be two heartbeats or more, so that one that is late loses no node",
            );
        }
        if self.node_lost_after > Duration::seconds(24 * 3_600) {
            problems.add(&["leader.node_lost_after"], "must be 24h or less");
        }
        if self.replaced_per_second == 0 {
            problems.add(&["leader.replaced_per_second"], "must be at least 1");
        }
        if self.slow_past_percent > self.stop_past_percent || self.stop_past_percent > 100 {
            problems.add(
                &["leader.slow_past_percent", "leader.stop_past_percent"],
                "must be from 0 to 100, the one to slow at no greater than the one to stop at",
            );
        }
        for (key, value) in
            [("leader.fetches_from_outside", self.fetches_from_outside), ("leader.fetches_at_once", self.fetches_at_once)]
        {
            if !(1..=1_000_000).contains(&value) {
                problems.add(&[key], "must be from 1 to 1000000");
            }
        }
    }
}
