//! What the control loop goes by.

use crate::schedule::{QueueSettings, Weights};

/// What the control loop goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlSettings {
    /// What things are worth to a placement.
    pub weights: Weights,
    /// Who waits for how long.
    pub queue: QueueSettings,
    /// How often a node says that it is there, in seconds.
    pub heartbeat_seconds: u32,
    /// How long a node may be silent until its pods are replaced, in milliseconds.
    pub lost_after_ms: i64,
    /// How many pods of lost nodes are replaced in a zone, a second.
    pub replaced_per_second: u32,
    /// The part of a zone's nodes, in percent, past which so many losses are slowed to a tenth.
    pub slow_past_percent: u32,
    /// The part of a zone's nodes, in percent, past which it is the network that is lost, and no pod is replaced.
    pub stop_past_percent: u32,
    /// Up to so many lost nodes of a zone are not taken for its network's fault.
    pub losses_trusted: u32,
    /// How many pods are placed before what was decided is written down.
    pub places_at_once: usize,
    /// How many pods are made before what was decided is written down.
    pub makes_at_once: u32,
    /// How many revisions' images stay on nodes, the one that runs among them.
    pub revisions_kept: usize,
    /// How often a workload's status is written, at most, in milliseconds.
    pub status_period_ms: i64,
    /// How many nodes fetch an image at once that no node of their zone has.
    pub fetches_from_outside: usize,
    /// How many nodes fetch an image at once, in all.
    pub fetches_at_once: usize,
    /// How long until a job's pod that failed is made again, in milliseconds; it doubles each time.
    pub first_retry_ms: i64,
    /// How long that is at most, in milliseconds.
    pub longest_retry_ms: i64,
    /// How long a verdict that could not be had is waited for, in milliseconds.
    pub verdict_retry_ms: i64,
    /// How long a failure of a node counts, in milliseconds, until it counts half.
    pub failure_half_life_ms: i64,
    /// How many kinds of pods a cluster remembers, at least.
    pub demands_kept: usize,
    /// How many instructions may wait for a node before its stream is cut.
    pub instructions_waiting: usize,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            queue: QueueSettings::default(),
            heartbeat_seconds: 10,
            lost_after_ms: 30_000,
            replaced_per_second: 100,
            slow_past_percent: 55,
            stop_past_percent: 90,
            losses_trusted: 2,
            places_at_once: 1_000,
            makes_at_once: 1_000,
            revisions_kept: 3,
            status_period_ms: 250,
            fetches_from_outside: 8,
            fetches_at_once: 256,
            first_retry_ms: 10_000,
            longest_retry_ms: 360_000,
            verdict_retry_ms: 30_000,
            failure_half_life_ms: 600_000,
            demands_kept: 4_096,
            instructions_waiting: 4_096,
        }
    }
}
