use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use longshore_oci::{Digest, Hasher};
use tokio::sync::watch;

use super::{
    charge::blob_charge,
    entry::{Entry, write::is_full},
    error::StoreError,
    flow::{End, Flow, length},
    follower::Follower,
    room::Room,
    shared::{Shared, off_runtime},
};
use crate::piece::{Geometry, PieceHashes};

/// A whole blob on its way, for which nobody vouches: it is kept once its digest is found right. Dropped before, nothing of it stays.
///
/// It holds at most a piece in memory, and what was handed to [`Self::append`].
#[derive(Debug)]
pub struct Receiving {
    shared: Arc<Shared>,
    digest: Digest,
    geometry: Geometry,
    file: Arc<File>,
    path: PathBuf,
    /// `None` while a piece is written, and so after a writer that was cut off.
    hasher: Option<Hasher>,
    room: Option<Room>,
    flow: watch::Sender<Flow>,
}

impl Shared {
    /// Begins to receive a whole blob.
    pub(super) async fn receive(self: &Arc<Self>, digest: &Digest, size_bytes: u64) -> Result<Receiving, StoreError> {
        let geometry = self.geometry(digest, size_bytes)?;
        let (shared, digest) = (self.clone(), digest.clone());
        off_runtime(move || {
            let room = shared.reserve(blob_charge(size_bytes))?;
            let opened = shared.folder.open_incoming();
            let (path, file) = opened.map_err(|error| shared.unwritten("make a file in", shared.folder.root(), error))?;
            let (hasher, flow) = (Some(Hasher::new(digest.algorithm())), watch::Sender::new(Flow::new(geometry)));
            Ok(Receiving { digest, geometry, file: Arc::new(file), path, hasher, room: Some(room), flow, shared })
        })
        .await
    }
}

impl Receiving {
    /// A reader behind the writer. Any number of them read at their own pace.
    pub fn follow(&self) -> Follower {
        Follower::new(self.digest.clone(), self.file.clone(), self.flow.subscribe())
    }

    /// Where it lies until it is whole.
    #[cfg(test)]
    pub(super) fn path_for_tests(&self) -> &Path {
        &self.path
    }

    /// How many bytes have come.
    pub fn received_bytes(&self) -> u64 {
        self.flow.borrow().received_bytes()
    }

    /// Takes in the blob's next bytes. After a failure, or where the caller was cut off in it, only dropping is left to do.
    pub async fn append(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        let total = self.received_bytes().saturating_add(length(&bytes));
        if total > self.geometry.size_bytes() {
            return Err(self.fail(self.wrong_length(total)));
        }
        while !bytes.is_empty() {
            let lacking = usize::try_from(self.flow.borrow().lacking_bytes()).unwrap_or(usize::MAX);
            let chunk = bytes.split_to(lacking.min(bytes.len()));
            self.flow.send_modify(|flow| flow.push(chunk));
            if self.flow.borrow().lacking_bytes() == 0 {
                self.write_piece().await.map_err(|error| self.fail(error))?;
            }
        }
        Ok(())
    }

    /// Says that no more bytes come, and why: who reads behind is told.
    pub fn abort(self, why: impl Into<String>) {
        self.flow.send_modify(|flow| flow.end = End::Aborted(why.into()));
    }

    /// All has come: the blob is kept where its digest is right. Readers get its last piece as soon as that is known.
    pub async fn finish(mut self) -> Result<Arc<Entry>, StoreError> {
        let checked = self.check();
        let room = self.room.take().expect("taken here, and where it is dropped, only");
        let (shared, file, path) = (self.shared.clone(), self.file.clone(), self.path.clone());
        if let Err(error) = checked {
            let error = self.fail(error);
            off_runtime(move || remove(&path, &file, room)).await;
            return Err(error);
        }
        self.flow.send_modify(|flow| flow.end = End::Right);
        let hashes = PieceHashes::from_bytes(&self.flow.borrow().hashes.concat()).expect("whole hashes");
        let entry = Arc::new(Entry::new(&self.shared, self.digest.clone(), self.geometry, hashes));
        // To its end, even where nobody waits: it is right, and it is here.
        let flow = self.flow.clone();
        off_runtime(move || {
            let kept = shared.install(&entry, &file, &path, room);
            // Where it was not needed, or could not be put in its place.
            let _ = std::fs::remove_file(&path);
            let kept = kept?;
            flow.send_modify(|flow| flow.end = End::Kept(kept.clone()));
            Ok(kept)
        })
        .await
    }

