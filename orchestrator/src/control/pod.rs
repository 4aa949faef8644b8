//! A pod as the leader knows it.

use longshore_fleet::Phase;

use crate::{
    rollout::Stage,
    schedule::{Cost, Millis},
    state::PodRow,
};

/// A pod.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) row: PodRow,
    /// What its node cost it, where this leader placed it.
    pub(crate) cost: Option<Cost>,
    /// Whether it was said that it fits nowhere.
    pub(crate) is_known_unplaceable: bool,
}

impl Pod {
    pub(crate) const fn new(row: PodRow) -> Self {
        Self { row, cost: None, is_known_unplaceable: false }
    }

    /// Whether it is to end.
    pub(crate) const fn is_ending(&self) -> bool {
        self.row.end_within_seconds.is_some()
    }

    /// Whether it takes room on its node.
    pub(crate) const fn takes_room(&self) -> bool {
        self.row.node.is_some() && (!self.row.state.phase.has_ended())
    }

    /// Whether it waits for a node.
    pub(crate) const fn is_unplaced(&self) -> bool {
        self.row.node.is_none() && !self.is_ending() && !self.row.state.phase.has_ended()
    }

    /// When it counts as available, where it is ready.
    pub(crate) fn available_at(&self, min_ready_seconds: u32) -> Option<Millis> {
        let since = self.row.state.ready_since.filter(|_| self.row.state.ready)?;
        Some(since.as_millisecond().saturating_add(i64::from(min_ready_seconds) * 1_000))
    }

    /// How far it has come.
    pub(crate) fn stage(&self, min_ready_seconds: u32, now: Millis) -> Stage {
        if self.is_ending() || self.row.state.phase.has_ended() || self.row.state.phase == Phase::Ending {
            return Stage::Ending;
        }
        if self.row.node.is_none() {
            return Stage::Unplaced;
        }
        match self.available_at(min_ready_seconds) {
            _ if !self.row.state.ready => Stage::Unready,
            Some(at) if at > now => Stage::Ready,
            // Where its node does not say since when, it counts from when it is heard of.
            _ => Stage::Available,
        }
    }
}
