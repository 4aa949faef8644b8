#![allow(clippy::cast_possible_truncation)] // What is small by construction.

mod crashes;
mod disk;
mod flushing;
mod foreign;
mod listing;
mod model;
mod pinning;
mod reading;
mod receiving;
mod room;

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest};
use longshore_service::metrics::Metrics;
use tempfile::TempDir;

use super::*;
use crate::piece::{PIECE_BYTES, PieceIndex};

/// A store of its own folder, whose keeper does not run.
struct Bed {
    folder: TempDir,
    store: Store,
}

impl Bed {
    fn new(quota_bytes: u64) -> Self {
        Self::with(quota_bytes, |_| {})
    }

    fn with(quota_bytes: u64, change: impl FnOnce(&mut StoreSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = StoreSettings::new(folder.path(), quota_bytes);
        change(&mut settings);
        let (store, _keeper) = Store::open(settings, StoreMetrics::new(&Metrics::new())).unwrap();
        Self { folder, store }
    }

    /// What a crash right now would leave, opened.
    fn after_crash(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let store = open(folder.path(), self.store.usage().quota_bytes).unwrap();
        Self { folder, store }
    }

    async fn keep(&self, blob: &Blob) -> Arc<Entry> {
        let entry = self.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
        for piece in 0..entry.geometry().pieces() {
            entry.write(PieceIndex(piece), blob.piece(piece)).await.unwrap();
        }
        entry
    }
}

fn open(folder: &Path, quota_bytes: u64) -> Result<Store, StoreError> {
    let settings = StoreSettings::new(folder, quota_bytes);
    Ok(Store::open(settings, StoreMetrics::new(&Metrics::new()))?.0)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Some content.
#[derive(Clone, Debug)]
struct Blob {
    bytes: Bytes,
    digest: Digest,
}

impl Blob {
    fn new(seed: u8, size: u64) -> Self {
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        Self { digest: Digest::of(Algorithm::Sha256, &bytes), bytes: bytes.into() }
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn piece(&self, piece: u32) -> Bytes {
        let start = piece as usize * PIECE_BYTES as usize;
        self.bytes.slice(start..(start + PIECE_BYTES as usize).min(self.bytes.len()))
    }

    fn hashes(&self) -> PieceHashes {
        let hashes: Vec<u8> = self.bytes.chunks(PIECE_BYTES as usize).flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        PieceHashes::from_bytes(&hashes).unwrap()
    }
}

fn pin_of(owner: &str, blob: &Blob) -> Pin {
    Pin {
        owner: owner.to_owned(),
        reason: "a test".to_owned(),
        image: None,
        digest: blob.digest.clone(),
        size_bytes: blob.size(),
        expires_at: None,
        created_at: Timestamp::now(),
    }
}

#[tokio::test]
async fn a_piece_is_kept_and_read() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES + 7);
    let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    assert!(matches!(entry.read(PieceIndex(2)).await, Err(ReadError::Missing { .. })));
    entry.write(PieceIndex(2), blob.piece(2)).await.unwrap();
    assert_eq!(entry.read(PieceIndex(2)).await.unwrap(), blob.piece(2));
    assert_eq!(bed.store.usage().disk_bytes, 4096);
    let wrong = entry.write(PieceIndex(0), blob.piece(1)).await;
    assert!(matches!(wrong, Err(StoreError::WrongPiece { .. })) && !entry.has(PieceIndex(0)));
    let again = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    assert!(Arc::ptr_eq(&entry, &again) && !again.is_complete());
    let other = bed.store.begin(&blob.digest, blob.size() + 1, blob.hashes()).await;
    assert!(matches!(other, Err(StoreError::Contradiction { .. })));
}

#[tokio::test]
async fn a_folder_has_one_owner() {
    let bed = Bed::new(PIECE_BYTES);
    assert!(matches!(open(bed.folder.path(), 1), Err(StoreError::InUse { .. })));
    drop(bed.store);
    open(bed.folder.path(), 1).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_is_found_and_mended() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 3 * PIECE_BYTES);
    let entry = bed.keep(&blob).await;
    bed.store.flush().await.unwrap();
    let path = bed.store.shared.folder.blob(&blob.digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[PIECE_BYTES as usize + 5] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let report = bed.store.scrub().await;
    assert_eq!((report.pieces, report.damaged), (3, vec![(blob.digest.clone(), PieceIndex(1))]));
    assert_eq!(bed.store.shared.metrics.damaged.get(), 1);
    assert!(!entry.has(PieceIndex(1)) && entry.has(PieceIndex(2)));
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    assert_eq!(entry.read(PieceIndex(1)).await.unwrap(), blob.piece(1));
}

#[tokio::test]
async fn records_outlast_a_restart() {
    let bed = Bed::new(PIECE_BYTES);
    bed.store.put_record("tag", "b".to_owned(), vec![2]);
    bed.store.put_record("tag", "a".to_owned(), vec![1]);
    bed.store.put_record("tags", "c".to_owned(), vec![3]);
    bed.store.flush().await.unwrap();
    bed.store.remove_record("tag", "b");
    assert_eq!(bed.store.records("tag").unwrap(), [("a".to_owned(), vec![1])]);
    let both = bed.after_crash().store.records("tag").unwrap();
    assert_eq!(both.len(), 2, "the removal was not written yet");
    bed.store.flush().await.unwrap();
    assert_eq!(bed.after_crash().store.records("tag").unwrap(), [("a".to_owned(), vec![1])]);
}

#[tokio::test]
async fn the_keeper_writes_batches_and_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { sync_delay: Duration::from_millis(1), ..StoreSettings::new(folder.path(), 16 * PIECE_BYTES) };
    let (store, keeper) = Store::open(settings, StoreMetrics::new(&Metrics::new())).unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(keeper.run(shutdown.clone()));
    let bed = Bed { folder, store };
    let blob = Blob::new(1, PIECE_BYTES + 1);
    let entry = bed.keep(&blob).await;
    while !entry.is_indexed() {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    running.await.unwrap();
    assert!(bed.after_crash().store.entry(&blob.digest).unwrap().is_complete());
}