    /// Whether all of it has come, and is right.
    fn check(&mut self) -> Result<(), StoreError> {
        let actual_bytes = self.received_bytes();
        if actual_bytes != self.geometry.size_bytes() {
            return Err(self.wrong_length(actual_bytes));
        }
        let actual = self.hasher.take().map(|hasher| hasher.digest());
        let actual = actual.ok_or_else(|| StoreError::Gone { digest: self.digest.clone() })?;
        if actual == self.digest {
            return Ok(());
        }
        self.shared.metrics.mismatched.inc();
        tracing::error!(digest = %self.digest, %actual, "a blob that came is not what was asked for; nothing of it is kept");
        Err(StoreError::Mismatch { expected: self.digest.clone(), actual })
    }

    /// Hashes the piece that has come and puts it into the file.
    async fn write_piece(&mut self) -> Result<(), StoreError> {
        let (at, chunks) = {
            let flow = self.flow.borrow();
            (flow.written_bytes(), flow.chunks().to_vec())
        };
        let gone = || StoreError::Gone { digest: self.digest.clone() };
        let mut hasher = self.hasher.take().ok_or_else(gone)?;
        let (shared, file, path) = (self.shared.clone(), self.file.clone(), self.path.clone());
        let written = off_runtime(move || {
            let mut piece = blake3::Hasher::new();
            for chunk in &chunks {
                hasher.update(chunk);
                piece.update(chunk);
            }
            shared.write_through(&file, at, &chunks).map_err(|error| shared.unwritten("write", &path, error))?;
            Ok::<_, StoreError>((hasher, *piece.finalize().as_bytes()))
        });
        let (hasher, hash) = written.await?;
        self.hasher = Some(hasher);
        self.flow.send_modify(|flow| flow.note_written(hash));
        Ok(())
    }

    fn wrong_length(&self, actual_bytes: u64) -> StoreError {
        StoreError::Length { digest: self.digest.clone(), expected_bytes: self.geometry.size_bytes(), actual_bytes }
    }

    fn fail(&self, error: StoreError) -> StoreError {
        self.flow.send_modify(|flow| flow.end = End::Aborted(error.to_string()));
        error
    }
}

impl Shared {
    /// Writes chunks one after another; where the disk is full, once more when something was dropped.
    fn write_through(&self, file: &File, at: u64, chunks: &[Bytes]) -> io::Result<()> {
        let write = || {
            let mut at = at;
            for chunk in chunks {
                file.write_all_at(chunk, at)?;
                at += length(chunk);
            }
            Ok(())
        };
        match write() {
            Err(error) if is_full(&error) => {
                self.note_full_disk(chunks.iter().map(length).sum());
                self.make_room(0, 0);
                write()
            }
            written => written,
        }
    }

    fn unwritten(&self, operation: &'static str, path: &Path, error: io::Error) -> StoreError {
        if is_full(&error) { self.no_room(0) } else { StoreError::file(operation, path)(error) }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.flow.send_if_modified(|flow| {
            let is_cut_off = matches!(flow.end, End::Running);
            if is_cut_off {
                flow.end = End::Aborted("its source went away".to_owned());
            }
            is_cut_off
        });
        // What was right is moved or removed by the work that puts it in its place.
        if let Some(room) = self.room.take() {
            let (path, file) = (std::mem::take(&mut self.path), self.file.clone());
            let remove = move || remove(&path, &file, room);
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                Err(_) => remove(),
            }
        }
    }
}

/// Removes what is there of a blob that is not kept, and then gives its room back. Readers behind it may hold the file for long, though
/// none of them gets anything of it any more.
fn remove(path: &Path, file: &File, room: Room) {
    let _ = std::fs::remove_file(path);
    let _ = file.set_len(0);
    drop(room);
}
