mod shortage;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    changes::Changes,
    entry::Entry,
    eviction::Candidate,
    metrics::{StoreMetrics, gauged},
    notes::Notes,
    pin::Pins,
    usage::{Usage, Use},
};
use shortage::Shortage;

/// A blob and how it was asked for.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) entry: Arc<Entry>,
    pub(super) used: Use,
}

/// What is here, what it takes, and what is still to be written to the index.
#[derive(Debug)]
pub(super) struct State {
    /// By digest, so that a page of them is found without a look at all.
    pub(super) entries: BTreeMap<Digest, Slot>,
    pub(super) pins: Pins,
    pub(super) disk_bytes: u64,
    pub(super) reserved_bytes: u64,
    /// What may be kept: the quota, or less while the disk is full.
    pub(super) limit_bytes: u64,
    pub(super) quota_bytes: u64,
    /// Blobs with pieces that the index does not have, or has and must not.
    pub(super) dirty: HashSet<Digest>,
    /// Blobs whose requests the index does not have.
    pub(super) used: HashSet<Digest>,
    /// Blobs that were dropped, and that the index may still have. None of them is begun anew before it has not.
    pub(super) gone: HashSet<Digest>,
    /// Blobs whose files are on their way: to their place, or away from it. None of them is begun meanwhile.
    pub(super) moving: HashSet<Digest>,
    pub(super) notes: Notes,
    /// Blobs that this machine has whole elsewhere, too: they are dropped first.
    pub(super) elsewhere: Arc<HashSet<Digest>>,
    pub(super) metrics: StoreMetrics,
    /// Which blobs changed last.
    pub(super) changes: Arc<Changes>,
    shortage: Option<Shortage>,
}

impl State {
    pub(super) fn new(quota_bytes: u64, metrics: StoreMetrics, changes: Arc<Changes>) -> Self {
        metrics.quota_bytes.set(gauged(quota_bytes));
        Self {
            entries: BTreeMap::new(),
            pins: Pins::default(),
            disk_bytes: 0,
            reserved_bytes: 0,
            limit_bytes: quota_bytes,
            quota_bytes,
            dirty: HashSet::new(),
            used: HashSet::new(),
            gone: HashSet::new(),
            moving: HashSet::new(),
            notes: Notes::default(),
            elsewhere: Arc::default(),
            metrics,
            changes,
            shortage: None,
        }
    }

    /// So much more is on the disk.
    pub(super) fn charge(&mut self, bytes: u64) {
        self.shortage = None;
        self.disk_bytes += bytes;
        self.metrics.disk_bytes.set(gauged(self.disk_bytes));
    }

    /// So much is no longer on the disk.
    pub(super) fn release(&mut self, bytes: u64) {
        self.disk_bytes = self.disk_bytes.saturating_sub(bytes);
        self.metrics.disk_bytes.set(gauged(self.disk_bytes));
    }

    /// More or less of a blob is here than the index has.
    pub(super) fn mark_changed(&mut self, digest: &Digest) {
        self.dirty.insert(digest.clone());
        self.changes.note(digest);
    }

    /// How much more there is than may be, with so much to come.
    pub(super) fn excess(&self, more_bytes: u64) -> u64 {
        self.disk_bytes.saturating_add(self.reserved_bytes).saturating_add(more_bytes).saturating_sub(self.limit_bytes)
    }

    /// Has a blob there.
    pub(super) fn insert(&mut self, entry: &Arc<Entry>, used: Use) {
        self.entries.insert(entry.digest().clone(), Slot { entry: entry.clone(), used });
        self.used.insert(entry.digest().clone());
        self.changes.note(entry.digest());
        self.metrics.entries.set(gauged(self.entries.len()));
    }

    /// Takes a blob out: nobody finds it any more, and the index is to forget it.
    pub(super) fn remove(&mut self, digest: &Digest) -> Option<Arc<Entry>> {
        let slot = self.entries.remove(digest)?;
        self.changes.note(digest);
        self.dirty.remove(digest);
        self.used.remove(digest);
        self.gone.insert(digest.clone());
        self.moving.insert(digest.clone());
        self.metrics.entries.set(gauged(self.entries.len()));
        Some(slot.entry)
    }

    /// Whether a blob that is not here can't be begun yet.
    pub(super) fn is_unsettled(&self, digest: &Digest) -> bool {
        self.gone.contains(digest) || self.moving.contains(digest)
    }

    /// Takes a blob out where it may still be dropped: it may be in use by now, pinned, or another one.
    pub(super) fn remove_unused(&mut self, digest: &Digest, now: Timestamp) -> Option<Arc<Entry>> {
        let may_go = self.entries.get(digest).is_some_and(|slot| !slot.is_in_use()) && self.pins.holding(digest, now).is_none();
        if may_go { self.remove(digest) } else { None }
    }

    /// Says how much is pinned, after pins changed.
    pub(super) fn tell_pinned(&mut self) {
        self.shortage = None;
        self.metrics.pinned_bytes.set(gauged(self.pins.charged_bytes()));
    }

    /// All blobs as they might be dropped.
    pub(super) fn candidates(&self, now: Timestamp) -> (Vec<Digest>, Vec<Candidate>) {
        let candidate = |(digest, slot): (&Digest, &Slot)| {
            let candidate = Candidate {
                disk_bytes: slot.entry.disk_bytes(),
                used: slot.used,
                is_pinned: self.pins.holding(digest, now).is_some(),
                is_in_use: slot.is_in_use(),
                is_elsewhere: self.elsewhere.contains(digest),
            };
            (digest.clone(), candidate)
        };
        self.entries.iter().map(candidate).unzip()
    }

    pub(super) fn usage(&self, now: Timestamp) -> Usage {
        Usage {
            disk_bytes: self.disk_bytes,
            quota_bytes: self.quota_bytes,
            entries: self.entries.len(),
            pinned_bytes: self.pins.charged_bytes_at(now),
            reserved_bytes: self.reserved_bytes,
        }
    }
}

impl Slot {
    /// Whether anybody but the store has it. New handles come from the store only, under its lock, or from another handle.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.entry) > 1
    }
}
