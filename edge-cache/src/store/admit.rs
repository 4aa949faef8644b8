//! How a blob comes to have a place here.

use std::{fs::File, path::Path, sync::Arc};

use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    charge::blob_charge,
    entry::Entry,
    error::StoreError,
    room::Room,
    shared::{Shared, locked, off_runtime},
    state::{Slot, State},
    usage::Use,
};
use crate::piece::{Geometry, PieceHashes};

/// How often a place is looked for: each time something in its way is gone.
const ATTEMPTS: u32 = 8;

/// Whether a blob can have its place.
enum Place {
    /// It has it already.
    Taken(Arc<Entry>),
    /// What has it is said to have other pieces.
    Contradicted,
    /// It was dropped just now, or too many others were, and the index has to forget that first; or its file is on its way.
    Unsettled,
    /// There are too many blobs.
    Crowded,
    /// Nothing is in the way.
    Free,
}

impl Shared {
    /// The blob's place, made where there is none.
    pub(super) async fn begin(
        self: &Arc<Self>,
        digest: &Digest,
        size_bytes: u64,
        hashes: PieceHashes,
    ) -> Result<Arc<Entry>, StoreError> {
        let geometry = self.geometry(digest, size_bytes)?;
        if u32::try_from(hashes.count()).ok() != Some(geometry.pieces()) {
            return Err(StoreError::Contradiction { digest: digest.clone() });
        }
        let entry = Arc::new(Entry::new(self, digest.clone(), geometry, hashes));
        {
            let mut state = self.state();
            match self.place(&state, &entry) {
                Place::Taken(found) => return Ok(found),
                Place::Free => {
                    put(&mut state, &entry);
                    return Ok(entry);
                }
                Place::Contradicted | Place::Unsettled | Place::Crowded => {}
            }
        }
        let shared = self.clone();
        off_runtime(move || shared.begin_in_turn(&entry)).await
    }

    /// How a blob falls into pieces, where it may be kept at all.
    pub(super) fn geometry(&self, digest: &Digest, size_bytes: u64) -> Result<Geometry, StoreError> {
        if blob_charge(size_bytes) > self.settings.quota_bytes {
            return Err(self.no_room(size_bytes));
        }
        Geometry::new(size_bytes).ok_or_else(|| StoreError::Contradiction { digest: digest.clone() })
    }

    fn begin_in_turn(&self, entry: &Arc<Entry>) -> Result<Arc<Entry>, StoreError> {
        let _turn = locked(&self.names);
        for _ in 0..ATTEMPTS {
            let mut state = self.state();
            let place = self.place(&state, entry);
            match place {
                Place::Taken(found) => return Ok(found),
                Place::Free => {
                    put(&mut state, entry);
                    return Ok(entry.clone());
                }
                Place::Contradicted => {
                    // Nobody knows which is right. Of one of which nothing is here, nothing is lost.
                    let is_empty = |slot: &Slot| !slot.is_in_use() && slot.entry.present().count() == 0;
                    if !state.entries.get(entry.digest()).is_some_and(is_empty) {
                        return Err(StoreError::Contradiction { digest: entry.digest().clone() });
                    }
                    let victim = state.remove(entry.digest());
                    drop(state);
                    self.drop_files(victim, "contradicted");
                }
                Place::Unsettled | Place::Crowded => {
                    drop(state);
                    self.clear_the_way(&place)?;
                }
            }
        }
        Err(self.no_room(0))
    }

    /// Puts a whole blob, found right, where its place is. Blocks.
    pub(super) fn install(&self, entry: &Arc<Entry>, file: &File, path: &Path, room: Room) -> Result<Arc<Entry>, StoreError> {
        let _turn = locked(&self.names);
        for _ in 0..ATTEMPTS {
            let place = {
                let mut state = self.state();
                let place = self.place(&state, entry);
                if matches!(place, Place::Free) {
                    // So that nobody begins it until its file is there.
                    state.moving.insert(entry.digest().clone());
                }
                place
            };
            match place {
                Place::Taken(found) if found.is_complete() => return Ok(found),
                Place::Taken(found) => {
                    self.install_over(&found, file, path, room)?;
                    return Ok(found);
                }
                Place::Free => {
                    let renamed = self.rename(path, entry.digest());
                    let mut state = self.state();
                    state.moving.remove(entry.digest());
                    if let Err(error) = renamed {
                        drop(state);
                        return Err(error);
                    }
                    entry.fill();
                    room.spend(&mut state);
                    put(&mut state, entry);
                    state.mark_changed(entry.digest());
                    drop(state);
                    self.changed.notify_one();
                    return Ok(entry.clone());
                }
                Place::Contradicted => {
                    // This one was checked whole.
                    let victim = self.state().remove(entry.digest());
                    tracing::warn!(digest = %entry.digest(), "the pieces kept of a blob had other hashes than the whole: they are dropped");
                    self.drop_files(victim, "contradicted");
                }
                Place::Unsettled | Place::Crowded => self.clear_the_way(&place)?,
            }
        }
        Err(self.no_room(0))
    }

    /// Takes a whole blob's file for that of a blob of which pieces are here.
    fn install_over(&self, found: &Arc<Entry>, file: &File, path: &Path, room: Room) -> Result<(), StoreError> {
        // The index has pieces of it already: they must be there in whichever file is found after a power failure.
        file.sync_data().map_err(StoreError::file("sync", path))?;
        let replaced = found.alone(|| {
            // Nor does the index have more before the name is that of this file for good.
            found.set_unnamed();
            self.rename(path, found.digest())?;
            let mut state = self.state();
            let extra = found.fill();
            room.spend(&mut state);
            state.release(blob_charge(found.geometry().size_bytes()) - extra);
            state.mark_changed(found.digest());
            Ok::<_, StoreError>(())
        });
        self.changed.notify_one();
        replaced.unwrap_or_else(|| Err(StoreError::Gone { digest: found.digest().clone() }))
    }

    fn rename(&self, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        self.folder.install(path, digest).map_err(StoreError::file("put in its place", path))
    }

    fn clear_the_way(&self, place: &Place) -> Result<(), StoreError> {
        match place {
            Place::Unsettled => self.flush(),
            Place::Crowded if !self.make_room_in_turn(0, 1) => Err(self.no_room(0)),
            _ => Ok(()),
        }
    }

    fn place(&self, state: &State, entry: &Entry) -> Place {
        if let Some(Slot { entry: found, .. }) = state.entries.get(entry.digest()) {
            let is_same = found.geometry() == entry.geometry() && found.hashes() == entry.hashes();
            if is_same { Place::Taken(found.clone()) } else { Place::Contradicted }
        } else if state.is_unsettled(entry.digest()) || state.gone.len() >= self.settings.max_entries {
            Place::Unsettled
        } else if state.entries.len() >= self.settings.max_entries {
            Place::Crowded
        } else {
            Place::Free
        }
    }
}

fn put(state: &mut State, entry: &Arc<Entry>) {
    state.insert(entry, Use::first(Timestamp::now()));
    if entry.geometry().pieces() == 0 {
        // All there is to note of it.
        state.mark_changed(entry.digest());
    }
}
