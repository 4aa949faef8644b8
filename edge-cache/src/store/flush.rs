//! How what was written comes to outlast a crash: the data first, then, together, the bits that say so.

use std::{
    collections::HashSet,
    io, mem,
    sync::{Arc, Weak},
};

use longshore_oci::Digest;

use super::{
    entry::Entry,
    error::StoreError,
    index::{Batch, Row},
    shared::{Shared, locked},
    state::State,
    usage::Use,
};

/// What is on its way to the index.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) batch: Batch,
    /// Whose rows it has: a blob that was dropped and begun anew is another one.
    entries: Vec<Weak<Entry>>,
}

impl Shared {
    /// Syncs what was written and writes everything to the index. Blocks.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let _turn = locked(&self.flushes);
        let dirty = self.sync_written();
        let _commit = locked(&self.commits);
        let taken = self.take(&dirty);
        self.commit(taken)
    }

    /// Writes pins and records, and nothing else. Blocks.
    pub(super) fn flush_notes(&self) -> Result<(), StoreError> {
        let _commit = locked(&self.commits);
        let notes = mem::take(&mut self.state().notes);
        self.commit(Taken { batch: Batch { notes, ..Batch::default() }, ..Taken::default() })
    }

    /// Has what was written reach the disk; whose it is.
    pub(super) fn sync_written(&self) -> Vec<Digest> {
        let dirty: Vec<Digest> = mem::take(&mut self.state().dirty).into_iter().collect();
        for digest in &dirty {
            // One at a time: what is held counts as in use, and so is not dropped to make room.
            let entry = self.state().entries.get(digest).map(|slot| slot.entry.clone());
            if let Some(entry) = entry {
                self.sync(&entry);
            }
        }
        dirty
    }

    /// Takes what the index is to have. What it is to forget stays noted until it has, so that none of that is begun anew before.
    pub(super) fn take(&self, dirty: &[Digest]) -> Taken {
        let mut state = self.state();
        let entries: Vec<&Arc<Entry>> = dirty.iter().filter_map(|digest| Some(&state.entries.get(digest)?.entry)).collect();
        let rows: Vec<Row> = entries.iter().map(|entry| entry.row()).collect();
        let entries = entries.into_iter().map(Arc::downgrade).collect();
        let gone = state.gone.iter().cloned().collect();
        let uses = take_uses(&mut state, &rows);
        Taken { batch: Batch { rows, gone, uses, notes: mem::take(&mut state.notes) }, entries }
    }

    /// Writes a batch; where it can't be, it waits for the next time.
    fn commit(&self, taken: Taken) -> Result<(), StoreError> {
        if taken.batch.is_empty() {
            return Ok(());
        }
        match self.index.commit(&taken.batch) {
            Ok(lost) => {
                if lost > 0 {
                    self.metrics.records_lost.inc_by(lost);
                    tracing::warn!(lost, most = self.settings.max_records, "there are too many records; new ones are not kept");
                }
                self.settle(&taken);
                Ok(())
            }
            Err(error) => {
                self.metrics.index_failures.inc();
                self.put_back(taken.batch);
                Err(error)
            }
        }
    }

    /// The index has it.
    pub(super) fn settle(&self, taken: &Taken) {
        let mut state = self.state();
        for digest in &taken.batch.gone {
            state.gone.remove(digest);
        }
        for entry in taken.entries.iter().filter_map(Weak::upgrade) {
            entry.set_indexed();
        }
    }

    /// The index does not have it, or may not.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut state = self.state();
        let here = |digest: &Digest| state.entries.contains_key(digest);
        let rows: Vec<Digest> = batch.rows.into_iter().map(|row| row.digest).filter(here).collect();
        let uses: Vec<Digest> = batch.uses.into_iter().map(|(digest, _)| digest).filter(here).collect();
        state.dirty.extend(rows);
        state.used.extend(uses);
        state.notes.put_back(batch.notes);
    }

    /// Has a blob's written pieces reach the disk. Those that did not are taken not to be there.
    fn sync(&self, entry: &Entry) {
        let (mut unsynced, error) = {
            let Some(_held) = entry.hold() else { return };
            let unsynced = entry.take_unsynced();
            if unsynced.is_empty() {
                return;
            }
            match self.folder.open_to_read(entry.digest()).and_then(|file| file.sync_data()).and_then(|()| self.sync_name(entry))
            {
                Ok(()) => return,
                Err(error) => (unsynced, error),
            }
        };
        // What the system could not write it does not try again, and it tells once: what was written meanwhile may be lost as
        // well.
        entry.alone(|| {
            unsynced.append(&mut entry.take_unsynced());
            entry.give_up(self, &unsynced);
        });
        tracing::error!(digest = %entry.digest(), pieces = unsynced.len(), %error, "pieces could not be synced, and are given up");
    }

    fn sync_name(&self, entry: &Entry) -> io::Result<()> {
        if !entry.take_unnamed() {
            return Ok(());
        }
        self.folder.sync_name(entry.digest()).inspect_err(|_| entry.set_unnamed())
    }
}

/// The uses of blobs that the index has, or will have with these rows.
fn take_uses(state: &mut State, rows: &[Row]) -> Vec<(Digest, Use)> {
    let new: HashSet<&Digest> = rows.iter().map(|row| &row.digest).collect();
    let used = mem::take(&mut state.used);
    let (known, rest): (Vec<_>, Vec<_>) = used
        .into_iter()
        .filter_map(|digest| state.entries.get(&digest).map(|slot| (digest, slot)))
        .map(|(digest, slot)| (slot.entry.is_indexed() || new.contains(&digest), digest, slot.used))
        .partition(|(is_known, ..)| *is_known);
    state.used = rest.into_iter().map(|(_, digest, _)| digest).collect();
    known.into_iter().map(|(_, digest, used)| (digest, used)).collect()
}
