//! The peers of a download.

use std::{collections::BTreeMap, time::Duration};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceSet;

use super::{DownloadSettings, Why, pace::Pace};
use crate::{locality::Nearness, moment::Moment};

/// A peer, by its place among a download's; a place is taken again once its peer is gone.
pub(super) type Slot = usize;

/// After so many failures in a row what a peer says it has isn't counted on, until it delivers.
pub(super) const MOST_FRUITLESS: u32 = 3;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) nearness: Nearness,
    pub(super) has: PieceSet,
    pub(super) pace: Pace,
    /// What it is asked for, the oldest first.
    pub(super) asked: Vec<u32>,
    /// How many open pieces it has.
    pub(super) useful: u32,
    /// Whether its pieces count as had by somebody.
    pub(super) is_counted: bool,
    /// How often in a row it was passed by or refused.
    pub(super) fruitless: u32,
    pub(super) rests_until: Moment,
    /// When it last gave a sign of life, or had reason to begin.
    pub(super) heard: Moment,
    /// When what it delivers next had its turn.
    pub(super) turn: Moment,
    /// When it last brought a piece, or came.
    pub(super) brought: Moment,
    /// When to look again whether it is late.
    pub(super) look_at: Moment,
    /// Passed by: one piece at a time until it delivers.
    pub(super) is_late: bool,
}

impl Peer {
    pub(super) fn is_in_zone(&self) -> bool {
        self.nearness <= Nearness::Zone
    }

    pub(super) fn has_room(&self, now: Moment, settings: &DownloadSettings) -> bool {
        let pipeline = if self.is_late { 1 } else { self.pace.pipeline(settings) };
        now >= self.rests_until && self.asked.len() < usize::try_from(pipeline).expect("32 bits fit")
    }

    /// How long it may be silent, or take for a piece. It grows while the peer delivers nothing, so that a slow one comes to an end.
    pub(super) fn patience(&self, strangers: Duration, settings: &DownloadSettings) -> Duration {
        let by_pace = self.pace.answer_takes().map_or(strangers, |takes| takes.saturating_mul(settings.slack));
        by_pace.max(settings.least_patience).saturating_mul(1 << self.fruitless.min(6)).min(settings.most_patience)
    }

    /// Whether nothing that it was asked for came whole for longer than anybody may take.
    pub(super) fn is_overdue(&self, now: Moment, settings: &DownloadSettings) -> bool {
        !self.asked.is_empty() && now >= self.turn + settings.most_patience
    }

    /// Whether it can be counted on to bring something soon.
    pub(super) fn is_fit(&self, now: Moment) -> bool {
        self.is_counted && !self.is_late && now >= self.rests_until
    }

    /// Whether it is late, or else when it would be.
    pub(super) fn lateness(&mut self, now: Moment, strangers: Duration, settings: &DownloadSettings) -> Result<Why, Moment> {
        let patience = self.patience(strangers, settings);
        // Of one whose pace isn't known, what it does in that time is its pace.
        let trial = settings.least_patience.saturating_mul(10);
        let is_stranger = self.pace.piece_takes().is_none();
        let slow_at = self.turn + if is_stranger { patience.max(trial) } else { patience };
        if now >= self.heard + patience {
            Ok(Why::Silent)
        } else if now >= slow_at {
            Ok(Why::Slow)
        } else {
            let late_at = slow_at.min(self.heard + patience);
            // Its patience is shorter as soon as nobody brings anything.
            Err(if is_stranger { late_at.min(now + settings.least_patience) } else { late_at })
        }
    }

    pub(super) fn was_passed_by(&mut self, now: Moment, settings: &DownloadSettings) {
        self.rests_until = now + settings.least_patience.saturating_mul(1 << self.fruitless.min(6)).min(settings.most_rest);
        self.fruitless = self.fruitless.saturating_add(1);
        self.is_late = true;
    }
}

/// All of them, and the nearest first.
#[derive(Debug, Default)]
pub(super) struct Peers {
    slots: Vec<Option<Peer>>,
    by_id: BTreeMap<PeerId, Slot>,
    nearest: Vec<Slot>,
}

impl Peers {
    pub(super) fn count(&self) -> usize {
        self.nearest.len()
    }

    pub(super) fn slot(&self, id: PeerId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> &Peer {
        self.slots[slot].as_ref().expect("a slot is known as long as its peer is")
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Peer {
        self.slots[slot].as_mut().expect("a slot is known as long as its peer is")
    }

    /// Each with its slot, the nearest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Peer)> + Clone {
        self.nearest.iter().map(|slot| (*slot, self.get(*slot)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.slots.iter_mut().flatten()
    }

    pub(super) fn insert(&mut self, peer: Peer) -> Slot {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let before = self.nearest.partition_point(|other| self.get(*other).nearness <= peer.nearness);
        self.nearest.insert(before, slot);
        self.by_id.insert(peer.id, slot);
        if slot == self.slots.len() {
            self.slots.push(Some(peer));
        } else {
            self.slots[slot] = Some(peer);
        }
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let id = self.get(slot).id;
        self.slots[slot] = None;
        self.by_id.remove(&id);
        self.nearest.retain(|other| *other != slot);
    }
}
