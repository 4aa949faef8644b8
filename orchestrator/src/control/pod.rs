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
    /// Since when a leader knows that it is ready, where it is: by the clock here, whatever its node's clock says.
    pub(crate) ready_heard: Millis,
}

impl Pod {
    /// One that is new, or that a leader before has written down: that it is ready was known by now, and not before it was.
    pub(crate) fn new(row: PodRow, now: Millis) -> Self {
        let ready_heard = row.state.ready_since.map_or(now, |since| since.as_millisecond().min(now));
        Self { row, cost: None, is_known_unplaceable: false, ready_heard }
    }

    /// Whether it is to end.
    pub(crate) const fn is_ending(&self) -> bool {
        self.row.end_within_seconds.is_some()
    }

    /// Whether it does its work, and is to go on with that.
    pub(crate) const fn serves(&self) -> bool {
        self.row.state.ready && !self.is_ending()
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
        let wait = i64::from(min_ready_seconds) * 1_000;
        self.row.state.ready.then(|| self.ready_heard.saturating_add(wait))
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
            _ => Stage::Available,
        }
    }
}
