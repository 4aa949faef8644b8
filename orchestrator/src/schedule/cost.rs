//! What a node costs a pod, in ticks of 100 µs: whole numbers, so that sums don't depend on their order.

use longshore_fleet::Class;

/// Ticks in a second.
const TICKS_PER_SECOND: f32 = 10_000.0;
/// More than any sum of what can be chosen: for what can't.
pub(crate) const NEVER: i32 = i32::MAX;
/// The most that one term comes to: 5,000 s.
const MOST: f32 = 50_000_000.0;

/// What things are worth, each in seconds that a pod would wait for its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// A node that is full, against one that is empty; of batch work the other way round.
    pub balance_seconds: f32,
    /// A node whose processor is all taken and whose memory is all free, or the reverse, against one where both are taken alike.
    pub evenness_seconds: f32,
    /// A preference of weight 100.
    pub affinity_seconds: f32,
    /// A taint `PreferNoSchedule` that is not tolerated.
    pub taint_seconds: f32,
    /// Each pod of the same kind in a zone, or in whatever `ScheduleAnyway` spreads over.
    pub spread_seconds: f32,
    /// A pod that failed on the node lately.
    pub failure_seconds: f32,
    /// A node whose uploads take all of its rate, against one that sends nothing.
    pub upload_seconds: f32,
    /// How many images may be on their way to a node for another pod that needs bytes to be placed there.
    pub pulls_per_node: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            balance_seconds: 10.0,
            evenness_seconds: 2.0,
            affinity_seconds: 10.0,
            taint_seconds: 10.0,
            spread_seconds: 1.0,
            failure_seconds: 5.0,
            upload_seconds: 2.0,
            pulls_per_node: 5,
        }
    }
}

/// What a node costs a pod, term by term, in ticks of 100 µs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// How long it would wait for its bytes.
    pub start: i32,
    /// How full the node would be, and how evenly.
    pub balance: i32,
    /// Preferences for nodes, and taints that are not liked.
    pub preference: i32,
    /// What failed there, and what it uploads.
    pub health: i32,
    /// Pods that are near.
    pub neighbours: i32,
}

impl Cost {
    /// The sum.
    pub const fn total(self) -> i32 {
        let own = self.start.saturating_add(self.balance).saturating_add(self.preference);
        own.saturating_add(self.health).saturating_add(self.neighbours)
    }

    /// Ticks as seconds.
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub fn seconds(ticks: i32) -> f32 {
        ticks as f32 / TICKS_PER_SECOND
    }
}

/// Seconds as ticks, within bounds.
#[expect(clippy::inline_always, reason = "it is in the body of the loop over all nodes")]
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "it was brought within bounds")]
pub(crate) fn ticks(seconds: f32) -> i32 {
    (seconds * TICKS_PER_SECOND).clamp(-MOST, MOST) as i32
}

/// A node's columns, as far as a pod's cost follows from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub(crate) missing_kib: u32,
    pub(crate) absent_kib: u32,
    pub(crate) arriving_kib: u32,
    pub(crate) near_pace: f32,
    pub(crate) far_pace: f32,
    pub(crate) cpu_left: i64,
    pub(crate) memory_left: i64,
    pub(crate) cpu_share: f32,
    pub(crate) memory_share: f32,
}

/// How long bytes take: what nobody in the zone has comes from outside, the rest from neighbours, and all of it after what is on its way.
#[expect(clippy::cast_precision_loss, reason = "24 bits of a number of KiB are enough")]
#[expect(clippy::inline_always, reason = "it is in the body of the loop over all nodes")]
#[inline(always)]
pub(crate) fn start(sums: &Sums) -> i32 {
    let near = (sums.arriving_kib as f32 + sums.missing_kib.wrapping_sub(sums.absent_kib) as f32) * sums.near_pace;
    ticks(near + sums.absent_kib as f32 * sums.far_pace)
}

/// How full the node would be.
#[expect(clippy::cast_precision_loss, reason = "24 bits of a share are enough")]
#[expect(clippy::inline_always, reason = "it is in the body of the loop over all nodes")]
#[inline(always)]
pub(crate) fn balance(sums: &Sums, class: Class, weights: &Weights) -> i32 {
    let cpu = 1.0 - sums.cpu_left as f32 * sums.cpu_share;
    let memory = 1.0 - sums.memory_left as f32 * sums.memory_share;
    let full = (cpu + memory) * 0.5;
    let worse = if class == Class::Online { full } else { 1.0 - full };
    ticks(weights.balance_seconds * worse + weights.evenness_seconds * (cpu - memory).abs())
}

/// What a node itself is worth less: for what failed there, and for what it uploads.
pub(crate) fn health(failures: f32, upload_load: f32, weights: &Weights) -> i32 {
    ticks(weights.failure_seconds * failures + weights.upload_seconds * upload_load)
}
